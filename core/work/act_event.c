/* The event goes through the same door as those of routes and jobs. */
#include "core/work/act_event.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/json_writer.h"
#include "core/base/xalloc.h"
#include "core/work/inbox.h"
#include "core/work/job.h"
#include "core/work/work_state.h"

#define PAYLOAD_MAX ((size_t)64 << 10)

static void write_payload(struct buf *payload, const struct act_told *told)
{
    struct json_writer w;
    buf_init(payload, PAYLOAD_MAX);
    json_writer_init(&w, payload);
    json_object_begin(&w);
    json_member_str(&w, "by", told->who);
    json_member_str(&w, "cause", told->exception->cause);
    json_member_str(&w, "reason", told->reason);
    json_member_str(&w, "subject", told->exception->subject);
    json_object_end(&w);
}

static int tell_job(struct work *work, const struct act_told *told, const struct job_info *info,
                    struct bytes payload)
{
    struct accept_result result;
    struct error err;
    char *id =
        xasprintf("%llu:%llu", (unsigned long long)told->closed_seq, (unsigned long long)info->id);
    char *name = xasprintf("%s.%s", told->verb, told->exception->cause);
    bool is_end = strcmp(told->verb, ACT_EVENT_DISMISSED) == 0;
    struct event_new event = {
        .source = ACT_EVENT_SOURCE,
        .id = id,
        .key = info->key,
        .name = name,
        .flow = info->flow,
        .payload = payload,
        .class = EVENT_OVERTAKING,
        .idle = is_end ? EVENT_IDLE_JOB : EVENT_IDLE_KEEP,
    };
    error_clear(&err);
    int rc = work_accept(work, &event, &result, &err);
    if (rc == 0) {
        accept_result_free(&result);
    }
    free(name);
    free(id);
    return rc;
}

int act_event_tell(struct work *work, const struct act_told *told, const struct id_list *jobs)
{
    const struct work_lookup *lookup = &work->options.lookup;
    struct buf payload;
    int rc = 0;
    if (lookup->wants_acts == NULL) {
        return 0;
    }
    write_payload(&payload, told);
    for (size_t i = 0; i < jobs->count && rc == 0; i++) {
        struct job_info info;
        if (job_load(work, jobs->ids[i], &info) != 0) {
            continue;
        }
        if (lookup->wants_acts(lookup->arg, info.flow)) {
            rc = tell_job(work, told, &info, buf_bytes(&payload));
        }
        job_info_free(&info);
    }
    buf_free(&payload);
    return rc;
}
