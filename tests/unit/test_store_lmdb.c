/* The store on LMDB: what is seen when, what survives, and what happens when the map is full. */
#define _GNU_SOURCE /* memmem */
#include "core/store/store.h"

#include <sys/wait.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "tests/support/tap.h"
#include "tests/support/temp_folder.h"

struct fixture {
    char folder[256];
    struct store *store;
    struct error err;
};

static void open_store(struct fixture *f, uint64_t map_bytes, uint64_t map_max_bytes)
{
    char path[300];
    snprintf(path, sizeof(path), "%s/acme", f->folder);
    struct store_options options = {.path = path,
                                    .map_bytes = map_bytes,
                                    .map_max_bytes = map_max_bytes,
                                    .reserve_bytes = 1,
                                    .is_volatile = true};
    int rc = store_open(&f->store, &options, &f->err);
    CHECK_INT(rc, 0);
    if (rc != 0) {
        printf("# %s\n", f->err.message);
        exit(EXIT_FAILURE);
    }
}

static void set_up(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    temp_folder_make(f->folder, sizeof(f->folder));
    open_store(f, UINT64_C(4) << 20, 0);
}

static void tear_down(struct fixture *f)
{
    store_close(f->store);
    temp_folder_remove(f->folder);
}

static int put(struct fixture *f, const char *key, const char *value)
{
    return store_put(f->store, bytes_str(key), bytes_str(value));
}

static bool has(struct fixture *f, const char *key, const char *value)
{
    struct bytes got;
    int rc = store_get(f->store, bytes_str(key), &got);
    if (value == NULL) {
        return rc == ERROR_NOT_FOUND;
    }
    return rc == 0 && bytes_equal(got, bytes_str(value));
}

static void note_done(void *arg, int rc, const struct error *err)
{
    (void)err;
    *(int *)arg = rc;
}

static int commit(struct fixture *f)
{
    int rc = 1;
    store_commit(f->store, note_done, &rc);
    return rc;
}

static void a_turn_sees_its_own_writes(void)
{
    struct fixture f;
    set_up(&f);
    CHECK(has(&f, "a", NULL));
    CHECK(!store_is_dirty(f.store));
    CHECK_INT(put(&f, "a", "1"), 0);
    CHECK(store_is_dirty(f.store));
    CHECK(has(&f, "a", "1"));
    CHECK_INT(put(&f, "a", "2"), 0);
    CHECK(has(&f, "a", "2"));
    CHECK_INT(put(&f, "empty", ""), 0);
    CHECK(has(&f, "empty", ""));
    CHECK_INT(store_delete(f.store, bytes_str("a")), 0);
    CHECK(has(&f, "a", NULL));
    CHECK_INT(store_delete(f.store, bytes_str("a")), ERROR_NOT_FOUND);
    tear_down(&f);
}

static void an_aborted_turn_leaves_nothing(void)
{
    struct fixture f;
    set_up(&f);
    CHECK_INT(put(&f, "a", "1"), 0);
    CHECK_INT(commit(&f), 0);
    CHECK_INT(put(&f, "a", "2"), 0);
    CHECK_INT(store_nested_begin(f.store), 0);
    CHECK_INT(put(&f, "b", "2"), 0);
    store_abort(f.store);
    CHECK(!store_is_dirty(f.store));
    CHECK_INT(store_nested_depth(f.store), 0);
    CHECK(has(&f, "a", "1"));
    CHECK(has(&f, "b", NULL));
    tear_down(&f);
}

static void a_nested_abort_keeps_what_was_outside(void)
{
    struct fixture f;
    set_up(&f);
    CHECK_INT(put(&f, "outer", "1"), 0);
    CHECK_INT(store_nested_begin(f.store), 0);
    CHECK_INT(store_nested_depth(f.store), 1);
    CHECK(has(&f, "outer", "1"));
    CHECK_INT(put(&f, "inner", "1"), 0);
    CHECK_INT(store_delete(f.store, bytes_str("outer")), 0);
    CHECK_INT(store_nested_begin(f.store), 0);
    CHECK_INT(put(&f, "deep", "1"), 0);
    CHECK_INT(store_nested_commit(f.store), 0);
    CHECK(has(&f, "deep", "1"));
    CHECK(has(&f, "outer", NULL));
    store_nested_abort(f.store);
    CHECK(has(&f, "outer", "1"));
    CHECK(has(&f, "inner", NULL));
    CHECK(has(&f, "deep", NULL));
    CHECK_INT(commit(&f), 0);
    CHECK(has(&f, "outer", "1"));
    tear_down(&f);
}

