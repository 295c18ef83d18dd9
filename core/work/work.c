/*
 * The engine of one client: opening and closing, nested units, and the queues in memory.
 *
 * A job starts only in a turn after the commit of the one that made it ready. So whoever kills the
 * process in its slice is in the store, ready, with its earlier unclean ends counted: the next
 * start finds it by the mark in the crash file, and three ends end it, however soon they come.
 *
 * Memory never runs ahead of the store: what a unit wants to change in memory (a job for the ready
 * list, a nudge, a word to the listener) waits in `pending` until the outermost unit commits.
 * Dropping a turn forgets all memory and reads the store again, as a restart would.
 */
#include "core/work/work.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/kill_point.h"
#include "core/base/log.h"
#include "core/base/xalloc.h"
#include "core/work/counter.h"
#include "core/work/doubt.h"
#include "core/work/gate.h"
#include "core/work/timeline.h"
#include "core/work/work_state.h"

#define WORK_FORMAT 2 /* one more with each change that an older host would take for damage */

/*
 * Unclean ends in a row, with the same job running, before that job is dead(crash). A fault or an
 * abort arose in the process, so three are no chance. What ends it from outside is mostly chance (a
 * supervisor, a power cut, an operator) and rarely the job's doing (the kernel short of memory);
 * ten are believed, and a wait before each further try keeps the host up for the others.
 */
#define CRASH_OWN_LIMIT     3
#define CRASH_OUTSIDE_LIMIT 10
#define CRASH_WAIT_MS       INT64_C(1000) /* after the second, then doubled */
#define CRASH_WAIT_MAX_MS   INT64_C(60000)

void failure_free(struct failure *failure)
{
    free(failure->kind);
    free(failure->message);
    free(failure->traceback);
    free(failure->place);
    free(failure->step);
    free(failure->connection_down);
    memset(failure, 0, sizeof *failure);
}

/* ---- Ready queue -------------------------------------------------------------------------------
 */

void ready_queue_push(struct ready_queue *queue, uint64_t id)
{
    if (queue->count == queue->capacity) {
        size_t capacity = queue->capacity == 0 ? 64 : queue->capacity * 2;
        uint64_t *ids = xmalloc(capacity * sizeof *ids);
        for (size_t i = 0; i < queue->count; i++) {
            ids[i] = queue->ids[(queue->head + i) % queue->capacity];
        }
        free(queue->ids);
        queue->ids = ids;
        queue->head = 0;
        queue->capacity = capacity;
    }
    queue->ids[(queue->head + queue->count) % queue->capacity] = id;
    queue->count++;
}

bool ready_queue_pop(struct ready_queue *queue, uint64_t *id_out)
{
    if (queue->count == 0) {
        return false;
    }
    *id_out = queue->ids[queue->head];
    queue->head = (queue->head + 1) % queue->capacity;
    queue->count--;
    return true;
}

void ready_queue_move(struct ready_queue *from, struct ready_queue *to)
{
    uint64_t id;
    while (ready_queue_pop(from, &id)) {
        ready_queue_push(to, id);
    }
}

/* ---- Pending changes ---------------------------------------------------------------------------
 */

struct told { /* one word to the listener, on its way through the outbox */
    struct work *work;
    struct pending what;
};

static void pending_free(struct pending *p)
{
    free(p->cause);
    free(p->subject);
}

static void tell_answer(struct work *work, uint64_t event_seq)
{
    struct event_answer answer;
    struct buf owned;
    if (work->options.listener.on_answer != NULL &&
        event_answer(work, event_seq, &answer, &owned) == 0) {
        work->options.listener.on_answer(work->options.listener.arg, event_seq, &answer);
        buf_free(&owned);
    }
}

static void tell_exception(struct work *work, const struct pending *p)
{
    struct exception exception;
    if (work->options.listener.on_exception != NULL &&
        exception_load(work, p->cause, p->subject, &exception) == 0) {
        work->options.listener.on_exception(work->options.listener.arg, &exception, p->is_first);
        exception_free(&exception);
    }
}

