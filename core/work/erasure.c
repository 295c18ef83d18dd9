/*
 * Finding what is about a key: its jobs (table j) lead to their events, its mailbox to the others;
 * timeline, trail and facts are under its name; effects are found by walking the request and answer
 * bytes that are left, because the ledger is not in order of keys and the bytes are what matters.
 */
#include "core/work/erasure.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/json_reader.h"
#include "core/base/json_writer.h"
#include "core/base/log.h"
#include "core/base/xalloc.h"
#include "core/work/audit_chain.h"
#include "core/work/counter.h"
#include "core/work/dossier.h"
#include "core/work/effect.h"
#include "core/work/erasure_private.h"
#include "core/work/inbox.h"
#include "core/work/script_table.h"
#include "core/work/timeline.h"
#include "core/work/work_state.h"

#define CLOSED_VERSION 1 /* as exception.c writes it */
#define FACTS_MAX      (1u << 20)

/* One erasure under way. */
struct erasing {
    struct work *work;
    const struct erasure_request *request;
    struct erasure_report *report;
    struct error *err;
    char **names; /* the key, its aliases, then its related keys; owned */
    size_t name_count;
    struct id_list jobs;
    struct id_list events;
    struct id_list effects;
};

static bool is_listed(const struct id_list *list, uint64_t id)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->ids[i] == id) {
            return true;
        }
    }
    return false;
}

static bool is_name(const struct erasing *e, const char *text)
{
    for (size_t i = 0; i < e->name_count; i++) {
        if (strcmp(e->names[i], text) == 0) {
            return true;
        }
    }
    return false;
}

static void number_key(struct key *key, enum key_table table, uint64_t number)
{
    key_begin(key, table);
    key_u64(key, number);
}

static void name_key(struct key *key, enum key_table table, const char *name)
{
    key_begin(key, table);
    key_text(key, name);
}

/* ---- Finding -----------------------------------------------------------------------------------
 */

/* Once each: a key may be related by alias and by key. */
static int add_name(void *arg, const char *name)
{
    struct erasing *e = arg;
    if (is_name(e, name)) {
        return 0;
    }
    e->names = xrealloc(e->names, (e->name_count + 1) * sizeof(*e->names));
    e->names[e->name_count++] = xstrdup(name);
    return 0;
}

static int collect_name(struct erasing *e, const char *name)
{
    struct key key;
    name_key(&key, KEY_KEY_JOBS, name);
    int rc = work_collect(e->work, &key, SIZE_MAX, &e->jobs);
    name_key(&key, KEY_MAILBOX, name);
    return rc != 0 ? rc : work_collect(e->work, &key, SIZE_MAX, &e->events);
}

static int find_effects(struct erasing *e, enum key_table table)
{
    struct id_list ids = {0};
    struct key key;
    key_begin(&key, table);
    int rc = work_collect(e->work, &key, SIZE_MAX, &ids);
    for (size_t i = 0; i < ids.count && rc == 0; i++) {
        struct effect effect;
        if (effect_peek(e->work, ids.ids[i], &effect) == 0) {
            if (is_name(e, effect.job_key) && !is_listed(&e->effects, effect.id)) {
                id_list_add(&e->effects, effect.id);
            }
            effect_free(&effect);
        }
    }
    id_list_free(&ids);
    return rc;
}

static int find_all(struct erasing *e)
{
    add_name(e, e->request->key);
    int rc = inbox_each_alias(e->work, e->request->key, add_name, e);
    rc = rc < 0 ? rc : inbox_each_related(e->work, e->request->key, add_name, e);
    rc = rc < 0 ? rc : 0;
    for (size_t i = 0; i < e->name_count && rc == 0; i++) {
        rc = collect_name(e, e->names[i]);
    }
    for (size_t i = 0; i < e->jobs.count && rc == 0; i++) {
        struct job_info info;
        if (job_load(e->work, e->jobs.ids[i], &info) == 0) {
            id_list_add(&e->events, info.event_seq);
            job_info_free(&info);
        }
    }
    rc = rc != 0 ? rc : find_effects(e, KEY_EFFECT_REQUEST);
    rc = rc != 0 ? rc : find_effects(e, KEY_EFFECT_ANSWER);
    e->report->names = e->name_count;
    return rc;
}

/* ---- What must be settled first ----------------------------------------------------------------
 */

