/*
 * The yearly rule of a time zone, as the POSIX text at the end of a compiled zone file says it:
 * "GMT0BST,M3.5.0/1,M10.5.0". It holds for all instants after the file's last transition.
 */
#ifndef NEAP_CORE_BASE_ZONE_RULE_H
#define NEAP_CORE_BASE_ZONE_RULE_H

#include "core/base/buf.h"

enum zone_day_kind {
    ZONE_DAY_JULIAN,  /* Jn: 1 to 365, 29 February is never counted */
    ZONE_DAY_OF_YEAR, /* n: 0 to 365, 29 February is counted */
    ZONE_DAY_WEEKDAY, /* Mm.w.d: the w-th weekday d of month m; w 5 is the last */
};

struct zone_change {
    enum zone_day_kind kind;
    int day;
    int week;
    int month;
    int32_t time_s; /* on that day, by the clock in force before the change; may be negative */
};

struct zone_rule {
    int32_t standard_s; /* seconds east of UTC */
    int32_t summer_s;
    bool has_summer;
    struct zone_change begin; /* of summer time */
    struct zone_change end;
};

/* ERROR_INVALID when text is no such rule. */
int zone_rule_parse(struct bytes text, struct zone_rule *out) NEAP_MUST_USE;

int32_t zone_rule_offset_s(const struct zone_rule *rule, int64_t utc_s);

#endif
