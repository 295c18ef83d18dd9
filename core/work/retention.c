/*
 * A pass goes through its stages, one table after the other; a piece of it judges entries in key
 * order from where the piece before stopped, collects what must go, and removes that in one nested
 * unit. Where the order of a table is the order of time, the first entry that is too young ends the
 * stage; timelines are in order per key, so a young line skips to the next key.
 *
 * The place within a pass is in memory only: after a restart a pass begins anew, which finds
 * nothing to do where the one before has been. The end of a pass is durable, so that a host
 * restarted every night still makes them.
 */
#include "core/work/retention.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/xalloc.h"
#include "core/work/effect.h"
#include "core/work/event_store.h"
#include "core/work/work_state.h"

#define DAY_MS             INT64_C(86400000)
#define RETENTION_EVERY_MS DAY_MS
#define RETENTION_FIRST_MS 600000 /* a host that has just started has better things to do */
#define RETENTION_PAUSE_MS 20     /* between two pieces: jobs come first */
#define RETENTION_WAKE_MS  3600000
#define RETENTION_VERSION  1

#define PAYLOAD_DAYS           400
#define TIMELINE_DAYS          400
#define TRAIL_DAYS             2600 /* seven years of books, and a little */
#define CLOSED_EXCEPTIONS_DAYS 400
#define DONE_JOBS_DAYS         400

enum verdict { VERDICT_KEEP, VERDICT_GO, VERDICT_SKIP_KEY, VERDICT_STAGE_OVER };

struct retention {
    struct retention_policy policy;
    struct retention_counts counts;
    struct loop_timer *timer;
    int64_t due_ms; /* wall clock: the next pass */
    bool is_passing;
    size_t stage;
    struct key from; /* the next entry to judge; size 0: the first of the stage */
};

/* One piece of a pass. */
struct piece {
    struct work *work;
    const struct stage *stage;
    int64_t before_ms; /* what is older goes */
    size_t visits;
    struct key *gone; /* RETENTION_REMOVE_MAX */
    size_t gone_count;
    struct key from;
    bool is_stage_over;
};

struct stage {
    enum key_table table;
    uint8_t shelf; /* of KEY_ORDER; else 0 */
    size_t days;   /* offset of its period in the policy */
    size_t count;  /* offset of its figure in the counts */
    enum verdict (*judge)(struct piece *piece, struct bytes key, struct bytes value);
    int (*remove)(struct work *work, const struct key *key);
};

/* ---- Judging -----------------------------------------------------------------------------------
 */

/* A key with jobs in its inbox has an open job: all it holds stays. */
static bool has_open_job(struct work *work, struct bytes component)
{
    struct key prefix;
    struct id_list ids = {0};
    key_begin(&prefix, KEY_INBOX);
    key_raw(&prefix, component);
    bool is_open = work_collect(work, &prefix, 1, &ids) != 0 || ids.count > 0;
    id_list_free(&ids);
    return is_open;
}

/* Not inbox_resolve: nothing may be written while a range is read, not even a broken alias put
 * aside. What is broken keeps all it may lead to. */
static bool has_open_job_named(struct work *work, const char *name)
{
    struct key key;
    struct key component;
    struct bytes value;
    struct record_reader r;
    component.size = 0;
    key_begin(&key, KEY_ALIAS);
    key_text(&key, name);
    int rc = work_get(work, &key, &value);
    if (rc == ERROR_NOT_FOUND) {
        key_text(&component, name);
        return has_open_job(work, key_bytes(&component));
    }
    record_open(&r, rc == 0 ? value : bytes_of("", 0));
    key_text_bytes(&component, record_get_bytes(&r));
    return r.is_bad || has_open_job(work, key_bytes(&component));
}

static enum verdict judge_job(struct piece *piece, struct bytes key, struct bytes value)
{
    (void)value;
    struct job_info info;
    if (key_u64_at(key, 2) >= (uint64_t)piece->before_ms) {
        return VERDICT_STAGE_OVER;
    }
    if (job_load(piece->work, key_last_u64(key), &info) != 0) {
        return VERDICT_GO; /* an index entry without its job */
    }
    bool is_kept = has_open_job_named(piece->work, info.key);
    job_info_free(&info);
    return is_kept ? VERDICT_KEEP : VERDICT_GO;
}

