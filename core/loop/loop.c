/*
 * Timers live in our own binary heap, ordered by due time, then by order of start; the event
 * library sees a single timeout whose only use is to bound a wait. So timers behave the same with
 * both clocks, and a virtual clock needs no event library at all.
 *
 * Order inside a round: I/O callbacks, due timers, deferred calls that were there when it began.
 */
#include "core/loop/loop.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "core/base/xalloc.h"

#define HEAP_NONE SIZE_MAX
/* A wait with no timer ends after this: an empty event base would return at once and we'd spin. */
#define LOOP_WAIT_MAX_MS INT64_C(3600000)
/* A due time further away is as good as never, and adding to it must not overflow. */
#define LOOP_DELAY_MAX_MS (INT64_MAX / 4)

struct loop_timer {
    struct loop *loop;
    loop_fn fn;
    void *arg;
    int64_t due_ms;
    uint64_t sequence; /* of the last start: breaks ties, and marks what began in this round */
    size_t heap_idx;   /* HEAP_NONE when stopped */
};

struct loop_call {
    loop_fn fn; /* NULL when cancelled */
    void *arg;
};

struct loop {
    struct clock *clock;
    struct event_base *base;  /* NULL with a virtual clock */
    struct event *wait_limit; /* bounds the wait; its callback does nothing */
    bool is_woken;
    bool is_polling;

    struct loop_timer **heap;
    size_t heap_size;
    size_t heap_capacity;
    size_t timer_count;
    uint64_t next_sequence;

    struct loop_call *calls; /* [call_head, call_end) are still to run */
    size_t call_head;
    size_t call_end;
    size_t call_capacity;
    size_t call_live; /* of those, not cancelled */
};

/* ---- the heap ---- */

static bool is_before(const struct loop_timer *a, const struct loop_timer *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->sequence < b->sequence;
}

static void heap_place(struct loop *loop, size_t idx, struct loop_timer *timer)
{
    loop->heap[idx] = timer;
    timer->heap_idx = idx;
}

static void heap_rise(struct loop *loop, size_t idx, struct loop_timer *timer)
{
    while (idx > 0 && is_before(timer, loop->heap[(idx - 1) / 2])) {
        heap_place(loop, idx, loop->heap[(idx - 1) / 2]);
        idx = (idx - 1) / 2;
    }
    heap_place(loop, idx, timer);
}

static void heap_sink(struct loop *loop, size_t idx, struct loop_timer *timer)
{
    for (;;) {
        size_t child = 2 * idx + 1;
        if (child >= loop->heap_size) {
            break;
        }
        if (child + 1 < loop->heap_size && is_before(loop->heap[child + 1], loop->heap[child])) {
            child++;
        }
        if (!is_before(loop->heap[child], timer)) {
            break;
        }
        heap_place(loop, idx, loop->heap[child]);
        idx = child;
    }
    heap_place(loop, idx, timer);
}

static void heap_add(struct loop *loop, struct loop_timer *timer)
{
    if (loop->heap_size == loop->heap_capacity) {
        loop->heap_capacity = loop->heap_capacity == 0 ? 16 : loop->heap_capacity * 2;
        loop->heap = xrealloc(loop->heap, loop->heap_capacity * sizeof(struct loop_timer *));
    }
    loop->heap_size++;
    heap_rise(loop, loop->heap_size - 1, timer);
}

static void heap_remove(struct loop *loop, struct loop_timer *timer)
{
    size_t idx = timer->heap_idx;
    timer->heap_idx = HEAP_NONE;
    struct loop_timer *last = loop->heap[--loop->heap_size];
    if (last == timer) {
        return;
    }
    if (idx > 0 && is_before(last, loop->heap[(idx - 1) / 2])) {
        heap_rise(loop, idx, last);
    } else {
        heap_sink(loop, idx, last);
    }
}

/* ---- waiting ---- */

static void on_wait_limit(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
}

