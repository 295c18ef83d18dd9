/*
 * Schedules: ticks of flows. A tick is an event "schedule.<name>" on the key
 * "schedule:<flow>.<name>", source "schedule". Missed ticks are caught up once; a tick whose
 * forerunner is not done is skipped and counted.
 */
#ifndef NEAP_CORE_WORK_SCHEDULE_H
#define NEAP_CORE_WORK_SCHEDULE_H

#include "core/work/work.h"

#define SCHEDULE_EVERY_MIN_MS 100
#define SCHEDULE_VERSION      2 /* of the record; 1: without on_exception */
#define SCHEDULE_EVERY_MAX_MS (366LL * 86400 * 1000)
/* From the opening of an exception to the tick it causes: many at once are one tick. In a storm the
 * ticks are no closer than the gap, because each looks at all that is open. */
#define SCHEDULE_EXCEPTION_MS     200
#define SCHEDULE_EXCEPTION_GAP_MS 2000

struct schedule_spec { /* borrowed */
    const char *flow;
    const char *name;
    int64_t every_ms;  /* or 0 */
    const char *cron;  /* or NULL; exactly one of both */
    const char *zone;  /* NULL = "UTC" */
    bool on_exception; /* due also soon after an exception was opened */
};

/* ERROR_INVALID, the message names schedule and field. Writes nothing. */
int schedule_check(const struct schedule_spec *spec, struct error *err) NEAP_MUST_USE;

/*
 * These are all the schedules from now on. Unchanged ones keep their due time; others start anew:
 * an interval at once, a cron at its next match. All or nothing. Without space it is done as soon
 * as there is some, and a dropped turn does not undo it.
 */
int schedule_replace(struct work *work, const struct schedule_spec *specs, size_t count,
                     struct error *err) NEAP_MUST_USE;

struct schedule_info { /* borrowed */
    const char *flow;
    const char *name;
    int64_t every_ms;
    const char *cron;
    const char *zone;
    int64_t next_ms; /* -1 = never */
    int64_t last_ms; /* newest tick accepted; 0 = none */
    uint64_t ticks;
    uint64_t skipped; /* overlapping or paused */
};
typedef int (*schedule_fn)(void *arg, const struct schedule_info *info);
int schedule_each(struct work *work, schedule_fn fn, void *arg);
/* Makes one due now (a person or a verb asks). ERROR_NOT_FOUND. */
int schedule_run_now(struct work *work, const char *flow, const char *name) NEAP_MUST_USE;

#endif
