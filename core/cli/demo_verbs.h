/* What the verbs that look say of the demonstration, each run as a person would run it. */
#ifndef NEAP_CORE_CLI_DEMO_VERBS_H
#define NEAP_CORE_CLI_DEMO_VERBS_H

#include <stdbool.h>

struct host;

struct demo_place {
    struct host *host; /* serves the client and both sandboxes while the verbs ask */
    const char *data_folder;
    const char *examples;
    const char *const *variables; /* NAME=VALUE of the host; ends with NULL */
};

/* Runs them one after the other and prints. False when one failed, or says that something is not
 * as the demonstration leaves it. */
bool demo_verbs_print(const struct demo_place *place);

#endif
