/* Slices: enter Lua with the scope of the run, come back, and say to work what happened. */
#include "core/script/runner.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/xalloc.h"
#include "core/work/pause.h"
#include "core/work/schedule.h"

/* The memory is the client's: whoever asks for the last of it fails, not whoever has the most. An
 * innocent job goes on a little later, an eater is held after these. */
#define MEMORY_RETRIES 3

struct runner {
    char *client;
    struct runner_options options;
    struct work *work;
    struct generation *current;
    struct generation *old; /* retired, with runs alive; or NULL */
};

struct runner *runner_new(const struct runner_options *options, struct generation *generation)
{
    struct runner *r = xcalloc(1, sizeof(*r));
    r->options = *options;
    r->client = xstrdup(options->client);
    r->current = generation;
    return r;
}

void runner_free(struct runner *r)
{
    if (r == NULL) {
        return;
    }
    generation_free(r->old);
    generation_free(r->current);
    free(r->client);
    free(r);
}

/* ---- One run ------------------------------------------------------------------------------------
 */

static int prepare_run(lua_State *L)
{
    struct job_run *run = lua_touserdata(L, 1);
    const struct manifest *m = generation_manifest(run->generation);
    generation_push_run(L, run->generation, (size_t)(run->flow - m->flows));
    generation_hooks(run->generation)->push_job(L, run);
    return 0;
}

/* Randomness of a job depends on the job alone: a second run of it goes the same way. */
static uint64_t seed_of(const struct runner *r, const struct job *job)
{
    return crash_file_hash(r->client) ^ (job->info.id * 0x9e3779b97f4a7c15u);
}

static char *copy_or_null(const char *text)
{
    return text == NULL || text[0] == '\0' ? NULL : xstrdup(text);
}

/* "flows/orders.lua:41" from the front of the message, or the innermost frame that is the client's.
 */
static char *find_place(const struct vm_failure *from)
{
    const char *texts[2] = {from->err.message, from->traceback};
    for (size_t i = 0; i < 2; i++) {
        for (const char *at = texts[i]; at != NULL; at = strstr(at, ", ")) {
            at += at[0] == ',' ? 2 : 0;
            size_t name = strcspn(at, ": ,[");
            size_t digits = at[name] == ':' ? strspn(at + name + 1, "0123456789") : 0;
            bool is_driver = strncmp(at, "scripts/lib/job.lua:", 20) == 0;
            if (name > 0 && digits > 0 && !is_driver) {
                return xstrndup(at, name + 1 + digits);
            }
            if (i == 0) {
                break;
            }
        }
    }
    return NULL;
}

static bool is_down(const struct runner *r, const char *name)
{
    struct connection *c = name == NULL ? NULL : runner_find_connection(r, name);
    if (c == NULL) {
        return false;
    }
    return connection_breaker(c) != BREAKER_CLOSED || pause_is_set(r->work, PAUSE_CONNECTION, name);
}

/* work logs the failure itself; here is what only this room knows. */
static void log_traceback(const struct runner *r, const struct job *job, const struct failure *f)
{
    if (f->traceback != NULL) {
        log_msg(LOG_INFO, r->client, "job %llu%s%s failed at: %s", (unsigned long long)job->info.id,
                f->step == NULL ? "" : ", in ", f->step == NULL ? "" : f->step, f->traceback);
    }
}

/* The failure record; takes the texts of `from`. */
static void fill_failure(const struct runner *r, const struct job *job, const struct job_run *run,
                         struct vm_failure *from, struct failure *to)
{
    to->kind = xstrdup(error_code_name(from->err.code));
    to->message = xstrdup(from->err.message);
    to->place = find_place(from);
    to->traceback = copy_or_null(from->traceback);
    to->step = run == NULL ? NULL : copy_or_null(run->step);
    to->is_retryable = from->err.is_retryable && !from->is_final;
    if (from->is_memory && job->info.failures < MEMORY_RETRIES) {
        to->is_retryable = true;
    }
    to->retry_after_ms = from->err.retry_after_ms;
    if (to->is_retryable && is_down(r, from->connection)) {
        to->connection_down = xstrdup(from->connection);
    }
    vm_failure_clear(from);
    log_traceback(r, job, to);
}

