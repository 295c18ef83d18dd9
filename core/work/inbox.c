/*
 * Accepting: identity first (a duplicate writes at most what it says that the first did not), then
 * the event, its aliases, and either a job at the end of the inbox or an entry in the mailbox of
 * the key.
 */
#include "core/work/inbox.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/kill_point.h"
#include "core/base/log.h"
#include "core/base/xalloc.h"
#include "core/work/counter.h"
#include "core/work/event_store.h"
#include "core/work/exception.h"
#include "core/work/timeline.h"
#include "core/work/work_state.h"

#define MAIL_VERSION  1
#define ALIAS_VERSION 1

void accept_result_free(struct accept_result *result)
{
    buf_free(&result->owned);
    result->has_answer = false;
}

/* ---- Aliases -----------------------------------------------------------------------------------
 */

static void alias_key(struct key *key, const char *name)
{
    key_begin(key, KEY_ALIAS);
    key_text(key, name);
}

/* ERROR_NOT_FOUND: name is no alias. */
static int alias_find(struct work *work, const char *name, char **key_out)
{
    struct key key;
    struct bytes value;
    alias_key(&key, name);
    int rc = work_get(work, &key, &value);
    if (rc != 0) {
        return rc;
    }
    struct record_reader r;
    record_open(&r, value);
    *key_out = record_get_str(&r);
    if (r.is_bad || r.version != ALIAS_VERSION) {
        free(*key_out);
        *key_out = NULL;
        work_quarantine(work, &key);
        return ERROR_NOT_FOUND;
    }
    return 0;
}

char *inbox_resolve(struct work *work, const char *name)
{
    char *key = NULL;
    int rc = alias_find(work, name, &key);
    if (rc == ERROR_NOT_FOUND) {
        return xstrdup(name);
    }
    return rc == 0 ? key : NULL;
}

static int alias_store(struct work *work, const char *key_name, const char *name)
{
    struct key key;
    struct buf value;
    alias_key(&key, name);
    work_value(&value, ALIAS_VERSION);
    record_str(&value, key_name);
    int rc = work_put(work, &key, &value);
    if (rc == 0) {
        key_begin(&key, KEY_ALIASES_OF);
        key_text(&key, key_name);
        key_text(&key, name);
        work_value(&value, ALIAS_VERSION);
        record_str(&value, name);
        rc = work_put(work, &key, &value);
    }
    return rc;
}

struct alias_walk {
    struct work *work;
    inbox_alias_fn fn;
    void *arg;
};

static int visit_alias(void *arg, struct bytes key, struct bytes value)
{
    (void)key;
    struct alias_walk *walk = arg;
    struct record_reader r;
    record_open(&r, value);
    char *alias = record_get_str(&r);
    int rc = r.is_bad ? 0 : walk->fn(walk->arg, alias);
    free(alias);
    return rc;
}

int inbox_each_alias(struct work *work, const char *key, inbox_alias_fn fn, void *arg)
{
    struct alias_walk walk = {work, fn, arg};
    struct key prefix;
    key_begin(&prefix, KEY_ALIASES_OF);
    key_text(&prefix, key);
    return work_range(work, &prefix, false, visit_alias, &walk);
}

/* ---- Related keys ------------------------------------------------------------------------------
 */

static int relate(struct work *work, const char *about, const char *key_name)
{
    struct key key;
    struct buf value;
    if (about == NULL || strcmp(about, key_name) == 0) {
        return 0;
    }
    key_begin(&key, KEY_RELATED);
    key_text(&key, about);
    key_text(&key, key_name);
    if (work_has(work, &key)) {
        return 0;
    }
    work_value(&value, ALIAS_VERSION);
    record_str(&value, key_name);
    return work_put(work, &key, &value);
}

static int each_related_of(void *arg, const char *name)
{
    struct alias_walk *walk = arg;
    struct key prefix;
    key_begin(&prefix, KEY_RELATED);
    key_text(&prefix, name);
    return work_range(walk->work, &prefix, false, visit_alias, walk);
}

