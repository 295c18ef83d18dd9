/* Cron expressions: what they match, what they refuse, and clocks that jump. */
#include "core/base/zone.h"
#include "core/work/cron.h"
#include "tests/support/tap.h"

static int64_t utc(int year, int month, int day, int minutes)
{
    struct zone_parts parts = {.year = year, .month = month, .day = day, .minute = minutes};
    struct error err;
    struct zone *zone = zone_open("UTC", &err);
    int64_t at = zone_to_wall_ms(zone, &parts);
    zone_close(zone);
    return at;
}

static int64_t next(const char *text, const char *zone_text, int64_t after)
{
    struct cron cron;
    struct error err;
    error_clear(&err);
    struct zone *zone = zone_text == NULL ? NULL : zone_open(zone_text, &err);
    if (cron_parse(&cron, text, &err) != 0) {
        printf("# %s: %s\n", text, err.message);
        zone_close(zone);
        return -2;
    }
    int64_t at = cron_next_ms(&cron, zone, after);
    zone_close(zone);
    return at;
}

static void expressions_match_what_they_say(void)
{
    /* 2026-05-04 is a Monday; minutes count from midnight. */
    static const struct {
        const char *text;
        int day;
        int minutes;
    } cases[] = {
        {"* * * * *", 4, 603},     {"*/5 * * * *", 4, 605},      {"0 12 * * *", 4, 720},
        {"0 9 * * *", 5, 540},     {"30 8-18 * * 1-5", 4, 630},  {"0 0 * * sun", 10, 0},
        {"0 0 * * 7", 10, 0},      {"0 0 * * 5-7", 8, 0},        {"0 0 6 * *", 6, 0},
        {"0 0 6 * wed", 6, 0},     {"0 0 9 * tue", 5, 0},        {"15,45 10 * MAY Mon", 4, 615},
        {"2/20 10 * * *", 4, 622}, {"10-20/3 10 * * *", 4, 610}, {"  0   11  *  5  *  ", 4, 660},
        {"0 0 */2 * tue", 5, 0},
    };
    int64_t after = utc(2026, 5, 4, 602) + 30000;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t expected = utc(2026, 5, cases[i].day, cases[i].minutes);
        if (next(cases[i].text, NULL, after) != expected) {
            printf("# %s\n", cases[i].text);
        }
        CHECK_INT(next(cases[i].text, NULL, after), expected);
        CHECK_INT(next(cases[i].text, "UTC", after), expected);
    }
}

static void rare_days_are_found_and_impossible_ones_are_not(void)
{
    CHECK_INT(next("0 0 29 2 *", NULL, utc(2026, 5, 4, 0)), utc(2028, 2, 29, 0));
    CHECK_INT(next("0 0 29 2 *", NULL, utc(2096, 3, 1, 0)), utc(2104, 2, 29, 0));
    CHECK_INT(next("0 0 30 2 *", NULL, utc(2026, 5, 4, 0)), -1);
    CHECK_INT(next("0 0 1 1 *", NULL, utc(2026, 1, 1, 0)), utc(2027, 1, 1, 0));
}

static void errors_name_the_field(void)
{
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        {"60 * * * *", "minute"},
        {"* 24 * * *", "hour"},
        {"* * 0 * *", "day of month"},
        {"* * * 13 *", "month"},
        {"* * * * 8", "day of week"},
        {"* * * * mox", "day of week"},
        {"", "minute"},
        {"* * * *", "day of week"},
        {"* * * * * *", "extra"},
        {"5-1 * * * *", "minute"},
        {"*/0 * * * *", "minute"},
        {"1,,2 * * * *", "minute"},
        {"1- * * * *", "minute"},
        {"-1 * * * *", "minute"},
        {"99999999999 * * * *", "minute"},
        {"1,2, * * * *", "minute"},
        {"*5 * * * *", "minute"},
        {"jan * * * *", "minute"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cron cron;
        struct error err;
        error_clear(&err);
        CHECK_INT(cron_parse(&cron, cases[i].text, &err), ERROR_INVALID);
        if (strstr(err.message, cases[i].words) == NULL) {
            printf("# %s: %s\n", cases[i].text, err.message);
        }
        CHECK(strstr(err.message, cases[i].words) != NULL);
    }
}

static void clocks_that_jump(void)
{
    /* London 2026: 01:00 -> 02:00 on 29 March (01:00 UTC); 02:00 -> 01:00 on 25 October (01:00
     * UTC). */
    const char *london = "Europe/London";
    CHECK_INT(next("30 1 * * *", london, utc(2026, 3, 28, 120)), utc(2026, 3, 29, 60));
    CHECK_INT(next("30 1 * * *", london, utc(2026, 3, 29, 60)), utc(2026, 3, 30, 30));
    CHECK_INT(next("30 1 * * *", london, utc(2026, 10, 24, 60)), utc(2026, 10, 25, 30));
    CHECK_INT(next("30 1 * * *", london, utc(2026, 10, 25, 30)), utc(2026, 10, 26, 90));
    CHECK_INT(next("0 6 * * *", london, utc(2026, 7, 1, 0)), utc(2026, 7, 1, 300));
    CHECK_INT(next("0 6 * * *", london, utc(2026, 12, 1, 0)), utc(2026, 12, 1, 360));
    /* A gap runs every time in it at one instant, once. */
    CHECK_INT(next("*/15 * * * *", london, utc(2026, 3, 29, 59)), utc(2026, 3, 29, 60));
    CHECK_INT(next("*/15 * * * *", london, utc(2026, 3, 29, 60)), utc(2026, 3, 29, 75));
    /* East of UTC the local day is ahead of the UTC day. */
    CHECK_INT(next("0 1 * * mon", "Asia/Tokyo", utc(2026, 5, 3, 600)), utc(2026, 5, 3, 960));
}

int main(void)
{
    tap_case("expressions match what they say", expressions_match_what_they_say);
    tap_case("rare days are found and impossible ones are not",
             rare_days_are_found_and_impossible_ones_are_not);
    tap_case("errors name the field", errors_name_the_field);
    tap_case("clocks that jump", clocks_that_jump);
    return tap_done();
}
