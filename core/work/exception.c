/*
 * Exceptions and their waiters: two indexes, cause -> jobs and job -> causes, always changed
 * together.
 */
#include "core/work/exception.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/xalloc.h"
#include "core/work/act_event.h"
#include "core/work/exception_private.h"
#include "core/work/work_state.h"

#define WAITER_VERSION 1

static const char *const recheck_names[] = {
#define RECHECK_NAME(symbol, name) [symbol] = (name),
    EXCEPTION_RECHECK_LIST(RECHECK_NAME)
#undef RECHECK_NAME
};

static const char *const how_names[] = {
#define HOW_NAME(symbol, name) [symbol] = (name),
    EXCEPTION_HOW_LIST(HOW_NAME)
#undef HOW_NAME
};

const char *exception_recheck_name(enum exception_recheck recheck)
{
    return recheck <= RECHECK_RELOAD ? recheck_names[recheck] : "unknown";
}

bool exception_recheck_from_name(const char *text, enum exception_recheck *recheck_out)
{
    for (unsigned i = 0; i <= RECHECK_RELOAD; i++) {
        if (strcmp(text, recheck_names[i]) == 0) {
            *recheck_out = (enum exception_recheck)i;
            return true;
        }
    }
    return false;
}

const char *exception_how_name(enum exception_how how)
{
    return how <= CLOSED_BY_DISMISSAL ? how_names[how] : "unknown";
}

/* ---- Records -----------------------------------------------------------------------------------
 */

struct open_exception {
    struct exception e;
    bool is_standing; /* opened for itself: stays when no job waits */
};

void exception_free(struct exception *exception)
{
    free(exception->cause);
    free(exception->subject);
    free(exception->message);
    free(exception->remedy);
    free(exception->owner);
    free(exception->flow);
    memset(exception, 0, sizeof *exception);
}

static void pair_key(struct key *key, enum key_table table, const char *cause, const char *subject)
{
    key_begin(key, table);
    key_text(key, cause);
    key_text(key, subject);
}

static void waiter_key(struct key *key, const char *cause, const char *subject, uint64_t job_id)
{
    pair_key(key, KEY_WAITER, cause, subject);
    key_u64(key, job_id);
}

static void cause_key(struct key *key, uint64_t job_id, const char *cause, const char *subject)
{
    key_begin(key, KEY_WAITER_OF);
    key_u64(key, job_id);
    key_text(key, cause);
    key_text(key, subject);
}

static int decode(struct bytes value, struct open_exception *x)
{
    struct record_reader r;
    memset(x, 0, sizeof *x);
    record_open(&r, value);
    x->e.recheck = (enum exception_recheck)record_get_u8(&r);
    x->is_standing = record_get_u8(&r) != 0;
    x->e.opened_ms = record_get_i64(&r);
    x->e.cause = record_get_str(&r);
    x->e.subject = record_get_str(&r);
    x->e.message = record_get_str(&r);
    x->e.remedy = record_get_str(&r);
    x->e.owner = record_get_str(&r);
    x->e.flow = r.version == 1 ? xstrdup("") : record_get_str(&r);
    if (r.is_bad || r.version < 1 || r.version > EXCEPTION_VERSION ||
        x->e.recheck > RECHECK_RELOAD) {
        exception_free(&x->e);
        return ERROR_CORRUPT;
    }
    return 0;
}

static int load(struct work *work, const char *cause, const char *subject, struct open_exception *x)
{
    struct key key;
    struct bytes value;
    memset(x, 0, sizeof *x);
    pair_key(&key, KEY_EXCEPTION, cause, subject);
    int rc = work_get(work, &key, &value);
    if (rc != 0) {
        return rc; /* a damaged page is another matter than a record without sense */
    }
    rc = decode(value, x);
    if (rc == ERROR_CORRUPT) { /* its jobs must be able to end, and persons to act */
        work_quarantine(work, &key);
        rc = ERROR_NOT_FOUND;
    }
    return rc;
}

static int store(struct work *work, const struct open_exception *x)
{
    struct key key;
    struct buf value;
    pair_key(&key, KEY_EXCEPTION, x->e.cause, x->e.subject);
    work_value(&value, EXCEPTION_VERSION);
    record_u8(&value, (uint8_t)x->e.recheck);
    record_u8(&value, x->is_standing ? 1 : 0);
    record_i64(&value, x->e.opened_ms);
    record_str(&value, x->e.cause);
    record_str(&value, x->e.subject);
    record_str(&value, x->e.message);
    record_str(&value, x->e.remedy);
    record_str(&value, x->e.owner);
    record_str(&value, x->e.flow);
    return work_put(work, &key, &value);
}

