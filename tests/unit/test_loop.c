/* The loop: order of timers and deferred calls, virtual time, waking, I/O with the system clock. */
#include "core/loop/loop.h"

#include <signal.h>
#include <unistd.h>

#include <event2/event.h>

#include "core/base/xalloc.h"
#include "tests/support/tap.h"

#define START_MS INT64_C(1767225600000)

/* What ran, as a text of letters. */
struct trace {
    char text[64];
    size_t size;
};

/* One thing that writes its letter when it runs, and perhaps does more. */
struct mark {
    struct trace *trace;
    struct loop *loop;
    struct loop_timer *timer;
    struct mark *next; /* deferred, cancelled or stopped by the action */
    char letter;
};

static void write_mark(void *arg)
{
    struct mark *m = arg;
    if (m->trace->size + 1 < sizeof(m->trace->text)) {
        m->trace->text[m->trace->size++] = m->letter;
    }
}

static void mark_and_restart(void *arg)
{
    struct mark *m = arg;
    write_mark(m);
    loop_timer_start(m->timer, 0);
}

static void mark_and_defer_next(void *arg)
{
    struct mark *m = arg;
    write_mark(m);
    loop_defer(m->loop, write_mark, m->next);
}

static void mark_and_cancel_next(void *arg)
{
    struct mark *m = arg;
    write_mark(m);
    loop_defer_cancel(m->loop, write_mark, m->next);
}

static void mark_and_stop_next(void *arg)
{
    struct mark *m = arg;
    write_mark(m);
    loop_timer_stop(m->next->timer);
}

static void mark_and_free(void *arg)
{
    struct mark *m = arg;
    write_mark(m);
    loop_timer_free(m->timer);
    m->timer = NULL;
}

struct fixture {
    struct clock *clock;
    struct loop *loop;
    struct trace trace;
    struct mark marks[8]; /* letters a to h */
};

static void set_up(struct fixture *f, bool is_virtual)
{
    memset(f, 0, sizeof(*f));
    f->clock = is_virtual ? clock_new_virtual(START_MS) : clock_new_system();
    f->loop = loop_new(f->clock);
    CHECK(f->loop != NULL);
    for (size_t i = 0; i < 8; i++) {
        f->marks[i] = (struct mark){&f->trace, f->loop, NULL, NULL, (char)('a' + i)};
    }
}

static void start(struct fixture *f, size_t idx, loop_fn fn, int64_t delay_ms)
{
    f->marks[idx].timer = loop_timer_new(f->loop, fn, &f->marks[idx]);
    loop_timer_start(f->marks[idx].timer, delay_ms);
}

static void tear_down(struct fixture *f)
{
    for (size_t i = 0; i < 8; i++) {
        loop_timer_free(f->marks[i].timer);
    }
    CHECK_INT(loop_timer_count(f->loop), 0);
    loop_free(f->loop);
    clock_free(f->clock);
}

static void timers_run_in_order_of_due_time(void)
{
    struct fixture f;
    set_up(&f, true);
    start(&f, 0, write_mark, 300);
    start(&f, 1, write_mark, 100);
    start(&f, 2, write_mark, 200);
    start(&f, 3, write_mark, 100);
    CHECK_INT(loop_next_timer_ms(f.loop), 100);
    while (loop_poll(f.loop, true)) {
    }
    CHECK_STR(f.trace.text, "bdca");
    CHECK_INT(clock_wall_ms(f.clock), START_MS + 300);
    CHECK_INT(loop_next_timer_ms(f.loop), -1);
    tear_down(&f);
}

static void a_heap_of_many_timers_keeps_order(void)
{
    struct fixture f;
    set_up(&f, true);
    enum { COUNT = 500 };
    struct loop_timer *timers[COUNT];
    struct random_source random;
    random_init(&random, 7);
    for (size_t i = 0; i < COUNT; i++) {
        timers[i] = loop_timer_new(f.loop, write_mark, &f.marks[0]);
        loop_timer_start(timers[i], (int64_t)random_below(&random, 1000));
    }
    for (size_t i = 0; i < COUNT; i += 3) {
        loop_timer_stop(timers[i]);
    }
    for (size_t i = 1; i < COUNT; i += 3) {
        loop_timer_start(timers[i], (int64_t)random_below(&random, 1000));
    }
    size_t rounds = 0;
    int64_t before_ms = -1;
    while (loop_poll(f.loop, true)) {
        CHECK(clock_mono_ms(f.clock) > before_ms);
        before_ms = clock_mono_ms(f.clock);
        rounds++;
    }
    CHECK(rounds > 100);
    for (size_t i = 0; i < COUNT; i++) {
        CHECK(!loop_timer_is_running(timers[i]));
        loop_timer_free(timers[i]);
    }
    tear_down(&f);
}

