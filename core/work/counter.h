/* Durable figures of a client, by name ("jobs.done", "events.accepted.orders"). */
#ifndef NEAP_CORE_WORK_COUNTER_H
#define NEAP_CORE_WORK_COUNTER_H

#include "core/work/work.h"

int counter_add(struct work *work, const char *name, int64_t delta) NEAP_MUST_USE;
int64_t counter_get(struct work *work, const char *name); /* 0 when absent or unreadable */
typedef int (*counter_fn)(void *arg, const char *name, int64_t value);
int counter_each(struct work *work, const char *prefix, counter_fn fn, void *arg);

#endif
