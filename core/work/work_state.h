/* The inside of struct work, for the files of this room only. */
#ifndef NEAP_CORE_WORK_WORK_STATE_H
#define NEAP_CORE_WORK_WORK_STATE_H

#include "core/store/keys.h"
#include "core/store/record.h"
#include "core/work/job.h"
#include "core/work/turn.h"

#define WORK_NESTED_MAX     8     /* a slice, store.atomic within it, one call within that */
#define WORK_LIVE_BUCKETS   1024  /* hash of live jobs; a power of two */
#define WORK_DUE_PER_TURN   1024  /* wakes per turn: a flood of timers must not starve the poll */
#define WORK_TIMER_MAX_MS   60000 /* the wall clock may jump: look again at least this often */
#define WORK_SPACE_CHECK_MS 5000
#define WORK_STALLED_MS     5000 /* a job whose change the store refused is tried again */
#define WORK_SEQUENCE_BLOCK 64   /* numbers reserved by one write */

struct id_list {
    uint64_t *ids;
    size_t count;
    size_t capacity;
};
void id_list_add(struct id_list *list, uint64_t id);
void id_list_free(struct id_list *list);

#define EXCEPTION_CLOSED_VERSION 1 /* written by exception.c, read by exception_closed.c */

/* A ring of job ids. An entry means "look at this job": stale and double entries are harmless. */
struct ready_queue {
    uint64_t *ids;
    size_t head;
    size_t count;
    size_t capacity;
};
void ready_queue_push(struct ready_queue *queue, uint64_t id);
void ready_queue_move(struct ready_queue *from, struct ready_queue *to); /* all of them */
bool ready_queue_pop(struct ready_queue *queue, uint64_t *id_out);

/* What happens in memory once the outermost nested unit is committed. */
enum pending_kind { PENDING_READY, PENDING_NUDGE, PENDING_ANSWER, PENDING_EXCEPTION };
struct pending {
    enum pending_kind kind;
    uint64_t id;
    char *cause; /* owned; PENDING_EXCEPTION */
    char *subject;
    bool is_first;
};

struct outbox_entry {
    turn_release_fn fn; /* NULL = forgotten */
    void *arg;
};
struct outbox {
    struct outbox_entry *list;
    size_t count;
    size_t capacity;
};

#define WORK_SEQUENCE_LIST(X)                                                                      \
    X(SEQUENCE_EVENT, "sequence.event")                                                            \
    X(SEQUENCE_JOB, "sequence.job")                                                                \
    X(SEQUENCE_ORDER, "sequence.order")                                                            \
    X(SEQUENCE_EFFECT, "sequence.effect")                                                          \
    X(SEQUENCE_TIMELINE, "sequence.timeline")                                                      \
    X(SEQUENCE_CLOSED, "sequence.closed")                                                          \
    X(SEQUENCE_QUARANTINE, "sequence.quarantine")
enum work_sequence {
#define WORK_SEQUENCE_ENUM(symbol, name) symbol,
    WORK_SEQUENCE_LIST(WORK_SEQUENCE_ENUM)
#undef WORK_SEQUENCE_ENUM
};
#define WORK_SEQUENCE_COUNT (SEQUENCE_QUARANTINE + 1)

/* Numbers below `reserved` may be given out without a write; gaps after a crash are fine. */
struct sequence {
    uint64_t next;
    uint64_t reserved;
    bool is_loaded;
};

struct work {
    struct work_options options; /* strings: client is owned */
    char *client;
    char *area; /* of log lines: "client acme" */
    struct work_stats stats;

    struct ready_queue ready;
    struct ready_queue fresh; /* ready once the turn under way is durable */
    struct id_list stalled;   /* ready on disk, but the store took no change of theirs */
    struct gate *gates;       /* of the flows that ran */
    struct job *live[WORK_LIVE_BUCKETS];
    size_t live_count;
    struct job *running; /* in its slice now */

    unsigned depth; /* nested units open */
    size_t marks[WORK_NESTED_MAX];
    struct pending *pending;
    size_t pending_count;
    size_t pending_capacity;

