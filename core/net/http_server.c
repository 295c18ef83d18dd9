/*
 * Exchanges: waiting for the handler (list `ready`); with the handler, or answered and held back by
 * a delay (`late`): list `open`.
 *
 * The handler runs only in our deferred call, so it may do anything, answering at once included; an
 * answer is written to the sink within http_exchange_answer.
 */
#include "core/net/http_exchange.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "core/base/xalloc.h"
#include "core/net/http_fields.h"

#define HEADER_BYTES_DEFAULT ((size_t)32 << 10)
#define BODY_BYTES_DEFAULT   ((size_t)8 << 20)
#define IDLE_DEFAULT_MS      60000
#define CONNECTIONS_DEFAULT  4096
#define READING_BYTES_DEFAULT                                                                      \
    ((size_t)128 << 20) /* a caller with a password may hold back the end of his body too */

/* An answer that is held back, copied. */
struct late_reply {
    enum http_reply_kind kind;
    int status;
    struct http_headers headers;
    char *body;
    size_t body_size;
    struct loop_timer *timer;
};

struct http_exchange {
    TAILQ_ENTRY(http_exchange) entry;
    struct http_server *server;
    struct http_incoming in;
    bool is_ready; /* on the list of that name */
    int64_t started_ms;
    http_sink_fn on_reply; /* NULL: the sink is gone */
    void *sink;
    struct late_reply *late;
};

TAILQ_HEAD(http_exchange_list, http_exchange);

struct http_server {
    struct loop *loop;
    struct http_server_options options;
    http_handler_fn handler;
    void *arg;
    struct http_exchange_list ready;
    struct http_exchange_list open;
    size_t exchange_count; /* of both lists */
    bool is_dispatch_due;
    bool has_stopped;
    struct http_listeners *listeners; /* NULL until the first listen */
    uint64_t refused[HTTP_STATUS_MAX];
};

/* ---- exchanges ---- */

void http_incoming_free(struct http_incoming *in)
{
    free(in->method);
    free(in->path);
    free(in->query);
    free(in->peer);
    http_headers_free(&in->headers);
    buf_free(&in->body);
    memset(in, 0, sizeof(*in));
}

static void late_free(struct late_reply *late)
{
    if (late != NULL) {
        loop_timer_free(late->timer);
        http_headers_free(&late->headers);
        free(late->body);
        free(late);
    }
}

static void exchange_free(struct http_exchange *x)
{
    TAILQ_REMOVE(x->is_ready ? &x->server->ready : &x->server->open, x, entry);
    x->server->exchange_count--;
    late_free(x->late);
    http_incoming_free(&x->in);
    free(x);
}

static void server_on_dispatch(void *arg)
{
    struct http_server *server = arg;
    server->is_dispatch_due = false;
    struct http_exchange *x;
    while ((x = TAILQ_FIRST(&server->ready)) != NULL) {
        TAILQ_REMOVE(&server->ready, x, entry);
        TAILQ_INSERT_TAIL(&server->open, x, entry);
        x->is_ready = false;
        server->handler(server->arg, x);
    }
}

struct http_exchange *http_exchange_open(struct http_server *server, struct http_incoming *in,
                                         http_sink_fn on_reply, void *sink)
{
    struct http_exchange *x = xcalloc(1, sizeof(*x));
    x->server = server;
    x->in = *in;
    memset(in, 0, sizeof(*in));
    x->is_ready = true;
    x->started_ms = clock_mono_ms(loop_clock(server->loop));
    x->on_reply = on_reply;
    x->sink = sink;
    TAILQ_INSERT_TAIL(&server->ready, x, entry);
    server->exchange_count++;
    if (!server->is_dispatch_due) {
        server->is_dispatch_due = true;
        loop_defer(server->loop, server_on_dispatch, server);
    }
    return x;
}

/* Nobody waits any more. One the handler has not seen is still shown: it may have effects, as on
 * any server whose caller hung up. */
void http_exchange_detach(struct http_exchange *x)
{
    x->on_reply = NULL;
    x->sink = NULL;
}

/* ---- replies ---- */

static bool is_ours(const char *name)
{
    return strcasecmp(name, "Content-Length") == 0 || strcasecmp(name, "Transfer-Encoding") == 0 ||
           strcasecmp(name, "Connection") == 0 || strcasecmp(name, "Keep-Alive") == 0;
}

/* Headers as they go out: given ones without framing, then Content-Length and Date. */
static void compose_headers(struct http_exchange *x, const struct http_headers *given, int status,
                            size_t declared_size, struct http_headers *out)
{
    for (size_t i = 0; given != NULL && i < given->count; i++) {
        if (!is_ours(given->list[i].name)) {
            (void)!http_headers_add(out, given->list[i].name, given->list[i].value);
        }
    }
    if (status >= 200 && status != 204 && status != 304) {
        char *size = xasprintf("%zu", declared_size);
        (void)!http_headers_add(out, "Content-Length", size);
        free(size);
    }
    if (http_headers_get(out, "Date") == NULL) {
        char date[HTTP_DATE_SIZE];
        http_date_format(clock_wall_ms(loop_clock(x->server->loop)), date);
        (void)!http_headers_add(out, "Date", date);
    }
}

