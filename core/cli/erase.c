/*
 * neap erase: by the running host, or on a stopped host's data, opened for writing under the lock
 * of the data folder. Nothing runs there: the work is drained from the start, and it is opened with
 * the generation it had, so that its jobs go on later as if nobody had looked.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/lock_file.h"
#include "core/base/log.h"
#include "core/base/xalloc.h"
#include "core/cli/ask.h"
#include "core/ops/control.h"
#include "core/work/erasure.h"
#include "core/work/turn.h"

#define ERASE_CLIENTS_MAX 256
#define ERASE_ANSWER_MAX  (1u << 20)
#define ERASE_WORDS_MAX   4

struct stopped {
    const char *data;
    struct lock_file *lock;
    struct clock *clock;
    struct loop *loop;
    struct turn *turn;
    struct random_source random;
    size_t count;
    struct ops_client clients[ERASE_CLIENTS_MAX];
    struct store *stores[ERASE_CLIENTS_MAX];
    char *names[ERASE_CLIENTS_MAX];
};

static void stopped_close(struct stopped *s)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->clients[i].work != NULL) {
            turn_remove(s->turn, s->clients[i].work);
        }
        work_close(s->clients[i].work);
        store_close(s->stores[i]);
        free(s->names[i]);
    }
    turn_free(s->turn);
    if (s->loop != NULL) {
        loop_free(s->loop);
    }
    clock_free(s->clock);
    lock_file_close(s->lock);
    free(s);
}

static int attach(struct stopped *s, struct work *work, const char *name, struct error *err)
{
    char *path = xasprintf("%s/%s.erasures", s->data, name);
    int rc = erasure_attach(work, path, err);
    free(path);
    return rc;
}

static int add_client(struct stopped *s, const char *name, struct error *err)
{
    size_t i = s->count;
    char *path = xasprintf("%s/%s", s->data, name);
    struct store_options options = {.path = path};
    int rc = store_open(&s->stores[i], &options, err);
    free(path);
    if (rc != 0) {
        return rc;
    }
    s->names[i] = xstrdup(name);
    s->count++;
    struct work_options work = {.client = s->names[i],
                                .store = s->stores[i],
                                .clock = s->clock,
                                .loop = s->loop,
                                .random = &s->random,
                                .generation = erasure_stored_generation(s->stores[i])};
    rc = work_open(&s->clients[i].work, &work, err);
    if (rc != 0) {
        return rc;
    }
    s->clients[i].name = s->names[i];
    work_drain(s->clients[i].work);
    turn_add(s->turn, s->clients[i].work);
    return attach(s, s->clients[i].work, name, err);
}

static int add_clients(struct stopped *s, const char *only, struct error *err)
{
    struct dirent **names = NULL;
    int count = scandir(s->data, &names, NULL, alphasort);
    int rc = 0;
    for (int i = 0; i < count; i++) {
        const char *name = names[i]->d_name;
        bool is_wanted = only == NULL || strcmp(only, name) == 0;
        if (rc == 0 && is_wanted && s->count < ERASE_CLIENTS_MAX && cli_has_store(s->data, name)) {
            rc = add_client(s, name, err);
        }
        free(names[i]);
    }
    free(names);
    return rc;
}

static int stopped_open(struct stopped *s, const char *only, struct error *err)
{
    s->lock = lock_file_open(s->data, err);
    if (s->lock == NULL) {
        return err->code;
    }
    s->clock = clock_new_system();
    s->loop = loop_new(s->clock);
    if (s->loop == NULL) {
        return error_set(err, ERROR_IO, "the event loop cannot start");
    }
    random_init_system(&s->random);
    s->turn = turn_new(s->loop);
    return add_clients(s, only, err);
}

/* Commits, then takes the bytes out of the files, then commits that this is done. */
static int stopped_finish(struct stopped *s, struct error *err)
{
    int rc = turn_run(s->turn, false, NULL, err);
    for (size_t i = 0; i < s->count && rc == 0; i++) {
        if (erasure_wants_compaction(s->clients[i].work)) {
            rc = erasure_compact(s->clients[i].work, err);
        }
    }
    return rc != 0 ? rc : turn_run(s->turn, false, NULL, err);
}

static int erase_stopped(const struct cli_args *args, const struct admin_request *request,
                         struct buf *out)
{
    struct stopped *s = xcalloc(1, sizeof(*s));
    struct error err = {0};
    s->data = cli_data_folder(args);
    log_configure(LOG_WARN, LOG_FORMAT_AUTO);
    int code;
    if (stopped_open(s, request->client, &err) != 0) {
        code = cli_fail(args, CLI_UNREACHABLE, "%s", err.message);
    } else {
        struct ops_view view = {.clients = s->clients,
                                .count = s->count,
                                .is_live = true, /* acts are possible */
                                .now_ms = clock_wall_ms(s->clock)};
        code = admin_run(&view, request, out);
        if (stopped_finish(s, &err) != 0) {
            code =
                cli_fail(args, err.code == ERROR_FULL ? CLI_WRONG : CLI_UNSAFE, "%s", err.message);
        }
    }
    stopped_close(s);
    return code;
}

static int ask(const struct cli_args *args, const struct admin_request *request)
{
    struct buf out;
    struct error err = {0};
    int code = CLI_OK;
    buf_init(&out, ERASE_ANSWER_MAX);
    char *socket_path = xasprintf("%s/neap.sock", cli_data_folder(args));
    if (control_ask(socket_path, request, &out, &code, &err) != 0) {
        buf_reset(&out);
        code = erase_stopped(args, request, &out);
    }
    free(socket_path);
    fputs(buf_text(&out), code == CLI_USAGE || code == CLI_UNREACHABLE ? stderr : stdout);
    buf_free(&out);
    return code;
}

static int run(const struct cli_args *args)
{
    if (args->word_count != 1) {
        return cli_fail(args, CLI_USAGE, "say whose: neap erase REF --reason \"...\"");
    }
    const char *words[ERASE_WORDS_MAX] = {"erase", args->words[0]};
    size_t count = 2;
    if (cli_has(args, "--force")) {
        words[count++] = "force";
    }
    if (cli_has(args, "--title")) {
        words[count++] = "title";
    }
    const char *user = getenv("USER");
    struct admin_request request = {
        .count = count,
        .words = words,
        .client = cli_option(args, "--client"),
        .who = cli_has(args, "--who") ? cli_option(args, "--who")
               : user != NULL         ? user
                                      : "local",
        .reason = cli_option(args, "--reason"),
        .wants_json = cli_has(args, "--json"),
        .is_dry_run = cli_has(args, "--dry-run"),
    };
    return ask(args, &request);
}

const struct cli_verb CLI_ERASE = {
    .name = "erase",
    .summary = "erase the personal data of one order, for good",
    .usage = "neap erase [options] REF --reason \"...\"",
    .details =
        "REF as in neap order. Erased: payloads, timeline, penny trail, requests and answers,\n"
        "step memos, texts of errors. Kept: identity, money, deadlines, the audit chain, which\n"
        "gets an entry. Other keys of the same person (a return, a refund) are erased one by one.\n"
        "Works on a running host and on a stopped host's data. A backup restored later is erased\n"
        "again at its start, as long as DATA/CLIENT.erasures is there: keep that file with the\n"
        "backups, the newest one.",
    .options = (const struct cli_option[]){CLI_ASK_OPTIONS,
                                           CLI_ACT_OPTIONS,
                                           {"--force", NULL, "dismiss its open jobs first"},
                                           {"--title", NULL, "the title shown to people too"},
                                           {NULL, NULL, NULL}},
    .run = run,
};
