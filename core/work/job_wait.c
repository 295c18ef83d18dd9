/*
 * Durable waits: what a slice asks for, and the memory of waits by name. A wait is remembered for
 * the job's life, so a run that passes it again does not wait again, whatever made it run again.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/xalloc.h"
#include "core/work/work_state.h"

#define WAIT_VERSION 1
#define SLEEP_MAX_MS                                                                               \
    (3660LL * 86400 * 1000) /* ten years: a longer one is a slip, or no end at all */

void job_request_free(struct job_request *request)
{
    if (request == NULL) {
        return;
    }
    for (size_t i = 0; i < request->cause_count; i++) {
        free(request->causes[i].cause);
        free(request->causes[i].subject);
        free(request->causes[i].message);
        free(request->causes[i].remedy);
    }
    free(request->causes);
    free(request->name);
    free(request->events);
    free(request);
}

static void wait_key(struct key *key, uint64_t job_id, const char *name)
{
    key_begin(key, KEY_WAIT);
    key_u64(key, job_id);
    key_text(key, name);
}

int job_wait_store(struct work *work, uint64_t job_id, const char *name,
                   const struct job_wait *wait)
{
    struct key key;
    struct buf value;
    wait_key(&key, job_id, name);
    work_value(&value, WAIT_VERSION);
    record_u8(&value, (uint8_t)wait->state);
    record_i64(&value, wait->until_ms);
    record_u64(&value, wait->event_seq);
    return work_put(work, &key, &value);
}

static int wait_load(struct work *work, uint64_t job_id, const char *name, struct job_wait *wait)
{
    struct key key;
    struct bytes value;
    memset(wait, 0, sizeof *wait);
    wait_key(&key, job_id, name);
    int rc = work_get(work, &key, &value);
    if (rc != 0) {
        return rc == ERROR_NOT_FOUND ? 0 : rc;
    }
    struct record_reader r;
    record_open(&r, value);
    wait->state = (enum job_wait_state)record_get_u8(&r);
    wait->until_ms = record_get_i64(&r);
    wait->event_seq = record_get_u64(&r);
    if (r.is_bad || r.version != WAIT_VERSION || wait->state > JOB_WAIT_DONE) {
        work_quarantine(work, &key); /* it waits once more, rather than never again */
        memset(wait, 0, sizeof *wait);
    }
    return 0;
}

int job_wait_find(struct job *job, const char *name, struct job_wait *wait_out)
{
    int rc = wait_load(job->work, job->info.id, name, wait_out);
    if (rc == 0 && wait_out->state == JOB_WAIT_PENDING && wait_out->until_ms != 0 &&
        wait_out->until_ms <= work_now_ms(job->work)) {
        wait_out->state = JOB_WAIT_DONE;
    }
    return rc;
}

int job_wait_finish(struct work *work, const struct job_info *info, uint64_t event_seq)
{
    struct job_wait wait = {JOB_WAIT_DONE, info->until_ms, event_seq};
    return job_wait_store(work, info->id, info->wait_name, &wait);
}

bool job_wait_has_event(const char *events, const char *name)
{
    size_t size = strlen(name);
    for (const char *at = events; *at != '\0';) {
        const char *end = at + strcspn(at, "\n");
        if ((size_t)(end - at) == size && memcmp(at, name, size) == 0) {
            return true;
        }
        at = *end == '\0' ? end : end + 1;
    }
    return false;
}

/* ---- Requests ----------------------------------------------------------------------------------
 */

static struct job_request *new_request(struct job *job, enum job_request_kind kind)
{
    if (!job->is_in_slice || job->request != NULL) {
        return NULL;
    }
    job->request = xcalloc(1, sizeof *job->request);
    job->request->kind = kind;
    return job->request;
}

int job_request_sleep(struct job *job, const char *name, int64_t delay_ms)
{
    struct job_wait wait;
    int rc = job_wait_find(job, name, &wait);
    if (rc != 0 || delay_ms < 0 || delay_ms > SLEEP_MAX_MS) {
        return rc != 0 ? rc : ERROR_INVALID;
    }
    struct job_request *request = new_request(job, REQUEST_SLEEP);
    if (request == NULL) {
        return ERROR_INVALID;
    }
    request->name = xstrdup(name);
    request->until_ms =
        wait.state == JOB_WAIT_PENDING ? wait.until_ms : work_now_ms(job->work) + delay_ms;
    return 0;
}

static char *join_events(const char *const *events)
{
    struct buf joined;
    buf_init(&joined, (size_t)(EVENT_NAME_MAX + 1) * JOB_WAIT_EVENTS_MAX);
    for (size_t i = 0; events[i] != NULL; i++) {
        bool is_bad = i >= JOB_WAIT_EVENTS_MAX || strlen(events[i]) > EVENT_NAME_MAX ||
                      strchr(events[i], '\n') != NULL;
        if (is_bad) {
            buf_free(&joined);
            return NULL;
        }
        if (i > 0) {
            (void)buf_add_char(&joined, '\n');
        }
        (void)buf_add_str(&joined, events[i]);
    }
    return buf_take(&joined, NULL);
}

int job_request_await(struct job *job, const char *name, const char *const *events,
                      int64_t until_ms)
{
    struct job_wait wait;
    int rc = job_wait_find(job, name, &wait);
    if (rc != 0 || until_ms < 0) {
        return rc != 0 ? rc : ERROR_INVALID; /* before 1970 is no instant, and would never be due */
    }
    char *joined = join_events(events);
    if (joined == NULL) {
        return ERROR_LIMIT;
    }
    struct job_request *request = new_request(job, REQUEST_AWAIT);
    if (request == NULL) {
        free(joined);
        return ERROR_INVALID;
    }
    request->name = xstrdup(name);
    request->events = joined;
    request->until_ms = wait.state == JOB_WAIT_PENDING ? wait.until_ms : until_ms;
    return 0;
}

int job_request_hold(struct job *job, const struct exception_cause *causes, size_t count)
{
    if (count == 0 || count > EXCEPTION_CAUSES_MAX) {
        return count == 0 ? ERROR_INVALID : ERROR_LIMIT;
    }
    for (size_t i = 0; i < count; i++) {
        if (causes[i].cause == NULL || causes[i].cause[0] == '\0' ||
            strlen(causes[i].cause) > EXCEPTION_CAUSE_MAX) {
            return ERROR_INVALID;
        }
    }
    struct job_request *request = new_request(job, REQUEST_HOLD);
    if (request == NULL) {
        return ERROR_INVALID;
    }
    request->causes = xcalloc(count, sizeof *request->causes);
    request->cause_count = count;
    for (size_t i = 0; i < count; i++) {
        struct held_cause *held = &request->causes[i];
        held->cause = xstrdup(causes[i].cause);
        held->subject = xstrdup(causes[i].subject == NULL ? "" : causes[i].subject);
        held->message = xstrdup(causes[i].message == NULL ? "" : causes[i].message);
        held->remedy = xstrdup(causes[i].remedy == NULL ? "" : causes[i].remedy);
        held->recheck = causes[i].recheck;
    }
    return 0;
}