int inbox_each_related(struct work *work, const char *key, inbox_alias_fn fn, void *arg)
{
    struct alias_walk walk = {work, fn, arg};
    int rc = each_related_of(&walk, key);
    return rc != 0 ? rc : inbox_each_alias(work, key, each_related_of, &walk);
}

/* ---- Mailbox -----------------------------------------------------------------------------------
 */

struct mail {
    uint64_t seq;
    char *name;
    enum event_idle idle;
    bool is_seen;         /* some run looked at it */
    uint64_t consumed_by; /* job whose await it ended; 0 = none */
};

static void mail_key(struct key *key, const char *key_name, uint64_t seq)
{
    key_begin(key, KEY_MAILBOX);
    key_text(key, key_name);
    key_u64(key, seq);
}

static int mail_store(struct work *work, const char *key_name, const struct mail *mail)
{
    struct key key;
    struct buf value;
    mail_key(&key, key_name, mail->seq);
    work_value(&value, MAIL_VERSION);
    record_u8(&value, (uint8_t)mail->idle);
    record_u8(&value, mail->is_seen ? 1 : 0);
    record_u64(&value, mail->consumed_by);
    record_str(&value, mail->name);
    return work_put(work, &key, &value);
}

static int mail_decode(struct bytes value, uint64_t seq, struct mail *mail)
{
    struct record_reader r;
    record_open(&r, value);
    mail->seq = seq;
    mail->idle = (enum event_idle)record_get_u8(&r);
    mail->is_seen = record_get_u8(&r) != 0;
    mail->consumed_by = record_get_u64(&r);
    mail->name = record_get_str(&r);
    if (r.is_bad || r.version != MAIL_VERSION) {
        free(mail->name);
        mail->name = NULL;
        return ERROR_CORRUPT;
    }
    return 0;
}

static int mail_load(struct work *work, const char *key_name, uint64_t seq, struct mail *mail)
{
    struct key key;
    struct bytes value;
    mail_key(&key, key_name, seq);
    int rc = work_get(work, &key, &value);
    return rc != 0 ? rc : mail_decode(value, seq, mail);
}

enum mail_wanted { MAIL_NEWEST, MAIL_UNREAD };
struct mail_search {
    enum mail_wanted wanted;
    const char *events; /* joined by '\n' */
    uint64_t seq;
    uint64_t broken; /* one that cannot be read; 0 = none */
};

static int match_mail(void *arg, struct bytes key, struct bytes value)
{
    struct mail_search *search = arg;
    struct mail mail;
    if (mail_decode(value, key_last_u64(key), &mail) != 0) {
        search->broken = key_last_u64(key);
        return 0;
    }
    bool is_match = job_wait_has_event(search->events, mail.name) &&
                    (search->wanted == MAIL_NEWEST || mail.consumed_by == 0);
    free(mail.name);
    if (is_match) {
        search->seq = mail.seq;
    }
    return is_match ? 1 : 0;
}

static int search_mail(struct work *work, const char *key_name, struct mail_search *search,
                       uint64_t *seq_out)
{
    struct key prefix;
    key_begin(&prefix, KEY_MAILBOX);
    key_text(&prefix, key_name);
    int rc = work_range(work, &prefix, search->wanted == MAIL_NEWEST, match_mail, search);
    *seq_out = search->seq;
    if (rc < 0) {
        return rc;
    }
    return rc == 0 ? ERROR_NOT_FOUND : 0;
}

/* A broken one may be the cancellation that was asked for: the run that asks fails and its job is
 * held. The record is put aside for good, so that a person who has looked lets the job go on. */
static int fail_broken_mail(struct work *work, const char *key_name, uint64_t seq)
{
    struct key key;
    mail_key(&key, key_name, seq);
    work_quarantine(work, &key);
    if (work->running != NULL && work->depth == 1) {
        int rc = work_checkpoint(work);
        return rc != 0 ? rc : ERROR_CORRUPT;
    }
    return ERROR_CORRUPT;
}

