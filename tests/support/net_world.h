/* A loop, a server and a transport in one process, for tests of core/net: real sockets or loopback.
 */
#ifndef NEAP_TESTS_SUPPORT_NET_WORLD_H
#define NEAP_TESTS_SUPPORT_NET_WORLD_H

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/xalloc.h"
#include "core/net/connection.h"
#include "core/net/http_server.h"
#include "tests/support/tap.h"

#define NET_GUARD_MS 20000 /* a test that hangs fails after this; nothing else depends on it */

struct net_world {
    struct clock *clock;
    struct loop *loop;
    struct http_server *server;
    struct transport *transport;
    struct loop_timer *guard;
    bool has_hung;
    unsigned handled;                 /* requests the handler saw */
    struct http_exchange *held;       /* of the last request to /hold */
    int next_status;                  /* for /status */
    struct http_headers next_headers; /* for /status */
    bool was_cut;
    char last_path[256];
    char last_query[256];
    char last_peer[64];
    struct http_headers last_headers;
};

struct net_result {
    int count;
    int status;
    struct error err;
    struct http_headers headers;
    char *body;
    size_t body_size;
    size_t file_size;
    int64_t elapsed_ms;
};

static inline void net_on_guard(void *arg)
{
    ((struct net_world *)arg)->has_hung = true;
}

static inline void net_on_request(void *arg, struct http_exchange *x)
{
    struct net_world *w = arg;
    const char *path = http_exchange_path(x);
    w->handled++;
    w->was_cut = http_exchange_is_cut(x);
    snprintf(w->last_path, sizeof(w->last_path), "%s", path);
    snprintf(w->last_query, sizeof(w->last_query), "%s", http_exchange_query(x));
    snprintf(w->last_peer, sizeof(w->last_peer), "%s", http_exchange_peer(x));
    http_headers_free(&w->last_headers);
    http_headers_copy(&w->last_headers, http_exchange_headers(x));
    struct bytes text = bytes_str("0123456789");
    if (strcmp(path, "/hold") == 0) {
        w->held = x;
    } else if (strcmp(path, "/reset") == 0) {
        http_exchange_abort(x, HTTP_RUDE_RESET, 200, NULL, text, 0);
    } else if (strcmp(path, "/close") == 0) {
        http_exchange_abort(x, HTTP_RUDE_CLOSE, 200, NULL, text, 2);
    } else if (strcmp(path, "/truncate") == 0) {
        http_exchange_abort(x, HTTP_RUDE_TRUNCATE, 200, NULL, text, 0);
    } else if (strcmp(path, "/late") == 0) {
        http_exchange_answer_late(x, 200, NULL, text, 5);
    } else if (strcmp(path, "/status") == 0) {
        http_exchange_answer(x, w->next_status, &w->next_headers, text);
    } else {
        struct http_headers headers = {0};
        CHECK_INT(http_headers_add(&headers, "X-Twice", "one"), 0);
        CHECK_INT(http_headers_add(&headers, "X-Method", http_exchange_method(x)), 0);
        CHECK_INT(http_headers_add(&headers, "X-Twice", "two"), 0);
        http_exchange_answer(x, 200, &headers, http_exchange_body(x));
        http_headers_free(&headers);
    }
}

static inline void net_on_done(void *arg, struct http_answer *answer, const struct error *err)
{
    struct net_result *r = arg;
    r->count++;
    if (err != NULL) {
        r->err = *err;
        return;
    }
    r->status = answer->status;
    r->elapsed_ms = answer->elapsed_ms;
    http_headers_copy(&r->headers, &answer->headers);
    r->body_size = answer->body.size;
    r->file_size = answer->file == NULL ? 0 : (size_t)spool_size(answer->file);
    r->body = xmalloc(answer->body.size + 1);
    memcpy(r->body, buf_text(&answer->body), answer->body.size);
    r->body[answer->body.size] = '\0';
}

static inline void net_result_clear(struct net_result *r)
{
    http_headers_free(&r->headers);
    free(r->body);
    memset(r, 0, sizeof(*r));
}

static inline void net_open(struct net_world *w, bool is_real,
                            const struct http_server_options *options)
{
    memset(w, 0, sizeof(*w));
    w->clock = is_real ? clock_new_system() : clock_new_virtual(INT64_C(1777888800000));
    w->loop = loop_new(w->clock);
    w->server = http_server_new(w->loop, options, net_on_request, w);
    w->guard = loop_timer_new(w->loop, net_on_guard, w);
    w->transport =
        is_real ? transport_curl_new(w->loop) : transport_loopback_new(w->loop, w->server);
    CHECK(w->transport != NULL);
    if (is_real) {
        struct error err;
        CHECK_INT(http_server_listen(w->server, "127.0.0.1:0", NULL, NULL, &err), 0);
    }
}

