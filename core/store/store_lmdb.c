/*
 * The LMDB driver: one environment per folder, everything in its main database.
 *
 * levels[0] is the turn's write transaction, levels[1..] the nested ones; a parent is never used
 * while it has a child (LMDB's rule), so every call goes to the last level. Without a turn, reads
 * use one read transaction that keeps its reader slot and its snapshot until the turn ends or
 * begins, so that borrowed values stay valid as long as store.h says.
 *
 * No MDB_WRITEMAP: it forbids nested transactions, and a stray pointer could write into the data.
 */
#include "core/store/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <lmdb.h>

#include "core/base/folder.h"
#include "core/base/xalloc.h"
#include "core/store/store_driver.h"

#define LMDB_MAX_READERS 64 /* the host, and the verbs that read beside it */
/* LMDB reports a short write as EIO; with less than this free it was a full disk. */
#define LMDB_FULL_DISK_BYTES (UINT64_C(1) << 20)

struct lmdb_level {
    MDB_txn *txn;
    bool is_dirty;
    int failed; /* code of LMDB of the first write that failed: nothing more works in it */
};

struct store_lmdb {
    struct store base;
    char *path;
    MDB_env *env;
    MDB_dbi dbi;
    MDB_txn *read_txn;
    bool is_reading; /* read_txn holds a snapshot */
    struct lmdb_level *levels;
    size_t level_count;
    size_t level_capacity;
    uint64_t map_max_bytes;
    uint64_t reserve_bytes;
    uint64_t commits;
    bool is_volatile;
};

static struct store_lmdb *lmdb_of(const struct store *store)
{
    return (struct store_lmdb *)store; /* base is the first member */
}

/* The one translator. System errors of LMDB are positive errno values. */
static int store_error_from_mdb(int rc)
{
    switch (rc) {
    case MDB_SUCCESS:
        return 0;
    case MDB_NOTFOUND:
    case ENOENT:
        return ERROR_NOT_FOUND;
    case MDB_KEYEXIST:
    case EEXIST:
        return ERROR_EXISTS;
    case MDB_MAP_FULL:
    case ENOSPC:
    case EDQUOT:
        return ERROR_FULL;
    case MDB_TXN_FULL:
    case MDB_CURSOR_FULL:
        return ERROR_LIMIT; /* one turn changed too much: growing does not help */
    case MDB_BAD_VALSIZE:
    case EINVAL:
        return ERROR_INVALID;
    case MDB_PAGE_NOTFOUND:
    case MDB_CORRUPTED:
    case MDB_VERSION_MISMATCH:
    case MDB_INVALID:
    case MDB_INCOMPATIBLE:
        return ERROR_CORRUPT;
    default:
        return ERROR_IO;
    }
}

static int set_error(struct store_lmdb *s, struct error *err, int mdb_rc, const char *doing)
{
    int code = error_set(err, store_error_from_mdb(mdb_rc), "%s the store %s: %s", doing, s->path,
                         mdb_strerror(mdb_rc));
    if (err != NULL && mdb_rc > 0) {
        err->sys_errno = mdb_rc;
    }
    return code;
}

static MDB_val val_of(struct bytes b)
{
    MDB_val val = {b.size, (void *)(uintptr_t)b.data}; /* LMDB does not write through it */
    return val;
}

/* ---- transactions ---- */

static void end_read(struct store_lmdb *s)
{
    if (s->is_reading) {
        mdb_txn_reset(s->read_txn);
        s->is_reading = false;
    }
}

static int begin_read(struct store_lmdb *s)
{
    int rc = s->read_txn == NULL ? mdb_txn_begin(s->env, NULL, MDB_RDONLY, &s->read_txn)
                                 : mdb_txn_renew(s->read_txn);
    if (rc == MDB_MAP_RESIZED) {
        /* Another process (the host, when we are a reading verb) has grown the map. */
        mdb_txn_abort(s->read_txn);
        s->read_txn = NULL;
        rc = mdb_env_set_mapsize(s->env, 0);
        if (rc == 0) {
            rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &s->read_txn);
        }
    }
    s->is_reading = rc == 0;
    return rc;
}

/* The transaction that reads and writes go to now. */
static int current_txn(struct store_lmdb *s, MDB_txn **txn_out)
{
    int rc = 0;
    if (s->level_count > 0) {
        *txn_out = s->levels[s->level_count - 1].txn;
        rc = s->levels[s->level_count - 1].failed;
    } else {
        rc = s->is_reading ? 0 : begin_read(s);
        *txn_out = s->read_txn;
    }
    return rc;
}

