/* See report_asking.h. Opened in the order of the rooms and closed in reverse, as a host is. */
#define _GNU_SOURCE
#include "core/cli/report_asking.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "core/base/xalloc.h"
#include "core/net/http_server.h"
#include "core/net/transport_read_only.h"
#include "core/script/runner.h"
#include "core/work/inbox.h"
#include "core/work/job.h"
#include "core/work/turn.h"

#define SECONDS_PER_MINUTE 60.0
#define NEST_MAX           8 /* descriptors for walking a folder */
/* The map does not grow on the way: that drops a turn, and a report's one job would begin again. */
#define MAP_BYTES (UINT64_C(64) << 30)

struct small_host {
    char *folder;
    struct loop *loop;
    struct turn *turn;
    struct random_source random;
    struct transport *transport;
    struct connection **connections;
    size_t connection_count;
    struct runner *runner;
    struct store *store;
    struct work *work;
    struct api_report_asking *asking;
    uint64_t max_calls;
    struct event *signals[2];
    bool is_stopped;
    bool is_abandoned;
};

/* ---- Its folder
 * ------------------------------------------------------------------------------------ */

static int make_folder(struct small_host *h, struct error *err)
{
    const char *place = getenv("TMPDIR");
    char *name =
        xasprintf("%s/neap-report-XXXXXX", place == NULL || place[0] == '\0' ? "/tmp" : place);
    if (mkdtemp(name) == NULL) {
        int rc =
            error_set_errno(err, ERROR_IO, errno, "no folder can be made for the work (%s)", name);
        free(name);
        return rc;
    }
    h->folder = name;
    return 0;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

static void remove_folder(struct small_host *h)
{
    if (h->folder != NULL && nftw(h->folder, remove_one, NEST_MAX, FTW_DEPTH | FTW_PHYS) != 0) {
        fprintf(stderr, "neap: %s could not be removed: %s\n", h->folder, strerror(errno));
    }
    free(h->folder);
}

/* ---- Signals
 * --------------------------------------------------------------------------------------- */

static void on_stop(evutil_socket_t number, short what, void *arg)
{
    (void)number;
    (void)what;
    struct small_host *h = arg;
    h->is_abandoned = h->is_stopped;
    h->is_stopped = true;
    transport_read_only_stop(h->transport);
    loop_wake(h->loop);
}

static void watch_signals(struct small_host *h)
{
    static const int NUMBERS[] = {SIGINT, SIGTERM};
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof(NUMBERS) / sizeof(NUMBERS[0]); i++) {
        h->signals[i] = evsignal_new(loop_event_base(h->loop), NUMBERS[i], on_stop, h);
        event_add(h->signals[i], NULL);
    }
}

/* ---- Opening and closing
 * ------------------------------------------------------------------------------ */

static struct connection *find_connection(void *arg, const char *name)
{
    struct small_host *h = arg;
    for (size_t i = 0; i < h->connection_count; i++) {
        if (strcmp(connection_options(h->connections[i])->name, name) == 0) {
            return h->connections[i];
        }
    }
    return NULL;
}

static int open_net(struct small_host *h, struct clock *clock, const struct manifest *m,
                    const struct report_bounds *bounds, struct error *err)
{
    h->loop = loop_new(clock);
    if (h->loop == NULL) {
        return error_set(err, ERROR_IO, "the event loop cannot start");
    }
    struct transport *real = transport_curl_new(h->loop);
    if (real == NULL) {
        return error_set(err, ERROR_IO, "the HTTP client cannot start");
    }
    struct read_only_options options = {bounds->max_calls, bounds->max_time_ms};
    h->transport = transport_read_only_new(h->loop, real, &options);
    h->connections = xcalloc(m->connection_count + 1, sizeof(struct connection *));
    double rate = bounds->per_minute / SECONDS_PER_MINUTE;
    for (size_t i = 0; i < m->connection_count; i++) {
        struct connection_options own = m->connections[i];
        own.policy.file_folder = h->folder;
        if (!(own.rate_per_s > 0) || own.rate_per_s > rate) {
            own.rate_per_s = rate;
        }
        h->connections[h->connection_count++] =
            connection_new(h->loop, h->transport, &own, NULL, NULL);
    }
    return 0;
}

static int open_work(struct small_host *h, struct clock *clock, struct error *err)
{
    char *path = xasprintf("%s/store", h->folder);
    struct store_options store = {.path = path, .map_bytes = MAP_BYTES, .is_volatile = true};
    int rc = store_open(&h->store, &store, err);
    free(path);
    if (rc != 0) {
        return rc;
    }
    random_init_system(&h->random);
    struct work_options options = {
        .store = h->store, .clock = clock, .loop = h->loop, .random = &h->random};
    runner_fill_options(h->runner, &options);
    rc = work_open(&h->work, &options, err);
    rc = rc != 0 ? rc : runner_attach(h->runner, h->work, err);
    if (rc == 0) {
        h->turn = turn_new(h->loop);
        turn_add(h->turn, h->work);
    }
    return rc;
}

