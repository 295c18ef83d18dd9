/*
 * A transport that lets nothing out which could change the other side, and no more than a budget
 * allows: for verbs that look at a client's systems before anybody may write to them.
 *
 * It stands before the real transport, so it does not matter what a script asks for: GET and HEAD
 * go through, and a POST whose whole body is one SOAP envelope that calls one operation of the list
 * below and whose SOAPAction names the same one. Everything else ends in ERROR_INVALID, unsent.
 */
#ifndef NEAP_CORE_NET_TRANSPORT_READ_ONLY_H
#define NEAP_CORE_NET_TRANSPORT_READ_ONLY_H

#include "core/loop/loop.h"
#include "core/net/transport.h"

struct read_only_options {
    uint64_t max_calls;  /* beyond: ERROR_LIMIT; 0 = no bound */
    int64_t max_time_ms; /* from now on, monotonic; later calls: ERROR_LIMIT; 0 = no bound */
};

/* Takes inner over, loop is borrowed. */
struct transport *transport_read_only_new(struct loop *loop, struct transport *inner,
                                          const struct read_only_options *options);

/* No call leaves from now on: ERROR_CANCELLED. */
void transport_read_only_stop(struct transport *t);

struct read_only_stats {
    uint64_t calls;   /* let out */
    uint64_t refused; /* because they could change something */
    uint64_t failed;  /* let out and not answered, or answered 429 or 5xx */
    const char *over; /* why nothing leaves any more: "calls", "time", "stopped"; NULL: it does */
};
void transport_read_only_stats(const struct transport *t, struct read_only_stats *out);

/* Whether this request changes nothing, by the rules above. Pure. */
bool read_only_allows(const struct http_request *request);

#endif
