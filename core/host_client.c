/*
 * One client of a host: its store, its work, its runner, its connections, and what a reload changes
 * of them.
 *
 * A connection whose declaration changed is replaced. The old one goes to the retired list until
 * the reload after the next: runs of the old generation may know it, with nothing queued on it yet
 * (a later call of http.all, an answer that no slice has taken), and the next reload unwinds them.
 */
#define _GNU_SOURCE
#include "core/host_private.h"

#include <stdlib.h>
#include <string.h>

#include "core/api/api_modules.h"
#include "core/base/log.h"
#include "core/base/xalloc.h"
#include "core/work/erasure.h"
#include "core/work/inbox.h"
#include "core/work/job.h"

/* ---- Secrets and variables of manifests
 * ---------------------------------------------------------- */

static int find_secret(void *arg, const char *name, struct buf *out)
{
    struct host_client *client = arg;
    struct error err = {0};
    const char *text = secrets_get(client->host->secrets, name, &err);
    return text == NULL ? err.code : buf_add_str(out, text);
}

/* --set NAME=VALUE (the last one counts), then NEAP_NAME in the environment. */
static int find_variable(void *arg, const char *name, struct buf *out)
{
    struct host *host = ((struct host_client *)arg)->host;
    size_t size = strlen(name);
    for (size_t i = host->variable_count; i-- > 0;) {
        const char *text = host->variables[i];
        if (strncmp(text, name, size) == 0 && text[size] == '=') {
            return buf_add_str(out, text + size + 1);
        }
    }
    char *upper = xasprintf("NEAP_%s", name);
    const char *value = getenv(upper);
    free(upper);
    return value == NULL ? ERROR_NOT_FOUND : buf_add_str(out, value);
}

static void fill_generation_options(struct host_client *client, struct generation_options *options)
{
    struct host *host = client->host;
    memset(options, 0, sizeof(*options));
    options->clock = host->clock;
    options->client_folder = client->folder;
    options->scripts_folder = host->scripts_root;
    options->hooks = api_hooks();
    options->watchdog = host->watchdog;
    options->random_seed = random_next(&host->random);
    options->find_secret = find_secret;
    options->find_variable = find_variable;
    options->arg = client;
}

/* ---- Connections
 * ----------------------------------------------------------------------------------- */