static int settle_job(struct erasing *e, const struct job_info *info)
{
    if (!e->request->is_forced) {
        return error_set(
            e->err, ERROR_INVALID,
            "job %llu of %s is not done (%s): let it end, or force, which dismisses it",
            (unsigned long long)info->id, e->request->key, job_state_name(info->state));
    }
    char *reason = xasprintf("erased: %s", e->request->reason);
    int rc = job_dismiss(e->work, info->id, e->request->who, reason);
    free(reason);
    if (rc == ERROR_INVALID) {
        return error_set(e->err, ERROR_INVALID,
                         "job %llu of %s is running: try again in a moment, or pause its flow",
                         (unsigned long long)info->id, e->request->key);
    }
    e->report->jobs_dismissed++;
    return rc;
}

/* One after the other: the end of a job may start one for an event that came meanwhile. */
static int settle_inbox(struct erasing *e, const char *name)
{
    for (;;) {
        struct job_info head;
        int rc = job_head(e->work, name, &head);
        if (rc != 0) {
            return rc == ERROR_NOT_FOUND ? 0 : rc;
        }
        rc = settle_job(e, &head);
        if (rc == 0 && !is_listed(&e->jobs, head.id)) {
            id_list_add(&e->jobs, head.id);
        }
        job_info_free(&head);
        if (rc != 0) {
            return rc;
        }
    }
}

static int settle_effect(struct erasing *e, uint64_t id)
{
    struct effect effect;
    int rc = effect_peek(e->work, id, &effect);
    if (rc != 0) {
        return rc == ERROR_NOT_FOUND ? 0 : rc;
    }
    if (effect.state == EFFECT_UNSENT && e->request->is_forced) {
        rc = effect_refuse(e->work, id, error_code_name(ERROR_CANCELLED), "");
    } else {
        rc = error_set(e->err, ERROR_EXISTS,
                       "%s %s of %s is %s: its outcome must be known before its bytes go",
                       effect.connection, effect.name, e->request->key,
                       effect_state_name(effect.state));
    }
    effect_free(&effect);
    return rc;
}

static int settle_effects(struct erasing *e)
{
    struct id_list ids = {0};
    int rc = 0;
    for (size_t i = 0; i < e->name_count && rc == 0; i++) {
        struct key key;
        name_key(&key, KEY_EFFECT_OPEN, e->names[i]);
        rc = work_collect(e->work, &key, SIZE_MAX, &ids);
    }
    for (size_t i = 0; i < ids.count && rc == 0; i++) {
        rc = settle_effect(e, ids.ids[i]);
    }
    id_list_free(&ids);
    return rc;
}

/* ---- Erasing -----------------------------------------------------------------------------------
 */

static int drop(struct erasing *e, const struct key *key, uint64_t *count)
{
    if (!work_has(e->work, key)) {
        return 0;
    }
    (*count)++;
    return work_delete(e->work, key);
}

static int count_entry(void *arg, struct bytes key, struct bytes value)
{
    (void)key;
    (void)value;
    (*(uint64_t *)arg)++;
    return 0;
}

static int drop_prefix(struct erasing *e, const struct key *prefix, uint64_t *count)
{
    int rc = work_range(e->work, prefix, false, count_entry, count);
    return rc < 0 ? rc : work_delete_prefix(e->work, prefix);
}

static int erase_job(struct erasing *e, uint64_t id)
{
    struct key key;
    struct job_info info;
    number_key(&key, KEY_STEP, id);
    int rc = drop_prefix(e, &key, &e->report->steps);
    number_key(&key, KEY_DOCUMENT, id);
    rc = rc != 0 ? rc : drop_prefix(e, &key, &e->report->documents);
    if (rc != 0 || job_load(e->work, id, &info) != 0) {
        return rc;
    }
    if (info.last_error[0] != '\0') {
        job_set_text(&info.last_error, "");
        e->report->errors++;
        rc = job_store(e->work, &info);
    }
    job_info_free(&info);
    return rc;
}

static int erase_numbered(struct erasing *e)
{
    int rc = 0;
    for (size_t i = 0; i < e->events.count && rc == 0; i++) {
        struct key key;
        number_key(&key, KEY_PAYLOAD, e->events.ids[i]);
        rc = drop(e, &key, &e->report->payloads);
    }
    for (size_t i = 0; i < e->jobs.count && rc == 0; i++) {
        rc = erase_job(e, e->jobs.ids[i]);
    }
    for (size_t i = 0; i < e->effects.count && rc == 0; i++) {
        rc = effect_forget(e->work, e->effects.ids[i]);
        e->report->effects++;
    }
    return rc;
}

