/*
 * hash(n) = SHA-256(hash(n - 1), body(n)); hash(0) is 32 zero bytes. The newest (seq, hash) is also
 * kept apart, so that records cut off at the end are missed too.
 */
#include "core/work/audit_chain.h"

#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/xalloc.h"
#include "core/work/work_state.h"

#define AUDIT_VERSION    1
#define AUDIT_RECORD_MAX (1u << 20)

struct audit_head {
    uint64_t seq; /* of the newest record; 0 = none */
    uint8_t hash[AUDIT_HASH_BYTES];
};

static void head_key(struct key *key)
{
    key_begin(key, KEY_META);
    key_raw(key, bytes_str("audit.head"));
}

static void entry_key(struct key *key, uint64_t seq)
{
    key_begin(key, KEY_AUDIT);
    key_u64(key, seq);
}

static int read_newest(void *arg, struct bytes key, struct bytes value)
{
    struct audit_head *head = arg;
    struct record_reader r;
    record_open(&r, value);
    (void)record_get_bytes(&r);
    struct bytes hash = record_get_bytes(&r);
    head->seq = key_last_u64(key); /* whatever it says: no number is given twice */
    if (!r.is_bad && hash.size == AUDIT_HASH_BYTES) {
        memcpy(head->hash, hash.data, hash.size);
    }
    return 1;
}

/* The head is broken: the chain goes on from its newest record. Whether records were cut off at the
 * end cannot be told any more, and the exception about the head says so. */
static int rebuild_head(struct work *work, const struct key *broken, struct audit_head *head)
{
    struct key prefix;
    work_quarantine(work, broken);
    memset(head, 0, sizeof *head);
    key_begin(&prefix, KEY_AUDIT);
    int rc = work_range(work, &prefix, true, read_newest, head);
    return rc < 0 ? rc : 0;
}

static int load_head(struct work *work, struct audit_head *head)
{
    struct key key;
    struct bytes value;
    memset(head, 0, sizeof *head);
    head_key(&key);
    int rc = work_get(work, &key, &value);
    if (rc != 0) {
        return rc == ERROR_NOT_FOUND ? 0 : rc;
    }
    struct record_reader r;
    record_open(&r, value);
    head->seq = record_get_u64(&r);
    struct bytes hash = record_get_bytes(&r);
    if (r.is_bad || r.version != AUDIT_VERSION || hash.size != AUDIT_HASH_BYTES) {
        return work->options.is_read_only ? ERROR_CORRUPT : rebuild_head(work, &key, head);
    }
    memcpy(head->hash, hash.data, hash.size);
    return 0;
}

static int store_head(struct work *work, const struct audit_head *head)
{
    struct key key;
    struct buf value;
    head_key(&key);
    work_value(&value, AUDIT_VERSION);
    record_u64(&value, head->seq);
    record_bytes(&value, bytes_of(head->hash, sizeof head->hash));
    return work_put(work, &key, &value);
}

/* The hash after body, in place of the one before it. */
static int extend(uint8_t hash[AUDIT_HASH_BYTES], struct bytes body)
{
    struct buf both;
    buf_init(&both, AUDIT_RECORD_MAX + AUDIT_HASH_BYTES);
    int rc = buf_add(&both, hash, AUDIT_HASH_BYTES);
    rc = rc != 0 ? rc : buf_add(&both, body.data, body.size);
    if (rc == 0) {
        SHA256((const unsigned char *)both.data, both.size, hash);
    }
    buf_free(&both);
    return rc;
}

static void write_body(struct buf *body, const struct audit_entry *entry)
{
    buf_init(body, AUDIT_RECORD_MAX);
    record_begin(body, AUDIT_VERSION);
    record_u64(body, entry->seq);
    record_i64(body, entry->at_ms);
    record_str(body, entry->who);
    record_str(body, entry->action);
    record_str(body, entry->subject);
    record_str(body, entry->detail);
}

