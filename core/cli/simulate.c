/*
 * neap simulate: a day of a client in virtual time, with a kill, a reload and whatever else its
 * driver has in store; then the books.
 *
 * The driver is one of the world's clients and says when the day is over (simulation_desk.c). What
 * the client under test left behind is examined afterwards by neap verify and neap reconcile.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/instant.h"
#include "core/base/json_reader.h"
#include "core/base/json_writer.h"
#include "core/base/xalloc.h"
#include "core/cli/examination.h"
#include "core/cli/files.h"
#include "core/cli/serve.h"
#include "core/cli/simulation.h"

#define DAYS_MAX     4 /* of virtual time, after which a driver that says nothing has failed */
#define DAY_MS       INT64_C(86400000)
#define DOCUMENT_MAX (64u << 20)
#define AFTERWARDS   2

/* ---- The hosts
 * ------------------------------------------------------------------------------------- */

static int open_host(struct simulation *s, struct host **host_out, const char *name,
                     const char *const *folders, struct error *err)
{
    char *data = xasprintf("%s/%s-data", s->folder, name);
    char *address = xasprintf("%s.test", name);
    struct host_options options = {
        .data_folder = data,
        .client_folders = folders,
        .scripts_root = s->scripts,
        .secrets_folder = s->plan.secrets,
        .variables = (const char *const *)s->plan.variables,
        .is_virtual = true,
        .world = &s->time,
        .world_name = address,
        .seed = s->seed * 1000 + s->kills + 1,
    };
    int rc = host_open(host_out, &options, err);
    free(address);
    free(data);
    return rc;
}

static void open_client(struct simulation *s)
{
    const char *const folders[] = {s->client_folder, NULL};
    if (open_host(s, &s->client, "client", folders, &s->problem) == 0) {
        clock_jump_wall(s->client->clock, s->client_off_ms);
    }
}

static void on_restart(void *arg)
{
    struct simulation *s = arg;
    s->must_kill = false; /* from here on the loop of play opens it */
}

static int open_all(struct simulation *s)
{
    host_world_open(&s->time, s->plan.start_ms);
    s->restart = loop_timer_new(s->time.loop, on_restart, s);
    simulation_desk_open(s);
    if (open_host(s, &s->world, "world", (const char *const *)s->plan.world, &s->problem) == 0) {
        open_client(s);
    }
    return s->problem.code;
}

static void close_all(struct simulation *s)
{
    if (s->time.loop == NULL) {
        return;
    }
    host_close(s->client);
    host_close(s->world);
    simulation_desk_close(s);
    loop_timer_free(s->restart);
    host_world_close(&s->time);
}

/* ---- The day
 * ---------------------------------------------------------------------------------------- */

static bool has_stopped(const struct host *host)
{
    return host != NULL && host->has_stopped;
}

static void play(struct simulation *s)
{
    int64_t end_ms = s->plan.start_ms + DAYS_MAX * DAY_MS;
    bool is_over = false;
    while (s->books == NULL && s->problem.code == 0 && !is_over) {
        struct host *const hosts[] = {s->client, s->world};
        if (s->client == NULL && !s->must_kill) {
            open_client(s);
        } else if (host_world_turn(hosts, 2, s->must_kill ? s->client : NULL, &is_over)) {
            s->client = NULL;
            s->kills++;
            loop_timer_start(s->restart, s->down_ms);
        } else if (has_stopped(s->client) || has_stopped(s->world)) {
            s->problem = has_stopped(s->world) ? s->world->fatal : s->client->fatal;
        }
        is_over = is_over || clock_wall_ms(s->time.clock) > end_ms;
    }
    if (s->books == NULL && s->problem.code == 0) {
        error_set(&s->problem, ERROR_TIMEOUT, "the driver never said that the day is over");
    }
}

/* ---- Afterwards
 * ------------------------------------------------------------------------------------- */

struct afterwards {
    const char *verb;
    const char *question;
    struct examination found;
};

static void examine(const struct simulation *s, struct afterwards *a)
{
    char *data = xasprintf("%s/client-data", s->folder);
    examination_begin(&a->found, (const char *const[]){a->verb, "--data", data, NULL},
                      DOCUMENT_MAX);
    examination_wait(&a->found);
    free(data);
}

static bool is_books_right(const struct simulation *s)
{
    struct bytes value;
    return s->books != NULL && json_find(bytes_str(s->books), "ok", &value) &&
           bytes_equal(value, bytes_str("true"));
}

static void print_json(const struct simulation *s, const struct afterwards *list, bool is_right)
{
    struct buf out;
    struct json_writer w;
    buf_init(&out, DOCUMENT_MAX);
    json_writer_init(&w, &out);
    json_object_begin(&w);
    json_member_int(&w, "seed", (int64_t)s->seed);
    json_member_bool(&w, "ok", is_right);
    json_member_int(&w, "kills", (int64_t)s->kills);
    json_member_str(&w, "folder", cli_has(s->args, "--data") ? s->folder : NULL);
    json_member_str(&w, "problem", s->problem.code == 0 ? NULL : s->problem.message);
    for (size_t i = 0; i < AFTERWARDS; i++) {
        json_member_int(&w, list[i].verb, list[i].found.code);
    }
    json_key(&w, "books");
    json_raw(&w, bytes_str(s->books == NULL ? "null" : s->books));
    json_object_end(&w);
    printf("%s\n", buf_text(&out));
    buf_free(&out);
}

