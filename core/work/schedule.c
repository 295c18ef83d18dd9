/*
 * A schedule is one record with its next due time; ticking moves it on in the same unit that
 * accepts the event, so a crash can neither lose nor double a tick.
 */
#include "core/work/schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/xalloc.h"
#include "core/base/zone.h"
#include "core/work/cron.h"
#include "core/work/inbox.h"
#include "core/work/pause.h"
#include "core/work/work_state.h"

#define SCHEDULE_RETRY_MS 1000

/* As schedule_info, with owned texts. */
struct schedule {
    char *flow;
    char *name;
    char *cron;
    char *zone;
    int64_t every_ms;
    int64_t next_ms;
    int64_t last_ms;
    uint64_t ticks;
    uint64_t skipped;
    bool on_exception;
};

#define SPEC_TEXTS 4

/* What was declared last: outlives a dropped turn. Owned by the work. */
struct schedules {
    struct schedule_spec *specs;
    char **texts; /* SPEC_TEXTS of each: flow, name, cron, zone */
    size_t count;
};

static void schedule_clear(struct schedule *s)
{
    free(s->flow);
    free(s->name);
    free(s->cron);
    free(s->zone);
    memset(s, 0, sizeof *s);
}

static void schedule_key(struct key *key, const char *flow, const char *name)
{
    key_begin(key, KEY_SCHEDULE);
    key_text(key, flow);
    key_text(key, name);
}

static int store(struct work *work, const struct schedule *s)
{
    struct key key;
    struct buf value;
    schedule_key(&key, s->flow, s->name);
    work_value(&value, SCHEDULE_VERSION);
    record_str(&value, s->flow);
    record_str(&value, s->name);
    record_str(&value, s->cron);
    record_str(&value, s->zone);
    record_i64(&value, s->every_ms);
    record_i64(&value, s->next_ms);
    record_i64(&value, s->last_ms);
    record_u64(&value, s->ticks);
    record_u64(&value, s->skipped);
    record_u8(&value, s->on_exception ? 1 : 0);
    work->is_due_stale = true;
    return work_put(work, &key, &value);
}

static int decode(struct bytes value, struct schedule *s)
{
    struct record_reader r;
    memset(s, 0, sizeof *s);
    record_open(&r, value);
    s->flow = record_get_str(&r);
    s->name = record_get_str(&r);
    s->cron = record_get_str(&r);
    s->zone = record_get_str(&r);
    s->every_ms = record_get_i64(&r);
    s->next_ms = record_get_i64(&r);
    s->last_ms = record_get_i64(&r);
    s->ticks = record_get_u64(&r);
    s->skipped = record_get_u64(&r);
    s->on_exception = r.version > 1 && record_get_u8(&r) != 0;
    if (r.is_bad || r.version < 1 || r.version > SCHEDULE_VERSION) {
        schedule_clear(s);
        return ERROR_CORRUPT;
    }
    return 0;
}

struct schedule_list {
    struct schedule *list;
    size_t count;
};

static int add_one(void *arg, struct bytes key, struct bytes value)
{
    (void)key;
    struct schedule_list *all = arg;
    struct schedule s;
    if (decode(value, &s) == 0) {
        all->list = xrealloc(all->list, (all->count + 1) * sizeof s);
        all->list[all->count++] = s;
    }
    return 0;
}

static int load_all(struct work *work, struct schedule_list *all)
{
    struct key prefix;
    memset(all, 0, sizeof *all);
    key_begin(&prefix, KEY_SCHEDULE);
    int rc = work_range(work, &prefix, false, add_one, all);
    return rc < 0 ? rc : 0;
}

static void free_all(struct schedule_list *all)
{
    for (size_t i = 0; i < all->count; i++) {
        schedule_clear(&all->list[i]);
    }
    free(all->list);
}

/* ---- Due times ---------------------------------------------------------------------------------
 */

/* The first due time after now; -1 = never (or a zone that is gone). */
static int64_t cron_due(struct work *work, const struct schedule *s, int64_t now)
{
    struct cron cron;
    struct error err;
    error_clear(&err);
    struct zone *zone = zone_open(s->zone, &err);
    if (zone == NULL || cron_parse(&cron, s->cron, &err) != 0) {
        log_msg(LOG_ERROR, work->area, "schedule %s.%s: %s", s->flow, s->name, err.message);
        zone_close(zone);
        return -1;
    }
    int64_t next = cron_next_ms(&cron, zone, now);
    zone_close(zone);
    return next;
}