static int push_level(struct store_lmdb *s)
{
    end_read(s);
    if (s->level_count == s->level_capacity) {
        s->level_capacity = s->level_capacity == 0 ? 4 : s->level_capacity * 2;
        s->levels = xrealloc(s->levels, s->level_capacity * sizeof(*s->levels));
    }
    assert(s->levels != NULL);
    const struct lmdb_level *last = s->level_count == 0 ? NULL : &s->levels[s->level_count - 1];
    MDB_txn *txn = NULL;
    int rc = last == NULL ? 0 : last->failed;
    if (rc == 0) {
        rc = mdb_txn_begin(s->env, last == NULL ? NULL : last->txn, 0, &txn);
    }
    if (rc == 0) {
        s->levels[s->level_count++] = (struct lmdb_level){txn, false, 0};
    }
    return rc;
}

static int writing_level(struct store_lmdb *s, struct lmdb_level **level_out)
{
    int rc = s->level_count == 0 ? push_level(s) : s->levels[s->level_count - 1].failed;
    *level_out = rc == 0 ? &s->levels[s->level_count - 1] : NULL;
    return rc;
}

/*
 * LMDB refuses everything in a transaction whose write failed, with a code that says nothing, and
 * committing a nested one like that spoils its parent. So the reason is kept and told again, and
 * such a transaction is only ever aborted.
 */
static int note_write(struct lmdb_level *level, int rc)
{
    if (rc != 0 && rc != MDB_NOTFOUND && rc != MDB_BAD_VALSIZE) {
        level->failed = rc;
    }
    return rc;
}

static void pop_level(struct store_lmdb *s)
{
    mdb_txn_abort(s->levels[--s->level_count].txn);
}

static int lmdb_nested_begin(struct store *store)
{
    struct store_lmdb *s = lmdb_of(store);
    struct lmdb_level *turn = NULL;
    int rc = writing_level(s, &turn);
    rc = rc != 0 ? rc : push_level(s);
    return store_error_from_mdb(rc);
}

static int lmdb_nested_commit(struct store *store)
{
    struct store_lmdb *s = lmdb_of(store);
    struct lmdb_level level = s->levels[--s->level_count];
    int rc = level.failed;
    if (rc == 0) {
        rc = mdb_txn_commit(level.txn); /* frees it, whatever happens */
    } else {
        mdb_txn_abort(level.txn);
    }
    if (rc == 0 && level.is_dirty) {
        s->levels[s->level_count - 1].is_dirty = true;
    }
    return store_error_from_mdb(rc);
}

static void lmdb_nested_abort(struct store *store)
{
    pop_level(lmdb_of(store));
}

static unsigned lmdb_nested_depth(const struct store *store)
{
    size_t count = lmdb_of(store)->level_count;
    return count == 0 ? 0 : (unsigned)(count - 1);
}

static bool lmdb_is_dirty(const struct store *store)
{
    const struct store_lmdb *s = lmdb_of(store);
    for (size_t i = 0; i < s->level_count; i++) {
        if (s->levels[i].is_dirty) {
            return true;
        }
    }
    return false;
}

static bool lmdb_has_turn(const struct store *store)
{
    return lmdb_of(store)->level_count > 0;
}

static void lmdb_abort(struct store *store)
{
    struct store_lmdb *s = lmdb_of(store);
    while (s->level_count > 0) {
        pop_level(s);
    }
    end_read(s);
}

/* ---- the end of a turn ---- */

static int free_disk(struct store_lmdb *s, uint64_t *bytes_out)
{
    struct statvfs fs;
    if (statvfs(s->path, &fs) != 0) {
        return errno;
    }
    *bytes_out = (uint64_t)fs.f_bavail * fs.f_frsize;
    return 0;
}

/* LMDB refuses all work after a root page that could not be written. */
static bool is_dead(struct store_lmdb *s)
{
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
    if (rc == 0) {
        mdb_txn_abort(txn);
    }
    return rc == MDB_PANIC;
}

/*
 * A commit fails before the new root page is written (the old state stands, the turn is dropped) or
 * at it. Only lack of space before it is survivable, found by a write or by the sync: no page of
 * the dropped turn is used again before it is written anew. Any other failed sync is not: the
 * kernel may have dropped the very pages it could not write, and nobody knows why.
 */