    struct outbox outbox; /* after the next commit */
    struct outbox sealed; /* after the commit under way */
    bool is_committing;
    bool must_drop; /* this turn cannot be kept */
    bool is_full;
    bool is_draining;     /* nothing new starts */
    bool is_unsettled;    /* the store may not know yet what the scripts declare: schedule.c */
    bool prefers_gates;   /* the next slice is for who waits at a gate */
    bool is_parked_due;   /* look after the parked jobs in this turn */
    bool is_due;          /* the timer fired */
    bool is_due_failed;   /* something due could not be woken */
    bool is_due_stale;    /* something was put on or off the due shelves */
    bool is_quarantining; /* one broken record at a time: its exception may be broken too */
    bool has_spent_turn;  /* a job used up its slice: the next one comes after the next poll */
    int fatal;            /* ERROR_IO once seen */
    struct error fatal_error;

    struct doubts *doubts;       /* NULL = none yet */
    int64_t opened_ms;           /* monotonic */
    struct schedules *schedules; /* what the scripts declared last; NULL = nothing yet */
    struct sequence sequences[WORK_SEQUENCE_COUNT];
    struct loop_timer *due_timer;
    struct loop_timer *space_timer;
    struct loop_timer *parked_timer;
    struct loop_timer *stalled_timer;
    int64_t space_due_ms; /* monotonic: next look at the disk */
    int64_t wall_seen_ms; /* the wall clock when we last looked; 0 = never */
    struct retention *retention;
    struct erasures *erasures;
    uint64_t client_hash;
};

/* ---- Store access that notices a full map and a broken disk -----------------------------------
 */

int work_get(struct work *work, const struct key *key, struct bytes *value_out) NEAP_MUST_USE;
/* Frees value. */
int work_put(struct work *work, const struct key *key, struct buf *value) NEAP_MUST_USE;
int work_put_mark(struct work *work, const struct key *key) NEAP_MUST_USE; /* value: version only */
int work_delete(struct work *work, const struct key *key) NEAP_MUST_USE;   /* absent is success */
int work_range(struct work *work, const struct key *prefix, bool is_reverse, store_range_fn fn,
               void *arg) NEAP_MUST_USE;
bool work_has(struct work *work, const struct key *key);
void work_value(struct buf *value, uint8_t version); /* buf_init and record_begin */
/* Keeps a fatal or turn-ending code in mind and passes it through. */
int work_note_rc(struct work *work, int rc);

/* Collects the last u64 of every key with this prefix, at most max. */
int work_collect(struct work *work, const struct key *prefix, size_t max,
                 struct id_list *ids) NEAP_MUST_USE;
int work_delete_prefix(struct work *work, const struct key *prefix) NEAP_MUST_USE;

/* Bytes by themselves, compressed above EVENT_COMPRESS_ABOVE. Reading gives owned bytes with a NUL
 * behind. */
int work_put_blob(struct work *work, const struct key *key, struct bytes blob) NEAP_MUST_USE;
int work_get_blob(struct work *work, const struct key *key, char **data_out,
                  size_t *size_out) NEAP_MUST_USE;

int work_next(struct work *work, enum work_sequence which, uint64_t *number_out) NEAP_MUST_USE;

/* Moves a broken record out of the way, and opens an exception that names it. */
void work_quarantine(struct work *work, const struct key *key);

/* As work_nested_begin, also when only the reserve of the disk is left: for what came back from
 * outside and would be lost. */
int work_reserved_begin(struct work *work) NEAP_MUST_USE;
/* Ends a nested unit: commit on 0, else abort; returns rc or the failure of the commit. */
int work_unit_end(struct work *work, int rc) NEAP_MUST_USE;
void work_pend(struct work *work, enum pending_kind kind, uint64_t id);
void work_pend_exception(struct work *work, const char *cause, const char *subject, bool is_first);
/* 0, or why this work takes no write now. */
int work_check_writable(struct work *work) NEAP_MUST_USE;

/* ---- Turn (work.c, turn.c, slice.c) -----------------------------------------------------------
 */

void work_reload(struct work *work); /* coroutines dropped, queues rebuilt from the store */
void work_drop_turn(struct work *work);
/* What this job wanted to write cannot be stored, though the store is well: it is tried again
 * later, so that neither this job is forgotten nor the others wait for it. */
void work_stall(struct work *work, uint64_t id);
void work_on_stalled(void *arg);
/* What the scripts declare could not be stored for this reason: it is tried again. 0, unless the
 * host must stop. */