static int64_t next_due(struct work *work, const struct schedule *s, int64_t now)
{
    if (s->every_ms == 0) {
        return cron_due(work, s, now);
    }
    if (now < s->next_ms) {
        return now + s->every_ms;
    }
    return s->next_ms + s->every_ms * (1 + (now - s->next_ms) / s->every_ms);
}

int64_t schedule_next(struct work *work)
{
    struct schedule_list all;
    int64_t next = INT64_MAX;
    int rc = load_all(work, &all);
    for (size_t i = 0; i < all.count && rc == 0; i++) {
        if (all.list[i].next_ms >= 0 && all.list[i].next_ms < next) {
            next = all.list[i].next_ms;
        }
    }
    free_all(&all);
    return next;
}

/* ---- Ticks -------------------------------------------------------------------------------------
 */

static int accept_tick(struct work *work, const struct schedule *s, int64_t now)
{
    int64_t missed = s->every_ms > 0 ? (now - s->next_ms) / s->every_ms : 0;
    char *id = xasprintf("%s.%s:%lld", s->flow, s->name, (long long)s->next_ms);
    char *key = xasprintf("schedule:%s.%s", s->flow, s->name);
    char *name = xasprintf("schedule.%s", s->name);
    char *payload =
        xasprintf("{\"due_ms\":%lld,\"missed\":%lld}", (long long)s->next_ms, (long long)missed);
    struct event_new event = {
        .source = "schedule",
        .id = id,
        .key = key,
        .name = name,
        .flow = s->flow,
        .payload = bytes_str(payload),
    };
    struct accept_result result;
    struct error err;
    error_clear(&err);
    int rc = work_accept(work, &event, &result, &err);
    if (rc == 0) {
        accept_result_free(&result);
    }
    free(id);
    free(key);
    free(name);
    free(payload);
    return rc;
}

static bool is_under_way(struct work *work, const struct schedule *s)
{
    char *key = xasprintf("schedule:%s.%s", s->flow, s->name);
    bool is_open = inbox_depth(work, key) > 0;
    free(key);
    return is_open;
}

static int tick(struct work *work, struct schedule *s)
{
    int64_t now = work_now_ms(work);
    int rc = 0;
    if (pause_is_set(work, PAUSE_FLOW, s->flow) || is_under_way(work, s)) {
        s->skipped++;
        work->stats.ticks_skipped++;
    } else {
        rc = accept_tick(work, s, now);
        s->ticks++;
        s->last_ms = now;
        work->stats.ticks++;
    }
    bool is_repeated = s->on_exception && s->last_ms != now; /* skipped: look again soon */
    s->next_ms = next_due(work, s, now);
    if (is_repeated && now + SCHEDULE_RETRY_MS < s->next_ms) {
        s->next_ms = now + SCHEDULE_RETRY_MS;
    }
    return rc != 0 ? rc : store(work, s);
}

/* After the clock was set back an interval would be due too late: never more than one interval
 * away. */
static bool is_too_far(const struct schedule *s, int64_t now)
{
    return s->every_ms > 0 && s->next_ms - now > s->every_ms;
}

static int run_one(struct work *work, struct schedule *s, int64_t now)
{
    if (is_too_far(s, now)) {
        s->next_ms = now + s->every_ms;
        return store(work, s);
    }
    return tick(work, s);
}

int schedule_run_due(struct work *work)
{
    struct schedule_list all;
    int64_t now = work_now_ms(work);
    int rc = load_all(work, &all);
    for (size_t i = 0; i < all.count && rc == 0; i++) {
        struct schedule *s = &all.list[i];
        if ((s->next_ms < 0 || s->next_ms > now) && !is_too_far(s, now)) {
            continue;
        }
        rc = work_nested_begin(work);
        rc = rc != 0 ? rc : work_unit_end(work, run_one(work, s, now));
    }
    free_all(&all);
    return rc;
}

/* An instant that ticked before does not tick again: its event was accepted already. */
static int mind_clock(struct work *work, struct schedule *s, int64_t now)
{
    int64_t next_ms = s->every_ms == 0 && s->next_ms > now ? cron_due(work, s, now) : -1;
    if (next_ms < 0 || next_ms >= s->next_ms) {
        return 0;
    }
    s->next_ms = next_ms;
    return store(work, s);
}

