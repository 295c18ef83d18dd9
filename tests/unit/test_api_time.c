/* neap.time: ISO 8601 in and out, clocks from the environment. */
#include "core/base/instant.h"
#include "tests/support/lua_values.h"

static void clocks_come_from_the_environment(void)
{
    static const struct lua_case cases[] = {
        {"time.now_ms(), time.mono_ms()", "1777888978123|0"},
        {"time.format_iso(time.now_ms(), {millis = true})", "2026-05-04T10:02:58.123Z"},
        {NULL, NULL},
    };
    values_check(NULL, cases);
}

static void text_becomes_instants(void)
{
    static const struct lua_case cases[] = {
        {"p'1970-01-01T00:00:00Z', p'1969-12-31T23:59:59.999Z'", "0|-1"},
        {"p'2026-05-04T10:02:58Z', p'2026-05-04 10:02:58z', p'2026-05-04T10:02Z'",
         "1777888978000|1777888978000|1777888920000"},
        {"p'2026-05-04T11:02:58.1239+01:00', p'2026-05-04T11:02:58,5+0100'",
         "1777888978123|1777888978500"},
        {"p'2026-05-04T05:02:58-05', p'2026-05-04 10:02:58 +00:00'", "1777888978000|1777888978000"},
        {"p('2026-05-04', {zone = 'UTC'}), p('2026-05-04T10:02:58', {zone = 'UTC'})",
         "1777852800000|1777888978000"},
        {"p('2026-05-04T11:02:58+01:00', {zone = 'UTC'})", "1777888978000"},
        {"p'2024-02-29T00:00:00Z', p'2000-02-29T00:00:00Z'", "1709164800000|951782400000"},
        {"p'2026-05-04'", "nil|invalid: no offset in \"2026-05-04\" and no zone given"},
        {"p'2026-02-29T00:00:00Z'",
         "nil|invalid: not a date (2026-05-04): \"2026-02-29T00:00:00Z\""},
        {"p('2026-05-04T11:02:58.5', {zone = 'Europe/London'})", "1777888978500"},
        {"p('2026-01-04', {zone = 'Europe/London'}) == p'2026-01-04T00:00:00Z'", "true"},
        {"p('2026-03-29T01:30:00', {zone = 'Europe/London'}) == p'2026-03-29T01:00:00Z'", "true"},
        {"p('2026-10-25T01:30:00', {zone = 'Europe/London'}) == p'2026-10-25T00:30:00Z'", "true"},
        {"select(2, p('2026-05-04', {zone = 'Mars/Base'})).kind", "not_found"},
        {"select(2, p('2026-05-04', {zone = '../passwd'})).kind", "invalid"},
        {"p('2026-05-04', {tz = 'UTC'})", "raised: unknown option \"tz\"; known: zone"},
        {NULL, NULL},
    };
    values_check("p = time.parse_iso", cases);
}

static void malformed_text_is_refused(void)
{
    static const char *const bad[] = {
        "",
        "2026",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2026-05-04T24:00:00Z",
        "2026-05-04T10:60:00Z",
        "2026-05-04T10:02:60Z",
        "2026-05-04T10:02:58.Z",
        "2026-05-04T10:02:58+15:00",
        "2026-05-04T10:02:58+01:60",
        "2026-05-04T10:02:58+1",
        "2026-05-04T10:02:58Zx",
        "2026-05-04T",
        "2026-05-04T10",
        "2026-05-04X10:02:58Z",
        "2026-5-4",
        " 2026-05-04",
        "20260504T100258Z",
        "2026-05-04T10:02:58+01:",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct instant_text read;
        struct error err;
        int rc = instant_parse(bytes_str(bad[i]), &read, &err);
        if (rc != ERROR_INVALID) {
            printf("# accepted: %s\n", bad[i]);
        }
        CHECK_INT(rc, ERROR_INVALID);
    }
}

static void instants_become_text(void)
{
    static const struct lua_case cases[] = {
        {"time.format_iso(0), time.format_iso(-1, {millis = true})",
         "1970-01-01T00:00:00Z|1969-12-31T23:59:59.999Z"},
        {"time.format_iso(1777888978123, {zone = 'UTC'})", "2026-05-04T10:02:58Z"},
        {"time.format_date(1777888978123)", "2026-05-04"},
        {"time.format_iso(math.maxinteger)",
         "nil|invalid: the instant 9223372036854775807 is outside the years 0 to 9999"},
        {"select(2, time.format_iso(0, {zone = 'Mars/Base'})).kind", "not_found"},
        {"time.format_iso(1777888978123, {zone = 'Europe/London', millis = true})",
         "2026-05-04T11:02:58.123+01:00"},
        {"time.format_iso(1777888978123, {zone = 'America/St_Johns'})",
         "2026-05-04T07:32:58-02:30"},
        {"time.format_date(1777935600000, {zone = 'Europe/London'})", "2026-05-05"},
        {"time.format_iso(-1, {zone = 'Etc/UTC'})", "1969-12-31T23:59:59Z"},
        {"(pcall(time.format_iso, 1.5))", "false"},
        {NULL, NULL},
    };
    values_check(NULL, cases);
}

static void every_day_goes_both_ways(void)
{
    for (int64_t day = -719528; day < 2932897; day += 13) {
        int64_t ms = day * 86400000 + 12345678;
        struct instant_parts parts;
        CHECK_INT(instant_to_parts(ms, &parts), 0);
        if (instant_from_parts(&parts) != ms) {
            CHECK_INT(instant_from_parts(&parts), ms);
            return;
        }
    }
    struct instant_parts parts;
    CHECK_INT(instant_to_parts((int64_t)-719529 * 86400000, &parts), ERROR_INVALID);
    CHECK_INT(instant_to_parts((int64_t)2932897 * 86400000, &parts), ERROR_INVALID);
    CHECK_INT(instant_to_parts(INT64_MIN, &parts), ERROR_INVALID);
}

int main(void)
{
    tap_case("clocks come from the environment", clocks_come_from_the_environment);
    tap_case("ISO text becomes instants", text_becomes_instants);
    tap_case("malformed text is refused", malformed_text_is_refused);
    tap_case("instants become text", instants_become_text);
    tap_case("every day of ten thousand years goes both ways", every_day_goes_both_ways);
    return tap_done();
}
