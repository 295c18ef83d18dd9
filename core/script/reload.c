/* One settle timer for both sources of news; a hash decides whether anything really changed. */
#include "core/script/reload.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/xalloc.h"
#include "core/script/file_stamp.h"
#include "core/script/vm_files.h"

#define WATCHED (IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB)

struct reload {
    struct reload_options options; /* its texts are owned */
    struct loop_timer *settle;
    struct loop_timer *scan;
    struct event *readable;
    int notify_fd;
    uint64_t tried_hash;   /* of the files as they were when last loaded, well or not */
    uint64_t pending_hash; /* of the files at the last look while settling */
    int64_t took_us;
    uint64_t stamp; /* at the last periodic look */
};

static uint64_t scan_files(const struct reload *r)
{
    /* As generation_scan does: both look at the same folders. */
    return generation_scan(runner_generation(r->options.runner));
}

static void add_watch(void *arg, const char *folder)
{
    struct reload *r = arg;
    if (inotify_add_watch(r->notify_fd, folder, WATCHED) < 0) {
        log_msg(LOG_DEBUG, "reload", "%s is not watched (%s): seen by the periodic hash", folder,
                strerror(errno));
    }
}

static void watch_folders(struct reload *r)
{
    if (r->notify_fd < 0) {
        return;
    }
    vm_files_each_folder(r->options.client_folder, add_watch, r);
    if (r->options.scripts_folder != NULL) {
        vm_files_each_folder(r->options.scripts_folder, add_watch, r);
    }
}

static int load_next(struct reload *r)
{
    struct generation *next = NULL;
    struct error err;
    error_clear(&err);
    int rc = r->options.load(r->options.arg, &next, &err);
    if (rc == 0) {
        rc = r->options.on_loaded(r->options.arg, next, &err);
        if (rc != 0) {
            r->tried_hash =
                0; /* good scripts, no room for them now: tried again at the next look */
        }
    }
    if (rc != 0 && r->options.on_failed != NULL) {
        r->options.on_failed(r->options.arg, &err);
    }
    return rc;
}

int reload_now(struct reload *r)
{
    struct clock *clock = loop_clock(r->options.loop);
    int64_t started_us = clock_mono_us(clock);
    loop_timer_stop(r->settle);
    r->tried_hash = scan_files(r);
    watch_folders(r);
    int rc = load_next(r);
    if (rc == 0) {
        r->took_us = clock_mono_us(clock) - started_us;
    }
    return rc;
}

int64_t reload_took_us(const struct reload *r)
{
    return r->took_us;
}

static void on_settled(void *arg)
{
    struct reload *r = arg;
    uint64_t hash = scan_files(r);
    if (hash == r->tried_hash) {
        return;
    }
    if (hash != r->pending_hash) {
        r->pending_hash = hash; /* still being written */
        loop_timer_start(r->settle, r->options.settle_ms);
        return;
    }
    (void)reload_now(r);
}

void reload_check(struct reload *r)
{
    uint64_t hash = scan_files(r);
    if (hash != r->tried_hash) {
        r->pending_hash = hash;
        loop_timer_start(r->settle, r->options.settle_ms);
    }
}

/* Whether reading the files could show anything that the last periodic look did not. */
static bool is_worth_reading(struct reload *r)
{
    int64_t newest_ms = 0;
    uint64_t stamp = file_stamp(r->options.client_folder, r->options.scripts_folder, &newest_ms);
    bool is_new = stamp != r->stamp;
    r->stamp = stamp;
    return is_new ||
           newest_ms + 2 * r->options.scan_ms >= clock_wall_ms(loop_clock(r->options.loop));
}

static void on_scan(void *arg)
{
    struct reload *r = arg;
    if (!loop_timer_is_running(r->settle) && is_worth_reading(r)) {
        reload_check(r);
    }
    loop_timer_start(r->scan, r->options.scan_ms);
}

static void on_notified(evutil_socket_t fd, short what, void *arg)
{
    struct reload *r = arg;
    char drained[8192];
    (void)what;
    while (read(fd, drained, sizeof(drained)) > 0) {
    }
    loop_timer_start(r->settle, r->options.settle_ms);
}

static void start_watching(struct reload *r)
{
    struct event_base *base = loop_event_base(r->options.loop);
    if (base == NULL) {
        return; /* virtual time: a periodic timer would keep it from ever being idle */
    }
    r->notify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (r->notify_fd >= 0) {
        r->readable = event_new(base, r->notify_fd, EV_READ | EV_PERSIST, on_notified, r);
    }
    if (r->readable != NULL) {
        event_add(r->readable, NULL);
    }
    watch_folders(r);
    loop_timer_start(r->scan, r->options.scan_ms);
}

struct reload *reload_new(const struct reload_options *options)
{
    struct reload *r = xcalloc(1, sizeof(*r));
    r->options = *options;
    r->options.client_folder = xstrdup(options->client_folder);
    r->options.scripts_folder =
        options->scripts_folder == NULL ? NULL : xstrdup(options->scripts_folder);
    r->options.settle_ms = options->settle_ms > 0 ? options->settle_ms : RELOAD_SETTLE_MS;
    r->options.scan_ms = options->scan_ms > 0 ? options->scan_ms : RELOAD_SCAN_MS;
    r->notify_fd = -1;
    r->tried_hash = generation_disk_hash(runner_generation(options->runner));
    r->settle = loop_timer_new(options->loop, on_settled, r);
    r->scan = loop_timer_new(options->loop, on_scan, r);
    start_watching(r);
    return r;
}

void reload_free(struct reload *r)
{
    if (r == NULL) {
        return;
    }
    if (r->readable != NULL) {
        event_free(r->readable);
    }
    if (r->notify_fd >= 0) {
        close(r->notify_fd);
    }
    loop_timer_free(r->settle);
    loop_timer_free(r->scan);
    free((char *)r->options.client_folder);
    free((char *)r->options.scripts_folder);
    free(r);
}