static void close_all(struct small_host *h)
{
    for (size_t i = 0; i < sizeof(h->signals) / sizeof(h->signals[0]); i++) {
        if (h->signals[i] != NULL) {
            event_free(h->signals[i]);
        }
    }
    if (h->turn != NULL) {
        turn_remove(h->turn, h->work);
    }
    work_close(h->work);
    api_report_end(h->asking);
    runner_free(h->runner);
    for (size_t i = 0; i < h->connection_count; i++) {
        connection_free(h->connections[i]);
    }
    free(h->connections);
    store_close(h->store);
    transport_free(h->transport);
    if (h->turn != NULL) {
        turn_free(h->turn);
    }
    if (h->loop != NULL) {
        loop_free(h->loop);
    }
    remove_folder(h);
}

/* ---- The job
 * ---------------------------------------------------------------------------------------- */

static void on_budget(void *arg, struct api_report_budget *out)
{
    struct small_host *h = arg;
    struct read_only_stats stats;
    transport_read_only_stats(h->transport, &stats);
    out->calls = stats.calls;
    out->max_calls = h->max_calls;
    out->failed = stats.failed;
    out->refused = stats.refused;
    out->over = stats.over;
}

static int accept_job(struct small_host *h, uint64_t *job_out, struct error *err)
{
    struct event_new event = {.source = "neap",
                              .id = "report",
                              .name = "report",
                              .flow = API_REPORT_FLOW,
                              .payload = bytes_of("", 0)};
    struct accept_result result = {0};
    int rc = work_accept(h->work, &event, &result, err);
    *job_out = result.job_id;
    accept_result_free(&result);
    return rc;
}

/* A job that came to rest without its result: what it was about. */
static int say_failure(struct small_host *h, uint64_t id, struct error *err)
{
    struct job_info info;
    int rc = job_load(h->work, id, &info);
    if (rc != 0) {
        return error_set(err, rc, "the report's job is lost: %s", error_code_name(rc));
    }
    rc = error_set(err, ERROR_SCRIPT, "the report failed: %s",
                   info.last_error[0] != '\0' ? info.last_error : info.reason);
    job_info_free(&info);
    return rc;
}

static bool is_at_rest(struct small_host *h, uint64_t id)
{
    struct job_info info;
    if (job_find_live(h->work, id) != NULL) {
        return false;
    }
    if (job_load(h->work, id, &info) != 0) {
        return true;
    }
    enum job_state state = info.state;
    job_info_free(&info);
    return state != JOB_READY && state != JOB_RUNNING;
}

static int run_job(struct small_host *h, bool *is_ok_out, struct error *err)
{
    uint64_t id = 0;
    int rc = accept_job(h, &id, err);
    while (rc == 0 && !h->is_abandoned && !is_at_rest(h, id)) {
        bool is_idle = false;
        rc = turn_run(h->turn, true, &is_idle, err);
        if (rc == 0 && work_is_full(h->work)) {
            rc = error_set(err, ERROR_FULL,
                           "no space left in %s, where the report keeps what it reads: set TMPDIR "
                           "to a folder with more",
                           h->folder);
        } else if (rc == 0 && is_idle) {
            break;
        }
    }
    if (rc != 0) {
        return rc;
    }
    if (h->is_abandoned) {
        return error_set(err, ERROR_CANCELLED, "stopped before there was anything to report");
    }
    return api_report_is_finished(h->asking, is_ok_out) ? 0 : say_failure(h, id, err);
}

static int open_all(struct small_host *h, const struct report_asking *given, struct error *err)
{
    const struct manifest *m = generation_manifest(given->generation);
    struct runner_options options = {m->name, find_connection, h};
    struct api_report *report = given->report;
    h->max_calls = given->bounds->max_calls;
    h->runner = runner_new(&options, given->generation);
    int rc = make_folder(h, err);
    rc = rc != 0 ? rc : open_net(h, given->clock, m, given->bounds, err);
    rc = rc != 0 ? rc : open_work(h, given->clock, err);
    if (rc != 0) {
        return rc;
    }
    watch_signals(h);
    report->generation = given->generation;
    report->work = h->work;
    report->loop = h->loop;
    report->sink.budget = on_budget;
    report->sink.budget_arg = h;
    h->asking = api_report_begin(generation_vm(given->generation), report, given->document, err);
    return h->asking == NULL ? err->code : 0;
}

int report_asking_run(const struct report_asking *given, bool *is_ok_out, struct error *err)
{
    struct small_host *h = xcalloc(1, sizeof(*h));
    int rc = open_all(h, given, err);
    rc = rc != 0 ? rc : run_job(h, is_ok_out, err);
    close_all(h);
    free(h);
    return rc;
}
