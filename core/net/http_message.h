/* Plain values of HTTP: header lists, requests, answers. Owned by whoever holds the struct. */
#ifndef NEAP_CORE_NET_HTTP_MESSAGE_H
#define NEAP_CORE_NET_HTTP_MESSAGE_H

#include "core/base/buf.h"
#include "core/base/spool.h"

struct http_header {
    char *name; /* as given; compared without case */
    char *value;
};

struct http_headers {
    struct http_header *list;
    size_t count;
    size_t capacity;
};

/* A token of RFC 9110 5.6.2: what methods and header names are made of. */
bool http_is_token(struct bytes text);

/* ERROR_INVALID when a name or value holds CR, LF, NUL or the name is not a token (RFC 9110 5.1).
 */
int http_headers_add(struct http_headers *headers, const char *name,
                     const char *value) NEAP_MUST_USE;
/* As http_headers_add, from ranges; blanks around the value are cut. */
int http_headers_add_bytes(struct http_headers *headers, struct bytes name,
                           struct bytes value) NEAP_MUST_USE;
const char *http_headers_get(const struct http_headers *headers, const char *name); /* or NULL */
size_t http_headers_count(const struct http_headers *headers, const char *name);
/* Appends to what `to` holds already. */
void http_headers_copy(struct http_headers *to, const struct http_headers *from);
void http_headers_free(struct http_headers *headers);

struct http_request {
    char *method;
    char *url; /* absolute */
    struct http_headers headers;
    char *body; /* may be NULL */
    size_t body_size;
    int64_t timeout_ms;
    uint64_t file_max_bytes; /* above 0: the answer's body goes to a file of at most that size */
    bool is_fresh; /* a connection of its own, closed afterwards (design section 3: no silent
                      re-send) */
};

struct http_answer {
    int status;
    struct http_headers headers;
    struct buf body;
    struct spool *file; /* instead of body, when the request said so; or NULL */
    int64_t elapsed_ms;
};

void http_request_free(struct http_request *request); /* frees the members */
void http_answer_free(struct http_answer *answer);    /* frees the members */

#endif
