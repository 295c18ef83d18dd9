/*
 * Events: a small record, the payload and the answer apart from it, so that retention can drop the
 * payload and keep the identity.
 */
#include "core/work/event_record.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/xalloc.h"
#include "core/work/event_store.h"
#include "core/work/work_state.h"

#define EVENT_VERSION    1
#define EVENT_ID_VERSION 1
#define ANSWER_VERSION   1

void event_record_free(struct event_record *event)
{
    free(event->source);
    free(event->id);
    free(event->key);
    free(event->name);
    free(event->flow);
    free(event->payload);
    memset(event, 0, sizeof *event);
}

static void seq_key(struct key *key, enum key_table table, uint64_t seq)
{
    key_begin(key, table);
    key_u64(key, seq);
}

static void id_key(struct key *key, const char *source, const char *id)
{
    key_begin(key, KEY_EVENT_ID);
    key_text(key, source);
    key_text(key, id);
}

int event_store(struct work *work, const struct event_record *event)
{
    struct key key;
    struct buf value;
    seq_key(&key, KEY_EVENT, event->seq);
    work_value(&value, EVENT_VERSION);
    record_u8(&value, (uint8_t)event->class);
    record_i64(&value, event->received_ms);
    record_i64(&value, event->at_ms);
    record_u64(&value, event->job_id);
    record_str(&value, event->source);
    record_str(&value, event->id);
    record_str(&value, event->key);
    record_str(&value, event->name);
    record_str(&value, event->flow);
    return work_put(work, &key, &value);
}

int event_store_identity(struct work *work, const struct event_record *event)
{
    struct key key;
    struct buf value;
    id_key(&key, event->source, event->id);
    work_value(&value, EVENT_ID_VERSION);
    record_u64(&value, event->seq);
    return work_put(work, &key, &value);
}

int event_store_payload(struct work *work, uint64_t seq, struct bytes payload)
{
    struct key key;
    seq_key(&key, KEY_PAYLOAD, seq);
    return payload.size == 0 ? 0 : work_put_blob(work, &key, payload);
}

int event_load_head(struct work *work, uint64_t seq, struct event_record *event_out)
{
    memset(event_out, 0, sizeof *event_out);
    struct key key;
    struct bytes value;
    seq_key(&key, KEY_EVENT, seq);
    int rc = work_get(work, &key, &value);
    if (rc != 0) {
        return rc;
    }
    struct record_reader r;
    record_open(&r, value);
    event_out->seq = seq;
    event_out->class = (enum event_class)record_get_u8(&r);
    event_out->received_ms = record_get_i64(&r);
    event_out->at_ms = record_get_i64(&r);
    event_out->job_id = record_get_u64(&r);
    event_out->source = record_get_str(&r);
    event_out->id = record_get_str(&r);
    event_out->key = record_get_str(&r);
    event_out->name = record_get_str(&r);
    event_out->flow = record_get_str(&r);
    if (r.is_bad || r.version != EVENT_VERSION || event_out->class > EVENT_OVERTAKING) {
        event_record_free(event_out);
        return ERROR_CORRUPT;
    }
    return 0;
}

int event_load(struct work *work, uint64_t seq, struct event_record *event_out)
{
    int rc = event_load_head(work, seq, event_out);
    if (rc != 0) {
        return rc;
    }
    struct key key;
    seq_key(&key, KEY_PAYLOAD, seq);
    rc = work_get_blob(work, &key, &event_out->payload, &event_out->payload_size);
    if (rc == ERROR_NOT_FOUND) {
        event_out->payload = xstrdup("");
        rc = 0;
    }
    if (rc != 0) {
        event_record_free(event_out);
    }
    return rc;
}

int event_find(struct work *work, const char *source, const char *id, uint64_t *seq_out)
{
    struct key key;
    struct bytes value;
    id_key(&key, source, id);
    int rc = work_get(work, &key, &value);
    if (rc != 0) {
        return rc;
    }
    struct record_reader r;
    record_open(&r, value);
    *seq_out = record_get_u64(&r);
    return r.is_bad || r.version != EVENT_ID_VERSION ? ERROR_CORRUPT : 0;
}

/* Whether the payload as received is kept and is not this one. */
static int has_other_payload(struct work *work, uint64_t seq, struct bytes payload, bool *out)
{
    struct key key;
    char *kept = NULL;
    size_t size = 0;
    seq_key(&key, KEY_PAYLOAD, seq);
    int rc = work_get_blob(work, &key, &kept, &size);
    *out = rc == 0 && !bytes_equal(bytes_of(kept, size), payload);
    free(kept);
    return rc == ERROR_NOT_FOUND ? 0 : rc;
}

int event_compare_repeat(struct work *work, const struct event_new *repeat, uint64_t seq,
                         bool *is_news_out)
{
    struct key key;
    struct bytes value;
    *is_news_out = false;
    id_key(&key, repeat->source, repeat->id);
    int rc = work_get(work, &key, &value);
    if (rc != 0) {
        return rc;
    }
    struct record_reader r;
    record_open(&r, value);
    record_get_u64(&r);
    bool was_told = r.rest.size > 0 && record_get_u8(&r) != 0;
    bool is_other = false;
    rc = was_told ? 0 : has_other_payload(work, seq, repeat->payload, &is_other);
    if (rc != 0 || !is_other) {
        return rc;
    }
    struct buf marked;
    work_value(&marked, EVENT_ID_VERSION);
    record_u64(&marked, seq);
    record_u8(&marked, 1);
    *is_news_out = true;
    return work_put(work, &key, &marked);
}

int event_set_answer(struct work *work, uint64_t seq, const struct event_answer *answer)
{
    struct key key;
    struct buf value;
    seq_key(&key, KEY_ANSWER, seq);
    int rc = work_check_writable(work);
    if (rc != 0) {
        return rc;
    }
    if (work_has(work, &key)) {
        return ERROR_EXISTS;
    }
    work_value(&value, ANSWER_VERSION);
    record_u32(&value, (uint32_t)answer->status);
    record_bytes(&value, answer->headers);
    record_bytes(&value, answer->body);
    return work_put(work, &key, &value);
}

int event_answer(struct work *work, uint64_t seq, struct event_answer *answer_out,
                 struct buf *owned_out)
{
    struct key key;
    struct bytes value;
    buf_init(owned_out, RECORD_MAX_BYTES);
    memset(answer_out, 0, sizeof *answer_out);
    seq_key(&key, KEY_ANSWER, seq);
    int rc = work_get(work, &key, &value);
    if (rc == 0) {
        rc = buf_add(owned_out, value.data, value.size);
    }
    if (rc != 0) {
        return rc;
    }
    struct record_reader r;
    record_open(&r, buf_bytes(owned_out));
    answer_out->status = (int)record_get_u32(&r);
    answer_out->headers = record_get_bytes(&r);
    answer_out->body = record_get_bytes(&r);
    if (r.is_bad || r.version != ANSWER_VERSION) {
        buf_free(owned_out);
        return ERROR_CORRUPT;
    }
    return 0;
}