static bool start_event_library(struct loop *loop)
{
    struct event_config *cfg = event_config_new();
    if (cfg == NULL) {
        return false;
    }
    /* Coalesces libcurl's many small socket changes into fewer system calls (design 11). */
    event_config_set_flag(cfg, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
    loop->base = event_base_new_with_config(cfg);
    event_config_free(cfg);
    if (loop->base == NULL) {
        return false;
    }
    loop->wait_limit = evtimer_new(loop->base, on_wait_limit, NULL);
    return loop->wait_limit != NULL;
}

static void poll_io(struct loop *loop, bool must_wait)
{
    int flags = EVLOOP_ONCE;
    if (must_wait) {
        int64_t wait_ms = loop_next_timer_ms(loop);
        if (wait_ms < 0 || wait_ms > LOOP_WAIT_MAX_MS) {
            wait_ms = LOOP_WAIT_MAX_MS;
        }
        struct timeval limit = {(time_t)(wait_ms / 1000), (suseconds_t)(wait_ms % 1000 * 1000)};
        event_add(loop->wait_limit, &limit);
    } else {
        flags |= EVLOOP_NONBLOCK;
    }
    event_base_loop(loop->base, flags);
    event_del(loop->wait_limit);
}

/* Moves virtual time to the next timer. False when there is none. */
static bool jump_to_next_timer(struct loop *loop)
{
    int64_t delta_ms = loop_next_timer_ms(loop);
    if (delta_ms > 0) {
        clock_advance(loop->clock, delta_ms);
    }
    return delta_ms >= 0;
}

/* ---- running ---- */

static void run_due_timers(struct loop *loop)
{
    int64_t now_ms = clock_mono_ms(loop->clock);
    /* A timer (re)started from here on carries a later sequence and a due time that is no earlier,
     * so it sorts behind all that are due now: stopping at the first such one misses nothing. */
    uint64_t round_sequence = loop->next_sequence;
    while (loop->heap_size > 0) {
        struct loop_timer *timer = loop->heap[0];
        if (timer->due_ms > now_ms || timer->sequence >= round_sequence) {
            return;
        }
        heap_remove(loop, timer);
        timer->fn(timer->arg); /* may free the timer */
    }
}

static void run_deferred(struct loop *loop, size_t end)
{
    while (loop->call_head < end) {
        struct loop_call call = loop->calls[loop->call_head++];
        if (call.fn != NULL) {
            loop->call_live--;
            call.fn(call.arg);
        }
    }
    size_t left = loop->call_end - loop->call_head;
    if (left > 0) {
        memmove(loop->calls, loop->calls + loop->call_head, left * sizeof(*loop->calls));
    }
    loop->call_head = 0;
    loop->call_end = left;
}

bool loop_poll(struct loop *loop, bool may_wait)
{
    assert(!loop->is_polling);
    loop->is_polling = true;
    size_t deferred_end = loop->call_end;
    bool must_wait = may_wait && !loop->is_woken && loop->call_live == 0;
    bool can_go_on = true;
    if (loop->base != NULL) {
        poll_io(loop, must_wait && loop_next_timer_ms(loop) != 0);
    } else if (must_wait) {
        can_go_on = jump_to_next_timer(loop);
    }
    loop->is_woken = false;
    run_due_timers(loop);
    run_deferred(loop, deferred_end);
    loop->is_polling = false;
    return can_go_on;
}

void loop_wake(struct loop *loop)
{
    /* Any callback of the event library ends the wait by itself (EVLOOP_ONCE); the break is for the
     * ones still queued behind it, the flag for a wake between two rounds. */
    loop->is_woken = true;
    if (loop->base != NULL) {
        event_base_loopbreak(loop->base);
    }
}

void loop_defer(struct loop *loop, loop_fn fn, void *arg)
{
    assert(fn != NULL);
    if (loop->call_end == loop->call_capacity) {
        loop->call_capacity = loop->call_capacity == 0 ? 64 : loop->call_capacity * 2;
        loop->calls = xrealloc(loop->calls, loop->call_capacity * sizeof(*loop->calls));
    }
    loop->calls[loop->call_end++] = (struct loop_call){fn, arg};
    loop->call_live++;
}

void loop_defer_cancel(struct loop *loop, loop_fn fn, void *arg)
{
    for (size_t i = loop->call_head; i < loop->call_end; i++) {
        struct loop_call *call = &loop->calls[i];
        if (call->fn == fn && call->arg == arg) {
            call->fn = NULL;
            loop->call_live--;
        }
    }
}

/* ---- timers ---- */

struct loop_timer *loop_timer_new(struct loop *loop, loop_fn fn, void *arg)
{
    struct loop_timer *timer = xcalloc(1, sizeof(*timer));
    timer->loop = loop;
    timer->fn = fn;
    timer->arg = arg;
    timer->heap_idx = HEAP_NONE;
    loop->timer_count++;
    return timer;
}

void loop_timer_start(struct loop_timer *timer, int64_t delay_ms)
{
    loop_timer_stop(timer);
    struct loop *loop = timer->loop;
    if (delay_ms < 0) {
        delay_ms = 0;
    } else if (delay_ms > LOOP_DELAY_MAX_MS) {
        delay_ms = LOOP_DELAY_MAX_MS;
    }
    timer->due_ms = clock_mono_ms(loop->clock) + delay_ms;
    timer->sequence = loop->next_sequence++;
    heap_add(loop, timer);
}

void loop_timer_stop(struct loop_timer *timer)
{
    if (timer->heap_idx != HEAP_NONE) {
        heap_remove(timer->loop, timer);
    }
}

bool loop_timer_is_running(const struct loop_timer *timer)
{
    return timer->heap_idx != HEAP_NONE;
}

void loop_timer_free(struct loop_timer *timer)
{
    if (timer == NULL) {
        return;
    }
    loop_timer_stop(timer);
    timer->loop->timer_count--;
    free(timer);
}

size_t loop_timer_count(const struct loop *loop)
{
    return loop->timer_count;
}

int64_t loop_next_timer_ms(const struct loop *loop)
{
    if (loop->heap_size == 0) {
        return -1;
    }
    int64_t left_ms = loop->heap[0]->due_ms - clock_mono_ms(loop->clock);
    return left_ms > 0 ? left_ms : 0;
}

/* ---- life ---- */

struct loop *loop_new(struct clock *clock)
{
    struct loop *loop = xcalloc(1, sizeof(*loop));
    loop->clock = clock;
    if (!clock_is_virtual(clock) && !start_event_library(loop)) {
        loop_free(loop);
        return NULL;
    }
    return loop;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL) {
        return;
    }
    assert(loop->timer_count == 0);
    if (loop->wait_limit != NULL) {
        event_free(loop->wait_limit);
    }
    if (loop->base != NULL) {
        event_base_free(loop->base);
    }
    free(loop->heap);
    free(loop->calls);
    free(loop);
}

struct clock *loop_clock(struct loop *loop)
{
    return loop->clock;
}

struct event_base *loop_event_base(struct loop *loop)
{
    return loop->base;
}
