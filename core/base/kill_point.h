/*
 * Named moments at which a test lets the process end as kill -9 does.
 *
 *     NEAP_KILL_AT="intent.after/import_order:2 commit.before" neap run ...
 *
 * point    a moment with two sides: intent.before, intent.after
 * subject  what it is about: the name of an effect, a route, an event's source, ...; may be absent
 *
 * An entry is POINT.SIDE[/SUBJECT][:N][=stop]: the N-th passing (default: first) of that side about
 * that subject (default: any). Of several entries each begins to count when the one before was
 * passed; the last one ends the process. With "=stop" the process stops there (SIGSTOP) until the
 * test, which may have changed the world around it, lets it go on. Only builds with
 * NEAP_KILL_POINTS (debug, asan) have any of it.
 */
#ifndef NEAP_CORE_BASE_KILL_POINT_H
#define NEAP_CORE_BASE_KILL_POINT_H

#include <stdio.h>

#include "core/base/errors.h"

#define KILL_POINT_LIST(X)                                                                         \
    X(KILL_ACCEPT, "accept")         /* an event is journaled; its source */                       \
    X(KILL_REPLY, "reply")           /* an answer to outside is handed to its socket; the route */ \
    X(KILL_STEP, "step")             /* the memo of a step; its name */                            \
    X(KILL_TIMELINE, "timeline")     /* a line; its kind */                                        \
    X(KILL_HOLD, "hold")             /* a job is held; its first cause */                          \
    X(KILL_END, "end")               /* the state a slice leaves its job in; the slice's end */    \
    X(KILL_CHECKPOINT, "checkpoint") /* commit within a slice; the flow */                         \
    X(KILL_SLICE, "slice")           /* commit of a slice that ended well; the flow */             \
    X(KILL_COMMIT, "commit")         /* commit of a turn; the client */                            \
    X(KILL_INTENT, "intent")         /* from here on about effects, by their name */               \
    X(KILL_AGAIN, "again")           /* intent to send the stored bytes once more */               \
    X(KILL_SEND, "send")             /* release to the transport; plain requests: "call" */        \
    X(KILL_ARRIVAL, "arrival")       /* answer or failure comes; plain requests: "call" */         \
    X(KILL_ANSWERED, "answered")                                                                   \
    X(KILL_UNSENT, "unsent")                                                                       \
    X(KILL_UNKNOWN, "unknown")                                                                     \
    X(KILL_ABSENT, "absent")                                                                       \
    X(KILL_CONFIRMED, "confirmed")                                                                 \
    X(KILL_REFUSED, "refused")
enum kill_point {
#define KILL_POINT_ENUM(symbol, name) symbol,
    KILL_POINT_LIST(KILL_POINT_ENUM)
#undef KILL_POINT_ENUM
};

/* Takes the value of NEAP_KILL_AT (NULL or "": nothing). ERROR_INVALID for a word that is no entry,
 * and for any in a build without kill points: a test must not pass because nothing was killed. */
int kill_point_arm(const char *entries, struct error *err) NEAP_MUST_USE;
/* One "point.side" a line; nothing in a build without. */
void kill_point_list(FILE *out);

#ifdef NEAP_KILL_POINTS
void kill_point_before(enum kill_point point, const char *subject);
void kill_point_after(enum kill_point point, const char *subject);
#else
static inline void kill_point_before(enum kill_point point, const char *subject)
{
    (void)point;
    (void)subject;
}
static inline void kill_point_after(enum kill_point point, const char *subject)
{
    (void)point;
    (void)subject;
}
#endif

#endif
