/* Two buffers per socket: the HTTP message that is leaving, and, on an accepted one, the requests
 * that have come and are not answered. */
#define _GNU_SOURCE
#include "tests/support/shim/power_order.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <lmdb.h>
#include <lz4.h>

#include "tests/support/shim/power_disk.h"

#define FDS_MAX      4096
#define STATE_INTENT 1
#define BLOB_LZ4     2
#define KEY_TEXT_MAX 120

struct view {
    const char *data;
    size_t size;
    bool is_bad;
};

struct message {
    const char *method; /* NULL: an answer */
    size_t method_size;
    const char *target;
    size_t target_size;
    unsigned status;
    struct view body;            /* as much of it as is there */
    size_t size;                 /* of the whole message */
    const struct message *asked; /* an answer's request; NULL: none was seen */
};

struct stream {
    char *data;
    size_t size;
};

static struct stream streams[FDS_MAX];
static struct stream requests[FDS_MAX];
static bool is_accepted[FDS_MAX];
static struct order_counts counts;

/* ---- Records, as docs/store-layout.md has them
 * ----------------------------------------------------- */

static uint64_t take_int(struct view *v, unsigned bytes)
{
    uint64_t value = 0;
    v->is_bad = v->is_bad || v->size < bytes;
    for (unsigned i = 0; i < bytes && !v->is_bad; i++) {
        value = value << 8 | (unsigned char)v->data[i];
    }
    v->data += v->is_bad ? 0 : bytes;
    v->size -= v->is_bad ? 0 : bytes;
    return value;
}

static struct view take_bytes(struct view *v)
{
    size_t size = take_int(v, 4);
    v->is_bad = v->is_bad || v->size < size;
    struct view got = {v->data, v->is_bad ? 0 : size, v->is_bad};
    v->data += got.size;
    v->size -= got.size;
    return got;
}

static bool find(MDB_txn *txn, MDB_dbi dbi, const void *key, size_t size, struct view *value)
{
    MDB_val k = {size, (void *)(uintptr_t)key};
    MDB_val got = {0, NULL};
    if (mdb_get(txn, dbi, &k, &got) != 0) {
        return false;
    }
    *value = (struct view){got.mv_data, got.mv_size, false};
    return take_int(value, 1) == 1; /* the version of every format */
}

static bool find_id(MDB_txn *txn, MDB_dbi dbi, char table, uint64_t id, struct view *value)
{
    unsigned char key[9] = {(unsigned char)table};
    for (unsigned i = 0; i < 8; i++) {
        key[1 + i] = (unsigned char)(id >> (56 - 8 * i));
    }
    return find(txn, dbi, key, sizeof(key), value);
}

static bool has_start(struct view whole, struct view start)
{
    return whole.size >= start.size && memcmp(whole.data, start.data, start.size) == 0;
}

/* ---- What must be there
 * ------------------------------------------------------------------------------ */

static bool is_event_known(MDB_txn *txn, MDB_dbi dbi, uint64_t seq, struct view *id_out)
{
    struct view event;
    struct view other;
    if (!find_id(txn, dbi, 'E', seq, &event)) {
        return false;
    }
    take_int(&event, 1);
    take_int(&event, 8);
    take_int(&event, 8);
    uint64_t job = take_int(&event, 8);
    struct view texts[2];
    char key[3 + 2 * KEY_TEXT_MAX] = "U";
    size_t size = 1;
    for (size_t i = 0; i < 2; i++) {
        texts[i] = take_bytes(&event);
        if (event.is_bad || texts[i].size > KEY_TEXT_MAX) {
            return false;
        }
        key[size++] = (char)texts[i].size;
        memcpy(key + size, texts[i].data, texts[i].size);
        size += texts[i].size;
    }
    *id_out = texts[1];
    return find(txn, dbi, key, size, &other) && take_int(&other, 8) == seq &&
           (job == 0 || find_id(txn, dbi, 'J', job, &other));
}

/* Each part of the event's id ("fo:300001:fellside", a webhook's key) stands in the request:
 * answers alike to different events are told apart by it. */
static bool is_named(struct view id, const struct message *asked)
{
    const char *end = id.data + id.size;
    for (const char *at = id.data; at < end;) {
        const char *colon = memchr(at, ':', (size_t)(end - at));
        size_t size = (size_t)((colon == NULL ? end : colon) - at);
        if (size > 0 && memmem(asked->body.data, asked->body.size, at, size) == NULL) {
            return false;
        }
        at += size + 1;
    }
    return id.size > 0;
}

