/* What time brings to a work: waits that end, ticks, and another look at a disk that was full. */
#include <stdlib.h>

#include "core/base/log.h"
#include "core/work/work_state.h"

#define LATE_MS       600000 /* a retry so much later than it was due was not for want of time */
#define CLOCK_BACK_MS 1000   /* smaller steps of the wall clock are everyday corrections */

/* ---- Due timer, space timer --------------------------------------------------------------------
 */

void work_on_due(void *arg)
{
    struct work *work = arg;
    work->is_due = true;
}

void work_set_full(struct work *work, bool is_full)
{
    if (work->is_full == is_full) {
        return;
    }
    work->is_full = is_full;
    log_msg(is_full ? LOG_ERROR : LOG_INFO, work->area, "%s",
            is_full ? "no space left: nothing is accepted and nothing runs"
                    : "there is space again");
    if (work->options.listener.on_full != NULL) {
        work->options.listener.on_full(work->options.listener.arg, is_full);
    }
}

void work_on_space(void *arg)
{
    struct work *work = arg;
    struct error err;
    error_clear(&err);
    if (store_check_space(work->options.store, &err) == 0) {
        work_set_full(work, false);
        work->is_due = true;
    } else {
        loop_timer_start(work->space_timer, WORK_SPACE_CHECK_MS);
    }
}

void work_tend_space(struct work *work)
{
    struct error err;
    error_clear(&err);
    int64_t now = clock_mono_ms(work->options.clock);
    if (work->is_full || now < work->space_due_ms || store_is_dirty(work->options.store)) {
        return; /* released calls wrote already: after their commit */
    }
    store_abort(work->options.store);
    work->space_due_ms = now + WORK_SPACE_CHECK_MS / 5;
    int rc = store_check_space(work->options.store, &err);
    if (rc == 0 && store_wants_growth(work->options.store)) {
        rc = store_grow(work->options.store, &err);
        rc = rc == ERROR_FULL ? 0 : rc; /* at its maximum: it is full when a put says so */
    }
    if (rc == ERROR_FULL) {
        work_set_full(work, true);
        loop_timer_start(work->space_timer, WORK_SPACE_CHECK_MS);
    } else if (rc != 0) {
        log_msg(LOG_ERROR, work->area, "%s", err.message);
    }
}

static int first_order(void *arg, struct bytes key, struct bytes value)
{
    (void)value;
    uint64_t order = key_u64_at(key, 2);
    *(int64_t *)arg = order > INT64_MAX ? INT64_MAX : (int64_t)order;
    return 1;
}

void work_arm_timer(struct work *work)
{
    static const enum job_state shelves[] = {JOB_WAITING, JOB_AWAITING};
    if (!work->is_due_stale || work->is_full) {
        return;
    }
    work->is_due_stale = false;
    int64_t next = schedule_next(work);
    for (size_t i = 0; i < 2; i++) {
        int64_t order = INT64_MAX;
        struct key prefix;
        job_shelf_prefix(&prefix, shelves[i], true);
        if (work_range(work, &prefix, false, first_order, &order) < 0) {
            return; /* the store failed: the turn says so */
        }
        next = order < next ? order : next;
    }
    if (next == INT64_MAX) {
        loop_timer_stop(work->due_timer);
        return;
    }
    int64_t delay = next - work_now_ms(work);
    delay = delay < 0 ? 0 : delay;
    if (work->is_due_failed && delay < WORK_STALLED_MS) {
        delay = WORK_STALLED_MS; /* it would be due again at once, at full speed */
    }
    work->is_due_failed = false;
    loop_timer_start(work->due_timer, delay > WORK_TIMER_MAX_MS ? WORK_TIMER_MAX_MS : delay);
}

/* ---- Waking what is due ------------------------------------------------------------------------
 */

struct due {
    struct id_list ids;
    struct id_list orders;
    int64_t now_ms;
};

static int collect_due(void *arg, struct bytes key, struct bytes value)
{
    (void)value;
    struct due *due = arg;
    uint64_t order = key_u64_at(key, 2);
    if (order > (uint64_t)due->now_ms || due->ids.count >= WORK_DUE_PER_TURN) {
        return 1;
    }
    id_list_add(&due->orders, order);
    id_list_add(&due->ids, key_last_u64(key));
    return 0;
}