int schedule_mind_clock(struct work *work)
{
    struct schedule_list all;
    int64_t now = work_now_ms(work);
    int rc = load_all(work, &all);
    for (size_t i = 0; i < all.count && rc == 0; i++) {
        rc = work_nested_begin(work);
        rc = rc != 0 ? rc : work_unit_end(work, mind_clock(work, &all.list[i], now));
    }
    free_all(&all);
    return rc;
}

/* ---- Exceptions --------------------------------------------------------------------------------
 */

static int tick_soon(struct work *work, struct schedule *s, int64_t now)
{
    int64_t soon_ms = now + SCHEDULE_EXCEPTION_MS;
    if (soon_ms < s->last_ms + SCHEDULE_EXCEPTION_GAP_MS) {
        soon_ms = s->last_ms + SCHEDULE_EXCEPTION_GAP_MS;
    }
    if (s->next_ms >= 0 && s->next_ms <= soon_ms) {
        return 0;
    }
    s->next_ms = soon_ms;
    return store(work, s);
}

int schedule_on_exception(struct work *work)
{
    struct schedule_list all;
    int64_t now = work_now_ms(work);
    int rc = load_all(work, &all);
    for (size_t i = 0; i < all.count && rc == 0; i++) {
        if (all.list[i].on_exception) {
            rc = tick_soon(work, &all.list[i], now);
        }
    }
    free_all(&all);
    return rc;
}

/* ---- Replacing ---------------------------------------------------------------------------------
 */

static int check_times(const struct schedule_spec *spec, struct error *err)
{
    struct cron cron;
    bool has_cron = spec->cron != NULL && spec->cron[0] != '\0';
    if (has_cron == (spec->every_ms != 0)) {
        return error_set(err, ERROR_INVALID, "give either every_ms or cron");
    }
    if (has_cron) {
        int rc = cron_parse(&cron, spec->cron, err);
        if (rc != 0) {
            return rc;
        }
    } else if (spec->every_ms < SCHEDULE_EVERY_MIN_MS) {
        return error_set(err, ERROR_INVALID, "every_ms is at least %d", SCHEDULE_EVERY_MIN_MS);
    } else if (spec->every_ms > SCHEDULE_EVERY_MAX_MS) {
        return error_set(err, ERROR_INVALID, "every_ms is at most a year");
    }
    struct zone *zone = zone_open(spec->zone == NULL ? "UTC" : spec->zone, err);
    if (zone == NULL) {
        return error_wrap(err, "zone");
    }
    zone_close(zone);
    return 0;
}

int schedule_check(const struct schedule_spec *spec, struct error *err)
{
    bool is_named = spec->flow != NULL && spec->name != NULL && spec->flow[0] != '\0' &&
                    spec->name[0] != '\0' && strlen(spec->flow) <= EVENT_NAME_MAX &&
                    strlen(spec->name) <= EVENT_NAME_MAX - 16;
    if (!is_named) {
        return error_set(err, ERROR_INVALID, "a schedule needs a flow and a name of usual length");
    }
    return check_times(spec, err) == 0 ? 0
                                       : error_wrap(err, "schedule %s.%s", spec->flow, spec->name);
}

static bool is_same(const struct schedule *s, const struct schedule_spec *spec)
{
    return s->every_ms == spec->every_ms && s->on_exception == spec->on_exception &&
           strcmp(s->cron, spec->cron == NULL ? "" : spec->cron) == 0 &&
           strcmp(s->zone, spec->zone == NULL ? "UTC" : spec->zone) == 0;
}

static struct schedule *find(struct schedule_list *all, const struct schedule_spec *spec)
{
    for (size_t i = 0; i < all->count; i++) {
        if (strcmp(all->list[i].flow, spec->flow) == 0 &&
            strcmp(all->list[i].name, spec->name) == 0) {
            return &all->list[i];
        }
    }
    return NULL;
}

static int put_spec(struct work *work, struct schedule_list *all, const struct schedule_spec *spec)
{
    struct schedule fresh = {0};
    struct schedule *s = find(all, spec);
    if (s != NULL && is_same(s, spec)) {
        return 0;
    }
    if (s == NULL) {
        s = &fresh;
    }
    job_set_text(&s->flow, spec->flow);
    job_set_text(&s->name, spec->name);
    job_set_text(&s->cron, spec->cron);
    job_set_text(&s->zone, spec->zone == NULL ? "UTC" : spec->zone);
    s->every_ms = spec->every_ms;
    s->on_exception = spec->on_exception;
    int64_t now = work_now_ms(work);
    s->next_ms = s->every_ms > 0 ? now : cron_due(work, s, now);
    int rc = store(work, s);
    schedule_clear(&fresh);
    return rc;
}

