/* Buffers: growth, the maximum, sticky failure, and comparison of byte ranges. */
#include "core/base/buf.h"

#include "tests/support/tap.h"

static void appended_bytes_are_kept_and_terminated(void)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    CHECK_STR(buf_text(&b), "");
    CHECK_INT(buf_bytes(&b).size, 0);
    CHECK_INT(buf_add_str(&b, "abc"), 0);
    CHECK_INT(buf_add_char(&b, '-'), 0);
    CHECK_INT(buf_addf(&b, "%d%s", 42, "!"), 0);
    CHECK_INT(buf_add(&b, "\0x", 2), 0);
    CHECK(bytes_equal(buf_bytes(&b), bytes_of("abc-42!\0x", 9)));
    CHECK_INT(b.data[b.size], 0);
    for (int i = 0; i < 10000; i++) {
        CHECK_INT(buf_addf(&b, "%05d", i), 0);
    }
    CHECK_INT(b.size, 50009);
    CHECK_STR(b.data + b.size - 5, "09999");
    buf_free(&b);
}

static void the_maximum_holds_exactly(void)
{
    struct buf b;
    buf_init(&b, 8);
    CHECK_INT(buf_add_str(&b, "12345678"), 0);
    CHECK(!b.has_failed);
    CHECK_INT(buf_add_char(&b, '9'), ERROR_LIMIT);
    CHECK(b.has_failed);
    CHECK_STR(buf_text(&b), "12345678");
    buf_free(&b);
}

static void a_failure_is_sticky_until_reset(void)
{
    struct buf b;
    buf_init(&b, 8);
    CHECK_INT(buf_add_str(&b, "12"), 0);
    CHECK_INT(buf_addf(&b, "%s", "1234567"), ERROR_LIMIT);
    CHECK_INT(buf_add_char(&b, '3'), ERROR_LIMIT);
    CHECK_INT(buf_add(&b, "", 0), ERROR_LIMIT);
    CHECK_STR(buf_text(&b), "12");
    buf_reset(&b);
    CHECK_STR(buf_text(&b), "");
    CHECK_INT(buf_add_str(&b, "345"), 0);
    CHECK_STR(buf_text(&b), "345");
    buf_free(&b);
}

static void huge_sizes_do_not_wrap(void)
{
    struct buf b;
    buf_init(&b, 64);
    CHECK_INT(buf_add_char(&b, 'x'), 0);
    CHECK_INT(buf_reserve(&b, SIZE_MAX), ERROR_LIMIT);
    buf_reset(&b);
    CHECK_INT(buf_reserve(&b, 64), 0);
    CHECK_INT(buf_reserve(&b, 65), ERROR_LIMIT);
    buf_free(&b);
}

static void taken_bytes_belong_to_the_caller(void)
{
    struct buf b;
    buf_init(&b, 64);
    buf_add_str(&b, "mine");
    size_t size = 0;
    char *data = buf_take(&b, &size);
    CHECK_STR(data, "mine");
    CHECK_INT(size, 4);
    free(data);
    CHECK_INT(b.size, 0);
    CHECK_INT(buf_add_str(&b, "again"), 0);
    CHECK_STR(buf_text(&b), "again");
    buf_free(&b);
    data = buf_take(&b, &size);
    CHECK_STR(data, "");
    CHECK_INT(size, 0);
    free(data);
}

static int sign(int value)
{
    return (value > 0) - (value < 0);
}

static void ranges_compare_as_bytes(void)
{
    static const struct {
        const char *a;
        const char *b;
        int order;
    } CASES[] = {
        {"", "", 0},    {"", "a", -1},      {"a", "a", 0},       {"a", "b", -1},
        {"ab", "a", 1}, {"a\xff", "b", -1}, {"\xff", "\x7f", 1}, {"abc", "abd", -1},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct bytes a = bytes_str(CASES[i].a);
        struct bytes b = bytes_str(CASES[i].b);
        CHECK_INT(sign(bytes_compare(a, b)), CASES[i].order);
        CHECK_INT(sign(bytes_compare(b, a)), -CASES[i].order);
        CHECK(bytes_equal(a, b) == (CASES[i].order == 0));
    }
    CHECK_INT(bytes_str(NULL).size, 0);
    CHECK(bytes_equal(bytes_of(NULL, 0), bytes_str("")));
}

int main(void)
{
    tap_case("appended bytes are kept and terminated", appended_bytes_are_kept_and_terminated);
    tap_case("the maximum holds exactly", the_maximum_holds_exactly);
    tap_case("a failure is sticky until reset", a_failure_is_sticky_until_reset);
    tap_case("huge sizes do not wrap", huge_sizes_do_not_wrap);
    tap_case("taken bytes belong to the caller", taken_bytes_belong_to_the_caller);
    tap_case("ranges compare as bytes", ranges_compare_as_bytes);
    return tap_done();
}
