/*
 * The store of one client: ordered bytes, nested transactions, a commit that may finish later.
 *
 * turn transaction   one write transaction, opened by the first write (or nested begin) of a turn
 * nested             a transaction inside it, as deep as needed; a slice lives in one
 * commit             ends the turn transaction; `done` is told when it is durable
 *
 * Reads see the writes of the open transaction. Every pointer handed out is borrowed until the next
 * write, begin, end or commit on the same store, and must not be an argument of that write: copy
 * first. Reads outside a turn keep one snapshot until the next write, commit or abort. Callers know
 * no driver; LMDB is the one there is (store_lmdb.c).
 */
#ifndef NEAP_CORE_STORE_STORE_H
#define NEAP_CORE_STORE_STORE_H

#include "core/base/buf.h"
#include "core/base/errors.h"

#define STORE_KEY_MAX 511 /* LMDB's limit; longer outside identifiers are hashed (keys.h) */

struct store;

struct store_options {
    const char *path;       /* folder; made (mode 0700) unless is_read_only */
    uint64_t map_bytes;     /* first size of the map; 0 = 64 MiB */
    uint64_t map_max_bytes; /* it grows no further; 0 = 64 GiB */
    uint64_t reserve_bytes; /* free disk below this counts as full; 0 = 64 MiB */
    bool is_read_only;      /* for verbs that read a stopped (or running) host's data */
    bool is_volatile;       /* never syncs: tests in virtual time only */
};

/* ERROR_IO, ERROR_CORRUPT, ERROR_NOT_FOUND (read only and absent), ERROR_INVALID (a network file
 * system) with a message. A process opens a folder once at a time. */
int store_open(struct store **store_out, const struct store_options *options,
               struct error *err) NEAP_MUST_USE;
const char *store_folder(const struct store *store); /* NULL when it lies in none */
void store_close(struct store *store);               /* drops an open transaction; accepts NULL */

/* ERROR_NOT_FOUND when absent. */
int store_get(struct store *store, struct bytes key, struct bytes *value_out) NEAP_MUST_USE;
/*
 * ERROR_FULL: the map is full. The whole turn must be dropped (store_abort) and store_grow called.
 * ERROR_LIMIT: one turn changed more pages than can be tracked (500 MB). ERROR_INVALID: an empty or
 * too long key, or a store opened for reading.
 */
int store_put(struct store *store, struct bytes key, struct bytes value) NEAP_MUST_USE;
int store_delete(struct store *store, struct bytes key) NEAP_MUST_USE; /* ERROR_NOT_FOUND */

/*
 * Calls fn for each key in [from, to) in order (descending when is_reverse) until it returns
 * non-zero, and returns that value, 0 at the end, or a negative error. fn must not write to the
 * store. An empty `from` begins at the first key, an empty `to` ends after the last.
 */
typedef int (*store_range_fn)(void *arg, struct bytes key, struct bytes value);
int store_range(struct store *store, struct bytes from, struct bytes to, bool is_reverse,
                store_range_fn fn, void *arg);
/* All keys that begin with prefix. */
int store_range_prefix(struct store *store, struct bytes prefix, bool is_reverse, store_range_fn fn,
                       void *arg);

int store_nested_begin(struct store *store) NEAP_MUST_USE;
int store_nested_commit(struct store *store) NEAP_MUST_USE; /* on failure the nested one is gone */
void store_nested_abort(struct store *store);
unsigned store_nested_depth(const struct store *store);

bool store_is_dirty(const struct store *store); /* written to since the last commit */

/*
 * Commits the turn; depth must be 0. done(arg, 0, NULL) or done(arg, code, err) is called exactly
 * once, at once or later; until then no transaction may be opened. ERROR_FULL: no space, the turn
 * is dropped, the store stays usable. ERROR_IO: a write or sync failed; never retried, the host
 * must stop.
 */
typedef void (*store_commit_cb)(void *arg, int rc, const struct error *err);
void store_commit(struct store *store, store_commit_cb done, void *arg);
bool store_is_committing(const struct store *store);
void store_abort(struct store *store); /* drops the turn transaction and all nested ones */

/* At a turn boundary (nothing open): doubles the map. ERROR_FULL at map_max_bytes. */
int store_grow(struct store *store, struct error *err) NEAP_MUST_USE;
/* True when more than half of the map is used: grow before it hurts. */
bool store_wants_growth(struct store *store);
/* ERROR_FULL when free disk is below the reserve. */
int store_check_space(struct store *store, struct error *err) NEAP_MUST_USE;

struct store_stats {
    uint64_t map_bytes;
    uint64_t used_bytes;
    uint64_t entries;
    uint64_t commits;
};
void store_stats(struct store *store, struct store_stats *out);

/*
 * At a turn boundary (nothing open): a compacting copy in the place of the file itself, so that
 * nothing deleted is left in it; the end of an erasure. Needs as much free disk again. ERROR_FULL:
 * not now, the store goes on as it was. ERROR_IO: it is in place but may not last; the host must
 * stop.
 */
int store_compact(struct store *store, struct error *err) NEAP_MUST_USE;

/* A compacting copy into an existing empty folder: backup. */
int store_copy(struct store *store, const char *folder, struct error *err) NEAP_MUST_USE;

#endif
