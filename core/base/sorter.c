/*
 * A row is two sizes, key and value. The last run stays in memory; each run has a head, which is
 * its next row, and the heads form a heap: smallest key first, the earlier run first among equals.
 */
#include "core/base/sorter.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/spool.h"
#include "core/base/xalloc.h"

#define HEAD_BYTES  (2 * sizeof(uint32_t))
#define BLOCK_BYTES ((size_t)16 << 10) /* read from a run at a time */

struct run {
    uint64_t at; /* of the next block in the file */
    uint64_t end;
    char *block; /* of the file, or the rows in memory */
    size_t size;
    size_t offset; /* of the head in block */
    size_t capacity;
};

struct sorter {
    char *folder;
    struct spool *file; /* NULL until a run is full */
    char *rows;         /* the run being filled, SORTER_RUN_BYTES */
    size_t rows_size;
    const char **order; /* of rows, by key once sorted */
    size_t count;
    size_t order_capacity;
    struct run *runs;
    size_t run_count;
    size_t *heap;
    size_t heap_size;
    bool is_reading;
    int rc; /* of reading; lasts */
};

static struct bytes key_at(const char *row)
{
    uint32_t size;
    memcpy(&size, row, sizeof size);
    return bytes_of(row + HEAD_BYTES, size);
}

static size_t row_size(const char *row)
{
    uint32_t sizes[2];
    memcpy(sizes, row, sizeof sizes);
    return HEAD_BYTES + sizes[0] + sizes[1];
}

struct sorter *sorter_new(const char *folder)
{
    struct sorter *s = xcalloc(1, sizeof *s);
    s->folder = xstrdup(folder);
    return s;
}

void sorter_free(struct sorter *s)
{
    if (s == NULL) {
        return;
    }
    for (size_t i = 0; i < s->run_count; i++) {
        free(s->runs[i].block);
    }
    spool_free(s->file);
    free(s->runs);
    free(s->heap);
    free(s->rows);
    free((void *)s->order);
    free(s->folder);
    free(s);
}

bool sorter_is_reading(const struct sorter *s)
{
    return s->is_reading;
}

/* ---- filling ---- */

static int compare_rows(const void *a, const void *b)
{
    const char *x = *(const char *const *)a;
    const char *y = *(const char *const *)b;
    int order = bytes_compare(key_at(x), key_at(y));
    return order != 0 ? order : (x > y) - (x < y);
}

/* The filled run, sorted, as one piece of memory. */
static char *take_sorted(struct sorter *s)
{
    qsort((void *)s->order, s->count, sizeof *s->order, compare_rows);
    char *sorted = xmalloc(s->rows_size + 1);
    size_t at = 0;
    for (size_t i = 0; i < s->count; i++) {
        size_t size = row_size(s->order[i]);
        memcpy(sorted + at, s->order[i], size);
        at += size;
    }
    return sorted;
}

static struct run *add_run(struct sorter *s)
{
    s->runs = xrealloc(s->runs, (s->run_count + 1) * sizeof *s->runs);
    struct run *run = &s->runs[s->run_count++];
    memset(run, 0, sizeof *run);
    return run;
}

static int write_run(struct sorter *s)
{
    struct error err;
    if (s->file == NULL) {
        s->file = spool_new(s->folder, SORTER_MAX_BYTES, &err);
        if (s->file == NULL) {
            return err.code;
        }
    }
    char *sorted = take_sorted(s);
    uint64_t at = spool_size(s->file);
    int rc = spool_add(s->file, sorted, s->rows_size);
    free(sorted);
    if (rc == 0) {
        struct run *run = add_run(s);
        run->at = at;
        run->end = at + s->rows_size;
        s->rows_size = 0;
        s->count = 0;
    }
    return rc;
}

int sorter_add(struct sorter *s, struct bytes key, struct bytes value)
{
    assert(!s->is_reading);
    if (key.size > SORTER_RUN_BYTES || value.size > SORTER_RUN_BYTES ||
        HEAD_BYTES + key.size + value.size > SORTER_RUN_BYTES) {
        return ERROR_LIMIT;
    }
    size_t size = HEAD_BYTES + key.size + value.size;
    int rc = s->rows_size + size > SORTER_RUN_BYTES ? write_run(s) : 0;
    if (rc != 0) {
        return rc;
    }
    if (s->rows == NULL) {
        s->rows = xmalloc(SORTER_RUN_BYTES);
    }
    if (s->count == s->order_capacity) {
        s->order_capacity = s->order_capacity == 0 ? 1024 : s->order_capacity * 2;
        s->order = xrealloc((void *)s->order, s->order_capacity * sizeof *s->order);
    }
    char *row = s->rows + s->rows_size;
    uint32_t sizes[2] = {(uint32_t)key.size, (uint32_t)value.size};
    memcpy(row, sizes, sizeof sizes);
    memcpy(row + HEAD_BYTES, key.data, key.size);
    memcpy(row + HEAD_BYTES + key.size, value.data, value.size);
    s->order[s->count++] = row;
    s->rows_size += size;
    return 0;
}