static enum verdict judge_payload(struct piece *piece, struct bytes key, struct bytes value)
{
    (void)value;
    struct event_record event;
    if (event_load_head(piece->work, key_last_u64(key), &event) != 0) {
        return VERDICT_KEEP;
    }
    enum verdict verdict = VERDICT_GO;
    if (event.received_ms >= piece->before_ms) {
        verdict = VERDICT_STAGE_OVER;
    } else if (has_open_job_named(piece->work, event.key)) {
        verdict = VERDICT_KEEP;
    }
    event_record_free(&event);
    return verdict;
}

/* Kept by job, and jobs are numbered as they were made. */
static enum verdict judge_document(struct piece *piece, struct bytes key, struct bytes value)
{
    (void)value;
    struct job_info info;
    if (job_load(piece->work, key_u64_at(key, 1), &info) != 0) {
        return VERDICT_GO; /* its job went */
    }
    enum verdict verdict = VERDICT_GO;
    if (info.created_ms >= piece->before_ms) {
        verdict = VERDICT_STAGE_OVER;
    } else if (has_open_job_named(piece->work, info.key)) {
        verdict = VERDICT_KEEP;
    }
    job_info_free(&info);
    return verdict;
}

/* Effects are numbered by their first intent: one that was never tried again and is too young ends
 * the stage. */
static enum verdict judge_effect(struct piece *piece, struct bytes key, struct bytes value)
{
    (void)value;
    struct effect effect;
    if (effect_peek(piece->work, key_last_u64(key), &effect) != 0) {
        return VERDICT_KEEP;
    }
    enum verdict verdict = VERDICT_KEEP;
    bool is_closed = effect.state == EFFECT_CONFIRMED || effect.state == EFFECT_REFUSED;
    if (effect.attempts == 1 && effect.intended_ms >= piece->before_ms) {
        verdict = VERDICT_STAGE_OVER;
    } else if (is_closed && effect.ended_ms < piece->before_ms &&
               !has_open_job_named(piece->work, effect.job_key)) {
        verdict = VERDICT_GO;
    }
    effect_free(&effect);
    return verdict;
}

static enum verdict judge_line(struct piece *piece, struct bytes key, struct bytes value)
{
    struct record_reader r;
    record_open(&r, value);
    int64_t at_ms = record_get_i64(&r);
    struct bytes component = bytes_of(key.data + 1, key.size - 1 - sizeof(uint64_t));
    if (r.is_bad) {
        return VERDICT_KEEP;
    }
    if (at_ms >= piece->before_ms || has_open_job(piece->work, component)) {
        return VERDICT_SKIP_KEY;
    }
    return VERDICT_GO;
}

static enum verdict judge_trail(struct piece *piece, struct bytes key, struct bytes value)
{
    struct record_reader r;
    record_open(&r, value);
    (void)record_get_bytes(&r);
    int64_t at_ms = record_get_i64(&r);
    bool is_old = !r.is_bad && at_ms < piece->before_ms;
    return is_old && !has_open_job(piece->work, bytes_of(key.data + 1, key.size - 1))
               ? VERDICT_GO
               : VERDICT_KEEP;
}

static enum verdict judge_closed(struct piece *piece, struct bytes key, struct bytes value)
{
    (void)key;
    struct record_reader r;
    record_open(&r, value);
    (void)record_get_u8(&r);
    (void)record_get_i64(&r);
    int64_t closed_ms = record_get_i64(&r);
    if (r.is_bad) {
        return VERDICT_KEEP;
    }
    return closed_ms < piece->before_ms ? VERDICT_GO : VERDICT_STAGE_OVER;
}

/* ---- Removing ----------------------------------------------------------------------------------
 */