static void a_nested_commit_is_kept_by_the_turn(void)
{
    struct fixture f;
    set_up(&f);
    for (int i = 0; i < 10; i++) {
        CHECK_INT(store_nested_begin(f.store), 0);
    }
    CHECK_INT(store_nested_depth(f.store), 10);
    CHECK_INT(put(&f, "deep", "1"), 0);
    while (store_nested_depth(f.store) > 0) {
        CHECK_INT(store_nested_commit(f.store), 0);
    }
    CHECK(store_is_dirty(f.store));
    CHECK_INT(commit(&f), 0);
    CHECK(has(&f, "deep", "1"));
    tear_down(&f);
}

static void only_kept_writes_make_it_dirty(void)
{
    struct fixture f;
    set_up(&f);
    CHECK_INT(store_nested_begin(f.store), 0);
    CHECK(!store_is_dirty(f.store));
    CHECK_INT(put(&f, "a", "1"), 0);
    CHECK(store_is_dirty(f.store));
    store_nested_abort(f.store);
    CHECK(!store_is_dirty(f.store));
    CHECK_INT(store_delete(f.store, bytes_str("a")), ERROR_NOT_FOUND);
    CHECK(!store_is_dirty(f.store));
    CHECK_INT(commit(&f), 0);
    struct store_stats stats;
    store_stats(f.store, &stats);
    CHECK_INT(stats.commits, 0);
    tear_down(&f);
}

static void committed_data_survives_a_reopen(void)
{
    struct fixture f;
    set_up(&f);
    CHECK_INT(put(&f, "a", "1"), 0);
    CHECK_INT(commit(&f), 0);
    CHECK_INT(put(&f, "b", "lost"), 0);
    store_close(f.store);
    open_store(&f, UINT64_C(4) << 20, 0);
    CHECK(has(&f, "a", "1"));
    CHECK(has(&f, "b", NULL));
    tear_down(&f);
}

static void bad_keys_are_refused(void)
{
    struct fixture f;
    set_up(&f);
    char big[STORE_KEY_MAX + 1];
    memset(big, 'k', sizeof(big));
    struct bytes got;
    CHECK_INT(store_put(f.store, bytes_of("", 0), bytes_str("x")), ERROR_INVALID);
    CHECK_INT(store_put(f.store, bytes_of(big, sizeof(big)), bytes_str("x")), ERROR_INVALID);
    CHECK_INT(store_get(f.store, bytes_of(big, sizeof(big)), &got), ERROR_INVALID);
    CHECK_INT(store_put(f.store, bytes_of(big, STORE_KEY_MAX), bytes_str("x")), 0);
    CHECK_INT(store_get(f.store, bytes_of(big, STORE_KEY_MAX), &got), 0);
    tear_down(&f);
}

/* ---- ranges ---- */

struct collected {
    char text[256];
    int stop_after; /* 0: never */
    int count;
};

static int collect(void *arg, struct bytes key, struct bytes value)
{
    struct collected *c = arg;
    size_t used = strlen(c->text);
    for (size_t i = 0; i < key.size; i++) {
        unsigned char byte = (unsigned char)key.data[i];
        used += (size_t)snprintf(c->text + used, sizeof(c->text) - used,
                                 byte > ' ' && byte < 0x7f ? "%c" : "\\%02x", byte);
    }
    snprintf(c->text + used, sizeof(c->text) - used, "=%.*s ", (int)value.size, value.data);
    c->count++;
    return c->count == c->stop_after ? 42 : 0;
}

static void fill_range(struct fixture *f)
{
    static const struct {
        const char *key;
        size_t size;
    } KEYS[] = {{"a1", 2},    {"a2", 2},       {"a", 1},        {"b", 1},
                {"a\xff", 2}, {"\xff", 1},     {"\xff\xff", 2}, {"\xff\xff\x01", 3},
                {"\xfe", 1},  {"a\xff\x05", 3}};
    for (size_t i = 0; i < sizeof(KEYS) / sizeof(KEYS[0]); i++) {
        CHECK_INT(store_put(f->store, bytes_of(KEYS[i].key, KEYS[i].size), bytes_str("v")), 0);
    }
}

