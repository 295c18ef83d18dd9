/* neap.money as scripts see it; the arithmetic itself is tested in test_decimal. */
#include "tests/support/lua_values.h"

static void decimals_compute_with_integers(void)
{
    static const struct lua_case cases[] = {
        {"d'12.50' + 1, 1 - d'0.25', d'1.5' * 2, -d'1'", "13.50|0.75|3.0|-1"},
        {"d'0.10' == d'0.1', d'1' < 2, 3 <= d'3.0', d'1' > d'2'", "true|true|true|false"},
        {"d'1' == 1, d'1':compare(1), d'1':compare(d'1.01')", "false|0|-1"},
        {"'x' .. d'1.0' .. 'y'", "x1.0y"},
        {"d(12345, 3), d(5), d(d'1.5')", "12.345|5|1.5"},
        {"d'10':div(3, 4, 'half_even'), d'2.345':round(2, 'half_away'), d'2':round(2, 'down')",
         "3.3333|2.35|2.00"},
        {"d'1.500':trim(), d'1.5':rescale(3), d'1.50':scale()", "1.5|1.500|2"},
        {"d'-2':sign(), d'0.0':sign(), d'3':sign(), d'0.00':is_zero(), d'-2.5':abs()",
         "-1|0|1|true|2.5"},
        {"d'5.00':to_integer(), math.type(d'5.00':to_integer())", "5|integer"},
        {"money.is_decimal(d'1'), money.is_decimal(1), getmetatable(d'1')",
         "true|false|neap.decimal"},
        {NULL, NULL},
    };
    values_check("d = money.decimal", cases);
}

static void floats_and_overflow_raise(void)
{
    static const struct lua_case cases[] = {
        {"(pcall(d, 1.5))", "false"},
        {"(pcall(d, 1.0))", "false"},
        {"(pcall(function() return d'1' + 0.5 end))", "false"},
        {"(pcall(function() return d'1' < 0.5 end))", "false"},
        {"(pcall(function() return d'1' + '2' end))", "false"},
        {"(pcall(money.to_text, 1.0, 'GBP'))", "false"},
        {"(pcall(money.split, 1.0, {1}))", "false"},
        {"(pcall(money.split, 1, {1.0}))", "false"},
        {"d'1' / 2", "raised: a division must name its rule: a:div(b, scale, \"half_even\")"},
        {"d'1':div(0, 2, 'down')", "raised: division by zero"},
        {"(pcall(d'1'.div, d'1', 2, 2, 'bankers'))", "false"},
        {"(pcall(d'1'.round, d'1', 13, 'down'))", "false"},
        {"d'9223372036854775807' + 1",
         "raised: limit: addition: the result does not fit a decimal (19 digits, 12 decimals)"},
        {"errors.is(select(2, pcall(d'9e0' and d'1'.rescale, d'1.5', 0)), 'invalid')", "true"},
        {"d'1.5':to_integer()", "raised: invalid: to_integer: no exact result"},
        {NULL, NULL},
    };
    values_check(
        "d = function(t, s) return errors.check(money.decimal(t == '9e0' and '9' or t, s)) end",
        cases);
}

static void outside_numbers_are_error_values(void)
{
    static const struct lua_case cases[] = {
        {"money.decimal('abc')", "nil|invalid: \"abc\" is not a decimal number"},
        {"money.decimal('1e3')", "nil|invalid: \"1e3\" is not a decimal number"},
        {"money.decimal('0.0000000000001')",
         "nil|limit: \"0.0000000000001\" does not fit a decimal"},
        {"money.from_number(19.99, 2), money.from_number(0.1, 1), money.from_number(7, 0)",
         "19.99|0.1|7"},
        {"money.from_number(1e15, 2), money.from_number(1e-7, 7), money.from_number(-2.50, 2)",
         "1000000000000000|0.0000001|-2.5"},
        {"money.from_number(19.999, 2)",
         "nil|invalid: the number 19.998999999999999 has more than 2 decimals"},
        {"money.from_number(0.1 + 0.2, 4)",
         "nil|invalid: the number 0.30000000000000004 has more than 4 decimals"},
        {"money.from_number(1e300, 2)",
         "nil|limit: the number 1.0000000000000001e+300 does not fit a decimal"},
        {"money.from_number(0/0, 2).kind", "raised: attempt to index a nil value"},
        {"select(2, money.from_number(1/0, 2)).kind", "invalid"},
        {"money.from_number(json.decode('0.07'), 2)", "0.07"},
        {NULL, NULL},
    };
    values_check(NULL, cases);
}

