/*
 * Instants (UTC milliseconds since 1970) and their ISO 8601 text. Proleptic Gregorian calendar,
 * years 0 to 9999, no leap seconds. Named zones are core/base/zone's business.
 */
#ifndef NEAP_CORE_BASE_INSTANT_H
#define NEAP_CORE_BASE_INSTANT_H

#include "core/base/buf.h"

#define INSTANT_TEXT_SIZE 32

/* A wall-clock reading: month and day from 1. */
struct instant_parts {
    int year;
    int month;
    int day;
    int hour;
    int minute;
    int second;
    int millisecond;
};

/* What a text said. A text of a date alone has has_time false and the parts of its midnight. */
struct instant_text {
    struct instant_parts parts;
    bool has_time;
    bool has_offset; /* "Z" is an offset of 0 */
    int offset_minutes;
};

/*
 * Parses "2026-05-04", "2026-05-04T10:02", "2026-05-04 10:02:58.123+01:00", "...Z". Seconds may be
 * absent; digits past milliseconds are dropped. ERROR_INVALID with the reason otherwise.
 */
int instant_parse(struct bytes text, struct instant_text *out, struct error *err) NEAP_MUST_USE;

/* Milliseconds since 1970 of parts read as UTC. The parts are within their ranges. */
int64_t instant_from_parts(const struct instant_parts *parts);

/* The parts of an instant in UTC. ERROR_INVALID outside the years 0 to 9999. */
int instant_to_parts(int64_t ms, struct instant_parts *out) NEAP_MUST_USE;

/* "2026-05-04T10:02:58.123" without zone, the fraction only when has_millis; returns the length. */
size_t instant_format(const struct instant_parts *parts, bool has_millis,
                      char out[INSTANT_TEXT_SIZE]);

#endif
