/*
 * Effects: changes in the outside world, kept for ever by (connection, name, key).
 *
 *   none -> intent -> answered -> confirmed            (answered: raw bytes kept, not yet
 * interpreted) |  \        \-----> refused  -> intent   (nothing happened; a later try may intend
 * anew) |   \-> unsent -> intent                 (never left: the stored bytes are sent again)
 *             \-> unknown -> confirmed | unsent (looked up: absent) | intent (class dedupes)
 *
 * intent means: may be on its way in this very process. At work_open every intent becomes unknown.
 */
#ifndef NEAP_CORE_WORK_EFFECT_H
#define NEAP_CORE_WORK_EFFECT_H

#include "core/work/job.h"

#define EFFECT_STATE_LIST(X)                                                                       \
    X(EFFECT_NONE, "none")                                                                         \
    X(EFFECT_INTENT, "intent")                                                                     \
    X(EFFECT_UNSENT, "unsent")                                                                     \
    X(EFFECT_ANSWERED, "answered")                                                                 \
    X(EFFECT_UNKNOWN, "unknown")                                                                   \
    X(EFFECT_CONFIRMED, "confirmed")                                                               \
    X(EFFECT_REFUSED, "refused")
enum effect_state {
#define EFFECT_STATE_ENUM(symbol, name) symbol,
    EFFECT_STATE_LIST(EFFECT_STATE_ENUM)
#undef EFFECT_STATE_ENUM
};
const char *effect_state_name(enum effect_state state);

/* What the far side does about repeats. */
#define EFFECT_CLASS_LIST(X)                                                                       \
    X(EFFECT_DEDUPES, "dedupes") /* ignores them: an unknown outcome is sent again */              \
    X(EFFECT_LOOKUP, "lookup")   /* can be asked whether it happened */                            \
    X(EFFECT_ONCE, "once")       /* neither: an unknown outcome is held for a person */
enum effect_class {
#define EFFECT_CLASS_ENUM(symbol, name) symbol,
    EFFECT_CLASS_LIST(EFFECT_CLASS_ENUM)
#undef EFFECT_CLASS_ENUM
};
/* False when text names no class. */
bool effect_class_from_name(const char *text, enum effect_class *class_out);
const char *effect_class_name(enum effect_class class);

struct effect_spec { /* borrowed */
    const char *connection;
    const char *name;
    const char *key;
    enum effect_class class;
    const char *fingerprint;  /* or NULL */
    const char *unless_event; /* or NULL */
};

/* Strings are owned, never NULL after effect_find, except: request, answer, result are NULL when
 * absent. */
struct effect {
    uint64_t id;
    enum effect_state state;
    enum effect_class class;
    char *connection;
    char *name;
    char *key;
    char *fingerprint;
    uint64_t job_id; /* the job that wrote the newest intent */
    char *job_key;
    int64_t intended_ms; /* newest intent */
    int64_t sent_ms;     /* newest intent, later the end of its doubt: settle_ms counts from here */
    int64_t ended_ms;    /* confirmed or refused */
    uint32_t attempts;   /* sends */
    char *error_kind;    /* of the newest not_sent, unknown, refuse */
    char *error_message;
    char *request; /* exact bytes as given to effect_intend */
    size_t request_size;
    char *answer; /* raw, as given to effect_answered */
    size_t answer_size;
    char *result; /* JSON */
    size_t result_size;
};
void effect_free(struct effect *effect); /* frees the members and clears */
/* The subject of an exception about an effect, of its name, key and connection: by it an act of a
 * person finds the effect again. */
#define EFFECT_SUBJECT_FORMAT "%s %s on %s"
char *effect_subject(const struct effect *effect);

/* An effect nobody ever intended is a success with state EFFECT_NONE (and nothing else set). */
int effect_find(struct work *work, const struct effect_spec *spec,
                struct effect *effect_out) NEAP_MUST_USE;
/* With only the bytes that a run goes on with: the answer while it is answered, the result once it
 * is confirmed. */
int effect_find_for_run(struct work *work, const struct effect_spec *spec,
                        struct effect *effect_out) NEAP_MUST_USE;
int effect_load(struct work *work, uint64_t id, struct effect *effect_out) NEAP_MUST_USE;
/* Without request, answer and result. */
int effect_peek(struct work *work, uint64_t id, struct effect *effect_out) NEAP_MUST_USE;

/*
 * From none or refused: writes the intent with the exact bytes and checkpoints; send them from
 * turn_release. ERROR_CANCELLED: the event unless_event lies in the key's mailbox; nothing is
 * written. ERROR_EXISTS: an earlier run of this job left *id_out in doubt and this one did not ask
 * for it: nothing is written, for it may be the same thing by another name. ERROR_INVALID: other
 * state. Within a slice only.
 */
int effect_intend(struct job *job, const struct effect_spec *spec, struct bytes request,
                  uint64_t *id_out) NEAP_MUST_USE;
/* From unsent, or unknown with class dedupes: intent again with the stored bytes; checkpoints.
 * unless_event (may be NULL) as above; an unknown one is never cancelled. Within a slice only. */
int effect_intend_again(struct job *job, uint64_t id, const char *unless_event) NEAP_MUST_USE;

/*
 * The outcome of the transfer, from its completion or from a slice; checkpoints when in a slice. A
 * second call, or one for an effect that is not in intent any more, is ERROR_INVALID and changes
 * nothing.
 */
int effect_answered(struct work *work, uint64_t id, struct bytes raw_answer) NEAP_MUST_USE;
int effect_not_sent(struct work *work, uint64_t id, const struct error *err) NEAP_MUST_USE;
/* Also from answered: the answer left the outcome open ("maybe_sent" from read). */
int effect_unknown(struct work *work, uint64_t id, const struct error *err) NEAP_MUST_USE;

/* From answered or unknown: it happened; result is JSON. Checkpoints in a slice. */
int effect_confirm(struct work *work, uint64_t id, struct bytes result_json) NEAP_MUST_USE;
/* From answered, or from unknown when a look-up found nothing: it did not happen, the other side
 * said no. From unsent: it never left, and now it never will. */
int effect_refuse(struct work *work, uint64_t id, const char *kind,
                  const char *message) NEAP_MUST_USE;
/* From unknown: looked up, and it is not there: unsent. */
int effect_absent(struct work *work, uint64_t id) NEAP_MUST_USE;

/* An effect of this key is between intent and answer: overtaking events wait for it. */
bool effect_is_pending(struct work *work, const char *job_key);
/* Whether an effect of this key happened is not known yet: on its way, answered and not read, or
 * unknown. */
bool effect_is_doubtful(struct work *work, const char *job_key);
/* The first effect of this job that is neither confirmed nor refused; *id_out 0 = none. */
int effect_unfinished(struct work *work, const char *job_key, uint64_t job_id,
                      uint64_t *id_out) NEAP_MUST_USE;

/* Effects not yet confirmed or refused, of one job key or (NULL) of all, until fn returns non-zero;
 * request, answer and result are not loaded. */
typedef int (*effect_each_fn)(void *arg, const struct effect *effect);
int effect_each_open(struct work *work, const char *job_key, effect_each_fn fn, void *arg);

/* The bytes of request and answer and the words of its error go, for retention and erasure;
 * identity, state, fingerprint and result stay for ever. ERROR_INVALID: it is still open. */
int effect_forget(struct work *work, uint64_t id) NEAP_MUST_USE;

#endif
