/*
 * HTTP inside one process, in the time of the loop: request -> 1 ms -> the server's handler, answer
 * -> 1 ms -> done. Needs no sockets and no event base, so it runs in virtual time.
 *
 * phases  TRAVELLING (to the server) -> SERVED (the exchange is open) -> RETURNING (outcome known)
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "core/base/xalloc.h"
#include "core/net/http_exchange.h"

#define LATENCY_MS 1 /* each way; makes simulated time move and causes precede effects */

enum phase { PHASE_TRAVELLING, PHASE_SERVED, PHASE_RETURNING };

struct transfer {
    TAILQ_ENTRY(transfer) entry;
    struct loopback *owner;
    enum phase phase;
    struct http_incoming in;        /* until it is handed to the server */
    char *host;                     /* whom the URL names */
    struct http_exchange *exchange; /* while SERVED */
    struct loop_timer *latency;
    struct loop_timer *timeout;
    int64_t timeout_ms;
    int64_t started_ms;
    struct http_answer answer;
    struct spool *file; /* for the body, when the request said so */
    struct error err;   /* code 0: the answer counts */
    transport_done_cb done;
    void *arg;
};

struct loopback {
    struct transport base;
    struct loop *loop;
    struct http_server *server; /* of every name; or NULL: */
    const struct loopback_network *network;
    TAILQ_HEAD(, transfer) transfers;
};

struct loopback_place {
    char *name;
    struct http_server *server; /* NULL: nobody listens */
};

struct loopback_network {
    struct loopback_place *places;
    size_t count;
};

/* NULL when nobody listens there. */
static struct http_server *server_of(const struct transfer *x)
{
    const struct loopback_network *network = x->owner->network;
    for (size_t i = 0; network != NULL && i < network->count; i++) {
        if (strcasecmp(network->places[i].name, x->host) == 0) {
            return network->places[i].server;
        }
    }
    return x->owner->server;
}

static void transfer_free(struct transfer *x)
{
    TAILQ_REMOVE(&x->owner->transfers, x, entry);
    if (x->exchange != NULL) {
        http_exchange_detach(x->exchange);
    }
    loop_timer_free(x->latency);
    loop_timer_free(x->timeout);
    http_incoming_free(&x->in);
    free(x->host);
    http_answer_free(&x->answer);
    spool_free(x->file);
    free(x);
}

/* Ends the transfer: x is off the list before done, so done may do what it likes. */
static void transfer_end(struct transfer *x)
{
    struct http_answer answer = x->answer;
    struct error err = x->err;
    transport_done_cb done = x->done;
    void *arg = x->arg;
    answer.elapsed_ms = clock_mono_ms(loop_clock(x->owner->loop)) - x->started_ms;
    memset(&x->answer, 0, sizeof(x->answer));
    transfer_free(x);
    done(arg, err.code == 0 ? &answer : NULL, err.code == 0 ? NULL : &err);
    http_answer_free(&answer);
}

static void set_network_error(struct transfer *x, bool maybe_sent, const char *text)
{
    error_set(&x->err, ERROR_NETWORK, "%s", text);
    x->err.is_retryable = true;
    x->err.maybe_sent = maybe_sent;
}

static void go_back(struct transfer *x)
{
    x->phase = PHASE_RETURNING;
    loop_timer_start(x->latency, LATENCY_MS);
}

static void take_answer(struct transfer *x, const struct http_reply *reply)
{
    x->answer.status = reply->status;
    http_headers_copy(&x->answer.headers, reply->headers);
    if (x->file != NULL) {
        x->answer.file = x->file;
        x->file = NULL;
        if (spool_add(x->answer.file, reply->body.data, reply->body.size) != 0) {
            error_set(&x->err, ERROR_LIMIT, "the answer is larger than its file may be");
            x->err.maybe_sent = true;
        }
    } else if (buf_add(&x->answer.body, reply->body.data, reply->body.size) != 0) {
        error_set(&x->err, ERROR_LIMIT, "the answer is larger than allowed (%zu bytes)",
                  x->answer.body.max);
        x->err.maybe_sent = true;
    }
}

static void transfer_on_reply(void *sink, const struct http_reply *reply)
{
    struct transfer *x = sink;
    x->exchange = NULL;
    switch (reply->kind) {
    case HTTP_REPLY_WHOLE:
        take_answer(x, reply);
        break;
    case HTTP_REPLY_TRUNCATE:
        set_network_error(x, true, "connection failed: the answer broke off");
        break;
    case HTTP_REPLY_RESET:
        set_network_error(x, true, "connection failed: reset by the peer");
        break;
    default:
        set_network_error(x, true, "connection failed: closed without an answer");
        break;
    }
    go_back(x);
}

/* What the real server's limits would say, without troubling the handler. */
static int refusal_status(const struct transfer *x, const struct http_server *server)
{
    const struct http_server_options *limits = http_server_limits(server);
    size_t head = strlen(x->in.method) + strlen(x->in.path) + strlen(x->in.query);
    for (size_t i = 0; i < x->in.headers.count; i++) {
        head += strlen(x->in.headers.list[i].name) + strlen(x->in.headers.list[i].value) + 4;
    }
    if (head > limits->max_header_bytes) {
        return 431;
    }
    return x->in.body.size > limits->max_body_bytes ? 413 : 0;
}

static void transfer_arrive(struct transfer *x)
{
    struct http_server *server = server_of(x);
    if (server == NULL || !http_server_is_accepting(server)) {
        set_network_error(x, false, "could not connect: refused");
        go_back(x);
        return;
    }
    int refusal = refusal_status(x, server);
    if (refusal != 0) {
        x->answer.status = refusal;
        go_back(x);
        return;
    }
    x->phase = PHASE_SERVED;
    x->exchange = http_exchange_open(server, &x->in, transfer_on_reply, x);
}

