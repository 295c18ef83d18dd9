/* Lines are numbered by one sequence per client, so lines of many keys can be put in one order. */
#include "core/work/timeline.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/kill_point.h"
#include "core/base/log.h"
#include "core/base/xalloc.h"
#include "core/work/work_state.h"

#define TIMELINE_VERSION 1

int timeline_add(struct work *work, const char *key, const struct timeline_entry *entry)
{
    struct key place;
    struct buf value;
    uint64_t seq;
    int rc = work_check_writable(work);
    rc = rc != 0 ? rc : work_next(work, SEQUENCE_TIMELINE, &seq);
    if (rc != 0) {
        return rc;
    }
    /* The far side may echo a token in what it says is wrong. */
    char *text = log_redacted(entry->text == NULL ? "" : entry->text);
    char *data = log_redacted(entry->data_json == NULL ? "" : entry->data_json);
    key_begin(&place, KEY_TIMELINE);
    key_text(&place, key);
    key_u64(&place, seq);
    work_value(&value, TIMELINE_VERSION);
    record_i64(&value, entry->at_ms == 0 ? work_now_ms(work) : entry->at_ms);
    record_u64(&value, entry->job_id);
    record_str(&value, entry->kind);
    record_bytes(&value, bytes_of(text, strnlen(text, TIMELINE_TEXT_MAX)));
    record_str(&value, strlen(data) > TIMELINE_TEXT_MAX ? "" : data);
    free(text);
    free(data);
    kill_point_before(KILL_TIMELINE, entry->kind);
    rc = work_put(work, &place, &value);
    kill_point_after(KILL_TIMELINE, entry->kind);
    if (rc == 0 && work->options.listener.on_timeline != NULL) {
        work->options.listener.on_timeline(work->options.listener.arg, key, entry);
    }
    return rc;
}

struct walk {
    timeline_fn fn;
    void *arg;
};

static int visit(void *arg, struct bytes key, struct bytes value)
{
    struct walk *walk = arg;
    struct record_reader r;
    struct timeline_entry entry = {.seq = key_last_u64(key)};
    record_open(&r, value);
    entry.at_ms = record_get_i64(&r);
    entry.job_id = record_get_u64(&r);
    char *kind = record_get_str(&r);
    char *text = record_get_str(&r);
    char *data = record_get_str(&r);
    entry.kind = kind;
    entry.text = text;
    entry.data_json = data == NULL || data[0] == '\0' ? NULL : data;
    int rc = r.is_bad || r.version != TIMELINE_VERSION ? 0 : walk->fn(walk->arg, &entry);
    free(kind);
    free(text);
    free(data);
    return rc;
}

int timeline_each(struct work *work, const char *key, bool is_reverse, timeline_fn fn, void *arg)
{
    struct walk walk = {fn, arg};
    struct key prefix;
    key_begin(&prefix, KEY_TIMELINE);
    key_text(&prefix, key);
    return work_range(work, &prefix, is_reverse, visit, &walk);
}
