/* The integrity check of jobs, their indexes and the events behind them. */
#include <stdlib.h>
#include <string.h>

#include "core/work/integrity_private.h"

static void need_absent(struct checker *c, const struct key *key, const char *what)
{
    struct bytes ignored;
    if (checker_get(c, key, &ignored)) {
        checker_tell(c, "still has %s", what);
    }
}

static void need_number(struct checker *c, enum key_table table, uint64_t number, const char *what)
{
    struct key key = number_key(table, number);
    checker_need(c, &key, what);
}

/* ---- Jobs --------------------------------------------------------------------------------------
 */

static void pair_of_key(struct key *key, enum key_table table, const char *text, uint64_t number)
{
    key_begin(key, table);
    key_text(key, text);
    key_u64(key, number);
}

static void check_job_causes(struct checker *c, const struct job_info *info)
{
    struct key prefix = number_key(KEY_WAITER_OF, info->id);
    uint64_t ignored;
    bool is_waiting = checker_any(c, &prefix, &ignored);
    bool is_parked = info->parked_on[0] != '\0';
    if ((info->state == JOB_HELD || info->state == JOB_DEAD || is_parked) && !is_waiting) {
        checker_tell(c, "is %s on no cause: nothing would release it",
                     is_parked ? "parked" : job_state_name(info->state));
    }
    if (info->state == JOB_DONE && is_waiting) {
        checker_tell(c, "is done and waits on a cause");
    }
    if (is_parked && info->state != JOB_WAITING) {
        checker_tell(c, "is %s and parked on %s", job_state_name(info->state), info->parked_on);
    }
}

static void check_job_inbox(struct checker *c, const struct job_info *info)
{
    struct key key;
    pair_of_key(&key, KEY_INBOX, info->key, info->id);
    if (!job_is_open(info)) {
        need_absent(c, &key, "a place in the inbox, though done");
        return;
    }
    checker_need(c, &key, "place in the inbox of its key");
    uint64_t first = 0;
    key_begin(&key, KEY_INBOX);
    key_text(&key, info->key);
    if (checker_any(c, &key, &first) && info->is_head != (first == info->id)) {
        checker_tell(c, info->is_head ? "says it is the head of its inbox and is not"
                                      : "is the head of its inbox and does not know");
    }
}

void check_job(struct checker *c)
{
    struct parts p = checker_parts(c);
    struct job_info info;
    uint64_t id = parts_u64(&p);
    if (!checker_is_whole(c, &p)) {
        return;
    }
    checker_note(c, SEQUENCE_JOB, id);
    if (job_decode(c->value, id, &info) != 0) {
        checker_tell(c, "cannot be read");
        return;
    }
    struct key key;
    checker_note(c, SEQUENCE_ORDER, info.order);
    job_order_key(&key, &info);
    checker_need(c, &key, "place on the shelf of its state");
    pair_of_key(&key, KEY_KEY_JOBS, info.key, id);
    checker_need(c, &key, "entry among the jobs of its key");
    need_number(c, KEY_EVENT, info.event_seq, "event");
    check_job_inbox(c, &info);
    check_job_causes(c, &info);
    job_info_free(&info);
}

void check_order(struct checker *c)
{
    struct parts p = checker_parts(c);
    struct job_info info;
    struct key key;
    (void)parts_take(&p, 1);
    (void)parts_u64(&p);
    uint64_t id = parts_u64(&p);
    if (!checker_is_whole(c, &p)) {
        return;
    }
    if (!checker_job(c, id, &info)) {
        checker_tell(c, "a place on a shelf without its job");
        return;
    }
    job_order_key(&key, &info);
    if (!bytes_equal(key_bytes(&key), c->key)) {
        checker_tell(c, "job %llu is %s: this is not its shelf", (unsigned long long)id,
                     job_state_name(info.state));
    }
    job_info_free(&info);
}

/* I and j: text key, u64 job. */
void check_job_of_key(struct checker *c)
{
    struct parts p = checker_parts(c);
    struct job_info info;
    struct key key;
    (void)parts_text(&p);
    uint64_t id = parts_u64(&p);
    if (!checker_is_whole(c, &p)) {
        return;
    }
    if (!checker_job(c, id, &info)) {
        checker_tell(c, "there is no such job");
        return;
    }
    pair_of_key(&key, (enum key_table)(uint8_t)c->key.data[0], info.key, id);
    if (!bytes_equal(key_bytes(&key), c->key)) {
        checker_tell(c, "job %llu is of key %s", (unsigned long long)id, info.key);
    }
    job_info_free(&info);
}

