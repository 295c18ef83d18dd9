/* Jobs with a life in memory, and what the script room does with the job at hand. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/xalloc.h"
#include "core/work/effect.h"
#include "core/work/gate.h"
#include "core/work/inbox.h"
#include "core/work/timeline.h"
#include "core/work/work_state.h"

#define NOTES_PER_SLICE 1000 /* a loop that notes without end must not eat the memory */

static struct job **bucket(struct work *work, uint64_t id)
{
    return &work->live[(id * 0x9E3779B97F4A7C15ull >> 32) % WORK_LIVE_BUCKETS];
}

struct job *job_find_live(struct work *work, uint64_t id)
{
    for (struct job *job = *bucket(work, id); job != NULL; job = job->next) {
        if (job->info.id == id) {
            return job;
        }
    }
    return NULL;
}

void job_live_add(struct work *work, struct job *job)
{
    struct job **head = bucket(work, job->info.id);
    job->next = *head;
    *head = job;
    work->live_count++;
    gate_of(work, job->info.flow)->live++;
}

void job_live_remove(struct work *work, struct job *job)
{
    struct job **at = bucket(work, job->info.id);
    while (*at != job) {
        assert(*at != NULL);
        at = &(*at)->next;
    }
    *at = job->next;
    work->live_count--;
    gate_of(work, job->info.flow)->live--;
    job_notes_clear(job);
    free(job->notes);
    job_request_free(job->request);
    if (job->reached != NULL) {
        id_list_free(job->reached);
        free(job->reached);
    }
    job_info_free(&job->info);
    free(job);
}

void job_wake(struct job *job)
{
    assert(!job->is_in_slice);
    if (!job->is_queued) {
        job->is_queued = true;
        ready_queue_push(&job->work->ready, job->info.id);
        if (job->work->options.loop != NULL) {
            loop_wake(job->work->options.loop);
        }
    }
}

void job_restart(struct job *job)
{
    if (job->is_in_slice) {
        job->wants_restart = true;
        return;
    }
    struct work *work = job->work;
    uint64_t id = job->info.id;
    slice_drop_job(work, job);
    ready_queue_push(&work->ready, id); /* on disk it is ready */
}

int job_event(struct job *job, struct event_record *event_out)
{
    return event_load(job->work, job->info.event_seq, event_out);
}

int job_overtaken(struct job *job, const char *name, struct event_record *event_out)
{
    uint64_t seq;
    if (effect_is_doubtful(job->work, job->info.key)) {
        return ERROR_NOT_FOUND;
    }
    int rc = inbox_mail_newest(job->work, job->info.key, name, &seq);
    if (rc == 0 && job->is_in_slice) {
        rc = inbox_mail_seen(job->work, job->info.key, seq);
    }
    return rc != 0 ? rc : event_load(job->work, seq, event_out);
}

int job_emit(struct job *job, const struct event_new *event, bool *is_new_out, struct error *err)
{
    struct event_new full = *event;
    struct accept_result result;
    full.flow = event->flow == NULL ? job->info.flow : event->flow;
    int rc = work_accept(job->work, &full, &result, err);
    if (rc == 0) {
        *is_new_out = !result.is_duplicate;
        accept_result_free(&result);
    }
    return rc;
}

int job_answer(struct job *job, const struct event_answer *answer)
{
    int rc = event_set_answer(job->work, job->info.event_seq, answer);
    if (rc == 0) {
        work_pend(job->work, PENDING_ANSWER, job->info.event_seq);
    }
    return rc;
}

/* ---- Notes -------------------------------------------------------------------------------------
 */

void job_notes_clear(struct job *job)
{
    if (job->notes == NULL) {
        return;
    }
    for (size_t i = 0; i < job->notes->count; i++) {
        free(job->notes->list[i].kind);
        free(job->notes->list[i].text);
        free(job->notes->list[i].data_json);
    }
    free(job->notes->list);
    memset(job->notes, 0, sizeof *job->notes);
}

static int note_write(struct job *job, const struct job_note *note)
{
    struct timeline_entry entry = {.at_ms = note->at_ms,
                                   .job_id = job->info.id,
                                   .kind = note->kind,
                                   .text = note->text,
                                   .data_json = note->data_json};
    return timeline_add(job->work, job->info.key, &entry);
}

int job_notes_write(struct job *job)
{
    int rc = 0;
    if (job->notes == NULL) {
        return 0;
    }
    for (size_t i = 0; i < job->notes->count && rc == 0; i++) {
        rc = note_write(job, &job->notes->list[i]);
    }
    job_notes_clear(job);
    return rc;
}

void job_note(struct job *job, const char *kind, const char *text, const char *data_json)
{
    struct job_notes *notes = job->notes;
    if (notes == NULL) {
        notes = job->notes = xcalloc(1, sizeof *notes);
    }
    if (notes->count == NOTES_PER_SLICE) {
        return;
    }
    if (notes->count == notes->capacity) {
        notes->capacity = notes->capacity == 0 ? 8 : notes->capacity * 2;
        notes->list = xrealloc(notes->list, notes->capacity * sizeof *notes->list);
    }
    bool has_data = data_json != NULL && strlen(data_json) <= TIMELINE_TEXT_MAX;
    notes->list[notes->count++] = (struct job_note){
        .kind = xstrdup(kind),
        .text = xstrndup(text, strnlen(text, TIMELINE_TEXT_MAX)),
        .data_json = has_data ? xstrdup(data_json) : NULL,
        .at_ms = work_now_ms(job->work),
    };
}
