/*
 * Each field becomes a set of bits; the next match is searched day by day in local time, then
 * turned into an instant, so gaps and overlaps of the clock are the zone's business.
 */
#include "core/work/cron.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "core/base/zone.h"

#define DAY_MS      86400000LL
#define SEARCH_DAYS (9 * 366) /* 29 February is at most eight years away (1896-1904) */
#define TOKEN_MAX   16

struct field {
    const char *label;
    int min;
    int max;
    const char *const *names; /* from min on, NULL-terminated; or NULL */
};

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
                                          "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const day_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

static const struct field fields[] = {
    {"minute", 0, 59, NULL},          {"hour", 0, 23, NULL},
    {"day of month", 1, 31, NULL},    {"month", 1, 12, month_names},
    {"day of week", 0, 7, day_names},
};

/* ---- Parsing -----------------------------------------------------------------------------------
 */

struct cursor {
    const char *at; /* within one field */
    const char *end;
    const struct field *field;
};

static bool take_char(struct cursor *c, char wanted)
{
    if (c->at < c->end && *c->at == wanted) {
        c->at++;
        return true;
    }
    return false;
}

static bool take_name(struct cursor *c, const char *token, int *value)
{
    for (int i = 0; c->field->names != NULL && c->field->names[i] != NULL; i++) {
        if (strcasecmp(token, c->field->names[i]) == 0) {
            *value = c->field->min + i;
            return true;
        }
    }
    return false;
}

/* A number or a name. */
static bool take_value(struct cursor *c, int *value)
{
    char token[TOKEN_MAX];
    size_t size = 0;
    while (c->at < c->end && isalnum((unsigned char)*c->at) && size + 1 < sizeof token) {
        token[size++] = *c->at++;
    }
    token[size] = '\0';
    if (size == 0 || size > 4) {
        return false;
    }
    if (!isdigit((unsigned char)token[0])) {
        return take_name(c, token, value);
    }
    *value = 0;
    for (size_t i = 0; i < size; i++) {
        if (!isdigit((unsigned char)token[i])) {
            return false;
        }
        *value = *value * 10 + (token[i] - '0');
    }
    return true;
}

/* One item of a list: "*", "5", "8-18", any of them with "/step". */
static bool take_item(struct cursor *c, uint64_t *bits)
{
    int first = c->field->min;
    int last = c->field->max;
    int step = 1;
    bool is_single = false;
    if (!take_char(c, '*')) {
        if (!take_value(c, &first)) {
            return false;
        }
        is_single = !take_char(c, '-');
        last = first;
        if (!is_single && !take_value(c, &last)) {
            return false;
        }
    }
    if (take_char(c, '/')) {
        if (!take_value(c, &step) || step < 1) {
            return false;
        }
        last = is_single ? c->field->max : last; /* "5/10": from 5 to the end */
    }
    if (first < c->field->min || last > c->field->max || first > last) {
        return false;
    }
    for (int i = first; i <= last; i += step) {
        *bits |= 1ull << i;
    }
    return true;
}

static int parse_field(struct cursor *c, uint64_t *bits, struct error *err)
{
    const char *start = c->at;
    *bits = 0;
    bool is_good;
    do {
        is_good = take_item(c, bits);
    } while (is_good && take_char(c, ','));
    if (!is_good || c->at != c->end) {
        int size = c->end - start > 40 ? 40 : (int)(c->end - start);
        return error_set(err, ERROR_INVALID,
                         "cron field \"%s\" is \"%.*s\"; allowed are %d to %d%s", c->field->label,
                         size, start, c->field->min, c->field->max,
                         c->field->names == NULL ? "" : " or names");
    }
    return 0;
}

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t");
}

