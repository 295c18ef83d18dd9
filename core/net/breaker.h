/*
 * Decides whether an endpoint is worth calling. Pure: monotonic milliseconds are passed in.
 *
 * closed --(limit failures in a row)--> open --(cool_ms)--> half open --(probe ok)--> closed
 *                                        ^------------------(probe failed)--'
 */
#ifndef NEAP_CORE_NET_BREAKER_H
#define NEAP_CORE_NET_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#define BREAKER_STATE_LIST(X)                                                                      \
    X(BREAKER_CLOSED, "closed")                                                                    \
    X(BREAKER_OPEN, "open")                                                                        \
    X(BREAKER_HALF_OPEN, "half_open")

enum breaker_state {
#define BREAKER_STATE_ENUM(symbol, name) symbol,
    BREAKER_STATE_LIST(BREAKER_STATE_ENUM)
#undef BREAKER_STATE_ENUM
};

const char *breaker_state_name(enum breaker_state state);

enum breaker_outcome {
    BREAKER_GOOD,    /* the endpoint answered */
    BREAKER_BAD,     /* it did not, or said that it cannot */
    BREAKER_UNKNOWN, /* cancelled, or failed on our side: says nothing about the endpoint */
};

struct breaker {
    enum breaker_state state;
    unsigned limit;
    unsigned failures; /* in a row, while closed */
    int64_t cool_ms;
    int64_t opened_ms;
    bool has_probe; /* half open: the one call is on its way */
};

void breaker_init(struct breaker *b, unsigned limit, int64_t cool_ms); /* limit 0 counts as 1 */
/* Moves open to half open when it is time; true when it moved. */
bool breaker_cool(struct breaker *b, int64_t now_ms);
/* Opens a closed one that is known to have been down: it cools at the next breaker_cool. */
void breaker_suspect(struct breaker *b, int64_t now_ms);
/* May a call start? In half open the first asker becomes the probe (*is_probe_out). */
bool breaker_admit(struct breaker *b, bool *is_probe_out);
/* Reports how an admitted call ended. Results of older calls do not count unless closed. */
void breaker_report(struct breaker *b, bool is_probe, enum breaker_outcome outcome, int64_t now_ms);

#endif
