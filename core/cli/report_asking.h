/*
 * A report that asks the client's systems: its script runs as the one job of a small host of its
 * own, whose store lies in a folder that is gone afterwards. The client's data folder is not
 * touched, no schedule runs, no port is open, and nothing leaves but what cannot change anything
 * (core/net/transport_read_only.h).
 */
#ifndef NEAP_CORE_CLI_REPORT_ASKING_H
#define NEAP_CORE_CLI_REPORT_ASKING_H

#include "core/api/api_report.h"

#define REPORT_ASKING_OVERLAY "reports.asking_manifest" /* for aside->overlay */

struct report_bounds {
    uint64_t max_calls;
    uint32_t per_minute; /* of each system; never more than the client's own rate */
    int64_t max_time_ms;
};

struct report_asking {
    struct clock *clock;
    struct generation *generation; /* loaded with the overlay; report_asking_run takes it over */
    const struct report_bounds *bounds;
    struct api_report *report; /* its generation, work, loop and budget are set there */
    struct buf *document;
};

/*
 * ERROR_FULL: no space for what it reads. Ctrl-C once: nothing is asked any more, the report tells
 * what it has; twice: it ends at once.
 */
int report_asking_run(const struct report_asking *given, bool *is_ok_out,
                      struct error *err) NEAP_MUST_USE;

#endif
