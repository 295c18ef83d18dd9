/*
 * The durable engine of one client: jobs, inboxes, effects, exceptions, schedules over one store.
 *
 * work      this; the script room drives its jobs through a work_runner, the host through the turn
 * slice     one job's run from a resume to its next wait, preemption or end; its writes are one
 * nested transaction, kept when the slice ends well, dropped when it fails outbox    what may leave
 * the process only after the commit (turn_release in turn.h)
 *
 * Every function of this room that writes returns 0 or a negative code. ERROR_FULL means that this
 * turn of the client will be dropped: return from the slice as soon as possible. ERROR_IO is fatal
 * for the host. All run on the loop thread, none calls Lua except through the runner, none raises.
 */
#ifndef NEAP_CORE_WORK_WORK_H
#define NEAP_CORE_WORK_WORK_H

#include "core/base/clock.h"
#include "core/loop/loop.h"
#include "core/store/store.h"
#include "core/work/backoff.h"
#include "core/work/crash_file.h"

struct work;
struct job;
struct event_answer;
struct timeline_entry;
struct exception;

/* Why a slice came back. */
#define SLICE_END_LIST(X)                                                                          \
    X(SLICE_DONE, "done")           /* run() returned */                                           \
    X(SLICE_SUSPENDED, "suspended") /* volatile wait (HTTP): job_wake brings it back */            \
    X(SLICE_PREEMPTED, "preempted") /* slice used up: to the back of the ready list */             \
    X(SLICE_UNWOUND, "unwound")     /* a job_request_* was made: apply it */                       \
    X(SLICE_FAILED, "failed")       /* it raised: *failure says what */
enum slice_end {
#define SLICE_END_ENUM(symbol, name) symbol,
    SLICE_END_LIST(SLICE_END_ENUM)
#undef SLICE_END_ENUM
};

/* What a raise left behind. Strings are owned (free()), NULL when unknown; failure_free frees them.
 */
struct failure {
    char *kind; /* "network", "script": word of the error object */
    char *message;
    char *traceback;       /* of the failed coroutine, one line per frame */
    char *place;           /* "flows/orders.lua:41" */
    char *step;            /* step or effect it happened in */
    char *connection_down; /* name: the job parks until work_connection_up */
    bool is_retryable;
    int64_t retry_after_ms;
};
void failure_free(struct failure *failure); /* frees the members and clears */

/* How work (below) calls script (above). */
struct work_runner {
    void *arg;
    /*
     * Starts (job->script is NULL) or resumes the coroutine of job and reports how it came back.
     * A nested transaction is open during the call. *failure is zeroed; filled with SLICE_FAILED.
     */
    enum slice_end (*slice)(void *arg, struct job *job, struct failure *failure);
    /*
     * Ends the coroutine, whatever its state, and cancels its pending operation; called exactly
     * once for each job whose script pointer is set, also after SLICE_DONE, _UNWOUND and _FAILED.
     * No nested transaction is open; script cleanup that runs here must not write to the store
     * (writes outside a slice are refused by store access of the api room: job->is_in_slice is
     * false).
     */
    void (*drop)(void *arg, struct job *job);
};

/* What work asks its owner. Members may be NULL. */
struct work_lookup {
    void *arg;
    /* Owner of a cause, by the manifest; NULL = "". Borrowed until the next call. */
    const char *(*owner)(void *arg, const char *cause);
    /* Retry policy of a flow: false (or fields at 0) = the client's. */
    bool (*retry)(void *arg, const char *flow, struct backoff_policy *out);
    /* Whether the flow wants to be told what persons do with exceptions its jobs wait on. */
    bool (*wants_acts)(void *arg, const char *flow);
};

/* What work tells its owner, always after the commit that made it true. Members may be NULL. */
struct work_listener {
    void *arg;
    /* An event got its answer by job_answer. answer is borrowed. */
    void (*on_answer)(void *arg, uint64_t event_seq, const struct event_answer *answer);
    /* An exception was opened; is_first: no other of its cause was open (alert at once, else
     * digest). */
    void (*on_exception)(void *arg, const struct exception *exception, bool is_first);
    /* A line was written to a timeline: as it is written, so a dropped turn may still take it back.
     * entry is borrowed; must not write. For people who watch, never for decisions. */
    void (*on_timeline)(void *arg, const char *key, const struct timeline_entry *entry);
    /* The client became full or has room again. */
    void (*on_full)(void *arg, bool is_full);
};