/* ---- reading ---- */

/* Reads on until the block holds `wanted` bytes from the head on. */
static int fill(struct sorter *s, struct run *run, size_t wanted)
{
    if (run->offset > 0) {
        memmove(run->block, run->block + run->offset, run->size - run->offset);
    }
    run->size -= run->offset;
    run->offset = 0;
    if (run->capacity < wanted + BLOCK_BYTES) {
        run->capacity = wanted + BLOCK_BYTES;
        run->block = xrealloc(run->block, run->capacity);
    }
    while (run->size < wanted && run->at < run->end) {
        uint64_t left = run->end - run->at;
        size_t size = left < BLOCK_BYTES ? (size_t)left : BLOCK_BYTES;
        size_t got = 0;
        int rc = spool_read(s->file, run->at, run->block + run->size, size, &got);
        if (rc != 0 || got == 0) {
            return ERROR_IO;
        }
        run->size += got;
        run->at += got;
    }
    return run->size < wanted ? ERROR_IO : 0;
}

/* Has the whole head row in the block; ERROR_NOT_FOUND at the end of the run. */
static int load_head(struct sorter *s, struct run *run)
{
    size_t left = run->size - run->offset;
    if (left == 0 && run->at == run->end) {
        return ERROR_NOT_FOUND;
    }
    int rc = left < HEAD_BYTES ? fill(s, run, HEAD_BYTES) : 0;
    if (rc == 0) {
        size_t wanted = row_size(run->block + run->offset);
        rc = run->size - run->offset < wanted ? fill(s, run, wanted) : 0;
    }
    return rc;
}

static bool is_before(const struct sorter *s, size_t a, size_t b)
{
    const struct run *x = &s->runs[a];
    const struct run *y = &s->runs[b];
    int order = bytes_compare(key_at(x->block + x->offset), key_at(y->block + y->offset));
    return order != 0 ? order < 0 : a < b;
}

static void sift_down(struct sorter *s, size_t at)
{
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < s->heap_size; child++) {
            least = is_before(s, s->heap[child], s->heap[least]) ? child : least;
        }
        if (least == at) {
            return;
        }
        size_t moved = s->heap[at];
        s->heap[at] = s->heap[least];
        s->heap[least] = moved;
        at = least;
    }
}

static int start_reading(struct sorter *s)
{
    s->is_reading = true;
    if (s->count > 0) {
        struct run *last = add_run(s);
        last->block = take_sorted(s);
        last->size = s->rows_size;
        last->capacity = s->rows_size;
    }
    free(s->rows);
    free((void *)s->order);
    s->rows = NULL;
    s->order = NULL;
    s->heap = xcalloc(s->run_count + 1, sizeof *s->heap);
    for (size_t i = 0; i < s->run_count; i++) {
        int rc = load_head(s, &s->runs[i]);
        if (rc != 0) {
            return rc;
        }
        s->heap[s->heap_size++] = i;
    }
    for (size_t i = s->heap_size; i-- > 0;) {
        sift_down(s, i);
    }
    return 0;
}

int sorter_peek(struct sorter *s, struct bytes *key_out, struct bytes *value_out)
{
    if (!s->is_reading) {
        s->rc = start_reading(s);
    }
    if (s->rc != 0 || s->heap_size == 0) {
        return s->rc != 0 ? s->rc : ERROR_NOT_FOUND;
    }
    const struct run *run = &s->runs[s->heap[0]];
    const char *row = run->block + run->offset;
    *key_out = key_at(row);
    *value_out =
        bytes_of(key_out->data + key_out->size, row_size(row) - HEAD_BYTES - key_out->size);
    return 0;
}

void sorter_skip(struct sorter *s)
{
    struct run *run = &s->runs[s->heap[0]];
    run->offset += row_size(run->block + run->offset);
    int rc = load_head(s, run);
    if (rc == ERROR_NOT_FOUND) {
        s->heap[0] = s->heap[--s->heap_size];
    } else if (rc != 0) {
        s->rc = rc; /* the rest must not look like the end */
        return;
    }
    if (s->heap_size > 0) {
        sift_down(s, 0);
    }
}
