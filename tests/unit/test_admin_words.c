/* How ages and money read, wherever people look. */
#include "core/ops/admin.h"

#include "tests/support/tap.h"

#define HOUR_MS 3600000LL

static void ages_and_money_read_well(void)
{
    static const struct {
        int64_t delta_ms;
        const char *expected;
    } AGES[] = {{0, "in 0 s"},
                {-1000, "1 s ago"},
                {119 * 1000, "in 119 s"},
                {120 * 1000, "in 2 min"},
                {-4 * 60000, "4 min ago"},
                {31 * HOUR_MS, "in 31 h"},
                {48 * HOUR_MS, "in 2 d"}};
    static const struct {
        int64_t minor;
        const char *currency;
        const char *expected;
    } SUMS[] = {{16492, "GBP", "164.92"},
                {5, "EUR", "0.05"},
                {-5, "GBP", "-0.05"},
                {0, "GBP", "0.00"},
                {500, "JPY", "500"},
                {-12345, "GBP", "-123.45"},
                {INT64_MIN, "GBP", "-92233720368547758.08"}};
    char text[64];
    for (size_t i = 0; i < sizeof(AGES) / sizeof(AGES[0]); i++) {
        admin_format_distance(AGES[i].delta_ms, text, sizeof(text));
        CHECK_STR(text, AGES[i].expected);
    }
    for (size_t i = 0; i < sizeof(SUMS) / sizeof(SUMS[0]); i++) {
        admin_format_minor(SUMS[i].minor, SUMS[i].currency, text, sizeof(text));
        CHECK_STR(text, SUMS[i].expected);
    }
}

int main(void)
{
    tap_case("ages and money read well", ages_and_money_read_well);
    return tap_done();
}
