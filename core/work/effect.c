/*
 * The ledger. A small record per effect, the bytes (request, answer, result) apart from it; an
 * index by id for completions, and one of the open effects by job key.
 */
#include "core/work/effect.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/kill_point.h"
#include "core/base/log.h"
#include "core/base/xalloc.h"
#include "core/work/doubt.h"
#include "core/work/inbox.h"
#include "core/work/work_state.h"

#define EFFECT_VERSION 1

static const char *const state_names[] = {
#define EFFECT_STATE_NAME(symbol, name) [symbol] = (name),
    EFFECT_STATE_LIST(EFFECT_STATE_NAME)
#undef EFFECT_STATE_NAME
};

static const char *const class_names[] = {
#define EFFECT_CLASS_NAME(symbol, name) [symbol] = (name),
    EFFECT_CLASS_LIST(EFFECT_CLASS_NAME)
#undef EFFECT_CLASS_NAME
};

const char *effect_state_name(enum effect_state state)
{
    return state <= EFFECT_REFUSED ? state_names[state] : "unknown";
}

const char *effect_class_name(enum effect_class class)
{
    return class <= EFFECT_ONCE ? class_names[class] : "unknown";
}

bool effect_class_from_name(const char *text, enum effect_class *class_out)
{
    for (unsigned i = 0; i <= EFFECT_ONCE; i++) {
        if (strcmp(text, class_names[i]) == 0) {
            *class_out = (enum effect_class)i;
            return true;
        }
    }
    return false;
}

void effect_free(struct effect *effect)
{
    free(effect->connection);
    free(effect->name);
    free(effect->key);
    free(effect->fingerprint);
    free(effect->job_key);
    free(effect->error_kind);
    free(effect->error_message);
    free(effect->request);
    free(effect->answer);
    free(effect->result);
    memset(effect, 0, sizeof *effect);
}

/* ---- Records -----------------------------------------------------------------------------------
 */

static void ledger_key(struct key *key, const char *connection, const char *name,
                       const char *effect_key)
{
    key_begin(key, KEY_EFFECT);
    key_text(key, connection);
    key_text(key, name);
    key_text(key, effect_key);
}

static void id_key(struct key *key, enum key_table table, uint64_t id)
{
    key_begin(key, table);
    key_u64(key, id);
}

static void open_key(struct key *key, const char *job_key, uint64_t id)
{
    key_begin(key, KEY_EFFECT_OPEN);
    key_text(key, job_key);
    key_u64(key, id);
}

static bool is_open(enum effect_state state)
{
    return state != EFFECT_NONE && state != EFFECT_CONFIRMED && state != EFFECT_REFUSED;
}

static int store_effect(struct work *work, const struct effect *effect)
{
    struct key key;
    struct buf value;
    ledger_key(&key, effect->connection, effect->name, effect->key);
    work_value(&value, EFFECT_VERSION);
    record_u64(&value, effect->id);
    record_u8(&value, (uint8_t)effect->state);
    record_u8(&value, (uint8_t)effect->class);
    record_u64(&value, effect->job_id);
    record_i64(&value, effect->intended_ms);
    record_i64(&value, effect->sent_ms);
    record_i64(&value, effect->ended_ms);
    record_u32(&value, effect->attempts);
    record_str(&value, effect->connection);
    record_str(&value, effect->name);
    record_str(&value, effect->key);
    record_str(&value, effect->fingerprint);
    record_str(&value, effect->job_key);
    record_str(&value, effect->error_kind);
    record_str(&value, effect->error_message);
    int rc = work_put(work, &key, &value);
    if (rc != 0) {
        return rc;
    }
    open_key(&key, effect->job_key, effect->id);
    return is_open(effect->state) ? work_put_mark(work, &key) : work_delete(work, &key);
}

static int decode(struct bytes value, struct effect *effect)
{
    struct record_reader r;
    record_open(&r, value);
    effect->id = record_get_u64(&r);
    effect->state = (enum effect_state)record_get_u8(&r);
    effect->class = (enum effect_class)record_get_u8(&r);
    effect->job_id = record_get_u64(&r);
    effect->intended_ms = record_get_i64(&r);
    effect->sent_ms = record_get_i64(&r);
    effect->ended_ms = record_get_i64(&r);
    effect->attempts = record_get_u32(&r);
    effect->connection = record_get_str(&r);
    effect->name = record_get_str(&r);
    effect->key = record_get_str(&r);
    effect->fingerprint = record_get_str(&r);
    effect->job_key = record_get_str(&r);
    effect->error_kind = record_get_str(&r);
    effect->error_message = record_get_str(&r);
    if (r.is_bad || r.version != EFFECT_VERSION || effect->state > EFFECT_REFUSED ||
        effect->class > EFFECT_ONCE) {
        effect_free(effect);
        return ERROR_CORRUPT;
    }
    return 0;
}

