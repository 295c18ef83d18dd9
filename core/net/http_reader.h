/*
 * Reads one HTTP/1 request from bytes as they come. Pure: no sockets, no time. Strict where
 * leniency lets two readers disagree about where a request ends (request smuggling).
 */
#ifndef NEAP_CORE_NET_HTTP_READER_H
#define NEAP_CORE_NET_HTTP_READER_H

#include "core/net/http_message.h"

enum http_reader_state {
    HTTP_READER_HEAD,
    HTTP_READER_BODY,       /* Content-Length */
    HTTP_READER_CHUNK_SIZE, /* a line */
    HTTP_READER_CHUNK_DATA,
    HTTP_READER_CHUNK_END, /* the line end after the data */
    HTTP_READER_TRAILERS,  /* lines, dropped */
    HTTP_READER_DONE,
    HTTP_READER_FAILED,
};

struct http_reader {
    enum http_reader_state state;
    size_t max_header_bytes;
    size_t max_body_bytes;
    struct buf line; /* head, or a chunk line, until it is whole */
    size_t trailer_bytes;
    uint64_t left;           /* bytes of body or chunk still to come */
    int fail_status;         /* HTTP status to answer; 0 unless failed */
    const char *fail_reason; /* for a person */
    /* Valid from the end of the head on. */
    char *method;
    char *path;  /* as sent, without the query */
    char *query; /* "" when none */
    struct http_headers headers;
    bool wants_close; /* "Connection: close", or HTTP/1.0 without keep-alive */
    bool is_old;      /* HTTP/1.0 */
    bool expects_continue;
    struct buf body; /* grows as bytes come, whatever was announced */
};

void http_reader_init(struct http_reader *r, size_t max_header_bytes, size_t max_body_bytes);
void http_reader_fini(struct http_reader *r);
/* Ready for the next request; the fields of the last one are freed. */
void http_reader_reset(struct http_reader *r);
/* Of this request, once its head is whole: a longer body fails (413). Never more than it was made
 * with. */
void http_reader_limit_body(struct http_reader *r, size_t max_bytes);
/* Returns how many bytes were used: all, unless the request ended (DONE) or is bad (FAILED). */
size_t http_reader_feed(struct http_reader *r, const char *data, size_t size);
/* False before the first byte of a request. */
bool http_reader_has_begun(const struct http_reader *r);

#endif
