/*
 * A named outside endpoint of a client: base URL, credentials, rate, concurrency, timeouts,
 * breaker. Requests queue here in order until rate and concurrency let them through.
 *
 * breaker  closed (normal) -> open (after `breaker_failures` transport failures or 502/503/504 in a
 *          row) -> half open (one probe after `breaker_cool_ms`) -> closed or open again
 */
#ifndef NEAP_CORE_NET_CONNECTION_H
#define NEAP_CORE_NET_CONNECTION_H

#include "core/loop/loop.h"
#include "core/net/breaker.h"
#include "core/net/signature.h"
#include "core/net/transport.h"

struct connection;
struct connection_call; /* one request, queued or under way */

/* 0 in a number means its default. */
struct connection_options {
    const char *name;
    const char *base_url; /* requests give a path, or an absolute URL that starts with this */
    struct http_headers headers; /* added to every request (tokens); never logged */
    const char *basic_user;      /* NULL: no basic authentication; of a mail server: its login */
    const char *basic_password;
    struct signature signature;
    struct transport_policy policy;
    int64_t timeout_ms; /* one request from its sending, queueing not counted; default 30,000 */
    unsigned max_concurrent;   /* default 8 */
    double rate_per_s;         /* token bucket; 0 = no limit of our own */
    unsigned rate_burst;       /* default 1 */
    unsigned breaker_failures; /* default 5 */
    int64_t breaker_cool_ms;   /* default 10,000 */
    int64_t settle_ms; /* soonest look-up after a send whose outcome is unknown; 0: at once */
};

/* Told on each change, also by a timer when the cool-down ends; must not call back into the
 * connection. */
typedef void (*connection_breaker_fn)(void *arg, struct connection *c, enum breaker_state state);

/* 0, or ERROR_INVALID with a message: http or https, a host, no user, query, fragment or blanks;
 * or smtp or smtps with a host alone. */
int connection_check_base_url(const char *base_url, struct error *err) NEAP_MUST_USE;
bool connection_is_mail(const char *base_url);
/* The host is this machine: 127.x.x.x, [::1] or localhost. */
bool connection_is_loopback(const char *base_url);

/* Copies the options. transport is borrowed. With a base URL that connection_check_base_url
 * refuses, every request ends in that error. */
struct connection *connection_new(struct loop *loop, struct transport *transport,
                                  const struct connection_options *options,
                                  connection_breaker_fn on_breaker, void *arg);
/* Cancels every call silently (their done cannot fire). Accepts NULL. */
void connection_free(struct connection *c);
const struct connection_options *connection_options(const struct connection *c);
enum breaker_state connection_breaker(const struct connection *c);
/* Calls wait for this connection since before it was made: its first call is a probe. on_breaker is
 * told (half open) by the loop, soon. */
void connection_suspect(struct connection *c);
/* The newest failure that counted for the breaker; "" when there was none. Valid until the next. */
const char *connection_last_error(const struct connection *c);

/*
 * Queues a request (members taken over: *request is emptied). To a mail server the method is MAIL
 * (core/net/smtp.h) and the URL empty, to others anything else. `url` may be empty (the base URL),
 * a query ("?wsdl"), a path ("/orders") or a URL below base_url; anything else, dot segments,
 * headers that frame the message (Host, Content-Length, Transfer-Encoding, Connection, ...) and a
 * request while the breaker is open, end in done with ERROR_INVALID or ERROR_NETWORK (maybe_sent
 * false, is_retryable true for the latter). Headers and credentials of the connection are added
 * where the request does not name that header itself. X-RateLimit-Remaining/Reset and Retry-After
 * of answers delay later calls. Never calls done at once; the call is gone when done runs. done may
 * use or free the connection.
 */
struct connection_call *connection_send(struct connection *c, struct http_request *request,
                                        transport_done_cb done, void *arg);
/* done can no longer fire. Not after done, nor within it. False: certainly no byte of it left, it
 * still waited its turn. */
bool connection_cancel(struct connection *c, struct connection_call *call);

/* For good: from now on no call begins; what waits its turn can be cancelled. */
void connection_stop(struct connection *c);

struct connection_stats {
    uint64_t sent, answered, failed, rate_waits;
    uint64_t by_class[6]; /* answers by status / 100 */
    unsigned queued, under_way;
};
void connection_stats(const struct connection *c, struct connection_stats *out);

#endif
