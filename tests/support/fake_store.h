/* A store that fails on demand: LMDB behind a driver that can be told to refuse. */
#ifndef NEAP_TESTS_SUPPORT_FAKE_STORE_H
#define NEAP_TESTS_SUPPORT_FAKE_STORE_H

#include <stdlib.h>

#include "core/base/xalloc.h"
#include "core/store/store_driver.h"

/* For campaigns: the n-th call of one kind fails. */
enum fake_op {
    FAKE_GET,
    FAKE_RANGE,
    FAKE_PUT,
    FAKE_DELETE,
    FAKE_NESTED_BEGIN,
    FAKE_NESTED_COMMIT,
    FAKE_COMMIT,
    FAKE_COMPACT,
    FAKE_OP_COUNT
};
struct fake_fault {
    enum fake_op op;
    int rc;           /* 0 = nothing fails */
    long calls_left;  /* calls of this kind that still work */
    bool has_tripped; /* it fails once */
    /* As LMDB: a transaction in which a write failed refuses everything until it is given up. */
    unsigned broken_depth; /* 0 = none, else the depth + 1 of the failed one */
    long calls[FAKE_OP_COUNT];
};

/* What fails, by code; 0 = works. Counts down `puts_before` first. */
struct fake_store {
    struct store base;
    struct store *real;
    int commit_rc;
    int put_rc;
    int nested_commit_rc; /* the next one only */
    int puts_before;
    int commits; /* tried */
    bool defers; /* commits end with fake_store_finish */
    store_commit_cb done;
    void *done_arg;
    struct fake_fault *fault; /* borrowed, outlives the store; NULL = none */
};

static inline struct fake_store *fake_of(const struct store *store)
{
    return (struct fake_store *)(uintptr_t)store;
}

static inline const struct store_driver *real_ops(const struct store *store)
{
    return fake_of(store)->real->ops;
}

/* 0, or how this call fails. */
static inline int fake_trip(struct fake_store *fake, enum fake_op op)
{
    struct fake_fault *fault = fake->fault;
    if (fault == NULL) {
        return 0;
    }
    fault->calls[op]++;
    unsigned level = real_ops(&fake->base)->nested_depth(fake->real) + 1;
    if (fault->broken_depth != 0 && level >= fault->broken_depth && op != FAKE_NESTED_COMMIT) {
        return fault->rc;
    }
    if (fault->rc == 0 || fault->has_tripped || op != fault->op || fault->calls_left-- > 0) {
        return 0;
    }
    fault->has_tripped = true;
    if (op == FAKE_PUT || op == FAKE_DELETE) {
        fault->broken_depth = level;
    }
    return fault->rc;
}

/* The transaction at this depth, and what is inside of it, is given up. */
static inline void fake_heal(struct fake_store *fake, unsigned depth)
{
    if (fake->fault != NULL && fake->fault->broken_depth > depth) {
        fake->fault->broken_depth = 0;
    }
}

static void fake_close(struct store *store)
{
    store_close(fake_of(store)->real);
    free(store);
}

static int fake_get(struct store *store, struct bytes key, struct bytes *value_out)
{
    int rc = fake_trip(fake_of(store), FAKE_GET);
    return rc != 0 ? rc : real_ops(store)->get(fake_of(store)->real, key, value_out);
}

static int fake_put(struct store *store, struct bytes key, struct bytes value)
{
    struct fake_store *fake = fake_of(store);
    if (fake->put_rc != 0 && fake->puts_before-- <= 0) {
        return fake->put_rc;
    }
    int rc = fake_trip(fake, FAKE_PUT);
    return rc != 0 ? rc : real_ops(store)->put(fake->real, key, value);
}

static int fake_del(struct store *store, struct bytes key)
{
    int rc = fake_trip(fake_of(store), FAKE_DELETE);
    return rc != 0 ? rc : real_ops(store)->del(fake_of(store)->real, key);
}

static int fake_range(struct store *store, const struct store_range *range)
{
    int rc = fake_trip(fake_of(store), FAKE_RANGE);
    return rc != 0 ? rc : real_ops(store)->range(fake_of(store)->real, range);
}

static int fake_nested_begin(struct store *store)
{
    int rc = fake_trip(fake_of(store), FAKE_NESTED_BEGIN);
    return rc != 0 ? rc : real_ops(store)->nested_begin(fake_of(store)->real);
}