static void check_ranges(struct fixture *f)
{
    static const struct {
        const char *from;
        const char *to;
        bool is_reverse;
        const char *expected;
    } CASES[] = {
        {"a", "b", false, "a=v a1=v a2=v a\\ff=v a\\ff\\05=v "},
        {"a", "b", true, "a\\ff\\05=v a\\ff=v a2=v a1=v a=v "},
        {"a1", "a2", false, "a1=v "},
        {"a1", "a2", true, "a1=v "},
        {"a11", "a12", false, ""},
        {"a11", "a12", true, ""},
        {"b", "a", false, ""},
        {"b", "a", true, ""},
        {"", "a1", false, "a=v "},
        {"", "a1", true, "a=v "},
        {"b", "", false, "b=v \\fe=v \\ff=v \\ff\\ff=v \\ff\\ff\\01=v "},
        {"b", "", true, "\\ff\\ff\\01=v \\ff\\ff=v \\ff=v \\fe=v b=v "},
        {"\xff\xff\xff", "", false, ""},
        {"\xff\xff\xff", "", true, ""},
        {"b", "z", true, "b=v "},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct collected c = {.text = ""};
        CHECK_INT(store_range(f->store, bytes_str(CASES[i].from), bytes_str(CASES[i].to),
                              CASES[i].is_reverse, collect, &c),
                  0);
        CHECK_STR(c.text, CASES[i].expected);
    }
}

static void ranges_go_both_ways(void)
{
    struct fixture f;
    set_up(&f);
    fill_range(&f);
    check_ranges(&f); /* in the open turn */
    CHECK_INT(store_nested_begin(f.store), 0);
    check_ranges(&f);
    CHECK_INT(store_nested_commit(f.store), 0);
    CHECK_INT(commit(&f), 0);
    check_ranges(&f); /* from a read snapshot */
    tear_down(&f);
}

static void prefixes_of_any_bytes_work(void)
{
    static const struct {
        const char *prefix;
        bool is_reverse;
        const char *expected;
    } CASES[] = {
        {"a", false, "a=v a1=v a2=v a\\ff=v a\\ff\\05=v "},
        {"a", true, "a\\ff\\05=v a\\ff=v a2=v a1=v a=v "},
        {"a\xff", false, "a\\ff=v a\\ff\\05=v "},
        {"a\xff", true, "a\\ff\\05=v a\\ff=v "},
        {"\xff", false, "\\ff=v \\ff\\ff=v \\ff\\ff\\01=v "},
        {"\xff\xff", true, "\\ff\\ff\\01=v \\ff\\ff=v "},
        {"c", false, ""},
        {"c", true, ""},
        {"\xff\xff\xff", true, ""},
    };
    struct fixture f;
    set_up(&f);
    fill_range(&f);
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct collected c = {.text = ""};
        CHECK_INT(store_range_prefix(f.store, bytes_str(CASES[i].prefix), CASES[i].is_reverse,
                                     collect, &c),
                  0);
        CHECK_STR(c.text, CASES[i].expected);
    }
    struct collected all = {.text = ""};
    CHECK_INT(store_range_prefix(f.store, bytes_of("", 0), false, collect, &all), 0);
    CHECK_INT(all.count, 10);
    tear_down(&f);
}

static void a_range_stops_when_told(void)
{
    struct fixture f;
    set_up(&f);
    fill_range(&f);
    struct collected c = {.text = "", .stop_after = 2};
    CHECK_INT(store_range_prefix(f.store, bytes_str("a"), false, collect, &c), 42);
    CHECK_STR(c.text, "a=v a1=v ");
    tear_down(&f);
}

static void an_empty_store_has_empty_ranges(void)
{
    struct fixture f;
    set_up(&f);
    struct collected c = {.text = ""};
    CHECK_INT(store_range(f.store, bytes_str(""), bytes_str(""), false, collect, &c), 0);
    CHECK_INT(store_range(f.store, bytes_str(""), bytes_str(""), true, collect, &c), 0);
    CHECK_INT(store_range_prefix(f.store, bytes_str("a"), true, collect, &c), 0);
    CHECK_INT(c.count, 0);
    tear_down(&f);
}

/* ---- size ---- */

