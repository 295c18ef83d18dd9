/* How long to wait before a job is tried again, and when to give up. Pure: no store, no clock. */
#ifndef NEAP_CORE_WORK_BACKOFF_H
#define NEAP_CORE_WORK_BACKOFF_H

#include "core/base/clock.h"

struct backoff_policy {
    int64_t initial_ms; /* 0 = 1,000 */
    double factor;      /* 0 = 2; below 1 counts as 1 */
    int64_t max_ms;     /* 0 = 300,000 */
    int64_t give_up_ms; /* of failing time, parked time not counted; 0 = 172,800,000 (48 h) */
};

/* Fields that are 0 are taken from fallback, then from the defaults above. fallback may be NULL. */
void backoff_complete(struct backoff_policy *policy, const struct backoff_policy *fallback);

/*
 * Full jitter: uniform in [0, min(max, initial * factor^(failures - 1))], at least 1 ms, and never
 * below retry_after_ms (what the other side asked for) as far as that is at most an hour, or max_ms
 * where it is more. failures: in a row, 1 after the first.
 */
int64_t backoff_delay_ms(const struct backoff_policy *policy, uint32_t failures,
                         int64_t retry_after_ms, struct random_source *random);

/* failing_ms: since the first failure in a row, without parked time. */
bool backoff_is_over(const struct backoff_policy *policy, int64_t failing_ms);

#endif