int cron_parse(struct cron *cron, const char *text, struct error *err)
{
    uint64_t bits[5];
    bool is_any[5];
    const char *at = skip_blanks(text);
    for (size_t i = 0; i < 5; i++) {
        size_t size = strcspn(at, " \t");
        if (size == 0) {
            return error_set(err, ERROR_INVALID,
                             "a cron expression has five fields; \"%s\" is missing",
                             fields[i].label);
        }
        struct cursor c = {at, at + size, &fields[i]};
        is_any[i] = at[0] == '*'; /* Vixie: a field that begins with a star does not restrict */
        int rc = parse_field(&c, &bits[i], err);
        if (rc != 0) {
            return rc;
        }
        at = skip_blanks(at + size);
    }
    if (*at != '\0') {
        return error_set(err, ERROR_INVALID,
                         "a cron expression has five fields; \"%.40s\" is extra", at);
    }
    cron->minutes = bits[0];
    cron->hours = (uint32_t)bits[1];
    cron->days = (uint32_t)bits[2];
    cron->months = (uint16_t)bits[3];
    cron->weekdays = (uint8_t)((bits[4] | bits[4] >> 7) & 0x7F); /* 7 is Sunday */
    cron->has_days = !is_any[2];
    cron->has_weekdays = !is_any[4];
    return 0;
}

/* ---- Searching ---------------------------------------------------------------------------------
 */

/* Days since 1970-01-01 and back, in the proleptic Gregorian calendar. */
static int64_t days_from_date(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

static void date_from_days(int64_t days, struct zone_parts *parts)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t mp = (5 * day_of_year + 2) / 153;
    parts->day = (int)(day_of_year - (153 * mp + 2) / 5 + 1);
    parts->month = (int)(mp < 10 ? mp + 3 : mp - 9);
    parts->year = (int)(year_of_era + era * 400 + (parts->month <= 2 ? 1 : 0));
    parts->weekday = (int)(((days + 4) % 7 + 7) % 7);
}

static bool matches_day(const struct cron *cron, const struct zone_parts *parts)
{
    if ((cron->months >> parts->month & 1) == 0) {
        return false;
    }
    bool day = (cron->days >> parts->day & 1) != 0;
    bool weekday = (cron->weekdays >> parts->weekday & 1) != 0;
    if (cron->has_days && cron->has_weekdays) {
        return day || weekday;
    }
    return day && weekday;
}

static int64_t instant_of(const struct zone *zone, const struct zone_parts *parts)
{
    if (zone != NULL) {
        return zone_to_wall_ms(zone, parts);
    }
    int64_t days = days_from_date(parts->year, parts->month, parts->day);
    return days * DAY_MS + (parts->hour * 60LL + parts->minute) * 60000;
}

static int64_t first_of_hour(const struct cron *cron, const struct zone *zone,
                             struct zone_parts *parts, int64_t after_ms)
{
    for (parts->minute = 0; parts->minute < 60; parts->minute++) {
        if ((cron->minutes >> parts->minute & 1) != 0) {
            int64_t at = instant_of(zone, parts);
            if (at > after_ms) {
                return at;
            }
        }
    }
    return -1;
}

static int64_t first_of_day(const struct cron *cron, const struct zone *zone,
                            struct zone_parts *parts, int64_t after_ms)
{
    for (parts->hour = 0; parts->hour < 24; parts->hour++) {
        if ((cron->hours >> parts->hour & 1) == 0) {
            continue;
        }
        parts->minute = 59;
        if (instant_of(zone, parts) <= after_ms) {
            continue;
        }
        int64_t at = first_of_hour(cron, zone, parts, after_ms);
        if (at >= 0) {
            return at;
        }
    }
    return -1;
}

int64_t cron_next_ms(const struct cron *cron, const struct zone *zone, int64_t after_ms)
{
    int64_t day = after_ms / DAY_MS - (after_ms % DAY_MS < 0 ? 1 : 0);
    if (zone != NULL) {
        struct zone_parts now;
        zone_parts_at(zone, after_ms, &now);
        day = days_from_date(now.year, now.month, now.day);
    }
    for (int i = 0; i <= SEARCH_DAYS; i++) {
        struct zone_parts parts;
        memset(&parts, 0, sizeof parts);
        date_from_days(day + i, &parts);
        if (matches_day(cron, &parts)) {
            int64_t at = first_of_day(cron, zone, &parts, after_ms);
            if (at >= 0) {
                return at;
            }
        }
    }
    return -1;
}
