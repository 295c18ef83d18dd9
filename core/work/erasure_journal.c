/*
 * That what was erased stays so: the table of erasures, the journal beside the store, and the
 * compaction that takes the bytes out of the file.
 *
 * journal = one JSON object per line: {"at_ms":,"key":,"title":,"who":,"reason":}
 *
 * The line is written after the commit of its erasure; a crash in between is made good by the next
 * erasure_attach. A line that cannot be read (torn by a crash) is skipped: its erasure is in the
 * store then.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/folder.h"
#include "core/base/json_reader.h"
#include "core/base/json_writer.h"
#include "core/base/log.h"
#include "core/base/xalloc.h"
#include "core/work/erasure_private.h"
#include "core/work/work_state.h"

#define ERASURE_VERSION  1
#define ERASURE_RETRY_MS 3600000
#define LINE_MAX_BYTES   65536

struct erasures {
    char *path; /* the journal; NULL until attached */
    struct loop_timer *timer;
    int64_t due_ms; /* monotonic: compact no sooner */
    bool wants_compaction;
    bool is_too_large; /* said so already */
};

struct line {
    char *key;
    char *who;
    char *reason;
    int64_t at_ms;
    bool with_title;
};

struct lines {
    struct line *list;
    size_t count;
};

/* ---- The table ---------------------------------------------------------------------------------
 */

static void meta_key(struct key *key, const char *name)
{
    key_begin(key, KEY_META);
    key_raw(key, bytes_str(name));
}

int erasure_store(struct work *work, const struct erasure_entry *entry)
{
    struct key key;
    struct buf value;
    key_begin(&key, KEY_ERASURE);
    key_text(&key, entry->key);
    work_value(&value, ERASURE_VERSION);
    record_str(&value, entry->key);
    record_i64(&value, entry->at_ms);
    record_u8(&value, entry->with_title ? 1 : 0);
    record_str(&value, entry->who);
    record_str(&value, entry->reason);
    int rc = work_put(work, &key, &value);
    meta_key(&key, "erasure.compact");
    return rc != 0 ? rc : work_put_mark(work, &key);
}

static void line_free(struct line *line)
{
    free(line->key);
    free(line->who);
    free(line->reason);
}

static bool decode(struct bytes value, struct line *line)
{
    struct record_reader r;
    record_open(&r, value);
    line->key = record_get_str(&r);
    line->at_ms = record_get_i64(&r);
    line->with_title = record_get_u8(&r) != 0;
    line->who = record_get_str(&r);
    line->reason = record_get_str(&r);
    if (r.is_bad || r.version != ERASURE_VERSION) {
        line_free(line);
        return false;
    }
    return true;
}

struct walk {
    erasure_fn fn;
    void *arg;
};

static int visit(void *arg, struct bytes key, struct bytes value)
{
    (void)key;
    struct walk *walk = arg;
    struct line line;
    int rc = 0;
    if (decode(value, &line)) {
        rc = walk->fn(walk->arg, line.key, line.at_ms, line.who);
        line_free(&line);
    }
    return rc;
}

int erasure_each(struct work *work, erasure_fn fn, void *arg)
{
    struct walk walk = {fn, arg};
    struct key all;
    key_begin(&all, KEY_ERASURE);
    return work_range(work, &all, false, visit, &walk);
}

/* When this key was erased last, 0 = never. */
static int64_t erased_at(struct work *work, const char *name)
{
    struct key key;
    struct bytes value;
    struct line line;
    key_begin(&key, KEY_ERASURE);
    key_text(&key, name);
    if (work_get(work, &key, &value) != 0 || !decode(value, &line)) {
        return 0;
    }
    line_free(&line);
    return line.at_ms;
}

/* ---- The journal -------------------------------------------------------------------------------
 */

static char *take_text(struct bytes json, const char *name)
{
    struct bytes value;
    struct buf text;
    buf_init(&text, LINE_MAX_BYTES);
    if (!json_find(json, name, &value) || !json_text(value, &text)) {
        buf_free(&text);
        return NULL;
    }
    return buf_take(&text, NULL);
}

