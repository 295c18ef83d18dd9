/* Time zones: offsets, changes, gaps and overlaps, the yearly rule, and damaged files. */
#include "core/base/zone.h"

#include <fcntl.h>
#include <unistd.h>

#include "core/base/instant.h"
#include "core/base/zone_rule.h"
#include "tests/support/tap.h"
#include "tests/support/temp_folder.h"

static int64_t instant(const char *text)
{
    struct instant_text parsed;
    CHECK_INT(instant_parse(bytes_str(text), &parsed, NULL), 0);
    return instant_from_parts(&parsed.parts);
}

static struct zone *must_open(const char *name)
{
    struct error err;
    struct zone *zone = zone_open(name, &err);
    if (zone == NULL) {
        printf("# %s\n", err.message);
        exit(EXIT_FAILURE);
    }
    return zone;
}

static void offsets_follow_the_file_and_the_rule(void)
{
    static const struct {
        const char *zone;
        const char *at;
        int offset_s;
    } CASES[] = {
        {"Europe/London", "2026-03-29T00:59:59Z", 0},
        {"Europe/London", "2026-03-29T01:00:00Z", 3600},
        {"Europe/London", "2026-10-25T00:59:59Z", 3600},
        {"Europe/London", "2026-10-25T01:00:00Z", 0},
        {"Europe/London", "1969-07-01T00:00:00Z", 3600}, /* British Standard Time all year */
        {"Europe/London", "1969-01-01T00:00:00Z", 3600},
        {"Europe/London", "1800-01-01T00:00:00Z", -75}, /* local mean time */
        {"Europe/London", "2050-07-01T12:00:00Z", 3600},
        {"Europe/London", "2050-12-01T12:00:00Z", 0},
        {"Europe/London", "2050-03-27T00:59:59Z", 0},
        {"Europe/London", "2050-03-27T01:00:00Z", 3600},
        {"Europe/London", "2050-10-30T00:59:59Z", 3600},
        {"Europe/London", "2050-10-30T01:00:00Z", 0},
        {"America/New_York", "2026-03-08T06:59:59Z", -18000},
        {"America/New_York", "2026-03-08T07:00:00Z", -14400},
        {"America/New_York", "2026-11-01T05:59:59Z", -14400},
        {"America/New_York", "2026-11-01T06:00:00Z", -18000},
        {"America/New_York", "2050-07-01T00:00:00Z", -14400},
        {"Australia/Sydney", "2050-01-15T00:00:00Z", 39600},
        {"Australia/Sydney", "2050-06-15T00:00:00Z", 36000},
        {"Australia/Sydney", "2049-12-31T23:59:59Z", 39600},
        {"Asia/Kolkata", "2026-01-01T00:00:00Z", 19800},
        {"Asia/Kolkata", "2060-01-01T00:00:00Z", 19800},
        {"Europe/Dublin", "2050-01-15T00:00:00Z", 0},
        {"Europe/Dublin", "2050-07-15T00:00:00Z", 3600},
        {"UTC", "2026-07-01T00:00:00Z", 0},
        {"Etc/UTC", "2050-07-01T00:00:00Z", 0},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct zone *zone = must_open(CASES[i].zone);
        int offset_s = zone_offset_s(zone, instant(CASES[i].at) / 1000);
        if (offset_s != CASES[i].offset_s) {
            printf("# %s at %s\n", CASES[i].zone, CASES[i].at);
        }
        CHECK_INT(offset_s, CASES[i].offset_s);
        CHECK_STR(zone_name(zone), CASES[i].zone);
        zone_close(zone);
    }
}

static void parts_are_what_a_clock_shows(void)
{
    struct zone *london = must_open("Europe/London");
    struct zone_parts p;
    zone_parts_at(london, instant("2026-10-25T00:30:15.999Z"), &p);
    CHECK_INT(p.year, 2026);
    CHECK_INT(p.month, 10);
    CHECK_INT(p.day, 25);
    CHECK_INT(p.hour, 1);
    CHECK_INT(p.minute, 30);
    CHECK_INT(p.second, 15);
    CHECK_INT(p.weekday, 0);
    CHECK_INT(p.offset_s, 3600);
    zone_parts_at(london, -1, &p); /* a millisecond before 1970, in British Standard Time */
    CHECK_INT(p.year, 1970);
    CHECK_INT(p.hour, 0);
    CHECK_INT(p.second, 59);
    CHECK_INT(p.weekday, 4);
    zone_parts_at(london, INT64_MAX, &p);
    CHECK_INT(p.year, 9998);
    zone_parts_at(london, INT64_MIN, &p);
    CHECK_INT(zone_offset_s(london, INT64_MIN), -75);
    CHECK_INT(zone_offset_s(london, INT64_MAX), 0);
    zone_close(london);
}