int work_unsettle(struct work *work, int rc) NEAP_MUST_USE;
/* The generation and the schedules once more, when a dropped turn or a full disk kept them out. */
int work_settle(struct work *work) NEAP_MUST_USE;
int work_run_due(struct work *work) NEAP_MUST_USE;
void work_on_due(void *arg);
void work_on_space(void *arg);
void work_set_full(struct work *work, bool is_full);
void work_arm_timer(struct work *work);
void work_tend_space(struct work *work); /* between turns: grows the map, notices a full disk */
/* 1 = ran one, 0 = nothing ready, negative = error. */
int slice_run(struct work *work);
void slice_drop_job(struct work *work,
                    struct job *job); /* coroutine ended, job forgotten in memory */
void outbox_run(struct outbox *outbox, bool is_durable);
void outbox_move(struct outbox *from, struct outbox *to);

/* ---- Jobs (job.c) ------------------------------------------------------------------------------
 */

/* As job_load; a broken record is quarantined and then ERROR_NOT_FOUND. */
int job_take(struct work *work, uint64_t id, struct job_info *info_out) NEAP_MUST_USE;
/* Creates the record and its indexes; state ready, head when it is the first of its inbox. */
int job_create(struct work *work, const struct event_record *event, bool is_done,
               uint64_t *id_out) NEAP_MUST_USE;
int job_store(struct work *work, const struct job_info *info) NEAP_MUST_USE;
/* The one place where a durable state changes: asserts the transition, moves the index entry,
 * writes the record. */
int job_move(struct work *work, struct job_info *info, enum job_state to,
             int64_t until_ms) NEAP_MUST_USE;
/* A waiting job begins its wait anew, until then. */
int job_wait_until(struct work *work, struct job_info *info, int64_t until_ms) NEAP_MUST_USE;
void job_set_text(char **field, const char *text);
/* To ready: ends parking, takes a place in the order, tells the queue when it is a head. */
int job_make_ready(struct work *work, struct job_info *info, bool is_fresh) NEAP_MUST_USE;
/* To done: memos deleted, out of the inbox, the next one becomes head. */
int job_finish(struct work *work, struct job_info *info, const char *note) NEAP_MUST_USE;
/* The head of a key's inbox. ERROR_NOT_FOUND when it is empty. */
int job_head(struct work *work, const char *key, struct job_info *info_out) NEAP_MUST_USE;
/* Makes all these ready by deadline of their key, then arrival. */
int job_release_all(struct work *work, const struct id_list *ids, bool is_fresh) NEAP_MUST_USE;
/* Makes the first `count` of these ready; fewer are fine. */
int job_release_first(struct work *work, const struct id_list *ids, size_t count) NEAP_MUST_USE;
void job_shelf_prefix(struct key *key, enum job_state state, bool is_head);
/* The place of the job in the order index: its only shelf. */
void job_order_key(struct key *key, const struct job_info *info);
/* The record behind these bytes; a negative code leaves info zeroed. */
int job_decode(struct bytes value, uint64_t id, struct job_info *info_out) NEAP_MUST_USE;
bool job_is_open(const struct job_info *info);

/* ---- Durable waits (job_wait.c) ----------------------------------------------------------------
 */

enum job_request_kind { REQUEST_SLEEP, REQUEST_AWAIT, REQUEST_HOLD };
struct held_cause {
    char *cause;
    char *subject;
    char *message;
    char *remedy;
    enum exception_recheck recheck;
};
struct job_request {
    enum job_request_kind kind;
    char *name;
    char *events; /* joined by '\n' */
    int64_t until_ms;
    struct held_cause *causes;
    size_t cause_count;
};
void job_request_free(struct job_request *request);
/* The wait this job is in is over: by this event, or (0) by time. */
int job_wait_finish(struct work *work, const struct job_info *info,
                    uint64_t event_seq) NEAP_MUST_USE;
int job_wait_store(struct work *work, uint64_t job_id, const char *name,
                   const struct job_wait *wait) NEAP_MUST_USE;
/* True when name is one of the lines of events. */
bool job_wait_has_event(const char *events, const char *name);

/* ---- Notes of a slice (job_live.c)
 * ---------------------------------------------------------------- */