static void tell_released(void *arg, bool is_durable)
{
    struct told *told = arg;
    if (is_durable && told->what.kind == PENDING_ANSWER) {
        tell_answer(told->work, told->what.id);
    } else if (is_durable) {
        tell_exception(told->work, &told->what);
    }
    pending_free(&told->what);
    free(told);
}

static void pending_apply(struct work *work, struct pending *p)
{
    struct job *job;
    switch (p->kind) {
    case PENDING_READY:
        ready_queue_push(&work->fresh, p->id);
        break;
    case PENDING_NUDGE:
        job = job_find_live(work, p->id);
        if (job != NULL) {
            job->is_nudged = true;
        }
        break;
    case PENDING_ANSWER:
    case PENDING_EXCEPTION: {
        struct told *told = xcalloc(1, sizeof *told);
        told->work = work;
        told->what = *p;
        p->cause = NULL;
        p->subject = NULL;
        turn_release(work, tell_released, told);
        break;
    }
    }
    pending_free(p);
}

static void pending_flush(struct work *work)
{
    size_t count = work->pending_count;
    struct pending *list = work->pending;
    work->pending = NULL;
    work->pending_count = 0;
    work->pending_capacity = 0;
    for (size_t i = 0; i < count; i++) {
        pending_apply(work, &list[i]);
    }
    free(list);
}

static void pending_cut(struct work *work, size_t count)
{
    while (work->pending_count > count) {
        pending_free(&work->pending[--work->pending_count]);
    }
}

static void pend(struct work *work, const struct pending *p)
{
    if (work->pending_count == work->pending_capacity) {
        work->pending_capacity = work->pending_capacity == 0 ? 16 : work->pending_capacity * 2;
        work->pending = xrealloc(work->pending, work->pending_capacity * sizeof *work->pending);
    }
    work->pending[work->pending_count++] = *p;
    if (work->depth == 0) {
        pending_flush(work);
    }
}

void work_pend(struct work *work, enum pending_kind kind, uint64_t id)
{
    struct pending p = {.kind = kind, .id = id};
    pend(work, &p);
}

void work_pend_exception(struct work *work, const char *cause, const char *subject, bool is_first)
{
    struct pending p = {.kind = PENDING_EXCEPTION,
                        .cause = xstrdup(cause),
                        .subject = xstrdup(subject),
                        .is_first = is_first};
    pend(work, &p);
}

/* ---- Nested units ------------------------------------------------------------------------------
 */

int work_check_writable(struct work *work)
{
    if (work->fatal != 0) {
        return work->fatal;
    }
    if (work->is_full || work->is_committing || work->must_drop) {
        return ERROR_FULL;
    }
    return work->options.is_read_only ? ERROR_INVALID : 0;
}

static int nested_begin(struct work *work)
{
    if (work->depth == WORK_NESTED_MAX) {
        return ERROR_LIMIT;
    }
    int rc = store_nested_begin(work->options.store);
    if (rc != 0) {
        return work_note_rc(work, rc);
    }
    work->marks[work->depth++] = work->pending_count;
    return 0;
}

int work_nested_begin(struct work *work)
{
    int rc = work_check_writable(work);
    return rc != 0 ? rc : nested_begin(work);
}

int work_reserved_begin(struct work *work)
{
    bool is_full = work->is_full;
    work->is_full = false;
    int rc = work_check_writable(work);
    work->is_full = is_full;
    return rc != 0 ? rc : nested_begin(work);
}

/* An aborted unit may have written the reserve of a sequence: write it again next time. */
static void sequences_doubt(struct work *work)
{
    for (size_t i = 0; i < WORK_SEQUENCE_COUNT; i++) {
        work->sequences[i].reserved = work->sequences[i].next;
    }
}

