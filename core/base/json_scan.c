/*
 * Strict JSON scanner: one pass, no recursion; open containers are bits (1 = object).
 *
 *   VALUE expected -> AFTER a value -> (',' VALUE | close -> AFTER | end)
 */
#include "core/base/json_scan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/utf8.h"

struct scan {
    const char *start; /* of the whole text: positions count from here */
    const char *p;
    const char *end;
    struct buf *shape;
    uint64_t is_object;                   /* bit 0 is the innermost open container */
    size_t open[JSON_SCAN_MAX_DEPTH + 1]; /* place in shape of each open container */
    unsigned depth;
    unsigned max_depth;
    struct error *err;
};

static int fail(struct scan *s, const char *what)
{
    return error_set(s->err, ERROR_INVALID, "JSON: %s at byte %zu", what,
                     (size_t)(s->p - s->start) + 1);
}

/* The byte at p, or -1 at the end. */
static int peek(const struct scan *s)
{
    return s->p < s->end ? (unsigned char)*s->p : -1;
}

static void skip_space(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t')) {
        s->p++;
    }
}

/* Reads four hex digits at p; -1 when they are not there. */
static long read_hex4(struct scan *s)
{
    if (s->end - s->p < 4) {
        return -1;
    }
    long code = 0;
    for (int i = 0; i < 4; i++) {
        char c = s->p[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) {
            return -1;
        }
        code = code * 16 + digit;
    }
    s->p += 4;
    return code;
}

/* p is behind a backslash. */
static int scan_escape(struct scan *s)
{
    int c = peek(s);
    if (c < 0 || strchr("\"\\/bfnrtu", c) == NULL || c == 0) {
        return fail(s, "unknown escape");
    }
    s->p++;
    if (c != 'u') {
        return 0;
    }
    long code = read_hex4(s);
    if (code < 0) {
        return fail(s, "\\u without four hex digits");
    }
    if (code < 0xd800 || code > 0xdfff) {
        return 0;
    }
    if (code >= 0xdc00 || s->end - s->p < 6 || s->p[0] != '\\' || s->p[1] != 'u') {
        return fail(s, "half of a surrogate pair");
    }
    s->p += 2;
    long low = read_hex4(s);
    return low >= 0xdc00 && low <= 0xdfff ? 0 : fail(s, "half of a surrogate pair");
}

static int scan_string(struct scan *s)
{
    s->p++;
    for (;;) {
        while (s->p < s->end && *s->p >= 0x20 && *s->p < 0x7f && *s->p != '"' && *s->p != '\\') {
            s->p++;
        }
        int c = peek(s);
        if (c == '"') {
            s->p++;
            return 0;
        }
        if (c == '\\') {
            s->p++;
            int rc = scan_escape(s);
            if (rc != 0) {
                return rc;
            }
            continue;
        }
        if (c < 0x20) {
            return fail(s, c < 0 ? "string without end" : "control character in a string");
        }
        size_t length = c < 0x80 ? 1 : utf8_length(s->p, (size_t)(s->end - s->p));
        if (length == 0) {
            return fail(s, "invalid UTF-8");
        }
        s->p += length;
    }
}

static bool skip_digits(struct scan *s)
{
    const char *first = s->p;
    while (s->p < s->end && *s->p >= '0' && *s->p <= '9') {
        s->p++;
    }
    return s->p > first;
}

static int check_finite(struct scan *s, const char *first)
{
    char text[JSON_SCAN_NUMBER_CHARS + 1];
    size_t size = (size_t)(s->p - first);
    memcpy(text, first, size);
    text[size] = '\0';
    return isfinite(strtod(text, NULL)) ? 0 : fail(s, "number out of range");
}

static int scan_number(struct scan *s)
{
    const char *first = s->p;
    s->p += *s->p == '-' ? 1 : 0;
    const char *digits = s->p;
    if (!skip_digits(s)) {
        return fail(s, "digit expected");
    }
    size_t count = (size_t)(s->p - digits);
    if (*digits == '0' && count > 1) {
        s->p = digits;
        return fail(s, "number with leading zero");
    }
    bool may_overflow = false;
    if (peek(s) == '.') {
        may_overflow = count > 300;
        s->p++;
        if (!skip_digits(s)) {
            return fail(s, "digit expected");
        }
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        may_overflow = true;
        s->p++;
        s->p += peek(s) == '+' || peek(s) == '-' ? 1 : 0;
        if (!skip_digits(s)) {
            return fail(s, "digit expected");
        }
    }
    if (s->p - first > JSON_SCAN_NUMBER_CHARS) {
        return fail(s, "number too long");
    }
    return may_overflow ? check_finite(s, first) : 0;
}