static bool is_answer_kept(MDB_txn *txn, MDB_dbi dbi, const struct message *m, MDB_val key,
                           struct view value)
{
    struct view event_id = {NULL, 0, false};
    struct view id = {(const char *)key.mv_data + 1, key.mv_size - 1, false};
    uint64_t seq = take_int(&id, 8);
    uint64_t status = take_int(&value, 4);
    take_bytes(&value);
    struct view body = take_bytes(&value);
    return !value.is_bad && !id.is_bad && status == m->status && has_start(body, m->body) &&
           is_event_known(txn, dbi, seq, &event_id) && is_named(event_id, m->asked);
}

/* The bytes of a blob, malloced. */
static char *unpack(struct view blob, size_t *size_out)
{
    bool is_packed = take_int(&blob, 1) == BLOB_LZ4;
    size_t size = take_int(&blob, 8);
    struct view stored = take_bytes(&blob);
    char *data = blob.is_bad ? NULL : malloc(size + 1);
    if (data != NULL && !is_packed && stored.size == size) {
        memcpy(data, stored.data, size);
    } else if (data != NULL &&
               (!is_packed ||
                LZ4_decompress_safe(stored.data, data, (int)stored.size, (int)size) != (int)size)) {
        free(data);
        return NULL;
    }
    *size_out = size;
    return data;
}

static bool is_same_request(struct view request, const struct message *m)
{
    take_int(&request, 1);
    struct view method = take_bytes(&request);
    struct view url = take_bytes(&request);
    take_int(&request, 8);
    for (uint64_t left = take_int(&request, 4); left > 0 && !request.is_bad; left--) {
        take_bytes(&request);
        take_bytes(&request);
    }
    take_int(&request, 1);
    struct view body = take_bytes(&request);
    /* The stored URL lies below the connection's base URL. */
    return !request.is_bad && method.size == m->method_size &&
           memcmp(method.data, m->method, method.size) == 0 && url.size <= m->target_size &&
           memcmp(m->target + m->target_size - url.size, url.data, url.size) == 0 &&
           has_start(body, m->body);
}

static bool is_intent_kept(MDB_txn *txn, MDB_dbi dbi, const struct message *m, struct view value)
{
    uint64_t id = take_int(&value, 8);
    struct view blob;
    size_t size = 0;
    if (take_int(&value, 1) != STATE_INTENT || value.is_bad || !find_id(txn, dbi, 'q', id, &blob)) {
        return false;
    }
    char *data = unpack(blob, &size);
    bool is_same = data != NULL && is_same_request((struct view){data, size, false}, m);
    free(data);
    return is_same;
}

/* ---- Stock figures: no effects, but written down before they leave
 * ---------------------------------- */

static const char FIGURE_START[] = "/variants/key%3D";
static const char FIGURE_END[] = "/stocks";

/* The SKU of "POST .../variants/key%3D<sku>/stocks", percent-decoded into out; 0: another request.
 */
static size_t figure_sku(const struct message *m, char *out, size_t max)
{
    size_t end_size = sizeof(FIGURE_END) - 1;
    const char *at = m->method == NULL ? NULL
                                       : memmem(m->target, m->target_size, FIGURE_START,
                                                sizeof(FIGURE_START) - 1);
    const char *end = m->target + m->target_size - end_size;
    if (at == NULL || m->target_size < end_size || memcmp(end, FIGURE_END, end_size) != 0) {
        return 0;
    }
    size_t size = 0;
    for (at += sizeof(FIGURE_START) - 1; at < end && size < max; at++) {
        if (*at == '%' && end - at > 2) {
            char hex[3] = {at[1], at[2], '\0'};
            out[size++] = (char)strtoul(hex, NULL, 16);
            at += 2;
        } else {
            out[size++] = *at;
        }
    }
    return size;
}

/* A row of a script's table; empty when there is none. */
static struct view find_row(MDB_txn *txn, MDB_dbi dbi, const char *table, struct view row)
{
    char key[512] = "K";
    size_t name_size = strlen(table);
    struct view value;
    if (row.size > KEY_TEXT_MAX) {
        return (struct view){NULL, 0, true};
    }
    key[1] = (char)name_size;
    memcpy(key + 2, table, name_size);
    memcpy(key + 2 + name_size, row.data, row.size);
    if (!find(txn, dbi, key, 2 + name_size + row.size, &value)) {
        return (struct view){NULL, 0, true};
    }
    return take_bytes(&value);
}

static bool has(struct view json, const char *part, size_t size)
{
    return !json.is_bad && memmem(json.data, json.size, part, size) != NULL;
}