static int fill_until_full(struct fixture *f, int *count_out)
{
    static char block[50000];
    int rc = 0;
    *count_out = 0;
    while (rc == 0 && *count_out < 1000) {
        char key[32];
        snprintf(key, sizeof(key), "block %04d", *count_out);
        rc = store_nested_begin(f->store);
        if (rc == 0) {
            rc = store_put(f->store, bytes_str(key), bytes_of(block, sizeof(block)));
        }
        if (rc == 0) {
            rc = store_nested_commit(f->store);
        }
        *count_out += rc == 0 ? 1 : 0;
    }
    return rc;
}

static void a_full_map_is_dropped_grown_and_works_again(void)
{
    struct fixture f;
    memset(&f, 0, sizeof(f));
    temp_folder_make(f.folder, sizeof(f.folder));
    open_store(&f, UINT64_C(1) << 20, UINT64_C(4) << 20);
    CHECK_INT(put(&f, "before", "1"), 0);
    CHECK_INT(commit(&f), 0);
    int count = 0;
    CHECK_INT(fill_until_full(&f, &count), ERROR_FULL);
    CHECK(count > 5);
    store_abort(f.store);
    CHECK(has(&f, "before", "1"));
    CHECK(has(&f, "block 0000", NULL));
    CHECK_INT(store_grow(f.store, &f.err), 0);
    CHECK(has(&f, "before", "1"));
    int more = 0;
    CHECK_INT(fill_until_full(&f, &more), ERROR_FULL);
    CHECK(more > count);
    store_abort(f.store);
    CHECK_INT(store_grow(f.store, &f.err), 0);
    CHECK_INT(store_grow(f.store, &f.err), ERROR_FULL);
    CHECK_INT(put(&f, "after", "1"), 0);
    CHECK_INT(commit(&f), 0);
    CHECK(has(&f, "after", "1"));
    tear_down(&f);
}

/* Seen before: what followed a failed write was told as ERROR_IO, which stops the host, and a
 * nested commit after it spoiled the turn around it. */
static void a_failed_write_is_told_again_and_stays_in_its_unit(void)
{
    struct fixture f;
    memset(&f, 0, sizeof(f));
    temp_folder_make(f.folder, sizeof(f.folder));
    open_store(&f, UINT64_C(1) << 20, UINT64_C(4) << 20);
    int count = 0;
    CHECK_INT(fill_until_full(&f, &count), ERROR_FULL);
    struct bytes value;
    CHECK_INT(store_nested_depth(f.store), 1);
    CHECK_INT(put(&f, "x", "1"), ERROR_FULL);
    CHECK_INT(store_get(f.store, bytes_str("block 0000"), &value), ERROR_FULL);
    CHECK_INT(store_nested_begin(f.store), ERROR_FULL);
    CHECK_INT(store_nested_commit(f.store), ERROR_FULL);
    CHECK_INT(store_get(f.store, bytes_str("block 0000"), &value), 0);
    tear_down(&f);
}

static void a_store_asks_to_grow_in_time(void)
{
    struct fixture f;
    memset(&f, 0, sizeof(f));
    temp_folder_make(f.folder, sizeof(f.folder));
    open_store(&f, UINT64_C(1) << 20, UINT64_C(2) << 20);
    CHECK(!store_wants_growth(f.store));
    static char block[600000];
    CHECK_INT(store_put(f.store, bytes_str("k"), bytes_of(block, sizeof(block))), 0);
    CHECK_INT(commit(&f), 0);
    CHECK(store_wants_growth(f.store));
    CHECK_INT(store_grow(f.store, &f.err), 0);
    CHECK(!store_wants_growth(f.store));
    struct store_stats stats;
    store_stats(f.store, &stats);
    CHECK_INT(stats.map_bytes, 2 << 20);
    CHECK(stats.used_bytes > 600000);
    CHECK_INT(stats.entries, 1);
    CHECK_INT(stats.commits, 1);
    /* Reopened with the small first size, what is stored still fits. */
    store_close(f.store);
    open_store(&f, UINT64_C(4) << 16, 0);
    struct bytes got;
    CHECK_INT(store_get(f.store, bytes_str("k"), &got), 0);
    CHECK_INT(got.size, sizeof(block));
    tear_down(&f);
}

