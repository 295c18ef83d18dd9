/*
 * Life of a host: everything is opened in host_open, in the order of the rooms, and freed in
 * host_close in reverse. host_run is turns until the drain is over.
 */
#define _GNU_SOURCE
#include "core/host_private.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "core/base/descriptors.h"
#include "core/base/folder.h"
#include "core/base/log.h"
#include "core/base/xalloc.h"
#include "core/host_world.h"
#include "core/work/job.h"

#define HOST_DRAIN_MS 10000
/* Callers get half of the file descriptors: however many come, what flows send, stores, reloads and
 * the verbs' socket have the rest. */
#define HOST_CALLERS_SHARE    2
#define HOST_CALLERS_MAX      4096
#define HOST_VIRTUAL_START_MS 1777888800000 /* 2026-05-04T10:00:00Z */

/* ---- Signals ----------------------------------------------------------------------------------
 */

static void on_stop_signal(evutil_socket_t number, short what, void *arg)
{
    (void)number;
    (void)what;
    struct host *host = arg;
    host_stop(host);
    loop_wake(host->loop);
}

static void on_reload_signal(evutil_socket_t number, short what, void *arg)
{
    (void)number;
    (void)what;
    struct host *host = arg;
    host_reload(host);
    loop_wake(host->loop);
}

static void watch_signals(struct host *host)
{
    struct event_base *base = loop_event_base(host->loop);
    if (base == NULL) {
        return;
    }
    signal(SIGPIPE, SIG_IGN);
    host->signals[0] = evsignal_new(base, SIGTERM, on_stop_signal, host);
    host->signals[1] = evsignal_new(base, SIGINT, on_stop_signal, host);
    host->signals[2] = evsignal_new(base, SIGHUP, on_reload_signal, host);
    for (size_t i = 0; i < 3; i++) {
        event_add(host->signals[i], NULL);
    }
}

/* ---- Questions of people ------------------------------------------------------------------------
 */

static bool has_flow(void *arg, const char *name)
{
    struct host_client *client = arg;
    const struct manifest *m = generation_manifest(runner_generation(client->runner));
    return manifest_find_flow(m, name) != NULL;
}

static const char *flow_at(void *arg, size_t i)
{
    struct host_client *client = arg;
    const struct manifest *m = generation_manifest(runner_generation(client->runner));
    return i < m->flow_count ? m->flows[i].name : NULL;
}

static const char *reload_scripts(void *arg)
{
    struct host_client *client = arg;
    return reload_now(client->reload) == 0 ? NULL : client->load_error;
}

struct ops_view host_view(struct host *host)
{
    struct ops_client *clients = xcalloc(host->client_count, sizeof(*clients));
    for (size_t i = 0; i < host->client_count; i++) {
        struct host_client *client = host->clients[i];
        clients[i] = (struct ops_client){
            .name = client->name,
            .work = client->work,
            .generation = work_generation(client->work),
            .loaded_ms = client->loaded_ms,
            .reload_us = client->reload == NULL ? 0 : reload_took_us(client->reload),
            .load_error = client->load_error,
            .reloads = client->reloads,
            .reloads_failed = client->reloads_failed,
            .generations = runner_generation_count(client->runner),
            .script_bytes = runner_memory_used(client->runner),
            .reload = reload_scripts,
            .answers = client->answers,
            .answers_size = HTTP_STATUS_MAX,
            .has_flow = has_flow,
            .flow_at = flow_at,
            .arg = client,
            .connections = client->connections,
            .connection_count = client->connection_count,
        };
    }
    return (struct ops_view){
        .clients = clients,
        .count = host->client_count,
        .absent = host->absent,
        .absent_count = host->absent_count,
        .refused = http_server_refusals(host->server),
        .refused_size = HTTP_STATUS_MAX,
        .accept_failures =
            http_server_accept_failures(host->server) + control_accept_failures(host->control),
        .is_live = true,
        .is_draining = host->is_draining,
        .started_ms = host->started_ms,
        .now_ms = clock_wall_ms(host->clock),
    };
}

static int answer_question(void *arg, const struct admin_request *request, struct buf *out)
{
    struct host *host = arg;
    struct ops_view view = host_view(host);
    int code = admin_run(&view, request, out);
    free((void *)view.clients);
    return code;
}

/* The answer to an act leaves when every client's state is durable. */
struct question_hold {
    struct control_ticket *ticket;
    size_t left;
    bool is_lost; /* a client's turn was dropped */
};

static void on_durable(void *arg, bool is_durable)
{
    struct question_hold *hold = arg;
    hold->is_lost |= !is_durable;
    if (--hold->left == 0) {
        control_release(hold->ticket, !hold->is_lost);
        free(hold);
    }
}

static void hold_answer(void *arg, struct control_ticket *ticket)
{
    struct host *host = arg;
    struct question_hold *hold = xcalloc(1, sizeof(*hold));
    hold->ticket = ticket;
    hold->left = host->client_count + 1;
    for (size_t i = 0; i < host->client_count; i++) {
        turn_release(host->clients[i]->work, on_durable, hold);
    }
    on_durable(hold, true);
}