/* Does the row have the quantity that stands next in the text? */
static bool has_quantity(struct view json, const char *text, const char *end)
{
    const char *figure = memmem(text, (size_t)(end - text), "\"quantity\":", 11);
    size_t left = figure == NULL ? 0 : (size_t)(end - figure);
    size_t size = left == 0 ? 0 : 11 + strspn(figure + 11, "0123456789");
    return size > 11 && size < left && has(json, figure, size);
}

/* The script's table says this quantity is being sent: {"quantity":7,...,"state":"sending"}. */
static bool is_figure_kept(MDB_txn *txn, MDB_dbi dbi, const struct message *m, struct view sku)
{
    struct view json = find_row(txn, dbi, "stock_sent", sku);
    return has_quantity(json, m->body.data, m->body.data + m->body.size) &&
           has(json, "\"state\":\"sending\"", 17);
}

/* Of a chunk of a bulk request, as far as this write has it: each operation is in the script's
 * table, under its key, with its quantity. {"body":{..."quantity":7...},"key":"00000001",...} */
static bool is_chunk_kept(MDB_txn *txn, MDB_dbi dbi, const struct message *m)
{
    static const char KEY[] = "\"key\":\"";
    const char *end = m->body.data + m->body.size;
    const char *from = m->body.data;
    for (;;) {
        const char *at = memmem(from, (size_t)(end - from), KEY, sizeof(KEY) - 1);
        const char *text = at == NULL ? NULL : at + sizeof(KEY) - 1;
        const char *quote = text == NULL ? NULL : memchr(text, '"', (size_t)(end - text));
        if (quote == NULL) {
            return from > m->body.data;
        }
        struct view key = {text, (size_t)(quote - text), false};
        if (!has_quantity(find_row(txn, dbi, "stock_bulk", key), from, at)) {
            return false;
        }
        from = quote;
    }
}

/* "PUT .../bulk-requests/55071/cancel": its figures go singly then, so it must be ours. */
static bool is_bulk_kept(MDB_txn *txn, MDB_dbi dbi, struct view number)
{
    char part[64];
    int size =
        snprintf(part, sizeof(part), "\"key\":%.*s,", (int)number.size, (const char *)number.data);
    return has(find_row(txn, dbi, "stock_state", (struct view){"bulk", 4, false}), part,
               (size_t)size);
}

enum stock_message { STOCK_NONE, STOCK_FIGURE, STOCK_CHUNK, STOCK_CANCEL };

static enum stock_message stock_message(const struct message *m, char *sku, size_t max,
                                        struct view *part)
{
    static const char CHUNKS[] = "/variants/stocks/bulk-requests";
    static const char BULK[] = "/bulk-requests/";
    static const char CANCEL[] = "/cancel";
    if (m->method == NULL) {
        return STOCK_NONE;
    }
    size_t sku_size = figure_sku(m, sku, max);
    if (sku_size > 0) {
        *part = (struct view){sku, sku_size, false};
        return STOCK_FIGURE;
    } else if (memmem(m->target, m->target_size, CHUNKS, sizeof(CHUNKS) - 1) != NULL) {
        return STOCK_CHUNK;
    }
    const char *at = memmem(m->target, m->target_size, BULK, sizeof(BULK) - 1);
    const char *number = at == NULL ? NULL : at + sizeof(BULK) - 1;
    size_t left = at == NULL ? 0 : (size_t)(m->target + m->target_size - number);
    size_t digits = at == NULL ? 0 : strspn(number, "0123456789");
    *part = (struct view){number, digits, false};
    return digits > 0 && digits + sizeof(CANCEL) - 1 == left &&
                   memcmp(number + digits, CANCEL, left - digits) == 0
               ? STOCK_CANCEL
               : STOCK_NONE;
}

/* ---- Cancellations: what was decided is answered again without an event
 * -------------------------------- */

/* The script's table has the decision under the reference that the answer names. */
static bool is_decision_kept(MDB_txn *txn, MDB_dbi dbi, const struct message *m)
{
    static const char REFERENCE[] = "\"orderReferenceKey\":\"";
    const char *at = memmem(m->body.data, m->body.size, REFERENCE, sizeof(REFERENCE) - 1);
    const char *quote = at == NULL ? NULL : at + sizeof(REFERENCE) - 1;
    const char *end =
        quote == NULL ? NULL : memchr(quote, '"', (size_t)(m->body.data + m->body.size - quote));
    if (end == NULL || memmem(m->body.data, m->body.size, "\"cancellationResult\":", 21) == NULL) {
        return false;
    }
    struct view json =
        find_row(txn, dbi, "cancellations", (struct view){quote, (size_t)(end - quote), false});
    const char *result = memmem(m->body.data, m->body.size, "\"successful\"", 12) != NULL
                             ? "\"result\":\"successful\""
                             : "\"result\":\"refused\"";
    return has(json, result, strlen(result));
}

