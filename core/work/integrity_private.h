/* What the files of the integrity check share: the record at hand, and looking for its others. */
#ifndef NEAP_CORE_WORK_INTEGRITY_PRIVATE_H
#define NEAP_CORE_WORK_INTEGRITY_PRIVATE_H

#include "core/work/integrity.h"
#include "core/work/work_state.h"

#define INTEGRITY_VERSION 1 /* of every value */

struct checker {
    struct store *store;
    integrity_fn fn;
    void *arg;
    struct integrity_report *report;
    struct bytes key; /* of the record at hand */
    struct bytes value;
    uint64_t largest[WORK_SEQUENCE_COUNT]; /* number seen in use */
    uint64_t next[WORK_SEQUENCE_COUNT];    /* stored: every number in use is below it */
};

void checker_tell(struct checker *c, const char *fmt, ...) NEAP_PRINTF(2, 3);

/* The components of the key at hand; is_bad once one is missing. */
struct parts {
    struct bytes rest;
    bool is_bad;
};
struct parts checker_parts(const struct checker *c);
struct bytes parts_take(struct parts *p, size_t size);
uint64_t parts_u64(struct parts *p);
/* The bytes of a text component as they lie in the key: a long text is a hash there, so they are
 * moved into other keys as they are. */
struct bytes parts_text(struct parts *p);
/* Tells when components were missing or too many. */
bool checker_is_whole(struct checker *c, const struct parts *p);

bool checker_get(struct checker *c, const struct key *key, struct bytes *value_out);
void checker_need(struct checker *c, const struct key *key, const char *what);
/* Any record below the prefix; *last_out is the last u64 of the first one's key. */
bool checker_any(struct checker *c, const struct key *prefix, uint64_t *last_out);
/* A number given out by this sequence is in use. */
void checker_note(struct checker *c, enum work_sequence which, uint64_t number);
struct key number_key(enum key_table table, uint64_t number);
/* False when there is none, or none that can be read (which is told at its own record). */
bool checker_job(struct checker *c, uint64_t id, struct job_info *info);

void check_job(struct checker *c);
void check_order(struct checker *c);
void check_job_of_key(struct checker *c); /* I, j */
void check_memo(struct checker *c);       /* S, M */
void check_event(struct checker *c);
void check_event_id(struct checker *c);
void check_mail(struct checker *c);
void check_alias(struct checker *c);
void check_alias_of(struct checker *c);
void check_link(struct checker *c);
void check_linked(struct checker *c);
void check_exception(struct checker *c);
void check_waiter(struct checker *c);
void check_waiter_of(struct checker *c);
void check_effect(struct checker *c);
void check_effect_id(struct checker *c);
void check_effect_open(struct checker *c);

#endif
