/*
 * Jobs parked on a connection that is down.
 *
 * Who knows the connection says when it answers again (work_connection_up). That word can be
 * missing: the probe ends without using the connection, a job parks between the half-open word and
 * its own slice, the process restarts and the new connection was never down. So a timer lets one
 * job of each connection try as long as any is parked, and a job that gets past the connection lets
 * the next ones try: with a connection that works they all go, a few more each time.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/xalloc.h"
#include "core/work/pause.h"
#include "core/work/work_state.h"

#define PARKED_CHECK_MS  30000 /* a breaker's own pause is shorter: it comes first */
#define PARKED_NEXT      2     /* jobs that may try for each that got past */
#define PARKED_NEXT_LOOK 64    /* among so many of those that wait longest */

uint64_t work_parked_count(struct work *work, const char *connection)
{
    struct exception exception;
    if (exception_load(work, EXCEPTION_CONNECTION_DOWN, connection, &exception) != 0) {
        return 0;
    }
    uint64_t waiting = exception.waiting;
    exception_free(&exception);
    return waiting;
}

/* ---- Releasing some ----------------------------------------------------------------------------
 */

struct looking {
    struct id_list ids;
    size_t max;
};

static int add_waiter(void *arg, uint64_t job_id)
{
    struct looking *looking = arg;
    id_list_add(&looking->ids, job_id);
    return looking->ids.count >= looking->max ? 1 : 0;
}

static bool is_parked_on(struct work *work, uint64_t id, const char *connection)
{
    struct job_info info;
    if (job_load(work, id, &info) != 0) {
        return false;
    }
    bool is_parked = info.state == JOB_WAITING && strcmp(info.parked_on, connection) == 0;
    job_info_free(&info);
    return is_parked;
}

/* Releases `count` of the jobs parked on the connection, the earliest of the first `max`. */
static int release_some(struct work *work, const char *connection, size_t count, size_t max)
{
    struct looking looking = {.max = max};
    int rc =
        exception_each_waiter(work, EXCEPTION_CONNECTION_DOWN, connection, add_waiter, &looking);
    size_t parked = 0;
    for (size_t i = 0; i < looking.ids.count; i++) {
        if (is_parked_on(work, looking.ids.ids[i], connection)) {
            looking.ids.ids[parked++] = looking.ids.ids[i];
        }
    }
    looking.ids.count = parked;
    rc = rc < 0 ? rc : job_release_first(work, &looking.ids, count);
    id_list_free(&looking.ids);
    return rc;
}

int parking_next(struct work *work, const char *connection)
{
    if (pause_is_set(work, PAUSE_CONNECTION, connection)) {
        return 0;
    }
    return release_some(work, connection, PARKED_NEXT, PARKED_NEXT_LOOK);
}

static int connection_up(struct work *work, const char *connection, bool is_probe_only)
{
    if (pause_is_set(work, PAUSE_CONNECTION, connection)) {
        return 0; /* the end of the pause releases them */
    }
    if (is_probe_only) {
        return release_some(work, connection, 1, SIZE_MAX);
    }
    struct exception_closing closing = {CLOSED_BY_PROOF, NULL, "the connection answers again"};
    int rc = exception_close(work, EXCEPTION_CONNECTION_DOWN, connection, &closing);
    return rc == ERROR_NOT_FOUND ? 0 : rc;
}

int work_connection_up(struct work *work, const char *connection, bool is_probe_only)
{
    int rc = work_nested_begin(work);
    return rc != 0 ? rc : work_unit_end(work, connection_up(work, connection, is_probe_only));
}

/* ---- The timer ---------------------------------------------------------------------------------
 */

void parking_watch(struct work *work)
{
    if (!loop_timer_is_running(work->parked_timer)) {
        loop_timer_start(work->parked_timer, PARKED_CHECK_MS);
    }
}

void parking_on_timer(void *arg)
{
    struct work *work = arg;
    work->is_parked_due = true;
}

struct connections {
    char **names;
    size_t count;
};

static int add_connection(void *arg, const struct exception *exception)
{
    struct connections *list = arg;
    if (exception->waiting > 0) {
        list->names = xrealloc(list->names, (list->count + 1) * sizeof *list->names);
        list->names[list->count++] = xstrdup(exception->subject);
    }
    return 0;
}

int parking_run_due(struct work *work)
{
    if (!work->is_parked_due || work->is_full || work->is_committing || work->is_draining) {
        return 0;
    }
    work->is_parked_due = false;
    struct connections down = {0};
    int rc = exception_each(work, EXCEPTION_CONNECTION_DOWN, add_connection, &down);
    rc = rc < 0 ? rc : 0;
    for (size_t i = 0; i < down.count; i++) {
        if (rc == 0 && !pause_is_set(work, PAUSE_CONNECTION, down.names[i])) {
            parking_watch(work);
            rc = work_connection_up(work, down.names[i], true);
        }
        free(down.names[i]);
    }
    free(down.names);
    return rc;
}
