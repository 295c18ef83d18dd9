/*
 * Jobs: the durable work one event causes in one flow.
 *
 *              +--------------------------- released, due, event, retry ------------+
 *              v                                                                    |
 *   accept -> ready -> (running) -+-> done                                          |
 *                                 +-> waiting(until, reason)   sleep, retry, parked-+
 *                                 +-> awaiting(events, until) ----------------------+
 *                                 +-> held(causes) ---------------------------------+
 *                                 +-> dead (gave up, crash): blocks its key --------+
 *
 * running is volatile: on disk such a job is ready. Every durable wait ends the coroutine; the wake
 * runs run() again from the top, with step memos.
 */
#ifndef NEAP_CORE_WORK_JOB_H
#define NEAP_CORE_WORK_JOB_H

#include "core/work/event_record.h"
#include "core/work/exception.h"
#include "core/work/work.h"

#define JOB_STATE_LIST(X)                                                                          \
    X(JOB_READY, "ready")                                                                          \
    X(JOB_RUNNING, "running") /* volatile: a coroutine is alive */                                 \
    X(JOB_DONE, "done")                                                                            \
    X(JOB_WAITING, "waiting")                                                                      \
    X(JOB_AWAITING, "awaiting")                                                                    \
    X(JOB_HELD, "held")                                                                            \
    X(JOB_DEAD, "dead")
enum job_state {
#define JOB_STATE_ENUM(symbol, name) symbol,
    JOB_STATE_LIST(JOB_STATE_ENUM)
#undef JOB_STATE_ENUM
};
#define JOB_STATE_COUNT (JOB_DEAD + 1)
const char *job_state_name(enum job_state state);
/* False when text names no state. */
bool job_state_from_name(const char *text, enum job_state *state_out);

#define JOB_WAIT_EVENTS_MAX 16 /* event names of one await */

/* The durable record. Strings are owned, never NULL ("" when unset). Read only outside this room.
 */
struct job_info {
    uint64_t id;
    enum job_state state;
    char *key;
    char *flow;
    uint64_t event_seq;
    uint32_t attempt;    /* 1 at first, one more after each failure and manual retry */
    uint32_t chain;      /* step memos belong to it */
    uint64_t generation; /* it last ran on; 0 = never ran */
    int64_t created_ms;
    int64_t state_since_ms;
    int64_t until_ms;        /* waiting, awaiting; 0 = none */
    char *reason;            /* "sleep: let it settle", "retry: ...", "connection down: khaos" */
    char *wait_name;         /* of the sleep or await it is in */
    char *wait_events;       /* names joined by '\n' */
    char *parked_on;         /* connection, "" when not parked */
    int64_t failed_since_ms; /* first failure in a row; 0 = none */
    int64_t parked_ms;       /* of it, time parked or with nobody trying */
    uint32_t failures;       /* in a row */
    uint32_t unclean;        /* ends of the process during its slices, in a row */
    char *last_error;        /* "" when none */
    uint64_t order;          /* place in the ready order; see docs/store-layout.md */
    bool is_head;            /* first of its key's inbox */
};
void job_info_free(struct job_info *info); /* frees the members and clears; accepts zeroed */
/* ERROR_NOT_FOUND, ERROR_CORRUPT. */
int job_load(struct work *work, uint64_t id, struct job_info *info_out) NEAP_MUST_USE;

/* A job with a life in memory: from its first slice to the drop of its coroutine. Owned by work. */
struct job {
    struct job_info info; /* read only outside this room; state is JOB_READY, as on disk */
    struct work *work;
    void *script; /* the script room's own; NULL = start afresh */
    bool is_in_slice;
    bool is_queued;     /* in the ready list (preempted, woken) */
    bool is_nudged;     /* an overtaking event came during this run */
    bool wants_restart; /* unwind it at the end of the slice and run it again from the top */
    struct job_request *request; /* private: the durable wait asked for in this slice */
    struct job_notes *notes;     /* private: timeline lines of this slice */
    struct id_list *reached;     /* private: open effects that this run asked for; NULL = none */
    struct job *next;            /* private: hash chain */
};

/* ---- For the script room ----------------------------------------------------------------------
 */

