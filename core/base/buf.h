/* A growable byte buffer with a hard maximum, and borrowed byte ranges. */
#ifndef NEAP_CORE_BASE_BUF_H
#define NEAP_CORE_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/errors.h"

/* A borrowed range of bytes: not owned, not terminated. */
struct bytes {
    const char *data;
    size_t size;
};

static inline struct bytes bytes_of(const void *data, size_t size)
{
    struct bytes b = {data, size};
    return b;
}

struct bytes bytes_str(const char *text); /* without the terminator; NULL gives an empty range */
bool bytes_equal(struct bytes a, struct bytes b);
int bytes_compare(struct bytes a, struct bytes b); /* memcmp order, shorter first */

/*
 * Owned bytes, always NUL-terminated after `size` (the NUL is not counted) once anything was added.
 * An append that fails leaves the content as it was; the failure is sticky until buf_reset.
 */
struct buf {
    char *data;
    size_t size;
    size_t capacity;
    size_t max;
    bool has_failed;
};

void buf_init(struct buf *b, size_t max); /* there is no form without a maximum */
void buf_free(struct buf *b);             /* frees the bytes; b may be used again after buf_init */
void buf_reset(struct buf *b);            /* empties, keeps the memory */

/* 0, or ERROR_LIMIT when max would be passed (or memory is out). */
int buf_add(struct buf *b, const void *data, size_t size);
int buf_add_str(struct buf *b, const char *text);
int buf_add_char(struct buf *b, char c);
int buf_addf(struct buf *b, const char *fmt, ...) NEAP_PRINTF(2, 3);
int buf_reserve(struct buf *b, size_t extra);

struct bytes buf_bytes(const struct buf *b);
const char *buf_text(const struct buf *b); /* never NULL */

/* Gives the memory to the caller (free()); the buffer is empty afterwards. Never NULL. */
char *buf_take(struct buf *b, size_t *size_out);

#endif