static void add_line(struct lines *lines, struct bytes json)
{
    struct bytes value;
    struct line line = {.key = take_text(json, "key"),
                        .who = take_text(json, "who"),
                        .reason = take_text(json, "reason")};
    bool is_good = line.key != NULL && line.who != NULL && line.reason != NULL &&
                   json_find(json, "at_ms", &value) && json_integer(value, &line.at_ms);
    if (!is_good) {
        line_free(&line);
        return;
    }
    line.with_title = json_find(json, "title", &value) && bytes_equal(value, bytes_str("true"));
    lines->list = xrealloc(lines->list, (lines->count + 1) * sizeof(*lines->list));
    lines->list[lines->count++] = line;
}

/* By key, the newest first. */
static int compare_lines(const void *a, const void *b)
{
    const struct line *x = a;
    const struct line *y = b;
    int by_key = strcmp(x->key, y->key);
    return by_key != 0 ? by_key : (x->at_ms < y->at_ms) - (x->at_ms > y->at_ms);
}

static void lines_free(struct lines *lines)
{
    for (size_t i = 0; i < lines->count; i++) {
        line_free(&lines->list[i]);
    }
    free(lines->list);
}

static int read_file(const char *path, struct buf *out, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? 0
                               : error_set_errno(err, ERROR_IO, errno,
                                                 "reading the journal of erasures %s", path);
    }
    char chunk[16384];
    ssize_t got = 0;
    int rc = 0;
    while (rc == 0 && (got = read(fd, chunk, sizeof(chunk))) > 0) {
        rc = buf_add(out, chunk, (size_t)got);
    }
    rc = rc != 0 || got < 0 ? error_set_errno(err, ERROR_IO, rc != 0 ? EFBIG : errno,
                                              "reading the journal of erasures %s", path)
                            : 0;
    close(fd);
    return rc;
}

static int read_lines(const char *path, struct lines *lines, struct error *err)
{
    struct buf text;
    buf_init(&text, ERASURE_JOURNAL_MAX);
    memset(lines, 0, sizeof(*lines));
    int rc = read_file(path, &text, err);
    size_t at = 0;
    while (rc == 0 && at < text.size) {
        const char *end = memchr(text.data + at, '\n', text.size - at);
        size_t size = end == NULL ? text.size - at : (size_t)(end - text.data) - at;
        add_line(lines, bytes_of(text.data + at, size));
        at += size + 1;
    }
    buf_free(&text);
    if (lines->count > 0) {
        qsort(lines->list, lines->count, sizeof(*lines->list), compare_lines);
    }
    return rc;
}

static void format_line(struct buf *out, const struct line *line)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_object_begin(&w);
    json_member_int(&w, "at_ms", line->at_ms);
    json_member_str(&w, "key", line->key);
    json_member_bool(&w, "title", line->with_title);
    json_member_str(&w, "who", line->who);
    json_member_str(&w, "reason", line->reason);
    json_object_end(&w);
    buf_add_char(out, '\n');
}

static int write_all(int fd, struct bytes text)
{
    size_t at = 0;
    while (at < text.size) {
        ssize_t put = write(fd, text.data + at, text.size - at);
        if (put < 0) {
            return errno;
        }
        at += (size_t)put;
    }
    return fsync(fd) == 0 ? 0 : errno;
}

/* A line torn by a crash gets its end first. A line that may not last does not stay either: the
 * next start would read it, take it for kept, and never write it again. */
static int write_lines(int fd, const struct buf *text)
{
    char last = '\n';
    struct stat info;
    if (fstat(fd, &info) != 0 || (info.st_size > 0 && pread(fd, &last, 1, info.st_size - 1) != 1)) {
        return errno != 0 ? errno : EIO;
    }
    if (last != '\n' && write(fd, "\n", 1) != 1) {
        return errno;
    }
    int rc = write_all(fd, buf_bytes(text));
    if (rc != 0 && ftruncate(fd, info.st_size) != 0) {
        return errno;
    }
    return rc;
}

static int append(const char *path, const struct buf *text, struct error *err)
{
    int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int rc = fd < 0 ? errno : write_lines(fd, text);
    if (fd >= 0) {
        close(fd);
    }
    rc = rc != 0 ? rc : folder_sync_above(path);
    return rc == 0 ? 0
                   : error_set_errno(err, ERROR_IO, rc, "writing the journal of erasures %s", path);
}

