/*
 * Clients in a box for the tests of core/script and core/api: virtual clock, real (volatile)
 * stores, the host's own scripts, and a transport whose far side is a C function.
 */
#ifndef NEAP_TESTS_SUPPORT_SCRIPT_WORLD_H
#define NEAP_TESTS_SUPPORT_SCRIPT_WORLD_H

#include "core/api/api_modules.h"
#include "core/base/log.h"
#include "core/base/xalloc.h"
#include "core/script/route.h"
#include "core/work/inbox.h"
#include "core/work/script_table.h"
#include "core/work/timeline.h"
#include "core/work/turn.h"
#include "tests/support/tap.h"
#include "tests/support/temp_folder.h"

#define WORLD_START_MS 1800000000000LL
#define WORLD_CLIENTS  2
#define WORLD_SEEN_MAX 64

struct world;

/* What the far side does with one request. */
struct world_reply {
    int status; /* 0: a transport error */
    const char *body;
    bool maybe_sent;
    bool never; /* no answer at all */
};

struct world_client {
    struct world *world;
    const char *name;
    char *folder;
    char *data;
    struct store *store;
    struct runner *runner;
    struct work *work;
    struct connection *connection; /* "far" */
    int answers;
};

struct world {
    char folder[256];
    struct clock *clock;
    struct loop *loop;
    struct turn *turn;
    struct random_source random;
    struct transport transport;
    struct transfer *transfers;
    struct vm_limits limits;
    struct world_client clients[WORLD_CLIENTS];
    void (*serve)(const struct http_request *request, struct world_reply *reply);
    char seen[WORLD_SEEN_MAX][256]; /* "POST http://far.test/orders?x=1 body" */
    int seen_count;
    bool last_was_fresh;
};

struct transfer {
    struct world *world;
    struct loop_timer *timer;
    struct world_reply reply;
    transport_done_cb done;
    void *arg;
    struct transfer *next;
};

static struct world the_world;

/* ---- The far side ------------------------------------------------------------------------------
 */

static void world_forget_transfer(struct transfer *transfer)
{
    struct transfer **link = &transfer->world->transfers;
    while (*link != transfer) {
        link = &(*link)->next;
    }
    *link = transfer->next;
    loop_timer_free(transfer->timer);
    free(transfer);
}

static void world_finish(void *arg)
{
    struct transfer *transfer = arg;
    struct world_reply reply = transfer->reply;
    transport_done_cb done = transfer->done;
    void *done_arg = transfer->arg;
    world_forget_transfer(transfer);
    if (reply.status == 0) {
        struct error err;
        error_set(&err, ERROR_NETWORK, "connection reset");
        err.is_retryable = true;
        err.maybe_sent = reply.maybe_sent;
        done(done_arg, NULL, &err);
        return;
    }
    struct http_answer answer = {.status = reply.status, .elapsed_ms = 20};
    buf_init(&answer.body, 80 << 20);
    if (buf_add_str(&answer.body, reply.body == NULL ? "" : reply.body) != 0) {
        struct error err; /* as the real transports do */
        error_set(&err, ERROR_LIMIT, "no memory for the answer");
        err.maybe_sent = true;
        done(done_arg, NULL, &err);
        return;
    }
    CHECK_INT(http_headers_add(&answer.headers, "Content-Type", "text/plain"), 0);
    done(done_arg, &answer, NULL);
    http_answer_free(&answer);
}

static struct transfer *world_start(struct transport *t, const struct http_request *request,
                                    const struct transport_policy *policy, transport_done_cb done,
                                    void *arg)
{
    struct world *w = &the_world;
    struct transfer *transfer = xcalloc(1, sizeof(*transfer));
    (void)t;
    (void)policy;
    transfer->world = w;
    transfer->done = done;
    transfer->arg = arg;
    transfer->next = w->transfers;
    w->transfers = transfer;
    transfer->timer = loop_timer_new(w->loop, world_finish, transfer);
    CHECK(w->seen_count < WORLD_SEEN_MAX);
    snprintf(w->seen[w->seen_count % WORLD_SEEN_MAX], sizeof(w->seen[0]), "%s %s%s%s",
             request->method, request->url, request->body == NULL ? "" : " ",
             request->body == NULL ? "" : request->body);
    w->seen_count++;
    w->last_was_fresh = request->is_fresh;
    transfer->reply.status = 200;
    if (w->serve != NULL) {
        w->serve(request, &transfer->reply);
    }
    if (!transfer->reply.never) {
        loop_timer_start(transfer->timer, 20);
    }
    return transfer;
}

