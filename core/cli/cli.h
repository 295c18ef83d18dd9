/*
 * The command line: one file per verb, one table of verbs (cli.c), one way to parse options.
 *
 * Exit codes, the same for every verb:
 *   0  done, nothing wrong found      3  the thing named does not exist
 *   1  something wrong was found      4  the host or its data could not be reached or locked
 *   2  the command line is wrong      5  the host stopped because its state could not be kept safe
 */
#ifndef NEAP_CORE_CLI_CLI_H
#define NEAP_CORE_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/errors.h"

enum cli_exit {
    CLI_OK = 0,
    CLI_WRONG = 1,
    CLI_USAGE = 2,
    CLI_NOT_FOUND = 3,
    CLI_UNREACHABLE = 4,
    CLI_UNSAFE = 5,
};

struct cli_option {
    const char *name;  /* "--data" */
    const char *value; /* what it takes, for help ("DIR"); NULL: a switch */
    const char *help;
};

#define CLI_VALUES_MAX 512

/* What a verb was given; strings are borrowed from argv. */
struct cli_args {
    const struct cli_verb *verb;
    size_t option_count;
    struct {
        const char *name;
        const char *value;
    } options[CLI_VALUES_MAX];
    size_t word_count;
    const char *words[CLI_VALUES_MAX];
};

struct cli_verb {
    const char *name;
    const char *summary;              /* one line */
    const char *usage;                /* "neap order [options] REF" */
    const char *details;              /* paragraphs of --help, may be NULL */
    const struct cli_option *options; /* ends with a NULL name; --json and --help are added */
    int (*run)(const struct cli_args *args);
};

/* Runs the verb named in argv[1]; returns the exit code. */
int cli_main(int argc, char **argv);

/* The verbs, ending with NULL. */
extern const struct cli_verb *const CLI_VERBS[];

const char *cli_option(const struct cli_args *args,
                       const char *name); /* last value, "" for switches */
bool cli_has(const struct cli_args *args, const char *name);
/* The i-th value of a repeated option or NULL. */
const char *cli_option_at(const struct cli_args *args, const char *name, size_t i);
/* An integer option; false (and a message on stderr) when it is not one in [min, max]. */
bool cli_option_int(const struct cli_args *args, const char *name, long long min, long long max,
                    long long *value_inout);

/* Prints "neap VERB: message" to stderr and returns code. */
int cli_fail(const struct cli_args *args, int code, const char *fmt, ...) NEAP_PRINTF(3, 4);

/* Where the scripts shipped with the host are: --scripts, $NEAP_SCRIPTS, beside the binary's tree,
 * or the installed place. Caller frees. NULL when nowhere. */
char *cli_scripts_root(const struct cli_args *args);
char *cli_examples_root(const struct cli_args *args);
/* --data, $NEAP_DATA or "data". Borrowed. */
const char *cli_data_folder(const struct cli_args *args);
/* A client's store lies in data/name. */
bool cli_has_store(const char *data, const char *name);

extern const struct cli_verb CLI_AUDIT, CLI_CHECK, CLI_DEMO, CLI_ERASE, CLI_EXCEPTIONS, CLI_HELP,
    CLI_NEW, CLI_ORDER, CLI_PAUSE, CLI_RECONCILE, CLI_RELOAD, CLI_REPLAY, CLI_RESUME, CLI_RUN,
    CLI_STATUS, CLI_PRODUCTS, CLI_SIMULATE, CLI_STOCK, CLI_TEST, CLI_VERIFY, CLI_VERSION;

#endif