static void transfer_on_latency(void *arg)
{
    struct transfer *x = arg;
    if (x->phase == PHASE_TRAVELLING && x->err.code == 0) {
        transfer_arrive(x);
    } else {
        transfer_end(x);
    }
}

static void transfer_on_timeout(void *arg)
{
    struct transfer *x = arg;
    error_set(&x->err, ERROR_TIMEOUT, "no answer in time: %lld ms passed",
              (long long)x->timeout_ms);
    x->err.is_retryable = true;
    x->err.maybe_sent = true;
    transfer_end(x);
}

/* Fills x->in from the request; false when the URL is none. */
static bool read_request(struct transfer *x, const struct http_request *request)
{
    const char *url = request->url;
    const char *host = strstr(url, "://");
    if (host == NULL) {
        return false;
    }
    host += 3;
    size_t host_size = strcspn(host, "/?#");
    const char *path = host + host_size;
    size_t path_size = strcspn(path, "?#");
    const char *query = path[path_size] == '?' ? path + path_size + 1 : "";
    x->in.method = xstrdup(request->method);
    x->in.path = path_size == 0 ? xstrdup("/") : xstrndup(path, path_size);
    x->in.query = xstrndup(query, strcspn(query, "#"));
    x->in.peer = xstrdup("loopback");
    char *host_text = xstrndup(host, host_size);
    int rc = http_headers_add(&x->in.headers, "Host", host_text);
    x->host = host_text;
    http_headers_copy(&x->in.headers, &request->headers);
    if (request->body_size > 0) {
        char *size = xasprintf("%zu", request->body_size);
        rc = rc == 0 ? http_headers_add(&x->in.headers, "Content-Length", size) : rc;
        free(size);
    }
    buf_init(&x->in.body, request->body_size);
    rc = rc == 0 ? buf_add(&x->in.body, request->body, request->body_size) : rc;
    return rc == 0 && host_size > 0;
}

static struct transfer *loopback_start(struct transport *base, const struct http_request *request,
                                       const struct transport_policy *policy,
                                       transport_done_cb done, void *arg)
{
    struct loopback *t = (struct loopback *)base;
    struct transfer *x = xcalloc(1, sizeof(*x));
    x->owner = t;
    x->done = done;
    x->arg = arg;
    x->started_ms = clock_mono_ms(loop_clock(t->loop));
    x->timeout_ms = request->timeout_ms > 0 ? request->timeout_ms : TRANSPORT_TIMEOUT_MS;
    size_t max = policy->max_answer_bytes;
    buf_init(&x->answer.body, max > 0 ? max : TRANSPORT_MAX_ANSWER_BYTES);
    TAILQ_INSERT_TAIL(&t->transfers, x, entry);
    if (request->file_max_bytes > 0) {
        x->file =
            spool_new(policy->file_folder != NULL ? policy->file_folder : TRANSPORT_FILE_FOLDER,
                      request->file_max_bytes, &x->err);
    }
    if (!read_request(x, request)) {
        error_set(&x->err, ERROR_INVALID, "URL not usable");
    }
    x->latency = loop_timer_new(t->loop, transfer_on_latency, x);
    x->timeout = loop_timer_new(t->loop, transfer_on_timeout, x);
    loop_timer_start(x->latency, LATENCY_MS);
    loop_timer_start(x->timeout, x->timeout_ms);
    return x;
}

static void loopback_cancel(struct transport *base, struct transfer *x)
{
    assert(&x->owner->base == base);
    transfer_free(x);
}

static void loopback_free(struct transport *base)
{
    struct loopback *t = (struct loopback *)base;
    while (!TAILQ_EMPTY(&t->transfers)) {
        /* Takes itself off the list, which the analyzer cannot follow. */
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc)
        transfer_free(TAILQ_FIRST(&t->transfers));
    }
    free(t);
}

static struct loopback *loopback_new(struct loop *loop)
{
    static const struct transport_ops ops = {loopback_start, loopback_cancel, loopback_free};
    struct loopback *t = xcalloc(1, sizeof(*t));
    t->base.ops = &ops;
    t->loop = loop;
    TAILQ_INIT(&t->transfers);
    return t;
}

struct transport *transport_loopback_new(struct loop *loop, struct http_server *server)
{
    struct loopback *t = loopback_new(loop);
    t->server = server;
    return &t->base;
}

/* ---- networks ---- */

struct loopback_network *loopback_network_new(void)
{
    return xcalloc(1, sizeof(struct loopback_network));
}

void loopback_network_free(struct loopback_network *network)
{
    if (network == NULL) {
        return;
    }
    for (size_t i = 0; i < network->count; i++) {
        free(network->places[i].name);
    }
    free(network->places);
    free(network);
}

void loopback_network_set(struct loopback_network *network, const char *name,
                          struct http_server *server)
{
    for (size_t i = 0; i < network->count; i++) {
        if (strcasecmp(network->places[i].name, name) == 0) {
            network->places[i].server = server;
            return;
        }
    }
    network->places =
        xrealloc(network->places, (network->count + 1) * sizeof(struct loopback_place));
    network->places[network->count++] = (struct loopback_place){xstrdup(name), server};
}

struct transport *transport_loopback_join(struct loop *loop, const struct loopback_network *network)
{
    struct loopback *t = loopback_new(loop);
    t->network = network;
    return &t->base;
}
