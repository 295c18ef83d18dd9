/* Verbs that ask a host: over its control socket, or, for reading, over the data it left. */
#ifndef NEAP_CORE_CLI_ASK_H
#define NEAP_CORE_CLI_ASK_H

#include "core/cli/cli.h"

/* Options that every asking verb takes. */
#define CLI_ASK_OPTIONS                                                                            \
    {"--data", "DIR", "data folder (default $NEAP_DATA or ./data)"},                               \
    {                                                                                              \
        "--client", "NAME", "only this client"                                                     \
    }
#define CLI_ACT_OPTIONS                                                                            \
    {"--reason", "TEXT", "why; goes to the audit chain with your name"},                           \
        {"--who", "NAME", "who acts (default: $USER)"},                                            \
    {                                                                                              \
        "--dry-run", NULL, "say what would happen"                                                 \
    }

/* Puts `verb` before the words and asks. Prints the answer; returns the exit code. */
int cli_ask(const struct cli_args *args, const char *verb);

#endif
