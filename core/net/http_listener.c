/*
 * Listeners and their connections, on libevent's bufferevents with our own request reader: evhttp
 * refuses methods it does not know, merges the limits into one status and is lenient where requests
 * can be smuggled.
 *
 * A connection reads one request at a time (the reader), hands it over (exchange), writes the reply
 * and goes on with what the peer has sent meanwhile.
 *
 * state    READING -> SERVING -> READING ...   or, when it must end:
 *          -> FLUSHING (closes when written) -> LINGERING (our side is shut, the rest is thrown
 *          away so that the peer can read the reply instead of a reset) -> closed
 *
 * Time: the head must be whole within idle_timeout_ms of its first byte, a body must move
 * BODY_STEP_BYTES in each idle_timeout_ms; a reply must be taken within it per libevent write.
 */
#define _GNU_SOURCE
#include "core/net/http_exchange.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/util.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "core/base/xalloc.h"
#include "core/loop/acceptor.h"
#include "core/net/http_fields.h"
#include "core/net/http_reader.h"

#define LINGER_MS       2000                /* a polite peer closes at once; others get no more */
#define BODY_STEP_BYTES ((size_t)64 << 10)  /* a slower body is an attack or a dead line */
#define INPUT_BYTES     ((size_t)64 << 10)  /* read ahead per connection */
#define OUTPUT_BYTES    ((size_t)256 << 10) /* unsent replies above this: no next request */
#define PEER_SIZE       64
#define RETRY_AFTER     "5" /* seconds, with each 503 of ours */

struct http_listener {
    TAILQ_ENTRY(http_listener) entry;
    struct http_listeners *all;
    struct acceptor *accepting; /* NULL once stopped */
    SSL_CTX *tls;               /* NULL: plain */
    unsigned port;              /* 0: unix socket */
    char *unix_path;            /* removed when stopped */
};

enum conn_state { CONN_READING, CONN_SERVING, CONN_FLUSHING, CONN_LINGERING };

struct conn {
    TAILQ_ENTRY(conn) entry;
    struct http_listeners *all;
    enum conn_state state;
    struct bufferevent *bev;
    bool is_tls;
    bool has_eof; /* the peer sends no more */
    bool ends_with_reply;
    bool is_resume_due; /* conn_on_resume is deferred */
    struct http_reader reader;
    size_t reading_bytes;           /* of its body so far, counted in the sum of all */
    size_t body_step;               /* body bytes since the deadline was set */
    struct http_exchange *exchange; /* while SERVING */
    bool reply_is_old;              /* the request was HTTP/1.0 */
    struct loop_timer *deadline;
    char peer[PEER_SIZE];
};

struct http_listeners {
    struct http_server *server;
    struct loop *loop;
    TAILQ_HEAD(, http_listener) listeners;
    TAILQ_HEAD(, conn) conns;
    unsigned conn_count;
    size_t reading_bytes; /* of bodies that are not whole yet */
};

/* ---- status lines ---- */

const char *http_status_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } names[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {424, "Failed Dependency"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i].status == status) {
            return names[i].reason;
        }
    }
    return "";
}

/* ---- ending a connection ---- */

static void conn_on_resume(void *arg);

static void conn_count_body(struct conn *c, size_t size)
{
    c->all->reading_bytes += size - c->reading_bytes;
    c->reading_bytes = size;
}

static void conn_free(struct conn *c)
{
    conn_count_body(c, 0);
    if (c->exchange != NULL) {
        http_exchange_detach(c->exchange);
    }
    if (c->is_resume_due) {
        loop_defer_cancel(c->all->loop, conn_on_resume, c);
    }
    loop_timer_free(c->deadline);
    bufferevent_free(c->bev); /* closes the socket */
    http_reader_fini(&c->reader);
    TAILQ_REMOVE(&c->all->conns, c, entry);
    c->all->conn_count--;
    free(c);
}

static size_t output_size(const struct conn *c)
{
    return evbuffer_get_length(bufferevent_get_output(c->bev));
}

