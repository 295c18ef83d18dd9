/*
 * A thread that looks at how long each stretch of Lua has taken: it nudges the one that is slow and
 * aborts the process when one does not come back at all.
 *
 * nudge  hooks count instructions, and one instruction may be a long call of C, so ten thousand of
 * them may be minutes. A signal to the host's thread asks for a hook at the very next one.
 * abort  nothing can interrupt C, so this is the last fence: the crash file then names the job.
 *
 * Time in which the whole process was stopped does not count. It measures the real clocks whatever
 * clock the host runs on.
 */
#ifndef NEAP_CORE_SCRIPT_WATCHDOG_H
#define NEAP_CORE_SCRIPT_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

struct watchdog;

/*
 * Of CPU time: what others on the machine use is not the script's fault, and budgets are CPU time
 * too. A call that blocks uses none, so the wall has a limit as well, a multiple.
 */
#define WATCHDOG_LIMIT_MS    10000
#define WATCHDOG_WALL_FACTOR 6
#define WATCHDOG_NUDGE_MS                                                                          \
    50 /* ten slices: whoever is inside Lua longer is nudged again and again */

/* on_stuck: called on the watchdog's thread instead of aborting; for tests. */
typedef void (*watchdog_fn)(void *arg);

/* Starts the thread. limit_ms 0: the default. on_stuck NULL: log and abort. NULL when it cannot. */
struct watchdog *watchdog_new(int64_t limit_ms, watchdog_fn on_stuck, void *arg);
void watchdog_free(struct watchdog *w); /* joins; accepts NULL */

/*
 * Around each entry into Lua, on the thread that made the watchdog; NULL is accepted. Entering
 * again restarts the measure. on_nudge runs in a signal handler on this thread while it is inside;
 * NULL: this entry is not nudged.
 */
struct watchdog_entry {
    watchdog_fn on_nudge;
    void *arg;
    bool is_inside; /* set by watchdog_enter */
};

/* Returns the entry that was before, for watchdog_leave. */
struct watchdog_entry watchdog_enter(struct watchdog *w, struct watchdog_entry entry);
void watchdog_leave(struct watchdog *w, struct watchdog_entry before);

#endif
