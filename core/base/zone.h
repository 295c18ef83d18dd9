/*
 * Named time zones (IANA), read from the system's compiled files, so that "every day at 06:00 in
 * London" means what people there think. Independent of TZ and of the C library's one global zone.
 *
 * gap       a clock time that does not exist because clocks went forward
 * overlap   a clock time that happens twice because clocks went back
 */
#ifndef NEAP_CORE_BASE_ZONE_H
#define NEAP_CORE_BASE_ZONE_H

#include <stdint.h>

#include "core/base/errors.h"

struct zone;

/* A clock reading in a zone. */
struct zone_parts {
    int year;
    int month; /* from 1 */
    int day;   /* from 1 */
    int hour;
    int minute;
    int second;
    int weekday;  /* 0 = Sunday */
    int offset_s; /* seconds east of UTC at that instant */
};

/*
 * name: "Europe/London". "UTC" and "Etc/UTC" need no file. Files are looked for in $NEAP_ZONEINFO,
 * else /usr/share/zoneinfo. NULL with ERROR_INVALID (not a zone's name), ERROR_NOT_FOUND, ERROR_IO
 * or ERROR_CORRUPT.
 */
struct zone *zone_open(const char *name, struct error *err);
void zone_close(struct zone *zone); /* accepts NULL */
const char *zone_name(const struct zone *zone);

/* Seconds east of UTC at utc_s (seconds since 1970). */
int32_t zone_offset_s(const struct zone *zone, int64_t utc_s);

/* The clock reading at an instant; outside the years 1 to 9998 that of the nearest one inside. */
void zone_parts_at(const struct zone *zone, int64_t wall_ms, struct zone_parts *out);

/*
 * The instant at which clocks in the zone show parts (weekday and offset_s are not looked at).
 * Month, day, hour, minute and second may lie outside their ranges and carry over: day 32 of May is
 * 1 June. In a gap: the first instant after it. In an overlap: the first of the two.
 */
int64_t zone_to_wall_ms(const struct zone *zone, const struct zone_parts *parts);

#endif