static struct job_run *start_run(struct runner *r, struct job *job,
                                 const struct manifest_flow *flow, struct vm_failure *failure)
{
    struct job_run *run = xcalloc(1, sizeof(*run));
    run->generation = r->current;
    run->flow = flow;
    run->job = job;
    run->scope.runner = r;
    run->scope.work = r->work;
    run->scope.flow = flow->name;
    run->scope.run = run;
    struct vm *vm = generation_vm(r->current);
    vm_set_owner(vm, &run->scope);
    run->co = coroutine_new(vm, prepare_run, run, seed_of(r, job), failure);
    vm_set_owner(vm, NULL);
    if (run->co == NULL) {
        free(run);
        return NULL;
    }
    coroutine_set_owner(run->co, run);
    generation_add_run(r->current, run);
    return run;
}

static enum slice_end end_of(struct runner *r, struct job_run *run, enum coroutine_outcome outcome,
                             struct vm_failure *raised, struct failure *failure)
{
    switch (outcome) {
    case COROUTINE_RETURNED:
        return SLICE_DONE;
    case COROUTINE_PREEMPTED:
        return SLICE_PREEMPTED;
    case COROUTINE_WAITING:
        return run->is_unwinding ? SLICE_UNWOUND : SLICE_SUSPENDED;
    case COROUTINE_RAISED:
        break;
    }
    fill_failure(r, run->job, run, raised, failure);
    return SLICE_FAILED;
}

static enum slice_end run_slice(void *arg, struct job *job, struct failure *failure)
{
    struct runner *r = arg;
    struct vm_failure raised = {0};
    if (job->script == NULL) {
        const struct manifest *m = generation_manifest(r->current);
        const struct manifest_flow *flow = manifest_find_flow(m, job->info.flow);
        if (flow != NULL && !flow->has_run) {
            return SLICE_DONE;
        }
        if (flow == NULL) {
            error_set(&raised.err, ERROR_SCRIPT, "the manifest has no flow \"%s\"", job->info.flow);
        } else {
            job->script = start_run(r, job, flow, &raised);
        }
        if (job->script == NULL) {
            fill_failure(r, job, NULL, &raised, failure);
            return SLICE_FAILED;
        }
    }
    struct job_run *run = job->script;
    struct vm *vm = generation_vm(run->generation);
    vm_set_owner(vm, &run->scope);
    run->scope.may_write = true;
    enum coroutine_outcome outcome = coroutine_resume(run->co, &raised);
    run->scope.may_write = false;
    vm_set_owner(vm, NULL);
    enum slice_end end = end_of(r, run, outcome, &raised, failure);
    vm_failure_clear(&raised);
    return end;
}

static void retire_if_idle(struct runner *r)
{
    if (r->old != NULL && generation_runs(r->old) == NULL) {
        generation_free(r->old);
        r->old = NULL;
    }
}

static void drop_run(void *arg, struct job *job)
{
    struct runner *r = arg;
    struct job_run *run = job->script;
    struct vm *vm = generation_vm(run->generation);
    job->script = NULL;
    vm_set_owner(vm, &run->scope); /* may_write is false: <close> variables may log, no more */
    coroutine_drop(run->co);
    vm_set_owner(vm, NULL);
    if (run->object != NULL) {
        *run->object = NULL; /* a script that kept the job object gets an error from now on */
    }
    generation_remove_run(run->generation, run);
    free(run->step);
    free(run);
    retire_if_idle(r);
}

/* ---- For work -----------------------------------------------------------------------------------
 */

static const char *find_owner(void *arg, const char *cause)
{
    struct runner *r = arg;
    return manifest_owner_of(generation_manifest(r->current), cause);
}

static bool find_retry(void *arg, const char *flow, struct backoff_policy *out)
{
    struct runner *r = arg;
    const struct manifest_flow *f = manifest_find_flow(generation_manifest(r->current), flow);
    if (f == NULL || !f->has_retry) {
        return false;
    }
    *out = f->retry;
    return true;
}