static void world_cancel_transfer(struct transport *t, struct transfer *transfer)
{
    (void)t;
    world_forget_transfer(transfer);
}

static void world_free_transport(struct transport *t)
{
    (void)t;
}

/* ---- Clients -----------------------------------------------------------------------------------
 */

static struct connection *world_connection(void *arg, const char *name)
{
    struct world_client *c = arg;
    return strncmp(name, "far", 3) == 0 ? c->connection : NULL; /* by any name */
}

static void world_on_breaker(void *arg, struct connection *connection, enum breaker_state state)
{
    struct world_client *c = arg;
    (void)connection;
    if (c->work != NULL && state != BREAKER_OPEN) {
        CHECK_INT(work_connection_up(c->work, "far", state == BREAKER_HALF_OPEN), 0);
    }
}

static int world_find_secret(void *arg, const char *name, struct buf *out)
{
    (void)arg;
#ifdef WORLD_ANY_SECRET
    return buf_addf(out, "the %s", name);
#else
    return strcmp(name, "TOKEN") == 0 ? buf_add_str(out, "hush-hush-token") : ERROR_NOT_FOUND;
#endif
}

static int world_find_variable(void *arg, const char *name, struct buf *out)
{
    (void)arg;
    return strcmp(name, "GIVEN") == 0 ? buf_add_str(out, "given value") : ERROR_NOT_FOUND;
}

static inline int world_load(struct world_client *c, struct generation **generation_out,
                             struct error *err)
{
    struct generation_options options = {
        .clock = c->world->clock,
        .client_folder = c->folder,
        .scripts_folder = "scripts",
        .hooks = api_hooks(),
        .limits = c->world->limits,
        .random_seed = 1,
        .find_secret = world_find_secret,
        .find_variable = world_find_variable,
    };
    error_clear(err);
    return generation_load(generation_out, &options, err);
}

static inline void world_write(struct world_client *c, const char *name, const char *text)
{
    char *path = xasprintf("%s/%s", c->folder, name);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    fputs(text, file);
    fclose(file);
    free(path);
}

/* A manifest with the connection "far" and one flow "main" of the module "main". */
#define WORLD_MANIFEST                                                                             \
    "return {name = \"acme\", live_from = \"2020-01-01T00:00:00Z\",\n"                             \
    "    connections = {far = {base_url = \"http://far.test\", settle_ms = 1000,\n"                \
    "        headers = {authorization = \"Bearer \" .. secret(\"TOKEN\")}}},\n"                    \
    "    owners = {default = \"ops\"},\n"                                                          \
    "    retry = {initial_ms = 1000, factor = 1, max_ms = 1000},\n"                                \
    "    flows = {main = {use = \"main\", settings = {greeting = \"hello\"}}}}\n"

static inline void world_open_work(struct world_client *c)
{
    struct error err;
    struct store_options store_options = {.path = c->data, .is_volatile = true, .reserve_bytes = 1};
    error_clear(&err);
    CHECK_INT(store_open(&c->store, &store_options, &err), 0);
    struct generation *generation = NULL;
    if (world_load(c, &generation, &err) != 0) {
        printf("Bail out! %s\n", err.message);
        exit(EXIT_FAILURE);
    }
    const struct manifest *m = generation_manifest(generation);
    if (m->connection_count > 0) {
        c->connection = connection_new(c->world->loop, &c->world->transport, &m->connections[0],
                                       world_on_breaker, c);
    }
    struct runner_options runner_options = {c->name, world_connection, c};
    c->runner = runner_new(&runner_options, generation);
    struct work_options options = {
        .store = c->store,
        .clock = c->world->clock,
        .loop = c->world->loop,
        .random = &c->world->random,
    };
    runner_fill_options(c->runner, &options);
    CHECK_INT(work_open(&c->work, &options, &err), 0);
    turn_add(c->world->turn, c->work);
    CHECK_INT(runner_attach(c->runner, c->work, &err), 0);
}