static int scan_word(struct scan *s, const char *word)
{
    size_t size = strlen(word);
    if ((size_t)(s->end - s->p) < size || memcmp(s->p, word, size) != 0) {
        return fail(s, "value expected");
    }
    s->p += size;
    return 0;
}

/* A member's name and colon; p is where the name must begin. */
static int scan_name(struct scan *s)
{
    skip_space(s);
    if (peek(s) != '"') {
        return fail(s, "member name expected");
    }
    int rc = scan_string(s);
    if (rc != 0) {
        return rc;
    }
    skip_space(s);
    if (peek(s) != ':') {
        return fail(s, "':' expected");
    }
    s->p++;
    return 0;
}

/* Opens the container at p; *is_value_out tells that a value must follow (it is not empty). */
static int scan_open(struct scan *s, bool is_object, bool *is_value_out)
{
    if (s->depth == s->max_depth) {
        return error_set(s->err, ERROR_LIMIT, "JSON: deeper than %u levels at byte %zu",
                         s->max_depth, (size_t)(s->p - s->start) + 1);
    }
    const uint32_t none = 0;
    s->depth++;
    s->is_object = s->is_object << 1 | (is_object ? 1 : 0);
    s->open[s->depth] = s->shape->size;
    if (buf_add(s->shape, &none, sizeof(none)) != 0) {
        return error_set(s->err, ERROR_LIMIT, "JSON: text too large");
    }
    s->p++;
    skip_space(s);
    *is_value_out = peek(s) != (is_object ? '}' : ']');
    if (!*is_value_out) {
        return 0; /* the closing bracket is read as behind a value */
    }
    return is_object ? scan_name(s) : 0;
}

/* One more value in the innermost open container. */
static void count_value(struct scan *s)
{
    if (s->depth > 0) {
        uint32_t *counts = (uint32_t *)(void *)s->shape->data;
        counts[s->open[s->depth] / sizeof(*counts)]++;
    }
}

static int scan_value(struct scan *s, bool *is_value_out)
{
    *is_value_out = false;
    count_value(s);
    switch (peek(s)) {
    case '{':
        return scan_open(s, true, is_value_out);
    case '[':
        return scan_open(s, false, is_value_out);
    case '"':
        return scan_string(s);
    case 't':
        return scan_word(s, "true");
    case 'f':
        return scan_word(s, "false");
    case 'n':
        return scan_word(s, "null");
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        return scan_number(s);
    default:
        return fail(s, "value expected");
    }
}

/* Behind a value inside a container. */
static int scan_after(struct scan *s, bool *is_value_out)
{
    bool is_object = (s->is_object & 1) != 0;
    int c = peek(s);
    if (c == ',') {
        s->p++;
        *is_value_out = true;
        return is_object ? scan_name(s) : 0;
    }
    if (c != (is_object ? '}' : ']')) {
        return fail(s, is_object ? "',' or '}' expected" : "',' or ']' expected");
    }
    s->p++;
    s->depth--;
    s->is_object >>= 1;
    return 0;
}

static int scan_document(struct scan *s)
{
    bool is_value_next = true;
    do {
        skip_space(s);
        int rc = is_value_next ? scan_value(s, &is_value_next) : scan_after(s, &is_value_next);
        if (rc != 0) {
            return rc;
        }
    } while (s->depth > 0 || is_value_next);
    skip_space(s);
    return s->p == s->end ? 0 : fail(s, "nothing more expected");
}

int json_scan(struct bytes text, unsigned max_depth, struct buf *shape, struct bytes *ready_out,
              struct error *err)
{
    struct scan s = {.start = text.data, .p = text.data, .end = text.data + text.size};
    if (text.size >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0) {
        s.p += 3;
    }
    s.shape = shape;
    s.max_depth = max_depth < JSON_SCAN_MAX_DEPTH ? max_depth : JSON_SCAN_MAX_DEPTH;
    s.err = err;
    buf_reset(shape);
    *ready_out = bytes_of(s.p, (size_t)(s.end - s.p));
    return scan_document(&s);
}