int inbox_mail_newest(struct work *work, const char *key, const char *name, uint64_t *seq_out)
{
    struct mail_search search = {MAIL_NEWEST, name, 0, 0};
    int rc = search_mail(work, key, &search, seq_out);
    bool is_in_doubt = rc == ERROR_NOT_FOUND && search.broken != 0 && work->running != NULL;
    return is_in_doubt ? fail_broken_mail(work, key, search.broken) : rc;
}

int inbox_mail_unread(struct work *work, const char *key, const char *events, uint64_t *seq_out)
{
    struct mail_search search = {MAIL_UNREAD, events, 0, 0};
    return search_mail(work, key, &search, seq_out);
}

int inbox_mail_consume(struct work *work, const char *key, uint64_t seq, uint64_t job_id)
{
    struct mail mail;
    int rc = mail_load(work, key, seq, &mail);
    if (rc == 0) {
        mail.consumed_by = job_id;
        mail.is_seen = true;
        rc = mail_store(work, key, &mail);
        free(mail.name);
    }
    return rc;
}

int inbox_mail_seen(struct work *work, const char *key, uint64_t seq)
{
    struct mail mail;
    int rc = mail_load(work, key, seq, &mail);
    if (rc == 0) {
        if (!mail.is_seen) {
            mail.is_seen = true;
            rc = mail_store(work, key, &mail);
        }
        free(mail.name);
    }
    return rc;
}

/* ---- Reaching the open job ---------------------------------------------------------------------
 */

static int reach(struct work *work, struct job_info *head, const struct mail *mail)
{
    if (job_find_live(work, head->id) != NULL) {
        work_pend(work, PENDING_NUDGE, head->id);
        return 0;
    }
    switch (head->state) {
    case JOB_WAITING:
        return job_make_ready(work, head, false);
    case JOB_HELD:
        return job_make_ready(work, head, true);
    case JOB_AWAITING: {
        if (!job_wait_has_event(head->wait_events, mail->name)) {
            return job_make_ready(work, head, false); /* it looks, and may wait on */
        }
        int rc = inbox_mail_consume(work, head->key, mail->seq, head->id);
        rc = rc != 0 ? rc : job_wait_finish(work, head, mail->seq);
        return rc != 0 ? rc : job_make_ready(work, head, false);
    }
    default:
        return 0; /* ready: it will look; dead: a person acts */
    }
}

/* A job of its own for an overtaking event. */
static int start_job(struct work *work, const char *key, struct mail *mail, uint64_t *job_id_out)
{
    struct event_record event;
    int rc = event_load_head(work, mail->seq, &event);
    if (rc != 0) {
        return rc == ERROR_NOT_FOUND ? 0 : rc;
    }
    job_set_text(&event.key, key);
    rc = job_create(work, &event, false, &event.job_id);
    rc = rc != 0 ? rc : event_store(work, &event);
    mail->is_seen = true;
    mail->consumed_by = event.job_id; /* it is that job's own event: no await may take it */
    rc = rc != 0 ? rc : mail_store(work, key, mail);
    *job_id_out = event.job_id;
    event_record_free(&event);
    return rc;
}

static int deliver(struct work *work, const char *key, struct mail *mail, uint64_t *job_id_out)
{
    struct job_info head;
    int rc = job_head(work, key, &head);
    if (rc == 0) {
        bool is_dead = head.state == JOB_DEAD;
        rc = reach(work, &head, mail);
        job_info_free(&head);
        if (!is_dead || rc != 0) {
            return rc;
        }
    } else if (rc != ERROR_NOT_FOUND) {
        return rc;
    }
    return mail->idle == EVENT_IDLE_JOB ? start_job(work, key, mail, job_id_out) : 0;
}

static int collect_seq(struct work *work, const char *key, struct id_list *seqs)
{
    struct key prefix;
    key_begin(&prefix, KEY_MAILBOX);
    key_text(&prefix, key);
    return work_collect(work, &prefix, SIZE_MAX, seqs);
}

