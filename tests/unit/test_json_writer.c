/* The JSON writer: separators, quoting of any bytes, instants. */
#include "core/base/json_writer.h"

#include "tests/support/tap.h"

static void separators_are_placed_by_the_writer(void)
{
    struct buf out;
    struct json_writer w;
    buf_init(&out, 1000);
    json_writer_init(&w, &out);
    json_object_begin(&w);
    json_member_str(&w, "text", "a");
    json_member_str(&w, "none", NULL);
    json_member_int(&w, "low", INT64_MIN);
    json_member_bool(&w, "yes", true);
    json_key(&w, "list");
    json_array_begin(&w);
    json_int(&w, 1);
    json_array_begin(&w);
    json_array_end(&w);
    json_object_begin(&w);
    json_object_end(&w);
    json_null(&w);
    json_raw(&w, bytes_str("{\"x\":1}"));
    json_array_end(&w);
    json_member_bytes(&w, "last", bytes_of("a\0b", 3));
    json_object_end(&w);
    CHECK_STR(buf_text(&out), "{\"text\":\"a\",\"none\":null,\"low\":-9223372036854775808,"
                              "\"yes\":true,\"list\":[1,[],{},null,{\"x\":1}],"
                              "\"last\":\"a\\u0000b\"}");
    buf_free(&out);
}

static void any_bytes_become_a_valid_string(void)
{
    static const struct {
        const char *text;
        const char *expected;
    } CASES[] = {
        {"", "\"\""},
        {"plain", "\"plain\""},
        {"\"\\/", "\"\\\"\\\\/\""},
        {"\n\r\t", "\"\\n\\r\\t\""},
        {"\x01\x1f\x7f", "\"\\u0001\\u001f\\u007f\""},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {"\xff", "\"\xef\xbf\xbd\""},
        {"a\xc3", "\"a\xef\xbf\xbd\""},
        {"\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\""},                 /* overlong */
        {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}, /* surrogate */
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct buf out;
        buf_init(&out, 1000);
        CHECK_INT(json_quote(&out, bytes_str(CASES[i].text)), 0);
        CHECK_STR(buf_text(&out), CASES[i].expected);
        buf_free(&out);
    }
}

static void too_long_a_text_is_noticed(void)
{
    struct buf out;
    struct json_writer w;
    buf_init(&out, 10);
    json_writer_init(&w, &out);
    json_object_begin(&w);
    json_member_str(&w, "key", "much too long");
    json_object_end(&w);
    CHECK(out.has_failed);
    buf_free(&out);
}

static void instants_are_iso_8601(void)
{
    static const struct {
        int64_t wall_ms;
        const char *expected;
    } CASES[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {INT64_C(1777888978000), "2026-05-04T10:02:58.000Z"},
        {INT64_C(1709210096789), "2024-02-29T12:34:56.789Z"},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        char out[32];
        json_format_instant(CASES[i].wall_ms, out);
        CHECK_STR(out, CASES[i].expected);
    }
}

int main(void)
{
    tap_case("separators are placed by the writer", separators_are_placed_by_the_writer);
    tap_case("any bytes become a valid string", any_bytes_become_a_valid_string);
    tap_case("too long a text is noticed", too_long_a_text_is_noticed);
    tap_case("instants are ISO 8601", instants_are_iso_8601);
    return tap_done();
}