static void clock_times_become_instants(void)
{
    static const struct {
        const char *zone;
        struct zone_parts parts;
        const char *expected;
    } CASES[] = {
        {"Europe/London", {2026, 6, 1, 6, 0, 0, 0, 0}, "2026-06-01T05:00:00Z"},
        {"Europe/London", {2026, 1, 1, 6, 0, 0, 0, 0}, "2026-01-01T06:00:00Z"},
        /* the gap: 01:00 to 02:00 on 29 March does not exist */
        {"Europe/London", {2026, 3, 29, 0, 59, 59, 0, 0}, "2026-03-29T00:59:59Z"},
        {"Europe/London", {2026, 3, 29, 1, 0, 0, 0, 0}, "2026-03-29T01:00:00Z"},
        {"Europe/London", {2026, 3, 29, 1, 30, 0, 0, 0}, "2026-03-29T01:00:00Z"},
        {"Europe/London", {2026, 3, 29, 2, 0, 0, 0, 0}, "2026-03-29T01:00:00Z"},
        /* the overlap: 01:00 to 02:00 on 25 October happens twice */
        {"Europe/London", {2026, 10, 25, 0, 59, 59, 0, 0}, "2026-10-24T23:59:59Z"},
        {"Europe/London", {2026, 10, 25, 1, 0, 0, 0, 0}, "2026-10-25T00:00:00Z"},
        {"Europe/London", {2026, 10, 25, 1, 30, 0, 0, 0}, "2026-10-25T00:30:00Z"},
        {"Europe/London", {2026, 10, 25, 2, 0, 0, 0, 0}, "2026-10-25T02:00:00Z"},
        {"America/New_York", {2026, 3, 8, 2, 30, 0, 0, 0}, "2026-03-08T07:00:00Z"},
        {"America/New_York", {2026, 11, 1, 1, 30, 0, 0, 0}, "2026-11-01T05:30:00Z"},
        {"America/New_York", {2050, 7, 4, 12, 0, 0, 0, 0}, "2050-07-04T16:00:00Z"},
        /* Samoa had no 30 December 2011 at all */
        {"Pacific/Apia", {2011, 12, 30, 12, 0, 0, 0, 0}, "2011-12-30T10:00:00Z"},
        /* carrying over */
        {"Europe/London", {2026, 5, 32, 6, 0, 0, 0, 0}, "2026-06-01T05:00:00Z"},
        {"Europe/London", {2026, 13, 1, 24, 0, 0, 0, 0}, "2027-01-02T00:00:00Z"},
        {"UTC", {2026, 3, 0, 0, 0, 0, 0, 0}, "2026-02-28T00:00:00Z"},
        {"UTC", {2026, 0, 15, 0, -1, 0, 0, 0}, "2025-12-14T23:59:00Z"},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct zone *zone = must_open(CASES[i].zone);
        int64_t got = zone_to_wall_ms(zone, &CASES[i].parts);
        if (got != instant(CASES[i].expected)) {
            printf("# case %zu, expected %s\n", i, CASES[i].expected);
        }
        CHECK_INT(got, instant(CASES[i].expected));
        zone_close(zone);
    }
}

static void extreme_parts_are_harmless(void)
{
    struct zone *zone = must_open("Europe/London");
    struct zone_parts high = {INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX,
                              INT32_MAX, INT32_MAX, 0,         0};
    struct zone_parts low = {INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN,
                             INT32_MIN, INT32_MIN, 0,         0};
    CHECK(zone_to_wall_ms(zone, &high) > zone_to_wall_ms(zone, &low));
    zone_close(zone);
}

