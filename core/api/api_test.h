/*
 * Runs tests written in Lua inside the host's own states: sandboxed, in virtual time, from a seed.
 *
 * library test   a file that returns function(t); see scripts/lib/test.lua
 * golden case    a file of a client's cases/ folder; see scripts/lib/golden.lua
 *
 * Tests get one module more than scripts: neap.test (files, the clock, stand-ins for modules).
 */
#ifndef NEAP_CORE_API_API_TEST_H
#define NEAP_CORE_API_API_TEST_H

#include "core/script/generation.h"

#define API_TEST_START_MS 1777888980000 /* 2026-05-04T10:03:00Z: tests begin at this instant */
#define API_TEST_SEED     1

struct api_test_options { /* borrowed during the call */
    struct clock *clock;  /* virtual */
    const char *scripts_folder;
    const char *client_folder;       /* first root of require */
    const char *const *more_folders; /* further roots; ends with NULL; may be NULL */
    const char *data_folder;         /* where neap.test.read_file and list begin */
    const char *const *settings;     /* NAME=VALUE, what a test reads as t.settings; may be NULL */
    /* One case ended; details is what failed, line by line, or "". Called from inside Lua. */
    void (*on_case)(void *arg, bool is_ok, const char *sentence, const char *details);
    void *arg;
};

#define API_TEST_MODULES_MAX 32

/* api_hooks and neap.test, for generation_options: a plain value that outlives the generation. */
struct api_test_hooks {
    struct script_hooks hooks;
    struct vm_module modules[API_TEST_MODULES_MAX];
};
void api_test_hooks_init(struct api_test_hooks *hooks_out);

/* Runs a library test in a state of its own. An error when the file itself failed. */
int api_test_file(const struct api_test_options *options, const char *path,
                  struct error *err) NEAP_MUST_USE;

/* Runs the client's golden cases, on a generation that was loaded with struct api_test_hooks. */
int api_test_golden(struct generation *generation, const struct api_test_options *options,
                    struct error *err) NEAP_MUST_USE;

/*
 * Calls the optional report(settings, client) of each flow: lines for people on what the settings
 * mean. They are told in the order of flows. An error when a report raised or gave something else.
 */
int api_flow_reports(struct generation *generation,
                     void (*on_line)(void *arg, const char *flow, const char *line), void *arg,
                     struct error *err) NEAP_MUST_USE;

#endif
