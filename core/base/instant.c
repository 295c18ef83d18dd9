/* Calendar arithmetic by days since 1970, counted from the first of March so that leap days come
 * last. */
#include "core/base/instant.h"

#include <stdio.h>

#define MS_PER_DAY ((int64_t)86400000)

static int64_t days_from_date(int64_t year, int month, int day)
{
    year -= month <= 2 ? 1 : 0;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t months = month + (month > 2 ? -3 : 9); /* since March */
    int64_t day_of_year = (153 * months + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

int64_t instant_from_parts(const struct instant_parts *p)
{
    int64_t days = days_from_date(p->year, p->month, p->day);
    int64_t seconds = (int64_t)p->hour * 3600 + (int64_t)p->minute * 60 + p->second;
    return days * MS_PER_DAY + seconds * 1000 + p->millisecond;
}

int instant_to_parts(int64_t ms, struct instant_parts *out)
{
    int64_t days = ms / MS_PER_DAY;
    int64_t rest = ms % MS_PER_DAY;
    if (rest < 0) {
        rest += MS_PER_DAY;
        days--;
    }
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_index = (5 * day_of_year + 2) / 153;
    int month = (int)(month_index < 10 ? month_index + 3 : month_index - 9);
    int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
    if (year < 0 || year > 9999) {
        return ERROR_INVALID;
    }
    out->year = (int)year;
    out->month = month;
    out->day = (int)(day_of_year - (153 * month_index + 2) / 5 + 1);
    out->hour = (int)(rest / 3600000);
    out->minute = (int)(rest / 60000 % 60);
    out->second = (int)(rest / 1000 % 60);
    out->millisecond = (int)(rest % 1000);
    return 0;
}

size_t instant_format(const struct instant_parts *p, bool has_millis, char out[INSTANT_TEXT_SIZE])
{
    int size =
        snprintf(out, INSTANT_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d", p->year % 10000,
                 p->month % 100, p->day % 100, p->hour % 100, p->minute % 100, p->second % 100);
    if (has_millis) {
        size +=
            snprintf(out + size, INSTANT_TEXT_SIZE - (size_t)size, ".%03d", p->millisecond % 1000);
    }
    return (size_t)size;
}

/* ---- parsing ---- */

struct cursor {
    const char *p;
    const char *end;
};

/* Reads exactly `count` digits. */
static bool read_number(struct cursor *c, int count, int *out)
{
    if (c->end - c->p < count) {
        return false;
    }
    int value = 0;
    for (int i = 0; i < count; i++) {
        if (c->p[i] < '0' || c->p[i] > '9') {
            return false;
        }
        value = value * 10 + (c->p[i] - '0');
    }
    c->p += count;
    *out = value;
    return true;
}

static bool skip(struct cursor *c, char expected)
{
    if (c->p < c->end && *c->p == expected) {
        c->p++;
        return true;
    }
    return false;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && is_leap ? 29 : days[month - 1];
}

static bool read_date(struct cursor *c, struct instant_parts *parts)
{
    return read_number(c, 4, &parts->year) && skip(c, '-') && read_number(c, 2, &parts->month) &&
           skip(c, '-') && read_number(c, 2, &parts->day) && parts->month >= 1 &&
           parts->month <= 12 && parts->day >= 1 &&
           parts->day <= days_in_month(parts->year, parts->month);
}

/* Digits behind the point: three count. */
static bool read_fraction(struct cursor *c, int *millisecond_out)
{
    int weight = 100;
    const char *first = c->p;
    for (; c->p < c->end && *c->p >= '0' && *c->p <= '9'; c->p++) {
        *millisecond_out += (*c->p - '0') * weight;
        weight /= 10;
    }
    return c->p > first;
}

static bool read_clock(struct cursor *c, struct instant_parts *parts)
{
    if (!read_number(c, 2, &parts->hour) || !skip(c, ':') || !read_number(c, 2, &parts->minute)) {
        return false;
    }
    if (skip(c, ':')) {
        if (!read_number(c, 2, &parts->second)) {
            return false;
        }
        if ((skip(c, '.') || skip(c, ',')) && !read_fraction(c, &parts->millisecond)) {
            return false;
        }
    }
    return parts->hour <= 23 && parts->minute <= 59 && parts->second <= 59;
}

static bool read_offset(struct cursor *c, struct instant_text *out)
{
    out->has_offset = true;
    if (skip(c, 'Z') || skip(c, 'z')) {
        return true;
    }
    int sign = skip(c, '-') ? -1 : 1;
    int hours = 0;
    int minutes = 0;
    if ((sign > 0 && !skip(c, '+')) || !read_number(c, 2, &hours)) {
        return false;
    }
    if (skip(c, ':') || c->p < c->end) {
        if (!read_number(c, 2, &minutes)) {
            return false;
        }
    }
    out->offset_minutes = sign * (hours * 60 + minutes);
    return hours <= 14 && minutes <= 59;
}

int instant_parse(struct bytes text, struct instant_text *out, struct error *err)
{
    *out = (struct instant_text){{0, 0, 0, 0, 0, 0, 0}, false, false, 0};
    struct cursor c = {text.data, text.data + text.size};
    if (!read_date(&c, &out->parts)) {
        return error_set(err, ERROR_INVALID, "not a date (2026-05-04): \"%.*s\"",
                         (int)(text.size < 40 ? text.size : 40), text.data);
    }
    bool is_good = true;
    if (c.p < c.end) {
        out->has_time = true;
        is_good = (skip(&c, 'T') || skip(&c, 't') || skip(&c, ' ')) && read_clock(&c, &out->parts);
        skip(&c, ' ');
        is_good = is_good && (c.p == c.end || read_offset(&c, out)) && c.p == c.end;
    }
    return is_good ? 0
                   : error_set(err, ERROR_INVALID, "not a time (2026-05-04T10:02:58Z): \"%.*s\"",
                               (int)(text.size < 40 ? text.size : 40), text.data);
}
