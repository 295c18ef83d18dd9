/* Headers, header fields and the request reader: everything in core/net that reads outside bytes.
 */
#include "core/net/http_message.h"

#include "core/net/http_fields.h"
#include "core/net/http_reader.h"
#include "tests/support/tap.h"

static void test_headers_keep_order_and_ignore_case(void)
{
    struct http_headers h = {0};
    CHECK_INT(http_headers_add(&h, "Set-Cookie", "a"), 0);
    CHECK_INT(http_headers_add(&h, "X-One", "  padded\t"), 0);
    CHECK_INT(http_headers_add(&h, "set-cookie", "b"), 0);
    CHECK_STR(http_headers_get(&h, "SET-COOKIE"), "a");
    CHECK_STR(http_headers_get(&h, "x-one"), "padded");
    CHECK(http_headers_get(&h, "x-two") == NULL);
    CHECK_INT(http_headers_count(&h, "Set-Cookie"), 2);
    CHECK_STR(h.list[2].value, "b");
    struct http_headers copy = {0};
    http_headers_copy(&copy, &h);
    http_headers_free(&h);
    CHECK_INT(copy.count, 3);
    CHECK_STR(copy.list[0].name, "Set-Cookie");
    http_headers_free(&copy);
    CHECK_INT(copy.count, 0);
}