/* The process dies: what is uncommitted is gone. */
static inline void world_crash(struct world_client *c)
{
    if (c->work == NULL) {
        return;
    }
    struct work *work = c->work;
    turn_remove(c->world->turn, work);
    work_close(work);
    c->work = NULL;
    connection_free(c->connection);
    c->connection = NULL;
    runner_free(c->runner);
    c->runner = NULL;
    store_close(c->store);
    c->store = NULL;
}

static inline void world_restart(struct world_client *c)
{
    world_crash(c);
    world_open_work(c);
}

/* The client `acme` with this module as its flow. */
/* A file that is there before the client named so loads. */
static inline void world_prepare(struct world *w, const char *name, const char *file,
                                 const char *text)
{
    struct world_client c = {.folder = xasprintf("%s/%s", w->folder, name)};
    mkdir(c.folder, 0700);
    world_write(&c, file, text);
    free(c.folder);
}

static inline struct world_client *world_add(struct world *w, const char *name, const char *flow)
{
    struct world_client *c = &w->clients[w->clients[0].world == NULL ? 0 : 1];
    c->world = w;
    c->name = name;
    c->folder = xasprintf("%s/%s", w->folder, name);
    c->data = xasprintf("%s/%s.data", w->folder, name);
    mkdir(c->folder, 0700);
    world_write(c, "client.lua", WORLD_MANIFEST);
    world_write(c, "main.lua", flow);
    world_open_work(c);
    return c;
}

static inline struct world *world_open(void)
{
    static const struct transport_ops ops = {world_start, world_cancel_transfer,
                                             world_free_transport};
    struct world *w = &the_world;
    memset(w, 0, sizeof(*w));
    log_configure(LOG_ERROR + (getenv("VERBOSE") == NULL ? 1 : -3), LOG_FORMAT_HUMAN);
    temp_folder_make(w->folder, sizeof(w->folder));
    w->clock = clock_new_virtual(WORLD_START_MS);
    w->loop = loop_new(w->clock);
    w->turn = turn_new(w->loop);
    w->transport.ops = &ops;
    random_init(&w->random, 11);
    return w;
}

static inline void world_close(struct world *w)
{
    for (size_t i = 0; i < WORLD_CLIENTS; i++) {
        if (w->clients[i].world != NULL) {
            world_crash(&w->clients[i]);
            free(w->clients[i].folder);
            free(w->clients[i].data);
        }
    }
    CHECK(w->transfers == NULL);
    CHECK_INT(loop_timer_count(w->loop), 0);
    turn_free(w->turn);
    loop_free(w->loop);
    clock_free(w->clock);
    temp_folder_remove(w->folder);
}

/* ---- Time and events ---------------------------------------------------------------------------
 */

/* Nothing can happen now: nothing is ready, and the next timer is after end_ms. */
static inline bool world_is_quiet(struct world *w, int64_t end_ms)
{
    int64_t next_ms = loop_next_timer_ms(w->loop);
    bool has_ready = false;
    for (size_t c = 0; c < WORLD_CLIENTS; c++) {
        has_ready |= w->clients[c].work != NULL && work_has_ready(w->clients[c].work);
    }
    return !has_ready && (next_ms < 0 || clock_mono_ms(w->clock) + next_ms > end_ms);
}

