/*
 * Does what a host is about to send stand in the durable image of its store? Read there by LMDB
 * itself and by docs/store-layout.md, with no code of the host.
 *
 *   answer 201      the same status and body are an event's answer (A), the event (E) is there and
 *                   known by its source and id (U), and so is the job it made (J)
 *   request that    the same method, target and body (q) belong to an effect in state intent (F)
 *   changes things
 *
 * Requests that only ask (GET, HEAD, SOAP operations but Import*) and other answers need nothing.
 */
#ifndef NEAP_TESTS_POWER_ORDER_H
#define NEAP_TESTS_POWER_ORDER_H

#include <stdbool.h>
#include <stddef.h>

struct order_counts {
    unsigned answers;
    unsigned effects;
};

/* Before data leave through the socket: NULL when they may, else what is missing, valid until the
 * next call. A message may come in pieces. */
const char *order_check(int fd, const char *data, size_t size);
/* Afterwards: so much of it has left. */
void order_sent(int fd, const char *data, size_t size);
void order_closed(int fd);
struct order_counts order_counts(void);

#endif
