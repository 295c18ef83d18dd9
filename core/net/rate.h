/*
 * How soon the next request may leave: a token bucket of our own and delays told by the server.
 * Pure: monotonic milliseconds are passed in. A plain value.
 */
#ifndef NEAP_CORE_NET_RATE_H
#define NEAP_CORE_NET_RATE_H

#include <stdint.h>

struct rate {
    double interval_ms;    /* between requests in the long run; 0 = no limit of our own */
    double slack_ms;       /* how far ahead of the interval a burst may run */
    double next_ms;        /* when a request without burst would be due */
    int64_t not_before_ms; /* the server asked for silence until then */
};

/* per_s <= 0 means no limit of our own; burst 0 counts as 1. */
void rate_init(struct rate *r, double per_s, unsigned burst, int64_t now_ms);
/* 0 when a request may leave now, else the milliseconds to wait. */
int64_t rate_wait_ms(const struct rate *r, int64_t now_ms);
/* Counts one request that leaves now. */
void rate_take(struct rate *r, int64_t now_ms);
/* The server asked for delay_ms of silence; a shorter one never cuts a longer one. */
void rate_delay(struct rate *r, int64_t now_ms, int64_t delay_ms);

#endif