static int load_blob(struct work *work, enum key_table table, uint64_t id, char **data,
                     size_t *size)
{
    struct key key;
    id_key(&key, table, id);
    int rc = work_get_blob(work, &key, data, size);
    return rc == ERROR_NOT_FOUND ? 0 : rc;
}

static int load_bytes(struct work *work, struct effect *effect)
{
    int rc =
        load_blob(work, KEY_EFFECT_REQUEST, effect->id, &effect->request, &effect->request_size);
    if (rc == 0 && (effect->state == EFFECT_ANSWERED || effect->state == EFFECT_CONFIRMED ||
                    effect->state == EFFECT_UNKNOWN || effect->state == EFFECT_REFUSED)) {
        rc = load_blob(work, KEY_EFFECT_ANSWER, effect->id, &effect->answer, &effect->answer_size);
    }
    if (rc == 0 && effect->state == EFFECT_CONFIRMED) {
        rc = load_blob(work, KEY_EFFECT_RESULT, effect->id, &effect->result, &effect->result_size);
    }
    return rc;
}

/* Something may have happened outside, and nobody knows yet. */
static bool is_in_doubt(const struct effect *effect)
{
    return effect->state == EFFECT_INTENT || effect->state == EFFECT_ANSWERED ||
           effect->state == EFFECT_UNKNOWN;
}

/* Of an effect nobody ever intended, success with state EFFECT_NONE. */
static int find_head(struct work *work, const struct effect_spec *spec, struct effect *effect)
{
    struct key key;
    struct bytes value;
    memset(effect, 0, sizeof *effect);
    ledger_key(&key, spec->connection, spec->name, spec->key);
    int rc = work_get(work, &key, &value);
    if (rc != 0) {
        return rc == ERROR_NOT_FOUND ? 0 : rc;
    }
    return decode(value, effect);
}

/* The run under way knows of this open effect. */
static void note_reached(struct work *work, const struct effect *effect)
{
    struct job *job = work->running;
    if (job == NULL || !is_in_doubt(effect)) {
        return;
    }
    if (job->reached == NULL) {
        job->reached = xcalloc(1, sizeof *job->reached);
    }
    id_list_add(job->reached, effect->id);
}

int effect_find(struct work *work, const struct effect_spec *spec, struct effect *effect_out)
{
    int rc = find_head(work, spec, effect_out);
    if (rc == 0) {
        note_reached(work, effect_out);
    }
    if (rc == 0 && effect_out->state != EFFECT_NONE) {
        rc = load_bytes(work, effect_out);
    }
    if (rc != 0) {
        effect_free(effect_out);
    }
    return rc;
}

int effect_find_for_run(struct work *work, const struct effect_spec *spec,
                        struct effect *effect_out)
{
    struct effect *e = effect_out;
    int rc = find_head(work, spec, e);
    if (rc == 0) {
        note_reached(work, e);
    }
    if (rc == 0 && e->state == EFFECT_ANSWERED) {
        rc = load_blob(work, KEY_EFFECT_ANSWER, e->id, &e->answer, &e->answer_size);
    } else if (rc == 0 && e->state == EFFECT_CONFIRMED) {
        rc = load_blob(work, KEY_EFFECT_RESULT, e->id, &e->result, &e->result_size);
    }
    if (rc != 0) {
        effect_free(e);
    }
    return rc;
}

static int load_head(struct work *work, uint64_t id, struct effect *effect)
{
    struct key key;
    struct bytes value;
    memset(effect, 0, sizeof *effect);
    id_key(&key, KEY_EFFECT_ID, id);
    int rc = work_get(work, &key, &value);
    if (rc != 0) {
        return rc;
    }
    struct record_reader r;
    record_open(&r, value);
    struct bytes ledger = record_get_bytes(&r);
    if (r.is_bad || ledger.size > STORE_KEY_MAX) {
        return ERROR_CORRUPT;
    }
    key.size = 0;
    key_raw(&key, ledger);
    rc = work_get(work, &key, &value);
    return rc != 0 ? rc : decode(value, effect);
}