static void a_timer_fires_once(void)
{
    struct fixture f;
    set_up(&f, true);
    start(&f, 0, write_mark, 10);
    CHECK(loop_timer_is_running(f.marks[0].timer));
    CHECK(loop_poll(f.loop, true));
    CHECK(!loop_timer_is_running(f.marks[0].timer));
    CHECK(!loop_poll(f.loop, true));
    CHECK_STR(f.trace.text, "a");
    tear_down(&f);
}

static void a_restart_inside_the_callback_waits_for_the_next_round(void)
{
    struct fixture f;
    set_up(&f, true);
    start(&f, 0, mark_and_restart, 0);
    start(&f, 1, write_mark, 0);
    CHECK(loop_poll(f.loop, false));
    CHECK_STR(f.trace.text, "ab");
    CHECK(loop_poll(f.loop, false));
    CHECK_STR(f.trace.text, "aba");
    tear_down(&f);
}

static void a_restart_moves_the_due_time(void)
{
    struct fixture f;
    set_up(&f, true);
    start(&f, 0, write_mark, 10);
    start(&f, 1, write_mark, 20);
    loop_timer_start(f.marks[0].timer, 30);
    while (loop_poll(f.loop, true)) {
    }
    CHECK_STR(f.trace.text, "ba");
    tear_down(&f);
}

static void a_callback_may_stop_or_free_timers(void)
{
    struct fixture f;
    set_up(&f, true);
    f.marks[0].next = &f.marks[2];
    start(&f, 0, mark_and_stop_next, 5);
    start(&f, 1, mark_and_free, 5);
    start(&f, 2, write_mark, 5);
    start(&f, 3, write_mark, 5);
    CHECK(loop_poll(f.loop, true));
    CHECK_STR(f.trace.text, "abd");
    tear_down(&f);
}

static void time_stands_still_when_the_loop_may_not_wait(void)
{
    struct fixture f;
    set_up(&f, true);
    start(&f, 0, write_mark, 50);
    CHECK(loop_poll(f.loop, false));
    CHECK_INT(clock_mono_ms(f.clock), 0);
    CHECK_STR(f.trace.text, "");
    tear_down(&f);
}

static void deferred_calls_go_before_a_jump_in_time(void)
{
    struct fixture f;
    set_up(&f, true);
    start(&f, 0, write_mark, 50);
    loop_defer(f.loop, write_mark, &f.marks[1]);
    CHECK(loop_poll(f.loop, true));
    CHECK_STR(f.trace.text, "b");
    CHECK_INT(clock_mono_ms(f.clock), 0);
    CHECK(loop_poll(f.loop, true));
    CHECK_STR(f.trace.text, "ba");
    tear_down(&f);
}

static void a_call_deferred_in_a_round_runs_in_the_next(void)
{
    struct fixture f;
    set_up(&f, true);
    f.marks[0].next = &f.marks[2];
    loop_defer(f.loop, mark_and_defer_next, &f.marks[0]);
    loop_defer(f.loop, write_mark, &f.marks[1]);
    loop_poll(f.loop, true);
    CHECK_STR(f.trace.text, "ab");
    loop_poll(f.loop, true);
    CHECK_STR(f.trace.text, "abc");
    CHECK(!loop_poll(f.loop, true));
    tear_down(&f);
}

static void a_timer_that_defers_does_so_for_the_next_round(void)
{
    struct fixture f;
    set_up(&f, true);
    f.marks[0].next = &f.marks[1];
    start(&f, 0, mark_and_defer_next, 0);
    loop_poll(f.loop, true);
    CHECK_STR(f.trace.text, "a");
    loop_poll(f.loop, true);
    CHECK_STR(f.trace.text, "ab");
    tear_down(&f);
}

static void a_cancelled_call_does_not_run(void)
{
    struct fixture f;
    set_up(&f, true);
    loop_defer(f.loop, write_mark, &f.marks[0]);
    loop_defer(f.loop, write_mark, &f.marks[1]);
    loop_defer(f.loop, write_mark, &f.marks[0]);
    loop_defer_cancel(f.loop, write_mark, &f.marks[0]);
    loop_poll(f.loop, true);
    CHECK_STR(f.trace.text, "b");
    tear_down(&f);
}

