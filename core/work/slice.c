/*
 * One slice of one job, and what its end means.
 *
 * The slice's writes are one nested unit: committed when it ended well, aborted when it raised.
 * Then, outside of it, the coroutine is dropped (unless it only waits for I/O) and a second unit
 * writes the timeline and the change of state, so that a raise cannot lose them.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json_writer.h"
#include "core/base/kill_point.h"
#include "core/base/log.h"
#include "core/base/xalloc.h"
#include "core/work/counter.h"
#include "core/work/effect.h"
#include "core/work/gate.h"
#include "core/work/pause.h"
#include "core/work/timeline.h"
#include "core/work/work_state.h"

static int add_line(struct job *job, const char *kind, const char *text, const char *data_json)
{
    struct timeline_entry entry = {
        .job_id = job->info.id, .kind = kind, .text = text, .data_json = data_json};
    return timeline_add(job->work, job->info.key, &entry);
}

/* ---- The ends ----------------------------------------------------------------------------------
 */

static void forget_failures(struct job_info *info)
{
    info->failures = 0;
    info->failed_since_ms = 0;
    info->parked_ms = 0;
}

/* An event overtook the job during this run: whatever it waits for now, it runs again first. */
static int settle(struct job *job, bool is_fresh)
{
    return job->is_nudged ? job_make_ready(job->work, &job->info, is_fresh) : 0;
}

/* The reload that one of these causes waits for came while this run was still on the old scripts.
 */
static bool is_overtaken_by_reload(const struct job *job, const struct held_cause *causes,
                                   size_t count)
{
    bool waits_for_reload = false;
    for (size_t i = 0; i < count; i++) {
        waits_for_reload |= causes[i].recheck == RECHECK_RELOAD;
    }
    return waits_for_reload && job->info.generation != job->work->options.generation;
}

static int run_on_new_scripts(struct job *job, const char *message)
{
    int rc = add_line(job, "reload", message, NULL);
    rc = rc != 0 ? rc : job_move(job->work, &job->info, JOB_WAITING, 0);
    return rc != 0 ? rc : job_make_ready(job->work, &job->info, true);
}

static int hold_on(struct job *job, const struct held_cause *causes, size_t count)
{
    if (is_overtaken_by_reload(job, causes, count)) {
        return run_on_new_scripts(job, causes[0].message);
    }
    kill_point_before(KILL_HOLD, causes[0].cause);
    int rc = exception_hold(job->work, &job->info, causes, count);
    if (rc != 0) {
        return rc;
    }
    kill_point_after(KILL_HOLD, causes[0].cause);
    job_set_text(&job->info.reason, causes[0].message);
    rc = add_line(job, "held", causes[0].message, NULL);
    rc = rc != 0 ? rc : counter_add_flow(job->work, "jobs.held", job->info.flow, 1);
    rc = rc != 0 ? rc : job_move(job->work, &job->info, JOB_HELD, 0);
    return rc != 0 ? rc : settle(job, true);
}

static int end_done(struct job *job)
{
    uint64_t open;
    int rc = effect_unfinished(job->work, job->info.key, job->info.id, &open);
    if (rc != 0) {
        return rc; /* nobody knows: it does not end */
    }
    if (open == 0) {
        return job_finish(job->work, &job->info, NULL);
    }
    char message[] = "The flow ended, but a change it began in another system has no outcome";
    char remedy[] = "Find out whether it happened there; correct the flow or dismiss the job.";
    char cause[] = EXCEPTION_UNFINISHED_EFFECT;
    struct held_cause held = {cause, job->info.key, message, remedy, RECHECK_MANUAL};
    return hold_on(job, &held, 1);
}

static int end_sleep(struct job *job, const struct job_request *request)
{
    struct work *work = job->work;
    struct job_wait wait = {JOB_WAIT_PENDING, request->until_ms, 0};
    forget_failures(&job->info);
    int rc = job_wait_store(work, job->info.id, request->name, &wait);
    rc = rc != 0 ? rc : exception_forget(work, job->info.id, NULL);
    if (rc != 0) {
        return rc;
    }
    char *reason = xasprintf("sleep: %s", request->name);
    job_set_text(&job->info.reason, reason);
    free(reason);
    job_set_text(&job->info.wait_name, request->name);
    rc = job_move(work, &job->info, JOB_WAITING, request->until_ms);
    return rc != 0 ? rc : settle(job, false);
}