static int delete_number(struct work *work, enum key_table table, uint64_t number, bool is_prefix)
{
    struct key key;
    key_begin(&key, table);
    key_u64(&key, number);
    return is_prefix ? work_delete_prefix(work, &key) : work_delete(work, &key);
}

static int remove_record(struct work *work, const struct job_info *info)
{
    struct key key;
    key_begin(&key, KEY_KEY_JOBS);
    key_text(&key, info->key);
    key_u64(&key, info->id);
    int rc = work_delete(work, &key);
    rc = rc != 0 ? rc : delete_number(work, KEY_PAYLOAD, info->event_seq, false);
    rc = rc != 0 ? rc : delete_number(work, KEY_DOCUMENT, info->id, true);
    rc = rc != 0 ? rc : delete_number(work, KEY_STEP, info->id, true);
    rc = rc != 0 ? rc : delete_number(work, KEY_WAIT, info->id, true);
    return rc != 0 ? rc : delete_number(work, KEY_JOB, info->id, false);
}

/* The event itself stays: a repeat of it must find that it was accepted. */
static int remove_job(struct work *work, const struct key *key)
{
    struct job_info info;
    int rc = job_take(work, key_last_u64(key_bytes(key)), &info);
    if (rc == 0) {
        rc = job_is_open(&info) ? 0 : remove_record(work, &info);
        job_info_free(&info);
    }
    rc = rc == ERROR_NOT_FOUND ? 0 : rc;
    return rc != 0 ? rc : work_delete(work, key);
}

static int remove_effect(struct work *work, const struct key *key)
{
    return effect_forget(work, key_last_u64(key_bytes(key)));
}

#define DAYS(name)  offsetof(struct retention_policy, name)
#define COUNT(name) offsetof(struct retention_counts, name)
static const struct stage STAGES[] = {
    {KEY_ORDER, 'z', DAYS(done_jobs_days), COUNT(jobs), judge_job, remove_job},
    {KEY_PAYLOAD, 0, DAYS(payload_days), COUNT(payloads), judge_payload, work_delete},
    {KEY_DOCUMENT, 0, DAYS(payload_days), COUNT(documents), judge_document, work_delete},
    {KEY_EFFECT_REQUEST, 0, DAYS(payload_days), COUNT(effects), judge_effect, remove_effect},
    {KEY_EFFECT_ANSWER, 0, DAYS(payload_days), COUNT(effects), judge_effect, remove_effect},
    {KEY_TIMELINE, 0, DAYS(timeline_days), COUNT(timeline_lines), judge_line, work_delete},
    {KEY_TRAIL, 0, DAYS(trail_days), COUNT(trails), judge_trail, work_delete},
    {KEY_CLOSED, 0, DAYS(closed_exceptions_days), COUNT(closed_exceptions), judge_closed,
     work_delete},
};
#undef DAYS
#undef COUNT
#define STAGE_COUNT (sizeof(STAGES) / sizeof(STAGES[0]))

/* ---- A piece -----------------------------------------------------------------------------------
 */

static void set_key(struct key *key, struct bytes from)
{
    key->size = 0;
    key_raw(key, from);
}

/* The next piece (or range) begins behind this entry, or behind all entries of its key. */
static void go_on_behind(struct piece *piece, struct bytes key, bool is_whole_key)
{
    if (is_whole_key) {
        set_key(&piece->from, bytes_of(key.data, key.size - sizeof(uint64_t)));
        key_after_prefix(&piece->from);
        return;
    }
    set_key(&piece->from, key);
    if (piece->from.size < STORE_KEY_MAX) {
        key_u8(&piece->from, 0);
    } else {
        key_after_prefix(&piece->from);
    }
}