static void on_breaker(void *arg, struct connection *c, enum breaker_state state)
{
    struct host_client *client = arg;
    const char *name = connection_options(c)->name;
    static const char *const NAMES[] = {"up", "down", "being probed"};
    log_msg(state == BREAKER_OPEN ? LOG_WARN : LOG_INFO, client->name, "connection %s is %s%s%s",
            name, NAMES[state], state == BREAKER_OPEN ? ": " : "",
            state == BREAKER_OPEN ? connection_last_error(c) : "");
    if (state == BREAKER_OPEN || client->work == NULL) {
        return;
    }
    if (work_connection_up(client->work, name, state == BREAKER_HALF_OPEN) != 0) {
        log_msg(LOG_WARN, client->name, "the jobs parked on %s could not be released", name);
    }
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_headers(const struct http_headers *a, const struct http_headers *b)
{
    bool is_same = a->count == b->count;
    for (size_t i = 0; is_same && i < a->count; i++) {
        is_same = same_text(a->list[i].name, b->list[i].name) &&
                  same_text(a->list[i].value, b->list[i].value);
    }
    return is_same;
}

/* Options as declared; those of a connection have defaults filled in, so both sides come from
 * manifests. */
static bool same_options(const struct connection_options *a, const struct connection_options *b)
{
    const struct transport_policy *p = &a->policy;
    const struct transport_policy *q = &b->policy;
    return same_text(a->base_url, b->base_url) && same_headers(&a->headers, &b->headers) &&
           same_text(a->basic_user, b->basic_user) &&
           same_text(a->basic_password, b->basic_password) && same_text(p->ca_file, q->ca_file) &&
           same_text(p->pinned_key, q->pinned_key) &&
           same_text(p->pinned_cert_file, q->pinned_cert_file) &&
           p->connect_timeout_ms == q->connect_timeout_ms &&
           p->max_answer_bytes == q->max_answer_bytes && a->timeout_ms == b->timeout_ms &&
           a->max_concurrent == b->max_concurrent && !(a->rate_per_s < b->rate_per_s) &&
           !(a->rate_per_s > b->rate_per_s) && a->rate_burst == b->rate_burst &&
           a->breaker_failures == b->breaker_failures && a->breaker_cool_ms == b->breaker_cool_ms &&
           a->settle_ms == b->settle_ms && p->is_plain == q->is_plain &&
           same_text(a->signature.key, b->signature.key) &&
           same_text(a->signature.header, b->signature.header) &&
           same_text(a->signature.timestamp_header, b->signature.timestamp_header);
}

static const struct connection_options *find_declared(const struct manifest *m, const char *name)
{
    for (size_t i = 0; m != NULL && i < m->connection_count; i++) {
        if (strcmp(m->connections[i].name, name) == 0) {
            return &m->connections[i];
        }
    }
    return NULL;
}

static void retire(struct host_client *client, struct connection *c)
{
    client->retired =
        xrealloc(client->retired, (client->retired_count + 1) * sizeof(struct connection *));
    client->retired[client->retired_count++] = c;
}

/* The first `count`: no run knows them any more. */
static void free_retired(struct host_client *client, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        connection_free(client->retired[i]);
    }
    client->retired_count -= count;
    if (client->retired_count == 0) {
        return;
    }
    memmove(client->retired, client->retired + count,
            client->retired_count * sizeof(struct connection *));
}

/* Takes over from the connections of `old` (NULL at the start) what `next` declares alike. */
static void set_connections(struct host_client *client, const struct manifest *old,
                            const struct manifest *next)
{
    struct connection **connections =
        xcalloc(next->connection_count + 1, sizeof(struct connection *));
    for (size_t i = 0; i < next->connection_count; i++) {
        const struct connection_options *wanted = &next->connections[i];
        const struct connection_options *had = find_declared(old, wanted->name);
        for (size_t o = 0; had != NULL && o < client->connection_count; o++) {
            if (client->connections[o] != NULL && same_options(had, wanted) &&
                strcmp(connection_options(client->connections[o])->name, wanted->name) == 0) {
                connections[i] = client->connections[o];
                client->connections[o] = NULL;
            }
        }
        if (connections[i] == NULL) {
            struct connection_options options = *wanted;
            options.policy.file_folder = client->host->data_folder;
            connections[i] = connection_new(client->host->loop, client->host->transport, &options,
                                            on_breaker, client);
        }
    }
    for (size_t o = 0; o < client->connection_count; o++) {
        if (client->connections[o] != NULL) {
            retire(client, client->connections[o]);
        }
    }
    free(client->connections);
    client->connections = connections;
    client->connection_count = next->connection_count;
}

/* Jobs that an earlier process, or an earlier declaration of a connection, left parked wait for a
 * breaker that nobody will ever see close: let the connections prove themselves. */
static void suspect_connections(struct host_client *client)
{
    for (size_t i = 0; i < client->connection_count; i++) {
        const char *name = connection_options(client->connections[i])->name;
        if (work_parked_count(client->work, name) > 0) {
            connection_suspect(client->connections[i]);
        }
    }
}

struct connection *host_client_connection(struct host_client *client, const char *name)
{
    for (size_t i = 0; i < client->connection_count; i++) {
        if (strcmp(connection_options(client->connections[i])->name, name) == 0) {
            return client->connections[i];
        }
    }
    return NULL;
}

static struct connection *find_connection(void *arg, const char *name)
{
    return host_client_connection(arg, name);
}

/* ---- Reload
 * ------------------------------------------------------------------------------------------ */