static void free_disk_is_compared_with_the_reserve(void)
{
    struct fixture f;
    set_up(&f);
    CHECK_INT(store_check_space(f.store, &f.err), 0);
    store_close(f.store);
    char path[300];
    snprintf(path, sizeof(path), "%s/acme", f.folder);
    struct store_options options = {.path = path, .reserve_bytes = UINT64_MAX};
    CHECK_INT(store_open(&f.store, &options, &f.err), 0);
    CHECK_INT(store_check_space(f.store, &f.err), ERROR_FULL);
    CHECK(strstr(f.err.message, "reserve") != NULL);
    tear_down(&f);
}

/* ---- other openings ---- */

/* In a child: a process must not open one folder twice. Returns the child's verdict. */
static int in_child(struct fixture *f, int (*fn)(struct fixture *f))
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        _exit(fn(f));
    }
    int status = 1;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int read_beside(struct fixture *f)
{
    char path[300];
    snprintf(path, sizeof(path), "%s/acme", f->folder);
    struct store_options options = {.path = path, .is_read_only = true};
    struct fixture reader = {.folder = "", .store = NULL};
    if (store_open(&reader.store, &options, &reader.err) != 0) {
        printf("# %s\n", reader.err.message);
        fflush(stdout);
        return 1;
    }
    bool sees_old = has(&reader, "a", "1") && has(&reader, "b", NULL);
    bool is_fenced = put(&reader, "c", "1") == ERROR_INVALID &&
                     store_nested_begin(reader.store) == ERROR_INVALID &&
                     store_grow(reader.store, NULL) == ERROR_INVALID;
    store_close(reader.store);
    return sees_old && is_fenced ? 0 : 2;
}

static void a_reader_may_look_beside_a_writer(void)
{
    struct fixture f;
    set_up(&f);
    CHECK_INT(put(&f, "a", "1"), 0);
    CHECK_INT(commit(&f), 0);
    CHECK_INT(put(&f, "a", "2"), 0);
    CHECK_INT(put(&f, "b", "2"), 0);
    CHECK_INT(in_child(&f, read_beside), 0);
    CHECK_INT(commit(&f), 0);
    CHECK(has(&f, "a", "2"));
    tear_down(&f);
}

static void a_missing_store_is_not_made_by_a_reader(void)
{
    struct fixture f;
    set_up(&f);
    char path[300];
    snprintf(path, sizeof(path), "%s/nobody", f.folder);
    struct store_options options = {.path = path, .is_read_only = true};
    struct store *store = NULL;
    CHECK_INT(store_open(&store, &options, &f.err), ERROR_NOT_FOUND);
    CHECK(store == NULL);
    CHECK(access(path, F_OK) != 0);
    CHECK(strstr(f.err.message, "nobody") != NULL);
    tear_down(&f);
}

static void a_damaged_file_is_corrupt(void)
{
    struct fixture f;
    set_up(&f);
    CHECK_INT(put(&f, "a", "1"), 0);
    CHECK_INT(commit(&f), 0);
    store_close(f.store);
    char path[300];
    snprintf(path, sizeof(path), "%s/acme/data.mdb", f.folder);
    FILE *file = fopen(path, "r+");
    CHECK(file != NULL);
    for (int i = 0; i < 8192; i++) {
        fputc('!', file);
    }
    fclose(file);
    snprintf(path, sizeof(path), "%s/acme", f.folder);
    struct store_options options = {.path = path};
    CHECK_INT(store_open(&f.store, &options, &f.err), ERROR_CORRUPT);
    CHECK(f.store == NULL);
    tear_down(&f);
}

static void only_the_owner_can_read_the_files(void)
{
    struct fixture f;
    set_up(&f);
    static const struct {
        const char *name;
        unsigned mode;
    } CASES[] = {{"acme", 0700}, {"acme/data.mdb", 0600}, {"acme/lock.mdb", 0600}};
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        char path[300];
        snprintf(path, sizeof(path), "%s/%s", f.folder, CASES[i].name);
        struct stat st;
        CHECK_INT(stat(path, &st), 0);
        CHECK_INT(st.st_mode & 0777, CASES[i].mode);
    }
    tear_down(&f);
}

static bool file_contains(const char *path, const char *text)
{
    FILE *file = fopen(path, "r");
    size_t matched = 0;
    int c;
    while (file != NULL && text[matched] != '\0' && (c = fgetc(file)) != EOF) {
        matched = c == text[matched] ? matched + 1 : (c == text[0] ? 1 : 0);
    }
    if (file != NULL) {
        fclose(file);
    }
    return text[matched] == '\0';
}