static int count_key(void *arg, struct bytes key, struct bytes value)
{
    (void)key;
    (void)value;
    (*(uint64_t *)arg)++;
    return 0;
}

static uint64_t count_waiters(struct work *work, const char *cause, const char *subject)
{
    uint64_t count = 0;
    struct key prefix;
    pair_key(&prefix, KEY_WAITER, cause, subject);
    int rc = work_range(work, &prefix, false, count_key, &count);
    return rc < 0 ? 0 : count;
}

static int stop_at_first(void *arg, struct bytes key, struct bytes value)
{
    (void)arg;
    (void)key;
    (void)value;
    return 1;
}

static bool has_any(struct work *work, const struct key *prefix)
{
    return work_range(work, prefix, false, stop_at_first, NULL) == 1;
}

static bool has_cause(struct work *work, uint64_t job_id)
{
    struct key prefix;
    key_begin(&prefix, KEY_WAITER_OF);
    key_u64(&prefix, job_id);
    return has_any(work, &prefix);
}

int exception_load(struct work *work, const char *cause, const char *subject,
                   struct exception *exception_out)
{
    struct open_exception x;
    int rc = load(work, cause, subject, &x);
    *exception_out = x.e;
    if (rc == 0) {
        exception_out->waiting = count_waiters(work, cause, subject);
    }
    return rc;
}

/* ---- Opening -----------------------------------------------------------------------------------
 */

static const char *owner_of(struct work *work, const char *cause)
{
    const struct work_lookup *lookup = &work->options.lookup;
    const char *owner = lookup->owner == NULL ? NULL : lookup->owner(lookup->arg, cause);
    return owner == NULL ? "" : owner;
}

/* flow: that opens it for itself; NULL = it stays as it is. */
static int open_or_renew(struct work *work, const struct exception_cause *cause, const char *flow,
                         bool is_standing)
{
    const char *subject = cause->subject == NULL ? "" : cause->subject;
    struct open_exception x;
    struct key of_cause;
    bool is_new = false;
    bool is_first = false;
    int rc = load(work, cause->cause, subject, &x);
    if (rc == ERROR_NOT_FOUND || rc == ERROR_CORRUPT) {
        key_begin(&of_cause, KEY_EXCEPTION);
        key_text(&of_cause, cause->cause);
        is_first = !has_any(work, &of_cause);
        is_new = true;
        x.e.opened_ms = work_now_ms(work);
        rc = 0;
    }
    if (rc != 0) {
        return rc;
    }
    job_set_text(&x.e.cause, cause->cause);
    job_set_text(&x.e.subject, subject);
    free(x.e.message);
    x.e.message = log_redacted(cause->message == NULL ? "" : cause->message);
    job_set_text(&x.e.remedy, cause->remedy);
    job_set_text(&x.e.owner, owner_of(work, cause->cause));
    if (flow != NULL || x.e.flow == NULL) {
        job_set_text(&x.e.flow, flow);
    }
    x.e.recheck = cause->recheck;
    x.is_standing = x.is_standing || is_standing;
    rc = store(work, &x);
    if (rc == 0 && is_new) {
        work_pend_exception(work, cause->cause, subject, is_first);
        rc = schedule_on_exception(work);
    }
    exception_free(&x.e);
    return rc;
}

int exception_open_by(struct work *work, const char *flow, const struct exception_cause *cause)
{
    if (cause->cause == NULL || cause->cause[0] == '\0' ||
        strlen(cause->cause) > EXCEPTION_CAUSE_MAX) {
        return ERROR_INVALID;
    }
    int rc = work_nested_begin(work);
    return rc != 0 ? rc : work_unit_end(work, open_or_renew(work, cause, flow, true));
}

int exception_wait(struct work *work, uint64_t job_id, const struct exception_cause *cause)
{
    const char *subject = cause->subject == NULL ? "" : cause->subject;
    struct key key;
    struct buf value;
    waiter_key(&key, cause->cause, subject, job_id);
    int rc = work_put_mark(work, &key);
    if (rc == 0) {
        cause_key(&key, job_id, cause->cause, subject);
        work_value(&value, WAITER_VERSION);
        record_str(&value, cause->cause);
        record_str(&value, subject);
        rc = work_put(work, &key, &value);
    }
    return rc != 0 ? rc : open_or_renew(work, cause, NULL, false);
}

/* ---- Closing -----------------------------------------------------------------------------------
 */