struct work_options {
    const char *client;            /* copied */
    struct store *store;           /* borrowed, outlives the work */
    struct clock *clock;           /* borrowed */
    struct loop *loop;             /* borrowed; NULL only when is_read_only */
    struct random_source *random;  /* borrowed; NULL only when is_read_only */
    struct crash_file *crash_file; /* borrowed or NULL */
    struct work_runner runner;
    struct work_lookup lookup;
    struct work_listener listener;
    struct backoff_policy retry; /* the client's; fields at 0 = defaults */
    int64_t live_from_ms;        /* events older than this do nothing */
    /* Differs between versions of the scripts; a hash of their text is best: a restart on the same
     * scripts then keeps step memos. */
    uint64_t generation;
    bool is_read_only; /* a stopped host's data: nothing is written, nothing runs */
};

/*
 * ERROR_INVALID, nothing changed: the store was written by a newer version.
 * Opens: brings back the queues, turns effects left in intent into unknown, counts the unclean end
 * found in the crash file (three: dead). These writes are committed by the first turn. Options are
 * copied.
 */
int work_open(struct work **work_out, const struct work_options *options,
              struct error *err) NEAP_MUST_USE;
/* Drops all coroutines and what is uncommitted; the outbox is told false. Accepts NULL. */
void work_close(struct work *work);

struct store *work_store(struct work *work);
int64_t work_now_ms(struct work *work); /* wall clock */
uint64_t work_generation(const struct work *work);

/* New lookups and live_from after a reload of the manifest. */
void work_set_policy(struct work *work, const struct work_lookup *lookup,
                     const struct backoff_policy *retry, int64_t live_from_ms);

/*
 * A new version of the scripts serves from now on: every job starts its next run on it with fresh
 * step memos (effects, sleeps and awaits are kept), jobs held on a cause with recheck "reload" run
 * again. Coroutines alive go on with what they have; end them with job_restart when their
 * generation closes. Without space the store is told as soon as there is some, and a dropped turn
 * does not undo it.
 */
int work_generation_changed(struct work *work, uint64_t generation) NEAP_MUST_USE;

/* Nested units inside the turn, for store.atomic and route handlers. Queue changes made inside are
 * kept back until the outermost unit commits, and forgotten when it is aborted. */
int work_nested_begin(struct work *work) NEAP_MUST_USE;
int work_nested_commit(struct work *work) NEAP_MUST_USE; /* on failure the unit is gone */
void work_nested_abort(struct work *work);

/* Inside a slice, at its own level (ERROR_INVALID within store.atomic): keeps what was written so
 * far even if the slice fails later. step_put and the effect_* functions call it themselves. */
int work_checkpoint(struct work *work) NEAP_MUST_USE;

/*
 * A connection works again: releases the jobs parked on it, by deadline then arrival, and closes
 * the exception "connection_down"; with is_probe_only one job is released and the exception stays.
 * Nothing happens while the connection is paused. Without any such word one parked job tries now
 * and then, and each that gets past the connection takes others along (parking.c).
 */
int work_connection_up(struct work *work, const char *connection, bool is_probe_only) NEAP_MUST_USE;
/* Jobs parked on this connection. */
uint64_t work_parked_count(struct work *work, const char *connection);

/* From now on no job starts, no wait ends and no schedule ticks; coroutines alive go on to their
 * end. What is left is durable and goes on at the next start. */
void work_drain(struct work *work);
/* After that, in a turn of its own: lets go of the coroutines that are alive still. Their jobs go
 * on at the next start, and the ledger knows which of their effects never left. */
void work_let_go(struct work *work);

bool work_is_full(const struct work *work);      /* no space: accepts are refused, nothing runs */
bool work_has_ready(const struct work *work);    /* something could run now */
size_t work_live_count(const struct work *work); /* coroutines alive */

/* Since the process started; durable figures are in counter.h. */
struct work_stats {
    uint64_t accepted, duplicates, slices, done, failed, retried, held, dead, released;
    uint64_t commits, turns_dropped, quarantined, ticks, ticks_skipped, preempted;
};
const struct work_stats *work_stats(const struct work *work);

#endif
