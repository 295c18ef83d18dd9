/*
 * The job record and its indexes. Durable states change in job_move only, by the table below.
 *
 * An open job is on one shelf of the order index: ready heads ('r') and ready jobs behind another
 * of their key ('q') by their place in the order, waiting and awaiting by until, held and dead by
 * age. The same index brings the queues back at start and answers "which jobs are ...?".
 */
#include "core/work/job.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/xalloc.h"
#include "core/work/counter.h"
#include "core/work/dossier.h"
#include "core/work/timeline.h"
#include "core/work/work_state.h"

#define JOB_VERSION   1
#define SHELF_BLOCKED 'q'

static const char *const state_names[JOB_STATE_COUNT] = {
#define JOB_STATE_NAME(symbol, name) [symbol] = (name),
    JOB_STATE_LIST(JOB_STATE_NAME)
#undef JOB_STATE_NAME
};

/* Running is not here: on disk such a job is ready. */
static const bool transitions[JOB_STATE_COUNT][JOB_STATE_COUNT] = {
    [JOB_READY] = {[JOB_DONE] = true,
                   [JOB_WAITING] = true,
                   [JOB_AWAITING] = true,
                   [JOB_HELD] = true,
                   [JOB_DEAD] = true},
    [JOB_WAITING] = {[JOB_READY] = true, [JOB_DONE] = true},
    [JOB_AWAITING] = {[JOB_READY] = true, [JOB_DONE] = true},
    [JOB_HELD] = {[JOB_READY] = true, [JOB_DONE] = true},
    [JOB_DEAD] = {[JOB_READY] = true, [JOB_DONE] = true},
};

const char *job_state_name(enum job_state state)
{
    return (unsigned)state < JOB_STATE_COUNT ? state_names[state] : "unknown";
}

bool job_state_from_name(const char *text, enum job_state *state_out)
{
    for (unsigned i = 0; i < JOB_STATE_COUNT; i++) {
        if (strcmp(text, state_names[i]) == 0) {
            *state_out = (enum job_state)i;
            return true;
        }
    }
    return false;
}

bool job_is_open(const struct job_info *info)
{
    return info->state != JOB_DONE;
}

void job_set_text(char **field, const char *text)
{
    char *copy = xstrdup(text == NULL ? "" : text);
    free(*field);
    *field = copy;
}

/* ---- The record --------------------------------------------------------------------------------
 */

void job_info_free(struct job_info *info)
{
    free(info->key);
    free(info->flow);
    free(info->reason);
    free(info->wait_name);
    free(info->wait_events);
    free(info->parked_on);
    free(info->last_error);
    memset(info, 0, sizeof *info);
}

static void encode(struct buf *out, const struct job_info *info)
{
    work_value(out, JOB_VERSION);
    record_u8(out, (uint8_t)info->state);
    record_u8(out, info->is_head ? 1 : 0);
    record_u64(out, info->event_seq);
    record_u32(out, info->attempt);
    record_u32(out, info->chain);
    record_u64(out, info->generation);
    record_i64(out, info->created_ms);
    record_i64(out, info->state_since_ms);
    record_i64(out, info->until_ms);
    record_i64(out, info->failed_since_ms);
    record_i64(out, info->parked_ms);
    record_u32(out, info->failures);
    record_u32(out, info->unclean);
    record_u64(out, info->order);
    record_str(out, info->key);
    record_str(out, info->flow);
    record_str(out, info->reason);
    record_str(out, info->wait_name);
    record_str(out, info->wait_events);
    record_str(out, info->parked_on);
    record_str(out, info->last_error);
}

int job_decode(struct bytes value, uint64_t id, struct job_info *info_out)
{
    struct record_reader r;
    struct job_info info = {.id = id};
    record_open(&r, value);
    info.state = (enum job_state)record_get_u8(&r);
    info.is_head = record_get_u8(&r) != 0;
    info.event_seq = record_get_u64(&r);
    info.attempt = record_get_u32(&r);
    info.chain = record_get_u32(&r);
    info.generation = record_get_u64(&r);
    info.created_ms = record_get_i64(&r);
    info.state_since_ms = record_get_i64(&r);
    info.until_ms = record_get_i64(&r);
    info.failed_since_ms = record_get_i64(&r);
    info.parked_ms = record_get_i64(&r);
    info.failures = record_get_u32(&r);
    info.unclean = record_get_u32(&r);
    info.order = record_get_u64(&r);
    info.key = record_get_str(&r);
    info.flow = record_get_str(&r);
    info.reason = record_get_str(&r);
    info.wait_name = record_get_str(&r);
    info.wait_events = record_get_str(&r);
    info.parked_on = record_get_str(&r);
    info.last_error = record_get_str(&r);
    bool is_bad = r.is_bad || r.version != JOB_VERSION || r.rest.size != 0 ||
                  info.state > JOB_DEAD || info.state == JOB_RUNNING;
    if (is_bad) {
        job_info_free(&info);
        memset(info_out, 0, sizeof *info_out);
        return ERROR_CORRUPT;
    }
    *info_out = info;
    return 0;
}