static struct work_lookup lookup_of(struct runner *r)
{
    struct work_lookup lookup = {r, find_owner, find_retry};
    return lookup;
}

void runner_fill_options(struct runner *r, struct work_options *options)
{
    const struct manifest *m = generation_manifest(r->current);
    options->client = r->client;
    options->runner.arg = r;
    options->runner.slice = run_slice;
    options->runner.drop = drop_run;
    options->lookup = lookup_of(r);
    options->retry = m->retry;
    options->live_from_ms = m->live_from_ms;
    options->generation = generation_hash(r->current);
}

static int replace_schedules(struct runner *r, const struct generation *g, struct error *err)
{
    const struct manifest *m = generation_manifest(g);
    struct schedule_spec *specs = xcalloc(m->schedule_count + 1, sizeof(*specs));
    for (size_t i = 0; i < m->schedule_count; i++) {
        const struct manifest_schedule *s = &m->schedules[i];
        specs[i].flow = m->flows[s->flow].name;
        specs[i].name = s->name;
        specs[i].every_ms = s->every_ms;
        specs[i].cron = s->cron;
        specs[i].zone = s->zone;
    }
    int rc = schedule_replace(r->work, specs, m->schedule_count, err);
    free(specs);
    return rc;
}

int runner_attach(struct runner *r, struct work *work, struct error *err)
{
    r->work = work;
    retention_set_policy(work, &generation_manifest(r->current)->retention);
    return replace_schedules(r, r->current, err);
}

/* Ends what still runs on the generation before: its jobs begin again from the top. */
static void unwind_old(struct runner *r)
{
    while (r->old != NULL) {
        struct job_run *run = generation_runs(r->old);
        job_restart(run->job);
        assert(r->old == NULL || generation_runs(r->old) != run);
    }
}

/* What the store must know of new scripts, in one unit: all of it or nothing. */
static int tell_work(struct runner *r, const struct generation *next, struct error *err)
{
    int rc = work_nested_begin(r->work);
    if (rc == 0) {
        rc = replace_schedules(r, next, err);
        if (rc == 0) {
            rc = work_generation_changed(r->work, generation_hash(next));
        }
        if (rc == 0) {
            rc = work_nested_commit(r->work);
        } else {
            work_nested_abort(r->work);
        }
    }
    return rc == 0 ? 0 : error_set(err, rc, "the store takes nothing now: %s", error_code_name(rc));
}

int runner_announce(struct runner *r, struct generation *next, struct error *err)
{
    int rc = r->work == NULL ? 0 : tell_work(r, next, err);
    if (rc != 0) {
        generation_free(next);
    }
    return rc;
}

void runner_install(struct runner *r, struct generation *next)
{
    unwind_old(r);
    r->old = r->current;
    r->current = next;
    retire_if_idle(r);
    if (r->work != NULL) {
        const struct manifest *m = generation_manifest(next);
        struct work_lookup lookup = lookup_of(r);
        work_set_policy(r->work, &lookup, &m->retry, m->live_from_ms);
        retention_set_policy(r->work, &m->retention);
    }
}

int runner_swap(struct runner *r, struct generation *next, struct error *err)
{
    int rc = runner_announce(r, next, err);
    if (rc == 0) {
        runner_install(r, next);
    }
    return rc;
}

struct generation *runner_generation(const struct runner *r)
{
    return r->current;
}

struct work *runner_work(const struct runner *r)
{
    return r->work;
}

const char *runner_client(const struct runner *r)
{
    return r->client;
}

struct connection *runner_find_connection(const struct runner *r, const char *name)
{
    return r->options.find_connection == NULL ? NULL
                                              : r->options.find_connection(r->options.arg, name);
}

unsigned runner_generation_count(const struct runner *r)
{
    return r->old == NULL ? 1 : 2;
}

size_t runner_memory_used(const struct runner *r)
{
    size_t old = r->old == NULL ? 0 : vm_memory_used(generation_vm(r->old));
    return old + vm_memory_used(generation_vm(r->current));
}
