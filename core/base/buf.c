/* Growable byte buffer. Capacity doubles; `max` bounds the content, not the allocation. */
#include "core/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/xalloc.h"

#define BUF_FIRST_CAPACITY 128

struct bytes bytes_str(const char *text)
{
    return bytes_of(text == NULL ? "" : text, text == NULL ? 0 : strlen(text));
}

bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

int bytes_compare(struct bytes a, struct bytes b)
{
    size_t shared = a.size < b.size ? a.size : b.size;
    int order = shared == 0 ? 0 : memcmp(a.data, b.data, shared);
    if (order != 0) {
        return order;
    }
    return a.size == b.size ? 0 : (a.size < b.size ? -1 : 1);
}

void buf_init(struct buf *b, size_t max)
{
    memset(b, 0, sizeof(*b));
    b->max = max;
}

void buf_free(struct buf *b)
{
    free(b->data);
    size_t max = b->max;
    buf_init(b, max);
}

void buf_reset(struct buf *b)
{
    b->size = 0;
    b->has_failed = false;
    if (b->data != NULL) {
        b->data[0] = '\0';
    }
}

int buf_reserve(struct buf *b, size_t extra)
{
    if (b->has_failed || extra > b->max || b->size > b->max - extra) {
        b->has_failed = true;
        return ERROR_LIMIT;
    }
    size_t needed = b->size + extra + 1;
    if (needed <= b->capacity) {
        return 0;
    }
    size_t capacity = b->capacity == 0 ? BUF_FIRST_CAPACITY : b->capacity;
    while (capacity < needed) {
        capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
    }
    char *grown = realloc(b->data, capacity);
    if (grown == NULL) {
        b->has_failed = true;
        return ERROR_LIMIT;
    }
    b->data = grown;
    b->capacity = capacity;
    return 0;
}

int buf_add(struct buf *b, const void *data, size_t size)
{
    int rc = buf_reserve(b, size);
    if (rc != 0) {
        return rc;
    }
    if (size > 0) {
        memcpy(b->data + b->size, data, size);
    }
    b->size += size;
    b->data[b->size] = '\0';
    return 0;
}

int buf_add_str(struct buf *b, const char *text)
{
    return buf_add(b, text, strlen(text));
}

int buf_add_char(struct buf *b, char c)
{
    return buf_add(b, &c, 1);
}

int buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    va_list again;
    va_copy(again, args);
    /* Mostly it fits into what is there: then one formatting is enough. */
    size_t room = b->data == NULL || b->has_failed ? 0 : b->capacity - b->size;
    int size = vsnprintf(room == 0 ? NULL : b->data + b->size, room, fmt, args);
    va_end(args);
    int rc = size < 0 ? ERROR_INVALID : buf_reserve(b, (size_t)size);
    if (rc != 0 && room > 0) {
        b->data[b->size] = '\0';
    } else if (rc == 0) {
        if ((size_t)size >= room) {
            vsnprintf(b->data + b->size, (size_t)size + 1, fmt, again);
        }
        b->size += (size_t)size;
    }
    va_end(again);
    return rc;
}

struct bytes buf_bytes(const struct buf *b)
{
    return bytes_of(b->data == NULL ? "" : b->data, b->size);
}

const char *buf_text(const struct buf *b)
{
    return b->data == NULL ? "" : b->data;
}

char *buf_take(struct buf *b, size_t *size_out)
{
    char *data = b->data == NULL ? xstrdup("") : b->data;
    if (size_out != NULL) {
        *size_out = b->size;
    }
    b->data = NULL;
    b->capacity = 0;
    b->size = 0;
    return data;
}
