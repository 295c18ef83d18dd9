/* Record encoding: round trips, byte layout, and no read beyond a short or lying value. */
#include "core/store/record.h"

#include "tests/support/tap.h"

static void fields_come_back_as_written(void)
{
    struct buf out;
    buf_init(&out, 1024);
    record_begin(&out, 3);
    record_u8(&out, 200);
    record_u32(&out, UINT32_MAX);
    record_u64(&out, UINT64_MAX - 1);
    record_i64(&out, INT64_MIN);
    record_bytes(&out, bytes_of("a\0b", 3));
    record_str(&out, "order:5001");
    record_str(&out, NULL);
    CHECK(!out.has_failed);

    struct record_reader r;
    record_open(&r, buf_bytes(&out));
    CHECK_INT(r.version, 3);
    CHECK_INT(record_get_u8(&r), 200);
    CHECK(record_get_u32(&r) == UINT32_MAX);
    CHECK(record_get_u64(&r) == UINT64_MAX - 1);
    CHECK(record_get_i64(&r) == INT64_MIN);
    CHECK(bytes_equal(record_get_bytes(&r), bytes_of("a\0b", 3)));
    char *text = record_get_str(&r);
    CHECK_STR(text, "order:5001");
    free(text);
    text = record_get_str(&r);
    CHECK_STR(text, "");
    free(text);
    CHECK(!r.is_bad);
    CHECK_INT(r.rest.size, 0);
    buf_free(&out);
}

static void integers_are_big_endian(void)
{
    struct buf out;
    buf_init(&out, 64);
    record_begin(&out, 1);
    record_u32(&out, 0x01020304);
    record_str(&out, "x");
    CHECK(bytes_equal(buf_bytes(&out), bytes_of("\x01\x01\x02\x03\x04\0\0\0\x01x", 10)));
    buf_free(&out);
}

static void every_cut_of_a_record_is_bad(void)
{
    struct buf out;
    buf_init(&out, 64);
    record_begin(&out, 1);
    record_u64(&out, 7);
    record_str(&out, "abc");
    record_u8(&out, 9);
    for (size_t size = 0; size < out.size; size++) {
        char *copy = malloc(size == 0 ? 1 : size); /* exact, so that a sanitizer sees an overrun */
        memcpy(copy, out.data, size);
        struct record_reader r;
        record_open(&r, bytes_of(copy, size));
        record_get_u64(&r);
        char *text = record_get_str(&r);
        CHECK_INT(record_get_u8(&r), 0);
        CHECK(r.is_bad);
        free(text);
        free(copy);
    }
    buf_free(&out);
}

static void a_lying_length_is_bad(void)
{
    static const struct {
        const char *bytes;
        size_t size;
    } CASES[] = {
        {"\x01\xff\xff\xff\xff"
         "abc",
         8},
        {"\x01\0\0\0\x04"
         "abc",
         8},
        {"\x01\x04\0\0\x01"
         "abc",
         8},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct record_reader r;
        record_open(&r, bytes_of(CASES[i].bytes, CASES[i].size));
        CHECK_INT(record_get_bytes(&r).size, 0);
        CHECK(r.is_bad);
        CHECK_INT(record_get_u8(&r), 0);
    }
}

static void an_empty_value_is_bad(void)
{
    struct record_reader r;
    record_open(&r, bytes_of("", 0));
    CHECK(r.is_bad);
    CHECK_INT(r.version, 0);
}

static void a_full_buffer_is_noticed(void)
{
    struct buf out;
    buf_init(&out, 8);
    record_begin(&out, 1);
    record_str(&out, "much too long for it");
    CHECK(out.has_failed);
    buf_free(&out);
}

int main(void)
{
    tap_case("fields come back as written", fields_come_back_as_written);
    tap_case("integers are big-endian, texts carry their length", integers_are_big_endian);
    tap_case("every cut of a record is bad", every_cut_of_a_record_is_bad);
    tap_case("a lying length is bad", a_lying_length_is_bad);
    tap_case("an empty value is bad", an_empty_value_is_bad);
    tap_case("a full buffer is noticed", a_full_buffer_is_noticed);
    return tap_done();
}