static int append(struct work *work, const struct audit_entry *given)
{
    struct audit_head head;
    int rc = load_head(work, &head);
    if (rc != 0) {
        return rc;
    }
    struct audit_entry entry = *given;
    struct key key;
    struct buf body;
    struct buf value;
    entry.seq = head.seq + 1;
    entry.at_ms = work_now_ms(work);
    write_body(&body, &entry);
    rc = body.has_failed ? ERROR_LIMIT : extend(head.hash, buf_bytes(&body));
    if (rc == 0) {
        head.seq = entry.seq;
        entry_key(&key, entry.seq);
        work_value(&value, AUDIT_VERSION);
        record_bytes(&value, buf_bytes(&body));
        record_bytes(&value, bytes_of(head.hash, sizeof head.hash));
        rc = work_put(work, &key, &value);
    }
    buf_free(&body);
    return rc != 0 ? rc : store_head(work, &head);
}

int audit_append(struct work *work, const struct audit_entry *entry)
{
    int rc = work_nested_begin(work);
    return rc != 0 ? rc : work_unit_end(work, append(work, entry));
}

struct walk {
    audit_fn fn;
    void *arg;
};

static int visit(void *arg, struct bytes key, struct bytes value)
{
    (void)key;
    struct walk *walk = arg;
    struct record_reader outer;
    struct record_reader r;
    record_open(&outer, value);
    struct bytes body = record_get_bytes(&outer);
    struct bytes hash = record_get_bytes(&outer);
    if (outer.is_bad || hash.size != AUDIT_HASH_BYTES) {
        return 0; /* audit_verify names it */
    }
    record_open(&r, body);
    struct audit_entry entry = {0};
    char *texts[4];
    entry.seq = record_get_u64(&r);
    entry.at_ms = record_get_i64(&r);
    for (size_t i = 0; i < 4; i++) {
        texts[i] = record_get_str(&r);
    }
    entry.who = texts[0];
    entry.action = texts[1];
    entry.subject = texts[2];
    entry.detail = texts[3];
    int rc = r.is_bad ? 0 : walk->fn(walk->arg, &entry, (const uint8_t *)hash.data);
    for (size_t i = 0; i < 4; i++) {
        free(texts[i]);
    }
    return rc;
}

int audit_each(struct work *work, uint64_t from_seq, audit_fn fn, void *arg)
{
    struct walk walk = {fn, arg};
    struct key from;
    struct key to;
    entry_key(&from, from_seq);
    key_begin(&to, KEY_AUDIT);
    key_after_prefix(&to);
    return store_range(work->options.store, key_bytes(&from), key_bytes(&to), false, visit, &walk);
}

struct verifying {
    struct audit_head at;
    bool is_broken;
};

static int verify_one(void *arg, struct bytes key, struct bytes value)
{
    struct verifying *v = arg;
    struct record_reader outer;
    struct record_reader r;
    record_open(&outer, value);
    struct bytes body = record_get_bytes(&outer);
    struct bytes hash = record_get_bytes(&outer);
    record_open(&r, body);
    uint64_t seq = record_get_u64(&r);
    v->at.seq++;
    v->is_broken = outer.is_bad || outer.rest.size != 0 || r.is_bad || seq != v->at.seq ||
                   key_last_u64(key) != v->at.seq || hash.size != AUDIT_HASH_BYTES ||
                   extend(v->at.hash, body) != 0 ||
                   memcmp(v->at.hash, hash.data, AUDIT_HASH_BYTES) != 0;
    return v->is_broken ? 1 : 0;
}

int audit_verify(struct work *work, uint64_t *count_out, struct error *err)
{
    struct verifying v;
    struct audit_head head;
    struct key prefix;
    memset(&v, 0, sizeof v);
    key_begin(&prefix, KEY_AUDIT);
    int rc = work_range(work, &prefix, false, verify_one, &v);
    if (rc < 0) {
        return error_set(err, rc, "the audit chain cannot be read: %s", error_code_name(rc));
    }
    if (v.is_broken) {
        return error_set(err, ERROR_CORRUPT, "audit record %llu does not fit the one before it",
                         (unsigned long long)v.at.seq);
    }
    rc = load_head(work, &head);
    if (rc != 0 || head.seq != v.at.seq || memcmp(head.hash, v.at.hash, AUDIT_HASH_BYTES) != 0) {
        return error_set(err, ERROR_CORRUPT,
                         "the audit chain ends at record %llu, %llu were written",
                         (unsigned long long)v.at.seq, (unsigned long long)head.seq);
    }
    *count_out = v.at.seq;
    return 0;
}
