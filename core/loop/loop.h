/*
 * The event loop of the host: I/O readiness (libevent), timers, deferred calls. One thread.
 *
 * With a virtual clock nothing is polled: when nothing is due, time jumps to the next timer.
 */
#ifndef NEAP_CORE_LOOP_LOOP_H
#define NEAP_CORE_LOOP_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/clock.h"

struct loop;
struct loop_timer;
struct event_base;

typedef void (*loop_fn)(void *arg);

/* clock is borrowed and outlives the loop. NULL when the event library cannot start. */
struct loop *loop_new(struct clock *clock);
void loop_free(struct loop *loop); /* every timer must have been freed: asserted */

struct clock *loop_clock(struct loop *loop);
struct event_base *loop_event_base(struct loop *loop); /* NULL with a virtual clock */

/*
 * One round: waits (only when may_wait) until I/O, a due timer or a deferred call, then runs what
 * is due, at most each timer once. Deferred calls made during the round run in the next one.
 * Returns false when may_wait and nothing can ever happen any more (virtual clock, no timer).
 */
bool loop_poll(struct loop *loop, bool may_wait);

/* Makes a waiting loop_poll return. Async-signal-safe is not promised; call it on the loop thread.
 */
void loop_wake(struct loop *loop);

/* Runs fn(arg) in the next round, in call order. */
void loop_defer(struct loop *loop, loop_fn fn, void *arg);
/* Forgets every deferred call with this pair; after it returns, fn(arg) cannot run. */
void loop_defer_cancel(struct loop *loop, loop_fn fn, void *arg);

/* A one-shot timer, stopped when made. Not set again by itself. */
struct loop_timer *loop_timer_new(struct loop *loop, loop_fn fn, void *arg);
void loop_timer_start(struct loop_timer *timer, int64_t delay_ms); /* restarts when running */
void loop_timer_stop(struct loop_timer *timer);
bool loop_timer_is_running(const struct loop_timer *timer);
void loop_timer_free(struct loop_timer *timer); /* accepts NULL; stops first */

size_t loop_timer_count(const struct loop *loop);    /* made and not freed, for leak checks */
int64_t loop_next_timer_ms(const struct loop *loop); /* delay to the next one; -1 when none runs */

#endif