static void print_text(const struct simulation *s, const struct afterwards *list, bool is_right)
{
    for (size_t i = 0; i < AFTERWARDS; i++) {
        printf("%-8s %s (neap %s)\n", list[i].found.code == CLI_OK ? "yes" : "NO", list[i].question,
               list[i].verb);
        if (list[i].found.code != CLI_OK) {
            fputs(buf_text(&list[i].found.said), stdout);
        }
    }
    if (s->problem.code != 0) {
        printf("%s\n", s->problem.message);
    }
    printf("\nseed %" PRIu64 ": %s\n", s->seed,
           is_right ? "all of it holds" : "NOT all of it holds");
}

static int judge(struct simulation *s)
{
    struct afterwards list[AFTERWARDS] = {
        {.verb = "verify", .question = "what the client keeps is whole"},
        {.verb = "reconcile", .question = "its own books tie, order by order"},
    };
    bool is_right = s->problem.code == 0 && is_books_right(s);
    for (size_t i = 0; i < AFTERWARDS; i++) {
        examine(s, &list[i]);
        is_right = is_right && list[i].found.code == CLI_OK;
    }
    if (cli_has(s->args, "--json")) {
        print_json(s, list, is_right);
    } else {
        print_text(s, list, is_right);
    }
    for (size_t i = 0; i < AFTERWARDS; i++) {
        examination_free(&list[i].found);
    }
    return is_right ? CLI_OK : CLI_WRONG;
}

/* ---- The verb
 * ------------------------------------------------------------------------------------- */

static void set_variables(struct simulation *s)
{
    simulation_plan_set(&s->plan, "SEED=%" PRIu64, s->seed);
    const char *text = NULL;
    for (size_t i = 0; (text = cli_option_at(s->args, "--set", i)) != NULL; i++) {
        simulation_plan_set(&s->plan, "%s", text);
    }
}

static int make_folder(struct simulation *s)
{
    const char *given = cli_option(s->args, "--data");
    if (given == NULL) {
        char made[] = "/tmp/neap-simulate-XXXXXX";
        if (mkdtemp(made) == NULL) {
            return cli_fail(s->args, CLI_UNREACHABLE, "there is no room in /tmp");
        }
        s->folder = xstrdup(made);
    } else if (mkdir(given, 0777) == 0) {
        s->folder = xstrdup(given);
    } else {
        return cli_fail(s->args, CLI_UNREACHABLE, "%s cannot be made: name a new folder", given);
    }
    s->client_folder = xasprintf("%s/client", s->folder);
    if (files_copy_folder(s->plan.client, s->client_folder) != 0) {
        return cli_fail(s->args, CLI_NOT_FOUND, "the client %s cannot be copied", s->plan.client);
    }
    return CLI_OK;
}

static int run_day(struct simulation *s)
{
    if (open_all(s) != 0) {
        return cli_fail(s->args, CLI_WRONG, "%s", s->problem.message);
    }
    if (!cli_has(s->args, "--json")) {
        char at[32];
        json_format_instant(s->plan.start_ms, at);
        printf("%s in virtual time from %.16s UTC, seed %" PRIu64 "\n\n", s->args->words[0], at,
               s->seed);
    }
    play(s);
    close_all(s);
    memset(&s->time, 0, sizeof(s->time));
    return judge(s);
}

static int run_simulate(const struct cli_args *args)
{
    struct simulation s = {.args = args, .seed = 1};
    long long seed = 1;
    if (args->word_count != 1) {
        return cli_fail(args, CLI_USAGE, "say which: neap simulate examples/blackfriday");
    }
    if (!cli_option_int(args, "--seed", 1, INT32_MAX, &seed)) {
        return CLI_USAGE;
    }
    s.seed = (uint64_t)seed;
    serve_configure_log(args, LOG_ERROR);
    s.scripts = cli_scripts_root(args);
    int code = CLI_OK;
    if (simulation_plan_read(&s.plan, args->words[0], &s.problem) != 0) {
        code = cli_fail(args, CLI_NOT_FOUND, "%s", s.problem.message);
    } else if (s.scripts == NULL) {
        code = cli_fail(args, CLI_NOT_FOUND, "the scripts folder is nowhere: give --scripts DIR");
    }
    set_variables(&s);
    code = code != CLI_OK ? code : make_folder(&s);
    code = code != CLI_OK ? code : run_day(&s);
    close_all(&s);
    if (s.folder != NULL && !cli_has(args, "--data")) {
        files_remove_folder(s.folder);
    }
    simulation_plan_free(&s.plan);
    free(s.client_folder);
    free(s.folder);
    free(s.scripts);
    free(s.books);
    log_shutdown();
    return code;
}

const struct cli_verb CLI_SIMULATE = {
    .name = "simulate",
    .summary = "play a whole day of a client in virtual time, then check the books",
    .usage = "neap simulate [options] DIR",
    .details =
        "DIR/simulation.json names the client under test, the sandboxes and the driver around it.\n"
        "Both sides are real hosts on one simulated clock and network, in this process; the same\n"
        "seed gives the same day. A copy of the client is served, so DIR stays as it is. Exit "
        "code\n"
        "0 only if the driver's books tie, and neap verify and neap reconcile have nothing to say.",
    .options =
        (const struct cli_option[]){
            {"--seed", "N", "of everything that is left to chance (default 1)"},
            {"--set", "NAME=VALUE", "a variable of the manifests; may be repeated"},
            {"--data", "DIR", "a new folder that keeps all data (default: nothing is kept)"},
            {"--scripts", "DIR", "connectors and flows shipped with the host"},
            {"--log", "json|human", "default: human on a terminal"},
            {"--log-level", "LEVEL", "debug, info, warn or error (default)"},
            {NULL, NULL, NULL}},
    .run = run_simulate,
};
