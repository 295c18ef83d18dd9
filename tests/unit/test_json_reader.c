/* Looking into JSON text. */
#include "core/base/json_reader.h"
#include "core/base/json_writer.h"
#include "tests/support/tap.h"

static const char *text_of(struct bytes value)
{
    static char out[256];
    struct buf b;
    buf_init(&b, sizeof(out) - 1);
    bool ok = json_text(value, &b);
    snprintf(out, sizeof(out), "%s", ok ? buf_text(&b) : "(none)");
    buf_free(&b);
    return out;
}

static void finds_members(void)
{
    struct bytes json =
        bytes_str("{\"data\":{\"lines\":[1]},\"lines\": [\"a, \\\"b\\\"\", \"c\"],\"n\":-5}");
    struct bytes value;
    CHECK(json_find(json, "lines", &value));
    struct bytes element;
    CHECK(json_next(&value, &element));
    CHECK_STR(text_of(element), "a, \"b\"");
    CHECK(json_next(&value, &element));
    CHECK_STR(text_of(element), "c");
    CHECK(!json_next(&value, &element));
    int64_t number = 0;
    CHECK(json_find(json, "n", &value) && json_integer(value, &number));
    CHECK_INT(number, -5);
    CHECK(!json_find(json, "absent", &value));
}

static void walks_members(void)
{
    struct bytes rest = bytes_str("{\"EUR\" : 12, \"GBP\":{\"minor\":3}}");
    struct bytes name;
    struct bytes value;
    int64_t number = 0;
    CHECK(json_member(&rest, &name, &value) && bytes_equal(name, bytes_str("EUR")));
    CHECK(json_integer(value, &number));
    CHECK_INT(number, 12);
    CHECK(json_member(&rest, &name, &value) && bytes_equal(name, bytes_str("GBP")));
    CHECK(json_find(value, "minor", &value));
    CHECK(!json_member(&rest, &name, &value));
    rest = bytes_str("{}");
    CHECK(!json_member(&rest, &name, &value));
}

static void survives_bad_text(void)
{
    static const char *const BAD[] = {
        "",           "{",           "{\"a\"", "{\"a\":", "{\"a\":\"", "[",
        "{\"a\":[[[", "{\"a\":\"\\", "nul",    "{]",      "{\"a\" 1}"};
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        struct bytes value;
        CHECK(!json_find(bytes_str(BAD[i]), "b", &value));
        struct bytes rest = bytes_str(BAD[i]);
        struct bytes name;
        while (json_member(&rest, &name, &value)) {
        }
    }
}

static void round_trips_texts(void)
{
    static const char *const TEXTS[] = {"plain", "q\"b\\s", "line\nnext\ttab",
                                        "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", ""};
    for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
        struct buf b;
        buf_init(&b, 1024);
        json_quote(&b, bytes_str(TEXTS[i]));
        CHECK_STR(text_of(buf_bytes(&b)), TEXTS[i]);
        buf_free(&b);
    }
    CHECK_STR(text_of(bytes_str("\"\\u20ac\\ud83d\\ude00\"")), "\xe2\x82\xac\xf0\x9f\x98\x80");
}

int main(void)
{
    tap_case("members, elements and numbers are found", finds_members);
    tap_case("an object is walked member by member", walks_members);
    tap_case("bad text is not there, and no crash", survives_bad_text);
    tap_case("texts survive writing and reading", round_trips_texts);
    return tap_done();
}
