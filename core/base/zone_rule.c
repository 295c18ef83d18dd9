/* POSIX time zone rules, with the wider hours of RFC 8536 version 3 (-167 to 167). */
#include "core/base/zone_rule.h"

#include "core/base/instant.h"

#define SECONDS_PER_DAY  INT64_C(86400)
#define OFFSET_MAX_HOURS 24
#define CHANGE_MAX_HOURS 167

/* What is still to be parsed. A failed step sets is_bad; the steps after it do nothing useful. */
struct rule_text {
    const char *at;
    const char *end;
    bool is_bad;
};

static bool skip(struct rule_text *t, char c)
{
    bool is_there = t->at < t->end && *t->at == c;
    t->at += is_there ? 1 : 0;
    return is_there;
}

static int parse_number(struct rule_text *t, int min, int max)
{
    const char *first = t->at;
    int value = 0;
    while (t->at < t->end && *t->at >= '0' && *t->at <= '9' && t->at - first < 3) {
        value = value * 10 + (*t->at++ - '0');
    }
    if (t->at == first || value < min || value > max) {
        t->is_bad = true;
        return min;
    }
    return value;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* "GMT" or "<+03>"; the name itself is of no interest. */
static void parse_name(struct rule_text *t)
{
    const char *first = t->at;
    if (skip(t, '<')) {
        while (t->at < t->end && *t->at != '>') {
            t->at++;
        }
        t->is_bad = t->is_bad || !skip(t, '>');
        return;
    }
    while (t->at < t->end && is_letter(*t->at)) {
        t->at++;
    }
    t->is_bad = t->is_bad || t->at - first < 3;
}

/* "[+-]hh[:mm[:ss]]" in seconds. */
static int32_t parse_time(struct rule_text *t, int max_hours)
{
    int32_t sign = skip(t, '-') ? -1 : 1;
    if (sign == 1) {
        skip(t, '+');
    }
    int32_t seconds = parse_number(t, 0, max_hours) * 3600;
    if (skip(t, ':')) {
        seconds += parse_number(t, 0, 59) * 60;
        if (skip(t, ':')) {
            seconds += parse_number(t, 0, 59);
        }
    }
    return sign * seconds;
}

static void parse_change(struct rule_text *t, struct zone_change *out)
{
    t->is_bad = t->is_bad || !skip(t, ',');
    if (skip(t, 'M')) {
        out->kind = ZONE_DAY_WEEKDAY;
        out->month = parse_number(t, 1, 12);
        t->is_bad = t->is_bad || !skip(t, '.');
        out->week = parse_number(t, 1, 5);
        t->is_bad = t->is_bad || !skip(t, '.');
        out->day = parse_number(t, 0, 6);
    } else if (skip(t, 'J')) {
        out->kind = ZONE_DAY_JULIAN;
        out->day = parse_number(t, 1, 365);
    } else {
        out->kind = ZONE_DAY_OF_YEAR;
        out->day = parse_number(t, 0, 365);
    }
    out->time_s = skip(t, '/') ? parse_time(t, CHANGE_MAX_HOURS) : 2 * 3600;
}

int zone_rule_parse(struct bytes text, struct zone_rule *out)
{
    struct rule_text t = {text.data, text.data + text.size, false};
    *out = (struct zone_rule){0};
    parse_name(&t);
    out->standard_s = -parse_time(&t, OFFSET_MAX_HOURS); /* POSIX counts west of UTC */
    if (!t.is_bad && t.at < t.end) {
        out->has_summer = true;
        parse_name(&t);
        bool has_offset = t.at < t.end && *t.at != ',';
        out->summer_s = has_offset ? -parse_time(&t, OFFSET_MAX_HOURS) : out->standard_s + 3600;
        parse_change(&t, &out->begin);
        parse_change(&t, &out->end);
    }
    return t.is_bad || t.at != t.end ? ERROR_INVALID : 0;
}

/* Seconds since 1970 of midnight, as if the zone were UTC. */
static int64_t midnight_s(int year, int month, int day)
{
    struct instant_parts parts = {.year = year, .month = month, .day = day};
    return instant_from_parts(&parts) / 1000;
}

static int weekday_of(int64_t midnight)
{
    int64_t days = midnight / SECONDS_PER_DAY + 4; /* 1 January 1970 was a Thursday */
    return (int)((days % 7 + 7) % 7);
}

/* The change in a year, by the clock in force before it. */
static int64_t change_local_s(const struct zone_change *c, int year)
{
    int64_t day_s = 0;
    if (c->kind == ZONE_DAY_WEEKDAY) {
        int64_t first = midnight_s(year, c->month, 1);
        int64_t next_month =
            c->month == 12 ? midnight_s(year + 1, 1, 1) : midnight_s(year, c->month + 1, 1);
        int until = (c->day - weekday_of(first) + 7) % 7 + (c->week - 1) * 7;
        day_s = first + (int64_t)until * SECONDS_PER_DAY;
        if (day_s >= next_month) {
            day_s -= 7 * SECONDS_PER_DAY;
        }
    } else {
        int64_t new_year = midnight_s(year, 1, 1);
        bool is_leap = midnight_s(year, 3, 1) - new_year == 60 * SECONDS_PER_DAY;
        int days = c->kind == ZONE_DAY_OF_YEAR ? c->day : c->day - 1;
        if (c->kind == ZONE_DAY_JULIAN && is_leap && days >= 59) {
            days++;
        }
        day_s = new_year + (int64_t)days * SECONDS_PER_DAY;
    }
    return day_s + c->time_s;
}

int32_t zone_rule_offset_s(const struct zone_rule *rule, int64_t utc_s)
{
    struct instant_parts parts;
    if (!rule->has_summer || instant_to_parts((utc_s + rule->standard_s) * 1000, &parts) != 0) {
        return rule->standard_s;
    }
    int64_t begin = change_local_s(&rule->begin, parts.year) - rule->standard_s;
    int64_t end = change_local_s(&rule->end, parts.year) - rule->summer_s;
    /* South of the equator summer spans the new year. */
    bool is_summer = begin < end ? utc_s >= begin && utc_s < end : utc_s >= begin || utc_s < end;
    return is_summer ? rule->summer_s : rule->standard_s;
}
