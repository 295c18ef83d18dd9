/* Readers and writers of single header fields: dates, delays, basic credentials. Pure functions. */
#ifndef NEAP_CORE_NET_HTTP_FIELDS_H
#define NEAP_CORE_NET_HTTP_FIELDS_H

#include "core/net/http_message.h"

#define HTTP_DATE_SIZE 30 /* "Sun, 06 Nov 1994 08:49:37 GMT" and its NUL */

/* IMF-fixdate (RFC 9110 5.6.7) of a wall instant; seconds are cut, years outside 0..9999 clamped.
 */
void http_date_format(int64_t wall_ms, char out[HTTP_DATE_SIZE]);
/* Reads an IMF-fixdate; the obsolete forms are refused. False leaves *wall_ms_out alone. */
bool http_date_parse(const char *text, int64_t *wall_ms_out);

/* Digits only, at most `max`. False when it is anything else. */
bool http_decimal_parse(const char *text, int64_t max, int64_t *value_out);

/*
 * The delay an answer asks for before the next request, in ms; 0 when it names none. Obeyed are
 * Retry-After (seconds or date) on 429 and 503, and X-RateLimit-Remaining: 0 with
 * X-RateLimit-Reset (seconds to wait; values beyond a year are taken as a Unix time).
 * Never more than HTTP_MAX_TOLD_DELAY_MS: a confused server must not silence us for days.
 */
#define HTTP_MAX_TOLD_DELAY_MS INT64_C(3600000)
int64_t http_told_delay_ms(int status, const struct http_headers *headers, int64_t wall_ms);

/* "Basic BASE64"; the caller frees it. NULL when user holds a colon (RFC 7617 2). */
char *http_basic_make(const char *user, const char *password);
/*
 * True when the field value is exactly these credentials. The time taken does not depend on how
 * much agrees: digests are compared. Nothing is decoded, so malformed base64 is merely unequal.
 */
bool http_basic_matches(const char *field, const char *user, const char *password);

#endif