/* What people and the host need for the books: amount, deadlines, state, title. */
static void redact_json(const struct erasing *e, const char *json, const char *state,
                        struct buf *out)
{
    static const char *const KEPT[] = {"amount", "deadlines", "title"};
    struct json_writer w;
    json_writer_init(&w, out);
    json_object_begin(&w);
    for (size_t i = 0; i < sizeof(KEPT) / sizeof(KEPT[0]); i++) {
        struct bytes value;
        bool is_title = strcmp(KEPT[i], "title") == 0;
        if (!(is_title && e->request->with_title) && json_find(bytes_str(json), KEPT[i], &value)) {
            json_key(&w, KEPT[i]);
            json_raw(&w, value);
        }
    }
    json_member_str(&w, "state", state);
    json_object_end(&w);
}

static int erase_facts(struct erasing *e, const char *name)
{
    struct dossier_facts facts;
    int rc = dossier_get_facts(e->work, name, &facts);
    if (rc != 0) {
        return rc == ERROR_NOT_FOUND ? 0 : rc;
    }
    /* "held: the town \"...\" is too long": words of a cause stand behind the colon. */
    facts.state[strcspn(facts.state, ":")] = '\0';
    if (e->request->with_title) {
        facts.title[0] = '\0';
    }
    struct buf json;
    buf_init(&json, FACTS_MAX);
    redact_json(e, facts.json, facts.state, &json);
    free(facts.json);
    facts.json = buf_take(&json, NULL);
    e->report->facts++;
    rc = dossier_put_facts(e->work, name, &facts);
    dossier_facts_free(&facts);
    return rc;
}

static int erase_name(struct erasing *e, const char *name)
{
    struct key key;
    name_key(&key, KEY_TIMELINE, name);
    int rc = drop_prefix(e, &key, &e->report->timeline_lines);
    name_key(&key, KEY_TRAIL, name);
    rc = rc != 0 ? rc : drop(e, &key, &e->report->trails);
    rc = rc != 0 ? rc : script_table_forget(e->work, name, &e->report->records);
    return rc != 0 ? rc : erase_facts(e, name);
}

/* ---- Closed exceptions, broken records ---------------------------------------------------------
 */

struct matching {
    const struct erasing *e;
    struct id_list found;
};

/* Subject of a closed exception: the third text. */
static int match_closed(void *arg, struct bytes key, struct bytes value)
{
    struct matching *m = arg;
    struct record_reader r;
    record_open(&r, value);
    (void)record_get_u8(&r);
    (void)record_get_i64(&r);
    (void)record_get_i64(&r);
    (void)record_get_u64(&r);
    free(record_get_str(&r));
    char *subject = record_get_str(&r);
    struct bytes message = record_get_bytes(&r);
    if (!r.is_bad && message.size > 0 && is_name(m->e, subject)) {
        id_list_add(&m->found, key_last_u64(key));
    }
    free(subject);
    return 0;
}

/* The same record without its message. */
static int erase_closed(struct erasing *e, uint64_t seq)
{
    struct key key;
    struct bytes value;
    number_key(&key, KEY_CLOSED, seq);
    int rc = work_get(e->work, &key, &value);
    if (rc != 0) {
        return rc;
    }
    struct record_reader r;
    struct buf copy;
    record_open(&r, value);
    work_value(&copy, CLOSED_VERSION);
    record_u8(&copy, record_get_u8(&r));
    record_i64(&copy, record_get_i64(&r));
    record_i64(&copy, record_get_i64(&r));
    record_u64(&copy, record_get_u64(&r));
    record_bytes(&copy, record_get_bytes(&r)); /* cause */
    record_bytes(&copy, record_get_bytes(&r)); /* subject */
    (void)record_get_bytes(&r);
    record_str(&copy, "");
    record_bytes(&copy, record_get_bytes(&r)); /* who */
    record_bytes(&copy, record_get_bytes(&r)); /* note */
    e->report->errors++;
    return work_put(e->work, &key, &copy);
}

static bool is_about(const struct erasing *e, struct bytes key)
{
    uint8_t table = key.size > 0 ? (uint8_t)key.data[0] : 0;
    switch (table) {
    case KEY_PAYLOAD:
        return is_listed(&e->events, key_u64_at(key, 1));
    case KEY_JOB:
    case KEY_STEP:
    case KEY_DOCUMENT:
        return is_listed(&e->jobs, key_u64_at(key, 1));
    case KEY_EFFECT_REQUEST:
    case KEY_EFFECT_ANSWER:
        return is_listed(&e->effects, key_u64_at(key, 1));
    case KEY_TIMELINE:
    case KEY_TRAIL:
    case KEY_FACTS:
        for (size_t i = 0; i < e->name_count; i++) {
            struct key prefix;
            name_key(&prefix, (enum key_table)table, e->names[i]);
            if (key.size >= prefix.size && memcmp(key.data, prefix.data, prefix.size) == 0) {
                return true;
            }
        }
        return false;
    case KEY_SCRIPT:
        for (size_t i = 0; i < e->name_count; i++) {
            if (script_table_is_about(key, e->names[i])) {
                return true;
            }
        }
        return false;
    default:
        return false;
    }
}