int inbox_mail_leftovers(struct work *work, const char *key)
{
    struct id_list seqs = {0};
    int rc = collect_seq(work, key, &seqs);
    for (size_t i = 0; i < seqs.count && rc == 0; i++) {
        struct mail mail;
        if (mail_load(work, key, seqs.ids[i], &mail) != 0) {
            continue;
        }
        uint64_t job_id;
        if (mail.idle == EVENT_IDLE_JOB && !mail.is_seen) {
            rc = start_job(work, key, &mail, &job_id);
        }
        free(mail.name);
    }
    id_list_free(&seqs);
    return rc;
}

static int move_one(struct work *work, const char *from, const char *to, uint64_t seq)
{
    struct mail mail;
    struct key key;
    int rc = mail_load(work, from, seq, &mail);
    if (rc != 0) {
        return rc == ERROR_CORRUPT || rc == ERROR_NOT_FOUND ? 0 : rc;
    }
    mail_key(&key, from, seq);
    rc = work_delete(work, &key);
    rc = rc != 0 ? rc : mail_store(work, to, &mail);
    uint64_t job_id;
    if (rc == 0 && mail.consumed_by == 0) {
        rc = deliver(work, to, &mail, &job_id);
    }
    free(mail.name);
    return rc;
}

static int alias(struct work *work, const char *key, const char *name)
{
    char *owner = NULL;
    int rc = alias_find(work, name, &owner);
    if (rc == 0) {
        rc = strcmp(owner, key) == 0 ? 0 : ERROR_EXISTS;
        free(owner);
        return rc;
    }
    if (rc != ERROR_NOT_FOUND || strcmp(name, key) == 0) {
        return rc == ERROR_NOT_FOUND ? 0 : rc;
    }
    rc = alias_store(work, key, name);
    struct id_list seqs = {0};
    rc = rc != 0 ? rc : collect_seq(work, name, &seqs);
    for (size_t i = 0; i < seqs.count && rc == 0; i++) {
        rc = move_one(work, name, key, seqs.ids[i]);
    }
    id_list_free(&seqs);
    return rc;
}

int inbox_alias(struct work *work, const char *key, const char *name)
{
    if (strlen(name) > EVENT_KEY_MAX || name[0] == '\0') {
        return ERROR_LIMIT;
    }
    int rc = work_nested_begin(work);
    return rc != 0 ? rc : work_unit_end(work, alias(work, key, name));
}

uint64_t inbox_depth(struct work *work, const char *key)
{
    struct key prefix;
    struct id_list ids = {0};
    key_begin(&prefix, KEY_INBOX);
    key_text(&prefix, key);
    int rc = work_collect(work, &prefix, SIZE_MAX, &ids);
    uint64_t count = rc == 0 ? ids.count : 0;
    id_list_free(&ids);
    return count;
}

/* ---- Accepting ---------------------------------------------------------------------------------
 */

static int check_text(const char *what, const char *text, size_t max, struct error *err)
{
    if (text == NULL || text[0] == '\0') {
        return error_set(err, ERROR_INVALID, "an event needs a %s", what);
    }
    if (strlen(text) > max) {
        return error_set(err, ERROR_LIMIT, "the %s of an event is longer than %zu bytes", what,
                         max);
    }
    return 0;
}

static int check_event(const struct event_new *event, struct error *err)
{
    int rc = check_text("source", event->source, EVENT_KEY_MAX, err);
    rc = rc != 0 ? rc : check_text("id", event->id, EVENT_KEY_MAX, err);
    rc = rc != 0 ? rc : check_text("name", event->name, EVENT_NAME_MAX, err);
    rc = rc != 0 ? rc : check_text("flow", event->flow, EVENT_NAME_MAX, err);
    if (rc == 0 && event->key != NULL) {
        rc = check_text("key", event->key, EVENT_KEY_MAX, err);
    }
    if (rc == 0 && event->about != NULL) {
        rc = check_text("about", event->about, EVENT_KEY_MAX, err);
    }
    if (rc == 0 && strchr(event->name, '\n') != NULL) {
        rc = error_set(err, ERROR_INVALID, "the name of an event holds a line feed");
    }
    if (rc == 0 && event->payload.size >= RECORD_MAX_BYTES) {
        rc = error_set(err, ERROR_LIMIT, "the payload of an event is too large");
    }
    for (size_t i = 0; rc == 0 && event->aliases != NULL && event->aliases[i] != NULL; i++) {
        rc = i >= EVENT_ALIASES_MAX
                 ? error_set(err, ERROR_LIMIT, "an event has at most %d aliases", EVENT_ALIASES_MAX)
                 : check_text("alias", event->aliases[i], EVENT_KEY_MAX, err);
    }
    return rc;
}

