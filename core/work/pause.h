/* Flows and connections stopped by a person, durably, until resumed. */
#ifndef NEAP_CORE_WORK_PAUSE_H
#define NEAP_CORE_WORK_PAUSE_H

#include "core/work/work.h"

enum pause_kind { PAUSE_FLOW, PAUSE_CONNECTION };

struct pause { /* borrowed */
    enum pause_kind kind;
    const char *name;
    const char *who;
    const char *reason;
    int64_t since_ms;
};

/*
 * A paused flow accepts events but starts no job (those under way end) and skips ticks. A paused
 * connection is the caller's to refuse, as connection down; resuming releases what is parked. Both
 * go to the audit chain.
 */
int pause_set(struct work *work, const struct pause *pause) NEAP_MUST_USE;
int pause_clear(struct work *work, enum pause_kind kind, const char *name,
                const char *who) NEAP_MUST_USE; /* ERROR_NOT_FOUND */
bool pause_is_set(struct work *work, enum pause_kind kind, const char *name);
typedef int (*pause_fn)(void *arg, const struct pause *pause);
int pause_each(struct work *work, pause_fn fn, void *arg);

#endif
