/* The tables of neap.store: JSON values by (table, key), in key order. Writes belong to the slice.
 */
#ifndef NEAP_CORE_WORK_SCRIPT_TABLE_H
#define NEAP_CORE_WORK_SCRIPT_TABLE_H

#include "core/base/sorter.h"
#include "core/work/work.h"

#define SCRIPT_TABLE_NAME_MAX 64 /* lower case letters, digits, "_" */
#define SCRIPT_TABLE_KEY_MAX  400

/* ERROR_INVALID: bad table name; ERROR_LIMIT: key too long. */
int script_table_check(struct bytes table, struct bytes key, struct error *err) NEAP_MUST_USE;

/* Borrowed until the next write. ERROR_NOT_FOUND. */
int script_table_get(struct work *work, struct bytes table, struct bytes key,
                     struct bytes *json_out) NEAP_MUST_USE;
int script_table_put(struct work *work, struct bytes table, struct bytes key,
                     struct bytes json) NEAP_MUST_USE;
int script_table_delete(struct work *work, struct bytes table,
                        struct bytes key) NEAP_MUST_USE; /* ERROR_NOT_FOUND */

struct script_pair {
    struct bytes key;
    struct bytes json;
};
/* Sorts pairs in place, then writes them all. */
int script_table_put_many(struct work *work, struct bytes table, struct script_pair *pairs,
                          size_t count) NEAP_MUST_USE;

struct script_range {
    struct bytes prefix; /* size 0 = all */
    struct bytes from;   /* first key, included; size 0 = none */
    struct bytes after;  /* first key, excluded; size 0 = none */
    bool is_reverse;     /* then from/after are the upper ends */
    size_t limit;        /* 0 = 100 */
};
/* Until limit, or fn returns non-zero (which is returned). fn must not write. */
typedef int (*script_table_fn)(void *arg, struct bytes key, struct bytes json);
int script_table_range(struct work *work, struct bytes table, const struct script_range *range,
                       script_table_fn fn, void *arg);

/*
 * Makes a table what sorted rows say, step by step: rows that are missing or differ are written,
 * keys that no row names are removed, in key order, so a million rows cost as many pages as they
 * fill. One step looks at `limit` rows at most; `after` (empty at first) keeps the place. Steps may
 * lie in different turns, with nothing else writing to the table meanwhile. fn is told each key
 * that changed, after all are written.
 */
typedef void (*script_replace_fn)(void *arg, struct bytes key, bool is_gone);
struct script_replace {
    struct sorter *rows;
    struct buf *after;
    size_t limit;
    script_replace_fn fn;
    void *arg;
};
int script_table_replace(struct work *work, struct bytes table,
                         const struct script_replace *replace, bool *is_over_out) NEAP_MUST_USE;

/*
 * Tables whose name begins with this hold personal data: their keys are a key of jobs (whom it is
 * about), alone or with a line break and more behind it. Erasing that key removes them.
 */
#define SCRIPT_TABLE_PERSONAL "personal_"
int script_table_forget(struct work *work, const char *about, uint64_t *count) NEAP_MUST_USE;
/* Whether a stored key (of KEY_SCRIPT) belongs to what script_table_forget removes. */
bool script_table_is_about(struct bytes stored_key, const char *about);

/* The stored value must be a JSON integer or absent: else ERROR_INVALID. ERROR_LIMIT: overflow. */
int script_table_increment(struct work *work, struct bytes table, struct bytes key, int64_t delta,
                           int64_t *value_out) NEAP_MUST_USE;

#endif