int effect_load(struct work *work, uint64_t id, struct effect *effect_out)
{
    int rc = load_head(work, id, effect_out);
    rc = rc != 0 ? rc : load_bytes(work, effect_out);
    if (rc != 0) {
        effect_free(effect_out);
    }
    return rc;
}

int effect_peek(struct work *work, uint64_t id, struct effect *effect_out)
{
    int rc = load_head(work, id, effect_out);
    if (rc != 0) {
        effect_free(effect_out);
    }
    return rc;
}

static int store_blob(struct work *work, enum key_table table, uint64_t id, struct bytes blob)
{
    struct key key;
    id_key(&key, table, id);
    return work_put_blob(work, &key, blob);
}

static int delete_blob(struct work *work, enum key_table table, uint64_t id)
{
    struct key key;
    id_key(&key, table, id);
    return work_delete(work, &key);
}

/* ---- Units: a checkpoint in a slice, a nested unit outside of one ------------------------------
 */

static int unit_begin(struct work *work)
{
    if (work->running != NULL) {
        return work->depth == 1 ? 0 : ERROR_INVALID;
    }
    return work_reserved_begin(work);
}

static int unit_end(struct work *work, int rc)
{
    if (work->running == NULL) {
        return work_unit_end(work, rc);
    }
    return rc != 0 ? rc : work_checkpoint(work);
}

char *effect_subject(const struct effect *effect)
{
    return xasprintf(EFFECT_SUBJECT_FORMAT, effect->name, effect->key, effect->connection);
}

/* ---- Intent ------------------------------------------------------------------------------------
 */

static int store_id(struct work *work, const struct effect *effect)
{
    struct key key;
    struct key ledger;
    struct buf value;
    ledger_key(&ledger, effect->connection, effect->name, effect->key);
    id_key(&key, KEY_EFFECT_ID, effect->id);
    work_value(&value, EFFECT_VERSION);
    record_bytes(&value, key_bytes(&ledger));
    return work_put(work, &key, &value);
}

/* 0, or ERROR_CANCELLED: the event lies in the mailbox. Another code: nobody knows, so nothing may
 * be sent. */
static int check_not_cancelled(struct job *job, const char *unless_event)
{
    uint64_t seq;
    if (unless_event == NULL) {
        return 0;
    }
    int rc = inbox_mail_newest(job->work, job->info.key, unless_event, &seq);
    if (rc != 0) {
        return rc == ERROR_NOT_FOUND ? 0 : rc;
    }
    rc = inbox_mail_seen(job->work, job->info.key, seq);
    return rc != 0 ? rc : ERROR_CANCELLED;
}

struct passing {
    const struct job *job;
    uint64_t id;
};

static int find_passed(void *arg, const struct effect *effect)
{
    struct passing *passing = arg;
    const struct id_list *reached = passing->job->reached;
    if (effect->job_id != passing->job->info.id || !is_in_doubt(effect)) {
        return 0;
    }
    for (size_t i = 0; reached != NULL && i < reached->count; i++) {
        if (reached->ids[i] == effect->id) {
            return 0;
        }
    }
    passing->id = effect->id;
    return 1;
}

/*
 * An earlier run of this job left an effect in doubt, and this run is about to begin another
 * without having asked for it. The scripts take one way through one state of things, so they name
 * it otherwise now (a connection, an effect or a key was renamed), and what they begin may be the
 * same thing once more.
 */
static int check_passes_none(struct job *job, uint64_t *id_out)
{
    struct passing passing = {job, 0};
    int rc = effect_each_open(job->work, job->info.key, find_passed, &passing);
    *id_out = passing.id;
    return rc > 0 ? ERROR_EXISTS : rc;
}

static void take_spec(struct effect *effect, const struct effect_spec *spec, struct job *job)
{
    int64_t now = work_now_ms(job->work);
    job_set_text(&effect->connection, spec->connection);
    job_set_text(&effect->name, spec->name);
    job_set_text(&effect->key, spec->key);
    job_set_text(&effect->fingerprint, spec->fingerprint);
    job_set_text(&effect->job_key, job->info.key);
    job_set_text(&effect->error_kind, "");
    job_set_text(&effect->error_message, "");
    effect->class = spec->class;
    effect->job_id = job->info.id;
    effect->state = EFFECT_INTENT;
    effect->intended_ms = now;
    effect->sent_ms = now;
    effect->ended_ms = 0;
    effect->attempts++;
}

