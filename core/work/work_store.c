/*
 * Store access of this room: every call notices a full map (the turn must be dropped) and a store
 * that cannot be relied on any more (the host must stop), so that no caller can forget it. A broken
 * record is another matter: it is read well and put aside.
 */
#include "core/base/log.h"
#include "core/base/xalloc.h"
#include "core/work/work_state.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define BLOB_VERSION          1
#define SEQUENCE_VERSION      1
#define MARK_VERSION          1
#define COMPRESS_LEVEL        1 /* speed matters here, not the last percent */
#define COMPRESS_MEMORY_LEVEL 6

enum blob_encoding { BLOB_PLAIN, BLOB_ZLIB };

int work_note_rc(struct work *work, int rc)
{
    if (work->must_drop && rc != 0 && rc != ERROR_NOT_FOUND) {
        return ERROR_FULL; /* a transaction that ran full refuses everything after it */
    }
    if (rc == ERROR_FULL) {
        work->must_drop = true;
    } else if ((rc == ERROR_IO || rc == ERROR_CORRUPT) && work->fatal == 0) {
        work->fatal = error_set(&work->fatal_error, ERROR_IO, "%s: the store %s", work->client,
                                rc == ERROR_IO ? "failed" : "is damaged");
    }
    return rc;
}

int work_get(struct work *work, const struct key *key, struct bytes *value_out)
{
    return work_note_rc(work, store_get(work->options.store, key_bytes(key), value_out));
}

bool work_has(struct work *work, const struct key *key)
{
    struct bytes ignored;
    return work_get(work, key, &ignored) == 0;
}

void work_value(struct buf *value, uint8_t version)
{
    buf_init(value, RECORD_MAX_BYTES);
    record_begin(value, version);
}

int work_put(struct work *work, const struct key *key, struct buf *value)
{
    int rc = value->has_failed ? ERROR_LIMIT : 0;
    if (rc == 0) {
        rc = store_put(work->options.store, key_bytes(key), buf_bytes(value));
    }
    buf_free(value);
    return work_note_rc(work, rc);
}

int work_put_mark(struct work *work, const struct key *key)
{
    const uint8_t version = MARK_VERSION;
    return work_note_rc(work,
                        store_put(work->options.store, key_bytes(key), bytes_of(&version, 1)));
}

int work_delete(struct work *work, const struct key *key)
{
    int rc = store_delete(work->options.store, key_bytes(key));
    return rc == ERROR_NOT_FOUND ? 0 : work_note_rc(work, rc);
}

/* Tells what a visitor answered from what the store itself says. */
struct visitor {
    store_range_fn fn;
    void *arg;
    int answer;
};

static int visit(void *arg, struct bytes key, struct bytes value)
{
    struct visitor *visitor = arg;
    visitor->answer = visitor->fn(visitor->arg, key, value);
    return visitor->answer;
}

int work_range(struct work *work, const struct key *prefix, bool is_reverse, store_range_fn fn,
               void *arg)
{
    struct visitor visitor = {fn, arg, 0};
    int rc =
        store_range_prefix(work->options.store, key_bytes(prefix), is_reverse, visit, &visitor);
    return visitor.answer != 0 ? rc : work_note_rc(work, rc);
}

/* ---- Lists of ids and keys --------------------------------------------------------------------
 */

void id_list_add(struct id_list *list, uint64_t id)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 16 : list->capacity * 2;
        list->ids = xrealloc(list->ids, list->capacity * sizeof *list->ids);
    }
    list->ids[list->count++] = id;
}

void id_list_free(struct id_list *list)
{
    free(list->ids);
    memset(list, 0, sizeof *list);
}

struct collecting {
    struct id_list *ids;
    size_t max;
};

static int collect_id(void *arg, struct bytes key, struct bytes value)
{
    (void)value;
    struct collecting *c = arg;
    id_list_add(c->ids, key_last_u64(key));
    return c->ids->count >= c->max ? 1 : 0;
}

int work_collect(struct work *work, const struct key *prefix, size_t max, struct id_list *ids)
{
    struct collecting c = {ids, max};
    int rc = work_range(work, prefix, false, collect_id, &c);
    return rc < 0 ? rc : 0;
}