static void job_key(struct key *key, uint64_t id)
{
    key_begin(key, KEY_JOB);
    key_u64(key, id);
}

int job_load(struct work *work, uint64_t id, struct job_info *info_out)
{
    memset(info_out, 0, sizeof *info_out);
    struct key key;
    struct bytes value;
    job_key(&key, id);
    int rc = work_get(work, &key, &value);
    return rc != 0 ? rc : job_decode(value, id, info_out);
}

int job_take(struct work *work, uint64_t id, struct job_info *info_out)
{
    memset(info_out, 0, sizeof *info_out);
    struct key key;
    struct bytes value;
    job_key(&key, id);
    int rc = work_get(work, &key, &value);
    if (rc != 0) {
        return rc; /* a damaged page is another matter than a record without sense */
    }
    rc = job_decode(value, id, info_out);
    if (rc == ERROR_CORRUPT) {
        work_quarantine(work, &key);
        return ERROR_NOT_FOUND;
    }
    return rc;
}

int job_store(struct work *work, const struct job_info *info)
{
    struct key key;
    struct buf value;
    job_key(&key, info->id);
    encode(&value, info);
    return work_put(work, &key, &value);
}

/* ---- Shelves -----------------------------------------------------------------------------------
 */

static uint8_t shelf_of(enum job_state state, bool is_head)
{
    switch (state) {
    case JOB_READY:
    case JOB_RUNNING:
        return is_head ? 'r' : SHELF_BLOCKED;
    case JOB_WAITING:
        return 'w';
    case JOB_AWAITING:
        return 'a';
    case JOB_HELD:
        return 'h';
    case JOB_DEAD:
        return 'd';
    case JOB_DONE:
        break;
    }
    return 'z';
}

void job_shelf_prefix(struct key *key, enum job_state state, bool is_head)
{
    key_begin(key, KEY_ORDER);
    key_u8(key, shelf_of(state, is_head));
}

void job_order_key(struct key *key, const struct job_info *info)
{
    uint64_t order = (uint64_t)info->state_since_ms;
    if (info->state == JOB_READY) {
        order = info->order;
    } else if (info->state == JOB_WAITING || info->state == JOB_AWAITING) {
        order = info->until_ms == 0 ? UINT64_MAX : (uint64_t)info->until_ms;
    }
    job_shelf_prefix(key, info->state, info->is_head);
    key_u64(key, order);
    key_u64(key, info->id);
}

static int shelf_take(struct work *work, const struct job_info *info)
{
    struct key key;
    job_order_key(&key, info);
    return work_delete(work, &key);
}

static int shelf_put(struct work *work, const struct job_info *info)
{
    struct key key;
    job_order_key(&key, info);
    return work_put_mark(work, &key);
}

static void count_state(struct work *work, enum job_state state)
{
    switch (state) {
    case JOB_DONE:
        work->stats.done++;
        break;
    case JOB_HELD:
        work->stats.held++;
        break;
    case JOB_DEAD:
        work->stats.dead++;
        break;
    default:
        break;
    }
}

int job_move(struct work *work, struct job_info *info, enum job_state to, int64_t until_ms)
{
    assert(transitions[info->state][to]);
    int rc = shelf_take(work, info);
    if (rc != 0) {
        return rc;
    }
    log_msg(LOG_DEBUG, work->area, "job %llu %s: %s -> %s", (unsigned long long)info->id, info->key,
            job_state_name(info->state), job_state_name(to));
    if (info->state == JOB_WAITING || info->state == JOB_AWAITING || to == JOB_WAITING ||
        to == JOB_AWAITING) {
        work->is_due_stale = true;
    }
    info->state = to;
    info->until_ms = until_ms;
    info->state_since_ms = work_now_ms(work);
    count_state(work, to);
    rc = shelf_put(work, info);
    return rc != 0 ? rc : job_store(work, info);
}

int job_wait_until(struct work *work, struct job_info *info, int64_t until_ms)
{
    assert(info->state == JOB_WAITING);
    int rc = shelf_take(work, info);
    info->until_ms = until_ms;
    info->state_since_ms = work_now_ms(work);
    work->is_due_stale = true;
    rc = rc != 0 ? rc : shelf_put(work, info);
    return rc != 0 ? rc : job_store(work, info);
}

static void end_parking(struct work *work, struct job_info *info)
{
    if (info->parked_on[0] == '\0') {
        return;
    }
    int64_t parked = work_now_ms(work) - info->state_since_ms;
    if (info->failed_since_ms != 0 && parked > 0) {
        info->parked_ms += parked;
    }
    job_set_text(&info->parked_on, "");
}

