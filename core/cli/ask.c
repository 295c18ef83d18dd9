/* Asks a running host, or opens what a stopped one left, read-only. */
#define _GNU_SOURCE
#include "core/cli/ask.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/xalloc.h"
#include "core/ops/control.h"

#define ASK_CLIENTS_MAX 256
#define ASK_ANSWER_MAX  (64u << 20)

/* A stopped host's clients. */
struct archive {
    struct clock *clock;
    size_t count;
    struct ops_client clients[ASK_CLIENTS_MAX];
    struct store *stores[ASK_CLIENTS_MAX];
    char *names[ASK_CLIENTS_MAX];
};

static void archive_close(struct archive *a)
{
    for (size_t i = 0; i < a->count; i++) {
        work_close(a->clients[i].work);
        store_close(a->stores[i]);
        free(a->names[i]);
    }
    clock_free(a->clock);
}

static int archive_add(struct archive *a, const char *data, const char *name, struct error *err)
{
    char *path = xasprintf("%s/%s", data, name);
    struct store_options options = {.path = path, .is_read_only = true};
    int rc = store_open(&a->stores[a->count], &options, err);
    free(path);
    if (rc != 0) {
        return rc;
    }
    a->names[a->count] = xstrdup(name);
    struct work_options work = {.client = a->names[a->count],
                                .store = a->stores[a->count],
                                .clock = a->clock,
                                .is_read_only = true};
    rc = work_open(&a->clients[a->count].work, &work, err);
    a->clients[a->count].name = a->names[a->count];
    a->count++;
    return rc;
}

static int archive_open(struct archive *a, const char *data, struct error *err)
{
    a->clock = clock_new_system();
    struct dirent **names = NULL;
    int count = scandir(data, &names, NULL, alphasort);
    if (count < 0) {
        return error_set(err, ERROR_NOT_FOUND, "there is no data folder %s", data);
    }
    int rc = 0;
    for (int i = 0; i < count; i++) {
        if (rc == 0 && a->count < ASK_CLIENTS_MAX && cli_has_store(data, names[i]->d_name)) {
            rc = archive_add(a, data, names[i]->d_name, err);
        }
        free(names[i]);
    }
    free(names);
    return rc;
}

static int ask_archive(const struct cli_args *args, const struct admin_request *request,
                       struct buf *out)
{
    struct archive *a = xcalloc(1, sizeof(*a));
    struct error err = {0};
    int rc = archive_open(a, cli_data_folder(args), &err);
    if (rc != 0) {
        cli_fail(args, CLI_UNREACHABLE, "%s", err.message);
        rc = CLI_UNREACHABLE;
    } else {
        struct ops_view view = {
            .clients = a->clients, .count = a->count, .now_ms = clock_wall_ms(a->clock)};
        rc = admin_run(&view, request, out);
    }
    archive_close(a);
    free(a);
    return rc;
}

int cli_ask(const struct cli_args *args, const char *verb)
{
    const char *words[CLI_VALUES_MAX + 1] = {verb};
    memcpy(words + 1, args->words, args->word_count * sizeof(args->words[0]));
    const char *found = cli_option(args, "--outcome");
    enum admin_outcome outcome = found == NULL                    ? ADMIN_OUTCOME_NONE
                                 : strcmp(found, "happened") == 0 ? ADMIN_OUTCOME_HAPPENED
                                                                  : ADMIN_OUTCOME_ABSENT;
    if (found != NULL && strcmp(found, "happened") != 0 && strcmp(found, "absent") != 0) {
        return cli_fail(args, CLI_USAGE, "--outcome takes happened or absent, not \"%s\"", found);
    }
    const char *user = getenv("USER");
    struct admin_request request = {
        .count = args->word_count + 1,
        .words = words,
        .client = cli_option(args, "--client"),
        .who = cli_has(args, "--who") ? cli_option(args, "--who")
               : user != NULL         ? user
                                      : "local",
        .reason = cli_option(args, "--reason"),
        .outcome = outcome,
        .wants_json = cli_has(args, "--json"),
        .is_dry_run = cli_has(args, "--dry-run"),
    };
    struct buf out;
    buf_init(&out, ASK_ANSWER_MAX);
    struct error err = {0};
    int exit_code = CLI_OK;
    char *socket_path = xasprintf("%s/neap.sock", cli_data_folder(args));
    int rc = control_ask(socket_path, &request, &out, &exit_code, &err);
    free(socket_path);
    if (rc != 0) {
        exit_code = ask_archive(args, &request, &out);
    }
    fputs(buf_text(&out), exit_code == CLI_USAGE || exit_code == CLI_UNREACHABLE ? stderr : stdout);
    buf_free(&out);
    return exit_code;
}