/* Turns until nothing is left to do before `ms` of virtual time have passed. */
static inline void world_run(struct world *w, int64_t ms)
{
    int64_t end_ms = clock_mono_ms(w->clock) + ms;
    struct error err;
    int quiet_turns = 0; /* deferred calls and releases need a few */
    for (int i = 0; i < 20000 && quiet_turns < 4; i++) {
        error_clear(&err);
        quiet_turns = world_is_quiet(w, end_ms) ? quiet_turns + 1 : 0;
        CHECK_INT(turn_run(w->turn, quiet_turns == 0, NULL, &err), 0);
    }
    CHECK(quiet_turns == 4);
    int64_t left_ms = end_ms - clock_mono_ms(w->clock);
    if (left_ms > 0) {
        clock_advance(w->clock, left_ms);
    }
}

static inline uint64_t world_accept(struct world_client *c, const struct event_new *event)
{
    struct accept_result result;
    struct error err;
    error_clear(&err);
    memset(&result, 0, sizeof(result));
    CHECK_INT(work_accept(c->work, event, &result, &err), 0);
    uint64_t job_id = result.job_id;
    accept_result_free(&result);
    return job_id;
}

static inline uint64_t world_event(struct world_client *c, const char *key, const char *payload)
{
    static int number;
    char id[32];
    number++;
    snprintf(id, sizeof(id), "e%d", number);
    struct event_new event = {.source = "test",
                              .id = id,
                              .key = key,
                              .name = "placed",
                              .flow = "main",
                              .payload = bytes_str(payload)};
    return world_accept(c, &event);
}

static inline void world_overtake(struct world_client *c, const char *key, const char *name,
                                  const char *payload)
{
    static int number;
    char id[32];
    number++;
    snprintf(id, sizeof(id), "o%d", number);
    struct event_new event = {.source = "test",
                              .id = id,
                              .key = key,
                              .name = name,
                              .flow = "main",
                              .payload = bytes_str(payload),
                              .class = EVENT_OVERTAKING};
    world_accept(c, &event);
}

/* ---- Looking -----------------------------------------------------------------------------------
 */

static inline const char *world_state(struct world_client *c, uint64_t id)
{
    struct job_info info;
    if (job_load(c->work, id, &info) != 0) {
        return "none";
    }
    enum job_state state = job_find_live(c->work, id) != NULL ? JOB_RUNNING : info.state;
    if (getenv("VERBOSE") != NULL) {
        printf("# job %d: %s (%s) %s\n", (int)id, job_state_name(state), info.reason,
               info.last_error);
    }
    job_info_free(&info);
    return job_state_name(state);
}

/* The JSON text behind (table "out", key), or "absent". */
static inline const char *world_value(struct world_client *c, const char *key)
{
    static char text[2048];
    struct bytes json;
    if (script_table_get(c->work, bytes_str("out"), bytes_str(key), &json) != 0) {
        return "absent";
    }
    snprintf(text, sizeof(text), "%.*s", (int)json.size, json.data);
    return text;
}

static int world_find_line(void *arg, const struct timeline_entry *entry)
{
    const char *wanted = arg;
    if (getenv("VERBOSE") != NULL) {
        printf("# %s: %s %s\n", entry->kind, entry->text,
               entry->data_json == NULL ? "" : entry->data_json);
    }
    return strstr(entry->text, wanted) != NULL ||
                   (entry->data_json != NULL && strstr(entry->data_json, wanted) != NULL)
               ? 1
               : 0;
}

static inline bool world_has_line(struct world_client *c, const char *key, const char *wanted)
{
    return timeline_each(c->work, key, false, world_find_line, (void *)wanted) == 1;
}

static int world_collect_exception(void *arg, const struct exception *e)
{
    struct buf *out = arg;
    buf_addf(out, "%s/%s: %s; ", e->cause, e->subject, e->message);
    return 0;
}

/* All open exceptions as text. */
static inline const char *world_exceptions(struct world_client *c)
{
    static char text[4096];
    struct buf out;
    buf_init(&out, sizeof(text) - 1);
    exception_each(c->work, NULL, world_collect_exception, &out);
    snprintf(text, sizeof(text), "%s", buf_text(&out));
    buf_free(&out);
    return text;
}

#define CHECK_STATE(c, id, state) CHECK_STR(world_state(c, id), state)

#endif