/* ---- After the commit --------------------------------------------------------------------------
 */

struct kept {
    struct work *work;
    struct buf text; /* empty: the journal has it */
};

static void on_kept(void *arg, bool is_durable)
{
    struct kept *kept = arg;
    struct error err = {0};
    const char *path = kept->work->erasures->path;
    if (is_durable && path != NULL && kept->text.size > 0 && append(path, &kept->text, &err) != 0) {
        log_msg(LOG_ERROR, kept->work->area, "%s (it gets the line at the next start)",
                err.message);
    }
    buf_free(&kept->text);
    free(kept);
}

void erasure_written(struct work *work, const struct erasure_request *request)
{
    struct erasures *e = work->erasures;
    struct kept *kept = xcalloc(1, sizeof(*kept));
    kept->work = work;
    buf_init(&kept->text, LINE_MAX_BYTES);
    if (request->at_ms == 0) {
        struct line line = {(char *)(uintptr_t)request->key, (char *)(uintptr_t)request->who,
                            (char *)(uintptr_t)request->reason, work_now_ms(work),
                            request->with_title};
        format_line(&kept->text, &line);
    }
    e->wants_compaction = true;
    e->due_ms = clock_mono_ms(work->options.clock) + ERASURE_SETTLE_MS;
    loop_timer_start(e->timer, ERASURE_SETTLE_MS);
    turn_release(work, on_kept, kept);
}

/* ---- Both sides --------------------------------------------------------------------------------
 */

static int erase_again(struct work *work, const struct line *line, uint64_t *count)
{
    struct erasure_request request = {
        .key = line->key,
        .who = line->who,
        .reason = line->reason,
        .with_title = line->with_title,
        .at_ms = line->at_ms,
    };
    struct erasure_report report;
    struct error why;
    int rc = erasure_apply(work, &request, &report, &why);
    if (rc == 0) {
        (*count)++;
    } else if (rc == ERROR_INVALID || rc == ERROR_EXISTS) {
        log_msg(LOG_WARN, work->area, "not erased again yet: %s", why.message);
        rc = 0;
    }
    return rc;
}

int erasure_reapply(struct work *work, uint64_t *count_out, struct error *err)
{
    struct lines lines;
    *count_out = 0;
    if (work->erasures == NULL || work->erasures->path == NULL) {
        return 0;
    }
    int rc = read_lines(work->erasures->path, &lines, err);
    for (size_t i = 0; i < lines.count && rc == 0; i++) {
        const struct line *line = &lines.list[i];
        bool is_newest = i == 0 || strcmp(lines.list[i - 1].key, line->key) != 0;
        if (is_newest && erased_at(work, line->key) < line->at_ms) {
            rc = erase_again(work, line, count_out);
            rc = rc == 0 ? 0 : error_set(err, rc, "erasing again: %s", error_code_name(rc));
        }
    }
    lines_free(&lines);
    if (*count_out > 0) {
        log_msg(LOG_WARN, work->area, "restored from before %llu erasures: erased again",
                (unsigned long long)*count_out);
    }
    return rc;
}

struct telling {
    const struct lines *lines;
    struct buf missing;
};

static int add_missing(void *arg, struct bytes key, struct bytes value)
{
    (void)key;
    struct telling *t = arg;
    struct line line;
    if (!decode(value, &line)) {
        return 0;
    }
    bool is_known = false;
    for (size_t low = 0, high = t->lines->count; low < high && !is_known;) {
        size_t middle = low + (high - low) / 2;
        const struct line *at = &t->lines->list[middle];
        int order = strcmp(at->key, line.key);
        is_known = order == 0 && at->at_ms >= line.at_ms;
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle; /* the newest of a key is its first */
        }
    }
    if (!is_known) {
        format_line(&t->missing, &line);
    }
    line_free(&line);
    return 0;
}

/* What only the store knows, into the file. */
static int tell_journal(struct work *work, struct error *err)
{
    struct lines lines;
    struct telling t = {.lines = &lines};
    struct key all;
    buf_init(&t.missing, ERASURE_JOURNAL_MAX);
    int rc = read_lines(work->erasures->path, &lines, err);
    key_begin(&all, KEY_ERASURE);
    if (rc == 0) {
        rc = work_range(work, &all, false, add_missing, &t);
        rc = rc < 0 ? error_set(err, rc, "reading the erasures") : 0;
    }
    if (rc == 0 && t.missing.size > 0) {
        rc = append(work->erasures->path, &t.missing, err);
    }
    buf_free(&t.missing);
    lines_free(&lines);
    return rc;
}

