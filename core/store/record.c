/* Encoding of stored values. A reader that ran out of bytes stays bad and gives zeros. */
#include "core/store/record.h"

#include <string.h>

#include "core/base/xalloc.h"

static void put_big_endian(struct buf *out, uint64_t value, unsigned size)
{
    unsigned char bytes[8];
    for (unsigned i = 0; i < size; i++) {
        bytes[i] = (unsigned char)(value >> (8 * (size - 1 - i)));
    }
    (void)buf_add(out, bytes, size); /* failure is sticky in the buffer */
}

void record_begin(struct buf *out, uint8_t version)
{
    put_big_endian(out, version, 1);
}

void record_u8(struct buf *out, uint8_t value)
{
    put_big_endian(out, value, 1);
}

void record_u32(struct buf *out, uint32_t value)
{
    put_big_endian(out, value, 4);
}

void record_u64(struct buf *out, uint64_t value)
{
    put_big_endian(out, value, 8);
}

void record_i64(struct buf *out, int64_t value)
{
    put_big_endian(out, (uint64_t)value, 8);
}

void record_bytes(struct buf *out, struct bytes value)
{
    if (value.size > RECORD_MAX_BYTES) {
        out->has_failed = true; /* no reader would accept it */
        return;
    }
    put_big_endian(out, value.size, 4);
    (void)buf_add(out, value.data, value.size);
}

void record_str(struct buf *out, const char *value)
{
    record_bytes(out, bytes_str(value));
}

/* The next size bytes, or NULL (and bad) when there are fewer. */
static const unsigned char *take(struct record_reader *r, size_t size)
{
    if (r->is_bad || r->rest.size < size) {
        r->is_bad = true;
        return NULL;
    }
    const unsigned char *at = (const unsigned char *)r->rest.data;
    r->rest = bytes_of(r->rest.data + size, r->rest.size - size);
    return at;
}

static uint64_t get_big_endian(struct record_reader *r, unsigned size)
{
    const unsigned char *at = take(r, size);
    uint64_t value = 0;
    for (unsigned i = 0; at != NULL && i < size; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

void record_open(struct record_reader *r, struct bytes value)
{
    r->rest = value;
    r->is_bad = false;
    r->version = (uint8_t)get_big_endian(r, 1);
}

uint8_t record_get_u8(struct record_reader *r)
{
    return (uint8_t)get_big_endian(r, 1);
}

uint32_t record_get_u32(struct record_reader *r)
{
    return (uint32_t)get_big_endian(r, 4);
}

uint64_t record_get_u64(struct record_reader *r)
{
    return get_big_endian(r, 8);
}

int64_t record_get_i64(struct record_reader *r)
{
    return (int64_t)get_big_endian(r, 8);
}

struct bytes record_get_bytes(struct record_reader *r)
{
    uint32_t size = record_get_u32(r);
    if (size > RECORD_MAX_BYTES) {
        r->is_bad = true;
    }
    const unsigned char *at = take(r, size);
    return at == NULL ? bytes_of("", 0) : bytes_of(at, size);
}

char *record_get_str(struct record_reader *r)
{
    struct bytes value = record_get_bytes(r);
    char *text = xmalloc(value.size + 1);
    memcpy(text, value.data, value.size);
    text[value.size] = '\0';
    return text;
}