static int copy_key(void *arg, struct bytes key, struct bytes value)
{
    (void)value;
    struct key *copy = arg;
    copy->size = 0;
    key_raw(copy, key);
    return 1;
}

int work_delete_prefix(struct work *work, const struct key *prefix)
{
    for (;;) {
        struct key key;
        int found = work_range(work, prefix, false, copy_key, &key);
        if (found <= 0) {
            return found;
        }
        int rc = work_delete(work, &key);
        if (rc != 0) {
            return rc;
        }
    }
}

/* ---- Blobs ------------------------------------------------------------------------------------
 */

/*
 * The window no wider than the bytes, and small tables: setting up the usual 256 KB costs more than
 * compressing an order. Any inflater reads the result.
 */
static int pack(struct bytes blob, unsigned char *packed, uLongf *size)
{
    int window_bits = 9;
    while (window_bits < MAX_WBITS && ((size_t)1 << window_bits) < blob.size) {
        window_bits++;
    }
    z_stream z;
    memset(&z, 0, sizeof z);
    int rc = deflateInit2(&z, COMPRESS_LEVEL, Z_DEFLATED, window_bits, COMPRESS_MEMORY_LEVEL,
                          Z_DEFAULT_STRATEGY);
    if (rc != Z_OK) {
        return rc;
    }
    z.next_in = (z_const Bytef *)blob.data;
    z.avail_in = (uInt)blob.size;
    z.next_out = packed;
    z.avail_out = (uInt)*size;
    rc = deflate(&z, Z_FINISH);
    *size = z.total_out;
    deflateEnd(&z);
    return rc == Z_STREAM_END ? Z_OK : Z_BUF_ERROR;
}

int work_put_blob(struct work *work, const struct key *key, struct bytes blob)
{
    struct buf value;
    work_value(&value, BLOB_VERSION);
    if (blob.size > EVENT_COMPRESS_ABOVE && blob.size < RECORD_MAX_BYTES) {
        /* No larger than the blob: a result that does not fit is not worth keeping. */
        uLongf packed_size = blob.size;
        unsigned char *packed = xmalloc(packed_size);
        int z = pack(blob, packed, &packed_size);
        if (z == Z_OK && packed_size < blob.size) {
            record_u8(&value, BLOB_ZLIB);
            record_u64(&value, blob.size);
            record_bytes(&value, bytes_of(packed, packed_size));
            free(packed);
            return work_put(work, key, &value);
        }
        free(packed);
    }
    record_u8(&value, BLOB_PLAIN);
    record_u64(&value, blob.size);
    record_bytes(&value, blob);
    return work_put(work, key, &value);
}

static int unpack(enum blob_encoding encoding, struct bytes stored, char *data, size_t size)
{
    if (encoding == BLOB_PLAIN) {
        if (stored.size != size) {
            return ERROR_CORRUPT;
        }
        if (size > 0) {
            memcpy(data, stored.data, size);
        }
        return 0;
    }
    uLongf got = size;
    int z =
        uncompress((unsigned char *)data, &got, (const unsigned char *)stored.data, stored.size);
    return z == Z_OK && got == size ? 0 : ERROR_CORRUPT;
}

int work_get_blob(struct work *work, const struct key *key, char **data_out, size_t *size_out)
{
    *data_out = NULL;
    *size_out = 0;
    struct bytes value;
    int rc = work_get(work, key, &value);
    if (rc != 0) {
        return rc;
    }
    struct record_reader r;
    record_open(&r, value);
    enum blob_encoding encoding = record_get_u8(&r);
    uint64_t size = record_get_u64(&r);
    struct bytes stored = record_get_bytes(&r);
    if (r.is_bad || r.version != BLOB_VERSION || encoding > BLOB_ZLIB || size > RECORD_MAX_BYTES) {
        return ERROR_CORRUPT;
    }
    char *data = xmalloc(size + 1);
    rc = unpack(encoding, stored, data, size);
    if (rc != 0) {
        free(data);
        return rc;
    }
    data[size] = '\0';
    *data_out = data;
    *size_out = size;
    return 0;
}

/* ---- Numbers ----------------------------------------------------------------------------------
 */

