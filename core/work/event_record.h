/* Events: what happened, accepted once, kept as received together with the answer given. */
#ifndef NEAP_CORE_WORK_EVENT_RECORD_H
#define NEAP_CORE_WORK_EVENT_RECORD_H

#include "core/work/work.h"

#define EVENT_COMPRESS_ABOVE 2048 /* payloads above this many bytes are stored compressed */
#define EVENT_NAME_MAX       200  /* name, flow */
#define EVENT_KEY_MAX        1024 /* key, source, id, alias: longer is ERROR_LIMIT */
#define EVENT_ALIASES_MAX    16

enum event_class { EVENT_QUEUED, EVENT_OVERTAKING };
enum event_idle { EVENT_IDLE_KEEP, EVENT_IDLE_JOB };

/* A new event, borrowed during the call. */
struct event_new {
    const char *source;
    const char *id;
    const char *key; /* NULL = "<source>:<id>"; aliases are resolved */
    const char *name;
    const char *flow;
    struct bytes payload;
    enum event_class class;
    enum event_idle idle;       /* overtaking with no open job on the key */
    const char *const *aliases; /* NULL-terminated, or NULL */
    const char *about;          /* a key or alias whose business this is too, or NULL */
    int64_t at_ms;              /* business time; 0 = unknown */
};

/* What was answered, kept to the byte. Borrowed or owned as the function says. */
struct event_answer {
    int status;
    struct bytes headers; /* "Name: value\n" per header, as the host wrote it */
    struct bytes body;
};

/* A stored event. Strings and payload are owned; payload ends with a NUL that is not counted. */
struct event_record {
    uint64_t seq;
    char *source;
    char *id;
    char *key;
    char *name;
    char *flow;
    char *payload;
    size_t payload_size;
    enum event_class class;
    int64_t received_ms;
    int64_t at_ms;   /* 0 = unknown */
    uint64_t job_id; /* the job it made; 0 = none */
};
void event_record_free(struct event_record *event); /* frees the members and clears */

/* ERROR_NOT_FOUND, ERROR_CORRUPT. */
int event_load(struct work *work, uint64_t seq, struct event_record *event_out) NEAP_MUST_USE;
/* The sequence number of (source, id). ERROR_NOT_FOUND. */
int event_find(struct work *work, const char *source, const char *id,
               uint64_t *seq_out) NEAP_MUST_USE;

/* Stores the answer with the event. ERROR_EXISTS: answered before, nothing changed. */
int event_set_answer(struct work *work, uint64_t seq,
                     const struct event_answer *answer) NEAP_MUST_USE;
/* The stored answer, in memory that *owned_out holds (buf_free). ERROR_NOT_FOUND: not answered yet.
 */
int event_answer(struct work *work, uint64_t seq, struct event_answer *answer_out,
                 struct buf *owned_out) NEAP_MUST_USE;

#endif