static void test_headers_refuse_injection(void)
{
    struct http_headers h = {0};
    static const char *const bad[][2] = {
        {"", "v"},           {"a b", "v"},   {"a:", "v"},    {"a\r\nb", "v"}, {"\xc3\xa4", "v"},
        {"ok", "a\r\nb: c"}, {"ok", "a\nb"}, {"ok", "a\rb"}, {"(x)", "v"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_INT(http_headers_add(&h, bad[i][0], bad[i][1]), ERROR_INVALID);
    }
    CHECK_INT(http_headers_add_bytes(&h, bytes_of("ok", 2), bytes_of("a\0b", 3)), ERROR_INVALID);
    CHECK_INT(h.count, 0);
    http_headers_free(&h);
}

static void test_dates(void)
{
    char text[HTTP_DATE_SIZE];
    http_date_format(INT64_C(784111777000), text);
    CHECK_STR(text, "Sun, 06 Nov 1994 08:49:37 GMT");
    http_date_format(0, text);
    CHECK_STR(text, "Thu, 01 Jan 1970 00:00:00 GMT");
    http_date_format(-1, text);
    CHECK_STR(text, "Wed, 31 Dec 1969 23:59:59 GMT");
    http_date_format(INT64_C(951782400000), text);
    CHECK_STR(text, "Tue, 29 Feb 2000 00:00:00 GMT");
    http_date_format(INT64_MAX, text);
    CHECK_INT(strlen(text), HTTP_DATE_SIZE - 1);
    http_date_format(INT64_MIN, text);
    CHECK_INT(strlen(text), HTTP_DATE_SIZE - 1);
    int64_t wall = 0;
    CHECK(http_date_parse("Sun, 06 Nov 1994 08:49:37 GMT", &wall));
    CHECK_INT(wall, INT64_C(784111777000));
    for (int64_t at = INT64_C(-2000000000000); at < INT64_C(5000000000000); at += 86400000000 / 7) {
        int64_t whole = at / 1000 * 1000 - (at % 1000 < 0 ? 1000 : 0);
        http_date_format(at, text);
        CHECK(http_date_parse(text, &wall) && wall == whole);
    }
    static const char *const bad[] = {"",
                                      "now",
                                      "Sunday, 06-Nov-94 08:49:37 GMT",
                                      "Sun, 00 Nov 1994 08:49:37 GMT",
                                      "Sun, 06 Nox 1994 08:49:37 GMT",
                                      "Sun, 06 Nov 1994 24:49:37 GMT",
                                      "Sun, 06 Nov 1994 08:49:37 UTC"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK(!http_date_parse(bad[i], &wall));
    }
}

static void test_told_delays(void)
{
    static const struct {
        int status;
        const char *retry_after;
        const char *remaining;
        const char *reset;
        int64_t expected_ms;
    } cases[] = {
        {200, NULL, NULL, NULL, 0},
        {429, "7", NULL, NULL, 7000},
        {503, "7", NULL, NULL, 7000},
        {200, "7", NULL, NULL, 0},
        {302, "7", NULL, NULL, 0},
        {429, "-7", NULL, NULL, 0},
        {429, "7s", NULL, NULL, 0},
        {429, "", NULL, NULL, 0},
        {429, "99999999999999999999999", NULL, NULL, 0},
        {429, "9999999", NULL, NULL, HTTP_MAX_TOLD_DELAY_MS},
        {429, "Thu, 01 Jan 1970 00:17:10 GMT", NULL, NULL, 30000}, /* now is 1000 s */
        {429, "Thu, 01 Jan 1970 00:00:10 GMT", NULL, NULL, 0},
        {200, NULL, "0", "12", 12000},
        {200, NULL, "1", "12", 0},
        {200, NULL, "0", "soon", 0},
        {200, NULL, "0", NULL, 0},
        {200, NULL, "x", "12", 0},
        {429, "3", "0", "12", 12000},
        {429, "30", "0", "12", 30000},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http_headers h = {0};
        const char *given[][2] = {{"Retry-After", cases[i].retry_after},
                                  {"X-RateLimit-Remaining", cases[i].remaining},
                                  {"x-ratelimit-reset", cases[i].reset}};
        for (size_t k = 0; k < 3; k++) {
            if (given[k][1] != NULL) {
                CHECK_INT(http_headers_add(&h, given[k][0], given[k][1]), 0);
            }
        }
        CHECK_INT(http_told_delay_ms(cases[i].status, &h, 1000000), cases[i].expected_ms);
        http_headers_free(&h);
    }
    /* A reset given as a Unix time. */
    struct http_headers h = {0};
    CHECK_INT(http_headers_add(&h, "X-RateLimit-Remaining", "0"), 0);
    CHECK_INT(http_headers_add(&h, "X-RateLimit-Reset", "1777888805"), 0);
    CHECK_INT(http_told_delay_ms(200, &h, INT64_C(1777888800000)), 5000);
    http_headers_free(&h);
}

static void test_basic_credentials(void)
{
    char *field = http_basic_make("Aladdin", "open sesame");
    CHECK_STR(field, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    CHECK(http_basic_matches(field, "Aladdin", "open sesame"));
    CHECK(http_basic_matches("bAsIc   QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin", "open sesame"));
    CHECK(!http_basic_matches(field, "Aladdin", "open sesam"));
    CHECK(!http_basic_matches(field, "aladdin", "open sesame"));
    CHECK(!http_basic_matches("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ", "Aladdin", "open sesame"));
    CHECK(!http_basic_matches("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==Q", "Aladdin", "open sesame"));
    CHECK(!http_basic_matches(field, NULL, "x"));
    CHECK(!http_basic_matches(field, "Aladdin:open", "sesame"));
    static const char *const bad[] = {"",
                                      "Basic",
                                      "Basic ",
                                      "Basic ====",
                                      "Basic \x80\xff",
                                      "Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
                                      "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ",
                                      "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ== x"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK(!http_basic_matches(bad[i], "Aladdin", "open sesame"));
    }
    CHECK(!http_basic_matches(NULL, "a", "b"));
    CHECK(http_basic_make("a:b", "c") == NULL);
    free(field);
}

/* ---- the reader ---- */

#define HOST "Host: h\r\n"

static void read_all(struct http_reader *r, const char *data, size_t size, size_t step)
{
    for (size_t at = 0; at < size;) {
        size_t take = size - at < step ? size - at : step;
        size_t used = http_reader_feed(r, data + at, take);
        at += used;
        if (used < take) {
            return;
        }
    }
}

static void test_reader_reads_in_any_portions(void)
{
    static const char text[] =
        "\r\nPURGE /a/%2e?x=1&y HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\nX-A:  b \r\n\r\n"
        "3\r\nabc\r\n0a;x=y\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nGET";
    for (size_t step = 1; step < sizeof(text); step++) {
        struct http_reader r;
        http_reader_init(&r, 4096, 64);
        read_all(&r, text, sizeof(text) - 1, step);
        CHECK_INT(r.state, HTTP_READER_DONE);
        CHECK_STR(r.method, "PURGE");
        CHECK_STR(r.path, "/a/%2e");
        CHECK_STR(r.query, "x=1&y");
        CHECK_STR(http_headers_get(&r.headers, "x-a"), "b");
        CHECK_STR(buf_text(&r.body), "abc0123456789");
        CHECK(!r.wants_close);
        http_reader_reset(&r);
        CHECK(!http_reader_has_begun(&r));
        http_reader_fini(&r);
    }
}

static void test_reader_targets(void)
{
    static const char *const cases[][3] = {
        {"http://h:1/p?q", "/p", "q"},
        {"http://h", "/", ""},
        {"HTTPS://h?q", "/", "q"},
        {"*", "*", ""},
        {"/", "/", ""},
        {"/?", "/", ""},
        {"//x/../y", "//x/../y", ""},
        {"/\xc3\xa4", "/\xc3\xa4", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http_reader r;
        char text[256];
        http_reader_init(&r, 4096, 64);
        snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\n" HOST "\r\n", cases[i][0]);
        read_all(&r, text, strlen(text), 1000);
        CHECK_INT(r.state, HTTP_READER_DONE);
        CHECK_STR(r.path, cases[i][1]);
        CHECK_STR(r.query, cases[i][2]);
        http_reader_fini(&r);
    }
}

static void test_reader_refuses(void)
{
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400},
        {"GET  HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET\r\n\r\n", 400},
        {"G@T / HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET / / HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET x HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET /#f HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET / HTTP/2.0\r\n" HOST "\r\n", 505},
        {"GET / FTP/1.1\r\n" HOST "\r\n", 400},
        {"GET / HTTP/1.1\n" HOST "\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST "a : b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST "a: b\r\n c\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST "a: b\rc\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST "a: \x01\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST "nocolon\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
        {"POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 65\r\n\r\n", 413},
        {"POST / HTTP/1.1\r\n" HOST "Expect: magic\r\n\r\n", 417},
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n41\r\n", 413},
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0x1\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\na\n0\n\n", 400},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http_reader r;
        http_reader_init(&r, 4096, 64);
        read_all(&r, cases[i].text, strlen(cases[i].text), 1000);
        if (r.fail_status != cases[i].status) {
            printf("# case %zu\n", i);
        }
        CHECK_INT(r.state, HTTP_READER_FAILED);
        CHECK_INT(r.fail_status, cases[i].status);
        http_reader_fini(&r);
    }
}

static void test_reader_bounds_the_head(void)
{
    struct http_reader r;
    http_reader_init(&r, 100, 64);
    char text[200];
    memset(text, 'a', sizeof(text));
    CHECK(http_reader_feed(&r, text, sizeof(text)) <= 100);
    CHECK_INT(r.fail_status, 431);
    http_reader_fini(&r);
}

int main(void)
{
    tap_case("headers keep order and ignore case", test_headers_keep_order_and_ignore_case);
    tap_case("headers refuse what would inject others", test_headers_refuse_injection);
    tap_case("dates are written and read", test_dates);
    tap_case("delays told by servers are understood and bounded", test_told_delays);
    tap_case("basic credentials match exactly", test_basic_credentials);
    tap_case("the reader does not care how bytes are portioned", test_reader_reads_in_any_portions);
    tap_case("the reader splits targets", test_reader_targets);
    tap_case("the reader refuses what is malformed or ambiguous", test_reader_refuses);
    tap_case("the reader bounds the head", test_reader_bounds_the_head);
    return tap_done();
}