/* What a repeat says is not looked at, so whoever looks at the key must learn that it said more. */
static int note_other_content(struct work *work, const struct event_new *repeat,
                              const struct event_record *first)
{
    bool is_news = false;
    int rc = event_compare_repeat(work, repeat, first->seq, &is_news);
    if (rc != 0 || !is_news) {
        return rc;
    }
    char *text = xasprintf("%s from %s (%s) came again with other content: what it says was not "
                           "looked at",
                           first->name, first->source, first->id);
    struct timeline_entry entry = {.job_id = first->job_id, .kind = "repeated", .text = text};
    rc = timeline_add(work, first->key, &entry);
    free(text);
    return rc != 0 ? rc : counter_add_flow(work, "events.differing", first->flow, 1);
}

/* The first may be of scripts that did not say what it is about: an erasure must find it. */
static int note_repeat(struct work *work, const struct event_new *repeat,
                       const struct event_record *first)
{
    int rc = relate(work, repeat->about, first->key);
    return rc != 0 ? rc : note_other_content(work, repeat, first);
}

static void look_at_repeat(struct work *work, const struct event_new *repeat,
                           const struct event_record *first)
{
    int rc = work_nested_begin(work);
    rc = rc != 0 ? rc : work_unit_end(work, note_repeat(work, repeat, first));
    if (rc != 0) { /* a full store: the repeat gets its answer all the same */
        log_msg(LOG_WARN, work->area, "a repeat of %s:%s could not be looked at: %s",
                repeat->source, repeat->id, error_code_name(rc));
    }
}

static int duplicate(struct work *work, const struct event_new *repeat, uint64_t seq,
                     struct accept_result *result)
{
    struct event_record first;
    int rc = event_load_head(work, seq, &first);
    if (rc != 0) {
        return rc;
    }
    work->stats.duplicates++;
    result->event_seq = seq;
    result->job_id = first.job_id;
    result->is_duplicate = true;
    look_at_repeat(work, repeat, &first);
    event_record_free(&first);
    rc = event_answer(work, seq, &result->answer, &result->owned);
    result->has_answer = rc == 0;
    return rc == ERROR_NOT_FOUND ? 0 : rc;
}

static int note_conflict(struct work *work, const char *key, const char *text)
{
    struct timeline_entry entry = {.kind = "alias conflict", .text = text};
    return timeline_add(work, key, &entry);
}

/* What comes under this name goes to its first owner: a cancellation meant for key stops another
 * order. Nobody but a person knows which of the two the name is. */
static int open_conflict(struct work *work, const char *key, const char *name)
{
    char *owner = NULL;
    int rc = alias_find(work, name, &owner);
    if (rc != 0) {
        return rc;
    }
    char *text = xasprintf("%s was given as a name of %s, but belongs to %s", name, key, owner);
    struct exception_cause cause = {
        .cause = EXCEPTION_ALIAS_CONFLICT,
        .subject = name,
        .message = text,
        .remedy = "See which of the two it belongs to: what comes under this name, as a "
                  "cancellation, reaches the first only. Then release",
        .recheck = RECHECK_MANUAL,
    };
    rc = exception_open(work, &cause);
    rc = rc != 0 ? rc : note_conflict(work, key, text);
    rc = rc != 0 ? rc : note_conflict(work, owner, text);
    free(text);
    free(owner);
    return rc;
}

