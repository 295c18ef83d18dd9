/*
 * Everything in core/net that reads outside bytes: the request reader, Retry-After, rate headers,
 * dates and basic credentials. The first byte is the size of the portions for the second reading;
 * both readings must agree.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/xalloc.h"
#include "core/net/http_fields.h"
#include "core/net/http_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t read_request(struct http_reader *r, const char *data, size_t size, size_t step)
{
    size_t at = 0;
    http_reader_init(r, 512, 256);
    while (at < size && r->state != HTTP_READER_DONE && r->state != HTTP_READER_FAILED) {
        size_t take = size - at < step ? size - at : step;
        size_t used = http_reader_feed(r, data + at, take);
        assert(used <= take);
        assert(used == take || r->state == HTTP_READER_DONE || r->state == HTTP_READER_FAILED);
        at += used;
    }
    assert(r->line.size <= 1024 && r->body.size <= 256);
    assert(r->state != HTTP_READER_FAILED || r->fail_status >= 400);
    return at;
}

static void check_reader(const char *data, size_t size, size_t step)
{
    struct http_reader whole;
    struct http_reader parts;
    size_t used = read_request(&whole, data, size, size + 1);
    size_t used_again = read_request(&parts, data, size, step);
    assert(whole.state == parts.state && whole.fail_status == parts.fail_status);
    if (whole.state == HTTP_READER_DONE) {
        assert(used == used_again);
        assert(strcmp(whole.method, parts.method) == 0 && strcmp(whole.path, parts.path) == 0);
        assert(strcmp(whole.query, parts.query) == 0);
        assert(whole.headers.count == parts.headers.count);
        assert(bytes_equal(buf_bytes(&whole.body), buf_bytes(&parts.body)));
    }
    http_reader_fini(&whole);
    http_reader_fini(&parts);
}

static void check_fields(const char *text)
{
    static const char *const names[] = {"Retry-After", "X-RateLimit-Remaining",
                                        "X-RateLimit-Reset"};
    struct http_headers headers = {0};
    bool is_good = http_headers_add(&headers, names[0], text) == 0 &&
                   http_headers_add(&headers, names[1], "0") == 0 &&
                   http_headers_add(&headers, names[2], text) == 0;
    int64_t delay = http_told_delay_ms(429, &headers, INT64_C(1777888800000));
    assert(delay >= 0 && delay <= HTTP_MAX_TOLD_DELAY_MS &&
           (is_good || delay == 0 || headers.count));
    http_headers_free(&headers);
    int64_t wall;
    if (http_date_parse(text, &wall)) {
        char out[HTTP_DATE_SIZE];
        int64_t again;
        http_date_format(wall, out);
        assert(http_date_parse(out, &again));
    }
    (void)http_basic_matches(text, "user", "password");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    size_t step = 1 + data[0] % 16;
    check_reader((const char *)data + 1, size - 1, step);
    char *text = xstrndup((const char *)data + 1, size - 1);
    check_fields(text);
    free(text);
    return 0;
}
