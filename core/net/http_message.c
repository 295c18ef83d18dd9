/* Header lists keep the order and the spelling they were given; look-up is linear and without case.
 */
#include "core/net/http_message.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/xalloc.h"

#define HEADERS_FIRST_CAPACITY 8

static bool is_token_char(unsigned char c)
{
    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')) {
        return true;
    }
    return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

bool http_is_token(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (!is_token_char((unsigned char)text.data[i])) {
            return false;
        }
    }
    return text.size > 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct bytes without_blanks(struct bytes text)
{
    while (text.size > 0 && is_blank(text.data[0])) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && is_blank(text.data[text.size - 1])) {
        text.size--;
    }
    return text;
}

static bool is_value(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '\r' || c == '\n' || c == '\0') {
            return false;
        }
    }
    return true;
}

int http_headers_add_bytes(struct http_headers *headers, struct bytes name, struct bytes value)
{
    if (!http_is_token(name) || !is_value(value)) {
        return ERROR_INVALID;
    }
    if (headers->count == headers->capacity) {
        headers->capacity = headers->capacity == 0 ? HEADERS_FIRST_CAPACITY : headers->capacity * 2;
        headers->list = xrealloc(headers->list, headers->capacity * sizeof(*headers->list));
    }
    value = without_blanks(value);
    struct http_header *header = &headers->list[headers->count++];
    header->name = xstrndup(name.data, name.size);
    header->value = xstrndup(value.data, value.size);
    return 0;
}

int http_headers_add(struct http_headers *headers, const char *name, const char *value)
{
    return http_headers_add_bytes(headers, bytes_str(name), bytes_str(value));
}

const char *http_headers_get(const struct http_headers *headers, const char *name)
{
    for (size_t i = 0; i < headers->count; i++) {
        if (strcasecmp(headers->list[i].name, name) == 0) {
            return headers->list[i].value;
        }
    }
    return NULL;
}

size_t http_headers_count(const struct http_headers *headers, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < headers->count; i++) {
        count += strcasecmp(headers->list[i].name, name) == 0 ? 1 : 0;
    }
    return count;
}

void http_headers_copy(struct http_headers *to, const struct http_headers *from)
{
    size_t count = from->count; /* `to` may be `from` */
    for (size_t i = 0; i < count; i++) {
        /* Valid already: it was added through http_headers_add. */
        (void)!http_headers_add(to, from->list[i].name, from->list[i].value);
    }
}

void http_headers_free(struct http_headers *headers)
{
    for (size_t i = 0; i < headers->count; i++) {
        free(headers->list[i].name);
        free(headers->list[i].value);
    }
    free(headers->list);
    memset(headers, 0, sizeof(*headers));
}

void http_request_free(struct http_request *request)
{
    free(request->method);
    free(request->url);
    free(request->body);
    http_headers_free(&request->headers);
    memset(request, 0, sizeof(*request));
}

void http_answer_free(struct http_answer *answer)
{
    http_headers_free(&answer->headers);
    buf_free(&answer->body);
    spool_free(answer->file);
    memset(answer, 0, sizeof(*answer));
}