static int intend(struct job *job, const struct effect_spec *spec, struct effect *effect,
                  struct bytes request)
{
    struct work *work = job->work;
    int rc = 0;
    if (effect->state != EFFECT_NONE && effect->state != EFFECT_REFUSED) {
        return ERROR_INVALID;
    }
    if (effect->state == EFFECT_NONE) {
        rc = work_next(work, SEQUENCE_EFFECT, &effect->id);
    } else {
        rc = delete_blob(work, KEY_EFFECT_ANSWER, effect->id);
    }
    take_spec(effect, spec, job);
    kill_point_before(KILL_INTENT, effect->name);
    rc = rc != 0 ? rc : store_id(work, effect);
    rc = rc != 0 ? rc : store_blob(work, KEY_EFFECT_REQUEST, effect->id, request);
    rc = rc != 0 ? rc : store_effect(work, effect);
    kill_point_after(KILL_INTENT, effect->name);
    return rc;
}

int effect_intend(struct job *job, const struct effect_spec *spec, struct bytes request,
                  uint64_t *id_out)
{
    struct effect effect;
    if (!job->is_in_slice) {
        return ERROR_INVALID;
    }
    int rc = check_passes_none(job, id_out);
    rc = rc != 0 ? rc : check_not_cancelled(job, spec->unless_event);
    rc = rc != 0 ? rc : unit_begin(job->work);
    rc = rc != 0 ? rc : find_head(job->work, spec, &effect);
    if (rc != 0) {
        return rc;
    }
    rc = unit_end(job->work, intend(job, spec, &effect, request));
    *id_out = effect.id;
    note_reached(job->work, &effect);
    effect_free(&effect);
    return rc;
}

static int set_error_text(struct effect *effect, const char *kind, const char *message)
{
    job_set_text(&effect->error_kind, kind);
    free(effect->error_message);
    effect->error_message = log_redacted(message);
    return 0;
}

/* The effect is this job's from now on: found again when it starts afresh or ends. */
static int take_over(struct job *job, struct effect *effect)
{
    effect->job_id = job->info.id;
    if (strcmp(effect->job_key, job->info.key) == 0) {
        return 0;
    }
    struct key key;
    open_key(&key, effect->job_key, effect->id);
    job_set_text(&effect->job_key, job->info.key);
    return work_delete(job->work, &key);
}

static int intend_again(struct job *job, struct effect *effect, bool is_cancelled_now)
{
    bool may_send = effect->state == EFFECT_UNSENT ||
                    (effect->state == EFFECT_UNKNOWN && effect->class == EFFECT_DEDUPES);
    if (!may_send) {
        return ERROR_INVALID;
    }
    if (effect->state == EFFECT_UNSENT && is_cancelled_now) {
        /* It never left, and now it never will. */
        effect->state = EFFECT_REFUSED;
        effect->ended_ms = work_now_ms(job->work);
        (void)set_error_text(effect, error_code_name(ERROR_CANCELLED), "overtaken by an event");
        return store_effect(job->work, effect);
    }
    effect->state = EFFECT_INTENT;
    effect->sent_ms = work_now_ms(job->work);
    effect->attempts++;
    kill_point_before(KILL_AGAIN, effect->name);
    int rc = take_over(job, effect);
    rc = rc != 0 ? rc : store_effect(job->work, effect);
    kill_point_after(KILL_AGAIN, effect->name);
    return rc;
}

int effect_intend_again(struct job *job, uint64_t id, const char *unless_event)
{
    struct effect effect;
    if (!job->is_in_slice) {
        return ERROR_INVALID;
    }
    int cancelled = check_not_cancelled(job, unless_event);
    if (cancelled != 0 && cancelled != ERROR_CANCELLED) {
        return cancelled;
    }
    int rc = unit_begin(job->work);
    rc = rc != 0 ? rc : load_head(job->work, id, &effect);
    if (rc != 0) {
        return rc;
    }
    rc = intend_again(job, &effect, cancelled == ERROR_CANCELLED);
    rc = unit_end(job->work, rc);
    if (rc == 0 && effect.state == EFFECT_REFUSED) {
        rc = ERROR_CANCELLED;
    }
    effect_free(&effect);
    return rc;
}