int erasure_attach(struct work *work, const char *journal_path, struct error *err)
{
    uint64_t count = 0;
    free(work->erasures->path);
    work->erasures->path = xstrdup(journal_path);
    int rc = tell_journal(work, err);
    return rc != 0 ? rc : erasure_reapply(work, &count, err);
}

void erasure_catch_up(struct work *work)
{
    struct error err = {0};
    uint64_t count = 0;
    if (erasure_reapply(work, &count, &err) != 0) {
        log_msg(LOG_ERROR, work->area, "%s", err.message);
    }
}

/* ---- Compaction --------------------------------------------------------------------------------
 */

bool erasure_wants_compaction(const struct work *work)
{
    return work->erasures != NULL && work->erasures->wants_compaction;
}

int erasure_compact(struct work *work, struct error *err)
{
    struct key key;
    store_abort(work->options.store);
    int rc = store_compact(work->options.store, err);
    if (rc == ERROR_IO) {
        work->fatal = rc;
        work->fatal_error = *err;
    }
    if (rc != 0) {
        return rc;
    }
    work->erasures->wants_compaction = false;
    log_msg(LOG_INFO, work->area, "compacted: nothing erased is left in the file");
    meta_key(&key, "erasure.compact");
    rc = work_nested_begin(work);
    rc = rc != 0 ? rc : work_unit_end(work, work_delete(work, &key));
    /* Without room for that the next start compacts once more. */
    return rc == ERROR_FULL ? 0 : rc;
}

static void try_later(struct work *work, const struct error *err)
{
    struct erasures *e = work->erasures;
    log_msg(LOG_ERROR, work->area, "erased bytes are still in the file: %s", err->message);
    e->due_ms = clock_mono_ms(work->options.clock) + ERASURE_RETRY_MS;
    loop_timer_start(e->timer, ERASURE_RETRY_MS);
}

void erasure_tend(struct work *work)
{
    struct erasures *e = work->erasures;
    if (e == NULL || !e->wants_compaction || work->fatal != 0 || work->is_full ||
        clock_mono_ms(work->options.clock) < e->due_ms || store_is_dirty(work->options.store)) {
        return;
    }
    struct store_stats stats;
    store_stats(work->options.store, &stats);
    if (stats.used_bytes > ERASURE_LIVE_BYTES) {
        if (!e->is_too_large) {
            log_msg(LOG_INFO, work->area, "the erased bytes leave the file at the next start");
        }
        e->is_too_large = true;
        return;
    }
    struct error err = {0};
    if (erasure_compact(work, &err) != 0) {
        try_later(work, &err);
    }
}

/* The turn that follows is what the timer is for. */
static void on_timer(void *arg)
{
    (void)arg;
}

int erasure_open(struct work *work, struct error *err)
{
    struct key key;
    struct error why = {0};
    struct erasures *e = xcalloc(1, sizeof(*e));
    work->erasures = e;
    e->timer = loop_timer_new(work->options.loop, on_timer, work);
    meta_key(&key, "erasure.compact");
    e->wants_compaction = work_has(work, &key);
    if (!e->wants_compaction) {
        return 0;
    }
    int rc = erasure_compact(work, &why);
    if (rc == ERROR_FULL) {
        try_later(work, &why);
        rc = 0;
    }
    return rc == 0 ? 0 : error_set(err, rc, "%s", why.message);
}

void erasure_close(struct work *work)
{
    if (work->erasures != NULL) {
        loop_timer_free(work->erasures->timer);
        free(work->erasures->path);
        free(work->erasures);
        work->erasures = NULL;
    }
}

uint64_t erasure_stored_generation(struct store *store)
{
    struct key key;
    struct bytes value;
    struct record_reader r;
    meta_key(&key, "generation");
    if (store_get(store, key_bytes(&key), &value) != 0) {
        return 0;
    }
    record_open(&r, value);
    uint64_t generation = record_get_u64(&r);
    return r.is_bad ? 0 : generation;
}
