/* core/base/decimal: parsing, exactness, every rounding rule, splitting. */
#include "core/base/decimal.h"
#include "core/base/clock.h"
#include "tests/support/tap.h"

static struct decimal of(const char *text)
{
    struct decimal d = {0, 0};
    if (decimal_parse(bytes_str(text), &d) != 0) {
        printf("# cannot parse %s\n", text);
        tap_is_case_bad = true;
    }
    return d;
}

static const char *text_of(struct decimal d)
{
    static char text[DECIMAL_TEXT_SIZE];
    decimal_format(d, text);
    return text;
}

static void parsing_is_strict(void)
{
    static const struct {
        const char *text;
        int rc;
        const char *canonical;
    } cases[] = {
        {"0", 0, "0"},
        {"-0", 0, "0"},
        {"12.50", 0, "12.50"},
        {"+1.5", 0, "1.5"},
        {"-0.05", 0, "-0.05"},
        {"007", 0, "7"},
        {"0.000000000001", 0, "0.000000000001"},
        {"1.0000000000000000", 0, "1.000000000000"},
        {"9223372036854775807", 0, "9223372036854775807"},
        {"-9223372036854775808", 0, "-9223372036854775808"},
        {"-9223372.036854775808", 0, "-9223372.036854775808"},
        {"9223372036854775808", ERROR_LIMIT, NULL},
        {"0.0000000000001", ERROR_LIMIT, NULL},
        {"99999999999999999999999999999999999999999999", ERROR_LIMIT, NULL},
        {"", ERROR_INVALID, NULL},
        {"-", ERROR_INVALID, NULL},
        {".5", ERROR_INVALID, NULL},
        {"5.", ERROR_INVALID, NULL},
        {"1e3", ERROR_INVALID, NULL},
        {"1,5", ERROR_INVALID, NULL},
        {" 1", ERROR_INVALID, NULL},
        {"1 ", ERROR_INVALID, NULL},
        {"0x1", ERROR_INVALID, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct decimal d = {0, 0};
        int rc = decimal_parse(bytes_str(cases[i].text), &d);
        CHECK_INT(rc, cases[i].rc);
        if (rc == 0) {
            CHECK_STR(text_of(d), cases[i].canonical);
        }
    }
}

static void exponents_are_read_exactly(void)
{
    static const struct {
        const char *text;
        int rc;
        const char *canonical;
    } cases[] = {
        {"1e3", 0, "1000"},
        {"1.25e1", 0, "12.5"},
        {"12.5E-3", 0, "0.0125"},
        {"1e-12", 0, "0.000000000001"},
        {"100e-14", 0, "0.000000000001"},
        {"1e-13", ERROR_LIMIT, NULL},
        {"1e19", ERROR_LIMIT, NULL},
        {"0e99999999999", 0, "0"},
        {"1e-99999999999", ERROR_LIMIT, NULL},
        {"1e", ERROR_INVALID, NULL},
        {"1e+", ERROR_INVALID, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct decimal d = {0, 0};
        int rc = decimal_parse_scientific(bytes_str(cases[i].text), &d);
        CHECK_INT(rc, cases[i].rc);
        if (rc == 0) {
            CHECK_STR(text_of(d), cases[i].canonical);
        }
    }
}

static void every_rule_rounds_as_named(void)
{
    static const struct {
        const char *value;
        const char *expected[6]; /* half_away, half_even, down, up, floor, ceil */
    } cases[] = {
        {"2.5", {"3", "2", "2", "3", "2", "3"}},
        {"-2.5", {"-3", "-2", "-2", "-3", "-3", "-2"}},
        {"3.5", {"4", "4", "3", "4", "3", "4"}},
        {"2.4", {"2", "2", "2", "3", "2", "3"}},
        {"-2.4", {"-2", "-2", "-2", "-3", "-3", "-2"}},
        {"-2.6", {"-3", "-3", "-2", "-3", "-3", "-2"}},
        {"0.5", {"1", "0", "0", "1", "0", "1"}},
        {"-0.5", {"-1", "0", "0", "-1", "-1", "0"}},
        {"2.0", {"2", "2", "2", "2", "2", "2"}},
        {"9223372036854775.807",
         {"9223372036854776", "9223372036854776", "9223372036854775", "9223372036854776",
          "9223372036854775", "9223372036854776"}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int mode = 0; mode < 6; mode++) {
            struct decimal d = {0, 0};
            CHECK_INT(decimal_round(of(cases[i].value), 0, (enum decimal_rounding)mode, &d), 0);
            CHECK_STR(text_of(d), cases[i].expected[mode]);
        }
    }
    CHECK_INT(decimal_rounding_find("half_even"), DECIMAL_HALF_EVEN);
    CHECK_INT(decimal_rounding_find("ceil"), DECIMAL_CEIL);
    CHECK_INT(decimal_rounding_find("bankers"), -1);
}

typedef int (*binary_fn)(struct decimal a, struct decimal b, struct decimal *out);

static void sums_and_products_are_exact(void)
{
    static const struct {
        binary_fn apply;
        const char *a;
        const char *b;
        int rc;
        const char *expected;
    } cases[] = {
        {decimal_add, "0.1", "0.2", 0, "0.3"},
        {decimal_add, "12.50", "1", 0, "13.50"},
        {decimal_add, "9223372036854775807", "1", ERROR_LIMIT, NULL},
        {decimal_add, "9223372036854775807", "0.1", ERROR_LIMIT, NULL},
        {decimal_subtract, "-9223372036854775808", "1", ERROR_LIMIT, NULL},
        {decimal_subtract, "1", "0.01", 0, "0.99"},
        {decimal_multiply, "1.5", "2.25", 0, "3.375"},
        {decimal_multiply, "19.99", "0.2", 0, "3.998"},
        {decimal_multiply, "-0.000001", "0.000001", 0, "-0.000000000001"},
        {decimal_multiply, "0.0000001", "0.000001", ERROR_LIMIT, NULL},
        {decimal_multiply, "0.0000010", "0.0000010", 0, "0.000000000001"},
        {decimal_multiply, "5000000000", "5000000000", ERROR_LIMIT, NULL},
        {decimal_multiply, "5000000000.0000", "0.0002", 0, "1000000.00000000"},
        {decimal_multiply, "-9223372036854775808", "-1", ERROR_LIMIT, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct decimal d = {0, 0};
        CHECK_INT(cases[i].apply(of(cases[i].a), of(cases[i].b), &d), cases[i].rc);
        if (cases[i].rc == 0) {
            CHECK_STR(text_of(d), cases[i].expected);
        }
    }
}

static void divisions_round_once(void)
{
    static const struct {
        const char *a;
        const char *b;
        int scale;
        enum decimal_rounding mode;
        int rc;
        const char *expected;
    } cases[] = {
        {"10", "3", 4, DECIMAL_HALF_EVEN, 0, "3.3333"},
        {"19.99", "1.2", 4, DECIMAL_HALF_AWAY, 0, "16.6583"},
        {"1", "8", 2, DECIMAL_HALF_EVEN, 0, "0.12"},
        {"1", "8", 2, DECIMAL_HALF_AWAY, 0, "0.13"},
        {"-1", "8", 2, DECIMAL_FLOOR, 0, "-0.13"},
        {"1", "-8", 2, DECIMAL_HALF_AWAY, 0, "-0.13"},
        {"0.000000000001", "1", 0, DECIMAL_UP, 0, "1"},
        {"9223372036854775807", "0.000000000001", 12, DECIMAL_DOWN, ERROR_LIMIT, NULL},
        {"9223372036854775807", "9223372036854775807", 12, DECIMAL_DOWN, 0, "1.000000000000"},
        {"-9223372036854775808", "-1", 0, DECIMAL_DOWN, ERROR_LIMIT, NULL},
        {"1", "0", 2, DECIMAL_DOWN, ERROR_INVALID, NULL},
        {"1", "1", 13, DECIMAL_DOWN, ERROR_INVALID, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct decimal d = {0, 0};
        int rc = decimal_divide(of(cases[i].a), of(cases[i].b), cases[i].scale, cases[i].mode, &d);
        CHECK_INT(rc, cases[i].rc);
        if (cases[i].rc == 0) {
            CHECK_STR(text_of(d), cases[i].expected);
        }
    }
}

static void values_compare_by_number(void)
{
    CHECK_INT(decimal_compare(of("12.5"), of("12.50")), 0);
    CHECK_INT(decimal_compare(of("-1"), of("0.000000000001")), -1);
    CHECK_INT(decimal_compare(of("9223372036854775807"), of("9223372.036854775807")), 1);
    CHECK_STR(text_of(decimal_trim(of("12.500"))), "12.5");
    CHECK_STR(text_of(decimal_trim(of("0.000"))), "0");
    struct decimal d = {0, 0};
    CHECK_INT(decimal_rescale(of("12.500"), 1, &d), 0);
    CHECK_STR(text_of(d), "12.5");
    CHECK_INT(decimal_rescale(of("12.5"), 0, &d), ERROR_INVALID);
    CHECK_INT(decimal_rescale(of("9223372036854775807"), 1, &d), ERROR_LIMIT);
    CHECK_INT(decimal_rescale(of("1"), 13, &d), ERROR_INVALID);
}

static void splits_add_up(void)
{
    struct random_source random;
    random_init(&random, 7);
    int64_t weights[12];
    int64_t shares[12];
    struct decimal_remainder scratch[12];
    for (int round = 0; round < 20000; round++) {
        size_t count = 1 + (size_t)random_below(&random, 12);
        int64_t bound = round % 3 == 0 ? INT64_MAX : 50;
        int64_t total_weight = 0;
        for (size_t i = 0; i < count; i++) {
            weights[i] = (int64_t)random_below(&random, (uint64_t)bound);
            total_weight |= weights[i];
        }
        int64_t amount = (int64_t)(random_next(&random) >> (random_next(&random) % 64));
        amount = round % 2 == 0 ? amount : (int64_t)(0 - (uint64_t)amount);
        int rc = decimal_split(amount, weights, count, shares, scratch);
        if (total_weight == 0) {
            CHECK_INT(rc, ERROR_INVALID);
            continue;
        }
        __int128 sum = 0;
        for (size_t i = 0; i < count; i++) {
            sum += shares[i];
            CHECK(weights[i] > 0 || shares[i] == 0);
            CHECK(shares[i] == 0 || (shares[i] < 0) == (amount < 0));
        }
        CHECK(rc == 0 && sum == amount);
    }
}

static void splits_follow_largest_remainder(void)
{
    static const struct {
        int64_t amount;
        int64_t weights[4];
        int64_t expected[4];
    } cases[] = {
        {1000, {1, 1, 1, 0}, {334, 333, 333, 0}},
        {-1000, {1, 1, 1, 0}, {-334, -333, -333, 0}},
        {100, {0, 1, 2, 4}, {0, 14, 29, 57}},
        {1, {1, 2, 2, 1}, {0, 1, 0, 0}},
        {0, {1, 1, 1, 1}, {0, 0, 0, 0}},
        {INT64_MIN, {0, 0, 5, 0}, {0, 0, INT64_MIN, 0}},
        {INT64_MAX, {1, 1, 0, 0}, {4611686018427387904, 4611686018427387903, 0, 0}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t shares[4];
        struct decimal_remainder scratch[4];
        CHECK_INT(decimal_split(cases[i].amount, cases[i].weights, 4, shares, scratch), 0);
        for (size_t k = 0; k < 4; k++) {
            CHECK_INT(shares[k], cases[i].expected[k]);
        }
    }
    int64_t negative[] = {1, -1};
    int64_t shares[2];
    struct decimal_remainder scratch[2];
    CHECK_INT(decimal_split(5, negative, 2, shares, scratch), ERROR_INVALID);
    CHECK_INT(decimal_split(5, negative, 0, shares, scratch), ERROR_INVALID);
}

int main(void)
{
    tap_case("parsing takes plain decimals and nothing else", parsing_is_strict);
    tap_case("exponents are read exactly where they are allowed", exponents_are_read_exactly);
    tap_case("every rule rounds as named", every_rule_rounds_as_named);
    tap_case("sums and products are exact or refused", sums_and_products_are_exact);
    tap_case("divisions round once, by the rule given", divisions_round_once);
    tap_case("values compare by number, scales change only exactly", values_compare_by_number);
    tap_case("shares always add up and never change sign", splits_add_up);
    tap_case("shares follow the largest remainder", splits_follow_largest_remainder);
    return tap_done();
}