static int commit_failure(struct store_lmdb *s, int mdb_rc, struct error *err)
{
    uint64_t free_bytes = 0;
    if (mdb_rc == EIO && free_disk(s, &free_bytes) == 0 && free_bytes < LMDB_FULL_DISK_BYTES) {
        mdb_rc = ENOSPC;
    }
    int code = set_error(s, err, mdb_rc, "committing");
    if (code != ERROR_FULL || is_dead(s)) {
        code = ERROR_IO;
        err->code = ERROR_IO;
    }
    return code;
}

static void lmdb_commit(struct store *store, store_commit_cb done, void *arg)
{
    struct store_lmdb *s = lmdb_of(store);
    if (!lmdb_is_dirty(store)) {
        lmdb_abort(store);
        done(arg, 0, NULL);
        return;
    }
    struct lmdb_level turn = s->levels[0];
    s->level_count = 0;
    struct error err;
    error_clear(&err);
    int rc = turn.failed;
    if (rc == 0) {
        rc = mdb_txn_commit(turn.txn); /* frees it, whatever happens */
    } else {
        mdb_txn_abort(turn.txn);
    }
    if (rc == 0) {
        s->commits++;
        done(arg, 0, NULL);
    } else {
        rc = commit_failure(s, rc, &err);
        done(arg, rc, &err);
    }
}

static bool lmdb_is_committing(const struct store *store)
{
    (void)store; /* a commit is over when lmdb_commit returns */
    return false;
}

/* ---- keys and values ---- */

static int lmdb_get(struct store *store, struct bytes key, struct bytes *value_out)
{
    struct store_lmdb *s = lmdb_of(store);
    MDB_txn *txn = NULL;
    MDB_val key_val = val_of(key);
    MDB_val value = {0, NULL};
    int rc = current_txn(s, &txn);
    if (rc == 0) {
        rc = mdb_get(txn, s->dbi, &key_val, &value);
    }
    if (rc == 0) {
        *value_out = bytes_of(value.mv_data, value.mv_size);
    }
    return store_error_from_mdb(rc);
}

static int lmdb_put(struct store *store, struct bytes key, struct bytes value)
{
    struct store_lmdb *s = lmdb_of(store);
    struct lmdb_level *level = NULL;
    MDB_val key_val = val_of(key);
    MDB_val value_val = val_of(value);
    int rc = writing_level(s, &level);
    if (rc == 0) {
        level->is_dirty = true;
        rc = note_write(level, mdb_put(level->txn, s->dbi, &key_val, &value_val, 0));
    }
    return store_error_from_mdb(rc);
}

static int lmdb_del(struct store *store, struct bytes key)
{
    struct store_lmdb *s = lmdb_of(store);
    struct lmdb_level *level = NULL;
    MDB_val key_val = val_of(key);
    int rc = writing_level(s, &level);
    if (rc == 0) {
        rc = note_write(level, mdb_del(level->txn, s->dbi, &key_val, NULL));
        level->is_dirty = level->is_dirty || rc != MDB_NOTFOUND;
    }
    return store_error_from_mdb(rc);
}

/* Places the cursor on the first entry of a descending range. */
static int seek_last_below(MDB_cursor *cursor, struct bytes to, MDB_val *key, MDB_val *value)
{
    if (to.size == 0) {
        return mdb_cursor_get(cursor, key, value, MDB_LAST);
    }
    *key = val_of(to);
    int rc = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
    if (rc == 0) {
        return mdb_cursor_get(cursor, key, value, MDB_PREV);
    }
    return rc == MDB_NOTFOUND ? mdb_cursor_get(cursor, key, value, MDB_LAST) : rc;
}

static int seek_first(MDB_cursor *cursor, struct bytes from, MDB_val *key, MDB_val *value)
{
    if (from.size == 0) {
        return mdb_cursor_get(cursor, key, value, MDB_FIRST);
    }
    *key = val_of(from);
    return mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
}

static bool is_inside(const struct store_range *range, struct bytes key)
{
    return range->is_reverse ? bytes_compare(key, range->from) >= 0
                             : range->to.size == 0 || bytes_compare(key, range->to) < 0;
}

