/* JSON text writer. Depth is a programming matter, so passing JSON_WRITER_DEPTH is an assertion. */
#define _GNU_SOURCE
#include "core/base/json_writer.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void json_writer_init(struct json_writer *w, struct buf *out)
{
    memset(w, 0, sizeof(*w));
    w->out = out;
}

static void before_value(struct json_writer *w)
{
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (w->needs_comma[w->depth]) {
        buf_add_char(w->out, ',');
    }
    w->needs_comma[w->depth] = true;
}

static void open_level(struct json_writer *w, char c)
{
    before_value(w);
    buf_add_char(w->out, c);
    w->depth++;
    assert(w->depth < JSON_WRITER_DEPTH);
    w->needs_comma[w->depth] = false;
}

static void close_level(struct json_writer *w, char c)
{
    assert(w->depth > 0);
    w->depth--;
    buf_add_char(w->out, c);
}

void json_object_begin(struct json_writer *w)
{
    open_level(w, '{');
}

void json_object_end(struct json_writer *w)
{
    close_level(w, '}');
}

void json_array_begin(struct json_writer *w)
{
    open_level(w, '[');
}

void json_array_end(struct json_writer *w)
{
    close_level(w, ']');
}

void json_key(struct json_writer *w, const char *key)
{
    before_value(w);
    json_quote(w->out, bytes_str(key));
    buf_add_char(w->out, ':');
    w->after_key = true;
}

void json_bytes(struct json_writer *w, struct bytes value)
{
    before_value(w);
    json_quote(w->out, value);
}

void json_str(struct json_writer *w, const char *value)
{
    if (value == NULL) {
        json_null(w);
    } else {
        json_bytes(w, bytes_str(value));
    }
}

void json_int(struct json_writer *w, int64_t value)
{
    before_value(w);
    buf_addf(w->out, "%lld", (long long)value);
}

void json_bool(struct json_writer *w, bool value)
{
    before_value(w);
    buf_add_str(w->out, value ? "true" : "false");
}

void json_null(struct json_writer *w)
{
    before_value(w);
    buf_add_str(w->out, "null");
}

void json_raw(struct json_writer *w, struct bytes json)
{
    before_value(w);
    buf_add(w->out, json.data, json.size);
}

void json_member_str(struct json_writer *w, const char *key, const char *value)
{
    json_key(w, key);
    json_str(w, value);
}

void json_member_bytes(struct json_writer *w, const char *key, struct bytes value)
{
    json_key(w, key);
    json_bytes(w, value);
}

void json_member_int(struct json_writer *w, const char *key, int64_t value)
{
    json_key(w, key);
    json_int(w, value);
}

void json_member_bool(struct json_writer *w, const char *key, bool value)
{
    json_key(w, key);
    json_bool(w, value);
}

/* Length of the UTF-8 sequence at s (RFC 3629: no overlongs, no surrogates), 0 when malformed. */
static size_t utf8_length(const unsigned char *s, size_t left)
{
    if (s[0] < 0x80) {
        return 1;
    }
    size_t length = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || length > left) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool is_bad = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
                  (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f);
    return is_bad ? 0 : length;
}

static void quote_ascii(struct buf *out, unsigned char c)
{
    switch (c) {
    case '"':
        buf_add_str(out, "\\\"");
        break;
    case '\\':
        buf_add_str(out, "\\\\");
        break;
    case '\n':
        buf_add_str(out, "\\n");
        break;
    case '\r':
        buf_add_str(out, "\\r");
        break;
    case '\t':
        buf_add_str(out, "\\t");
        break;
    default:
        if (c < 0x20 || c == 0x7f) {
            buf_addf(out, "\\u%04x", c);
        } else {
            buf_add_char(out, (char)c);
        }
    }
}

int json_quote(struct buf *out, struct bytes value)
{
    const unsigned char *s = (const unsigned char *)value.data;
    buf_add_char(out, '"');
    for (size_t i = 0; i < value.size;) {
        size_t length = utf8_length(s + i, value.size - i);
        if (length == 0) {
            buf_add_str(out, "\xef\xbf\xbd");
            i++;
        } else if (length == 1) {
            quote_ascii(out, s[i]);
            i++;
        } else {
            buf_add(out, s + i, length);
            i += length;
        }
    }
    return buf_add_char(out, '"');
}

void json_format_instant(int64_t wall_ms, char out[32])
{
    int64_t seconds = wall_ms / 1000;
    int64_t millis = wall_ms % 1000;
    if (millis < 0) {
        millis += 1000;
        seconds--;
    }
    time_t when = (time_t)seconds;
    struct tm parts;
    if (gmtime_r(&when, &parts) == NULL) {
        memset(&parts, 0, sizeof(parts));
    }
    size_t used = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(out + used, 32 - used, ".%03dZ", (int)millis);
}