void work_nested_abort(struct work *work)
{
    assert(work->depth > 0);
    work->depth--;
    pending_cut(work, work->marks[work->depth]);
    sequences_doubt(work);
    store_nested_abort(work->options.store);
}

int work_nested_commit(struct work *work)
{
    assert(work->depth > 0);
    if (work->must_drop) {
        work_nested_abort(work);
        return ERROR_FULL;
    }
    int rc = store_nested_commit(work->options.store);
    work->depth--;
    if (rc != 0) {
        pending_cut(work, work->marks[work->depth]);
        sequences_doubt(work);
        return work_note_rc(work, rc);
    }
    if (work->depth == 0) {
        pending_flush(work);
    }
    return 0;
}

int work_unit_end(struct work *work, int rc)
{
    if (rc == 0) {
        return work_nested_commit(work);
    }
    work_nested_abort(work);
    return rc;
}

int work_checkpoint(struct work *work)
{
    if (work->running == NULL || work->depth != 1) {
        return ERROR_INVALID;
    }
    kill_point_before(KILL_CHECKPOINT, work->running->info.flow);
    int rc = work_nested_commit(work);
    int again = work_nested_begin(work);
    kill_point_after(KILL_CHECKPOINT, work->running->info.flow);
    /* The slice ends with depth 1 whatever happened: slice.c closes what is open. */
    return rc != 0 ? rc : again;
}

/* ---- Open, reload, close -----------------------------------------------------------------------
 */

static void drop_all_live(struct work *work)
{
    for (size_t i = 0; i < WORK_LIVE_BUCKETS; i++) {
        while (work->live[i] != NULL) {
            slice_drop_job(work, work->live[i]);
        }
    }
}

void work_stall(struct work *work, uint64_t id)
{
    if (!work->must_drop && work->fatal == 0) { /* else the queue is read again anyhow */
        id_list_add(&work->stalled, id);
        loop_timer_start(work->stalled_timer, WORK_STALLED_MS);
    }
}

void work_on_stalled(void *arg)
{
    struct work *work = arg;
    for (size_t i = 0; i < work->stalled.count; i++) {
        ready_queue_push(&work->ready, work->stalled.ids[i]);
    }
    work->stalled.count = 0;
    work->is_due = true;
}

static void load_ready(struct work *work)
{
    struct key prefix;
    job_shelf_prefix(&prefix, JOB_READY, true);
    struct id_list ids = {0};
    int rc = work_collect(work, &prefix, SIZE_MAX, &ids);
    if (rc != 0) {
        log_msg(LOG_ERROR, work->area, "the ready list cannot be read: %s", error_code_name(rc));
    }
    work->ready.head = 0;
    work->ready.count = 0;
    work->fresh.head = 0;
    work->fresh.count = 0;
    work->stalled.count = 0;
    gates_forget(work);
    for (size_t i = 0; i < ids.count; i++) {
        ready_queue_push(&work->fresh, ids.ids[i]); /* what the opening wrote is not durable yet */
    }
    id_list_free(&ids);
}

void work_reload(struct work *work)
{
    drop_all_live(work);
    pending_cut(work, 0);
    memset(work->sequences, 0, sizeof work->sequences);
    load_ready(work);
    work->is_parked_due = true;
    work->is_due = true;
    work->is_due_stale = true;
    work->is_unsettled = true;
}

void work_drop_turn(struct work *work)
{
    log_msg(LOG_WARN, work->area, "a turn was dropped: the store is full");
    work->stats.turns_dropped++;
    store_abort(work->options.store);
    work->depth = 0;
    work->running = NULL;
    outbox_move(&work->outbox, &work->sealed); /* where turn_release_cancel finds them */
    outbox_run(&work->sealed, false);
    work_reload(work);
    /* Until here every write was refused, so that nothing is open when the map grows. */
    work->must_drop = false;
    store_abort(work->options.store);

    struct error err;
    error_clear(&err);
    int rc = store_check_space(work->options.store, &err);
    if (rc == 0) {
        rc = store_grow(work->options.store, &err);
    }
    if (rc == 0) {
        rc = work_nested_begin(work);
        /* Coroutines are gone: what they had on its way is unknown, as after a crash. */
        rc = rc == 0 ? work_unit_end(work, effect_recover(work)) : rc;
    }
    if (rc != 0 && work->fatal == 0) {
        work->must_drop = false;
        store_abort(work->options.store);
        work_set_full(work, true);
        loop_timer_start(work->space_timer, WORK_SPACE_CHECK_MS);
    }
}

