/* Steps are kept under (job, chain, name): a new chain finds none of the old ones. */
#include "core/work/step.h"

#include "core/base/kill_point.h"
#include "core/work/work_state.h"

#define STEP_VERSION 1

static void step_key(struct key *key, const struct job *job, const char *name)
{
    key_begin(key, KEY_STEP);
    key_u64(key, job->info.id);
    key_u64(key, job->info.chain);
    key_text(key, name);
}

int step_find(struct job *job, const char *name, struct bytes *json_out)
{
    struct key key;
    struct bytes value;
    step_key(&key, job, name);
    int rc = work_get(job->work, &key, &value);
    if (rc != 0) {
        return rc;
    }
    struct record_reader r;
    record_open(&r, value);
    *json_out = record_get_bytes(&r);
    if (r.is_bad || r.version != STEP_VERSION) {
        work_quarantine(job->work, &key);
        return ERROR_NOT_FOUND; /* run it again */
    }
    return 0;
}

int step_put(struct job *job, const char *name, struct bytes json)
{
    struct key key;
    struct buf value;
    step_key(&key, job, name);
    if (!job->is_in_slice) {
        return ERROR_INVALID;
    }
    if (work_has(job->work, &key)) {
        return ERROR_EXISTS;
    }
    work_value(&value, STEP_VERSION);
    record_bytes(&value, json);
    kill_point_before(KILL_STEP, name);
    int rc = work_put(job->work, &key, &value);
    if (rc == 0) {
        kill_point_after(KILL_STEP, name);
        /* Progress: the failures before it are no longer in a row. */
        job->info.failures = 0;
        job->info.failed_since_ms = 0;
        job->info.parked_ms = 0;
        rc = work_checkpoint(job->work);
    }
    return rc;
}