/* Everything is written: shuts our side and waits a little for the peer to close its own. */
static void conn_linger(struct conn *c)
{
    if (c->has_eof) {
        conn_free(c);
        return;
    }
    c->state = CONN_LINGERING;
    if (c->is_tls) {
        SSL_shutdown(bufferevent_openssl_get_ssl(c->bev));
        ERR_clear_error();
    }
    shutdown(bufferevent_getfd(c->bev), SHUT_WR);
    struct evbuffer *input = bufferevent_get_input(c->bev);
    evbuffer_drain(input, evbuffer_get_length(input));
    loop_timer_start(c->deadline, LINGER_MS);
}

/* Closes as soon as what is queued has been written. */
static void conn_close_politely(struct conn *c)
{
    c->state = CONN_FLUSHING;
    loop_timer_stop(c->deadline);
    if (output_size(c) == 0) {
        conn_linger(c);
    }
}

static void conn_reset(struct conn *c)
{
    /* Closing with a linger time of 0 sends a reset. */
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(bufferevent_getfd(c->bev), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    conn_free(c);
}

/* ---- replies ---- */

static void write_head(struct conn *c, int status, const struct http_headers *headers,
                       const char *connection)
{
    struct evbuffer *out = bufferevent_get_output(c->bev);
    evbuffer_add_printf(out, "HTTP/1.1 %d %s\r\n", status, http_status_reason(status));
    for (size_t i = 0; i < headers->count; i++) {
        evbuffer_add_printf(out, "%s: %s\r\n", headers->list[i].name, headers->list[i].value);
    }
    if (connection != NULL) {
        evbuffer_add_printf(out, "Connection: %s\r\n", connection);
    }
    evbuffer_add(out, "\r\n", 2);
}

/* The answer to a request no handler has seen; the connection ends with it. Its body goes now: the
 * peer decides when the connection is gone, and must not hold the room of others until then. */
static void conn_refuse(struct conn *c, int status, const char *reason)
{
    struct http_headers headers = {0};
    char date[HTTP_DATE_SIZE];
    char size[24];
    http_server_count_refusal(c->all->server, status);
    http_date_format(clock_wall_ms(loop_clock(c->all->loop)), date);
    snprintf(size, sizeof(size), "%zu", strlen(reason) + 1);
    int rc = http_headers_add(&headers, "Content-Type", "text/plain; charset=utf-8");
    rc = rc == 0 ? http_headers_add(&headers, "Content-Length", size) : rc;
    rc = rc == 0 ? http_headers_add(&headers, "Date", date) : rc;
    if (rc == 0 && status == 503) {
        rc = http_headers_add(&headers, "Retry-After", RETRY_AFTER);
    }
    if (rc == 0) {
        write_head(c, status, &headers, "close");
        evbuffer_add_printf(bufferevent_get_output(c->bev), "%s\n", reason);
    }
    http_headers_free(&headers);
    conn_count_body(c, 0);
    http_reader_reset(&c->reader);
    conn_close_politely(c);
}

static void conn_resume_later(struct conn *c)
{
    if (!c->is_resume_due) {
        c->is_resume_due = true;
        loop_defer(c->all->loop, conn_on_resume, c);
    }
}

static void conn_on_reply(void *sink, const struct http_reply *reply)
{
    struct conn *c = sink;
    c->exchange = NULL;
    if (reply->kind == HTTP_REPLY_RESET) {
        conn_reset(c);
        return;
    }
    if (reply->kind == HTTP_REPLY_CLOSE || reply->kind == HTTP_REPLY_DROPPED) {
        conn_free(c);
        return;
    }
    bool closes = c->ends_with_reply || reply->kind == HTTP_REPLY_TRUNCATE ||
                  !http_server_is_accepting(c->all->server);
    write_head(c, reply->status, reply->headers,
               closes ? "close" : (c->reply_is_old ? "keep-alive" : NULL));
    evbuffer_add(bufferevent_get_output(c->bev), reply->body.data, reply->body.size);
    if (closes) {
        conn_close_politely(c);
        return;
    }
    c->state = CONN_READING;
    loop_timer_start(c->deadline, http_server_limits(c->all->server)->idle_timeout_ms);
    conn_resume_later(c); /* the peer may have sent its next request already */
}

/* ---- requests ---- */

static void conn_serve(struct conn *c, bool is_cut)
{
    conn_count_body(c, 0);
    struct http_reader *r = &c->reader;
    size_t announced_bytes = r->body.size + (size_t)r->left;
    if (is_cut) {
        buf_free(&r->body);
        buf_init(&r->body, r->max_body_bytes);
    }
    struct http_incoming in = {.method = r->method,
                               .path = r->path,
                               .query = r->query,
                               .peer = xstrdup(c->peer),
                               .headers = r->headers,
                               .body = r->body,
                               .is_cut = is_cut,
                               .announced_bytes = announced_bytes};
    c->ends_with_reply = r->wants_close || c->has_eof || is_cut;
    c->reply_is_old = r->is_old;
    r->method = NULL;
    r->path = NULL;
    r->query = NULL;
    memset(&r->headers, 0, sizeof(r->headers));
    buf_init(&r->body, r->max_body_bytes);
    http_reader_reset(r);
    c->state = CONN_SERVING;
    c->body_step = 0;
    loop_timer_stop(c->deadline);
    c->exchange = http_exchange_open(c->all->server, &in, conn_on_reply, c);
}

/* Keeps the promise of the file comment about time. was: the reader's state before `used` bytes. */
static void conn_set_deadline(struct conn *c, bool had_begun, enum http_reader_state was,
                              size_t used)
{
    const struct http_reader *r = &c->reader;
    bool begins = !had_begun && http_reader_has_begun(r);
    bool enters_body = was == HTTP_READER_HEAD && r->state != HTTP_READER_HEAD;
    c->body_step += r->state != HTTP_READER_HEAD ? used : 0;
    if (begins || enters_body || c->body_step >= BODY_STEP_BYTES) {
        c->body_step = 0;
        loop_timer_start(c->deadline, http_server_limits(c->all->server)->idle_timeout_ms);
    }
}

/* The head is whole and more is to come: reads on, or has the handler refuse it now. */
static bool conn_takes_body(struct conn *c)
{
    struct http_reader *r = &c->reader;
    struct http_head head = {r->method, r->path, &r->headers};
    int64_t limit = http_server_body_limit(c->all->server, &head);
    if (limit < 0 || r->body.size + r->left > (uint64_t)limit) {
        conn_serve(c, true);
        return false;
    }
    http_reader_limit_body(r, (size_t)limit);
    return true;
}

/* Feeds what has arrived to the reader until the request is whole or the input empty. */
static void conn_read(struct conn *c)
{
    struct evbuffer *input = bufferevent_get_input(c->bev);
    struct http_reader *r = &c->reader;
    while (c->state == CONN_READING && evbuffer_get_length(input) > 0 &&
           output_size(c) <= OUTPUT_BYTES) {
        size_t size = evbuffer_get_contiguous_space(input);
        const char *data = (const char *)evbuffer_pullup(input, (ev_ssize_t)size);
        bool had_begun = http_reader_has_begun(r);
        enum http_reader_state was = r->state;
        size_t used = http_reader_feed(r, data, size);
        evbuffer_drain(input, used);
        if (r->state == HTTP_READER_FAILED) {
            conn_refuse(c, r->fail_status, r->fail_reason);
            return;
        }
        if (was == HTTP_READER_HEAD && r->state != HTTP_READER_HEAD &&
            r->state != HTTP_READER_DONE && !conn_takes_body(c)) {
            return;
        }
        conn_count_body(c, r->body.size);
        if (c->all->reading_bytes > http_server_limits(c->all->server)->max_reading_bytes &&
            r->state != HTTP_READER_DONE) {
            conn_refuse(c, 503, "too much is being sent at once: try again");
            return;
        }
        if (r->expects_continue) {
            r->expects_continue = false;
            if (r->state != HTTP_READER_DONE && evbuffer_get_length(input) == 0) {
                bufferevent_write(c->bev, "HTTP/1.1 100 Continue\r\n\r\n", 25);
            }
        }
        if (r->state == HTTP_READER_DONE) {
            conn_serve(c, false);
            return;
        }
        conn_set_deadline(c, had_begun, was, used);
    }
    if (c->state == CONN_READING && c->has_eof && evbuffer_get_length(input) == 0) {
        conn_close_politely(c);
    }
}

static void conn_on_resume(void *arg)
{
    struct conn *c = arg;
    c->is_resume_due = false;
    if (c->state == CONN_READING) {
        conn_read(c);
    }
}

/* ---- libevent's callbacks ---- */

static void conn_on_input(struct bufferevent *bev, void *arg)
{
    struct conn *c = arg;
    if (c->state == CONN_READING) {
        conn_read(c);
    } else if (c->state == CONN_FLUSHING || c->state == CONN_LINGERING) {
        struct evbuffer *input = bufferevent_get_input(bev);
        evbuffer_drain(input, evbuffer_get_length(input));
    }
}

/* All output is written. */
static void conn_on_output(struct bufferevent *bev, void *arg)
{
    (void)bev;
    struct conn *c = arg;
    if (c->state == CONN_FLUSHING) {
        conn_linger(c);
    } else if (c->state == CONN_READING) {
        conn_read(c);
    }
}

static void conn_on_event(struct bufferevent *bev, short what, void *arg)
{
    (void)bev;
    struct conn *c = arg;
    if ((what & BEV_EVENT_CONNECTED) != 0) {
        return; /* TLS is up */
    }
    bool is_end =
        (what & BEV_EVENT_EOF) != 0 && (what & (BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT)) == 0;
    c->has_eof = true;
    ERR_clear_error();
    if (!is_end || c->state == CONN_LINGERING) {
        conn_free(c);
    } else if (c->state == CONN_SERVING) {
        c->ends_with_reply = true; /* a peer may shut its side and still wait for the answer */
    } else if (c->state == CONN_READING) {
        conn_read(c);
    }
}

static void conn_on_deadline(void *arg)
{
    struct conn *c = arg;
    if (c->state == CONN_READING && http_reader_has_begun(&c->reader)) {
        conn_refuse(c, 408, "the request took too long");
    } else if (c->state == CONN_READING && output_size(c) > 0) {
        /* The last reply is still being taken; a write that does not move ends by itself. */
        loop_timer_start(c->deadline, http_server_limits(c->all->server)->idle_timeout_ms);
    } else {
        conn_free(c);
    }
}

/* ---- accepting ---- */

static void peer_name(const struct sockaddr *address, char out[PEER_SIZE])
{
    const void *ip = NULL;
    char text[PEER_SIZE];
    if (address->sa_family == AF_INET) {
        ip = &((const struct sockaddr_in *)(const void *)address)->sin_addr;
    } else if (address->sa_family == AF_INET6) {
        ip = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    }
    if (ip == NULL || evutil_inet_ntop(address->sa_family, ip, text, sizeof(text)) == NULL) {
        snprintf(text, sizeof(text), "unix");
    }
    snprintf(out, PEER_SIZE, "%s", text);
}

static struct bufferevent *make_bufferevent(struct http_listener *l, evutil_socket_t fd)
{
    struct event_base *base = loop_event_base(l->all->loop);
    if (l->tls == NULL) {
        return bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    }
    SSL *ssl = SSL_new(l->tls);
    if (ssl == NULL) {
        return NULL;
    }
    struct bufferevent *bev = bufferevent_openssl_socket_new(
        base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
    /* On failure the library has freed ssl. A dirty end is fine: lengths say where things end. */
    if (bev != NULL) {
        bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    }
    return bev;
}

/* Somebody who asks nothing at the moment gives way. False when all are served or have begun. */
static bool drop_an_idle_one(struct http_listeners *all)
{
    struct conn *c;
    TAILQ_FOREACH(c, &all->conns, entry)
    {
        if (c->state == CONN_READING && !http_reader_has_begun(&c->reader) && output_size(c) == 0 &&
            evbuffer_get_length(bufferevent_get_input(c->bev)) == 0) {
            conn_free(c);
            return true;
        }
    }
    return false;
}

/* No room for it: says so where that can be said without waiting, and closes. */
static void turn_away(struct http_listener *l, int fd)
{
    static const char ANSWER[] = "HTTP/1.1 503 Service Unavailable\r\n"
                                 "Retry-After: " RETRY_AFTER "\r\n"
                                 "Content-Length: 0\r\nConnection: close\r\n\r\n";
    http_server_count_refusal(l->all->server, 503);
    if (l->tls == NULL) {
        (void)!send(fd, ANSWER, sizeof(ANSWER) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        shutdown(fd, SHUT_WR);
    }
    close(fd);
}

static void listener_on_accept(void *arg, int fd, const struct sockaddr *address)
{
    struct http_listener *l = arg;
    struct http_listeners *all = l->all;
    const struct http_server_options *limits = http_server_limits(all->server);
    bool has_room = all->conn_count < limits->max_connections || drop_an_idle_one(all);
    struct bufferevent *bev = has_room ? make_bufferevent(l, fd) : NULL;
    if (bev == NULL) {
        turn_away(l, fd);
        return;
    }
    struct conn *c = xcalloc(1, sizeof(*c));
    c->all = all;
    c->bev = bev;
    c->is_tls = l->tls != NULL;
    peer_name(address, c->peer);
    http_reader_init(&c->reader, limits->max_header_bytes, limits->max_body_bytes);
    c->deadline = loop_timer_new(all->loop, conn_on_deadline, c);
    loop_timer_start(c->deadline, limits->idle_timeout_ms);
    TAILQ_INSERT_TAIL(&all->conns, c, entry);
    all->conn_count++;
    if (l->port != 0) {
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    struct timeval write_limit = {.tv_sec = (time_t)(limits->idle_timeout_ms / 1000),
                                  .tv_usec = (suseconds_t)(limits->idle_timeout_ms % 1000 * 1000)};
    bufferevent_setcb(bev, conn_on_input, conn_on_output, conn_on_event, c);
    bufferevent_set_timeouts(bev, NULL, &write_limit);
    bufferevent_setwatermark(bev, EV_READ, 0, INPUT_BYTES);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
}

/* ---- opening listeners ---- */

static SSL_CTX *tls_open(const char *cert_file, const char *key_file, struct error *err)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    if (tls != NULL && SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) == 1 &&
        SSL_CTX_use_certificate_chain_file(tls, cert_file) == 1 &&
        SSL_CTX_use_PrivateKey_file(tls, key_file, SSL_FILETYPE_PEM) == 1 &&
        SSL_CTX_check_private_key(tls) == 1) {
        SSL_CTX_set_options(tls, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
        SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
        return tls;
    }
    char why[256];
    ERR_error_string_n(ERR_peek_last_error(), why, sizeof(why));
    ERR_clear_error();
    SSL_CTX_free(tls);
    error_set(err, ERROR_INVALID, "cannot use certificate %s with key %s: %s", cert_file, key_file,
              why);
    return NULL;
}

/* A socket file nobody listens on is left over from a killed process. */
static void remove_stale(const struct sockaddr_un *address)
{
    struct stat info;
    if (lstat(address->sun_path, &info) != 0 || !S_ISSOCK(info.st_mode)) {
        return;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0) {
        if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 &&
            errno == ECONNREFUSED) {
            unlink(address->sun_path);
        }
        close(fd);
    }
}

static int listen_on(struct http_listener *l, const struct sockaddr *address, socklen_t size,
                     const char *shown, struct error *err)
{
    struct acceptor_options options = {.address = address,
                                       .address_size = size,
                                       .shown = shown,
                                       .area = "http",
                                       .accept = listener_on_accept,
                                       .arg = l};
    return acceptor_open(&l->accepting, l->all->loop, &options, err);
}

static int bind_unix(struct http_listener *l, const char *text, struct error *err)
{
    const char *path = text + 5; /* "unix:" */
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (*path == '\0' || strlen(path) >= sizeof(address.sun_path)) {
        return error_set(err, ERROR_INVALID, "unix socket path is empty or too long: %s", path);
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    remove_stale(&address);
    int rc = listen_on(l, (const struct sockaddr *)&address, sizeof(address), text, err);
    l->unix_path = rc == 0 ? xstrdup(path) : NULL;
    return rc;
}

static unsigned port_of(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET6
               ? ntohs(((const struct sockaddr_in6 *)(const void *)address)->sin6_port)
               : ntohs(((const struct sockaddr_in *)(const void *)address)->sin_port);
}

/* "127.0.0.1:8080", "[::1]:0". libevent's parser refuses port 0, so the port is read apart. */
static bool parse_tcp(const char *text, struct sockaddr_storage *out, int *size_out)
{
    const char *colon = strrchr(text, ':');
    int64_t port;
    if (colon == NULL || !http_decimal_parse(colon + 1, UINT16_MAX, &port)) {
        return false;
    }
    char *host = xasprintf("%.*s:1", (int)(colon - text), text);
    *size_out = sizeof(*out);
    int rc = evutil_parse_sockaddr_port(host, (struct sockaddr *)out, size_out);
    free(host);
    if (rc != 0) {
        return false;
    }
    if (out->ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)(void *)out)->sin6_port = htons((uint16_t)port);
    } else {
        ((struct sockaddr_in *)(void *)out)->sin_port = htons((uint16_t)port);
    }
    return true;
}

static int bind_tcp(struct http_listener *l, const char *text, struct error *err)
{
    struct sockaddr_storage address;
    int size;
    memset(&address, 0, sizeof(address));
    if (!parse_tcp(text, &address, &size)) {
        return error_set(err, ERROR_INVALID,
                         "not an address to listen on: %s (127.0.0.1:8080, [::1]:8080, unix:/path)",
                         text);
    }
    int rc = listen_on(l, (const struct sockaddr *)&address, (socklen_t)size, text, err);
    if (rc == 0) {
        socklen_t length = sizeof(address);
        getsockname(acceptor_fd(l->accepting), (struct sockaddr *)&address, &length);
        l->port = port_of(&address);
    }
    return rc;
}

static void listener_stop(struct http_listener *l)
{
    acceptor_close(l->accepting);
    l->accepting = NULL;
    if (l->unix_path != NULL) {
        unlink(l->unix_path);
        free(l->unix_path);
        l->unix_path = NULL;
    }
}

static void listener_free(struct http_listener *l)
{
    listener_stop(l);
    SSL_CTX_free(l->tls);
    free(l);
}

int http_listeners_add(struct http_listeners *all, const char *address, const char *cert_file,
                       const char *key_file, struct error *err)
{
    if ((cert_file == NULL) != (key_file == NULL)) {
        return error_set(err, ERROR_INVALID, "TLS needs both a certificate and a key");
    }
    struct http_listener *l = xcalloc(1, sizeof(*l));
    l->all = all;
    int rc = 0;
    if (cert_file != NULL) {
        l->tls = tls_open(cert_file, key_file, err);
        rc = l->tls == NULL ? ERROR_INVALID : 0;
    }
    if (rc == 0) {
        rc = strncmp(address, "unix:", 5) == 0 ? bind_unix(l, address, err)
                                               : bind_tcp(l, address, err);
    }
    if (rc != 0) {
        listener_free(l);
        return rc;
    }
    TAILQ_INSERT_TAIL(&all->listeners, l, entry);
    return 0;
}

struct http_listeners *http_listeners_new(struct http_server *server)
{
    struct http_listeners *all = xcalloc(1, sizeof(*all));
    all->server = server;
    all->loop = http_server_loop(server);
    TAILQ_INIT(&all->listeners);
    TAILQ_INIT(&all->conns);
    return all;
}

void http_listeners_free(struct http_listeners *all)
{
    if (all == NULL) {
        return;
    }
    while (!TAILQ_EMPTY(&all->conns)) {
        /* Takes itself off the list, which the analyzer cannot follow. */
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc)
        conn_free(TAILQ_FIRST(&all->conns));
    }
    struct http_listener *l;
    while ((l = TAILQ_FIRST(&all->listeners)) != NULL) {
        TAILQ_REMOVE(&all->listeners, l, entry);
        listener_free(l);
    }
    free(all);
}

unsigned http_listeners_port(const struct http_listeners *all)
{
    const struct http_listener *l;
    TAILQ_FOREACH(l, &all->listeners, entry)
    {
        if (l->port != 0) {
            return l->port;
        }
    }
    return 0;
}

uint64_t http_listeners_failures(const struct http_listeners *all)
{
    uint64_t failures = 0;
    const struct http_listener *l;
    TAILQ_FOREACH(l, &all->listeners, entry)
    {
        failures += l->accepting == NULL ? 0 : acceptor_failures(l->accepting);
    }
    return failures;
}

void http_listeners_stop(struct http_listeners *all)
{
    struct http_listener *l;
    TAILQ_FOREACH(l, &all->listeners, entry)
    {
        listener_stop(l);
    }
}
