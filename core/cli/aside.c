/* See aside.h. Secrets that are not set get a stand-in, so that a client can be checked without
 * them. */
#include "core/cli/aside.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/xalloc.h"

#define ASIDE_SEED 1

void aside_add(struct aside_texts *texts, const char *text)
{
    texts->list = xrealloc(texts->list, (texts->count + 1) * sizeof(char *));
    texts->list[texts->count++] = xstrdup(text);
}

void aside_clear(struct aside_texts *texts)
{
    for (size_t i = 0; i < texts->count; i++) {
        free(texts->list[i]);
    }
    free(texts->list);
    memset(texts, 0, sizeof(*texts));
}

int aside_open(struct aside *aside, const struct cli_args *args, struct clock *clock)
{
    memset(aside, 0, sizeof(*aside));
    aside->args = args;
    aside->clock = clock;
    aside->secrets = secrets_new(cli_option(args, "--secrets"));
    aside->scripts = cli_scripts_root(args);
    log_configure(LOG_WARN, LOG_FORMAT_AUTO);
    return aside->scripts != NULL
               ? CLI_OK
               : cli_fail(args, CLI_NOT_FOUND, "the scripts folder is nowhere: give --scripts DIR");
}

void aside_close(struct aside *aside)
{
    aside_clear(&aside->errors);
    aside_clear(&aside->warnings);
    secrets_free(aside->secrets);
    clock_free(aside->clock);
    free(aside->scripts);
    log_shutdown();
}

static int find_secret(void *arg, const char *name, struct buf *out)
{
    struct aside *aside = arg;
    struct error err = {0};
    const char *text = secrets_get(aside->secrets, name, &err);
    if (text != NULL) {
        return buf_add_str(out, text);
    }
    bool is_known = false; /* a manifest may ask for one secret twice */
    for (size_t i = 0; i < aside->warnings.count; i++) {
        is_known = is_known || strcmp(aside->warnings.list[i], err.message) == 0;
    }
    if (!is_known) {
        aside_add(&aside->warnings, err.message);
    }
    return buf_addf(out, "unset-%s", name);
}

/* As the host: --set NAME=VALUE (the last one counts), then NEAP_NAME in the environment. */
static int find_variable(void *arg, const char *name, struct buf *out)
{
    const struct cli_args *args = ((struct aside *)arg)->args;
    size_t size = strlen(name);
    const char *found = NULL;
    const char *text = NULL;
    for (size_t i = 0; (text = cli_option_at(args, "--set", i)) != NULL; i++) {
        if (strncmp(text, name, size) == 0 && text[size] == '=') {
            found = text + size + 1;
        }
    }
    char *variable = xasprintf("NEAP_%s", name);
    found = found != NULL ? found : getenv(variable);
    free(variable);
    return found == NULL ? ERROR_NOT_FOUND : buf_add_str(out, found);
}

static void on_problem(void *arg, const char *text)
{
    struct aside *aside = arg;
    aside_add(&aside->errors, text);
}

struct generation *aside_load(struct aside *aside, const char *folder,
                              const struct script_hooks *hooks)
{
    aside_clear(&aside->errors);
    aside_clear(&aside->warnings);
    struct generation_options options = {
        .clock = aside->clock,
        .client_folder = folder,
        .scripts_folder = aside->scripts,
        .hooks = hooks,
        .limits = aside->limits,
        .overlay = aside->overlay,
        .random_seed = ASIDE_SEED,
        .find_secret = find_secret,
        .find_variable = find_variable,
        .on_problem = on_problem,
        .arg = aside,
    };
    struct generation *generation = NULL;
    struct error err = {0};
    if (generation_load(&generation, &options, &err) != 0 && aside->errors.count == 0) {
        aside_add(&aside->errors, err.message);
    }
    return generation;
}
