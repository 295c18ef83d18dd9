/*
 * Exceptions: business problems a person must see. (cause, subject) is one exception; jobs and
 * causes are many to many. A job is released when the last of its causes closes.
 */
#ifndef NEAP_CORE_WORK_EXCEPTION_H
#define NEAP_CORE_WORK_EXCEPTION_H

#include "core/work/work.h"

/* Causes that the host itself opens. */
#define EXCEPTION_CONNECTION_DOWN   "connection_down"   /* subject: connection */
#define EXCEPTION_SCRIPT_ERROR      "script_error"      /* subject: file:line, or the flow */
#define EXCEPTION_GAVE_UP           "gave_up"           /* subject: key; its job is dead */
#define EXCEPTION_CRASHED           "crashed"           /* subject: key; its job is dead */
#define EXCEPTION_UNFINISHED_EFFECT "unfinished_effect" /* subject: key */
#define EXCEPTION_OUTCOME_UNKNOWN   "outcome_unknown"   /* subject: effect_subject */
#define EXCEPTION_BROKEN_RECORD     "broken_record"     /* subject: table and number in table Q */

#define EXCEPTION_ALIAS_CONFLICT "alias_conflict" /* subject: alias; no job waits for it */

#define EXCEPTION_RECHECK_LIST(X)                                                                  \
    X(RECHECK_MANUAL, "manual") /* a person closes it */                                           \
    X(RECHECK_PROOF, "proof")   /* some flow closes it when its check passes */                    \
    X(RECHECK_RELOAD, "reload") /* a new generation runs the waiting jobs again; none: closes it   \
                                 */
enum exception_recheck {
#define EXCEPTION_RECHECK_ENUM(symbol, name) symbol,
    EXCEPTION_RECHECK_LIST(EXCEPTION_RECHECK_ENUM)
#undef EXCEPTION_RECHECK_ENUM
};
const char *exception_recheck_name(enum exception_recheck recheck);
bool exception_recheck_from_name(const char *text, enum exception_recheck *recheck_out);

#define EXCEPTION_HOW_LIST(X)                                                                      \
    X(CLOSED_BY_PROOF, "proof")         /* the check passes now */                                 \
    X(CLOSED_BY_PERSON, "person")       /* somebody says: go on */                                 \
    X(CLOSED_BY_DISMISSAL, "dismissal") /* somebody says: forget these jobs */
enum exception_how {
#define EXCEPTION_HOW_ENUM(symbol, name) symbol,
    EXCEPTION_HOW_LIST(EXCEPTION_HOW_ENUM)
#undef EXCEPTION_HOW_ENUM
};
const char *exception_how_name(enum exception_how how);

#define EXCEPTION_VERSION    2 /* of the record; 1: without flow */
#define EXCEPTION_CAUSE_MAX  200
#define EXCEPTION_CAUSES_MAX 256 /* of one hold */

struct exception_cause { /* borrowed */
    const char *cause;
    const char *subject; /* NULL = "" */
    const char *message;
    const char *remedy; /* NULL = "" */
    enum exception_recheck recheck;
};

/* Strings are owned, never NULL. */
struct exception {
    char *cause;
    char *subject;
    char *message; /* the newest */
    char *remedy;
    char *owner;
    char *flow; /* that opened it with no job waiting; "" when none did */
    enum exception_recheck recheck;
    int64_t opened_ms;
    uint64_t waiting; /* jobs */
};
void exception_free(struct exception *exception); /* frees the members and clears */

/* ERROR_NOT_FOUND when it is not open. */
int exception_load(struct work *work, const char *cause, const char *subject,
                   struct exception *exception_out) NEAP_MUST_USE;

/* Opens (or renews the words of) an exception that no job waits for; holds go through
 * job_request_hold. flow: whose problem it is; NULL = nobody's, or whose it was. */
int exception_open_by(struct work *work, const char *flow,
                      const struct exception_cause *cause) NEAP_MUST_USE;
static inline int exception_open(struct work *work, const struct exception_cause *cause)
{
    return exception_open_by(work, NULL, cause);
}

/*
 * Closes; jobs with no cause left become ready, from fresh steps, by deadline then arrival.
 * ERROR_NOT_FOUND when it is not open. who is NULL for proofs by flows. Acts of persons go to the
 * audit chain.
 */
struct exception_closing {
    enum exception_how how; /* not dismissal */
    const char *who;        /* or NULL */
    const char *note;       /* what proved it, or the reason */
};
int exception_close(struct work *work, const char *cause, const char *subject,
                    const struct exception_closing *closing) NEAP_MUST_USE;

struct exception_act {
    const char *cause;
    const char *subject;
    const char *who;
    const char *reason;
};
/* A person: close it and go on. */
int exception_release(struct work *work, const struct exception_act *act) NEAP_MUST_USE;
/* A person: run the waiting jobs again now; it stays open until they get past it. */
int exception_retry(struct work *work, const struct exception_act *act) NEAP_MUST_USE;
/* A person: the waiting jobs end as done, "dismissed by X: reason". One that began a change whose
 * outcome nobody knows does not: standing still it waits on "unfinished_effect" now, else it goes
 * on; unless what is dismissed is that very doubt. */
int exception_dismiss(struct work *work, const struct exception_act *act) NEAP_MUST_USE;

/* Open ones by cause and subject; cause NULL = all. Until fn returns non-zero; fn must not write.
 */
typedef int (*exception_each_fn)(void *arg, const struct exception *exception);
int exception_each(struct work *work, const char *cause, exception_each_fn fn, void *arg);
/* Ids of the jobs that wait on it, oldest first. */
typedef int (*exception_waiter_fn)(void *arg, uint64_t job_id);
int exception_each_waiter(struct work *work, const char *cause, const char *subject,
                          exception_waiter_fn fn, void *arg);
/* The money and the earliest deadline of the jobs that wait on one exception. */
struct exception_stake {
    uint64_t jobs;
    char currency[8]; /* of the first; other currencies are counted apart */
    int64_t minor;
    uint64_t other_currency;
    int64_t deadline_ms; /* 0 = none */
};
void exception_stake(struct work *work, const char *cause, const char *subject,
                     struct exception_stake *stake_out);
/* The open causes of one job. */
int exception_each_of_job(struct work *work, uint64_t job_id, exception_each_fn fn, void *arg);

/* Closed ones, newest first. Borrowed. */
struct exception_closed {
    uint64_t seq;
    const char *cause;
    const char *subject;
    const char *message;
    enum exception_how how;
    const char *who;
    const char *note;
    int64_t opened_ms;
    int64_t closed_ms;
    uint64_t released; /* jobs */
};
typedef int (*exception_closed_fn)(void *arg, const struct exception_closed *closed);
int exception_each_closed(struct work *work, exception_closed_fn fn, void *arg);

#endif