static void every_hour_of_years_comes_back(void)
{
    static const char *const ZONES[] = {"Europe/London", "America/New_York", "Australia/Lord_Howe",
                                        "Asia/Kathmandu"};
    for (size_t i = 0; i < sizeof(ZONES) / sizeof(ZONES[0]); i++) {
        struct zone *zone = must_open(ZONES[i]);
        int64_t until = instant("2042-01-01T00:00:00Z");
        for (int64_t at = instant("2034-01-01T00:00:00Z"); at < until; at += 3600000) {
            struct zone_parts p;
            zone_parts_at(zone, at, &p);
            int64_t back = zone_to_wall_ms(zone, &p);
            /* In an overlap the first of the two comes back. */
            if (back != at &&
                (at - back > 3600000 || zone_offset_s(zone, back / 1000) == p.offset_s)) {
                printf("# %s: %lld became %lld\n", ZONES[i], (long long)at, (long long)back);
                CHECK(false);
                break;
            }
        }
        zone_close(zone);
    }
}

static void bad_names_are_refused(void)
{
    static const struct {
        const char *name;
        int code;
    } CASES[] = {
        {"", ERROR_INVALID},          {"/etc/passwd", ERROR_INVALID},
        {"../shadow", ERROR_INVALID}, {"Europe/../../x", ERROR_INVALID},
        {"tzdata.zi", ERROR_INVALID}, {"Europe/Atlantis", ERROR_NOT_FOUND},
        {"Europe", ERROR_NOT_FOUND},  {"Europe/London/x", ERROR_NOT_FOUND},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct error err;
        CHECK(zone_open(CASES[i].name, &err) == NULL);
        CHECK_INT(err.code, CASES[i].code);
    }
}

static void rules_are_parsed_strictly(void)
{
    static const struct {
        const char *text;
        int rc;
        int january_s; /* 15 January 2050 */
        int july_s;    /* 15 July 2050 */
    } CASES[] = {
        {"GMT0BST,M3.5.0/1,M10.5.0", 0, 0, 3600},
        {"<-03>3", 0, -10800, -10800},
        {"<+0330>-3:30", 0, 12600, 12600},
        {"EST5EDT,M3.2.0,M11.1.0", 0, -18000, -14400},
        {"IST-1GMT0,M10.5.0,M3.5.0/1", 0, 0, 3600},
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", 0, -7200, -3600},
        {"IST-2IDT,M3.4.4/26,M10.5.0", 0, 7200, 10800},
        {"XXX3EDT4,0/0,J365/23", 0, -14400, -14400},
        {"AAA0BBB,J60,J300", 0, 0, 3600},
        {"AAA0BBB,59,299", 0, 0, 3600},
        {"", ERROR_INVALID, 0, 0},
        {"GMT", ERROR_INVALID, 0, 0},
        {"G0", ERROR_INVALID, 0, 0},
        {"<GMT0", ERROR_INVALID, 0, 0},
        {"GMT0BST", ERROR_INVALID, 0, 0},
        {"GMT0BST,M3.5.0/1", ERROR_INVALID, 0, 0},
        {"GMT0BST,M13.5.0/1,M10.5.0", ERROR_INVALID, 0, 0},
        {"GMT0BST,M3.6.0/1,M10.5.0", ERROR_INVALID, 0, 0},
        {"GMT0BST,M3.5.7/1,M10.5.0", ERROR_INVALID, 0, 0},
        {"GMT0BST,M3.5.0/168,M10.5.0", ERROR_INVALID, 0, 0},
        {"GMT25", ERROR_INVALID, 0, 0},
        {"GMT0BST,M3.5.0/1,M10.5.0x", ERROR_INVALID, 0, 0},
    };
    int64_t january_s = instant("2050-01-15T00:00:00Z") / 1000;
    int64_t july_s = instant("2050-07-15T00:00:00Z") / 1000;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct zone_rule rule;
        int rc = zone_rule_parse(bytes_str(CASES[i].text), &rule);
        if (rc != CASES[i].rc) {
            printf("# rule \"%s\"\n", CASES[i].text);
        }
        CHECK_INT(rc, CASES[i].rc);
        if (rc == 0) {
            CHECK_INT(zone_rule_offset_s(&rule, january_s), CASES[i].january_s);
            CHECK_INT(zone_rule_offset_s(&rule, july_s), CASES[i].july_s);
        }
    }
}

/* ---- damaged files ---- */

static void write_file(const char *path, const char *data, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    close(fd);
}