/* The last act of an exchange: tells the sink, if there still is one, and frees x. */
static void exchange_finish(struct http_exchange *x, enum http_reply_kind kind, int status,
                            const struct http_headers *given, struct bytes body)
{
    http_sink_fn on_reply = x->on_reply;
    void *sink = x->sink;
    if (on_reply == NULL) {
        exchange_free(x);
        return;
    }
    struct http_headers headers = {0};
    bool has_body =
        strcmp(x->in.method, "HEAD") != 0 && status >= 200 && status != 204 && status != 304;
    size_t declared_size = body.size;
    if (kind == HTTP_REPLY_TRUNCATE) {
        /* Half of what is declared; at least one byte must be missing. */
        declared_size = body.size > 0 ? body.size : 1;
        body.size /= 2;
    }
    compose_headers(x, given, status, declared_size, &headers);
    struct http_reply reply = {kind, status, &headers, has_body ? body : bytes_of("", 0)};
    x->on_reply = NULL;
    on_reply(sink, &reply);
    http_headers_free(&headers);
    exchange_free(x);
}

static void exchange_on_late(void *arg)
{
    struct http_exchange *x = arg;
    struct late_reply *late = x->late;
    x->late = NULL;
    exchange_finish(x, late->kind, late->status, &late->headers,
                    bytes_of(late->body, late->body_size));
    late_free(late);
}

static void exchange_reply(struct http_exchange *x, const struct http_reply *reply,
                           int64_t delay_ms)
{
    assert(x->late == NULL && !x->is_ready); /* answered once, by the handler */
    if (delay_ms <= 0) {
        exchange_finish(x, reply->kind, reply->status, reply->headers, reply->body);
        return;
    }
    struct late_reply *late = xcalloc(1, sizeof(*late));
    late->kind = reply->kind;
    late->status = reply->status;
    if (reply->headers != NULL) {
        http_headers_copy(&late->headers, reply->headers);
    }
    late->body = xmalloc(reply->body.size + 1);
    late->body_size = reply->body.size;
    if (reply->body.size > 0) {
        memcpy(late->body, reply->body.data, reply->body.size);
    }
    late->timer = loop_timer_new(x->server->loop, exchange_on_late, x);
    loop_timer_start(late->timer, delay_ms);
    x->late = late;
}

void http_exchange_answer(struct http_exchange *x, int status, const struct http_headers *headers,
                          struct bytes body)
{
    http_exchange_answer_late(x, status, headers, body, 0);
}

void http_exchange_answer_late(struct http_exchange *x, int status,
                               const struct http_headers *headers, struct bytes body,
                               int64_t delay_ms)
{
    struct http_reply reply = {HTTP_REPLY_WHOLE, status, headers, body};
    exchange_reply(x, &reply, delay_ms);
}

void http_exchange_abort(struct http_exchange *x, enum http_rudeness how, int status,
                         const struct http_headers *headers, struct bytes body, int64_t delay_ms)
{
    static const enum http_reply_kind kinds[] = {
        [HTTP_RUDE_RESET] = HTTP_REPLY_RESET,
        [HTTP_RUDE_CLOSE] = HTTP_REPLY_CLOSE,
        [HTTP_RUDE_TRUNCATE] = HTTP_REPLY_TRUNCATE,
    };
    struct http_reply reply = {kinds[how], status, headers, body};
    exchange_reply(x, &reply, delay_ms);
}

/* ---- views ---- */

const char *http_exchange_method(const struct http_exchange *x)
{
    return x->in.method;
}

const char *http_exchange_path(const struct http_exchange *x)
{
    return x->in.path;
}

const char *http_exchange_query(const struct http_exchange *x)
{
    return x->in.query;
}

const struct http_headers *http_exchange_headers(const struct http_exchange *x)
{
    return &x->in.headers;
}

struct bytes http_exchange_body(const struct http_exchange *x)
{
    return buf_bytes(&x->in.body);
}

const char *http_exchange_peer(const struct http_exchange *x)
{
    return x->in.peer;
}

int64_t http_exchange_started_ms(const struct http_exchange *x)
{
    return x->started_ms;
}

bool http_exchange_is_cut(const struct http_exchange *x)
{
    return x->in.is_cut;
}

size_t http_exchange_body_size(const struct http_exchange *x)
{
    return x->in.is_cut ? x->in.announced_bytes : x->in.body.size;
}

struct http_head http_exchange_head(const struct http_exchange *x)
{
    return (struct http_head){x->in.method, x->in.path, &x->in.headers};
}

