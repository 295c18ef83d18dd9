/*
 * One walk over all keys; each record is decoded and held against the records it must agree with.
 * Looking a second record up inside the walk is allowed (store.h: only writes are not).
 */
#include "core/work/integrity.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/digest.h"
#include "core/work/audit_chain.h"
#include "core/work/integrity_private.h"
#include "core/work/schedule.h"

#define RECORD_TEXT   160
#define PROBLEM_TEXT  240
#define ENCODING_MAX  2 /* of a blob: BLOB_LZ4 */
#define SEQUENCE_META "sequence."

/* ---- Telling -----------------------------------------------------------------------------------
 */

/* The table byte, then the key as text, what is no text in hex. */
static void describe(struct bytes key, char *out, size_t size)
{
    size_t at = 0;
    for (size_t i = 0; i < key.size && at + sizeof "\\00" < size; i++) {
        unsigned char c = (unsigned char)key.data[i];
        if (c >= ' ' && c < 0x7f && c != '\\') {
            out[at++] = (char)c;
        } else {
            at += (size_t)snprintf(out + at, size - at, "\\%02x", c);
        }
    }
    out[at] = '\0';
}

void checker_tell(struct checker *c, const char *fmt, ...)
{
    char record[RECORD_TEXT];
    char problem[PROBLEM_TEXT];
    va_list args;
    va_start(args, fmt);
    vsnprintf(problem, sizeof problem, fmt, args);
    va_end(args);
    describe(c->key, record, sizeof record);
    c->report->problems++;
    if (c->fn != NULL) {
        c->fn(c->arg, record, problem);
    }
}

/* ---- Keys --------------------------------------------------------------------------------------
 */

struct parts checker_parts(const struct checker *c)
{
    return (struct parts){bytes_of(c->key.data + 1, c->key.size - 1), false};
}

struct bytes parts_take(struct parts *p, size_t size)
{
    if (p->is_bad || p->rest.size < size) {
        p->is_bad = true;
        return bytes_of("", 0);
    }
    struct bytes part = bytes_of(p->rest.data, size);
    p->rest = bytes_of(p->rest.data + size, p->rest.size - size);
    return part;
}

uint64_t parts_u64(struct parts *p)
{
    struct bytes part = parts_take(p, sizeof(uint64_t));
    return p->is_bad ? 0 : key_u64_at(part, 0);
}

struct bytes parts_text(struct parts *p)
{
    uint8_t size = p->rest.size == 0 ? 0 : (uint8_t)p->rest.data[0];
    if (size > KEY_TEXT_MAX && size != KEY_HASH_MARK) {
        p->is_bad = true;
    }
    return parts_take(p, 1u + (size == KEY_HASH_MARK ? DIGEST_SHA256_SIZE : size));
}

bool checker_is_whole(struct checker *c, const struct parts *p)
{
    if (p->is_bad || p->rest.size != 0) {
        checker_tell(c, "a key that nothing writes");
        return false;
    }
    return true;
}

bool checker_get(struct checker *c, const struct key *key, struct bytes *value_out)
{
    int rc = store_get(c->store, key_bytes(key), value_out);
    if (rc != 0 && rc != ERROR_NOT_FOUND) {
        checker_tell(c, "a record it needs cannot be read: %s", error_code_name(rc));
    }
    return rc == 0;
}

void checker_need(struct checker *c, const struct key *key, const char *what)
{
    struct bytes ignored;
    if (!checker_get(c, key, &ignored)) {
        checker_tell(c, "has no %s", what);
    }
}

static int first_id(void *arg, struct bytes key, struct bytes value)
{
    (void)value;
    *(uint64_t *)arg = key_last_u64(key);
    return 1;
}

bool checker_any(struct checker *c, const struct key *prefix, uint64_t *last_out)
{
    return store_range_prefix(c->store, key_bytes(prefix), false, first_id, last_out) == 1;
}

void checker_note(struct checker *c, enum work_sequence which, uint64_t number)
{
    c->largest[which] = number > c->largest[which] ? number : c->largest[which];
}

struct key number_key(enum key_table table, uint64_t number)
{
    struct key key;
    key_begin(&key, table);
    key_u64(&key, number);
    return key;
}

bool checker_job(struct checker *c, uint64_t id, struct job_info *info)
{
    struct key key = number_key(KEY_JOB, id);
    struct bytes value;
    return checker_get(c, &key, &value) && job_decode(value, id, info) == 0;
}

/* ---- Small records -----------------------------------------------------------------------------
 */

/* The bytes of an event or an effect, named by its number. */
static void check_bytes(struct checker *c, enum key_table owner, const char *what)
{
    struct parts p = checker_parts(c);
    struct key key = number_key(owner, parts_u64(&p));
    if (checker_is_whole(c, &p)) {
        checker_need(c, &key, what);
    }
}

static void check_answer(struct checker *c)
{
    check_bytes(c, KEY_EVENT, "event");
}

static void check_blob(struct checker *c)
{
    bool is_event = (uint8_t)c->key.data[0] == KEY_PAYLOAD;
    check_bytes(c, is_event ? KEY_EVENT : KEY_EFFECT_ID, is_event ? "event" : "effect");
    struct record_reader r;
    record_open(&r, c->value);
    uint8_t encoding = record_get_u8(&r);
    uint64_t size = record_get_u64(&r);
    struct bytes stored = record_get_bytes(&r);
    if (r.is_bad || encoding > ENCODING_MAX || encoding == 1 || size > RECORD_MAX_BYTES ||
        (encoding == 0 && stored.size != size)) {
        checker_tell(c, "cannot be read");
    }
}

