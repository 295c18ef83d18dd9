/*
 * Does what a host is about to send stand in the durable image of its store? Read there by LMDB
 * itself and by docs/store-layout.md, with no code of the host.
 *
 *   answer 2xx      the same status and body are an event's answer (A), the event (E) is there and
 *                   known by its source and id (U), and so is the job it made (J); each part of
 *                   its id stands in the request. Or the answer repeats a cancellation's decision
 *                   that the script's table has (K)
 *   request that    the same method, target and body (q) belong to an effect in state intent (F)
 *   changes things
 *
 * Requests that only ask (GET, HEAD, SOAP operations but Import* and the
 * paid ones), answers to GET and HEAD, other
 * statuses and {"accepted":false} need nothing. A 2xx whose request was not seen has no ground.
 */
#ifndef NEAP_TESTS_POWER_ORDER_H
#define NEAP_TESTS_POWER_ORDER_H

#include <stdbool.h>
#include <stddef.h>

struct order_counts {
    unsigned answers;
    unsigned oks; /* the answers among them with status 200 */
    unsigned effects;
};

/* A peer's connection was accepted; so much came in on it (on others it is of no interest). */
void order_accepted(int fd);
void order_received(int fd, const char *data, size_t size);
/* Before data leave through the socket: NULL when they may, else what is missing, valid until the
 * next call. A message may come in pieces. */
const char *order_check(int fd, const char *data, size_t size);
/* Afterwards: so much of it has left. */
void order_sent(int fd, const char *data, size_t size);
void order_closed(int fd);
struct order_counts order_counts(void);

#endif