bool http_head_has_basic(const struct http_head *head, const char *user, const char *password)
{
    /* With two such headers nobody can say which one a proxy before us checked. */
    return http_headers_count(head->headers, "Authorization") == 1 &&
           http_basic_matches(http_headers_get(head->headers, "Authorization"), user, password);
}

/* ---- the server ---- */

void net_ignore_broken_pipes(void)
{
    struct sigaction now;
    if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL) {
        now.sa_handler = SIG_IGN;
        sigaction(SIGPIPE, &now, NULL);
    }
}

const struct http_server_options *http_server_limits(const struct http_server *server)
{
    return &server->options;
}

int64_t http_server_body_limit(const struct http_server *server, const struct http_head *head)
{
    const struct http_server_options *o = &server->options;
    return o->body_limit != NULL ? o->body_limit(server->arg, head) : (int64_t)o->max_body_bytes;
}

struct loop *http_server_loop(const struct http_server *server)
{
    return server->loop;
}

void http_server_count_refusal(struct http_server *server, int status)
{
    if (status >= 0 && status < HTTP_STATUS_MAX) {
        server->refused[status]++;
    }
}

const uint64_t *http_server_refusals(const struct http_server *server)
{
    return server->refused;
}

bool http_server_is_accepting(const struct http_server *server)
{
    return !server->has_stopped;
}

struct http_server *http_server_new(struct loop *loop, const struct http_server_options *options,
                                    http_handler_fn handler, void *arg)
{
    static const struct http_server_options none = {0};
    const struct http_server_options *given = options == NULL ? &none : options;
    struct http_server *server = xcalloc(1, sizeof(*server));
    server->loop = loop;
    server->handler = handler;
    server->arg = arg;
    struct http_server_options *o = &server->options;
    o->body_limit = given->body_limit;
    o->max_header_bytes =
        given->max_header_bytes > 0 ? given->max_header_bytes : HEADER_BYTES_DEFAULT;
    o->max_body_bytes = given->max_body_bytes > 0 ? given->max_body_bytes : BODY_BYTES_DEFAULT;
    o->idle_timeout_ms = given->idle_timeout_ms > 0 ? given->idle_timeout_ms : IDLE_DEFAULT_MS;
    o->max_connections = given->max_connections > 0 ? given->max_connections : CONNECTIONS_DEFAULT;
    o->max_reading_bytes =
        given->max_reading_bytes > 0 ? given->max_reading_bytes : READING_BYTES_DEFAULT;
    TAILQ_INIT(&server->ready);
    TAILQ_INIT(&server->open);
    return server;
}

static void drop_all(struct http_exchange_list *list)
{
    struct http_exchange *x;
    while ((x = TAILQ_FIRST(list)) != NULL) {
        /* Takes itself off the list, which the analyzer cannot follow. */
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc)
        exchange_finish(x, HTTP_REPLY_DROPPED, 0, NULL, bytes_of("", 0));
    }
}

static void hang_up_all(struct http_exchange_list *list)
{
    struct http_exchange *x;
    TAILQ_FOREACH(x, list, entry)
    {
        if (x->on_reply != NULL) {
            struct http_reply reply = {.kind = HTTP_REPLY_DROPPED};
            http_sink_fn on_reply = x->on_reply;
            x->on_reply = NULL;
            on_reply(x->sink, &reply);
        }
    }
}

void http_server_hang_up(struct http_server *server)
{
    server->has_stopped = true;
    hang_up_all(&server->ready);
    hang_up_all(&server->open);
}

void http_server_free(struct http_server *server)
{
    if (server == NULL) {
        return;
    }
    server->has_stopped = true;
    drop_all(&server->ready);
    drop_all(&server->open);
    http_listeners_free(server->listeners);
    loop_defer_cancel(server->loop, server_on_dispatch, server);
    free(server);
}

int http_server_listen(struct http_server *server, const char *address, const char *cert_file,
                       const char *key_file, struct error *err)
{
    if (loop_event_base(server->loop) == NULL) {
        return error_set(err, ERROR_INVALID, "in virtual time nothing listens on sockets");
    }
    if (server->listeners == NULL) {
        net_ignore_broken_pipes();
        server->listeners = http_listeners_new(server);
    }
    return http_listeners_add(server->listeners, address, cert_file, key_file, err);
}

unsigned http_server_port(const struct http_server *server)
{
    return server->listeners == NULL ? 0 : http_listeners_port(server->listeners);
}

void http_server_stop_accepting(struct http_server *server)
{
    server->has_stopped = true;
    if (server->listeners != NULL) {
        http_listeners_stop(server->listeners);
    }
}

uint64_t http_server_accept_failures(const struct http_server *server)
{
    return server->listeners == NULL ? 0 : http_listeners_failures(server->listeners);
}

size_t http_server_open_exchanges(const struct http_server *server)
{
    return server->exchange_count;
}
