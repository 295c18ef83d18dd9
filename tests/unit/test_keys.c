/* Keys: order of numbers, texts that are no prefix of each other, one byte per table. */
#include "core/store/keys.h"
#include "tests/support/tap.h"

static void numbers_sort_as_numbers(void)
{
    static const uint64_t numbers[] = {0, 1, 255, 256, 65536, 1ull << 40, UINT64_MAX};
    struct key before;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct key key;
        key_begin(&key, KEY_JOB);
        key_u64(&key, numbers[i]);
        CHECK_INT(key_last_u64(key_bytes(&key)), numbers[i]);
        CHECK(i == 0 || bytes_compare(key_bytes(&before), key_bytes(&key)) < 0);
        before = key;
    }
}

static void no_text_is_a_prefix_of_another(void)
{
    struct key a;
    struct key b;
    key_begin(&a, KEY_INBOX);
    key_text(&a, "order:1");
    key_begin(&b, KEY_INBOX);
    key_text(&b, "order:12");
    CHECK(memcmp(a.data, b.data, a.size) != 0);
    char text[200];
    memset(text, 'x', sizeof text);
    key_begin(&a, KEY_INBOX);
    key_text_bytes(&a, bytes_of(text, 199));
    key_begin(&b, KEY_INBOX);
    key_text_bytes(&b, bytes_of(text, 200));
    CHECK_INT(a.size, 34);
    CHECK(!bytes_equal(key_bytes(&a), key_bytes(&b)));
}

static void a_prefix_ends_behind_its_last_key(void)
{
    struct key prefix;
    key_begin(&prefix, KEY_ORDER);
    key_u8(&prefix, 0xFF);
    struct key end = prefix;
    key_after_prefix(&end);
    CHECK_INT(end.size, 1);
    CHECK_INT(end.data[0], KEY_ORDER + 1);
    CHECK(bytes_compare(key_bytes(&prefix), key_bytes(&end)) < 0);
}

static void each_table_has_a_byte_of_its_own(void)
{
    int names = 0;
    for (int i = 0; i < 256; i++) {
        names += key_table_name((uint8_t)i) != NULL;
    }
    int listed = 0;
#define COUNT_TABLE(symbol, byte, layout) listed++;
    KEY_TABLE_LIST(COUNT_TABLE)
#undef COUNT_TABLE
    CHECK_INT(names, listed);
}

int main(void)
{
    tap_case("numbers sort as numbers", numbers_sort_as_numbers);
    tap_case("no text is a prefix of another", no_text_is_a_prefix_of_another);
    tap_case("a prefix ends behind its last key", a_prefix_ends_behind_its_last_key);
    tap_case("each table has a byte of its own", each_table_has_a_byte_of_its_own);
    return tap_done();
}