static bool is_wanted(const struct schedule *s, const struct schedule_spec *specs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(s->flow, specs[i].flow) == 0 && strcmp(s->name, specs[i].name) == 0) {
            return true;
        }
    }
    return false;
}

static int replace(struct work *work, const struct schedule_spec *specs, size_t count)
{
    struct schedule_list all;
    int rc = load_all(work, &all);
    for (size_t i = 0; i < all.count && rc == 0; i++) {
        if (!is_wanted(&all.list[i], specs, count)) {
            struct key key;
            schedule_key(&key, all.list[i].flow, all.list[i].name);
            rc = work_delete(work, &key);
        }
    }
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = put_spec(work, &all, &specs[i]);
    }
    free_all(&all);
    work->is_due_stale = true;
    return rc;
}

static void specs_free(struct schedules *all)
{
    for (size_t i = 0; all != NULL && i < all->count; i++) {
        for (size_t t = 0; t < SPEC_TEXTS; t++) {
            free(all->texts[i * SPEC_TEXTS + t]);
        }
    }
    if (all != NULL) {
        free(all->specs);
        free(all->texts);
        free(all);
    }
}

static struct schedules *specs_copy(const struct schedule_spec *specs, size_t count)
{
    struct schedules *all = xcalloc(1, sizeof *all);
    all->specs = xcalloc(count + 1, sizeof *all->specs);
    all->texts = xcalloc(count * SPEC_TEXTS + 1, sizeof *all->texts);
    all->count = count;
    for (size_t i = 0; i < count; i++) {
        char **texts = all->texts + i * SPEC_TEXTS;
        texts[0] = xstrdup(specs[i].flow);
        texts[1] = xstrdup(specs[i].name);
        texts[2] = specs[i].cron == NULL ? NULL : xstrdup(specs[i].cron);
        texts[3] = specs[i].zone == NULL ? NULL : xstrdup(specs[i].zone);
        all->specs[i] = (struct schedule_spec){.flow = texts[0],
                                               .name = texts[1],
                                               .every_ms = specs[i].every_ms,
                                               .cron = texts[2],
                                               .zone = texts[3],
                                               .on_exception = specs[i].on_exception};
    }
    return all;
}

void schedule_close(struct work *work)
{
    specs_free(work->schedules);
    work->schedules = NULL;
}

int schedule_replace_again(struct work *work)
{
    if (work->schedules == NULL) {
        return 0;
    }
    int rc = work_nested_begin(work);
    return rc != 0
               ? rc
               : work_unit_end(work, replace(work, work->schedules->specs, work->schedules->count));
}

int schedule_replace(struct work *work, const struct schedule_spec *specs, size_t count,
                     struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        int rc = schedule_check(&specs[i], err);
        if (rc != 0) {
            return rc;
        }
    }
    struct schedules *all = specs_copy(specs, count);
    schedule_close(work);
    work->schedules = all;
    int rc = work_unsettle(work, schedule_replace_again(work));
    return rc == 0 ? 0
                   : error_set(err, rc, "the schedules cannot be stored: %s", error_code_name(rc));
}

/* ---- Questions ---------------------------------------------------------------------------------
 */

int schedule_each(struct work *work, schedule_fn fn, void *arg)
{
    struct schedule_list all;
    int rc = load_all(work, &all);
    for (size_t i = 0; i < all.count && rc == 0; i++) {
        const struct schedule *s = &all.list[i];
        struct schedule_info info = {s->flow,    s->name,    s->every_ms, s->cron,   s->zone,
                                     s->next_ms, s->last_ms, s->ticks,    s->skipped};
        rc = fn(arg, &info);
    }
    free_all(&all);
    return rc;
}

int schedule_run_now(struct work *work, const char *flow, const char *name)
{
    struct key key;
    struct bytes value;
    struct schedule s;
    schedule_key(&key, flow, name);
    int rc = work_check_writable(work);
    rc = rc != 0 ? rc : work_get(work, &key, &value);
    rc = rc != 0 ? rc : decode(value, &s);
    if (rc != 0) {
        return rc;
    }
    s.next_ms = work_now_ms(work);
    rc = store(work, &s);
    schedule_clear(&s);
    work->is_due = true;
    return rc;
}