static int end_await(struct job *job, const struct job_request *request)
{
    struct work *work = job->work;
    struct job_wait wait = {JOB_WAIT_PENDING, request->until_ms, 0};
    forget_failures(&job->info);
    int rc = job_wait_store(work, job->info.id, request->name, &wait);
    rc = rc != 0 ? rc : exception_forget(work, job->info.id, NULL);
    if (rc != 0) {
        return rc;
    }
    char *reason = xasprintf("await: %s", request->name);
    job_set_text(&job->info.reason, reason);
    free(reason);
    job_set_text(&job->info.wait_name, request->name);
    job_set_text(&job->info.wait_events, request->events);
    rc = job_move(work, &job->info, JOB_AWAITING, request->until_ms);
    uint64_t seq;
    if (rc == 0) {
        rc = inbox_mail_unread(work, job->info.key, request->events, &seq);
        if (rc == ERROR_NOT_FOUND) {
            return settle(job, false);
        }
    }
    rc = rc != 0 ? rc : inbox_mail_consume(work, job->info.key, seq, job->info.id);
    rc = rc != 0 ? rc : job_wait_finish(work, &job->info, seq);
    return rc != 0 ? rc : job_make_ready(work, &job->info, false);
}

static int end_unwound(struct job *job)
{
    const struct job_request *request = job->request;
    switch (request->kind) {
    case REQUEST_SLEEP:
        return end_sleep(job, request);
    case REQUEST_AWAIT:
        return end_await(job, request);
    case REQUEST_HOLD:
        forget_failures(&job->info);
        return hold_on(job, request->causes, request->cause_count);
    }
    return ERROR_INVALID;
}

/* ---- Failing -----------------------------------------------------------------------------------
 */

static const char *or_text(const char *text, const char *other)
{
    return text == NULL || text[0] == '\0' ? other : text;
}

static int record_failure(struct job *job, const struct failure *failure)
{
    struct buf data;
    struct json_writer w;
    buf_init(&data, TIMELINE_TEXT_MAX);
    json_writer_init(&w, &data);
    json_object_begin(&w);
    json_member_str(&w, "kind", or_text(failure->kind, "script"));
    json_member_str(&w, "place", or_text(failure->place, ""));
    json_member_str(&w, "step", or_text(failure->step, ""));
    json_member_str(&w, "flow", job->info.flow);
    json_member_int(&w, "attempt", job->info.attempt);
    json_member_bool(&w, "retryable", failure->is_retryable);
    json_member_str(&w, "traceback", or_text(failure->traceback, ""));
    json_object_end(&w);
    const char *message = or_text(failure->message, "failed without a message");
    log_msg(LOG_WARN, job->work->area, "job %llu %s of %s failed%s%s: %s",
            (unsigned long long)job->info.id, job->info.key, job->info.flow,
            failure->place == NULL ? "" : " at ", or_text(failure->place, ""), message);
    bool is_told =
        failure->connection_down != NULL && parking_is_again(job, failure->connection_down);
    int rc =
        is_told ? 0 : add_line(job, "failed", message, data.has_failed ? NULL : buf_text(&data));
    buf_free(&data);
    free(job->info.last_error);
    job->info.last_error = log_redacted(message);
    return rc;
}

static int park(struct job *job, const struct failure *failure)
{
    struct work *work = job->work;
    const char *connection = failure->connection_down;
    bool is_paused = pause_is_set(work, PAUSE_CONNECTION, connection);
    char *message = is_paused ? xasprintf("Connection %s is paused", connection)
                              : xasprintf("Connection %s is down: %s", connection,
                                          or_text(failure->message, "no answer"));
    char *reason = xasprintf("connection down: %s", connection);
    struct exception_cause cause = {
        .cause = EXCEPTION_CONNECTION_DOWN,
        .subject = connection,
        .message = message,
        .remedy = is_paused ? "Resume it when it may be used again (neap resume connection NAME)."
                            : "Nothing, if the other system is known to be away: the jobs go on by "
                              "themselves.",
        .recheck = RECHECK_PROOF,
    };
    int rc = parking_note(job, connection, or_text(failure->message, "no answer"));
    rc = rc != 0 ? rc : exception_park(work, job->info.id, &cause);
    parking_watch(work);
    job_set_text(&job->info.reason, reason);
    job_set_text(&job->info.parked_on, connection);
    rc = rc != 0 ? rc : job_move(work, &job->info, JOB_WAITING, 0);
    free(message);
    free(reason);
    return rc != 0 ? rc : settle(job, false);
}

