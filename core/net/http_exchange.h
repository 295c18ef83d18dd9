/*
 * Between the server and what carries its exchanges (sockets, loopback); private to core/net.
 *
 * sink  the side that brought the request and wants the answer. It may go away before the answer
 *       (http_exchange_detach); the exchange lives on until the handler answers into nothing.
 */
#ifndef NEAP_CORE_NET_HTTP_EXCHANGE_H
#define NEAP_CORE_NET_HTTP_EXCHANGE_H

#include "core/net/http_server.h"

enum http_reply_kind {
    HTTP_REPLY_WHOLE,
    HTTP_REPLY_RESET,
    HTTP_REPLY_CLOSE,
    HTTP_REPLY_TRUNCATE,
    HTTP_REPLY_DROPPED, /* the server goes away */
};

/* headers are final: Content-Length and Date are in them. body is empty where none may be sent
 * (HEAD, 204, 304); half of it for HTTP_REPLY_TRUNCATE. All borrowed during the call. */
struct http_reply {
    enum http_reply_kind kind;
    int status;
    const struct http_headers *headers;
    struct bytes body;
};

/* Called once per exchange, unless detached before; the exchange is gone afterwards. Must not call
 * the server's handler. */
typedef void (*http_sink_fn)(void *sink, const struct http_reply *reply);

/* What the sink hands over: members are taken, the struct is emptied. */
struct http_incoming {
    char *method;
    char *path;
    char *query;
    char *peer;
    struct http_headers headers;
    struct buf body;
    bool is_cut; /* the body was not read: the handler refuses it by its head */
    size_t announced_bytes;
};

void http_incoming_free(struct http_incoming *in);

/* Queues an exchange; the handler sees it in a deferred call, never from within here. */
struct http_exchange *http_exchange_open(struct http_server *server, struct http_incoming *in,
                                         http_sink_fn on_reply, void *sink);
/* The sink is gone: on_reply cannot be called any more. */
void http_exchange_detach(struct http_exchange *x);

/* How much of its body the handler takes, see http_body_limit_fn. */
int64_t http_server_body_limit(const struct http_server *server, const struct http_head *head);
const struct http_server_options *http_server_limits(const struct http_server *server);
struct loop *http_server_loop(const struct http_server *server);
bool http_server_is_accepting(const struct http_server *server);

/* A peer that hangs up must not kill the process: libevent and OpenSSL write without MSG_NOSIGNAL.
 * Process-wide, only where the program has not chosen otherwise. */
void net_ignore_broken_pipes(void);

/* Reason phrase; "" for statuses nobody named. */
const char *http_status_reason(int status);

/* The listeners of a server (http_listener.c). */
struct http_listeners;
struct http_listeners *http_listeners_new(struct http_server *server);
void http_listeners_free(struct http_listeners *all); /* closes connections too; accepts NULL */
int http_listeners_add(struct http_listeners *all, const char *address, const char *cert_file,
                       const char *key_file, struct error *err) NEAP_MUST_USE;
unsigned http_listeners_port(const struct http_listeners *all);
uint64_t http_listeners_failures(const struct http_listeners *all);
void http_listeners_stop(struct http_listeners *all); /* accepts no more; connections go on */

#endif
