/*
 * Durable figures of a client, by name. The engine keeps these for each flow, with its name behind
 * ("jobs.done.orders"); the client's is their sum:
 *
 * events.accepted  events taken in, repeats not counted
 * events.differing events of which some repeat had another payload
 * jobs.done        jobs that ended, dismissed ones and those before live_from too
 * jobs.held        holds: a job held twice counts twice
 * jobs.dead        jobs that gave up or crashed too often
 */
#ifndef NEAP_CORE_WORK_COUNTER_H
#define NEAP_CORE_WORK_COUNTER_H

#include "core/work/work.h"

int counter_add(struct work *work, const char *name, int64_t delta) NEAP_MUST_USE;
/* The figure of the flow, and so of the client. */
int counter_add_flow(struct work *work, const char *name, const char *flow,
                     int64_t delta) NEAP_MUST_USE;
/* With all "name.*"; 0 when absent or unreadable. */
int64_t counter_get(struct work *work, const char *name);
typedef int (*counter_fn)(void *arg, const char *name, int64_t value);
int counter_each(struct work *work, const char *prefix, counter_fn fn, void *arg);

#endif