static void currencies_have_minor_digits(void)
{
    static const struct lua_case cases[] = {
        {"money.digits('GBP'), money.digits('EUR'), money.digits('JPY'), money.digits('KWD')",
         "2|2|0|3"},
        {"money.digits('CLF'), money.digits('ISK'), money.digits('HUF')", "4|0|2"},
        {"money.digits('XXX')", "nil|invalid: unknown currency \"XXX\""},
        {"money.digits('gbp')", "nil|invalid: unknown currency \"gbp\""},
        {"money.digits('BPG')", "nil|invalid: unknown currency \"BPG\""},
        {"money.digits('P G')", "nil|invalid: unknown currency \"P G\""},
        {"money.digits('')", "nil|invalid: unknown currency \"\""},
        {"money.to_text(1234, 'GBP'), money.to_text(-5, 'GBP'), money.to_text(5, 'JPY')",
         "12.34|-0.05|5"},
        {"money.format(1234, 'GBP'), money.format(1234, 'KWD')", "GBP 12.34|KWD 1.234"},
        {"money.format(1, 'ABC')", "nil|invalid: unknown currency \"ABC\""},
        {"money.from_minor(1234, 'EUR') + money.decimal('0.005')", "12.345"},
        {"money.decimal('12.340'):to_minor(2), money.decimal('12.34'):to_minor('GBP')",
         "1234|1234"},
        {"money.decimal('12.345'):to_minor(2)",
         "nil|invalid: 12.345 is not a whole number of minor units of 2 digits"},
        {"money.decimal('1'):to_minor('ZZZ')", "nil|invalid: unknown currency \"ZZZ\""},
        {NULL, NULL},
    };
    values_check(NULL, cases);
}

static void splitting_is_exact(void)
{
    static const struct lua_case cases[] = {
        {"table.concat(money.split(1000, {1, 1, 1}), ' ')", "334 333 333"},
        {"table.concat(money.split(-1000, {1, 1, 1}), ' ')", "-334 -333 -333"},
        {"table.concat(money.split(100, {money.decimal('0.5'), 1, 0}), ' ')", "33 67 0"},
        {"money.split(1, {0, 0})", "nil|invalid: the weights are negative or add up to zero"},
        {"money.split(1, {})", "nil|invalid: the weights are negative or add up to zero"},
        {"money.split(1, {1, -1})", "nil|invalid: the weights are negative or add up to zero"},
        {"money.split(1, {math.maxinteger, money.decimal('0.1')})",
         "nil|limit: weight 1 is too large"},
        {"(pcall(money.split, 1, {1, nil, 'x'}))", "false"},
        {NULL, NULL},
    };
    values_check(NULL, cases);
}

static void memory_failures_stay_errors(void)
{
    values_torture(
        "local a = money.decimal('19.99')\n"
        "assert(tostring((a * 3):div(7, 4, 'half_even')) == '8.5671')\n"
        "assert(#money.split(1000, {1, a, 3}) == 3 and money.format(5, 'GBP') == 'GBP 0.05')");
}

int main(void)
{
    tap_case("decimals compute and compare with integers", decimals_compute_with_integers);
    tap_case("floats, unnamed rules and overflow raise", floats_and_overflow_raise);
    tap_case("numbers from outside give error values", outside_numbers_are_error_values);
    tap_case("currencies have their ISO 4217 digits", currencies_have_minor_digits);
    tap_case("splitting adds up", splitting_is_exact);
    tap_case("memory running out anywhere stays a memory error", memory_failures_stay_errors);
    return tap_done();
}
