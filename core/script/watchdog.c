/* The host's thread writes one atomic word; the watchdog's thread looks at it a few times per
 * limit. */
#include "core/script/watchdog.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/log.h"
#include "core/base/xalloc.h"

struct watchdog {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stop;
    bool is_stopping;
    int64_t limit_ms;
    watchdog_fn on_stuck;
    void *arg;
    atomic_int_fast64_t entered_ms; /* 0: not inside Lua */
};

static int64_t real_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void look(struct watchdog *w)
{
    int64_t entered_ms = atomic_load(&w->entered_ms);
    if (entered_ms == 0 || real_ms() - entered_ms < w->limit_ms) {
        return;
    }
    if (w->on_stuck != NULL) {
        w->on_stuck(w->arg);
        atomic_store(&w->entered_ms, 0);
        return;
    }
    log_msg(LOG_ERROR, "watchdog", "a script did not come back for %lld ms: stopping the process",
            (long long)w->limit_ms);
    abort();
}

static void *watch(void *arg)
{
    struct watchdog *w = arg;
    int64_t step_ms = w->limit_ms / 8 + 1;
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

void watchdog_enter(struct watchdog *w)
{
    if (w != NULL) {
        atomic_store(&w->entered_ms, real_ms());
    }
}

void watchdog_leave(struct watchdog *w)
{
    if (w != NULL) {
        atomic_store(&w->entered_ms, 0);
    }
}