/* ---- Opening
 * ------------------------------------------------------------------------------------- */

static void copy_variables(struct host *host, const char *const *variables)
{
    host->variables = xcalloc(1, sizeof(char *));
    for (size_t i = 0; variables != NULL && variables[i] != NULL; i++) {
        host->variables = xrealloc(host->variables, (i + 2) * sizeof(char *));
        host->variables[i] = xstrdup(variables[i]);
        host->variable_count = i + 1;
    }
}

static int open_data_folder(struct host *host, struct error *err)
{
    int sys_errno = folder_make(host->data_folder);
    if (sys_errno == 0 && access(host->data_folder, W_OK) != 0) {
        sys_errno = errno;
    }
    if (sys_errno != 0) {
        return error_set_errno(err, ERROR_IO, sys_errno,
                               "the data folder %s cannot be made or written", host->data_folder);
    }
    host->lock = lock_file_open(host->data_folder, err);
    if (host->lock == NULL) {
        return err->code;
    }
    char *path = xasprintf("%s/running.job", host->data_folder);
    int rc = crash_file_open(&host->crash_file, path, err);
    free(path);
    if (rc == 0) {
        crash_file_watch(host->crash_file);
    }
    return rc;
}

static int open_loop(struct host *host, const struct host_options *options, struct error *err)
{
    int64_t start =
        options->virtual_start_ms != 0 ? options->virtual_start_ms : HOST_VIRTUAL_START_MS;
    if (host->world != NULL) {
        host->clock = clock_new_beside(loop_clock(host->world->loop));
        host->loop = host->world->loop;
    } else {
        host->clock = host->is_virtual ? clock_new_virtual(start) : clock_new_system();
        host->loop = loop_new(host->clock);
    }
    if (host->loop == NULL) {
        return error_set(err, ERROR_IO, "the event loop cannot start");
    }
    if (options->seed != 0 || host->is_virtual) {
        random_init(&host->random, options->seed != 0 ? options->seed : 1);
    } else {
        random_init_system(&host->random);
    }
    host->started_ms = clock_wall_ms(host->clock);
    host->turn = turn_new(host->loop);
    host->secrets = secrets_new(options->secrets_folder);
    host->watchdog = watchdog_new(0, NULL, NULL);
    struct http_server_options server = {.body_limit = host_body_limit,
                                         .max_body_bytes = (size_t)MANIFEST_BODY_BYTES_MAX};
    if (!host->is_virtual) {
        uint64_t share = descriptors_raise() / HOST_CALLERS_SHARE;
        server.max_connections = share < HOST_CALLERS_MAX ? (unsigned)share + 1 : HOST_CALLERS_MAX;
    }
    host->server = http_server_new(host->loop, &server, host_on_request, host);
    if (host->world != NULL) {
        host->transport = transport_loopback_join(host->loop, host->world->network);
    } else {
        host->transport = host->is_virtual ? transport_loopback_new(host->loop, host->server)
                                           : transport_curl_new(host->loop);
    }
    return host->transport != NULL ? 0 : error_set(err, ERROR_IO, "the HTTP client cannot start");
}

static int open_listeners(struct host *host, const struct host_options *options, struct error *err)
{
    if (host->world != NULL) {
        loopback_network_set(host->world->network, host->world_name, host->server);
    }
    if (host->is_virtual) {
        return 0;
    }
    int rc = 0;
    for (size_t i = 0; rc == 0 && options->listen != NULL && options->listen[i] != NULL; i++) {
        rc = http_server_listen(host->server, options->listen[i], options->tls_cert_file,
                                options->tls_key_file, err);
    }
    if (rc == 0) {
        char *path = xasprintf("%s/neap.sock", host->data_folder);
        struct control_owner owner = {answer_question, hold_answer, host};
        rc = control_listen(&host->control, host->loop, path, &owner, err);
        free(path);
    }
    return rc;
}

/* One client's broken scripts do not keep the others from serving; when nobody is left, they do. */
static int open_clients(struct host *host, const char *const *folders, struct error *err)
{
    for (size_t i = 0; folders[i] != NULL; i++) {
        struct host_client *client = NULL;
        int rc = host_client_open(host, folders[i], &client, err);
        if (rc == ERROR_SCRIPT && (i > 0 || folders[1] != NULL)) {
            host_absent_add(host, folders[i], err);
            continue;
        }
        if (rc != 0) {
            return rc;
        }
        host_add_client(host, client);
    }
    if (host->client_count == 0) {
        return err->code;
    }
    error_clear(err);
    return 0;
}