/* ---- Outcomes ----------------------------------------------------------------------------------
 */

struct outcome {
    enum effect_state to;
    enum kill_point point;
    bool from[EFFECT_REFUSED + 1];
    const char *kind;
    const char *message;
    enum key_table table; /* 0 = no bytes */
    struct bytes bytes;
};

static int settle(struct work *work, struct effect *effect, const struct outcome *outcome)
{
    if (!outcome->from[effect->state]) {
        return ERROR_INVALID;
    }
    log_msg(LOG_DEBUG, work->area, "effect %s %s of %s: %s -> %s", effect->connection, effect->name,
            effect->key, effect_state_name(effect->state), effect_state_name(outcome->to));
    effect->state = outcome->to;
    if (outcome->kind != NULL) {
        (void)set_error_text(effect, outcome->kind, outcome->message);
    }
    if (!is_open(outcome->to)) {
        effect->ended_ms = work_now_ms(work);
    } else if (outcome->to == EFFECT_UNKNOWN) {
        /* It may have left the queue of its connection long after the intent: only now it is sure
         * that it is not sent any more. */
        effect->sent_ms = work_now_ms(work);
        doubt_begin(work, effect->id);
    }
    kill_point_before(outcome->point, effect->name);
    int rc = outcome->table == 0 ? 0 : store_blob(work, outcome->table, effect->id, outcome->bytes);
    rc = rc != 0 ? rc : store_effect(work, effect);
    kill_point_after(outcome->point, effect->name);
    return rc;
}

static int apply(struct work *work, uint64_t id, const struct outcome *outcome)
{
    struct effect effect;
    int rc = unit_begin(work);
    if (rc != 0) {
        return rc;
    }
    rc = load_head(work, id, &effect);
    if (rc == 0) {
        rc = settle(work, &effect, outcome);
        effect_free(&effect);
    }
    return unit_end(work, rc);
}

int effect_answered(struct work *work, uint64_t id, struct bytes raw_answer)
{
    struct outcome outcome = {.to = EFFECT_ANSWERED,
                              .point = KILL_ANSWERED,
                              .from = {[EFFECT_INTENT] = true},
                              .table = KEY_EFFECT_ANSWER,
                              .bytes = raw_answer};
    return apply(work, id, &outcome);
}

int effect_not_sent(struct work *work, uint64_t id, const struct error *err)
{
    struct outcome outcome = {.to = EFFECT_UNSENT,
                              .point = KILL_UNSENT,
                              .from = {[EFFECT_INTENT] = true},
                              .kind = error_code_name(err->code),
                              .message = err->message};
    return apply(work, id, &outcome);
}

int effect_unknown(struct work *work, uint64_t id, const struct error *err)
{
    struct outcome outcome = {.to = EFFECT_UNKNOWN,
                              .point = KILL_UNKNOWN,
                              .from = {[EFFECT_INTENT] = true, [EFFECT_ANSWERED] = true},
                              .kind = error_code_name(err->code),
                              .message = err->message};
    return apply(work, id, &outcome);
}

int effect_confirm(struct work *work, uint64_t id, struct bytes result_json)
{
    struct outcome outcome = {.to = EFFECT_CONFIRMED,
                              .point = KILL_CONFIRMED,
                              .from = {[EFFECT_ANSWERED] = true, [EFFECT_UNKNOWN] = true},
                              .kind = "",
                              .message = "",
                              .table = KEY_EFFECT_RESULT,
                              .bytes = result_json};
    struct job *job = work->running;
    if (job != NULL) { /* progress: earlier failures are no longer in a row */
        job->info.failures = 0;
        job->info.failed_since_ms = 0;
        job->info.parked_ms = 0;
    }
    return apply(work, id, &outcome);
}

int effect_refuse(struct work *work, uint64_t id, const char *kind, const char *message)
{
    struct outcome outcome = {
        .to = EFFECT_REFUSED,
        .point = KILL_REFUSED,
        .from = {[EFFECT_UNSENT] = true, [EFFECT_ANSWERED] = true, [EFFECT_UNKNOWN] = true},
        .kind = kind,
        .message = message};
    return apply(work, id, &outcome);
}

int effect_absent(struct work *work, uint64_t id)
{
    struct outcome outcome = {
        .to = EFFECT_UNSENT, .point = KILL_ABSENT, .from = {[EFFECT_UNKNOWN] = true}};
    return apply(work, id, &outcome);
}