static void a_copy_holds_the_data_but_nothing_deleted(void)
{
    struct fixture f;
    set_up(&f);
    CHECK_INT(put(&f, "person", "jane@example.com"), 0);
    CHECK_INT(put(&f, "kept", "yes"), 0);
    CHECK_INT(commit(&f), 0);
    CHECK_INT(store_delete(f.store, bytes_str("person")), 0);
    CHECK_INT(commit(&f), 0);
    char copy[300];
    snprintf(copy, sizeof(copy), "%s/copy", f.folder);
    CHECK_INT(store_copy(f.store, copy, &f.err), ERROR_NOT_FOUND);
    CHECK_INT(mkdir(copy, 0700), 0);
    CHECK_INT(store_copy(f.store, copy, &f.err), 0);
    CHECK_INT(store_copy(f.store, copy, &f.err), ERROR_EXISTS);
    char path[320];
    snprintf(path, sizeof(path), "%s/acme/data.mdb", f.folder);
    CHECK(file_contains(path, "jane@example"));
    snprintf(path, sizeof(path), "%s/data.mdb", copy);
    CHECK(!file_contains(path, "jane@example"));
    struct stat st;
    CHECK_INT(stat(path, &st), 0);
    CHECK_INT(st.st_mode & 0777, 0600);
    store_close(f.store);
    struct store_options options = {.path = copy};
    CHECK_INT(store_open(&f.store, &options, &f.err), 0);
    CHECK(has(&f, "kept", "yes"));
    CHECK(has(&f, "person", NULL));
    tear_down(&f);
}

static void an_empty_store_can_be_copied(void)
{
    struct fixture f;
    set_up(&f);
    char copy[300];
    snprintf(copy, sizeof(copy), "%s/copy", f.folder);
    CHECK_INT(mkdir(copy, 0700), 0);
    CHECK_INT(store_copy(f.store, copy, &f.err), 0);
    tear_down(&f);
}

static void a_synced_store_commits_too(void)
{
    struct fixture f;
    set_up(&f);
    store_close(f.store);
    char path[300];
    snprintf(path, sizeof(path), "%s/synced", f.folder);
    struct store_options options = {.path = path};
    CHECK_INT(store_open(&f.store, &options, &f.err), 0);
    CHECK_INT(put(&f, "a", "1"), 0);
    CHECK_INT(commit(&f), 0);
    CHECK(has(&f, "a", "1"));
    tear_down(&f);
}

/* True when the store's data file holds these bytes anywhere. */
static bool file_holds(struct fixture *f, const char *text)
{
    char path[320];
    snprintf(path, sizeof(path), "%s/acme/data.mdb", f->folder);
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    struct buf all;
    buf_init(&all, UINT64_C(64) << 20);
    char chunk[65536];
    size_t got = 0;
    while (file != NULL && (got = fread(chunk, 1, sizeof(chunk), file)) > 0) {
        CHECK_INT(buf_add(&all, chunk, got), 0);
    }
    if (file != NULL) {
        fclose(file);
    }
    bool is_found = all.size > 0 && memmem(all.data, all.size, text, strlen(text)) != NULL;
    buf_free(&all);
    return is_found;
}

/* Small neighbours on one leaf page: what is deleted between them stays in the page's gap. */
static void put_people(struct fixture *f)
{
    char key[32];
    char value[64];
    for (int i = 0; i < 2000; i++) {
        snprintf(key, sizeof(key), "person:%04d", i);
        snprintf(value, sizeof(value), "%s %d", i % 5 == 0 ? "Evelyn Marchbanks" : "nobody", i);
        CHECK_INT(put(f, key, value), 0);
    }
    CHECK_INT(commit(f), 0);
    for (int i = 0; i < 2000; i += 5) {
        snprintf(key, sizeof(key), "person:%04d", i);
        CHECK_INT(store_delete(f->store, bytes_str(key)), 0);
    }
    CHECK_INT(commit(f), 0);
}

