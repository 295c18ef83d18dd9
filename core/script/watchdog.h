/*
 * A thread that aborts the process when one stretch of Lua does not come back.
 *
 * Hooks cannot interrupt C, so this is the last fence: the crash file then names the job. It
 * measures real time whatever clock the host runs on.
 */
#ifndef NEAP_CORE_SCRIPT_WATCHDOG_H
#define NEAP_CORE_SCRIPT_WATCHDOG_H

#include <stdint.h>

struct watchdog;

#define WATCHDOG_LIMIT_MS 10000

/* Called on the watchdog's thread instead of aborting; for tests. */
typedef void (*watchdog_fn)(void *arg);

/* Starts the thread. limit_ms 0: the default. on_stuck NULL: log and abort. NULL when it cannot. */
struct watchdog *watchdog_new(int64_t limit_ms, watchdog_fn on_stuck, void *arg);
void watchdog_free(struct watchdog *w); /* joins; accepts NULL */

/* Around each entry into Lua; both accept NULL. Entering again restarts the measure. */
void watchdog_enter(struct watchdog *w);
void watchdog_leave(struct watchdog *w);

#endif