/* ---- Open effects ------------------------------------------------------------------------------
 */

static int collect_open(struct work *work, const char *job_key, struct id_list *ids)
{
    struct key prefix;
    key_begin(&prefix, KEY_EFFECT_OPEN);
    if (job_key != NULL) {
        key_text(&prefix, job_key);
    }
    return work_collect(work, &prefix, SIZE_MAX, ids);
}

int effect_each_open(struct work *work, const char *job_key, effect_each_fn fn, void *arg)
{
    struct id_list ids = {0};
    int rc = collect_open(work, job_key, &ids);
    for (size_t i = 0; i < ids.count && rc == 0; i++) {
        struct effect effect;
        if (load_head(work, ids.ids[i], &effect) == 0) {
            rc = fn(arg, &effect);
            effect_free(&effect);
        }
    }
    id_list_free(&ids);
    return rc;
}

static int is_intent(void *arg, const struct effect *effect)
{
    (void)arg;
    return effect->state == EFFECT_INTENT ? 1 : 0;
}

bool effect_is_pending(struct work *work, const char *job_key)
{
    return effect_each_open(work, job_key, is_intent, NULL) == 1;
}

static int is_doubtful(void *arg, const struct effect *effect)
{
    (void)arg;
    return effect->state == EFFECT_UNSENT ? 0 : 1;
}

bool effect_is_doubtful(struct work *work, const char *job_key)
{
    return effect_each_open(work, job_key, is_doubtful, NULL) == 1;
}

struct search {
    uint64_t job_id;
    uint64_t found;
};

static int is_of_job(void *arg, const struct effect *effect)
{
    struct search *search = arg;
    if (effect->job_id == search->job_id) {
        search->found = effect->id;
    }
    return search->found == 0 ? 0 : 1;
}

int effect_unfinished(struct work *work, const char *job_key, uint64_t job_id, uint64_t *id_out)
{
    struct search search = {job_id, 0};
    int rc = effect_each_open(work, job_key, is_of_job, &search);
    *id_out = search.found;
    return rc < 0 ? rc : 0;
}

/* Without a slice's checkpoint: runs inside a unit of the caller. */
static int intents_unknown(struct work *work, const char *job_key, const char *message)
{
    struct outcome outcome = {.to = EFFECT_UNKNOWN,
                              .point = KILL_UNKNOWN,
                              .from = {[EFFECT_INTENT] = true},
                              .kind = error_code_name(ERROR_CANCELLED),
                              .message = message};
    struct id_list ids = {0};
    int rc = collect_open(work, job_key, &ids);
    for (size_t i = 0; i < ids.count && rc == 0; i++) {
        struct effect effect;
        rc = load_head(work, ids.ids[i], &effect);
        if (rc == 0) {
            rc = effect.state == EFFECT_INTENT ? settle(work, &effect, &outcome) : 0;
            effect_free(&effect);
        } else if (rc == ERROR_NOT_FOUND || rc == ERROR_CORRUPT) {
            rc = 0; /* the effect call itself tells, when a job asks for it */
        }
    }
    id_list_free(&ids);
    return rc;
}

int effect_recover(struct work *work)
{
    return intents_unknown(work, NULL, "the process ended before an answer came");
}

int effect_abandon(struct work *work, const char *job_key)
{
    return intents_unknown(work, job_key, "the job began again before an answer came");
}

/* ---- Forgetting --------------------------------------------------------------------------------
 */

static int forget(struct work *work, struct effect *effect)
{
    if (is_open(effect->state)) {
        return ERROR_INVALID;
    }
    int rc = delete_blob(work, KEY_EFFECT_REQUEST, effect->id);
    rc = rc != 0 ? rc : delete_blob(work, KEY_EFFECT_ANSWER, effect->id);
    if (rc != 0 || effect->error_message[0] == '\0') {
        return rc;
    }
    job_set_text(&effect->error_message, "");
    return store_effect(work, effect);
}

int effect_forget(struct work *work, uint64_t id)
{
    struct effect effect;
    int rc = work_nested_begin(work);
    if (rc != 0) {
        return rc;
    }
    rc = effect_peek(work, id, &effect);
    if (rc == 0) {
        rc = forget(work, &effect);
        effect_free(&effect);
    }
    return work_unit_end(work, rc);
}