int host_open(struct host **host_out, const struct host_options *options, struct error *err)
{
    struct host *host = xcalloc(1, sizeof(*host));
    host->data_folder = xstrdup(options->data_folder);
    host->scripts_root = xstrdup(options->scripts_root);
    host->drain_ms = options->drain_ms != 0 ? options->drain_ms : HOST_DRAIN_MS;
    host->is_virtual = options->is_virtual;
    host->world = options->world;
    host->world_name = options->world_name == NULL ? NULL : xstrdup(options->world_name);
    copy_variables(host, options->variables);
    *host_out = NULL;
    int rc = open_data_folder(host, err);
    rc = rc != 0 ? rc : open_loop(host, options, err);
    rc = rc != 0 ? rc : open_clients(host, options->client_folders, err);
    rc = rc != 0 ? rc : open_listeners(host, options, err);
    if (rc != 0) {
        host_close(host);
        return rc;
    }
    watch_signals(host);
    log_msg(LOG_INFO, "host", "serving %zu client%s on port %u in %lld ms", host->client_count,
            host->client_count == 1 ? "" : "s", host_port(host),
            (long long)(clock_wall_ms(host->clock) - host->started_ms));
    *host_out = host;
    return 0;
}

void host_close(struct host *host)
{
    if (host == NULL) {
        return;
    }
    for (size_t i = 0; i < 3; i++) {
        if (host->signals[i] != NULL) {
            event_free(host->signals[i]);
        }
    }
    host_absent_close(host);
    for (size_t i = 0; i < host->client_count; i++) {
        host_client_close(host->clients[i]); /* tells the questions that wait for its commit */
    }
    control_close(host->control);
    free(host->clients);
    if (host->transport != NULL) {
        host->transport->ops->free(host->transport);
    }
    if (host->world != NULL && host->world_name != NULL) {
        loopback_network_set(host->world->network, host->world_name, NULL);
    }
    http_server_free(host->server);
    watchdog_free(host->watchdog);
    secrets_free(host->secrets);
    turn_free(host->turn);
    loop_timer_free(host->drain_timer);
    if (host->loop != NULL && host->world == NULL) {
        loop_free(host->loop);
    }
    clock_free(host->clock);
    crash_file_close(host->crash_file);
    lock_file_close(host->lock);
    for (size_t i = 0; i < host->variable_count; i++) {
        free(host->variables[i]);
    }
    free(host->variables);
    free(host->scripts_root);
    free(host->world_name);
    free(host->data_folder);
    free(host);
}

void host_kill(struct host *host)
{
    http_server_hang_up(host->server);
    host_close(host);
}

/* ---- Running
 * ------------------------------------------------------------------------------------- */

/* Nothing under way any more: what is left is durable and goes on at the next start. */
static bool is_drained(const struct host *host)
{
    if (http_server_open_exchanges(host->server) > 0) {
        return false;
    }
    for (size_t i = 0; i < host->client_count; i++) {
        if (work_live_count(host->clients[i]->work) > 0) {
            return false;
        }
    }
    return true;
}

/*
 * The end of a drain, or of the patience with it. The calls of what is let go are off their
 * connections before the ledger says that they never left, and nothing is sent afterwards: killed
 * before that commit, they are in doubt as after any kill.
 */
static void let_go(struct host *host)
{
    for (size_t i = 0; i < host->client_count; i++) {
        host_client_let_go(host->clients[i]);
    }
    if (turn_end(host->turn, &host->fatal) != 0) {
        log_msg(LOG_ERROR, "host", "what was under way could not be kept: %s", host->fatal.message);
    }
}

bool host_turn(struct host *host, bool may_wait)
{
    bool is_idle = false;
    int rc = turn_run(host->turn, may_wait, &is_idle, &host->fatal);
    if (rc != 0) {
        log_msg(LOG_ERROR, "host", "stopping, because state could not be kept safe: %s",
                host->fatal.message);
        host->has_stopped = true;
    } else if (host->is_draining && is_drained(host)) {
        host->has_stopped = true;
    }
    if (host->has_stopped && host->fatal.code == 0) {
        let_go(host);
    }
    return !host->has_stopped && !is_idle;
}

int host_run(struct host *host, struct error *err)
{
    while (host_turn(host, true)) {
    }
    log_msg(LOG_INFO, "host", "stopped");
    if (host->fatal.code != 0 && err != NULL) {
        *err = host->fatal;
    }
    return host->fatal.code;
}

static void on_drain_over(void *arg)
{
    struct host *host = arg;
    log_msg(LOG_WARN, "host",
            "some work is still under way after %lld ms: it goes on at the next "
            "start",
            (long long)host->drain_ms);
    host->has_stopped = true;
}

void host_stop(struct host *host)
{
    if (host->is_draining) {
        host->has_stopped = true;
        return;
    }
    log_msg(LOG_INFO, "host", "draining");
    host->is_draining = true;
    http_server_stop_accepting(host->server);
    for (size_t i = 0; i < host->client_count; i++) {
        work_drain(host->clients[i]->work);
    }
    host->drain_timer = loop_timer_new(host->loop, on_drain_over, host);
    loop_timer_start(host->drain_timer, host->drain_ms);
}

void host_stop_async(struct host *host)
{
    (void)host;
    raise(SIGTERM);
}

void host_reload(struct host *host)
{
    for (size_t i = 0; i < host->client_count; i++) {
        reload_now(host->clients[i]->reload);
    }
    host_absent_look(host, true);
}

unsigned host_port(const struct host *host)
{
    return http_server_port(host->server);
}