struct job_note {
    char *kind;
    char *text;
    char *data_json;
    int64_t at_ms;
};
struct job_notes {
    struct job_note *list;
    size_t count;
    size_t capacity;
};

/* ---- Others ------------------------------------------------------------------------------------
 */

/* The oldest event in the mailbox with one of these names that no await consumed yet. */
int inbox_mail_unread(struct work *work, const char *key, const char *events,
                      uint64_t *seq_out) NEAP_MUST_USE;
int inbox_mail_consume(struct work *work, const char *key, uint64_t seq,
                       uint64_t job_id) NEAP_MUST_USE;
/* The job looked at it: it will not start a job of its own when this one ends. */
int inbox_mail_seen(struct work *work, const char *key, uint64_t seq) NEAP_MUST_USE;
/* A job of this key ended: overtaking events with idle "job" that no run ever looked at start
 * theirs now. */
int inbox_mail_leftovers(struct work *work, const char *key) NEAP_MUST_USE;

/* Live jobs (job_live.c). */
void job_live_add(struct work *work, struct job *job);
void job_live_remove(struct work *work, struct job *job); /* frees it */
void job_notes_clear(struct job *job);
int job_notes_write(struct job *job) NEAP_MUST_USE;

/* Holds: exactly these causes wait on the job afterwards. */
int exception_hold(struct work *work, const struct job_info *info, const struct held_cause *causes,
                   size_t count) NEAP_MUST_USE;
/* One more cause for the job. */
int exception_wait(struct work *work, uint64_t job_id,
                   const struct exception_cause *cause) NEAP_MUST_USE;
/* The job got past all its causes (only: NULL), or past those of one cause. */
int exception_forget(struct work *work, uint64_t job_id, const char *only) NEAP_MUST_USE;
/* The job is parked on this connection, and on no other. */
int exception_park(struct work *work, uint64_t job_id,
                   const struct exception_cause *cause) NEAP_MUST_USE;
/* Runs what is held on causes with recheck "reload". */
int exception_reload(struct work *work) NEAP_MUST_USE;

/* At open: what was on its way is unknown now. */
int effect_recover(struct work *work) NEAP_MUST_USE;
/* A job of this key starts afresh, so nobody hears the answer of an earlier intent any more:
 * unknown. */
int effect_abandon(struct work *work, const char *job_key) NEAP_MUST_USE;

/* Parked jobs (parking.c). One began to wait, or still does: look after it before long. */
void parking_watch(struct work *work);
void parking_on_timer(void *arg);
/* Releases a probe for each connection that jobs are parked on, when it is time to. */
int parking_run_due(struct work *work) NEAP_MUST_USE;
/* A job got past this connection: the next ones may try. */
int parking_next(struct work *work, const char *connection) NEAP_MUST_USE;
/* One line of the timeline for a whole outage (parking_line.c): says that the job parks on the
 * connection, and whether the newest line of its key says so already. */
int parking_note(struct job *job, const char *connection, const char *message) NEAP_MUST_USE;
bool parking_is_again(struct job *job, const char *connection);

int schedule_run_due(struct work *work) NEAP_MUST_USE;
/* Writes what was declared last once more: a dropped turn took it back. */
int schedule_replace_again(struct work *work) NEAP_MUST_USE;
void schedule_close(struct work *work);
/* After the wall clock was set back: what is due by cron is due no later than it says now. */
int schedule_mind_clock(struct work *work) NEAP_MUST_USE;
/* The next tick; INT64_MAX when there is none. */
int64_t schedule_next(struct work *work);
/* In the unit that opens an exception: those that asked for it are due soon. */
int schedule_on_exception(struct work *work) NEAP_MUST_USE;

/* Retention (retention.c) and erasure (erasure.c): made at open, looked after between turns. */
void retention_open(struct work *work);
void retention_close(struct work *work);
void retention_tend(struct work *work);
/* Ends with a compaction what an earlier process erased, before anything else is read. */
int erasure_open(struct work *work, struct error *err) NEAP_MUST_USE;
void erasure_close(struct work *work);
void erasure_tend(struct work *work);
/* Restored from before an erasure: what was still open then may be done by now. */
void erasure_catch_up(struct work *work);

#endif
