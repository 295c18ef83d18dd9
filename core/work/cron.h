/*
 * Cron expressions of five fields: minute hour day-of-month month day-of-week.
 *
 * Lists "1,15", ranges "8-18", steps (star slash 5), names (jan, mon; any case), 7 is Sunday too.
 * When both day fields are restricted, either may match (as in Vixie cron).
 */
#ifndef NEAP_CORE_WORK_CRON_H
#define NEAP_CORE_WORK_CRON_H

#include "core/base/errors.h"

struct zone;

/* A plain value: one bit per allowed number. */
struct cron {
    uint64_t minutes;
    uint32_t hours;
    uint32_t days;     /* bits 1..31 */
    uint16_t months;   /* bits 1..12 */
    uint8_t weekdays;  /* bits 0..6, Sunday is 0 */
    bool has_days;     /* day of month is restricted */
    bool has_weekdays; /* day of week is restricted */
};

/* ERROR_INVALID; the message names the field and what was found. */
int cron_parse(struct cron *cron, const char *text, struct error *err) NEAP_MUST_USE;

/*
 * The first instant after after_ms (UTC ms) that matches in this zone (NULL = UTC). A local time
 * that does not exist (clocks go forward) runs at the instant after the gap; one that occurs twice
 * runs once, the first time. -1 when nothing matches within nine years ("0 0 30 2 *").
 */
int64_t cron_next_ms(const struct cron *cron, const struct zone *zone, int64_t after_ms);

#endif