static int fake_nested_commit(struct store *store)
{
    struct fake_store *fake = fake_of(store);
    int rc = fake->nested_commit_rc;
    unsigned depth = real_ops(store)->nested_depth(fake->real);
    fake->nested_commit_rc = 0;
    rc = rc != 0 ? rc : fake_trip(fake, FAKE_NESTED_COMMIT);
    if (rc == 0 && fake->fault != NULL && fake->fault->broken_depth > depth) {
        rc = fake->fault->rc;
    }
    if (rc != 0) {
        fake_heal(fake, depth);
        real_ops(store)->nested_abort(fake->real);
        return rc;
    }
    return real_ops(store)->nested_commit(fake->real);
}

static void fake_nested_abort(struct store *store)
{
    fake_heal(fake_of(store), real_ops(store)->nested_depth(fake_of(store)->real));
    real_ops(store)->nested_abort(fake_of(store)->real);
}

static unsigned fake_nested_depth(const struct store *store)
{
    return real_ops(store)->nested_depth(fake_of(store)->real);
}

static bool fake_is_dirty(const struct store *store)
{
    return real_ops(store)->is_dirty(fake_of(store)->real);
}

static bool fake_has_turn(const struct store *store)
{
    return real_ops(store)->has_turn(fake_of(store)->real);
}

static void fake_commit(struct store *store, store_commit_cb done, void *arg)
{
    struct fake_store *fake = fake_of(store);
    fake->commits++;
    if (fake->defers && fake->done == NULL) {
        fake->done = done;
        fake->done_arg = arg;
        return;
    }
    int tripped = fake->commit_rc != 0 ? fake->commit_rc : fake_trip(fake, FAKE_COMMIT);
    if (tripped == 0 && fake->fault != NULL && fake->fault->broken_depth != 0) {
        tripped = fake->fault->rc;
    }
    if (tripped == 0) {
        real_ops(store)->commit(fake->real, done, arg);
        return;
    }
    struct error err;
    error_clear(&err);
    fake_heal(fake, 0);
    int rc =
        error_set(&err, tripped == ERROR_FULL ? ERROR_FULL : ERROR_IO, "the disk does not sync");
    real_ops(store)->abort(fake->real);
    done(arg, rc, &err);
}

static bool fake_is_committing(const struct store *store)
{
    return fake_of(store)->done != NULL;
}

/* Ends the commit on its way, in commit_rc. */
static inline void fake_store_finish(struct fake_store *fake)
{
    store_commit_cb done = fake->done;
    bool defers = fake->defers;
    fake->done = NULL;
    fake->defers = false;
    fake_commit(&fake->base, done, fake->done_arg);
    fake->defers = defers;
    fake->commits--;
}

static void fake_abort(struct store *store)
{
    fake_heal(fake_of(store), 0);
    real_ops(store)->abort(fake_of(store)->real);
}

static int fake_grow(struct store *store, struct error *err)
{
    return real_ops(store)->grow(fake_of(store)->real, err);
}

static bool fake_wants_growth(struct store *store)
{
    return real_ops(store)->wants_growth(fake_of(store)->real);
}

static int fake_check_space(struct store *store, struct error *err)
{
    return real_ops(store)->check_space(fake_of(store)->real, err);
}

static void fake_stats(struct store *store, struct store_stats *out)
{
    real_ops(store)->stats(fake_of(store)->real, out);
}

static int fake_compact(struct store *store, struct error *err)
{
    int rc = fake_trip(fake_of(store), FAKE_COMPACT);
    return rc != 0 ? error_set(err, rc, "it does not compact")
                   : real_ops(store)->compact(fake_of(store)->real, err);
}

static int fake_copy(struct store *store, const char *folder, struct error *err)
{
    return real_ops(store)->copy(fake_of(store)->real, folder, err);
}

/* Takes `real` over; close it as any store. */
static inline struct fake_store *fake_store_new(struct store *real)
{
    static const struct store_driver driver = {
        .name = "fake",
        .close = fake_close,
        .get = fake_get,
        .put = fake_put,
        .del = fake_del,
        .range = fake_range,
        .nested_begin = fake_nested_begin,
        .nested_commit = fake_nested_commit,
        .nested_abort = fake_nested_abort,
        .nested_depth = fake_nested_depth,
        .is_dirty = fake_is_dirty,
        .has_turn = fake_has_turn,
        .commit = fake_commit,
        .is_committing = fake_is_committing,
        .abort = fake_abort,
        .grow = fake_grow,
        .wants_growth = fake_wants_growth,
        .check_space = fake_check_space,
        .stats = fake_stats,
        .compact = fake_compact,
        .copy = fake_copy,
    };
    struct fake_store *fake = xcalloc(1, sizeof *fake);
    fake->base.ops = &driver;
    fake->real = real;
    return fake;
}

#endif