static void cancelling_works_from_inside_the_round(void)
{
    struct fixture f;
    set_up(&f, true);
    f.marks[0].next = &f.marks[1];
    loop_defer(f.loop, mark_and_cancel_next, &f.marks[0]);
    loop_defer(f.loop, write_mark, &f.marks[1]);
    loop_defer(f.loop, write_mark, &f.marks[2]);
    loop_poll(f.loop, true);
    CHECK_STR(f.trace.text, "ac");
    CHECK(!loop_poll(f.loop, true));
    tear_down(&f);
}

static void only_cancelled_calls_do_not_hold_the_clock(void)
{
    struct fixture f;
    set_up(&f, true);
    loop_defer(f.loop, write_mark, &f.marks[0]);
    loop_defer_cancel(f.loop, write_mark, &f.marks[0]);
    CHECK(!loop_poll(f.loop, true));
    tear_down(&f);
}

static void a_wake_stops_the_next_wait(void)
{
    struct fixture f;
    set_up(&f, true);
    start(&f, 0, write_mark, 50);
    loop_wake(f.loop);
    CHECK(loop_poll(f.loop, true));
    CHECK_INT(clock_mono_ms(f.clock), 0);
    CHECK(loop_poll(f.loop, true));
    CHECK_INT(clock_mono_ms(f.clock), 50);
    tear_down(&f);
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    write_mark(arg);
    loop_wake(((struct mark *)arg)->loop);
}

static void a_signal_callback_ends_a_wait(void)
{
    struct fixture f;
    set_up(&f, false);
    struct event *event = evsignal_new(loop_event_base(f.loop), SIGUSR1, on_signal, &f.marks[0]);
    event_add(event, NULL);
    raise(SIGUSR1);
    CHECK(loop_poll(f.loop, true)); /* would wait for an hour */
    CHECK_STR(f.trace.text, "a");
    event_free(event);
    tear_down(&f);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    char c;
    (void)what;
    if (read(fd, &c, 1) == 1) {
        mark_and_defer_next(arg);
    }
}

static void io_and_system_timers_run_in_one_loop(void)
{
    struct fixture f;
    set_up(&f, false);
    int fds[2];
    CHECK_INT(pipe(fds), 0);
    f.marks[0].next = &f.marks[1];
    struct event *event =
        event_new(loop_event_base(f.loop), fds[0], EV_READ | EV_PERSIST, on_readable, &f.marks[0]);
    event_add(event, NULL);
    CHECK_INT(write(fds[1], "x", 1), 1);
    CHECK(loop_poll(f.loop, true));
    CHECK_STR(f.trace.text, "a");
    CHECK(loop_poll(f.loop, true)); /* a deferred call is due: no wait */
    CHECK_STR(f.trace.text, "ab");
    start(&f, 2, write_mark, 2);
    while (f.trace.size == 2) {
        CHECK(loop_poll(f.loop, true));
    }
    CHECK_STR(f.trace.text, "abc");
    event_free(event);
    close(fds[0]);
    close(fds[1]);
    tear_down(&f);
}

int main(void)
{
    tap_case("timers run in order of due time, then of start", timers_run_in_order_of_due_time);
    tap_case("a heap of many timers keeps order", a_heap_of_many_timers_keeps_order);
    tap_case("a timer fires once", a_timer_fires_once);
    tap_case("a restart inside the callback waits for the next round",
             a_restart_inside_the_callback_waits_for_the_next_round);
    tap_case("a restart moves the due time", a_restart_moves_the_due_time);
    tap_case("a callback may stop or free timers", a_callback_may_stop_or_free_timers);
    tap_case("time stands still when the loop may not wait",
             time_stands_still_when_the_loop_may_not_wait);
    tap_case("deferred calls go before a jump in time", deferred_calls_go_before_a_jump_in_time);
    tap_case("a call deferred in a round runs in the next",
             a_call_deferred_in_a_round_runs_in_the_next);
    tap_case("a timer that defers does so for the next round",
             a_timer_that_defers_does_so_for_the_next_round);
    tap_case("a cancelled call does not run", a_cancelled_call_does_not_run);
    tap_case("cancelling works from inside the round", cancelling_works_from_inside_the_round);
    tap_case("only cancelled calls do not hold the clock",
             only_cancelled_calls_do_not_hold_the_clock);
    tap_case("a wake stops the next wait", a_wake_stops_the_next_wait);
    tap_case("a signal callback ends a wait", a_signal_callback_ends_a_wait);
    tap_case("I/O and system timers run in one loop", io_and_system_timers_run_in_one_loop);
    return tap_done();
}
