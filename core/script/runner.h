/*
 * The script side of one client: runs jobs for work on the generation that serves, and swaps
 * generations.
 *
 * At most two generations live: the one that serves, and the one before it while runs that began on
 * it are alive. A third one unwinds those: their jobs run again from the top.
 */
#ifndef NEAP_CORE_SCRIPT_RUNNER_H
#define NEAP_CORE_SCRIPT_RUNNER_H

#include "core/script/generation.h"
#include "core/work/work.h"

struct runner;

struct runner_options {
    const char *client; /* copied */
    /* The connection with this name, or NULL. They belong to the owner and outlive the work. */
    struct connection *(*find_connection)(void *arg, const char *name);
    void *arg;
};

/* Takes the generation over. */
struct runner *runner_new(const struct runner_options *options, struct generation *generation);
/* After work_close: no run may be alive. Accepts NULL. */
void runner_free(struct runner *runner);

/* Fills what work_open needs from here: runner, owner and retry lookup, retry, live_from,
 * generation. */
void runner_fill_options(struct runner *runner, struct work_options *options);
/* After work_open, before the first turn. Brings the schedules in. */
int runner_attach(struct runner *runner, struct work *work, struct error *err) NEAP_MUST_USE;

/*
 * New scripts, not within a slice. First the store is told (schedules, generation, what a reload
 * releases), which may fail: then `next` is freed and nothing has changed. Then they serve, which
 * cannot. runner_swap does both; it takes `next` over in any case.
 */
int runner_announce(struct runner *runner, struct generation *next,
                    struct error *err) NEAP_MUST_USE;
void runner_install(struct runner *runner, struct generation *next);
int runner_swap(struct runner *runner, struct generation *next, struct error *err) NEAP_MUST_USE;

struct generation *runner_generation(const struct runner *runner); /* the one that serves */
struct work *runner_work(const struct runner *runner);
const char *runner_client(const struct runner *runner);
struct connection *runner_find_connection(const struct runner *runner, const char *name);
/* One or two; for health. */
unsigned runner_generation_count(const struct runner *runner);
size_t runner_memory_used(const struct runner *runner); /* by their Lua states, in bytes */

#endif
