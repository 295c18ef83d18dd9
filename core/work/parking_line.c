/*
 * One timeline line for a whole outage: a job that tries again and finds the connection down still
 * says it in the line that it wrote before, with how often and since when. What else its last slice
 * noted is what it noted then.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json_reader.h"
#include "core/base/json_writer.h"
#include "core/base/xalloc.h"
#include "core/work/timeline.h"
#include "core/work/work_state.h"

#define PARKED_KIND     "parked"
#define PARKED_DATA_MAX 2048

struct outage {
    uint64_t job_id;
    const char *connection;
    uint64_t seq;     /* of the line; 0: the newest line of the key is another */
    int64_t tries;    /* that it tells of */
    int64_t first_ms; /* the first of them */
};

static int look(void *arg, const struct timeline_entry *entry)
{
    struct outage *outage = arg;
    struct bytes value;
    struct bytes data = bytes_str(entry->data_json == NULL ? "" : entry->data_json);
    struct buf name;
    buf_init(&name, PARKED_DATA_MAX);
    bool is_it = entry->job_id == outage->job_id && strcmp(entry->kind, PARKED_KIND) == 0 &&
                 json_find(data, "connection", &value) && json_text(value, &name) &&
                 strcmp(buf_text(&name), outage->connection) == 0 &&
                 json_find(data, "tries", &value) && json_integer(value, &outage->tries) &&
                 json_find(data, "first_ms", &value) && json_integer(value, &outage->first_ms);
    outage->seq = is_it ? entry->seq : 0;
    buf_free(&name);
    return 1;
}

static struct outage outage_of(struct job *job, const char *connection)
{
    struct outage outage = {.job_id = job->info.id, .connection = connection};
    timeline_each(job->work, job->info.key, true, look, &outage);
    return outage;
}

bool parking_is_again(struct job *job, const char *connection)
{
    return outage_of(job, connection).seq != 0;
}

static int drop_line(struct job *job, uint64_t seq)
{
    struct key key;
    key_begin(&key, KEY_TIMELINE);
    key_text(&key, job->info.key);
    key_u64(&key, seq);
    return work_delete(job->work, &key);
}

int parking_note(struct job *job, const char *connection, const char *message)
{
    struct outage outage = outage_of(job, connection);
    bool is_again = outage.seq != 0;
    int rc = is_again ? drop_line(job, outage.seq) : 0;
    int64_t first_ms = is_again ? outage.first_ms : work_now_ms(job->work);
    int64_t tries = is_again ? outage.tries + 1 : 1;
    char since[32];
    json_format_instant(first_ms, since);
    char *text = is_again ? xasprintf("%s is down since %s, tried %" PRId64 " times, last: %s",
                                      connection, since, tries, message)
                          : xasprintf("%s is down: the job waits for it", connection);
    struct buf data;
    struct json_writer w;
    buf_init(&data, PARKED_DATA_MAX);
    json_writer_init(&w, &data);
    json_object_begin(&w);
    json_member_str(&w, "connection", connection);
    json_member_int(&w, "tries", tries);
    json_member_int(&w, "first_ms", first_ms);
    json_object_end(&w);
    struct timeline_entry line = {.job_id = job->info.id,
                                  .kind = PARKED_KIND,
                                  .text = text,
                                  .data_json = data.has_failed ? NULL : buf_text(&data)};
    rc = rc != 0 ? rc : timeline_add(job->work, job->info.key, &line);
    buf_free(&data);
    free(text);
    return rc;
}
