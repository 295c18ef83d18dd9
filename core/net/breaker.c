/* Breaker. While open, late results of calls begun before are ignored: they neither extend the
 * pause nor end it, so that exactly the probe decides. */
#include "core/net/breaker.h"

#include <string.h>

const char *breaker_state_name(enum breaker_state state)
{
    switch (state) {
#define BREAKER_STATE_CASE(symbol, name)                                                           \
    case symbol:                                                                                   \
        return name;
        BREAKER_STATE_LIST(BREAKER_STATE_CASE)
#undef BREAKER_STATE_CASE
    }
    return "unknown";
}

void breaker_init(struct breaker *b, unsigned limit, int64_t cool_ms)
{
    memset(b, 0, sizeof(*b));
    b->limit = limit == 0 ? 1 : limit;
    b->cool_ms = cool_ms;
}

bool breaker_cool(struct breaker *b, int64_t now_ms)
{
    if (b->state != BREAKER_OPEN || now_ms - b->opened_ms < b->cool_ms) {
        return false;
    }
    b->state = BREAKER_HALF_OPEN;
    b->has_probe = false;
    return true;
}

bool breaker_admit(struct breaker *b, bool *is_probe_out)
{
    *is_probe_out = false;
    if (b->state == BREAKER_CLOSED) {
        return true;
    }
    if (b->state == BREAKER_OPEN || b->has_probe) {
        return false;
    }
    b->has_probe = true;
    *is_probe_out = true;
    return true;
}

static void trip(struct breaker *b, int64_t now_ms)
{
    b->state = BREAKER_OPEN;
    b->opened_ms = now_ms;
    b->failures = 0;
    b->has_probe = false;
}

void breaker_suspect(struct breaker *b, int64_t now_ms)
{
    if (b->state == BREAKER_CLOSED) {
        trip(b, now_ms - b->cool_ms);
    }
}

static void report_probe(struct breaker *b, enum breaker_outcome outcome, int64_t now_ms)
{
    b->has_probe = false;
    if (outcome == BREAKER_GOOD) {
        b->state = BREAKER_CLOSED;
        b->failures = 0;
    } else if (outcome == BREAKER_BAD) {
        trip(b, now_ms);
    }
}

void breaker_report(struct breaker *b, bool is_probe, enum breaker_outcome outcome, int64_t now_ms)
{
    if (is_probe && b->state == BREAKER_HALF_OPEN) {
        report_probe(b, outcome, now_ms);
        return;
    }
    if (b->state != BREAKER_CLOSED || outcome == BREAKER_UNKNOWN) {
        return;
    }
    b->failures = outcome == BREAKER_GOOD ? 0 : b->failures + 1;
    if (b->failures >= b->limit) {
        trip(b, now_ms);
    }
}