static int give_up(struct job *job, const struct failure *failure)
{
    struct work *work = job->work;
    char *message = xasprintf("Gave up after %u attempts: %s", (unsigned)job->info.attempt,
                              or_text(failure->message, "failed"));
    struct exception_cause cause = {
        .cause = EXCEPTION_GAVE_UP,
        .subject = job->info.key,
        .message = message,
        .remedy = "Correct what is wrong, then retry or dismiss the job.",
    };
    int rc = exception_wait(work, job->info.id, &cause);
    job_set_text(&job->info.reason, message);
    rc = rc != 0 ? rc : add_line(job, "dead", message, NULL);
    rc = rc != 0 ? rc : counter_add_flow(work, "jobs.dead", job->info.flow, 1);
    free(message);
    return rc != 0 ? rc : job_move(work, &job->info, JOB_DEAD, 0);
}

static void policy_of(struct work *work, const char *flow, struct backoff_policy *policy)
{
    const struct work_lookup *lookup = &work->options.lookup;
    memset(policy, 0, sizeof *policy);
    if (lookup->retry != NULL && !lookup->retry(lookup->arg, flow, policy)) {
        memset(policy, 0, sizeof *policy);
    }
    backoff_complete(policy, &work->options.retry);
}

static int retry_later(struct job *job, const struct failure *failure)
{
    struct work *work = job->work;
    struct backoff_policy policy;
    policy_of(work, job->info.flow, &policy);
    int64_t now = work_now_ms(work);
    if (job->info.failed_since_ms == 0 || job->info.failed_since_ms > now) {
        job->info.failed_since_ms = now;
        job->info.parked_ms = 0;
    }
    int rc = exception_forget(work, job->info.id, EXCEPTION_CONNECTION_DOWN);
    if (rc != 0) {
        return rc;
    }
    if (backoff_is_over(&policy, now - job->info.failed_since_ms - job->info.parked_ms)) {
        return give_up(job, failure);
    }
    job->info.failures++;
    job->info.attempt++;
    work->stats.retried++;
    char *reason = xasprintf("retry: %s", or_text(failure->message, "failed"));
    job_set_text(&job->info.reason, reason);
    free(reason);
    int64_t delay = backoff_delay_ms(&policy, job->info.failures, failure->retry_after_ms,
                                     work->options.random);
    rc = job_move(work, &job->info, JOB_WAITING, now + delay);
    return rc != 0 ? rc : settle(job, false);
}

static int end_failed(struct job *job, const struct failure *failure)
{
    job->work->stats.failed++;
    int rc = record_failure(job, failure);
    if (rc != 0) {
        return rc;
    }
    if (failure->connection_down != NULL) {
        return park(job, failure);
    }
    if (failure->is_retryable) {
        return retry_later(job, failure);
    }
    char cause[] = EXCEPTION_SCRIPT_ERROR;
    char *message =
        xasprintf("%s failed: %s", job->info.flow, or_text(failure->message, "no message"));
    char remedy[] = "Correct the script or the mapping; the next reload runs the job again.";
    char *subject = xstrdup(or_text(failure->place, job->info.flow));
    struct held_cause held = {cause, subject, message, remedy, RECHECK_RELOAD};
    job->info.attempt++;
    rc = hold_on(job, &held, 1);
    free(message);
    free(subject);
    return rc;
}

/* ---- One slice ---------------------------------------------------------------------------------
 */

static const char *const end_names[] = {
#define END_NAME(symbol, name) [symbol] = (name),
    SLICE_END_LIST(END_NAME)
#undef END_NAME
};

static bool is_over(enum slice_end end)
{
    return end == SLICE_DONE || end == SLICE_UNWOUND || end == SLICE_FAILED;
}

static int apply(struct job *job, enum slice_end end, const struct failure *failure)
{
    if (end == SLICE_FAILED && failure->connection_down != NULL &&
        parking_is_again(job, failure->connection_down)) {
        job_notes_clear(job);
    }
    int rc = job_notes_write(job);
    if (rc != 0) {
        return rc;
    }
    if (is_over(end)) {
        job->info.unclean = 0;
    }
    switch (end) {
    case SLICE_DONE:
        return end_done(job);
    case SLICE_UNWOUND:
        return end_unwound(job);
    case SLICE_FAILED:
        return end_failed(job, failure);
    case SLICE_SUSPENDED:
    case SLICE_PREEMPTED:
        break;
    }
    return 0;
}

