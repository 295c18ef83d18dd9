/* What verbs that start a host share. */
#ifndef NEAP_CORE_CLI_SERVE_H
#define NEAP_CORE_CLI_SERVE_H

#include "core/base/log.h"
#include "core/cli/cli.h"

struct serve_folders {
    char **paths; /* ends with NULL */
    size_t count;
};

/* From --client and --clients; says what is wrong and returns the exit code. */
int serve_find_clients(const struct cli_args *args, struct serve_folders *folders);
void serve_folders_free(struct serve_folders *folders);
/* --log and --log-level. */
void serve_configure_log(const struct cli_args *args, enum log_level level);

#endif