/* ---- The format of the store -------------------------------------------------------------------
 */

static int format_read(struct work *work, const struct key *key, uint64_t *format_out)
{
    struct bytes value;
    int rc = work_get(work, key, &value);
    *format_out = 0;
    if (rc == 0) {
        struct record_reader r;
        record_open(&r, value);
        *format_out = record_get_u64(&r);
        rc = r.is_bad ? ERROR_CORRUPT : 0;
    }
    return rc == ERROR_NOT_FOUND ? 0 : rc;
}

/* Records of a newer format look broken to an older host. It must not touch them: each would be put
 * aside, and with the jobs every open order. */
static int check_format(struct work *work, struct error *err)
{
    struct key key;
    uint64_t format;
    key_begin(&key, KEY_META);
    key_raw(&key, bytes_str("format"));
    int rc = format_read(work, &key, &format);
    if (rc == 0 && format > WORK_FORMAT) {
        return error_set(err, ERROR_INVALID,
                         "the data of %s was written by a newer neap (format %llu; this one knows "
                         "%d): start that one",
                         work->client, (unsigned long long)format, WORK_FORMAT);
    }
    if (rc == 0 && format != 0 && format < WORK_FORMAT) {
        return error_set(
            err, ERROR_INVALID,
            "the data of %s is of before the first release (format %llu): its payloads "
            "cannot be read any more",
            work->client, (unsigned long long)format);
    }
    if (rc == 0 && format == 0 && !work->options.is_read_only) {
        struct buf value;
        work_value(&value, 1);
        record_u64(&value, WORK_FORMAT);
        rc = work_nested_begin(work);
        if (rc == 0) {
            rc = work_unit_end(work, work_put(work, &key, &value));
        } else {
            buf_free(&value);
        }
        rc = rc == ERROR_FULL ? 0 : rc; /* the first turn with space writes other things too */
    }
    return rc == 0 ? 0 : error_set(err, rc, "reading the format: %s", error_code_name(rc));
}

static int crashed_dead(struct work *work, struct job_info *info)
{
    char *message = xasprintf("the process ended %u times while this job ran", info->unclean);
    struct exception_cause cause = {
        .cause = EXCEPTION_CRASHED,
        .subject = info->key,
        .message = message,
        .remedy = "Correct the flow, then retry the job.",
    };
    job_set_text(&info->reason, "crash");
    int rc = job_move(work, info, JOB_DEAD, 0);
    rc = rc != 0 ? rc : exception_wait(work, info->id, &cause);
    rc = rc != 0 ? rc : counter_add_flow(work, "jobs.dead", info->flow, 1);
    free(message);
    return rc;
}

/* A second end in a row may be chance; meanwhile the others shall get on, whoever is guilty. */
static int crashed_wait(struct work *work, struct job_info *info)
{
    if (info->unclean < 2) {
        return job_store(work, info);
    }
    unsigned doublings = info->unclean - 2;
    int64_t wait_ms = doublings < 6 ? CRASH_WAIT_MS << doublings : CRASH_WAIT_MAX_MS;
    job_set_text(&info->reason, "the process ended while it ran");
    return job_move(work, info, JOB_WAITING, work_now_ms(work) + wait_ms);
}