/* A slice that unwound without asking for anything is a bug of the script room, told like a script
 * error. */
static void check_end(struct job *job, enum slice_end *end, struct failure *failure)
{
    if (*end == SLICE_UNWOUND && job->request == NULL && !job->wants_restart) {
        *end = SLICE_FAILED;
        failure->message = xstrdup("the job unwound without a reason");
    }
}

/*
 * New scripts began to serve while this run was under way, and it ended in what only a person or
 * new scripts could mend. Those are here: holding it now would miss the very reload it waits for.
 */
static bool is_outdated(const struct job *job, enum slice_end end, const struct failure *failure)
{
    if (job->info.generation == job->work->options.generation) {
        return false;
    }
    if (end == SLICE_FAILED) {
        return !failure->is_retryable;
    }
    return end == SLICE_UNWOUND && job->request != NULL && job->request->kind == REQUEST_HOLD;
}

static void note_outdated(struct job *job, const struct failure *failure)
{
    const char *reason = failure->message;
    if (job->request != NULL && job->request->cause_count > 0) {
        reason = job->request->causes[0].message;
    }
    char *text = xasprintf("Runs again on the new scripts; the ones before ended in: %s",
                           or_text(reason, "a hold"));
    job_note(job, "reload", text, NULL);
    free(text);
}

static int end_slice(struct job *job, enum slice_end end, const struct failure *failure)
{
    struct work *work = job->work;
    bool is_restart = job->wants_restart && end != SLICE_DONE && end != SLICE_FAILED;
    if (is_outdated(job, end, failure)) {
        note_outdated(job, failure);
        is_restart = true;
    }
    uint64_t id = job->info.id;
    int rc = 0;
    if ((is_over(end) || is_restart) && job->script != NULL) {
        work->options.runner.drop(work->options.runner.arg, job);
        job->script = NULL;
    }
    kill_point_before(KILL_END, end_names[end]);
    if (is_over(end) || (job->notes != NULL && job->notes->count > 0)) {
        rc = work_nested_begin(work);
        if (rc == 0) {
            rc = work_unit_end(work, is_restart ? job_notes_write(job) : apply(job, end, failure));
        }
    }
    kill_point_after(KILL_END, end_names[end]);
    job_request_free(job->request);
    job->request = NULL;
    if (rc != 0 && !work->must_drop && work->fatal == 0) {
        log_msg(LOG_ERROR, work->area, "the end of job %llu cannot be stored: %s",
                (unsigned long long)id, error_code_name(rc));
        slice_drop_job(work, job);
        work_stall(work, id);
        return 0;
    }
    if (rc != 0) {
        return rc;
    }
    if (is_over(end) || is_restart) {
        job_live_remove(work, job);
        if (is_restart) {
            ready_queue_push(&work->ready, id);
        }
    } else if (end == SLICE_PREEMPTED) {
        work->stats.preempted++;
        work->has_spent_turn = true;
        job_wake(job);
    }
    return 0;
}

static int close_units(struct job *job, enum slice_end end)
{
    struct work *work = job->work;
    while (work->depth > 1) {
        work_nested_abort(work); /* an atomic function that never came back */
    }
    if (work->depth == 0) {
        return ERROR_LIMIT; /* a checkpoint could not begin anew */
    }
    if (end == SLICE_FAILED) {
        work_nested_abort(work);
        return 0;
    }
    kill_point_before(KILL_SLICE, job->info.flow);
    int rc = work_nested_commit(work);
    kill_point_after(KILL_SLICE, job->info.flow);
    return rc;
}

/* Keeps what the slice wrote. What cannot be kept, on a store that is well otherwise, is a failure
 * of the job like any other. */
static int keep_slice(struct job *job, enum slice_end *end, struct failure *failure)
{
    struct work *work = job->work;
    if (work->fatal != 0 || work->must_drop) {
        return work->fatal != 0 ? work->fatal : ERROR_FULL;
    }
    int rc = close_units(job, *end);
    if (rc == 0 || work->must_drop || work->fatal != 0) {
        return rc;
    }
    if (*end != SLICE_FAILED) {
        failure_free(failure);
        failure->kind = xstrdup(error_code_name(rc));
        failure->message =
            xasprintf("what this slice wrote cannot be kept: %s", error_code_name(rc));
        /* The transaction is the turn's: others may have filled it. */
        failure->is_retryable = rc == ERROR_LIMIT;
        *end = SLICE_FAILED;
    }
    return 0;
}

