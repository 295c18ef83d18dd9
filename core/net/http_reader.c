/* Request reader. The head is collected whole, then parsed in place; a body is copied as it comes.
 */
#include "core/net/http_reader.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/xalloc.h"

#define MAX_HEADER_COUNT 128
#define MAX_CHUNK_LINE   1024 /* a size and extensions nobody uses */
#define MAX_SIZE_DIGITS  15   /* hexadecimal or decimal: far from overflow in 64 bits */

void http_reader_init(struct http_reader *r, size_t max_header_bytes, size_t max_body_bytes)
{
    memset(r, 0, sizeof(*r));
    r->max_header_bytes = max_header_bytes;
    r->max_body_bytes = max_body_bytes;
    buf_init(&r->line, max_header_bytes > MAX_CHUNK_LINE ? max_header_bytes : MAX_CHUNK_LINE);
    buf_init(&r->body, max_body_bytes);
}

void http_reader_fini(struct http_reader *r)
{
    http_reader_reset(r);
    buf_free(&r->line);
}

void http_reader_reset(struct http_reader *r)
{
    struct buf line = r->line;
    size_t max_header_bytes = r->max_header_bytes;
    size_t max_body_bytes = r->max_body_bytes;
    free(r->method);
    free(r->path);
    free(r->query);
    http_headers_free(&r->headers);
    buf_free(&r->body);
    memset(r, 0, sizeof(*r));
    r->max_header_bytes = max_header_bytes;
    r->max_body_bytes = max_body_bytes;
    r->line = line;
    buf_reset(&r->line);
    buf_init(&r->body, max_body_bytes);
}

void http_reader_limit_body(struct http_reader *r, size_t max_bytes)
{
    r->body.max = max_bytes < r->max_body_bytes ? max_bytes : r->max_body_bytes;
}

bool http_reader_has_begun(const struct http_reader *r)
{
    return r->state != HTTP_READER_HEAD || r->line.size > 0;
}

/* Ends in FAILED; returns false so that checks read as one expression. */
static bool fail(struct http_reader *r, int status, const char *reason)
{
    r->state = HTTP_READER_FAILED;
    r->fail_status = status;
    r->fail_reason = reason;
    return false;
}

/* ---- the head ---- */

/* Cuts the next line off *rest; a line ends in CRLF and holds no other control character but tab.
 */