/* Looks through one table (answers or effects) of a durable image. */
static bool search(MDB_txn *txn, MDB_dbi dbi, const struct message *m)
{
    if (m->method == NULL && m->asked == NULL) {
        return false;
    }
    char sku[256];
    struct view part = {NULL, 0, false};
    switch (stock_message(m, sku, sizeof(sku), &part)) {
    case STOCK_FIGURE:
        return is_figure_kept(txn, dbi, m, part);
    case STOCK_CHUNK:
        return is_chunk_kept(txn, dbi, m);
    case STOCK_CANCEL:
        return is_bulk_kept(txn, dbi, part);
    case STOCK_NONE:
        break;
    }
    char table = m->method == NULL ? 'A' : 'F';
    MDB_cursor *cursor = NULL;
    MDB_val key = {1, &table};
    MDB_val got = {0, NULL};
    bool is_found = false;
    if (mdb_cursor_open(txn, dbi, &cursor) != 0) {
        return false;
    }
    int rc = mdb_cursor_get(cursor, &key, &got, MDB_SET_RANGE);
    while (rc == 0 && !is_found && *(const char *)key.mv_data == table) {
        struct view value = {got.mv_data, got.mv_size, false};
        is_found =
            take_int(&value, 1) == 1 && (table == 'A' ? is_answer_kept(txn, dbi, m, key, value)
                                                      : is_intent_kept(txn, dbi, m, value));
        rc = is_found ? 0 : mdb_cursor_get(cursor, &key, &got, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return is_found || (table == 'A' && is_decision_kept(txn, dbi, m));
}

static bool look_into(void *arg, int image_fd)
{
    char path[64];
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    MDB_dbi dbi = 0;
    bool is_found = false;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", image_fd);
    if (mdb_env_create(&env) != 0) {
        return false;
    }
    if (mdb_env_open(env, path, MDB_RDONLY | MDB_NOLOCK | MDB_NOSUBDIR | MDB_NOTLS, 0) == 0 &&
        mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) == 0) {
        is_found = mdb_dbi_open(txn, NULL, 0, &dbi) == 0 && search(txn, dbi, arg);
        mdb_txn_abort(txn);
    }
    mdb_env_close(env);
    return is_found;
}

/* ---- Messages
 * ---------------------------------------------------------------------------------------- */

static const char *header(const char *head, const char *end, const char *name)
{
    size_t size = strlen(name);
    for (const char *at = head; at != NULL && at + size < end;
         at = memmem(at, (size_t)(end - at), "\r\n", 2)) {
        at += *at == '\r' ? 2 : 0;
        if (at + size < end && strncasecmp(at, name, size) == 0) {
            return at + size + strspn(at + size, " ");
        }
    }
    return NULL;
}

/* False: no message of HTTP begins here, or its head is not all there. */
static bool parse(const char *data, size_t size, struct message *m)
{
    const char *end = memmem(data, size, "\r\n\r\n", 4);
    const char *space = memchr(data, ' ', size);
    if (end == NULL || space == NULL || space > end) {
        return false;
    }
    memset(m, 0, sizeof(*m));
    if (strncmp(data, "HTTP/", 5) == 0) {
        m->status = (unsigned)strtoul(space, NULL, 10);
    } else {
        m->method = data;
        m->method_size = (size_t)(space - data);
        m->target = space + 1;
        m->target_size = strcspn(space + 1, " \r");
    }
    const char *length = header(data, end, "Content-Length:");
    size_t head_size = (size_t)(end - data) + 4;
    size_t body_size = length == NULL ? 0 : strtoul(length, NULL, 10);
    m->size = head_size + body_size;
    size_t there = size - head_size;
    m->body = (struct view){end + 4, there < body_size ? there : body_size, false};
    return true;
}

static bool only_asks(const struct message *m)
{
    return strncmp(m->method, "GET ", 4) == 0 || strncmp(m->method, "HEAD ", 5) == 0;
}

/* Does it change anything outside, or promise that something is kept? */
static bool needs_ground(const char *data, const struct message *m)
{
    static const char NOTHING_TAKEN[] = "{\"accepted\":false}";
    if (m->method == NULL) {
        bool is_promise = m->status >= 200 && m->status < 300;
        bool is_empty = m->body.size == sizeof(NOTHING_TAKEN) - 1 &&
                        memcmp(m->body.data, NOTHING_TAKEN, m->body.size) == 0;
        return is_promise && !is_empty && !(m->asked != NULL && only_asks(m->asked));
    }
    if (only_asks(m)) {
        return false;
    }
    const char *action = header(data, m->body.data, "SOAPAction:");
    if (action == NULL) {
        return true;
    }
    static const char *const CHANGING[] = {"#Import", "/Import", "CancelOrder", "AmendOrder",
                                           "ProcessReturn"};
    size_t size = strcspn(action, "\r");
    for (size_t i = 0; i < sizeof(CHANGING) / sizeof(CHANGING[0]); i++) {
        if (memmem(action, size, CHANGING[i], strlen(CHANGING[i])) != NULL) {
            return true;
        }
    }
    return false;
}

static const char *check_message(const char *data, const struct message *m)
{
    static char why[300];
    if (!needs_ground(data, m)) {
        return NULL;
    }
    *(m->method == NULL ? &counts.answers : &counts.effects) += 1;
    counts.oks += m->status == 200 ? 1 : 0;
    if (disk_each_image("/data.mdb", look_into, (void *)(uintptr_t)m)) {
        return NULL;
    }
    size_t line = strcspn(data, "\r");
    snprintf(why, sizeof(why), "%.*s | %.*s", (int)(line < 100 ? line : 100), data,
             (int)(m->body.size < 150 ? m->body.size : 150), m->body.data);
    for (char *c = why; *c != '\0'; c++) {
        *c = *c == '\n' || *c == '\r' ? ' ' : *c;
    }
    return why;
}

static void append(struct stream *s, const char *data, size_t size)
{
    s->data = realloc(s->data, s->size + size + 1);
    memcpy(s->data + s->size, data, size);
    s->size += size;
    s->data[s->size] = '\0';
}

/* Takes the request in front off what came, from `at` on; false: there is none. */
static bool next_request(int fd, size_t *at, struct message *m)
{
    const struct stream *s = fd < FDS_MAX ? &requests[fd] : NULL;
    if (s == NULL || s->size <= *at || !parse(s->data + *at, s->size - *at, m)) {
        return false;
    }
    *at += m->size < s->size - *at ? m->size : s->size - *at;
    return true;
}

static void drop(struct stream *s, size_t size)
{
    s->size -= size;
    memmove(s->data, s->data + size, s->size + 1);
}

const char *order_check(int fd, const char *data, size_t size)
{
    struct stream s = {NULL, 0};
    struct message m;
    struct message asked;
    const char *why = NULL;
    size_t at = 0;
    size_t asked_at = 0;
    append(&s, fd < FDS_MAX ? streams[fd].data : "", fd < FDS_MAX ? streams[fd].size : 0);
    append(&s, data, size);
    while (why == NULL && at < s.size && parse(s.data + at, s.size - at, &m)) {
        bool is_answer = m.method == NULL && m.status >= 200;
        m.asked = is_answer && next_request(fd, &asked_at, &asked) ? &asked : NULL;
        why = check_message(s.data + at, &m);
        at += m.size;
    }
    free(s.data);
    return why;
}

void order_sent(int fd, const char *data, size_t size)
{
    struct message m;
    bool is_http = size > 0 && data[0] >= 'A' && data[0] <= 'Z';
    if (fd >= FDS_MAX || (streams[fd].size == 0 && !is_http)) {
        return;
    }
    struct stream *s = &streams[fd];
    append(s, data, size);
    while (s->size > 0 && parse(s->data, s->size, &m) && m.size <= s->size) {
        bool is_answer = m.method == NULL && m.status >= 200;
        drop(s, m.size);
        size_t answered = 0;
        if (is_answer && next_request(fd, &answered, &m)) {
            drop(&requests[fd], answered);
        }
    }
}

void order_accepted(int fd)
{
    if (fd >= 0 && fd < FDS_MAX) {
        order_closed(fd);
        is_accepted[fd] = true;
    }
}

void order_received(int fd, const char *data, size_t size)
{
    if (fd >= 0 && fd < FDS_MAX && is_accepted[fd]) {
        append(&requests[fd], data, size);
    }
}

void order_closed(int fd)
{
    if (fd >= 0 && fd < FDS_MAX) {
        free(streams[fd].data);
        free(requests[fd].data);
        streams[fd] = (struct stream){NULL, 0};
        requests[fd] = (struct stream){NULL, 0};
        is_accepted[fd] = false;
    }
}

struct order_counts order_counts(void)
{
    return counts;
}