static int collect_waiters(struct work *work, const char *cause, const char *subject,
                           struct id_list *ids)
{
    struct key prefix;
    pair_key(&prefix, KEY_WAITER, cause, subject);
    return work_collect(work, &prefix, SIZE_MAX, ids);
}

static int remove_waiter(struct work *work, const char *cause, const char *subject, uint64_t job_id)
{
    struct key key;
    waiter_key(&key, cause, subject, job_id);
    int rc = work_delete(work, &key);
    if (rc == 0) {
        cause_key(&key, job_id, cause, subject);
        rc = work_delete(work, &key);
    }
    return rc;
}

static int store_closed(struct work *work, const struct exception *e,
                        const struct exception_closing *closing, uint64_t released,
                        uint64_t *seq_out)
{
    struct key key;
    struct buf value;
    uint64_t seq;
    int rc = work_next(work, SEQUENCE_CLOSED, &seq);
    *seq_out = seq;
    if (rc != 0) {
        return rc;
    }
    key_begin(&key, KEY_CLOSED);
    key_u64(&key, seq);
    work_value(&value, EXCEPTION_CLOSED_VERSION);
    record_u8(&value, (uint8_t)closing->how);
    record_i64(&value, e->opened_ms);
    record_i64(&value, work_now_ms(work));
    record_u64(&value, released);
    record_str(&value, e->cause);
    record_str(&value, e->subject);
    record_str(&value, e->message);
    record_str(&value, closing->who);
    record_str(&value, closing->note);
    return work_put(work, &key, &value);
}

int exception_take_out(struct work *work, const struct exception *e,
                       const struct exception_closing *closing, struct id_list *ids,
                       uint64_t *seq_out)
{
    struct key key;
    int rc = collect_waiters(work, e->cause, e->subject, ids);
    for (size_t i = 0; i < ids->count && rc == 0; i++) {
        rc = remove_waiter(work, e->cause, e->subject, ids->ids[i]);
    }
    rc = rc != 0 ? rc : store_closed(work, e, closing, ids->count, seq_out);
    if (rc == 0) {
        pair_key(&key, KEY_EXCEPTION, e->cause, e->subject);
        rc = work_delete(work, &key);
    }
    return rc;
}

/* Keeps the jobs that stand still because of this exception: held, dead, or parked on the
 * connection. */
static void keep_stopped(struct work *work, const struct exception *e, struct id_list *ids)
{
    size_t kept = 0;
    bool is_connection = strcmp(e->cause, EXCEPTION_CONNECTION_DOWN) == 0;
    for (size_t i = 0; i < ids->count; i++) {
        struct job_info info;
        if (job_load(work, ids->ids[i], &info) != 0) {
            continue;
        }
        bool is_stopped =
            info.state == JOB_HELD || info.state == JOB_DEAD ||
            (info.state == JOB_WAITING && is_connection && strcmp(info.parked_on, e->subject) == 0);
        job_info_free(&info);
        if (is_stopped) {
            ids->ids[kept++] = ids->ids[i];
        }
    }
    ids->count = kept;
}

int exception_collect_stopped(struct work *work, const struct exception *e, struct id_list *ids)
{
    int rc = collect_waiters(work, e->cause, e->subject, ids);
    if (rc == 0) {
        keep_stopped(work, e, ids);
    }
    return rc;
}

static void keep_without_cause(struct work *work, struct id_list *ids)
{
    size_t kept = 0;
    for (size_t i = 0; i < ids->count; i++) {
        if (!has_cause(work, ids->ids[i])) {
            ids->ids[kept++] = ids->ids[i];
        }
    }
    ids->count = kept;
}

int exception_tell(struct work *work, const struct exception *e, uint64_t closed_seq,
                   const struct exception_closing *closing, const struct id_list *ids)
{
    bool is_end = closing->how == CLOSED_BY_DISMISSAL;
    struct act_told told = {
        .verb = is_end ? ACT_EVENT_DISMISSED : ACT_EVENT_RELEASED,
        .exception = e,
        .who = closing->who,
        .reason = closing->note,
        .closed_seq = closed_seq,
    };
    return closing->who == NULL ? 0 : act_event_tell(work, &told, ids);
}