static inline void net_close(struct net_world *w)
{
    transport_free(w->transport);
    http_server_free(w->server);
    loop_timer_free(w->guard);
    http_headers_free(&w->next_headers);
    http_headers_free(&w->last_headers);
    if (loop_event_base(w->loop) != NULL) {
        loop_poll(w->loop, false); /* libevent closes freed connections in its next round */
    }
    CHECK_INT(loop_timer_count(w->loop), 0);
    loop_free(w->loop);
    clock_free(w->clock);
}

/* Turns the loop until *count reaches target. */
static inline void net_run(struct net_world *w, const int *count, int target)
{
    w->has_hung = false;
    if (!clock_is_virtual(w->clock)) {
        loop_timer_start(w->guard, NET_GUARD_MS);
    }
    while (*count < target && !w->has_hung && loop_poll(w->loop, true)) {
    }
    loop_timer_stop(w->guard);
    CHECK_INT(*count, target);
}

static inline void net_run_handled(struct net_world *w, unsigned target)
{
    w->has_hung = false;
    if (!clock_is_virtual(w->clock)) {
        loop_timer_start(w->guard, NET_GUARD_MS);
    }
    while (w->handled < target && !w->has_hung && loop_poll(w->loop, true)) {
    }
    loop_timer_stop(w->guard);
    CHECK_INT(w->handled, target);
}

static inline void net_nothing(void *arg)
{
    (void)arg;
}

/* Lets this much time pass (virtual worlds: at once). */
static inline void net_pass(struct net_world *w, int64_t ms)
{
    struct loop_timer *t = loop_timer_new(w->loop, net_nothing, w);
    loop_timer_start(t, ms);
    while (loop_timer_is_running(t)) {
        loop_poll(w->loop, true);
    }
    loop_timer_free(t);
    loop_poll(w->loop, false);
}

/* A request; the caller frees it. path_or_url as given when it holds "://". */
static inline struct http_request net_request(struct net_world *w, const char *method,
                                              const char *path_or_url, const char *body)
{
    struct http_request r = {0};
    r.method = xstrdup(method);
    r.url =
        strstr(path_or_url, "://") != NULL
            ? xstrdup(path_or_url)
            : xasprintf("http://127.0.0.1:%u%s",
                        loop_event_base(w->loop) ? http_server_port(w->server) : 80, path_or_url);
    r.body = body == NULL ? NULL : xstrdup(body);
    r.body_size = body == NULL ? 0 : strlen(body);
    return r;
}

/* Sends and waits. */
static inline void net_fetch(struct net_world *w, const struct http_request *request,
                             const struct transport_policy *policy, struct net_result *result)
{
    static const struct transport_policy plain = {0};
    memset(result, 0, sizeof(*result));
    w->transport->ops->start(w->transport, request, policy == NULL ? &plain : policy, net_on_done,
                             result);
    CHECK_INT(result->count, 0); /* never from within start */
    net_run(w, &result->count, 1);
}

static inline void net_get(struct net_world *w, const char *path, struct net_result *result)
{
    struct http_request request = net_request(w, "GET", path, NULL);
    net_fetch(w, &request, NULL, result);
    http_request_free(&request);
}

/* ---- a peer that speaks raw bytes ---- */

static inline int raw_connect(struct net_world *w)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET};
    to.sin_port = htons((uint16_t)http_server_port(w->server));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_INT(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static inline void raw_send(int fd, const char *data, size_t size)
{
    CHECK_INT(send(fd, data, size, MSG_NOSIGNAL), size);
}

/* Receives until the server closes, or `until` was seen (NULL: close only). The caller frees. */
static inline char *raw_receive(struct net_world *w, int fd, const char *until)
{
    struct buf got;
    buf_init(&got, 1 << 24);
    w->has_hung = false;
    loop_timer_start(w->guard, NET_GUARD_MS);
    while (!w->has_hung) {
        char part[65536];
        ssize_t size = recv(fd, part, sizeof(part), MSG_DONTWAIT);
        if (size > 0) {
            CHECK_INT(buf_add(&got, part, (size_t)size), 0);
        } else if (size == 0 || (errno != EAGAIN && errno != EINTR)) {
            break;
        } else {
            if (until != NULL && strstr(buf_text(&got), until) != NULL) {
                break;
            }
            net_pass(w, 1);
        }
    }
    CHECK(!w->has_hung);
    loop_timer_stop(w->guard);
    return buf_take(&got, NULL);
}

/* The status of the answer to these bytes; 0 when the server just closes. */
static inline int raw_status(struct net_world *w, const char *data, size_t size)
{
    int fd = raw_connect(w);
    raw_send(fd, data, size);
    char *answer = raw_receive(w, fd, "\r\n\r\n");
    int status = strncmp(answer, "HTTP/1.1 ", 9) == 0 ? (int)strtol(answer + 9, NULL, 10) : 0;
    free(answer);
    close(fd);
    return status;
}

#endif