static bool next_line(struct bytes *rest, struct bytes *line_out)
{
    const char *end = memchr(rest->data, '\r', rest->size);
    if (end == NULL || (size_t)(end - rest->data) + 1 >= rest->size || end[1] != '\n') {
        return false;
    }
    *line_out = bytes_of(rest->data, (size_t)(end - rest->data));
    rest->data += line_out->size + 2;
    rest->size -= line_out->size + 2;
    for (size_t i = 0; i < line_out->size; i++) {
        unsigned char c = (unsigned char)line_out->data[i];
        if ((c < ' ' && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

static bool parse_version(struct http_reader *r, struct bytes version)
{
    if (version.size != 8 || memcmp(version.data, "HTTP/", 5) != 0 || version.data[6] != '.') {
        return fail(r, 400, "malformed request line");
    }
    if (version.data[5] != '1' || (version.data[7] != '0' && version.data[7] != '1')) {
        return fail(r, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    }
    r->is_old = version.data[7] == '0';
    return true;
}

/* origin-form, absolute-form, or "*". */
static bool parse_target(struct http_reader *r, struct bytes target)
{
    for (size_t i = 0; i < target.size; i++) {
        unsigned char c = (unsigned char)target.data[i];
        if (c <= ' ' || c == '#') {
            return fail(r, 400, "malformed request target");
        }
    }
    bool is_absolute = (target.size > 7 && strncasecmp(target.data, "http://", 7) == 0) ||
                       (target.size > 8 && strncasecmp(target.data, "https://", 8) == 0);
    if (is_absolute) {
        size_t at = (size_t)((const char *)memchr(target.data, ':', target.size) - target.data) + 3;
        while (at < target.size && target.data[at] != '/' && target.data[at] != '?') {
            at++;
        }
        target = bytes_of(target.data + at, target.size - at);
    } else if (target.size == 0 ||
               (target.data[0] != '/' && !(target.size == 1 && *target.data == '*'))) {
        return fail(r, 400, "malformed request target");
    }
    const char *mark = target.size == 0 ? NULL : memchr(target.data, '?', target.size);
    size_t path_size = mark == NULL ? target.size : (size_t)(mark - target.data);
    r->path = path_size == 0 ? xstrdup("/") : xstrndup(target.data, path_size);
    r->query = mark == NULL ? xstrdup("") : xstrndup(mark + 1, target.size - path_size - 1);
    return true;
}

static bool parse_request_line(struct http_reader *r, struct bytes line)
{
    const char *first = line.size == 0 ? NULL : memchr(line.data, ' ', line.size);
    const char *last = first;
    for (size_t i = line.size; i > 0 && last == first && first != NULL; i--) {
        if (line.data[i - 1] == ' ') {
            last = line.data + i - 1;
            break;
        }
    }
    if (first == NULL || last == first) {
        return fail(r, 400, "malformed request line");
    }
    struct bytes method = bytes_of(line.data, (size_t)(first - line.data));
    if (!http_is_token(method)) {
        return fail(r, 400, "malformed method");
    }
    size_t used = (size_t)(last - line.data) + 1;
    if (!parse_version(r, bytes_of(last + 1, line.size - used)) ||
        !parse_target(r, bytes_of(first + 1, (size_t)(last - first) - 1))) {
        return false;
    }
    r->method = xstrndup(method.data, method.size);
    return true;
}

static bool parse_header_line(struct http_reader *r, struct bytes line)
{
    const char *colon = memchr(line.data, ':', line.size);
    if (colon == NULL || colon == line.data) {
        return fail(r, 400, "malformed header"); /* also folded lines: they begin with a blank */
    }
    if (r->headers.count >= MAX_HEADER_COUNT) {
        return fail(r, 431, "too many headers");
    }
    size_t name = (size_t)(colon - line.data);
    if (http_headers_add_bytes(&r->headers, bytes_of(line.data, name),
                               bytes_of(colon + 1, line.size - name - 1)) != 0) {
        return fail(r, 400, "malformed header");
    }
    return true;
}

/* True when the comma-separated list in any header of this name holds the token. */
static bool lists_token(const struct http_headers *headers, const char *name, const char *token)
{
    size_t token_size = strlen(token);
    for (size_t i = 0; i < headers->count; i++) {
        if (strcasecmp(headers->list[i].name, name) != 0) {
            continue;
        }
        const char *at = headers->list[i].value;
        while (*at != '\0') {
            at += strspn(at, " \t,");
            size_t size = strcspn(at, " \t,");
            if (size == token_size && strncasecmp(at, token, size) == 0) {
                return true;
            }
            at += size;
        }
    }
    return false;
}

static bool parse_length(const char *text, uint64_t *value_out)
{
    size_t size = strlen(text);
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    *value_out = value;
    return size > 0 && size <= MAX_SIZE_DIGITS;
}

static bool choose_body(struct http_reader *r)
{
    size_t lengths = http_headers_count(&r->headers, "Content-Length");
    size_t codings = http_headers_count(&r->headers, "Transfer-Encoding");
    if (lengths > 1 || codings > 1 || (lengths > 0 && codings > 0) || (codings > 0 && r->is_old)) {
        return fail(r, 400, "ambiguous body length");
    }
    if (codings > 0) {
        if (strcasecmp(http_headers_get(&r->headers, "Transfer-Encoding"), "chunked") != 0) {
            return fail(r, 501, "unknown transfer coding");
        }
        r->state = HTTP_READER_CHUNK_SIZE;
        return true;
    }
    if (lengths > 0 && !parse_length(http_headers_get(&r->headers, "Content-Length"), &r->left)) {
        return fail(r, 400, "malformed Content-Length");
    }
    if (r->left > r->body.max) {
        return fail(r, 413, "request body too large");
    }
    r->state = r->left > 0 ? HTTP_READER_BODY : HTTP_READER_DONE;
    return true;
}

static bool check_head(struct http_reader *r)
{
    size_t hosts = http_headers_count(&r->headers, "Host");
    if (hosts > 1 || (hosts == 0 && !r->is_old)) {
        return fail(r, 400, "exactly one Host header is needed");
    }
    r->wants_close = lists_token(&r->headers, "Connection", "close") ||
                     (r->is_old && !lists_token(&r->headers, "Connection", "keep-alive"));
    if (!choose_body(r)) {
        return false;
    }
    const char *expect = http_headers_get(&r->headers, "Expect");
    if (expect != NULL && !r->is_old) {
        if (strcasecmp(expect, "100-continue") != 0) {
            return fail(r, 417, "unknown expectation");
        }
        r->expects_continue = r->state != HTTP_READER_DONE;
    }
    return true;
}

/* The whole head, its closing empty line included, is in r->line. */
static void parse_head(struct http_reader *r)
{
    struct bytes rest = buf_bytes(&r->line);
    struct bytes line;
    if (!next_line(&rest, &line)) {
        fail(r, 400, "malformed request line");
        return;
    }
    bool is_good = parse_request_line(r, line);
    while (is_good) {
        if (!next_line(&rest, &line)) {
            fail(r, 400, "malformed header");
            return;
        }
        if (line.size == 0) {
            check_head(r);
            return;
        }
        is_good = parse_header_line(r, line);
    }
}

/* ---- feeding ---- */

static bool line_ends_with(const struct buf *line, const char *end, size_t size)
{
    return line->size >= size && memcmp(line->data + line->size - size, end, size) == 0;
}

static size_t feed_head(struct http_reader *r, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (r->line.size == 0 && (data[i] == '\r' || data[i] == '\n')) {
            continue; /* empty lines before a request are tolerated (RFC 9112 2.2) */
        }
        if (r->line.size >= r->max_header_bytes || buf_add_char(&r->line, data[i]) != 0) {
            fail(r, 431, "request head too large");
            return i;
        }
        if (data[i] == '\n' && line_ends_with(&r->line, "\r\n\r\n", 4)) {
            parse_head(r);
            buf_reset(&r->line);
            return i + 1;
        }
    }
    return size;
}

static size_t feed_data(struct http_reader *r, const char *data, size_t size,
                        enum http_reader_state next)
{
    size_t take = size < r->left ? size : (size_t)r->left;
    if (buf_add(&r->body, data, take) != 0) {
        fail(r, 413, "request body too large");
        return 0;
    }
    r->left -= take;
    if (r->left == 0) {
        r->state = next;
    }
    return take;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static void parse_chunk_size(struct http_reader *r)
{
    const char *text = buf_text(&r->line);
    size_t digits = 0;
    uint64_t value = 0;
    while (digits < MAX_SIZE_DIGITS && hex_digit(text[digits]) >= 0) {
        value = value * 16 + (uint64_t)hex_digit(text[digits]);
        digits++;
    }
    const char *after = text + digits + strspn(text + digits, " \t");
    if (digits == 0 || (*after != '\r' && *after != ';')) {
        fail(r, 400, "malformed chunk size");
    } else if (value > r->body.max - r->body.size) {
        fail(r, 413, "request body too large");
    } else {
        r->left = value;
        r->state = value > 0 ? HTTP_READER_CHUNK_DATA : HTTP_READER_TRAILERS;
    }
}

/* A whole line of chunked framing is in r->line. */
static void take_line(struct http_reader *r)
{
    bool is_empty = r->line.size == 2;
    struct bytes rest = buf_bytes(&r->line);
    struct bytes line;
    if (!next_line(&rest, &line)) {
        fail(r, 400, "malformed chunk");
    } else if (r->state == HTTP_READER_CHUNK_SIZE) {
        parse_chunk_size(r);
    } else if (r->state == HTTP_READER_TRAILERS) {
        r->state = is_empty ? HTTP_READER_DONE : HTTP_READER_TRAILERS;
    } else if (is_empty) {
        r->state = HTTP_READER_CHUNK_SIZE;
    } else {
        fail(r, 400, "malformed chunk");
    }
    buf_reset(&r->line);
}

static size_t feed_line(struct http_reader *r, const char *data, size_t size)
{
    size_t max = r->state == HTTP_READER_CHUNK_END ? 2 : MAX_CHUNK_LINE;
    for (size_t i = 0; i < size; i++) {
        r->trailer_bytes += r->state == HTTP_READER_TRAILERS ? 1 : 0;
        if (r->line.size >= max || r->trailer_bytes > r->max_header_bytes ||
            buf_add_char(&r->line, data[i]) != 0) {
            fail(r, r->state == HTTP_READER_TRAILERS ? 431 : 400, "chunk line too long");
            return i;
        }
        if (data[i] == '\n') {
            take_line(r);
            return i + 1;
        }
    }
    return size;
}

size_t http_reader_feed(struct http_reader *r, const char *data, size_t size)
{
    size_t used = 0;
    while (used < size && r->state != HTTP_READER_DONE && r->state != HTTP_READER_FAILED) {
        const char *at = data + used;
        size_t left = size - used;
        switch (r->state) {
        case HTTP_READER_HEAD:
            used += feed_head(r, at, left);
            break;
        case HTTP_READER_BODY:
            used += feed_data(r, at, left, HTTP_READER_DONE);
            break;
        case HTTP_READER_CHUNK_DATA:
            used += feed_data(r, at, left, HTTP_READER_CHUNK_END);
            break;
        default:
            used += feed_line(r, at, left);
            break;
        }
    }
    return used;
}