static int load_aside(void *arg, struct generation **generation_out, struct error *err)
{
    struct host_client *client = arg;
    struct generation_options options;
    fill_generation_options(client, &options);
    int rc = generation_load(generation_out, &options, err);
    if (rc == 0 && strcmp(generation_manifest(*generation_out)->name, client->name) != 0) {
        rc = error_set(err, ERROR_INVALID,
                       "client.lua now says name = \"%s\": a running client keeps its name (%s)",
                       generation_manifest(*generation_out)->name, client->name);
        generation_free(*generation_out);
        *generation_out = NULL;
    }
    return rc;
}

/* New scripts may have mended what made a route rest. */
static void forget_rests(struct host_client *client, const struct manifest *next)
{
    free(client->rests_until_ms);
    client->rests_until_ms = xcalloc(next->route_count + 1, sizeof(*client->rests_until_ms));
}

/* Loaded and good: swap. The connections change with the scripts that declare them. */
static int on_loaded(void *arg, struct generation *next, struct error *err)
{
    struct host_client *client = arg;
    size_t retired_before = client->retired_count;
    int rc = runner_announce(client->runner, next, err);
    if (rc != 0) {
        return rc;
    }
    set_connections(client, generation_manifest(runner_generation(client->runner)),
                    generation_manifest(next));
    runner_install(client->runner, next);
    free_retired(client, retired_before); /* whoever knew them was unwound by the swap */
    forget_rests(client, generation_manifest(next));
    suspect_connections(client);
    free(client->load_error);
    client->load_error = NULL;
    client->loaded_ms = clock_wall_ms(client->host->clock);
    client->reloads++;
    log_msg(LOG_INFO, client->name, "new scripts serve (generation %016llx)",
            (unsigned long long)work_generation(client->work));
    return 0;
}

static void on_load_failed(void *arg, const struct error *err)
{
    struct host_client *client = arg;
    free(client->load_error);
    client->load_error = xstrdup(err->message);
    client->reloads_failed++;
    log_msg(LOG_ERROR, client->name, "the new scripts do not serve, the old ones go on: %s",
            err->message);
}

/* ---- Opening and closing
 * ------------------------------------------------------------------------------- */

static void on_answer(void *arg, uint64_t event_seq, const struct event_answer *answer)
{
    host_on_job_answer(arg, event_seq, answer);
}

static void on_exception(void *arg, const struct exception *e, bool is_first)
{
    struct host_client *client = arg;
    log_msg(LOG_WARN, client->name, "%s%s %s: %s (owner %s)", is_first ? "new problem: " : "",
            e->cause, e->subject, e->message, e->owner[0] == '\0' ? "nobody" : e->owner);
}

static void on_timeline(void *arg, const char *key, const struct timeline_entry *entry)
{
    struct host_client *client = arg;
    if (client->host->on_timeline != NULL) {
        client->host->on_timeline(client->host->timeline_arg, client, key, entry);
    }
}

static void on_full(void *arg, bool is_full)
{
    struct host_client *client = arg;
    log_msg(is_full ? LOG_ERROR : LOG_INFO, client->name, "%s",
            is_full ? "no space left for its data: requests get 503, nothing runs"
                    : "there is space again");
}

static int open_store(struct host_client *client, struct error *err)
{
    char *path = xasprintf("%s/%s", client->host->data_folder, client->name);
    struct store_options options = {.path = path, .is_volatile = client->host->is_virtual};
    int rc = store_open(&client->store, &options, err);
    free(path);
    return rc;
}

/* Beside the store's folder, so that restoring the folder does not bring back what was erased. */
static int attach_erasures(struct host_client *client, struct error *err)
{
    char *path = xasprintf("%s/%s.erasures", client->host->data_folder, client->name);
    int rc = erasure_attach(client->work, path, err);
    free(path);
    return rc;
}