static int count_crash(struct work *work)
{
    uint64_t id;
    bool is_own;
    struct job_info info;
    if (!crash_file_take(work->options.crash_file, work->client, &id, &is_own)) {
        return 0;
    }
    int rc = job_take(work, id, &info);
    if (rc != 0) {
        return rc == ERROR_NOT_FOUND ? 0 : rc;
    }
    if (info.state == JOB_READY) { /* it is, on disk, before it starts */
        info.unclean++;
        log_msg(LOG_WARN, work->area, "job %llu was running when the process %s (%u in a row)",
                (unsigned long long)id, is_own ? "crashed" : "was ended from outside",
                (unsigned)info.unclean);
        bool is_over = info.unclean >= (is_own ? CRASH_OWN_LIMIT : CRASH_OUTSIDE_LIMIT);
        rc = is_over ? crashed_dead(work, &info) : crashed_wait(work, &info);
    }
    job_info_free(&info);
    return rc;
}

static int recover(struct work *work)
{
    int rc = work_nested_begin(work);
    if (rc != 0) {
        return rc;
    }
    rc = count_crash(work);
    if (rc == 0) {
        rc = effect_recover(work);
    }
    rc = work_unit_end(work, rc);
    return rc;
}

int work_open(struct work **work_out, const struct work_options *options, struct error *err)
{
    *work_out = NULL;
    struct work *work = xcalloc(1, sizeof *work);
    work->options = *options;
    work->client = xstrdup(options->client);
    work->options.client = work->client;
    work->area = xasprintf("client %s", options->client);
    work->client_hash = crash_file_hash(options->client);
    work->opened_ms = clock_mono_ms(options->clock);
    backoff_complete(&work->options.retry, NULL);
    int code = check_format(work, err);
    if (code != 0) {
        work_close(work);
        return code;
    }
    if (!options->is_read_only) {
        work->due_timer = loop_timer_new(options->loop, work_on_due, work);
        work->space_timer = loop_timer_new(options->loop, work_on_space, work);
        work->parked_timer = loop_timer_new(options->loop, parking_on_timer, work);
        work->stalled_timer = loop_timer_new(options->loop, work_on_stalled, work);
        int rc = erasure_open(work, err);
        retention_open(work);
        rc = rc != 0 ? rc : recover(work);
        if (rc == 0) {
            rc = work_generation_changed(work, options->generation);
        }
        if (rc != 0 && rc != ERROR_FULL) {
            code = error_set(err, rc, "opening the work of %s: %s", options->client,
                             error_code_name(rc));
            work_close(work);
            return code;
        }
        if (rc == ERROR_FULL) {
            work_drop_turn(work);
        } else {
            work_reload(work);
        }
    }
    *work_out = work;
    return 0;
}

void work_close(struct work *work)
{
    if (work == NULL) {
        return;
    }
    assert(work->running == NULL);
    drop_all_live(work);
    if (!work->options.is_read_only && !store_is_committing(work->options.store)) {
        store_abort(work->options.store);
    }
    outbox_run(&work->outbox, false);
    outbox_run(&work->sealed, false);
    pending_cut(work, 0);
    free(work->pending);
    free(work->ready.ids);
    free(work->fresh.ids);
    id_list_free(&work->stalled);
    gates_close(work);
    doubts_close(work);
    loop_timer_free(work->due_timer);
    loop_timer_free(work->space_timer);
    loop_timer_free(work->parked_timer);
    loop_timer_free(work->stalled_timer);
    retention_close(work);
    erasure_close(work);
    schedule_close(work);
    free(work->client);
    free(work->area);
    free(work);
}

/* ---- Small questions ---------------------------------------------------------------------------
 */

struct store *work_store(struct work *work)
{
    return work->options.store;
}

int64_t work_now_ms(struct work *work)
{
    return clock_wall_ms(work->options.clock);
}

uint64_t work_generation(const struct work *work)
{
    return work->options.generation;
}

void work_drain(struct work *work)
{
    work->is_draining = true;
}