static int add_aliases(struct work *work, const char *key, const char *const *aliases)
{
    for (size_t i = 0; aliases != NULL && aliases[i] != NULL; i++) {
        int rc = inbox_alias(work, key, aliases[i]);
        rc = rc == ERROR_EXISTS ? open_conflict(work, key, aliases[i]) : rc;
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int note_accepted(struct work *work, const struct event_record *event)
{
    char *text = xasprintf("%s from %s (%s)", event->name, event->source, event->id);
    struct timeline_entry entry = {.job_id = event->job_id, .kind = "accepted", .text = text};
    int rc = timeline_add(work, event->key, &entry);
    free(text);
    if (rc == 0 && event->at_ms != 0 && event->at_ms < work->options.live_from_ms) {
        entry.kind = "too old";
        entry.text = "before live_from: nothing is done";
        rc = timeline_add(work, event->key, &entry);
    }
    return rc;
}

static int place(struct work *work, struct event_record *event, const struct event_new *asked)
{
    bool is_too_old = event->at_ms != 0 && event->at_ms < work->options.live_from_ms;
    if (is_too_old || event->class == EVENT_QUEUED) {
        return job_create(work, event, is_too_old, &event->job_id);
    }
    struct mail mail = {.seq = event->seq, .name = event->name, .idle = asked->idle};
    int rc = mail_store(work, event->key, &mail);
    if (rc == 0) {
        rc = event_store(work, event); /* a job of its own reads it */
    }
    return rc != 0 ? rc : deliver(work, event->key, &mail, &event->job_id);
}

static int accept_new(struct work *work, const struct event_new *asked, struct event_record *event)
{
    int rc = work_next(work, SEQUENCE_EVENT, &event->seq);
    rc = rc != 0 ? rc : event_store_identity(work, event);
    rc = rc != 0 ? rc : event_store_payload(work, event->seq, asked->payload);
    rc = rc != 0 ? rc : add_aliases(work, event->key, asked->aliases);
    rc = rc != 0 ? rc : relate(work, asked->about, event->key);
    rc = rc != 0 ? rc : place(work, event, asked);
    rc = rc != 0 ? rc : event_store(work, event);
    rc = rc != 0 ? rc : note_accepted(work, event);
    return rc != 0 ? rc : counter_add_flow(work, "events.accepted", event->flow, 1);
}

static void make_event(struct work *work, const struct event_new *asked, struct event_record *event)
{
    char *own = xasprintf("%s:%s", asked->source, asked->id);
    memset(event, 0, sizeof *event);
    event->source = xstrdup(asked->source);
    event->id = xstrdup(asked->id);
    event->name = xstrdup(asked->name);
    event->flow = xstrdup(asked->flow);
    event->class = asked->class;
    event->received_ms = work_now_ms(work);
    event->at_ms = asked->at_ms;
    event->key = inbox_resolve(work, asked->key == NULL ? own : asked->key);
    free(own);
}

int work_accept(struct work *work, const struct event_new *event, struct accept_result *result_out,
                struct error *err)
{
    memset(result_out, 0, sizeof *result_out);
    buf_init(&result_out->owned, RECORD_MAX_BYTES);
    int rc = check_event(event, err);
    if (rc != 0) {
        return rc;
    }
    uint64_t seq;
    rc = event_find(work, event->source, event->id, &seq);
    if (rc == 0) {
        rc = duplicate(work, event, seq, result_out);
    } else if (rc == ERROR_NOT_FOUND) {
        kill_point_before(KILL_ACCEPT, event->source);
        rc = work_nested_begin(work);
        if (rc == 0) {
            struct event_record record;
            make_event(work, event, &record);
            rc = record.key == NULL ? ERROR_CORRUPT : accept_new(work, event, &record);
            rc = work_unit_end(work, rc);
            result_out->event_seq = record.seq;
            result_out->job_id = record.job_id;
            result_out->is_too_old = record.at_ms != 0 && record.at_ms < work->options.live_from_ms;
            event_record_free(&record);
        }
        kill_point_after(KILL_ACCEPT, event->source);
        work->stats.accepted += rc == 0 ? 1 : 0;
    }
    if (rc != 0) {
        buf_free(&result_out->owned);
        return error_set(err, rc, "event %s:%s cannot be accepted: %s", event->source, event->id,
                         error_code_name(rc));
    }
    return 0;
}