/* 1: the range must begin anew at piece->from, or the piece is full. */
static int visit(void *arg, struct bytes key, struct bytes value)
{
    struct piece *piece = arg;
    piece->visits++;
    switch (piece->stage->judge(piece, key, value)) {
    case VERDICT_GO:
        set_key(&piece->gone[piece->gone_count++], key);
        break;
    case VERDICT_SKIP_KEY:
        go_on_behind(piece, key, true);
        return 1;
    case VERDICT_STAGE_OVER:
        piece->is_stage_over = true;
        return 1;
    case VERDICT_KEEP:
        break;
    }
    go_on_behind(piece, key, false);
    return piece->gone_count == RETENTION_REMOVE_MAX || piece->visits >= RETENTION_VISIT_MAX;
}

static int look(struct piece *piece)
{
    struct key first;
    key_begin(&first, piece->stage->table);
    if (piece->stage->shelf != 0) {
        key_u8(&first, piece->stage->shelf);
    }
    struct key end = first;
    key_after_prefix(&end);
    if (piece->from.size == 0) {
        piece->from = first;
    }
    int rc = 1;
    while (rc == 1 && !piece->is_stage_over && piece->gone_count < RETENTION_REMOVE_MAX &&
           piece->visits < RETENTION_VISIT_MAX) {
        struct key from = piece->from; /* visit moves the other one on */
        rc = store_range(piece->work->options.store, key_bytes(&from), key_bytes(&end), false,
                         visit, piece);
    }
    piece->is_stage_over = piece->is_stage_over || rc == 0;
    return rc < 0 ? work_note_rc(piece->work, rc) : 0;
}

static int remove_all(struct piece *piece)
{
    if (piece->gone_count == 0) {
        return 0;
    }
    int rc = work_nested_begin(piece->work);
    if (rc != 0) {
        return rc;
    }
    for (size_t i = 0; i < piece->gone_count && rc == 0; i++) {
        rc = piece->stage->remove(piece->work, &piece->gone[i]);
    }
    return work_unit_end(piece->work, rc);
}

static int store_last(struct work *work, int64_t at_ms)
{
    struct key key;
    struct buf value;
    key_begin(&key, KEY_META);
    key_raw(&key, bytes_str("retention.last"));
    work_value(&value, RETENTION_VERSION);
    record_i64(&value, at_ms);
    return work_put(work, &key, &value);
}

static int end_pass(struct work *work, struct retention *r)
{
    int64_t now = work_now_ms(work);
    r->is_passing = false;
    r->due_ms = now + RETENTION_EVERY_MS;
    r->counts.passes++;
    erasure_catch_up(work);
    return store_last(work, now);
}

static int run_piece(struct work *work, struct retention *r)
{
    const struct stage *stage = &STAGES[r->stage];
    int64_t days = *(const int64_t *)(const void *)((const char *)&r->policy + stage->days);
    struct piece piece = {
        .work = work, .stage = stage, .before_ms = work_now_ms(work) - days * DAY_MS};
    piece.from = r->from;
    if (piece.before_ms <= 0) {
        piece.is_stage_over = true; /* a clock that is not set, or a very long period */
    }
    piece.gone = xcalloc(RETENTION_REMOVE_MAX, sizeof(*piece.gone));
    int rc = piece.is_stage_over ? 0 : look(&piece);
    rc = rc != 0 ? rc : remove_all(&piece);
    if (rc == 0) {
        *(uint64_t *)(void *)((char *)&r->counts + stage->count) += piece.gone_count;
        r->from = piece.from;
        if (piece.is_stage_over) {
            r->stage++;
            r->from.size = 0;
        }
    }
    free(piece.gone);
    return rc;
}

int retention_run(struct work *work, bool *is_over_out)
{
    struct retention *r = work->retention;
    *is_over_out = false;
    int rc = work_check_writable(work);
    if (rc != 0) {
        return rc;
    }
    if (!r->is_passing) {
        r->is_passing = true;
        r->stage = 0;
        r->from.size = 0;
    }
    rc = run_piece(work, r);
    if (rc == 0 && r->stage == STAGE_COUNT) {
        rc = end_pass(work, r);
        *is_over_out = rc == 0;
    }
    return rc;
}

/* ---- Timing ------------------------------------------------------------------------------------
 */

