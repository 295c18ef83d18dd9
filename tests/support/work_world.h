/* A client in a box for the tests of core/work: virtual clock, real store in a temporary folder,
 * and a runner whose "scripts" are C functions. */
#ifndef NEAP_TESTS_SUPPORT_WORK_WORLD_H
#define NEAP_TESTS_SUPPORT_WORK_WORLD_H

#include <assert.h>
#include <dirent.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/xalloc.h"
#include "core/work/audit_chain.h"
#include "core/work/counter.h"
#include "core/work/dossier.h"
#include "core/work/effect.h"
#include "core/work/inbox.h"
#include "core/work/job.h"
#include "core/work/pause.h"
#include "core/work/schedule.h"
#include "core/work/script_table.h"
#include "core/work/step.h"
#include "core/work/timeline.h"
#include "core/work/turn.h"
#include "tests/support/fake_store.h"
#include "tests/support/tap.h"

#define WORLD_START_MS  1800000000000LL
#define WORLD_TRACE_MAX 8192

typedef enum slice_end (*world_script_fn)(struct job *job, struct failure *failure);

struct world {
    char folder[64];
    struct clock *clock;
    struct loop *loop;
    struct store *store;
    struct fake_store *fake; /* the same as store, when has_fake_store */
    bool has_fake_store;
    struct work *work;
    struct turn *turn;
    struct random_source random;
    struct crash_file *crash_file;
    world_script_fn script;
    uint64_t generation;
    uint64_t map_bytes;
    uint64_t map_max_bytes;
    int drops;
    int answers;
    int exceptions;
    int firsts;
    struct backoff_policy retry;
    char trace[WORLD_TRACE_MAX]; /* what ran, in order: "key;" */
};

static struct world the_world;

static void world_trace(const char *text)
{
    size_t used = strlen(the_world.trace);
    snprintf(the_world.trace + used, sizeof the_world.trace - used, "%s;", text);
}

static enum slice_end world_slice(void *arg, struct job *job, struct failure *failure)
{
    struct world *w = arg;
    job->script = w;
    return w->script(job, failure);
}

static void world_drop(void *arg, struct job *job)
{
    struct world *w = arg;
    CHECK(job->script == w);
    CHECK(!job->is_in_slice);
    w->drops++;
}

static void world_on_answer(void *arg, uint64_t seq, const struct event_answer *answer)
{
    struct world *w = arg;
    (void)seq;
    CHECK(answer->status > 0);
    CHECK(!store_is_dirty(w->store));
    w->answers++;
}

static void world_on_exception(void *arg, const struct exception *exception, bool is_first)
{
    struct world *w = arg;
    (void)exception;
    w->exceptions++;
    w->firsts += is_first ? 1 : 0;
}

static const char *world_owner(void *arg, const char *cause)
{
    (void)arg;
    return strcmp(cause, "unknown_stock_code") == 0 ? "merchandising" : NULL;
}

static inline void world_open_work(struct world *w)
{
    struct error err;
    struct store_options options = {.path = w->folder,
                                    .is_volatile = true,
                                    .map_bytes = w->map_bytes,
                                    .map_max_bytes = w->map_max_bytes,
                                    .reserve_bytes = 1};
    error_clear(&err);
    if (store_open(&w->store, &options, &err) != 0) {
        printf("Bail out! %s\n", err.message);
        exit(EXIT_FAILURE);
    }
    if (w->has_fake_store) {
        w->fake = fake_store_new(w->store);
        w->store = &w->fake->base;
    }
    struct work_options work_options = {
        .client = "acme",
        .store = w->store,
        .clock = w->clock,
        .loop = w->loop,
        .random = &w->random,
        .crash_file = w->crash_file,
        .runner = {w, world_slice, world_drop},
        .lookup = {.arg = w, .owner = world_owner},
        .listener = {.arg = w, .on_answer = world_on_answer, .on_exception = world_on_exception},
        .retry = w->retry,
        .live_from_ms = WORLD_START_MS - 1000000,
        .generation = w->generation,
    };
    if (work_open(&w->work, &work_options, &err) != 0) {
        printf("Bail out! %s\n", err.message);
        exit(EXIT_FAILURE);
    }
    turn_add(w->turn, w->work);
}

