/*
 * Accepting events, and what lies per key: its inbox (jobs in arrival order, only the head runs),
 * its mailbox (overtaking events), its aliases, and the other keys whose events were about it.
 */
#ifndef NEAP_CORE_WORK_INBOX_H
#define NEAP_CORE_WORK_INBOX_H

#include "core/work/event_record.h"

struct accept_result {
    uint64_t event_seq;
    uint64_t job_id;   /* made by it; 0 = none (overtaking kept, or a duplicate of such) */
    bool is_duplicate; /* (source, id) was accepted before: only a payload that differs is noted */
    bool is_too_old;   /* before live_from: recorded, its job is done already */
    bool has_answer;   /* duplicate: the first was answered, the answer follows */
    struct event_answer answer; /* in memory that owned holds */
    struct buf owned;
};
void accept_result_free(struct accept_result *result);

/*
 * Accepts durably with the next commit of this work: answer the outside from turn_release. All or
 * nothing. ERROR_FULL: no space (503). ERROR_INVALID, ERROR_LIMIT: the event is not acceptable; err
 * says why. A duplicate is a success.
 */
int work_accept(struct work *work, const struct event_new *event, struct accept_result *result_out,
                struct error *err) NEAP_MUST_USE;

/* The key behind a name: itself when it is no alias. Owned copy (free()), NULL on a store error. */
char *inbox_resolve(struct work *work, const char *name);
/*
 * From now on name addresses key. Overtaking events that came under name before move to key.
 * ERROR_EXISTS when name belongs to another key already (nothing changes).
 */
int inbox_alias(struct work *work, const char *key, const char *name) NEAP_MUST_USE;
/* fn(arg, alias) for each alias of the key until it returns non-zero. */
typedef int (*inbox_alias_fn)(void *arg, const char *alias);
int inbox_each_alias(struct work *work, const char *key, inbox_alias_fn fn, void *arg);

/*
 * fn(arg, other) for each key on which events came that were about this key, or one of its aliases,
 * until it returns non-zero; the key itself is none of them.
 */
int inbox_each_related(struct work *work, const char *key, inbox_alias_fn fn, void *arg);

/* Newest overtaking event of this name on the key. ERROR_NOT_FOUND. */
int inbox_mail_newest(struct work *work, const char *key, const char *name,
                      uint64_t *seq_out) NEAP_MUST_USE;
/* Jobs of this key that are not done. */
uint64_t inbox_depth(struct work *work, const char *key);

#endif
