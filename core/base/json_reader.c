/* Looks into JSON text by skipping over values; nothing is built. */
#include "core/base/json_reader.h"

#include <stdlib.h>
#include <string.h>

#define JSON_READER_DEPTH 64

static void skip_space(struct bytes *at)
{
    while (at->size > 0 && strchr(" \t\r\n", at->data[0]) != NULL && at->data[0] != '\0') {
        at->data++;
        at->size--;
    }
}

static void skip(struct bytes *at, size_t size)
{
    at->data += size;
    at->size -= size;
}

static bool take(struct bytes *at, char c)
{
    skip_space(at);
    if (at->size == 0 || at->data[0] != c) {
        return false;
    }
    skip(at, 1);
    return true;
}

static bool skip_string(struct bytes *at)
{
    if (!take(at, '"')) {
        return false;
    }
    while (at->size > 0 && at->data[0] != '"') {
        size_t step = at->data[0] == '\\' ? 2 : 1;
        if (step > at->size) {
            return false;
        }
        skip(at, step);
    }
    return take(at, '"');
}

/* Containers are skipped by counting brackets outside strings. */
static bool skip_container(struct bytes *at)
{
    int depth = 0;
    while (at->size > 0) {
        char c = at->data[0];
        if (c == '"') {
            if (!skip_string(at)) {
                return false;
            }
            continue;
        }
        depth += c == '{' || c == '[' ? 1 : c == '}' || c == ']' ? -1 : 0;
        skip(at, 1);
        if (depth == 0) {
            return true;
        }
        if (depth > JSON_READER_DEPTH) {
            return false;
        }
    }
    return false;
}

static bool skip_value(struct bytes *at)
{
    skip_space(at);
    if (at->size == 0) {
        return false;
    }
    char c = at->data[0];
    if (c == '"') {
        return skip_string(at);
    }
    if (c == '{' || c == '[') {
        return skip_container(at);
    }
    const char *before = at->data;
    while (at->size > 0 && at->data[0] != '\0' && strchr(",]} \t\r\n", at->data[0]) == NULL) {
        skip(at, 1);
    }
    return at->data > before;
}

static bool take_value(struct bytes *at, struct bytes *value_out)
{
    skip_space(at);
    const char *begin = at->data;
    if (!skip_value(at)) {
        return false;
    }
    *value_out = bytes_of(begin, (size_t)(at->data - begin));
    return true;
}

bool json_member(struct bytes *rest_inout, struct bytes *name_out, struct bytes *value_out)
{
    struct bytes at = *rest_inout;
    struct bytes name;
    if (!take(&at, '{') && !take(&at, ',')) {
        return false;
    }
    skip_space(&at);
    if (at.size == 0 || at.data[0] != '"' || !take_value(&at, &name) || !take(&at, ':') ||
        !take_value(&at, value_out)) {
        return false;
    }
    *name_out = bytes_of(name.data + 1, name.size - 2);
    *rest_inout = at;
    return true;
}

bool json_find(struct bytes json, const char *key, struct bytes *value_out)
{
    struct bytes name;
    struct bytes value;
    while (json_member(&json, &name, &value)) {
        if (bytes_equal(name, bytes_str(key))) {
            *value_out = value;
            return true;
        }
    }
    return false;
}

bool json_next(struct bytes *rest_inout, struct bytes *value_out)
{
    struct bytes at = *rest_inout;
    if (!take(&at, '[') && !take(&at, ',')) {
        return false;
    }
    if (!take_value(&at, value_out)) {
        return false;
    }
    *rest_inout = at;
    return true;
}

static unsigned read_hex4(const char *digits)
{
    char text[5] = {digits[0], digits[1], digits[2], digits[3], '\0'};
    return (unsigned)strtoul(text, NULL, 16);
}

static void add_utf8(struct buf *out, unsigned code)
{
    if (code < 0x80) {
        buf_add_char(out, (char)code);
    } else if (code < 0x800) {
        buf_add_char(out, (char)(0xc0 | (code >> 6)));
        buf_add_char(out, (char)(0x80 | (code & 0x3f)));
    } else if (code < 0x10000) {
        buf_add_char(out, (char)(0xe0 | (code >> 12)));
        buf_add_char(out, (char)(0x80 | ((code >> 6) & 0x3f)));
        buf_add_char(out, (char)(0x80 | (code & 0x3f)));
    } else {
        buf_add_char(out, (char)(0xf0 | (code >> 18)));
        buf_add_char(out, (char)(0x80 | ((code >> 12) & 0x3f)));
        buf_add_char(out, (char)(0x80 | ((code >> 6) & 0x3f)));
        buf_add_char(out, (char)(0x80 | (code & 0x3f)));
    }
}

size_t json_add_escape(struct buf *out, const char *s, size_t left)
{
    static const char FROM[] = "nrtbf";
    static const char TO[] = "\n\r\t\b\f";
    if (left < 2) {
        return left;
    }
    const char *simple = strchr(FROM, s[1]);
    if (s[1] != 'u' || left < 6) {
        buf_add_char(out, simple != NULL && s[1] != '\0' ? TO[simple - FROM] : s[1]);
        return 2;
    }
    unsigned code = read_hex4(s + 2);
    if (code >= 0xd800 && code < 0xdc00 && left >= 12 && s[6] == '\\' && s[7] == 'u') {
        add_utf8(out, 0x10000 + ((code - 0xd800) << 10) + (read_hex4(s + 8) & 0x3ff));
        return 12;
    }
    add_utf8(out, code);
    return 6;
}

bool json_text(struct bytes value, struct buf *out)
{
    if (value.size < 2 || value.data[0] != '"' || value.data[value.size - 1] != '"') {
        return false;
    }
    const char *s = value.data + 1;
    size_t left = value.size - 2;
    while (left > 0) {
        size_t used = 1;
        if (s[0] == '\\') {
            used = json_add_escape(out, s, left);
        } else {
            buf_add_char(out, s[0]);
        }
        s += used;
        left -= used;
    }
    return true;
}

bool json_integer(struct bytes value, int64_t *out)
{
    char text[24];
    if (value.size == 0 || value.size >= sizeof(text)) {
        return false;
    }
    memcpy(text, value.data, value.size);
    text[value.size] = '\0';
    char *end = NULL;
    long long number = strtoll(text, &end, 10);
    *out = number;
    return *end == '\0' && end != text;
}