static size_t read_london(char *out, size_t capacity)
{
    FILE *file = fopen("/usr/share/zoneinfo/Europe/London", "rb");
    size_t size = file == NULL ? 0 : fread(out, 1, capacity, file);
    CHECK(size > 100);
    if (file != NULL) {
        fclose(file);
    }
    return size;
}

static void open_and_use(int *opened)
{
    struct error err;
    error_clear(&err);
    struct zone *zone = zone_open("Test", &err);
    if (zone == NULL) {
        CHECK_INT(err.code, ERROR_CORRUPT);
        return;
    }
    (*opened)++;
    struct zone_parts p;
    zone_parts_at(zone, instant("2026-07-01T00:00:00Z"), &p);
    zone_to_wall_ms(zone, &p);
    zone_close(zone);
}

static void damaged_files_never_read_out_of_bounds(void)
{
    char folder[256];
    char path[300];
    static char good[65536];
    temp_folder_make(folder, sizeof(folder));
    snprintf(path, sizeof(path), "%s/Test", folder);
    size_t size = read_london(good, sizeof(good));
    setenv("NEAP_ZONEINFO", folder, 1);
    int opened = 0;
    for (size_t cut = 0; cut < size; cut += cut < 100 ? 1 : 37) {
        write_file(path, good, cut);
        open_and_use(&opened);
    }
    CHECK_INT(opened, 0);
    struct random_state {
        unsigned value;
    } random = {1};
    for (int round = 0; round < 400; round++) {
        char bad[sizeof(good)];
        memcpy(bad, good, size);
        for (int i = 0; i < 3; i++) {
            random.value = random.value * 1103515245u + 12345u;
            size_t at = (random.value >> 8) % (i == 0 ? 44 : size);
            bad[at] = (char)(random.value >> 24);
        }
        write_file(path, bad, size);
        open_and_use(&opened);
    }
    write_file(path, good, size);
    opened = 0;
    open_and_use(&opened);
    CHECK_INT(opened, 1);
    unsetenv("NEAP_ZONEINFO");
    temp_folder_remove(folder);
}

/* A version 1 file by hand: one change, two types, no rule. */
static void a_version_1_file_ends_with_its_last_type(void)
{
    static const char HEADER[44] = {'T', 'Z', 'i', 'f', [35] = 1, [39] = 2, [43] = 8};
    static const char DATA[] = "\x68\0\0\0"                       /* 2025-04-17T13:48:16Z */
                               "\x01"                             /* becomes the second type */
                               "\0\0\0\0\0\0\0\0\x0e\x10\x01\x04" /* 0 s, then 3600 s */
                               "GMT\0BST"; /* the last NUL is the literal's */
    char folder[256];
    char path[300];
    char content[44 + sizeof(DATA)];
    temp_folder_make(folder, sizeof(folder));
    snprintf(path, sizeof(path), "%s/Test", folder);
    memcpy(content, HEADER, 44);
    memcpy(content + 44, DATA, sizeof(DATA));
    write_file(path, content, sizeof(content));
    setenv("NEAP_ZONEINFO", folder, 1);
    struct zone *zone = must_open("Test");
    CHECK_INT(zone_offset_s(zone, 0x68000000 - 1), 0);
    CHECK_INT(zone_offset_s(zone, 0x68000000), 3600);
    CHECK_INT(zone_offset_s(zone, INT64_C(0x168000000)), 3600);
    zone_close(zone);
    unsetenv("NEAP_ZONEINFO");
    temp_folder_remove(folder);
}

int main(void)
{
    tap_case("offsets follow the file, then the rule", offsets_follow_the_file_and_the_rule);
    tap_case("parts are what a clock shows", parts_are_what_a_clock_shows);
    tap_case("clock times become instants, in gaps and overlaps too", clock_times_become_instants);
    tap_case("extreme parts are harmless", extreme_parts_are_harmless);
    tap_case("every hour of eight years comes back", every_hour_of_years_comes_back);
    tap_case("bad names are refused", bad_names_are_refused);
    tap_case("rules are parsed strictly", rules_are_parsed_strictly);
    tap_case("damaged files are refused or harmless", damaged_files_never_read_out_of_bounds);
    tap_case("a version 1 file ends with its last type", a_version_1_file_ends_with_its_last_type);
    return tap_done();
}
