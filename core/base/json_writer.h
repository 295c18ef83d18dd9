/* Writes JSON text into a buffer: for logs, answers of the host and records; scripts use neap.json.
 */
#ifndef NEAP_CORE_BASE_JSON_WRITER_H
#define NEAP_CORE_BASE_JSON_WRITER_H

#include "core/base/buf.h"

#define JSON_WRITER_DEPTH 32

/* Commas and colons are placed by the writer. Text that is not UTF-8 is replaced by U+FFFD. */
struct json_writer {
    struct buf *out;
    unsigned depth;
    bool needs_comma[JSON_WRITER_DEPTH];
    bool after_key;
};

void json_writer_init(struct json_writer *w, struct buf *out);
void json_object_begin(struct json_writer *w);
void json_object_end(struct json_writer *w);
void json_array_begin(struct json_writer *w);
void json_array_end(struct json_writer *w);
void json_key(struct json_writer *w, const char *key);
void json_bytes(struct json_writer *w, struct bytes value);
void json_str(struct json_writer *w, const char *value); /* NULL writes null */
void json_int(struct json_writer *w, int64_t value);
void json_bool(struct json_writer *w, bool value);
void json_null(struct json_writer *w);
void json_raw(struct json_writer *w, struct bytes json); /* trusted JSON text */

/* Members in one call. */
void json_member_str(struct json_writer *w, const char *key, const char *value);
void json_member_bytes(struct json_writer *w, const char *key, struct bytes value);
void json_member_int(struct json_writer *w, const char *key, int64_t value);
void json_member_bool(struct json_writer *w, const char *key, bool value);

/* Appends value as a quoted JSON string. */
int json_quote(struct buf *out, struct bytes value);

/* ISO 8601 UTC with milliseconds, "2026-05-04T10:02:58.000Z". out holds at least 25 bytes. */
void json_format_instant(int64_t wall_ms, char out[32]);

#endif
