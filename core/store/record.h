/*
 * Encoding of stored values: a format version byte, then fields in a fixed order.
 * Integers are big-endian; texts are a 32-bit length and the bytes.
 */
#ifndef NEAP_CORE_STORE_RECORD_H
#define NEAP_CORE_STORE_RECORD_H

#include "core/base/buf.h"

#define RECORD_MAX_BYTES (64u << 20)

/* Writing: appends to buf (initialised by the caller). */
void record_begin(struct buf *out, uint8_t version);
void record_u8(struct buf *out, uint8_t value);
void record_u32(struct buf *out, uint32_t value);
void record_u64(struct buf *out, uint64_t value);
void record_i64(struct buf *out, int64_t value);
void record_bytes(struct buf *out, struct bytes value);
void record_str(struct buf *out, const char *value); /* NULL is stored as empty */

/* Reading: any short or oversized field sets is_bad and yields zero or empty; check once at the
 * end. */
struct record_reader {
    struct bytes rest;
    uint8_t version;
    bool is_bad;
};

void record_open(struct record_reader *r, struct bytes value); /* reads the version */
uint8_t record_get_u8(struct record_reader *r);
uint32_t record_get_u32(struct record_reader *r);
uint64_t record_get_u64(struct record_reader *r);
int64_t record_get_i64(struct record_reader *r);
struct bytes record_get_bytes(struct record_reader *r); /* borrowed from the value */
char *record_get_str(struct record_reader *r);          /* owned copy, free() */

#endif