static void a_compacted_file_holds_nothing_deleted(void)
{
    struct fixture f;
    set_up(&f);
    put_people(&f);
    CHECK(has(&f, "person:0001", "nobody 1"));
    CHECK(file_holds(&f, "Marchbanks"));
    CHECK_INT(store_compact(f.store, &f.err), 0);
    CHECK(!file_holds(&f, "Marchbanks"));
    CHECK(has(&f, "person:0001", "nobody 1"));
    CHECK(has(&f, "person:0005", NULL));
    CHECK_INT(put(&f, "later", "kept"), 0);
    CHECK_INT(commit(&f), 0);
    store_close(f.store);
    open_store(&f, UINT64_C(4) << 20, 0);
    CHECK(has(&f, "later", "kept"));
    CHECK(has(&f, "person:1999", "nobody 1999"));
    CHECK_INT(store_compact(f.store, &f.err), 0);
    CHECK_INT(store_grow(f.store, &f.err), 0);
    CHECK(has(&f, "later", "kept"));
    tear_down(&f);
}

static void what_a_dead_compaction_left_is_removed(void)
{
    struct fixture f;
    set_up(&f);
    CHECK_INT(put(&f, "a", "1"), 0);
    CHECK_INT(commit(&f), 0);
    store_close(f.store);
    char folder[300];
    char path[320];
    snprintf(folder, sizeof(folder), "%s/acme/aside", f.folder);
    snprintf(path, sizeof(path), "%s/data.mdb", folder);
    CHECK_INT(mkdir(folder, 0700), 0);
    FILE *half = fopen(path, "w");
    CHECK(half != NULL && fputs("half", half) > 0 && fclose(half) == 0);
    open_store(&f, UINT64_C(4) << 20, 0);
    CHECK(access(folder, F_OK) != 0);
    CHECK(has(&f, "a", "1"));
    CHECK_INT(store_compact(f.store, &f.err), 0);
    CHECK(access(folder, F_OK) != 0);
    tear_down(&f);
}

static void an_empty_store_can_be_compacted(void)
{
    struct fixture f;
    set_up(&f);
    CHECK_INT(store_compact(f.store, &f.err), 0);
    CHECK_INT(put(&f, "a", "1"), 0);
    CHECK_INT(commit(&f), 0);
    CHECK(has(&f, "a", "1"));
    tear_down(&f);
}

int main(void)
{
    tap_case("a turn sees its own writes", a_turn_sees_its_own_writes);
    tap_case("an aborted turn leaves nothing", an_aborted_turn_leaves_nothing);
    tap_case("a nested abort keeps what was outside", a_nested_abort_keeps_what_was_outside);
    tap_case("a nested commit is kept by the turn", a_nested_commit_is_kept_by_the_turn);
    tap_case("only kept writes make it dirty", only_kept_writes_make_it_dirty);
    tap_case("committed data survives a reopen", committed_data_survives_a_reopen);
    tap_case("bad keys are refused", bad_keys_are_refused);
    tap_case("ranges go both ways, in and out of a turn", ranges_go_both_ways);
    tap_case("prefixes of any bytes work", prefixes_of_any_bytes_work);
    tap_case("a range stops when told", a_range_stops_when_told);
    tap_case("an empty store has empty ranges", an_empty_store_has_empty_ranges);
    tap_case("a failed write is told again and stays in its unit",
             a_failed_write_is_told_again_and_stays_in_its_unit);
    tap_case("a full map is dropped, grown and works again",
             a_full_map_is_dropped_grown_and_works_again);
    tap_case("a store asks to grow in time", a_store_asks_to_grow_in_time);
    tap_case("free disk is compared with the reserve", free_disk_is_compared_with_the_reserve);
    tap_case("a reader may look beside a writer", a_reader_may_look_beside_a_writer);
    tap_case("a missing store is not made by a reader", a_missing_store_is_not_made_by_a_reader);
    tap_case("a damaged file is corrupt", a_damaged_file_is_corrupt);
    tap_case("only the owner can read the files", only_the_owner_can_read_the_files);
    tap_case("a copy holds the data but nothing deleted",
             a_copy_holds_the_data_but_nothing_deleted);
    tap_case("an empty store can be copied", an_empty_store_can_be_copied);
    tap_case("a synced store commits too", a_synced_store_commits_too);
    tap_case("a compacted file holds nothing deleted", a_compacted_file_holds_nothing_deleted);
    tap_case("what a dead compaction left is removed", what_a_dead_compaction_left_is_removed);
    tap_case("an empty store can be compacted", an_empty_store_can_be_compacted);
    return tap_done();
}
