/*
 * What a store driver offers to store.c. Private to this folder: callers know store.h only.
 *
 * store.c checks the rules of use (what may be open when) and works out prefixes, so a driver sees
 * correct calls only. A driver embeds struct store as its first member.
 */
#ifndef NEAP_CORE_STORE_STORE_DRIVER_H
#define NEAP_CORE_STORE_STORE_DRIVER_H

#include "core/store/store.h"

struct store_range {
    struct bytes from; /* empty: from the first key */
    struct bytes to;   /* empty: to the last key */
    bool is_reverse;
    store_range_fn fn;
    void *arg;
};

/* Each function means what its namesake in store.h says. */
struct store_driver {
    const char *name;
    void (*close)(struct store *store); /* frees the store; an open turn was aborted before */

    int (*get)(struct store *store, struct bytes key, struct bytes *value_out);
    int (*put)(struct store *store, struct bytes key, struct bytes value);
    int (*del)(struct store *store, struct bytes key);
    int (*range)(struct store *store, const struct store_range *range);

    int (*nested_begin)(struct store *store);
    int (*nested_commit)(struct store *store);
    void (*nested_abort)(struct store *store);
    unsigned (*nested_depth)(const struct store *store);

    bool (*is_dirty)(const struct store *store);
    bool (*has_turn)(const struct store *store); /* a turn transaction is open */
    void (*commit)(struct store *store, store_commit_cb done, void *arg);
    bool (*is_committing)(const struct store *store);
    void (*abort)(struct store *store);

    int (*grow)(struct store *store, struct error *err);
    bool (*wants_growth)(struct store *store);
    int (*check_space)(struct store *store, struct error *err);
    void (*stats)(struct store *store, struct store_stats *out);
    int (*compact)(struct store *store, struct error *err);
    int (*copy)(struct store *store, const char *folder, struct error *err);
};

struct store {
    const struct store_driver *ops;
    const char *folder; /* on disk, the driver's; NULL when there is none */
    bool is_read_only;
    unsigned ranges; /* range calls in progress: nothing may be written meanwhile */
};

int store_lmdb_open(struct store **store_out, const struct store_options *options,
                    struct error *err) NEAP_MUST_USE;

#endif
