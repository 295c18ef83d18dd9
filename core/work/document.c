/* Kept by job, so that they are found as payloads are: jobs of a key, oldest first. */
#include "core/work/document.h"

#include <string.h>

#include "core/work/work_state.h"

static void document_key(struct key *key, uint64_t job_id, const char *name)
{
    key_begin(key, KEY_DOCUMENT);
    key_u64(key, job_id);
    key_text(key, name);
}

int document_put(struct work *work, uint64_t job_id, const char *name, struct bytes content)
{
    struct key key;
    int rc = work_check_writable(work);
    if (rc != 0) {
        return rc;
    }
    if (strlen(name) > DOCUMENT_NAME_MAX || content.size > RECORD_MAX_BYTES) {
        return ERROR_LIMIT;
    }
    document_key(&key, job_id, name);
    return work_put_blob(work, &key, content);
}

static int collect_job(void *arg, const struct job_info *info)
{
    id_list_add(arg, info->id);
    return 0;
}

int document_newest(struct work *work, const char *key, const char *name, char **content_out,
                    size_t *size_out)
{
    struct id_list jobs = {0};
    *content_out = NULL;
    int rc = job_each_of_key(work, key, collect_job, &jobs);
    rc = rc == 0 ? ERROR_NOT_FOUND : rc;
    while (rc == ERROR_NOT_FOUND && jobs.count > 0) {
        struct key place;
        document_key(&place, jobs.ids[--jobs.count], name);
        rc = work_get_blob(work, &place, content_out, size_out);
    }
    id_list_free(&jobs);
    return rc;
}