static const char *sequence_name(enum work_sequence which)
{
    static const char *const names[] = {
#define SEQUENCE_NAME(symbol, name) [symbol] = (name),
        WORK_SEQUENCE_LIST(SEQUENCE_NAME)
#undef SEQUENCE_NAME
    };
    return names[which];
}

static int sequence_read(struct work *work, const struct key *key, struct sequence *s)
{
    struct bytes value;
    int rc = work_get(work, key, &value);
    if (rc != 0 && rc != ERROR_NOT_FOUND) {
        return rc;
    }
    s->next = 1;
    if (rc == 0) {
        struct record_reader r;
        record_open(&r, value);
        s->next = record_get_u64(&r);
        if (r.is_bad || r.version != SEQUENCE_VERSION || s->next == 0) {
            return ERROR_CORRUPT;
        }
    }
    s->reserved = s->next;
    s->is_loaded = true;
    return 0;
}

int work_next(struct work *work, enum work_sequence which, uint64_t *number_out)
{
    struct sequence *s = &work->sequences[which];
    if (s->next >= s->reserved) {
        struct key key;
        key_begin(&key, KEY_META);
        key_raw(&key, bytes_str(sequence_name(which)));
        int rc = s->is_loaded ? 0 : sequence_read(work, &key, s);
        if (rc != 0) {
            return rc;
        }
        struct buf value;
        work_value(&value, SEQUENCE_VERSION);
        record_u64(&value, s->next + WORK_SEQUENCE_BLOCK);
        rc = work_put(work, &key, &value);
        if (rc != 0) {
            return rc;
        }
        s->reserved = s->next + WORK_SEQUENCE_BLOCK;
    }
    *number_out = s->next++;
    return 0;
}

/* ---- Broken records ----------------------------------------------------------------------------
 */

/* Nobody may find out by accident that something is missing. */
static void tell_broken(struct work *work, const struct key *key, uint64_t seq)
{
    const char *table = key_table_name(key->data[0]);
    char *subject = xasprintf("%s %llu", table, (unsigned long long)seq);
    char *message =
        key->data[0] == 'J'
            ? xasprintf("Job %llu cannot be read: it does not run, and its key goes on without it",
                        (unsigned long long)key_last_u64(key_bytes(key)))
            : xasprintf("A record of %s cannot be read and counts as absent", table);
    struct exception_cause cause = {
        .cause = EXCEPTION_BROKEN_RECORD,
        .subject = subject,
        .message = message,
        .remedy = "Check the disk. The bytes are kept; see what the order or key lacks, do it by "
                  "hand, then release this.",
    };
    log_msg(LOG_ERROR, work->area, "%s (kept as %llu)", message, (unsigned long long)seq);
    if (exception_open(work, &cause) != 0) {
        log_msg(LOG_ERROR, work->area, "no exception could be opened about it");
    }
    free(subject);
    free(message);
}

static int put_aside(struct work *work, const struct key *key, uint64_t *seq_out)
{
    struct bytes value;
    struct key aside;
    int rc = work_get(work, key, &value);
    if (rc != 0) {
        return rc;
    }
    /* Copied first: the value is borrowed until the next write, and work_next writes. */
    struct buf copy;
    work_value(&copy, 1);
    record_bytes(&copy, key_bytes(key));
    record_bytes(&copy, value);
    rc = work_next(work, SEQUENCE_QUARANTINE, seq_out);
    if (rc != 0) {
        buf_free(&copy);
        return rc;
    }
    key_begin(&aside, KEY_QUARANTINE);
    key_u64(&aside, *seq_out);
    rc = work_put(work, &aside, &copy);
    return rc != 0 ? rc : work_delete(work, key);
}

void work_quarantine(struct work *work, const struct key *key)
{
    uint64_t seq = 0;
    work->stats.quarantined++;
    if (work->options.is_read_only || work->is_quarantining) {
        return;
    }
    work->is_quarantining = true;
    int rc = put_aside(work, key, &seq);
    if (rc == 0) {
        tell_broken(work, key, seq);
    } else {
        log_msg(LOG_ERROR, work->area, "a broken record of %s could not be put aside: %s",
                key_table_name(key->data[0]), error_code_name(rc));
    }
    work->is_quarantining = false;
}