static void check_numbered(struct checker *c)
{
    enum work_sequence which = SEQUENCE_TIMELINE;
    switch ((uint8_t)c->key.data[0]) {
    case KEY_CLOSED:
        which = SEQUENCE_CLOSED;
        break;
    case KEY_QUARANTINE:
        which = SEQUENCE_QUARANTINE;
        c->report->broken++;
        break;
    default:
        break;
    }
    struct parts p = checker_parts(c);
    if (which == SEQUENCE_TIMELINE) {
        (void)parts_text(&p);
    }
    uint64_t number = parts_u64(&p);
    if (checker_is_whole(c, &p)) {
        checker_note(c, which, number);
    }
}

static void check_meta(struct checker *c)
{
    static const char *const NAMES[] = {
#define SEQUENCE_NAME(symbol, name) [symbol] = (name),
        WORK_SEQUENCE_LIST(SEQUENCE_NAME)
#undef SEQUENCE_NAME
    };
    struct bytes name = bytes_of(c->key.data + 1, c->key.size - 1);
    for (size_t i = 0; i < WORK_SEQUENCE_COUNT; i++) {
        struct record_reader r;
        if (bytes_equal(name, bytes_str(NAMES[i]))) {
            record_open(&r, c->value);
            c->next[i] = record_get_u64(&r);
            if (r.is_bad) {
                checker_tell(c, "cannot be read");
            }
        }
    }
}

/* Nothing that hangs on others: its version is looked at, as of every value. */
static void check_alone(struct checker *c)
{
    (void)c;
}

/* ---- The walk ----------------------------------------------------------------------------------
 */

typedef void (*check_fn)(struct checker *c);

static check_fn check_of(uint8_t table)
{
    static const struct {
        enum key_table table;
        check_fn check;
    } CHECKS[] = {
        {KEY_META, check_meta},
        {KEY_EVENT, check_event},
        {KEY_PAYLOAD, check_blob},
        {KEY_ANSWER, check_answer},
        {KEY_EVENT_ID, check_event_id},
        {KEY_JOB, check_job},
        {KEY_ORDER, check_order},
        {KEY_INBOX, check_job_of_key},
        {KEY_KEY_JOBS, check_job_of_key},
        {KEY_MAILBOX, check_mail},
        {KEY_ALIAS, check_alias},
        {KEY_ALIASES_OF, check_alias_of},
        {KEY_STEP, check_memo},
        {KEY_WAIT, check_memo},
        {KEY_EFFECT, check_effect},
        {KEY_EFFECT_ID, check_effect_id},
        {KEY_EFFECT_OPEN, check_effect_open},
        {KEY_EFFECT_REQUEST, check_blob},
        {KEY_EFFECT_ANSWER, check_blob},
        {KEY_EFFECT_RESULT, check_blob},
        {KEY_EXCEPTION, check_exception},
        {KEY_WAITER, check_waiter},
        {KEY_WAITER_OF, check_waiter_of},
        {KEY_CLOSED, check_numbered},
        {KEY_LINK, check_link},
        {KEY_LINKED, check_linked},
        {KEY_TIMELINE, check_numbered},
        {KEY_QUARANTINE, check_numbered},
    };
    for (size_t i = 0; i < sizeof CHECKS / sizeof CHECKS[0]; i++) {
        if ((uint8_t)CHECKS[i].table == table) {
            return CHECKS[i].check;
        }
    }
    return key_table_name(table) == NULL ? NULL : check_alone;
}

static uint8_t newest_version(uint8_t table)
{
    return table == KEY_SCHEDULE    ? SCHEDULE_VERSION
           : table == KEY_EXCEPTION ? EXCEPTION_VERSION
                                    : INTEGRITY_VERSION;
}

static int check_record(void *arg, struct bytes key, struct bytes value)
{
    struct checker *c = arg;
    c->key = key;
    c->value = value;
    c->report->records++;
    check_fn check = check_of((uint8_t)key.data[0]);
    if (check == NULL) {
        checker_tell(c, "a table that nothing writes");
    } else if (value.size == 0 || value.data[0] < 1 ||
               (uint8_t)value.data[0] > newest_version((uint8_t)key.data[0])) {
        checker_tell(c, "a value of no known version");
    } else {
        check(c);
    }
    return 0;
}

static void check_numbers(struct checker *c)
{
    for (size_t i = 0; i < WORK_SEQUENCE_COUNT; i++) {
        if (c->largest[i] >= c->next[i] && c->largest[i] != 0) {
            c->key = bytes_str("N");
            checker_tell(c, "sequence %zu: number %llu is in use, %llu would be given out again", i,
                         (unsigned long long)c->largest[i], (unsigned long long)c->next[i]);
        }
    }
}

static void check_audit(struct checker *c, struct work *work)
{
    struct error err;
    uint64_t count;
    error_clear(&err);
    if (audit_verify(work, &count, &err) != 0) {
        c->key = bytes_str("H");
        checker_tell(c, "%s", err.message);
    }
}

int integrity_check(struct work *work, integrity_fn fn, void *arg,
                    struct integrity_report *report_out)
{
    struct checker c = {.store = work->options.store, .fn = fn, .arg = arg, .report = report_out};
    memset(report_out, 0, sizeof *report_out);
    struct bytes all = bytes_of("", 0);
    int rc = store_range(c.store, all, all, false, check_record, &c);
    if (rc == 0) {
        check_numbers(&c);
        check_audit(&c, work);
    }
    return rc;
}
