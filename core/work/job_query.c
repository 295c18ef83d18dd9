/* Questions about jobs, and what a person does to one of them. Works on a read-only store too. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/xalloc.h"
#include "core/work/audit_chain.h"
#include "core/work/counter.h"
#include "core/work/timeline.h"
#include "core/work/work_state.h"

struct walk {
    struct work *work;
    job_each_fn fn;
    void *arg;
    bool skips_live;
};

static int visit(void *arg, struct bytes key, struct bytes value)
{
    (void)value;
    struct walk *walk = arg;
    uint64_t id = key_last_u64(key);
    struct job_info info;
    if (walk->skips_live && job_find_live(walk->work, id) != NULL) {
        return 0;
    }
    if (job_load(walk->work, id, &info) != 0) {
        return 0; /* broken or gone: the run path puts it aside */
    }
    struct job *live = job_find_live(walk->work, id);
    if (live != NULL && info.state == JOB_READY) {
        info.state = JOB_RUNNING;
    }
    int rc = walk->fn(walk->arg, &info);
    job_info_free(&info);
    return rc;
}

static int each_live(struct work *work, job_each_fn fn, void *arg)
{
    for (size_t i = 0; i < WORK_LIVE_BUCKETS; i++) {
        for (struct job *job = work->live[i]; job != NULL; job = job->next) {
            struct job_info info = job->info;
            info.state = JOB_RUNNING;
            int rc = fn(arg, &info);
            if (rc != 0) {
                return rc;
            }
        }
    }
    return 0;
}

int job_each(struct work *work, enum job_state state, job_each_fn fn, void *arg)
{
    if (state == JOB_RUNNING) {
        return each_live(work, fn, arg);
    }
    struct walk walk = {work, fn, arg, state == JOB_READY};
    struct key prefix;
    job_shelf_prefix(&prefix, state, true);
    int rc = work_range(work, &prefix, false, visit, &walk);
    if (rc == 0 && state == JOB_READY) {
        job_shelf_prefix(&prefix, state, false);
        rc = work_range(work, &prefix, false, visit, &walk);
    }
    return rc;
}

int job_each_of_key(struct work *work, const char *key, job_each_fn fn, void *arg)
{
    struct walk walk = {work, fn, arg, false};
    struct key prefix;
    key_begin(&prefix, KEY_KEY_JOBS);
    key_text(&prefix, key);
    return work_range(work, &prefix, false, visit, &walk);
}

/* Of the jobs on some shelves; from the keys of the index alone. */
struct shelf_count {
    uint64_t count;
    uint64_t oldest_id; /* 0 = none */
};

static int count_one(void *arg, struct bytes key, struct bytes value)
{
    (void)value;
    struct shelf_count *shelves = arg;
    uint64_t id = key_last_u64(key);
    shelves->count++;
    if (shelves->oldest_id == 0 || id < shelves->oldest_id) {
        shelves->oldest_id = id;
    }
    return 0;
}

static int count_shelf(struct work *work, enum job_state state, bool is_head,
                       struct shelf_count *shelves, uint64_t *count)
{
    struct key prefix;
    uint64_t before = shelves->count;
    job_shelf_prefix(&prefix, state, is_head);
    int rc = work_range(work, &prefix, false, count_one, shelves);
    *count = shelves->count - before;
    return rc;
}

/* Numbers of jobs grow, so the lowest open one was made first. */
static int64_t created_of(struct work *work, uint64_t id)
{
    struct job_info info;
    if (id == 0 || job_load(work, id, &info) != 0) {
        return 0;
    }
    int64_t created_ms = info.created_ms;
    job_info_free(&info);
    return created_ms;
}

int job_count(struct work *work, struct job_counts *out)
{
    static const enum job_state open[] = {JOB_READY, JOB_WAITING, JOB_AWAITING, JOB_HELD, JOB_DEAD};
    struct shelf_count shelves = {0};
    memset(out, 0, sizeof *out);
    int rc = count_shelf(work, JOB_READY, false, &shelves, &out->blocked);
    for (size_t i = 0; i < sizeof open / sizeof open[0] && rc >= 0; i++) {
        rc = count_shelf(work, open[i], true, &shelves, &out->by_state[open[i]]);
    }
    if (rc < 0) {
        return rc;
    }
    out->oldest_ready_ms = created_of(work, shelves.oldest_id);
    out->by_state[JOB_READY] += out->blocked;
    out->by_state[JOB_READY] -=
        work->live_count < out->by_state[JOB_READY] ? work->live_count : out->by_state[JOB_READY];
    out->by_state[JOB_RUNNING] = work->live_count;
    out->by_state[JOB_DONE] = (uint64_t)counter_get(work, "jobs.done");
    return 0;
}

/* ---- A person acts -----------------------------------------------------------------------------
 */

static int note_act(struct work *work, const struct job_info *info, const char *action,
                    const struct exception_act *act)
{
    char *subject = xasprintf("job %llu %s", (unsigned long long)info->id, info->key);
    char *text = xasprintf("%s by %s: %s", action, act->who, act->reason);
    struct audit_entry audit = {
        .who = act->who, .action = action, .subject = subject, .detail = act->reason};
    struct timeline_entry line = {.job_id = info->id, .kind = "person", .text = text};
    int rc = audit_append(work, &audit);
    rc = rc != 0 ? rc : timeline_add(work, info->key, &line);
    free(subject);
    free(text);
    return rc;
}

static int take_idle(struct work *work, uint64_t id, struct job_info *info)
{
    int rc = job_take(work, id, info);
    if (rc == 0 && (info->state == JOB_DONE || job_find_live(work, id) != NULL)) {
        job_info_free(info);
        return ERROR_INVALID;
    }
    return rc;
}

static int retry(struct work *work, uint64_t id, const struct exception_act *act)
{
    struct job_info info;
    int rc = take_idle(work, id, &info);
    if (rc != 0) {
        return rc;
    }
    if (info.state == JOB_READY) {
        rc = ERROR_INVALID;
    } else {
        info.attempt++;
        rc = note_act(work, &info, "job.retry", act);
        rc = rc != 0 ? rc : job_make_ready(work, &info, true);
    }
    job_info_free(&info);
    return rc;
}

int job_retry(struct work *work, uint64_t id, const char *who, const char *reason)
{
    struct exception_act act = {.who = who, .reason = reason};
    int rc = work_nested_begin(work);
    return rc != 0 ? rc : work_unit_end(work, retry(work, id, &act));
}

static int dismiss(struct work *work, uint64_t id, const struct exception_act *act)
{
    struct job_info info;
    int rc = take_idle(work, id, &info);
    if (rc != 0) {
        return rc;
    }
    char *note = xasprintf("dismissed by %s: %s", act->who, act->reason);
    rc = note_act(work, &info, "job.dismiss", act);
    rc = rc != 0 ? rc : job_finish(work, &info, note);
    free(note);
    job_info_free(&info);
    return rc;
}

int job_dismiss(struct work *work, uint64_t id, const char *who, const char *reason)
{
    struct exception_act act = {.who = who, .reason = reason};
    int rc = work_nested_begin(work);
    return rc != 0 ? rc : work_unit_end(work, dismiss(work, id, &act));
}