static int lmdb_range(struct store *store, const struct store_range *range)
{
    struct store_lmdb *s = lmdb_of(store);
    MDB_txn *txn = NULL;
    MDB_cursor *cursor = NULL;
    int rc = current_txn(s, &txn);
    if (rc == 0) {
        rc = mdb_cursor_open(txn, s->dbi, &cursor);
    }
    if (rc != 0) {
        return store_error_from_mdb(rc);
    }
    MDB_val key = {0, NULL};
    MDB_val value = {0, NULL};
    int answer = 0;
    rc = range->is_reverse ? seek_last_below(cursor, range->to, &key, &value)
                           : seek_first(cursor, range->from, &key, &value);
    while (rc == 0 && is_inside(range, bytes_of(key.mv_data, key.mv_size))) {
        answer = range->fn(range->arg, bytes_of(key.mv_data, key.mv_size),
                           bytes_of(value.mv_data, value.mv_size));
        if (answer != 0) {
            break;
        }
        rc = mdb_cursor_get(cursor, &key, &value, range->is_reverse ? MDB_PREV : MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return answer != 0 || rc == MDB_NOTFOUND ? answer : store_error_from_mdb(rc);
}

/* ---- size and space ---- */

static uint64_t used_bytes(struct store_lmdb *s)
{
    MDB_envinfo info;
    MDB_stat stat;
    mdb_env_info(s->env, &info);
    mdb_env_stat(s->env, &stat);
    return ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
}

static uint64_t map_bytes(struct store_lmdb *s)
{
    MDB_envinfo info;
    mdb_env_info(s->env, &info);
    return info.me_mapsize;
}

static int lmdb_grow(struct store *store, struct error *err)
{
    struct store_lmdb *s = lmdb_of(store);
    uint64_t now = map_bytes(s);
    if (now >= s->map_max_bytes) {
        return error_set(err, ERROR_FULL, "the store %s has reached its maximum of %llu MiB",
                         s->path, (unsigned long long)(s->map_max_bytes >> 20));
    }
    uint64_t wanted = now > s->map_max_bytes / 2 ? s->map_max_bytes : now * 2;
    if (s->read_txn != NULL) {
        mdb_txn_abort(s->read_txn); /* the map is about to move */
        s->read_txn = NULL;
        s->is_reading = false;
    }
    int rc = mdb_env_set_mapsize(s->env, wanted);
    return rc == 0 ? 0 : set_error(s, err, rc, "growing");
}

static bool lmdb_wants_growth(struct store *store)
{
    struct store_lmdb *s = lmdb_of(store);
    uint64_t now = map_bytes(s);
    return now < s->map_max_bytes && used_bytes(s) > now / 2;
}

static int lmdb_check_space(struct store *store, struct error *err)
{
    struct store_lmdb *s = lmdb_of(store);
    uint64_t free_bytes = 0;
    int rc = free_disk(s, &free_bytes);
    if (rc != 0) {
        return set_error(s, err, rc, "measuring the disk of");
    }
    if (free_bytes < s->reserve_bytes) {
        return error_set(err, ERROR_FULL,
                         "the disk of the store %s has %llu MiB free, fewer than the reserve of "
                         "%llu MiB",
                         s->path, (unsigned long long)(free_bytes >> 20),
                         (unsigned long long)(s->reserve_bytes >> 20));
    }
    return 0;
}

static void lmdb_stats(struct store *store, struct store_stats *out)
{
    struct store_lmdb *s = lmdb_of(store);
    MDB_txn *txn = NULL;
    MDB_stat stat = {0};
    if (current_txn(s, &txn) == 0 && mdb_stat(txn, s->dbi, &stat) == 0) {
        out->entries = stat.ms_entries;
    }
    out->map_bytes = map_bytes(s);
    out->used_bytes = used_bytes(s);
    out->commits = s->commits;
}

static int lmdb_copy(struct store *store, const char *folder, struct error *err)
{
    struct store_lmdb *s = lmdb_of(store);
    char *path = xasprintf("%s/data.mdb", folder);
    /* Opened here, not by LMDB, which would make it readable by everybody and never sync it. */
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int rc = fd < 0 ? errno : mdb_env_copyfd2(s->env, fd, MDB_CP_COMPACT);
    if (fd >= 0) {
        if (rc == 0 && !s->is_volatile && fsync(fd) != 0) {
            rc = errno;
        }
        close(fd);
        if (rc != 0) {
            unlink(path); /* half a copy must not look like one */
        }
    }
    free(path);
    if (rc == 0 && !s->is_volatile) {
        rc = folder_sync(folder);
    }
    if (rc == 0) {
        return 0;
    }
    return error_set(err, store_error_from_mdb(rc), "copying the store %s to %s: %s", s->path,
                     folder, mdb_strerror(rc));
}

/* ---- life ---- */

static void lmdb_close(struct store *store)
{
    struct store_lmdb *s = lmdb_of(store);
    if (s->read_txn != NULL) {
        mdb_txn_abort(s->read_txn);
    }
    if (s->env != NULL) {
        mdb_env_close(s->env);
    }
    free(s->levels);
    free(s->path);
    free(s);
}

static int make_folder(const char *path, bool is_volatile, struct error *err)
{
    if (is_volatile && (mkdir(path, 0700) == 0 || errno == EEXIST)) {
        return 0;
    }
    int rc = folder_make(path);
    return rc == 0 ? 0 : error_set_errno(err, ERROR_IO, rc, "making the store's folder %s", path);
}

/* Returns a code of LMDB. */
static int open_env(struct store_lmdb *s, const struct store_options *options)
{
    unsigned flags = MDB_NOTLS;
    flags |= options->is_volatile ? MDB_NOSYNC : 0;
    flags |= options->is_read_only ? MDB_RDONLY : 0;
    int rc = mdb_env_create(&s->env);
    if (rc == 0) {
        rc = mdb_env_set_maxreaders(s->env, LMDB_MAX_READERS);
    }
    /* A reader takes the size the host last used. */
    if (rc == 0 && !options->is_read_only) {
        rc = mdb_env_set_mapsize(s->env, options->map_bytes);
    }
    if (rc == 0) {
        rc = mdb_env_open(s->env, options->path, flags, 0600);
    }
    int dead = 0;
    if (rc == 0) {
        rc = mdb_reader_check(s->env, &dead); /* slots of killed processes pin old pages for ever */
    }
    MDB_txn *txn = NULL;
    if (rc == 0) {
        rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
    }
    if (rc == 0) {
        rc = mdb_dbi_open(txn, NULL, 0, &s->dbi);
        mdb_txn_abort(txn);
    }
    return rc;
}

/* ---- files made aside ---- */

/*
 * An environment is made in a folder inside the store's own until it is complete and durable; then
 * it is renamed into place. So data.mdb is always a whole one, whatever happens.
 */
#define ASIDE "aside"

static void remove_aside(const char *path)
{
    static const char *const NAMES[] = {"/data.mdb", "/lock.mdb", ""};
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        char *name = xasprintf("%s/" ASIDE "%s", path, NAMES[i]);
        remove(name);
        free(name);
    }
}

static int move_file(struct store_lmdb *s, const char *name)
{
    char *from = xasprintf("%s/" ASIDE "/%s", s->path, name);
    char *to = xasprintf("%s/%s", s->path, name);
    int rc = rename(from, to) == 0 ? 0 : errno;
    free(from);
    free(to);
    return rc;
}

static bool is_missing(const struct store_lmdb *s)
{
    char *name = xasprintf("%s/data.mdb", s->path);
    bool is_absent = access(name, F_OK) != 0 && errno == ENOENT;
    free(name);
    return is_absent;
}

/* LMDB writes the first pages of a new file without syncing them: a power cut could leave a file
 * that is none of LMDB's. */
static int make_first(struct store_lmdb *s, const struct store_options *options)
{
    struct store_lmdb first = {.path = s->path};
    struct store_options aside = *options;
    char *folder = xasprintf("%s/" ASIDE, s->path);
    aside.path = folder;
    int rc = mkdir(folder, 0700) == 0 ? 0 : errno;
    rc = rc != 0 ? rc : open_env(&first, &aside);
    rc = rc != 0 ? rc : mdb_env_sync(first.env, 1);
    if (first.env != NULL) {
        mdb_env_close(first.env);
    }
    rc = rc != 0 ? rc : move_file(s, "data.mdb");
    remove_aside(s->path);
    free(folder);
    return rc;
}

/* ---- compacting in place ---- */

/*
 * The new environment is open before both of its files are moved into place, so that the lock
 * always belongs to its data. There is no moment without an environment: a failure leaves the old
 * one serving.
 */

/* A compacting copy, open, its data in the place of the old ones. */
static int make_compact(struct store_lmdb *s, struct store_lmdb *fresh, struct error *err)
{
    char *folder = xasprintf("%s/" ASIDE, s->path);
    struct store_options options = {
        .path = folder, .map_bytes = map_bytes(s), .is_volatile = s->is_volatile};
    int rc = mkdir(folder, 0700) == 0 ? 0 : errno;
    if (rc == 0) {
        rc = lmdb_copy(&s->base, folder, err) == 0 ? 0 : MDB_PANIC;
    }
    rc = rc != 0 ? rc : open_env(fresh, &options);
    rc = rc != 0 ? rc : move_file(s, "data.mdb");
    free(folder);
    return rc;
}

/* The new data are in place: from here on there is no way back. */
static int take_compact(struct store_lmdb *s, const struct store_lmdb *fresh)
{
    int rc = move_file(s, "lock.mdb");
    if (rc == 0 && !s->is_volatile) {
        rc = folder_sync(s->path);
    }
    if (s->read_txn != NULL) {
        mdb_txn_abort(s->read_txn);
        s->read_txn = NULL;
    }
    mdb_env_close(s->env);
    s->env = fresh->env;
    s->dbi = fresh->dbi;
    return rc;
}

static int lmdb_compact(struct store *store, struct error *err)
{
    struct store_lmdb *s = lmdb_of(store);
    struct store_lmdb fresh = {.path = s->path};
    struct error copying = {0};
    end_read(s);
    remove_aside(s->path);
    int rc = make_compact(s, &fresh, &copying);
    if (rc != 0) {
        if (fresh.env != NULL) {
            mdb_env_close(fresh.env);
        }
        remove_aside(s->path);
        return error_set(err, ERROR_FULL, "the store %s cannot be compacted now: %s", s->path,
                         rc == MDB_PANIC ? copying.message : mdb_strerror(rc));
    }
    rc = take_compact(s, &fresh);
    remove_aside(s->path);
    if (rc != 0) {
        return error_set(err, ERROR_IO, "the compacted store %s could not be put in place: %s",
                         s->path, mdb_strerror(rc));
    }
    return 0;
}

static const struct store_driver LMDB_DRIVER = {
    .name = "lmdb",
    .close = lmdb_close,
    .get = lmdb_get,
    .put = lmdb_put,
    .del = lmdb_del,
    .range = lmdb_range,
    .nested_begin = lmdb_nested_begin,
    .nested_commit = lmdb_nested_commit,
    .nested_abort = lmdb_nested_abort,
    .nested_depth = lmdb_nested_depth,
    .is_dirty = lmdb_is_dirty,
    .has_turn = lmdb_has_turn,
    .commit = lmdb_commit,
    .is_committing = lmdb_is_committing,
    .abort = lmdb_abort,
    .grow = lmdb_grow,
    .wants_growth = lmdb_wants_growth,
    .check_space = lmdb_check_space,
    .stats = lmdb_stats,
    .compact = lmdb_compact,
    .copy = lmdb_copy,
};

int store_lmdb_open(struct store **store_out, const struct store_options *options,
                    struct error *err)
{
    int rc = options->is_read_only ? 0 : make_folder(options->path, options->is_volatile, err);
    if (rc == 0) {
        rc = folder_check_local(options->path, err);
    }
    if (rc != 0) {
        return rc;
    }
    struct store_lmdb *s = xcalloc(1, sizeof(*s));
    s->base.ops = &LMDB_DRIVER;
    s->base.is_read_only = options->is_read_only;
    s->path = xstrdup(options->path);
    s->base.folder = s->path;
    s->map_max_bytes = options->map_max_bytes;
    s->reserve_bytes = options->reserve_bytes;
    s->is_volatile = options->is_volatile;
    int mdb_rc = 0;
    if (!options->is_read_only) {
        remove_aside(s->path); /* a process died in the middle of one */
        mdb_rc = !options->is_volatile && is_missing(s) ? make_first(s, options) : 0;
    }
    mdb_rc = mdb_rc != 0 ? mdb_rc : open_env(s, options);
    if (mdb_rc == 0 && !options->is_read_only && !options->is_volatile) {
        mdb_rc = folder_sync(options->path); /* the names of the files LMDB has just made */
    }
    if (mdb_rc != 0) {
        rc = set_error(s, err, mdb_rc, "opening");
        lmdb_close(&s->base);
        return rc;
    }
    *store_out = &s->base;
    return 0;
}