static int open_work(struct host_client *client, struct error *err)
{
    struct host *host = client->host;
    struct work_options options = {
        .client = client->name,
        .store = client->store,
        .clock = host->clock,
        .loop = host->loop,
        .random = &host->random,
        .crash_file = host->crash_file,
        .listener =
            {
                .arg = client,
                .on_answer = on_answer,
                .on_exception = on_exception,
                .on_timeline = on_timeline,
                .on_full = on_full,
            },
    };
    runner_fill_options(client->runner, &options);
    int rc = work_open(&client->work, &options, err);
    rc = rc != 0 ? rc : attach_erasures(client, err);
    rc = rc != 0 ? rc : runner_attach(client->runner, client->work, err);
    if (rc == 0) {
        turn_add(host->turn, client->work);
    }
    return rc;
}

static int start_client(struct host_client *client, struct generation *generation,
                        struct error *err)
{
    const struct manifest *manifest = generation_manifest(generation);
    struct host *host = client->host;
    client->name = xstrdup(manifest->name);
    set_connections(client, NULL, manifest);
    forget_rests(client, manifest);
    struct runner_options options = {client->name, find_connection, client};
    client->runner = runner_new(&options, generation);
    if (host_find_client(host, client->name, strlen(client->name)) != NULL) {
        return error_set(err, ERROR_EXISTS, "two client folders have the name %s", client->name);
    }
    int rc = open_store(client, err);
    rc = rc != 0 ? rc : open_work(client, err);
    if (rc != 0) {
        return rc;
    }
    suspect_connections(client);
    client->loaded_ms = clock_wall_ms(host->clock);
    struct reload_options reload = {
        .loop = host->loop,
        .client_folder = client->folder,
        .scripts_folder = host->scripts_root,
        .runner = client->runner,
        .load = load_aside,
        .on_loaded = on_loaded,
        .on_failed = on_load_failed,
        .arg = client,
    };
    client->reload = reload_new(&reload);
    return 0;
}

int host_client_open(struct host *host, const char *folder, struct host_client **client_out,
                     struct error *err)
{
    struct host_client *client = xcalloc(1, sizeof(*client));
    client->host = host;
    client->folder = xstrdup(folder);
    struct generation_options options;
    fill_generation_options(client, &options);
    struct generation *generation = NULL;
    int rc = generation_load(&generation, &options, err);
    if (rc != 0) {
        rc = err->code = ERROR_SCRIPT;
    }
    rc = rc != 0 ? rc : start_client(client, generation, err);
    if (rc != 0) {
        error_wrap(err, "client %s", folder);
        host_client_close(client);
        return rc;
    }
    *client_out = client;
    return 0;
}

void host_client_let_go(struct host_client *client)
{
    for (size_t i = 0; i < client->connection_count; i++) {
        connection_stop(client->connections[i]);
    }
    for (size_t i = 0; i < client->retired_count; i++) {
        connection_stop(client->retired[i]);
    }
    work_let_go(client->work);
}

void host_client_close(struct host_client *client)
{
    if (client == NULL) {
        return;
    }
    reload_free(client->reload);
    host_pending_close(client);
    if (client->work != NULL) {
        turn_remove(client->host->turn, client->work);
        work_close(client->work);
        client->work = NULL;
    }
    runner_free(client->runner);
    for (size_t i = 0; i < client->connection_count; i++) {
        connection_free(client->connections[i]);
    }
    for (size_t i = 0; i < client->retired_count; i++) {
        connection_free(client->retired[i]);
    }
    free(client->connections);
    free(client->retired);
    free(client->rests_until_ms);
    store_close(client->store);
    free(client->load_error);
    free(client->name);
    free(client->folder);
    free(client);
}

struct host_client *host_find_client(struct host *host, const char *name, size_t name_size)
{
    for (size_t i = 0; i < host->client_count; i++) {
        const char *candidate = host->clients[i]->name;
        if (strlen(candidate) == name_size && memcmp(candidate, name, name_size) == 0) {
            return host->clients[i];
        }
    }
    return NULL;
}
