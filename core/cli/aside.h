/* Loading a client aside for verbs that look at it: as a host would, but nothing runs and nothing
 * is sent. */
#ifndef NEAP_CORE_CLI_ASIDE_H
#define NEAP_CORE_CLI_ASIDE_H

#include "core/base/clock.h"
#include "core/base/secret.h"
#include "core/cli/cli.h"
#include "core/script/generation.h"

struct aside_texts {
    char **list;
    size_t count;
};
void aside_add(struct aside_texts *texts, const char *text);
void aside_clear(struct aside_texts *texts); /* frees */

struct aside {
    const struct cli_args *args; /* --set, --secrets and --scripts are read */
    struct clock *clock;
    struct secrets *secrets;
    char *scripts;
    struct vm_limits limits;     /* of what is loaded; set after aside_open */
    const char *overlay;         /* see generation.h; set after aside_open, borrowed */
    struct aside_texts errors;   /* of the newest load */
    struct aside_texts warnings; /* secrets that are not set: a stand-in was used */
};

#define ASIDE_OPTIONS                                                                              \
    {"--secrets", "DIR", "folder of secret files; else the environment"},                          \
        {"--set", "NAME=VALUE", "a value for var(\"NAME\") in manifests (repeatable)"},            \
    {                                                                                              \
        "--scripts", "DIR", "connectors and flows shipped with the host"                           \
    }

/* Takes clock over. Says what is wrong and returns the exit code; aside_close in any case. */
int aside_open(struct aside *aside, const struct cli_args *args, struct clock *clock);
void aside_close(struct aside *aside);

/* NULL when it does not load: aside->errors says why, one text per problem. */
struct generation *aside_load(struct aside *aside, const char *folder,
                              const struct script_hooks *hooks);

#endif
