/* The stored keys and the sorted rows are walked side by side; what differs is collected first,
 * because nothing may be written during a walk. */
#include <string.h>

#include "core/work/script_table.h"
#include "core/work/work_state.h"

#define CHANGES_MAX_BYTES ((size_t)64 << 20)

struct replacing {
    const struct script_replace *replace;
    struct buf changes; /* one after the other: struct change, key, json */
    size_t seen;
    bool is_cut; /* the limit ended the walk */
};

struct change {
    bool is_gone;
    size_t key_size;
    size_t json_size;
};

static int note(struct replacing *r, bool is_gone, struct bytes key, struct bytes json)
{
    struct change change = {is_gone, key.size, json.size};
    int rc = buf_add(&r->changes, &change, sizeof change);
    rc = rc == 0 ? buf_add(&r->changes, key.data, key.size) : rc;
    return rc == 0 ? buf_add(&r->changes, json.data, json.size) : rc;
}

/* Done with this key. */
static int pass(struct replacing *r, struct bytes key)
{
    r->seen++;
    buf_reset(r->replace->after);
    return buf_add(r->replace->after, key.data, key.size);
}

/* The next row is missing in the table. */
static int insert_row(struct replacing *r, struct bytes key, struct bytes json)
{
    int rc = note(r, false, key, json);
    rc = rc == 0 ? pass(r, key) : rc;
    sorter_skip(r->replace->rows);
    return rc;
}

/* A stored key: first all rows before it, then itself. 1 ends the walk. */
static int visit(void *arg, struct bytes key, struct bytes json)
{
    struct replacing *r = arg;
    struct bytes row_key;
    struct bytes row_json;
    int rc = 0;
    while (rc == 0 && r->seen < r->replace->limit) {
        int found = sorter_peek(r->replace->rows, &row_key, &row_json);
        if (found != 0 && found != ERROR_NOT_FOUND) {
            return found;
        }
        int order = found == 0 ? bytes_compare(row_key, key) : 1;
        if (order > 0) {
            rc = note(r, true, key, bytes_of("", 0));
            return rc == 0 ? pass(r, key) : rc;
        }
        if (order == 0) {
            rc = bytes_equal(row_json, json) ? 0 : note(r, false, key, row_json);
            sorter_skip(r->replace->rows);
            return rc == 0 ? pass(r, key) : rc;
        }
        rc = insert_row(r, row_key, row_json);
    }
    r->is_cut = true;
    return rc != 0 ? rc : 1;
}

/* Behind the last stored key: what is left are new rows. */
static int insert_rest(struct replacing *r, bool *is_over_out)
{
    struct bytes key;
    struct bytes json;
    int rc = sorter_peek(r->replace->rows, &key, &json);
    while (rc == 0 && r->seen < r->replace->limit) {
        rc = insert_row(r, key, json);
        rc = rc == 0 ? sorter_peek(r->replace->rows, &key, &json) : rc;
    }
    *is_over_out = rc == ERROR_NOT_FOUND;
    return rc == ERROR_NOT_FOUND ? 0 : rc;
}

static const char *next_change(const char *at, struct change *change, struct bytes *key,
                               struct bytes *json)
{
    memcpy(change, at, sizeof *change);
    *key = bytes_of(at + sizeof *change, change->key_size);
    *json = bytes_of(key->data + key->size, change->json_size);
    return json->data + json->size;
}

static int apply(struct work *work, struct bytes table, const struct buf *changes)
{
    const char *at = buf_text(changes);
    const char *end = at + changes->size;
    int rc = 0;
    while (rc == 0 && at < end) {
        struct change change;
        struct bytes key;
        struct bytes json;
        at = next_change(at, &change, &key, &json);
        rc = change.is_gone ? script_table_delete(work, table, key)
                            : script_table_put(work, table, key, json);
    }
    return rc;
}

static void tell(const struct script_replace *replace, const struct buf *changes)
{
    const char *at = buf_text(changes);
    const char *end = at + changes->size;
    while (at < end) {
        struct change change;
        struct bytes key;
        struct bytes json;
        at = next_change(at, &change, &key, &json);
        replace->fn(replace->arg, key, change.is_gone);
    }
}

int script_table_replace(struct work *work, struct bytes table,
                         const struct script_replace *replace, bool *is_over_out)
{
    struct replacing r = {.replace = replace};
    buf_init(&r.changes, CHANGES_MAX_BYTES);
    struct buf start; /* the walk borrows its bound, and `after` moves on */
    buf_init(&start, SCRIPT_TABLE_KEY_MAX);
    int rc = buf_add(&start, buf_text(replace->after), replace->after->size);
    struct script_range range = {.after = buf_bytes(&start), .limit = SIZE_MAX};
    rc = rc == 0 ? script_table_range(work, table, &range, visit, &r) : rc;
    *is_over_out = false;
    if (rc >= 0 && !r.is_cut) {
        rc = insert_rest(&r, is_over_out);
    }
    if (rc >= 0 && r.changes.size > 0) {
        rc = work_nested_begin(work);
        rc = rc == 0 ? work_unit_end(work, apply(work, table, &r.changes)) : rc;
    }
    if (rc >= 0) {
        rc = 0;
        tell(replace, &r.changes);
    }
    buf_free(&r.changes);
    buf_free(&start);
    return rc;
}