static int wake_due(struct work *work, enum job_state state, uint64_t order, uint64_t id)
{
    struct job_info info;
    int rc = job_take(work, id, &info);
    if (rc == ERROR_NOT_FOUND || (rc == 0 && info.state != state)) {
        /* An index entry without its job would be due for ever. */
        struct key key;
        job_shelf_prefix(&key, state, true);
        key_u64(&key, order);
        key_u64(&key, id);
        if (rc == 0) {
            job_info_free(&info);
        }
        return work_delete(work, &key);
    }
    if (rc != 0) {
        return rc;
    }
    if (info.wait_name[0] != '\0') {
        rc = job_wait_finish(work, &info, 0);
    } else if (info.failed_since_ms != 0 && work_now_ms(work) - info.until_ms > LATE_MS) {
        /* Nobody tried after the retry was due: the host was down, or the clock was set right. */
        info.parked_ms += work_now_ms(work) - info.until_ms;
    }
    if (rc == 0) {
        rc = job_make_ready(work, &info, false);
    }
    job_info_free(&info);
    return rc;
}

/* What ails one job keeps no other waiting; it is due again before long. */
static int skip_due(struct work *work, uint64_t id, int rc)
{
    if (work->fatal != 0 || work->must_drop) {
        return rc;
    }
    log_msg(LOG_ERROR, work->area, "job %llu is due and cannot be woken: %s",
            (unsigned long long)id, error_code_name(rc));
    work->is_due_failed = true;
    return 0;
}

static int run_due_shelf(struct work *work, enum job_state state)
{
    struct due due = {.now_ms = work_now_ms(work)};
    struct key prefix;
    job_shelf_prefix(&prefix, state, true);
    int rc = work_range(work, &prefix, false, collect_due, &due);
    rc = rc < 0 ? rc : 0;
    for (size_t i = 0; i < due.ids.count && rc == 0; i++) {
        rc = work_nested_begin(work);
        if (rc == 0) {
            rc = work_unit_end(work, wake_due(work, state, due.orders.ids[i], due.ids.ids[i]));
            rc = rc == 0 ? 0 : skip_due(work, due.ids.ids[i], rc);
        }
    }
    id_list_free(&due.ids);
    id_list_free(&due.orders);
    return rc;
}

/* ---- The wall clock ----------------------------------------------------------------------------
 */

/* A delay that began in what is now the future lasts as long from now on. */
static int rebase(struct work *work, uint64_t id)
{
    struct job_info info;
    int64_t now = work_now_ms(work);
    int rc = job_take(work, id, &info);
    if (rc != 0) {
        return rc == ERROR_NOT_FOUND ? 0 : rc;
    }
    if (info.state == JOB_WAITING && info.until_ms != 0 && info.state_since_ms > now) {
        int64_t until_ms = now + (info.until_ms - info.state_since_ms);
        if (info.wait_name[0] != '\0') {
            struct job_wait wait = {JOB_WAIT_PENDING, until_ms, 0};
            rc = job_wait_store(work, id, info.wait_name, &wait);
        }
        rc = rc != 0 ? rc : job_wait_until(work, &info, until_ms);
    }
    job_info_free(&info);
    return rc;
}

static int rebase_all(struct work *work)
{
    struct key prefix;
    struct id_list ids = {0};
    job_shelf_prefix(&prefix, JOB_WAITING, true);
    int rc = work_collect(work, &prefix, SIZE_MAX, &ids);
    for (size_t i = 0; i < ids.count && rc == 0; i++) {
        rc = work_nested_begin(work);
        rc = rc != 0 ? rc : work_unit_end(work, rebase(work, ids.ids[i]));
    }
    id_list_free(&ids);
    return rc != 0 ? rc : schedule_mind_clock(work);
}

/* A clock that was ahead and is set right must not stretch what was planned by it. Also looked at
 * once after the start: it may have been set meanwhile. */
static int mind_clock(struct work *work)
{
    int64_t now = work_now_ms(work);
    bool is_set_back = now < work->wall_seen_ms - CLOCK_BACK_MS;
    bool is_first = work->wall_seen_ms == 0;
    work->wall_seen_ms = now;
    if (is_set_back) {
        log_msg(LOG_WARN, work->area, "the clock was set back: waits and schedules are moved");
    }
    return is_set_back || is_first ? rebase_all(work) : 0;
}

int work_run_due(struct work *work)
{
    if (!work->is_due || work->is_full || work->is_committing || work->is_draining) {
        return 0;
    }
    work->is_due = false;
    work->is_due_stale = true;
    int rc = mind_clock(work);
    if (rc == 0) {
        rc = run_due_shelf(work, JOB_WAITING);
    }
    if (rc == 0) {
        rc = run_due_shelf(work, JOB_AWAITING);
    }
    if (rc == 0) {
        rc = schedule_run_due(work);
    }
    return rc;
}
