/* What a person does about an exception: release, retry, dismiss; each in a unit of its own, with
 * an entry in the audit chain. */
#include <stdlib.h>
#include <string.h>

#include "core/base/xalloc.h"
#include "core/work/audit_chain.h"
#include "core/work/effect.h"
#include "core/work/exception_private.h"
#include "core/work/timeline.h"
#include "core/work/work_state.h"

static int audit(struct work *work, const char *action, const struct exception_act *act)
{
    char *subject = xasprintf("%s %s", act->cause, act->subject == NULL ? "" : act->subject);
    struct audit_entry entry = {
        .who = act->who, .action = action, .subject = subject, .detail = act->reason};
    int rc = audit_append(work, &entry);
    free(subject);
    return rc;
}

static int release(struct work *work, const struct exception_act *act)
{
    struct exception_closing closing = {CLOSED_BY_PERSON, act->who, act->reason};
    int rc = exception_close_here(work, act->cause, act->subject, &closing);
    return rc != 0 ? rc : audit(work, "exception.release", act);
}

static int retry(struct work *work, const struct exception_act *act)
{
    struct exception e;
    struct id_list ids = {0};
    int rc = exception_load(work, act->cause, act->subject, &e);
    if (rc != 0) {
        return rc;
    }
    rc = exception_collect_stopped(work, &e, &ids);
    rc = rc != 0 ? rc : job_release_all(work, &ids, true);
    id_list_free(&ids);
    exception_free(&e);
    return rc != 0 ? rc : audit(work, "exception.retry", act);
}

/* These say themselves that nobody knows the outcome: who dismisses them has decided about it. */
static bool tells_of_doubt(const char *cause)
{
    return strcmp(cause, EXCEPTION_UNFINISHED_EFFECT) == 0 ||
           strcmp(cause, EXCEPTION_OUTCOME_UNKNOWN) == 0;
}

/* What was begun may have happened: whoever goes on by himself finds out, who stands still waits
 * for a person who knows that. */
static int keep_unfinished(struct work *work, struct job_info *info)
{
    struct exception_cause cause = {
        .cause = EXCEPTION_UNFINISHED_EFFECT,
        .subject = info->key,
        .message = "Dismissed, but a change it began in another system has no outcome",
        .remedy = "Find out whether it happened there; retry the job, or dismiss this as well.",
    };
    struct timeline_entry line = {.job_id = info->id, .kind = "person", .text = cause.message};
    int rc = timeline_add(work, info->key, &line);
    if (rc == 0 && (info->state == JOB_HELD || info->state == JOB_DEAD)) {
        job_set_text(&info->reason, cause.message);
        rc = exception_wait(work, info->id, &cause);
        rc = rc != 0 ? rc : job_store(work, info);
    } else if (rc == 0 && info->state == JOB_WAITING && info->parked_on[0] != '\0') {
        rc = job_make_ready(work, info, false); /* nobody else would wake it any more */
    }
    return rc;
}

static int finish_dismissed(struct work *work, const char *cause, uint64_t id, const char *note)
{
    struct job_info info;
    if (job_find_live(work, id) != NULL) {
        return 0; /* a probe or a retry is under way: its end decides */
    }
    int rc = job_take(work, id, &info);
    if (rc != 0) {
        return rc == ERROR_NOT_FOUND ? 0 : rc;
    }
    uint64_t unfinished;
    rc = effect_unfinished(work, info.key, id, &unfinished);
    bool is_kept = unfinished != 0 && !tells_of_doubt(cause);
    if (rc == 0 && job_is_open(&info)) {
        rc = is_kept ? keep_unfinished(work, &info) : job_finish(work, &info, note);
    }
    job_info_free(&info);
    return rc;
}

static int dismiss(struct work *work, const struct exception_act *act)
{
    struct exception e;
    struct id_list ids = {0};
    int rc = exception_load(work, act->cause, act->subject, &e);
    if (rc != 0) {
        return rc;
    }
    struct exception_closing closing = {CLOSED_BY_DISMISSAL, act->who, act->reason};
    uint64_t seq = 0;
    rc = exception_take_out(work, &e, &closing, &ids, &seq);
    char *note = xasprintf("dismissed by %s: %s", act->who, act->reason);
    for (size_t i = 0; i < ids.count && rc == 0; i++) {
        rc = finish_dismissed(work, act->cause, ids.ids[i], note);
    }
    rc = rc != 0 ? rc : exception_tell(work, &e, seq, &closing, &ids);
    free(note);
    id_list_free(&ids);
    exception_free(&e);
    return rc != 0 ? rc : audit(work, "exception.dismiss", act);
}

typedef int (*act_fn)(struct work *work, const struct exception_act *act);

static int act_in_unit(struct work *work, const struct exception_act *act, act_fn fn)
{
    struct exception_act full = *act;
    full.subject = act->subject == NULL ? "" : act->subject;
    int rc = work_nested_begin(work);
    return rc != 0 ? rc : work_unit_end(work, fn(work, &full));
}

int exception_release(struct work *work, const struct exception_act *act)
{
    return act_in_unit(work, act, release);
}

int exception_retry(struct work *work, const struct exception_act *act)
{
    return act_in_unit(work, act, retry);
}

int exception_dismiss(struct work *work, const struct exception_act *act)
{
    return act_in_unit(work, act, dismiss);
}
