/* The store interface: checks that it is used as store.h says, then hands over to the driver. */
#include "core/store/store.h"

#include <assert.h>
#include <string.h>

#include "core/store/store_driver.h"

#define STORE_MAP_BYTES     (UINT64_C(64) << 20)
#define STORE_MAP_MAX_BYTES (UINT64_C(64) << 30)
#define STORE_RESERVE_BYTES (UINT64_C(64) << 20)

int store_open(struct store **store_out, const struct store_options *options, struct error *err)
{
    *store_out = NULL;
    struct store_options full = *options;
    full.map_bytes = full.map_bytes == 0 ? STORE_MAP_BYTES : full.map_bytes;
    full.map_max_bytes = full.map_max_bytes == 0 ? STORE_MAP_MAX_BYTES : full.map_max_bytes;
    full.reserve_bytes = full.reserve_bytes == 0 ? STORE_RESERVE_BYTES : full.reserve_bytes;
    if (full.path == NULL || full.path[0] == '\0') {
        return error_set(err, ERROR_INVALID, "a store needs a folder");
    }
    if (full.map_bytes > full.map_max_bytes) {
        return error_set(err, ERROR_INVALID, "store %s: the map is larger than its maximum",
                         full.path);
    }
    return store_lmdb_open(store_out, &full, err);
}

const char *store_folder(const struct store *store)
{
    return store->folder;
}

void store_close(struct store *store)
{
    if (store == NULL) {
        return;
    }
    assert(store->ranges == 0);
    store->ops->abort(store);
    store->ops->close(store);
}

/* What every change needs: nobody reads a range, no commit is on its way. */
static int check_writable(const struct store *store)
{
    assert(store->ranges == 0);
    assert(!store->ops->is_committing(store));
    return store->is_read_only ? ERROR_INVALID : 0;
}

static bool is_key(struct bytes key)
{
    return key.size > 0 && key.size <= STORE_KEY_MAX;
}

int store_get(struct store *store, struct bytes key, struct bytes *value_out)
{
    *value_out = bytes_of("", 0);
    return is_key(key) ? store->ops->get(store, key, value_out) : ERROR_INVALID;
}

int store_put(struct store *store, struct bytes key, struct bytes value)
{
    int rc = check_writable(store);
    if (rc == 0) {
        rc = is_key(key) ? store->ops->put(store, key, value) : ERROR_INVALID;
    }
    return rc;
}

int store_delete(struct store *store, struct bytes key)
{
    int rc = check_writable(store);
    if (rc == 0) {
        rc = is_key(key) ? store->ops->del(store, key) : ERROR_INVALID;
    }
    return rc;
}

int store_range(struct store *store, struct bytes from, struct bytes to, bool is_reverse,
                store_range_fn fn, void *arg)
{
    struct store_range range = {from, to, is_reverse, fn, arg};
    store->ranges++;
    int rc = store->ops->range(store, &range);
    store->ranges--;
    return rc;
}

int store_range_prefix(struct store *store, struct bytes prefix, bool is_reverse, store_range_fn fn,
                       void *arg)
{
    if (prefix.size > STORE_KEY_MAX) {
        return 0; /* no key is that long */
    }
    /* The end is the prefix with its last byte raised; bytes of 0xff cannot be and are dropped. */
    char end[STORE_KEY_MAX];
    size_t size = prefix.size;
    while (size > 0 && (unsigned char)prefix.data[size - 1] == 0xff) {
        size--;
    }
    if (size > 0) {
        memcpy(end, prefix.data, size);
        end[size - 1] = (char)((unsigned char)end[size - 1] + 1);
    }
    return store_range(store, prefix, bytes_of(end, size), is_reverse, fn, arg);
}

int store_nested_begin(struct store *store)
{
    int rc = check_writable(store);
    return rc == 0 ? store->ops->nested_begin(store) : rc;
}

int store_nested_commit(struct store *store)
{
    assert(store->ranges == 0 && store->ops->nested_depth(store) > 0);
    return store->ops->nested_commit(store);
}

void store_nested_abort(struct store *store)
{
    assert(store->ranges == 0 && store->ops->nested_depth(store) > 0);
    store->ops->nested_abort(store);
}

unsigned store_nested_depth(const struct store *store)
{
    return store->ops->nested_depth(store);
}

bool store_is_dirty(const struct store *store)
{
    return store->ops->is_dirty(store);
}

void store_commit(struct store *store, store_commit_cb done, void *arg)
{
    assert(store->ranges == 0 && store->ops->nested_depth(store) == 0);
    assert(!store->ops->is_committing(store));
    store->ops->commit(store, done, arg);
}

bool store_is_committing(const struct store *store)
{
    return store->ops->is_committing(store);
}

void store_abort(struct store *store)
{
    assert(store->ranges == 0);
    store->ops->abort(store);
}

int store_grow(struct store *store, struct error *err)
{
    int rc = check_writable(store);
    if (rc != 0) {
        return error_set(err, rc, "a store opened for reading cannot grow");
    }
    assert(!store->ops->has_turn(store));
    return store->ops->grow(store, err);
}

bool store_wants_growth(struct store *store)
{
    return store->ops->wants_growth(store);
}

int store_check_space(struct store *store, struct error *err)
{
    return store->ops->check_space(store, err);
}

void store_stats(struct store *store, struct store_stats *out)
{
    memset(out, 0, sizeof(*out));
    store->ops->stats(store, out);
}

int store_compact(struct store *store, struct error *err)
{
    int rc = check_writable(store);
    if (rc != 0) {
        return error_set(err, rc, "a store opened for reading cannot be compacted");
    }
    assert(!store->ops->has_turn(store));
    return store->ops->compact(store, err);
}

int store_copy(struct store *store, const char *folder, struct error *err)
{
    return store->ops->copy(store, folder, err);
}