/* S and M: memos of a job that is still open. */
void check_memo(struct checker *c)
{
    struct parts p = checker_parts(c);
    struct job_info info;
    uint64_t id = parts_u64(&p);
    if ((uint8_t)c->key.data[0] == KEY_STEP) {
        (void)parts_u64(&p);
    }
    (void)parts_text(&p);
    if (!checker_is_whole(c, &p)) {
        return;
    }
    if (!checker_job(c, id, &info)) {
        checker_tell(c, "a memo without its job");
        return;
    }
    if (!job_is_open(&info)) {
        checker_tell(c, "a memo of a job that is done");
    }
    job_info_free(&info);
}

/* ---- Events ------------------------------------------------------------------------------------
 */

struct event_view { /* strings are owned */
    uint8_t class;
    uint64_t job_id;
    char *source, *id, *key, *name, *flow;
};

static void event_view_free(struct event_view *e)
{
    free(e->source);
    free(e->id);
    free(e->key);
    free(e->name);
    free(e->flow);
}

static bool decode_event(struct bytes value, struct event_view *e)
{
    struct record_reader r;
    record_open(&r, value);
    e->class = record_get_u8(&r);
    (void)record_get_i64(&r);
    (void)record_get_i64(&r);
    e->job_id = record_get_u64(&r);
    e->source = record_get_str(&r);
    e->id = record_get_str(&r);
    e->key = record_get_str(&r);
    e->name = record_get_str(&r);
    e->flow = record_get_str(&r);
    if (r.is_bad || r.version != INTEGRITY_VERSION || e->class > EVENT_OVERTAKING) {
        event_view_free(e);
        return false;
    }
    return true;
}

static bool load_event(struct checker *c, uint64_t seq, struct event_view *e)
{
    struct key key = number_key(KEY_EVENT, seq);
    struct bytes value;
    return checker_get(c, &key, &value) && decode_event(value, e);
}

static void check_event_job(struct checker *c, uint64_t seq, const struct event_view *e)
{
    struct job_info info;
    if (e->job_id == 0) {
        if (e->class == EVENT_QUEUED) {
            checker_tell(c, "was accepted and has no job");
        }
        return;
    }
    checker_note(c, SEQUENCE_JOB, e->job_id);
    /* Retention removes done jobs. */
    if (checker_job(c, e->job_id, &info)) {
        if (info.event_seq != seq) {
            checker_tell(c, "job %llu belongs to event %llu", (unsigned long long)info.id,
                         (unsigned long long)info.event_seq);
        }
        job_info_free(&info);
    }
}

void check_event(struct checker *c)
{
    struct parts p = checker_parts(c);
    struct event_view e;
    uint64_t seq = parts_u64(&p);
    if (!checker_is_whole(c, &p)) {
        return;
    }
    checker_note(c, SEQUENCE_EVENT, seq);
    if (!decode_event(c->value, &e)) {
        checker_tell(c, "cannot be read");
        return;
    }
    struct key key;
    struct bytes value;
    key_begin(&key, KEY_EVENT_ID);
    key_text(&key, e.source);
    key_text(&key, e.id);
    struct record_reader r = {.is_bad = true};
    if (checker_get(c, &key, &value)) {
        record_open(&r, value);
    }
    if (record_get_u64(&r) != seq || r.is_bad) {
        checker_tell(c, "a repeat of %s:%s would not be known", e.source, e.id);
    }
    check_event_job(c, seq, &e);
    event_view_free(&e);
}

void check_event_id(struct checker *c)
{
    struct parts p = checker_parts(c);
    struct record_reader r;
    (void)parts_text(&p);
    (void)parts_text(&p);
    if (!checker_is_whole(c, &p)) {
        return;
    }
    record_open(&r, c->value);
    uint64_t seq = record_get_u64(&r);
    if (r.is_bad || r.version != INTEGRITY_VERSION) {
        checker_tell(c, "cannot be read");
        return;
    }
    need_number(c, KEY_EVENT, seq, "event");
}

void check_mail(struct checker *c)
{
    struct parts p = checker_parts(c);
    struct event_view e;
    struct record_reader r;
    (void)parts_text(&p);
    uint64_t seq = parts_u64(&p);
    if (!checker_is_whole(c, &p)) {
        return;
    }
    record_open(&r, c->value);
    uint8_t idle = record_get_u8(&r);
    (void)record_get_u8(&r);
    (void)record_get_u64(&r);
    char *name = record_get_str(&r);
    if (r.is_bad || r.version != INTEGRITY_VERSION || idle > EVENT_IDLE_JOB) {
        checker_tell(c, "cannot be read");
    } else if (!load_event(c, seq, &e)) {
        checker_tell(c, "a mail without its event");
    } else {
        if (e.class != EVENT_OVERTAKING || strcmp(name, e.name) != 0) {
            checker_tell(c, "is not what event %llu is", (unsigned long long)seq);
        }
        event_view_free(&e);
    }
    free(name);
}
