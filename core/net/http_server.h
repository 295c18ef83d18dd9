/*
 * HTTP server: listeners (libevent), limits, and exchanges that are answered now or later.
 * One handler sees every request; routing by path is the host's matter. The loopback transport
 * feeds the same handler without a socket.
 */
#ifndef NEAP_CORE_NET_HTTP_SERVER_H
#define NEAP_CORE_NET_HTTP_SERVER_H

#include "core/loop/loop.h"
#include "core/net/http_message.h"
#include "core/net/transport.h"

struct http_server;
struct http_exchange; /* one request and the duty to answer it */

struct http_head {
    const char *method;
    const char *path;
    const struct http_headers *headers;
};

/*
 * Asked when the head of a request is whole and its body is still to come: how many bytes of it the
 * handler takes. Negative, or fewer than announced: the body is not read; the handler gets the
 * request without it (http_exchange_is_cut), refuses it, and the connection ends with the answer.
 */
typedef int64_t (*http_body_limit_fn)(void *arg, const struct http_head *head);

struct http_server_options {
    http_body_limit_fn body_limit; /* NULL: max_body_bytes for everybody; arg is the handler's */
    size_t max_header_bytes;       /* default 32 KiB */
    size_t max_body_bytes;         /* default 8 MiB; above: 413 without calling the handler */
    int64_t idle_timeout_ms;       /* default 60,000 */
    /* default 4,096; above: one that asks nothing is closed for the new one, or that gets 503 */
    unsigned max_connections;
    size_t
        max_reading_bytes; /* bodies under way, of all connections; default 128 MiB; above: 503 */
};

/*
 * Must answer the exchange exactly once, now or later, by http_exchange_answer, _late or _abort.
 * Runs in a deferred call of the loop, never inside a library's callback; must not free the server.
 */
typedef void (*http_handler_fn)(void *arg, struct http_exchange *x);

struct http_server *http_server_new(struct loop *loop, const struct http_server_options *options,
                                    http_handler_fn handler, void *arg);
/* Exchanges still open are dropped. Accepts NULL. Loopback transports to it start nothing
 * afterwards: free them first. With sockets, one loop_poll afterwards lets libevent close them. */
void http_server_free(struct http_server *server);

/* address "127.0.0.1:8080", "[::1]:0", "unix:/path" (mode 0600, removed when stopped). TLS when
 * both files are given. ERROR_INVALID: address or certificate; ERROR_IO: the system refuses. */
int http_server_listen(struct http_server *server, const char *address, const char *cert_file,
                       const char *key_file, struct error *err) NEAP_MUST_USE;
unsigned
http_server_port(const struct http_server *server); /* of the first TCP listener; 0 = none */
/* Open exchanges go on; their connections close with the answer. Loopback requests are refused. */
void http_server_stop_accepting(struct http_server *server);
/* As when the process ends: the peers' connections break now, what is answered later goes nowhere.
 * Loopback only. */
void http_server_hang_up(struct http_server *server);
#define HTTP_STATUS_MAX 600
/* Requests answered without the handler (400, 408, 413, 431, ...), by status below HTTP_STATUS_MAX;
 * the handler's owner may add its own by http_server_count_refusal. */
const uint64_t *http_server_refusals(const struct http_server *server);
void http_server_count_refusal(struct http_server *server, int status);
/* How often no connection could be accepted, for want of file descriptors. */
uint64_t http_server_accept_failures(const struct http_server *server);
size_t http_server_open_exchanges(const struct http_server *server);

/* Views, valid until the exchange is answered. */
const char *http_exchange_method(const struct http_exchange *x);
const char *http_exchange_path(const struct http_exchange *x);  /* decoded? no: as sent, no query */
const char *http_exchange_query(const struct http_exchange *x); /* as sent, "" when none */
const struct http_headers *http_exchange_headers(const struct http_exchange *x);
struct bytes http_exchange_body(const struct http_exchange *x);
bool http_exchange_is_cut(const struct http_exchange *x);      /* it has a body that was not read */
size_t http_exchange_body_size(const struct http_exchange *x); /* of a cut one: as announced */
const char *http_exchange_peer(const struct http_exchange *x);
int64_t http_exchange_started_ms(const struct http_exchange *x); /* monotonic */

/* Sends and ends the exchange (x is gone). headers may be NULL; Content-Length is set here. A peer
 * that has gone away is not an error. delay_ms holds the answer back (sandboxes). */
void http_exchange_answer(struct http_exchange *x, int status, const struct http_headers *headers,
                          struct bytes body);
void http_exchange_answer_late(struct http_exchange *x, int status,
                               const struct http_headers *headers, struct bytes body,
                               int64_t delay_ms);

/* Ends the exchange rudely: what a sandbox may be told to do. */
enum http_rudeness {
    HTTP_RUDE_RESET,    /* reset the connection, no answer */
    HTTP_RUDE_CLOSE,    /* close without an answer */
    HTTP_RUDE_TRUNCATE, /* declare the whole body, send half, close */
};
void http_exchange_abort(struct http_exchange *x, enum http_rudeness how, int status,
                         const struct http_headers *headers, struct bytes body, int64_t delay_ms);

struct http_head http_exchange_head(const struct http_exchange *x);

/* True when the Authorization header carries exactly this user and password; constant time. */
bool http_head_has_basic(const struct http_head *head, const char *user, const char *password);

/* Transport that delivers to this server in the same process; latency from the loop's timers. */
struct transport *transport_loopback_new(struct loop *loop, struct http_server *server);

/* Several servers in one process, by the name that URLs give them. Outlives its transports. */
struct loopback_network;
struct loopback_network *loopback_network_new(void);
void loopback_network_free(struct loopback_network *network); /* accepts NULL */
/* server is borrowed; NULL: nobody listens there (again), connections are refused. */
void loopback_network_set(struct loopback_network *network, const char *name,
                          struct http_server *server);
struct transport *transport_loopback_join(struct loop *loop,
                                          const struct loopback_network *network);
/* Transport over libcurl. NULL when it cannot start. */
struct transport *transport_curl_new(struct loop *loop);

#endif