int job_make_ready(struct work *work, struct job_info *info, bool is_fresh)
{
    int rc = work_next(work, SEQUENCE_ORDER, &info->order);
    if (rc != 0) {
        return rc;
    }
    /* The shelf is left under the old order values, so nothing that orders may change before
     * job_move: order counts only on the ready shelf, where the job is not. */
    assert(info->state != JOB_READY);
    end_parking(work, info);
    if (is_fresh) {
        info->chain++;
    }
    if (info->state == JOB_DEAD) {
        info->unclean = 0;
        info->failures = 0;
        info->failed_since_ms = 0;
        info->parked_ms = 0;
    }
    job_set_text(&info->reason, "");
    job_set_text(&info->wait_name, "");
    job_set_text(&info->wait_events, "");
    rc = job_move(work, info, JOB_READY, 0);
    if (rc == 0 && info->is_head) {
        work_pend(work, PENDING_READY, info->id);
    }
    return rc;
}

/* ---- Inbox order -------------------------------------------------------------------------------
 */

static void inbox_prefix(struct key *key, const char *job_key_text)
{
    key_begin(key, KEY_INBOX);
    key_text(key, job_key_text);
}

static int inbox_first(struct work *work, const char *key_name, uint64_t *id_out)
{
    struct key prefix;
    struct id_list ids = {0};
    inbox_prefix(&prefix, key_name);
    int rc = work_collect(work, &prefix, 1, &ids);
    if (rc == 0) {
        *id_out = ids.count == 0 ? 0 : ids.ids[0];
        rc = ids.count == 0 ? ERROR_NOT_FOUND : 0;
    }
    id_list_free(&ids);
    return rc;
}

static int inbox_remove(struct work *work, const char *key_name, uint64_t id)
{
    struct key key;
    inbox_prefix(&key, key_name);
    key_u64(&key, id);
    return work_delete(work, &key);
}

int job_head(struct work *work, const char *key, struct job_info *info_out)
{
    for (;;) {
        uint64_t id;
        int rc = inbox_first(work, key, &id);
        if (rc == 0) {
            rc = job_take(work, id, info_out);
            if (rc == ERROR_NOT_FOUND) {
                rc = inbox_remove(work, key, id); /* a broken job does not block its key for ever */
                if (rc == 0) {
                    continue;
                }
            }
        }
        return rc;
    }
}

static int promote_next(struct work *work, const char *key)
{
    struct job_info next;
    int rc = job_head(work, key, &next);
    if (rc != 0) {
        return rc == ERROR_NOT_FOUND ? 0 : rc;
    }
    if (!next.is_head) {
        rc = shelf_take(work, &next);
        next.is_head = true;
        rc = rc != 0 ? rc : work_next(work, SEQUENCE_ORDER, &next.order);
        rc = rc != 0 ? rc : shelf_put(work, &next);
        rc = rc != 0 ? rc : job_store(work, &next);
        if (rc == 0 && next.state == JOB_READY) {
            work_pend(work, PENDING_READY, next.id);
        }
    }
    job_info_free(&next);
    return rc;
}

static int put_inbox(struct work *work, struct job_info *info)
{
    struct job_info head;
    int rc = job_head(work, info->key, &head);
    info->is_head = rc == ERROR_NOT_FOUND;
    if (rc == 0) {
        job_info_free(&head);
    } else if (rc != ERROR_NOT_FOUND) {
        return rc;
    }
    struct key key;
    inbox_prefix(&key, info->key);
    key_u64(&key, info->id);
    return work_put_mark(work, &key);
}

int job_create(struct work *work, const struct event_record *event, bool is_done, uint64_t *id_out)
{
    int64_t now = work_now_ms(work);
    struct job_info info = {
        .state = is_done ? JOB_DONE : JOB_READY,
        .event_seq = event->seq,
        .attempt = 1,
        .chain = 1,
        .created_ms = now,
        .state_since_ms = now,
        .key = xstrdup(event->key),
        .flow = xstrdup(event->flow),
        .reason = xstrdup(is_done ? "before live_from" : ""),
        .wait_name = xstrdup(""),
        .wait_events = xstrdup(""),
        .parked_on = xstrdup(""),
        .last_error = xstrdup(""),
    };
    struct key key;
    int rc = work_next(work, SEQUENCE_JOB, &info.id);
    rc = rc != 0 ? rc : work_next(work, SEQUENCE_ORDER, &info.order);
    if (rc == 0 && !is_done) {
        rc = put_inbox(work, &info);
    }
    rc = rc != 0 ? rc : shelf_put(work, &info);
    rc = rc != 0 ? rc : job_store(work, &info);
    if (rc == 0) {
        key_begin(&key, KEY_KEY_JOBS);
        key_text(&key, info.key);
        key_u64(&key, info.id);
        rc = work_put_mark(work, &key);
    }
    if (rc == 0 && is_done) {
        rc = counter_add_flow(work, "jobs.done", event->flow, 1);
    } else if (rc == 0 && info.is_head) {
        work_pend(work, PENDING_READY, info.id);
    }
    *id_out = info.id;
    job_info_free(&info);
    return rc;
}