static inline struct world *world_open(world_script_fn script)
{
    struct world *w = &the_world;
    memset(w, 0, sizeof *w);
    log_configure(LOG_ERROR + 1, LOG_FORMAT_JSON);
    snprintf(w->folder, sizeof w->folder, "/tmp/neap_work_XXXXXX");
    if (mkdtemp(w->folder) == NULL) {
        printf("Bail out! no temporary folder\n");
        exit(EXIT_FAILURE);
    }
    w->clock = clock_new_virtual(WORLD_START_MS);
    w->loop = loop_new(w->clock);
    w->turn = turn_new(w->loop);
    random_init(&w->random, 7);
    w->script = script;
    w->generation = 1;
    world_open_work(w);
    return w;
}

/* The process dies: what is uncommitted is gone. */
static inline void world_crash(struct world *w)
{
    turn_remove(w->turn, w->work);
    work_close(w->work);
    store_close(w->store);
    w->work = NULL;
    w->store = NULL;
}

static inline void world_restart(struct world *w)
{
    world_crash(w);
    world_open_work(w);
}

static inline void world_close(struct world *w)
{
    world_crash(w);
    CHECK_INT(loop_timer_count(w->loop), 0);
    turn_free(w->turn);
    loop_free(w->loop);
    crash_file_close(w->crash_file);
    clock_free(w->clock);
    DIR *dir = opendir(w->folder);
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char *path = xasprintf("%s/%s", w->folder, entry->d_name);
        unlink(path);
        free(path);
    }
    if (dir != NULL) {
        closedir(dir);
    }
    rmdir(w->folder);
}

static inline int world_turn(struct world *w)
{
    struct error err;
    error_clear(&err);
    return turn_run(w->turn, false, NULL, &err);
}

/* Turns until nothing is ready; time stands still. */
static inline void world_settle(struct world *w)
{
    for (int i = 0; i < 200; i++) {
        CHECK_INT(world_turn(w), 0);
        if (!work_has_ready(w->work) && i > 2) {
            return;
        }
    }
    CHECK(!"the world settles");
}

static inline void world_pass(struct world *w, int64_t ms)
{
    clock_advance(w->clock, ms);
    world_settle(w);
}

static inline uint64_t world_accept(struct world *w, const struct event_new *event)
{
    struct accept_result result;
    struct error err;
    error_clear(&err);
    int rc = work_accept(w->work, event, &result, &err);
    if (rc != 0) {
        printf("# accept: %s\n", err.message);
    }
    CHECK_INT(rc, 0);
    uint64_t job_id = rc == 0 ? result.job_id : 0;
    accept_result_free(&result);
    return job_id;
}

/* A queued event "order.placed" on this key. */
static inline uint64_t world_order(struct world *w, const char *key, const char *id)
{
    struct event_new event = {.source = "test",
                              .id = id,
                              .key = key,
                              .name = "order.placed",
                              .flow = "orders",
                              .payload = bytes_str("{}")};
    return world_accept(w, &event);
}

static inline uint64_t world_overtake(struct world *w, const char *key, const char *name,
                                      enum event_idle idle)
{
    static int number;
    char id[32];
    snprintf(id, sizeof id, "over-%d", ++number);
    struct event_new event = {.source = "test",
                              .id = id,
                              .key = key,
                              .name = name,
                              .flow = "orders",
                              .class = EVENT_OVERTAKING,
                              .idle = idle};
    return world_accept(w, &event);
}

static inline enum job_state world_state(struct world *w, uint64_t id)
{
    struct job_info info;
    if (job_load(w->work, id, &info) != 0) {
        return JOB_STATE_COUNT;
    }
    enum job_state state = job_find_live(w->work, id) != NULL ? JOB_RUNNING : info.state;
    job_info_free(&info);
    return state;
}

#define CHECK_STATE(w, id, state) CHECK_STR(job_state_name(world_state(w, id)), state)

static inline enum slice_end world_done(struct job *job, struct failure *failure)
{
    (void)failure;
    world_trace(job->info.key);
    return SLICE_DONE;
}

static inline enum slice_end world_fail(struct failure *failure, const char *message,
                                        bool is_retryable)
{
    failure->kind = xstrdup(is_retryable ? "network" : "script");
    failure->message = xstrdup(message);
    failure->place = xstrdup("flows/orders.lua:41");
    failure->is_retryable = is_retryable;
    return SLICE_FAILED;
}

static inline enum slice_end world_hold(struct job *job, const char *cause, const char *subject,
                                        enum exception_recheck recheck)
{
    struct exception_cause held = {cause, subject, "held", "do something", recheck};
    CHECK_INT(job_request_hold(job, &held, 1), 0);
    return SLICE_UNWOUND;
}

#endif
