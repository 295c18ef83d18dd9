/* Header fields. Dates are computed by civil-day arithmetic: no time zone, no locale, no state. */
#define _GNU_SOURCE
#include "core/net/http_fields.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "core/base/xalloc.h"

#define MS_PER_DAY  INT64_C(86400000)
#define LAST_DAY    INT64_C(2932896) /* 9999-12-31 */
#define S_PER_YEAR  INT64_C(31536000)
#define SECONDS_MAX INT64_C(99999999999)
#define FIRST_DAY   INT64_C(-719528) /* 0000-01-01 */

static const char day_names[] = "SunMonTueWedThuFriSat";
static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

/* Days since 1970-01-01 of a proleptic Gregorian date; month 1..12. */
static int64_t days_of_civil(int64_t year, int month, int day)
{
    year -= month <= 2 ? 1 : 0;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void civil_of_days(int64_t days, int *year_out, int *month_out, int *day_out)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153; /* month, March is 0 */
    *day_out = (int)(day_of_year - (153 * shifted + 2) / 5 + 1);
    *month_out = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    *year_out = (int)(year_of_era + era * 400 + (*month_out <= 2 ? 1 : 0));
}

void http_date_format(int64_t wall_ms, char out[HTTP_DATE_SIZE])
{
    int64_t days = wall_ms / MS_PER_DAY - (wall_ms % MS_PER_DAY < 0 ? 1 : 0);
    days = days < FIRST_DAY ? FIRST_DAY : (days > LAST_DAY ? LAST_DAY : days);
    int64_t in_day = ((wall_ms % MS_PER_DAY) + MS_PER_DAY) % MS_PER_DAY / 1000;
    int year;
    int month;
    int day;
    civil_of_days(days, &year, &month, &day);
    int weekday = (int)(((days + 4) % 7 + 7) % 7);
    snprintf(out, HTTP_DATE_SIZE, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT",
             day_names + (ptrdiff_t)3 * weekday, (unsigned)day % 100,
             month_names + (ptrdiff_t)3 * (month - 1), (unsigned)year % 10000,
             (unsigned)(in_day / 3600) % 100, (unsigned)(in_day / 60 % 60),
             (unsigned)(in_day % 60));
}

static int name_index(const char *text, const char *names)
{
    for (int i = 0; names[(ptrdiff_t)3 * i] != '\0'; i++) {
        if (memcmp(text, names + (ptrdiff_t)3 * i, 3) == 0) {
            return i;
        }
    }
    return -1;
}

static int digits(const char *text, int count)
{
    int value = 0;
    for (int i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return -1;
        }
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

bool http_date_parse(const char *text, int64_t *wall_ms_out)
{
    static const char shape[] = "???, ?? ??? ???? ??:??:?? GMT";
    if (strlen(text) != sizeof(shape) - 1) {
        return false;
    }
    for (size_t i = 0; i < sizeof(shape) - 1; i++) {
        if (shape[i] != '?' && shape[i] != text[i]) {
            return false;
        }
    }
    int month = name_index(text + 8, month_names) + 1;
    int day = digits(text + 5, 2);
    int year = digits(text + 12, 4);
    int hour = digits(text + 17, 2);
    int minute = digits(text + 20, 2);
    int second = digits(text + 23, 2);
    if (name_index(text, day_names) < 0 || month < 1 || day < 1 || day > 31 || year < 0 ||
        hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) {
        return false;
    }
    int64_t seconds = days_of_civil(year, month, day) * 86400 + (int64_t)hour * 3600 +
                      (int64_t)minute * 60 + second;
    *wall_ms_out = seconds * 1000;
    return true;
}

bool http_decimal_parse(const char *text, int64_t max, int64_t *value_out)
{
    int64_t value = 0;
    if (*text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9') {
            return false;
        }
        int digit = *text - '0';
        if (value > (max - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *value_out = value;
    return true;
}

static int64_t retry_after_ms(const char *text, int64_t wall_ms)
{
    int64_t value;
    if (http_decimal_parse(text, SECONDS_MAX, &value)) {
        return value * 1000;
    }
    return http_date_parse(text, &value) ? value - wall_ms : 0;
}

static int64_t quota_reset_ms(const struct http_headers *headers, int64_t wall_ms)
{
    const char *remaining = http_headers_get(headers, "X-RateLimit-Remaining");
    const char *reset = http_headers_get(headers, "X-RateLimit-Reset");
    int64_t left;
    int64_t seconds;
    if (remaining == NULL || reset == NULL || !http_decimal_parse(remaining, SECONDS_MAX, &left) ||
        left > 0 || !http_decimal_parse(reset, SECONDS_MAX, &seconds)) {
        return 0;
    }
    return seconds > S_PER_YEAR ? seconds * 1000 - wall_ms : seconds * 1000;
}

int64_t http_told_delay_ms(int status, const struct http_headers *headers, int64_t wall_ms)
{
    int64_t delay = quota_reset_ms(headers, wall_ms);
    const char *text = http_headers_get(headers, "Retry-After");
    if (text != NULL && (status == 429 || status == 503)) {
        int64_t named = retry_after_ms(text, wall_ms);
        delay = named > delay ? named : delay;
    }
    if (delay > HTTP_MAX_TOLD_DELAY_MS) {
        return HTTP_MAX_TOLD_DELAY_MS;
    }
    return delay > 0 ? delay : 0;
}

char *http_basic_make(const char *user, const char *password)
{
    static const char scheme[] = "Basic ";
    if (strchr(user, ':') != NULL) {
        return NULL;
    }
    char *plain = xasprintf("%s:%s", user, password);
    size_t size = strlen(plain);
    char *field = xmalloc(sizeof(scheme) + (size + 2) / 3 * 4);
    memcpy(field, scheme, sizeof(scheme));
    EVP_EncodeBlock((unsigned char *)field + sizeof(scheme) - 1, (const unsigned char *)plain,
                    (int)size);
    OPENSSL_cleanse(plain, size);
    free(plain);
    return field;
}

/* Takes a time that tells nothing of expected but its length, which the owner chose. */
static bool is_same_secret(const char *given, const char *expected)
{
    size_t given_size = strlen(given);
    size_t size = strlen(expected);
    volatile unsigned char difference = given_size == size ? 0 : 1;
    for (size_t i = 0; i < size; i++) {
        difference |= (unsigned char)(expected[i] ^ given[i % (given_size + 1)]);
    }
    return difference == 0;
}

bool http_basic_matches(const char *field, const char *user, const char *password)
{
    if (field == NULL || user == NULL || password == NULL || strncasecmp(field, "Basic ", 6) != 0) {
        return false;
    }
    char *expected = http_basic_make(user, password);
    if (expected == NULL) {
        return false;
    }
    const char *given = field + 6 + strspn(field + 6, " ");
    bool is_match = is_same_secret(given, expected + 6);
    OPENSSL_cleanse(expected, strlen(expected));
    free(expected);
    return is_match;
}