void work_let_go(struct work *work)
{
    if (work->fatal == 0 && !work->must_drop && !work->is_committing) {
        drop_all_live(work);
    }
}

bool work_is_full(const struct work *work)
{
    return work->is_full;
}

bool work_has_ready(const struct work *work)
{
    bool has_ready = work->ready.count > 0 || work->fresh.count > 0 ||
                     (!work->is_draining && gate_has_next(work));
    return has_ready && !work->is_full && !work->is_committing;
}

size_t work_live_count(const struct work *work)
{
    return work->live_count;
}

const struct work_stats *work_stats(const struct work *work)
{
    return &work->stats;
}

void work_set_policy(struct work *work, const struct work_lookup *lookup,
                     const struct backoff_policy *retry, int64_t live_from_ms)
{
    work->options.lookup = *lookup;
    work->options.retry = *retry;
    backoff_complete(&work->options.retry, NULL);
    work->options.live_from_ms = live_from_ms;
}

/* ---- Generations -------------------------------------------------------------------------------
 */

static int generation_stored(struct work *work, const struct key *key, uint64_t *generation_out)
{
    struct bytes value;
    int rc = work_get(work, key, &value);
    if (rc != 0) {
        *generation_out = 0;
        return rc == ERROR_NOT_FOUND ? 0 : rc;
    }
    struct record_reader r;
    record_open(&r, value);
    *generation_out = record_get_u64(&r);
    return 0;
}

/* Keeps the names of the first that only new scripts close and no job waits for. */
static int find_unwaited(void *arg, const struct exception *e)
{
    struct exception *found = arg;
    if (e->recheck != RECHECK_RELOAD || e->waiting > 0) {
        return 0;
    }
    job_set_text(&found->cause, e->cause);
    job_set_text(&found->subject, e->subject);
    return 1;
}

/* Of a route, or told by a flow: no job that runs again could close it. Who meets it on the new
 * scripts opens it again. */
static int close_unwaited(struct work *work)
{
    struct exception_closing closing = {CLOSED_BY_PROOF, NULL, "new scripts serve"};
    struct exception found = {0};
    int rc = exception_each(work, NULL, find_unwaited, &found);
    while (rc > 0) {
        rc = exception_close(work, found.cause, found.subject, &closing);
        rc = rc != 0 ? rc : exception_each(work, NULL, find_unwaited, &found);
    }
    exception_free(&found);
    return rc;
}

static int store_generation(struct work *work)
{
    uint64_t generation = work->options.generation;
    struct key key;
    key_begin(&key, KEY_META);
    key_raw(&key, bytes_str("generation"));
    uint64_t stored;
    int rc = work_nested_begin(work);
    if (rc != 0) {
        return rc;
    }
    rc = generation_stored(work, &key, &stored);
    if (rc == 0 && stored != generation) {
        struct buf value;
        work_value(&value, 1);
        record_u64(&value, generation);
        rc = work_put(work, &key, &value);
        if (rc == 0 && stored != 0) {
            rc = close_unwaited(work);
            rc = rc != 0 ? rc : exception_reload(work);
        }
    }
    return work_unit_end(work, rc);
}

int work_generation_changed(struct work *work, uint64_t generation)
{
    work->options.generation = generation;
    return work_unsettle(work, store_generation(work));
}

int work_unsettle(struct work *work, int rc)
{
    if (rc == 0 || work->fatal != 0 || work->options.is_read_only) {
        return rc;
    }
    log_msg(LOG_WARN, work->area, "what the scripts declare is stored later: %s",
            error_code_name(rc));
    work->is_unsettled = true;
    loop_timer_start(work->stalled_timer, WORK_STALLED_MS);
    return 0;
}

int work_settle(struct work *work)
{
    if (!work->is_unsettled || work_check_writable(work) != 0) {
        return 0;
    }
    work->is_unsettled = false;
    int rc = store_generation(work);
    return work_unsettle(work, rc != 0 ? rc : schedule_replace_again(work));
}