/* The volatile wait is over: to the back of the ready list. Not within the slice of the same job.
 */
void job_wake(struct job *job);
/* Drops the coroutine (now, or at the end of the slice) and runs the job again from the top. */
void job_restart(struct job *job);
/* The live job of this id, or NULL. */
struct job *job_find_live(struct work *work, uint64_t id);

/* The event that caused it. Owned members: event_record_free. */
int job_event(struct job *job, struct event_record *event_out) NEAP_MUST_USE;
/* The newest overtaking event of this name on the key; not consumed. ERROR_NOT_FOUND, also while an
 * effect of the key is doubtful: what happened comes before what somebody wants. */
int job_overtaken(struct job *job, const char *name, struct event_record *event_out) NEAP_MUST_USE;

/* One line for the timeline of the key, written outside the slice's transaction: a raise cannot
 * lose it. data_json may be NULL. */
void job_note(struct job *job, const char *kind, const char *text, const char *data_json);

/* Accepts an event from inside, durable with the slice. flow defaults to the job's. *is_new_out. */
int job_emit(struct job *job, const struct event_new *event, bool *is_new_out,
             struct error *err) NEAP_MUST_USE;

/* Answers the request that brought the event; work_listener.on_answer is told after the commit.
 * ERROR_EXISTS when it was answered already. */
int job_answer(struct job *job, const struct event_answer *answer) NEAP_MUST_USE;

/*
 * Durable waits are asked for here; then the script room unwinds and returns SLICE_UNWOUND. At most
 * one per slice. sleep and await are remembered by name for the job's life: ask job_wait_find
 * first.
 */
enum job_wait_state { JOB_WAIT_NONE, JOB_WAIT_PENDING, JOB_WAIT_DONE };
struct job_wait {
    enum job_wait_state state;
    int64_t until_ms;   /* 0 = none */
    uint64_t event_seq; /* await: the event that ended it; 0 = until passed */
};
/* A wait whose until has passed is DONE. */
int job_wait_find(struct job *job, const char *name, struct job_wait *wait_out) NEAP_MUST_USE;
/* PENDING again (job was woken early): the first until is kept. */
int job_request_sleep(struct job *job, const char *name, int64_t delay_ms) NEAP_MUST_USE;
/* events: NULL-terminated list. until_ms 0 = none. When a matching event nobody consumed lies in
 * the mailbox already the wait is over at once: the job becomes ready again. ERROR_LIMIT: too many
 * names. */
int job_request_await(struct job *job, const char *name, const char *const *events,
                      int64_t until_ms) NEAP_MUST_USE;
int job_request_hold(struct job *job, const struct exception_cause *causes,
                     size_t count) NEAP_MUST_USE;

/* ---- For verbs, console, health: also on a read-only store ------------------------------------
 */

/* Calls fn in order (ready: running order; waiting, awaiting: until; held, dead: oldest first;
 * done: oldest first) until it returns non-zero, and returns that. info is borrowed. fn must not
 * write. Broken records are skipped. JOB_RUNNING lists the live ones. */
typedef int (*job_each_fn)(void *arg, const struct job_info *info);
int job_each(struct work *work, enum job_state state, job_each_fn fn, void *arg);
/* All jobs a key ever had, oldest first. */
int job_each_of_key(struct work *work, const char *key, job_each_fn fn, void *arg);

struct job_counts {
    uint64_t by_state[JOB_STATE_COUNT]; /* ready does not contain running */
    uint64_t blocked;                   /* of ready: not the head of their inbox */
    int64_t oldest_ready_ms;            /* created_ms of the oldest not done; 0 = none */
};
/* Counts the keys of the open jobs' index, no records; done is a durable counter. */
int job_count(struct work *work, struct job_counts *out) NEAP_MUST_USE;

/* A person acts on one job. who and reason go to the audit chain and the timeline. ERROR_NOT_FOUND;
 * ERROR_INVALID when its state does not allow it (done, running). */
int job_retry(struct work *work, uint64_t id, const char *who, const char *reason) NEAP_MUST_USE;
int job_dismiss(struct work *work, uint64_t id, const char *who, const char *reason) NEAP_MUST_USE;

#endif
