/*
 * The host's thread writes one atomic word, the number of the entry it is in; the watchdog's thread
 * looks at it, and at the host's thread's clock, which costs the host nothing. The signal carries
 * the watchdog, so its handler needs nothing global; who is nudged is only read and written on the
 * host's own thread.
 */
#define _GNU_SOURCE /* pthread_sigqueue */
#include "core/script/watchdog.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/log.h"
#include "core/base/xalloc.h"

#define NUDGE_SIGNAL                                                                               \
    SIGURG /* ignored by default, restarts what it interrupts, used by nobody here */

/* A look later than this after the one before: the process did not run in between. */
#define LOOK_MAX_MS (INT64_C(4) * WATCHDOG_NUDGE_MS)

struct watchdog {
    pthread_t thread;
    pthread_t watched; /* the thread that made it */
    pthread_mutex_t lock;
    pthread_cond_t stop;
    bool is_stopping;
    int64_t limit_ms;
    watchdog_fn on_stuck;
    void *arg;
    uint64_t entries;            /* made so far; the host's thread alone */
    atomic_uint_fast64_t inside; /* the number of the entry at hand; 0: not inside Lua */
    uint64_t seen; /* the watchdog's thread alone: the entry, and the clocks at the first look */
    int64_t seen_cpu_ms;
    int64_t looked_ms;                    /* the newest look */
    int64_t waited_ms;                    /* by the wall, since the first look */
    volatile struct watchdog_entry entry; /* who is inside */
};

static int64_t to_ms(const struct timespec *at)
{
    return (int64_t)at->tv_sec * 1000 + at->tv_nsec / 1000000;
}

static int64_t real_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return to_ms(&now);
}

/* CPU time of the host's thread. */
static int64_t cpu_ms(const struct watchdog *w)
{
    clockid_t id;
    struct timespec now = {0};
    if (pthread_getcpuclockid(w->watched, &id) == 0) {
        clock_gettime(id, &now);
    }
    return to_ms(&now);
}

/* The host's thread is inside Lua, or in C that Lua called. */
static void on_signal(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    const struct watchdog *w = info->si_code == SI_QUEUE ? info->si_value.sival_ptr : NULL;
    if (w != NULL && w->entry.on_nudge != NULL) {
        w->entry.on_nudge(w->entry.arg);
    }
}

static void nudge(struct watchdog *w)
{
    union sigval value = {.sival_ptr = w};
    if (pthread_sigqueue(w->watched, NUDGE_SIGNAL, value) != 0) {
        return; /* no room in the queue: the next look tries again */
    }
}

static void look(struct watchdog *w)
{
    uint64_t inside = atomic_load(&w->inside);
    int64_t now_ms = real_ms();
    int64_t since_ms = now_ms - w->looked_ms;
    w->looked_ms = now_ms;
    if (inside == 0 || inside != w->seen) {
        w->seen = inside;
        w->seen_cpu_ms = cpu_ms(w);
        w->waited_ms = 0;
        return;
    }
    /* While the whole process is stopped (a frozen container) nobody looks. */
    w->waited_ms += since_ms < LOOK_MAX_MS ? since_ms : LOOK_MAX_MS;
    int64_t wall_ms = w->waited_ms;
    if (wall_ms >= WATCHDOG_NUDGE_MS / 2) {
        nudge(w);
    }
    bool is_stuck =
        cpu_ms(w) - w->seen_cpu_ms >= w->limit_ms || wall_ms >= w->limit_ms * WATCHDOG_WALL_FACTOR;
    if (!is_stuck) {
        return;
    }
    if (w->on_stuck != NULL) {
        w->on_stuck(w->arg);
        w->seen = 0;
        return;
    }
    log_msg(LOG_ERROR, "watchdog",
            "a script did not come back for %lld ms of CPU time, %lld ms by the wall: stopping the "
            "process",
            (long long)(cpu_ms(w) - w->seen_cpu_ms), (long long)wall_ms);
    abort();
}

static void *watch(void *arg)
{
    struct watchdog *w = arg;
    int64_t step_ms = w->limit_ms / 8 + 1;
    step_ms = step_ms < WATCHDOG_NUDGE_MS ? step_ms : WATCHDOG_NUDGE_MS;
    pthread_mutex_lock(&w->lock);
    while (!w->is_stopping) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += step_ms / 1000;
        until.tv_nsec += step_ms % 1000 * 1000000;
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
        pthread_cond_timedwait(&w->stop, &w->lock, &until);
        look(w);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

struct watchdog *watchdog_new(int64_t limit_ms, watchdog_fn on_stuck, void *arg)
{
    struct watchdog *w = xcalloc(1, sizeof(*w));
    w->limit_ms = limit_ms > 0 ? limit_ms : WATCHDOG_LIMIT_MS;
    w->on_stuck = on_stuck;
    w->arg = arg;
    w->watched = pthread_self();
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(NUDGE_SIGNAL, &action, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->stop, &attributes);
    pthread_condattr_destroy(&attributes);
    if (pthread_create(&w->thread, NULL, watch, w) != 0) {
        pthread_cond_destroy(&w->stop);
        pthread_mutex_destroy(&w->lock);
        free(w);
        return NULL;
    }
    return w;
}

void watchdog_free(struct watchdog *w)
{
    if (w == NULL) {
        return;
    }
    pthread_mutex_lock(&w->lock);
    w->is_stopping = true;
    pthread_cond_signal(&w->stop);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->stop);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

/* A nudge between two of the words must not mix the entries. */
static void set_entry(struct watchdog *w, struct watchdog_entry entry)
{
    w->entry.on_nudge = NULL;
    w->entry.is_inside = entry.is_inside;
    w->entry.arg = entry.arg;
    w->entry.on_nudge = entry.on_nudge;
    w->entries++;
    atomic_store(&w->inside, entry.is_inside ? w->entries : 0);
}

struct watchdog_entry watchdog_enter(struct watchdog *w, struct watchdog_entry entry)
{
    struct watchdog_entry before = {NULL, NULL, false};
    if (w != NULL) {
        before = w->entry;
        entry.is_inside = true;
        set_entry(w, entry);
    }
    return before;
}

void watchdog_leave(struct watchdog *w, struct watchdog_entry before)
{
    if (w != NULL) {
        set_entry(w, before);
    }
}