int exception_close_here(struct work *work, const char *cause, const char *subject,
                         const struct exception_closing *closing)
{
    struct open_exception x;
    struct id_list waited = {0};
    struct id_list ids = {0};
    uint64_t seq = 0;
    int rc = load(work, cause, subject, &x);
    if (rc != 0) {
        return rc;
    }
    rc = exception_take_out(work, &x.e, closing, &waited, &seq);
    for (size_t i = 0; i < waited.count; i++) {
        id_list_add(&ids, waited.ids[i]);
    }
    if (rc == 0) {
        keep_stopped(work, &x.e, &ids);
        if (strcmp(cause, EXCEPTION_CONNECTION_DOWN) != 0) {
            keep_without_cause(work, &ids);
        }
        rc = job_release_all(work, &ids, true);
    }
    rc = rc != 0 ? rc : exception_tell(work, &x.e, seq, closing, &waited);
    id_list_free(&waited);
    id_list_free(&ids);
    exception_free(&x.e);
    return rc;
}

int exception_close(struct work *work, const char *cause, const char *subject,
                    const struct exception_closing *closing)
{
    int rc = work_nested_begin(work);
    return rc != 0 ? rc
                   : work_unit_end(work, exception_close_here(
                                             work, cause, subject == NULL ? "" : subject, closing));
}

/* ---- Waiters that got past ---------------------------------------------------------------------
 */

struct pair {
    char *cause;
    char *subject;
};
struct pair_list {
    struct pair *list;
    size_t count;
    struct key broken; /* one that cannot be read; size 0 = none */
};

static int add_pair(void *arg, struct bytes key, struct bytes value)
{
    struct pair_list *pairs = arg;
    struct record_reader r;
    struct pair pair;
    record_open(&r, value);
    pair.cause = record_get_str(&r);
    pair.subject = record_get_str(&r);
    if (r.is_bad || r.version != WAITER_VERSION) {
        free(pair.cause);
        free(pair.subject);
        pairs->broken.size = 0;
        key_raw(&pairs->broken, key);
        return 0;
    }
    pairs->list = xrealloc(pairs->list, (pairs->count + 1) * sizeof pair);
    pairs->list[pairs->count++] = pair;
    return 0;
}

static void pairs_free(struct pair_list *pairs)
{
    for (size_t i = 0; i < pairs->count; i++) {
        free(pairs->list[i].cause);
        free(pairs->list[i].subject);
    }
    free(pairs->list);
}

static int load_pairs(struct work *work, uint64_t job_id, struct pair_list *pairs)
{
    struct key prefix;
    key_begin(&prefix, KEY_WAITER_OF);
    key_u64(&prefix, job_id);
    pairs->broken.size = 0;
    int rc = work_range(work, &prefix, false, add_pair, pairs);
    if (rc >= 0 && pairs->broken.size > 0) {
        work_quarantine(work, &pairs->broken);
    }
    return rc < 0 ? rc : 0;
}

/* The job got past this one. Nobody left: it closes, unless a flow has to prove it or it stands for
 * itself. */
static int get_past(struct work *work, uint64_t job_id, const struct pair *pair)
{
    struct open_exception x;
    int rc = remove_waiter(work, pair->cause, pair->subject, job_id);
    if (rc != 0) {
        return rc;
    }
    rc = load(work, pair->cause, pair->subject, &x);
    if (rc != 0) {
        return rc == ERROR_NOT_FOUND ? 0 : rc;
    }
    bool is_connection = strcmp(pair->cause, EXCEPTION_CONNECTION_DOWN) == 0;
    bool closes = !x.is_standing && (x.e.recheck != RECHECK_PROOF || is_connection) &&
                  count_waiters(work, pair->cause, pair->subject) == 0;
    if (!closes && is_connection) {
        rc = parking_next(work, pair->subject);
    } else if (closes) {
        struct exception_closing closing = {CLOSED_BY_PROOF, NULL, "no job waits on it any more"};
        struct id_list ids = {0};
        uint64_t seq = 0;
        rc = exception_take_out(work, &x.e, &closing, &ids, &seq);
        id_list_free(&ids);
    }
    exception_free(&x.e);
    return rc;
}

int exception_forget(struct work *work, uint64_t job_id, const char *only)
{
    struct pair_list pairs = {0};
    int rc = load_pairs(work, job_id, &pairs);
    for (size_t i = 0; i < pairs.count && rc == 0; i++) {
        if (only == NULL || strcmp(pairs.list[i].cause, only) == 0) {
            rc = get_past(work, job_id, &pairs.list[i]);
        }
    }
    pairs_free(&pairs);
    return rc;
}