static void log_pass(const struct work *work)
{
    const struct retention_counts *now = &work->retention->counts;
    log_msg(LOG_INFO, work->area,
            "retention: %" PRIu64 " payloads, bytes of %" PRIu64 " effects, %" PRIu64
            " timeline lines, %" PRIu64 " trails, %" PRIu64 " closed exceptions, %" PRIu64
            " jobs went since the start",
            now->payloads, now->effects, now->timeline_lines, now->trails, now->closed_exceptions,
            now->jobs);
}

static void on_timer(void *arg)
{
    struct work *work = arg;
    struct retention *r = work->retention;
    bool is_over = false;
    if (work->is_draining || (!r->is_passing && work_now_ms(work) < r->due_ms)) {
        return; /* retention_tend sets it again */
    }
    int rc = retention_run(work, &is_over);
    if (rc == 0 && !is_over) {
        loop_timer_start(r->timer, RETENTION_PAUSE_MS);
    } else if (rc == 0) {
        log_pass(work);
    } else {
        /* A full disk, or a broken record: tomorrow is soon enough. */
        log_msg(LOG_WARN, work->area, "retention stopped: %s", error_code_name(rc));
        r->is_passing = false;
        r->due_ms = work_now_ms(work) + RETENTION_EVERY_MS;
    }
}

/*
 * In real time a timer looks at least once an hour, also when nothing else happens. In virtual time
 * a timer of ours would keep a world going in which nothing happens any more, so there a pass
 * begins at the first turn after it is due.
 */
void retention_tend(struct work *work)
{
    struct retention *r = work->retention;
    if (r == NULL || work->is_draining || loop_timer_is_running(r->timer)) {
        return;
    }
    int64_t delay = r->due_ms - work_now_ms(work);
    if (delay <= 0) {
        loop_timer_start(r->timer, 0);
    } else if (loop_event_base(work->options.loop) != NULL) {
        loop_timer_start(r->timer, delay < RETENTION_WAKE_MS ? delay : RETENTION_WAKE_MS);
    }
}

static int64_t read_last(struct work *work)
{
    struct key key;
    struct bytes value;
    struct record_reader r;
    key_begin(&key, KEY_META);
    key_raw(&key, bytes_str("retention.last"));
    if (work_get(work, &key, &value) != 0) {
        return 0;
    }
    record_open(&r, value);
    int64_t at_ms = record_get_i64(&r);
    return r.is_bad ? 0 : at_ms;
}

void retention_open(struct work *work)
{
    struct retention *r = xcalloc(1, sizeof(*r));
    work->retention = r;
    retention_set_policy(work, &r->policy);
    r->timer = loop_timer_new(work->options.loop, on_timer, work);
    int64_t first = work_now_ms(work) + RETENTION_FIRST_MS;
    int64_t due = read_last(work) + RETENTION_EVERY_MS;
    r->due_ms = due > first ? due : first;
}

void retention_close(struct work *work)
{
    if (work->retention != NULL) {
        loop_timer_free(work->retention->timer);
        free(work->retention);
        work->retention = NULL;
    }
}

void retention_set_policy(struct work *work, const struct retention_policy *policy)
{
    struct retention *r = work->retention;
    if (r == NULL) {
        return; /* a store opened for reading */
    }
    r->policy = *policy;
    struct retention_policy *p = &r->policy;
    p->payload_days = p->payload_days != 0 ? p->payload_days : PAYLOAD_DAYS;
    p->timeline_days = p->timeline_days != 0 ? p->timeline_days : TIMELINE_DAYS;
    p->trail_days = p->trail_days != 0 ? p->trail_days : TRAIL_DAYS;
    p->closed_exceptions_days =
        p->closed_exceptions_days != 0 ? p->closed_exceptions_days : CLOSED_EXCEPTIONS_DAYS;
    p->done_jobs_days = p->done_jobs_days != 0 ? p->done_jobs_days : DONE_JOBS_DAYS;
}

const struct retention_counts *retention_counts(const struct work *work)
{
    static const struct retention_counts NONE;
    return work->retention == NULL ? &NONE : &work->retention->counts;
}