static int match_broken(void *arg, struct bytes key, struct bytes value)
{
    struct matching *m = arg;
    struct record_reader r;
    record_open(&r, value);
    struct bytes inner = record_get_bytes(&r);
    if (!r.is_bad && is_about(m->e, inner)) {
        id_list_add(&m->found, key_last_u64(key));
    }
    return 0;
}

static int erase_words(struct erasing *e)
{
    struct matching closed = {.e = e};
    struct matching broken = {.e = e};
    struct key key;
    key_begin(&key, KEY_CLOSED);
    int rc = work_range(e->work, &key, false, match_closed, &closed);
    key_begin(&key, KEY_QUARANTINE);
    rc = rc < 0 ? rc : work_range(e->work, &key, false, match_broken, &broken);
    rc = rc < 0 ? rc : 0;
    for (size_t i = 0; i < closed.found.count && rc == 0; i++) {
        rc = erase_closed(e, closed.found.ids[i]);
    }
    for (size_t i = 0; i < broken.found.count && rc == 0; i++) {
        number_key(&key, KEY_QUARANTINE, broken.found.ids[i]);
        rc = drop(e, &key, &e->report->broken);
    }
    id_list_free(&closed.found);
    id_list_free(&broken.found);
    return rc;
}

/* ---- The whole ---------------------------------------------------------------------------------
 */

static int write_down(struct erasing *e)
{
    const struct erasure_request *q = e->request;
    char *text = xasprintf("personal data erased by %s: %s", q->who, q->reason);
    struct audit_entry audit = {
        .who = q->who, .action = "erase", .subject = q->key, .detail = q->reason};
    struct timeline_entry line = {.kind = "erased", .text = text};
    struct erasure_entry entry = {
        .key = q->key,
        .who = q->who,
        .reason = q->reason,
        .at_ms = q->at_ms != 0 ? q->at_ms : work_now_ms(e->work),
        .with_title = q->with_title,
    };
    int rc = audit_append(e->work, &audit);
    rc = rc != 0 ? rc : timeline_add(e->work, q->key, &line);
    rc = rc != 0 ? rc : counter_add(e->work, "erasures", 1);
    rc = rc != 0 ? rc : erasure_store(e->work, &entry);
    free(text);
    return rc;
}

static int erase(struct erasing *e)
{
    int rc = find_all(e);
    for (size_t i = 0; i < e->name_count && rc == 0; i++) {
        rc = settle_inbox(e, e->names[i]);
    }
    rc = rc != 0 ? rc : settle_effects(e);
    rc = rc != 0 ? rc : erase_numbered(e);
    for (size_t i = 0; i < e->name_count && rc == 0; i++) {
        rc = erase_name(e, e->names[i]);
    }
    rc = rc != 0 ? rc : erase_words(e);
    return rc != 0 ? rc : write_down(e);
}

static void erasing_free(struct erasing *e)
{
    for (size_t i = 0; i < e->name_count; i++) {
        free(e->names[i]);
    }
    free(e->names);
    id_list_free(&e->jobs);
    id_list_free(&e->events);
    id_list_free(&e->effects);
}

int erasure_apply(struct work *work, const struct erasure_request *request,
                  struct erasure_report *report_out, struct error *err)
{
    memset(report_out, 0, sizeof(*report_out));
    error_clear(err);
    if (strlen(request->who) + strlen(request->reason) > ERASURE_WORDS_MAX) {
        return error_set(err, ERROR_LIMIT, "the reason is longer than %d bytes", ERASURE_WORDS_MAX);
    }
    int rc = work_nested_begin(work);
    if (rc != 0) {
        return error_set(err, rc, "nothing can be erased now: %s", error_code_name(rc));
    }
    struct erasing e = {.work = work, .request = request, .report = report_out, .err = err};
    rc = erase(&e);
    erasing_free(&e);
    if (rc == 0 && request->is_dry_run) {
        work_nested_abort(work);
        return 0;
    }
    rc = work_unit_end(work, rc);
    if (rc == 0) {
        erasure_written(work, request);
        return 0;
    }
    return err->code != 0 ? err->code
                          : error_set(err, rc, "erasing %s: %s", request->key, error_code_name(rc));
}