static int run(struct job *job)
{
    struct work *work = job->work;
    struct failure failure;
    memset(&failure, 0, sizeof failure);
    int rc = work_nested_begin(work);
    if (rc != 0) {
        uint64_t id = job->info.id;
        slice_drop_job(work, job);
        work_stall(work, id);
        return rc;
    }
    job->is_in_slice = true;
    work->running = job;
    crash_file_mark(work->options.crash_file, work->client_hash, job->info.id);
    enum slice_end end = work->options.runner.slice(work->options.runner.arg, job, &failure);
    crash_file_clear(work->options.crash_file);
    work->running = NULL;
    job->is_in_slice = false;
    work->stats.slices++;
    check_end(job, &end, &failure);
    rc = keep_slice(job, &end, &failure);
    if (rc == 0) {
        rc = end_slice(job, end, &failure);
    }
    failure_free(&failure);
    return rc;
}

void slice_drop_job(struct work *work, struct job *job)
{
    if (job->script != NULL) {
        work->options.runner.drop(work->options.runner.arg, job);
        job->script = NULL;
    }
    job_live_remove(work, job);
}

/* ---- Starting ----------------------------------------------------------------------------------
 */

/* A new version of the scripts, or a first run: the record says what it runs on. */
static int take_generation(struct work *work, struct job_info *info)
{
    if (info->generation == work->options.generation) {
        return 0;
    }
    if (info->generation != 0) {
        info->chain++;
    }
    info->generation = work->options.generation;
    return job_store(work, info);
}

static int begin(struct work *work, struct job_info *info)
{
    int rc = take_generation(work, info);
    return rc != 0 ? rc : effect_abandon(work, info->key);
}

/* *job_out is NULL when there is nothing to run behind this id (any more), or not yet. */
static int start(struct work *work, uint64_t id, bool is_next, struct job **job_out)
{
    *job_out = NULL;
    struct job_info info;
    int rc = job_take(work, id, &info);
    if (rc != 0) {
        return rc == ERROR_NOT_FOUND ? 0 : rc;
    }
    bool can_run =
        info.state == JOB_READY && info.is_head && !pause_is_set(work, PAUSE_FLOW, info.flow);
    struct gate *gate = can_run ? gate_of(work, info.flow) : NULL;
    if (can_run && !gate_is_open(gate, is_next)) {
        ready_queue_push(&gate->waiting, id);
        can_run = false;
    }
    if (can_run) {
        rc = work_nested_begin(work);
        rc = rc != 0 ? rc : work_unit_end(work, begin(work, &info));
    }
    if (!can_run || rc != 0) {
        job_info_free(&info);
        return rc;
    }
    struct job *job = xcalloc(1, sizeof *job);
    job->info = info;
    job->info.state = JOB_READY;
    job->work = work;
    job_live_add(work, job);
    *job_out = job;
    return 0;
}

/* From both lists in turn, so that neither holds up the other. */
static bool next_ready(struct work *work, uint64_t *id_out, bool *is_next_out)
{
    work->prefers_gates = !work->prefers_gates && !work->is_draining;
    *is_next_out = work->prefers_gates && gate_next(work, id_out);
    if (*is_next_out || ready_queue_pop(&work->ready, id_out)) {
        return true;
    }
    *is_next_out = !work->is_draining && gate_next(work, id_out);
    return *is_next_out;
}

int slice_run(struct work *work)
{
    uint64_t id;
    int rc = work_check_writable(work);
    if (rc != 0) {
        return work->is_full || work->is_committing ? 0 : rc;
    }
    bool is_next;
    while (next_ready(work, &id, &is_next)) {
        struct job *job = job_find_live(work, id);
        if (job != NULL && !job->is_queued) {
            continue; /* a stale entry: it waits for something */
        }
        if (job == NULL && !work->is_draining) {
            rc = start(work, id, is_next, &job);
            if (rc != 0) {
                work_stall(work, id);
                return rc;
            }
        }
        if (job != NULL) {
            job->is_queued = false;
            rc = run(job);
            return rc != 0 ? rc : 1;
        }
    }
    return 0;
}