static int delete_memos(struct work *work, uint64_t id)
{
    struct key key;
    key_begin(&key, KEY_STEP);
    key_u64(&key, id);
    int rc = work_delete_prefix(work, &key);
    if (rc == 0) {
        key_begin(&key, KEY_WAIT);
        key_u64(&key, id);
        rc = work_delete_prefix(work, &key);
    }
    return rc;
}

int job_finish(struct work *work, struct job_info *info, const char *note)
{
    bool was_head = info->is_head;
    /* The shelf key depends on is_head, so it is left as it is. */
    end_parking(work, info);
    job_set_text(&info->reason, note == NULL ? "" : note);
    int rc = job_move(work, info, JOB_DONE, 0);
    rc = rc != 0 ? rc : delete_memos(work, info->id);
    rc = rc != 0 ? rc : exception_forget(work, info->id, NULL);
    rc = rc != 0 ? rc : inbox_remove(work, info->key, info->id);
    rc = rc != 0 ? rc : counter_add_flow(work, "jobs.done", info->flow, 1);
    if (rc == 0) {
        struct timeline_entry entry = {
            .job_id = info->id, .kind = "done", .text = note == NULL ? "done" : note};
        rc = timeline_add(work, info->key, &entry);
    }
    rc = rc != 0 ? rc : inbox_mail_leftovers(work, info->key);
    if (rc == 0 && was_head) {
        rc = promote_next(work, info->key);
    }
    return rc;
}

/* ---- Releasing many ----------------------------------------------------------------------------
 */

struct release {
    uint64_t id;
    int64_t deadline_ms; /* INT64_MAX = none */
};

static int compare_release(const void *a, const void *b)
{
    const struct release *x = a;
    const struct release *y = b;
    if (x->deadline_ms != y->deadline_ms) {
        return x->deadline_ms < y->deadline_ms ? -1 : 1;
    }
    return x->id < y->id ? -1 : x->id > y->id;
}

static int64_t deadline_of(struct work *work, uint64_t id)
{
    struct job_info info;
    struct dossier_facts facts;
    int64_t deadline = 0;
    if (job_load(work, id, &info) == 0) {
        if (dossier_get_facts(work, info.key, &facts) == 0) {
            deadline = facts.deadline_ms;
            dossier_facts_free(&facts);
        }
        job_info_free(&info);
    }
    return deadline == 0 ? INT64_MAX : deadline;
}

static struct release *in_release_order(struct work *work, const struct id_list *ids)
{
    struct release *list = xcalloc(ids->count + 1, sizeof *list);
    for (size_t i = 0; i < ids->count; i++) {
        list[i].id = ids->ids[i];
        list[i].deadline_ms = deadline_of(work, ids->ids[i]);
    }
    qsort(list, ids->count, sizeof *list, compare_release);
    return list;
}

static int release_one(struct work *work, uint64_t id, bool is_fresh)
{
    struct job_info info;
    int rc = job_take(work, id, &info);
    if (rc != 0) {
        return rc == ERROR_NOT_FOUND ? 0 : rc;
    }
    if (info.state != JOB_READY && job_is_open(&info)) {
        bool was_stopped = info.state == JOB_HELD || info.state == JOB_DEAD;
        bool was_parked = info.parked_on[0] != '\0'; /* it tries often: one line (parking_line.c) */
        rc = job_make_ready(work, &info, is_fresh && was_stopped);
        work->stats.released++;
        if (rc == 0 && !was_parked) {
            struct timeline_entry entry = {.job_id = id, .kind = "released", .text = "runs again"};
            rc = timeline_add(work, info.key, &entry);
        }
    }
    job_info_free(&info);
    return rc;
}

int job_release_all(struct work *work, const struct id_list *ids, bool is_fresh)
{
    struct release *list = in_release_order(work, ids);
    int rc = 0;
    for (size_t i = 0; i < ids->count && rc == 0; i++) {
        rc = release_one(work, list[i].id, is_fresh);
    }
    free(list);
    return rc;
}

int job_release_first(struct work *work, const struct id_list *ids, size_t count)
{
    struct release *list = in_release_order(work, ids);
    int rc = 0;
    for (size_t i = 0; i < ids->count && i < count && rc == 0; i++) {
        rc = release_one(work, list[i].id, false);
    }
    free(list);
    return rc;
}