int exception_park(struct work *work, uint64_t job_id, const struct exception_cause *cause)
{
    struct pair_list pairs = {0};
    int rc = load_pairs(work, job_id, &pairs);
    for (size_t i = 0; i < pairs.count && rc == 0; i++) {
        bool is_other = strcmp(pairs.list[i].cause, EXCEPTION_CONNECTION_DOWN) == 0 &&
                        strcmp(pairs.list[i].subject, cause->subject) != 0;
        rc = is_other ? get_past(work, job_id, &pairs.list[i]) : 0;
    }
    pairs_free(&pairs);
    return rc != 0 ? rc : exception_wait(work, job_id, cause);
}

static bool is_among(const struct pair *pair, const struct held_cause *causes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(pair->cause, causes[i].cause) == 0 &&
            strcmp(pair->subject, causes[i].subject) == 0) {
            return true;
        }
    }
    return false;
}

int exception_hold(struct work *work, const struct job_info *info, const struct held_cause *causes,
                   size_t count)
{
    struct pair_list pairs = {0};
    int rc = load_pairs(work, info->id, &pairs);
    for (size_t i = 0; i < pairs.count && rc == 0; i++) {
        if (!is_among(&pairs.list[i], causes, count)) {
            rc = get_past(work, info->id, &pairs.list[i]);
        }
    }
    pairs_free(&pairs);
    for (size_t i = 0; i < count && rc == 0; i++) {
        struct exception_cause cause = {causes[i].cause, causes[i].subject, causes[i].message,
                                        causes[i].remedy, causes[i].recheck};
        rc = exception_wait(work, info->id, &cause);
    }
    return rc;
}

static int collect_reload(void *arg, const struct exception *exception)
{
    struct pair_list *pairs = arg;
    if (exception->recheck == RECHECK_RELOAD && exception->waiting > 0) {
        pairs->list = xrealloc(pairs->list, (pairs->count + 1) * sizeof *pairs->list);
        pairs->list[pairs->count++] =
            (struct pair){xstrdup(exception->cause), xstrdup(exception->subject)};
    }
    return 0;
}

int exception_reload(struct work *work)
{
    struct pair_list pairs = {0};
    struct id_list ids = {0};
    int rc = exception_each(work, NULL, collect_reload, &pairs);
    for (size_t i = 0; i < pairs.count && rc == 0; i++) {
        struct exception e = {.cause = pairs.list[i].cause, .subject = pairs.list[i].subject};
        struct id_list waiters = {0};
        rc = collect_waiters(work, e.cause, e.subject, &waiters);
        keep_stopped(work, &e, &waiters);
        for (size_t j = 0; j < waiters.count; j++) {
            id_list_add(&ids, waiters.ids[j]);
        }
        id_list_free(&waiters);
    }
    rc = rc != 0 ? rc : job_release_all(work, &ids, true);
    id_list_free(&ids);
    pairs_free(&pairs);
    return rc;
}

/* ---- Questions ---------------------------------------------------------------------------------
 */

struct walk {
    struct work *work;
    exception_each_fn fn;
    void *arg;
};

static int visit(void *arg, struct bytes key, struct bytes value)
{
    (void)key;
    struct walk *walk = arg;
    struct open_exception x;
    if (decode(value, &x) != 0) {
        return 0;
    }
    x.e.waiting = count_waiters(walk->work, x.e.cause, x.e.subject);
    int rc = walk->fn(walk->arg, &x.e);
    exception_free(&x.e);
    return rc;
}

int exception_each(struct work *work, const char *cause, exception_each_fn fn, void *arg)
{
    struct walk walk = {work, fn, arg};
    struct key prefix;
    key_begin(&prefix, KEY_EXCEPTION);
    if (cause != NULL) {
        key_text(&prefix, cause);
    }
    return work_range(work, &prefix, false, visit, &walk);
}

int exception_each_waiter(struct work *work, const char *cause, const char *subject,
                          exception_waiter_fn fn, void *arg)
{
    struct id_list ids = {0};
    int rc = collect_waiters(work, cause, subject, &ids);
    for (size_t i = 0; i < ids.count && rc == 0; i++) {
        rc = fn(arg, ids.ids[i]);
    }
    id_list_free(&ids);
    return rc;
}

int exception_each_of_job(struct work *work, uint64_t job_id, exception_each_fn fn, void *arg)
{
    struct pair_list pairs = {0};
    int rc = load_pairs(work, job_id, &pairs);
    for (size_t i = 0; i < pairs.count && rc == 0; i++) {
        struct exception e;
        if (exception_load(work, pairs.list[i].cause, pairs.list[i].subject, &e) == 0) {
            rc = fn(arg, &e);
            exception_free(&e);
        }
    }
    pairs_free(&pairs);
    return rc;
}
