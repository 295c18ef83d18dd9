/* The bucket in its virtual-scheduling form: one instant instead of a level that must be refilled.
 */
#include "core/net/rate.h"

#include <math.h>

#define ROUNDING_MS 1e-6 /* sums of intervals such as 1000/3 must not cost a whole millisecond */

void rate_init(struct rate *r, double per_s, unsigned burst, int64_t now_ms)
{
    r->interval_ms = per_s > 0 ? 1000.0 / per_s : 0;
    r->slack_ms = burst > 1 ? r->interval_ms * (double)(burst - 1) : 0;
    r->next_ms = (double)now_ms;
    r->not_before_ms = now_ms;
}

int64_t rate_wait_ms(const struct rate *r, int64_t now_ms)
{
    int64_t told = r->not_before_ms > now_ms ? r->not_before_ms - now_ms : 0;
    double own = ceil(r->next_ms - r->slack_ms - (double)now_ms - ROUNDING_MS);
    return r->interval_ms > 0 && own > (double)told ? (int64_t)own : told;
}

void rate_take(struct rate *r, int64_t now_ms)
{
    /* Requests leave at whole milliseconds: less than one of lateness must not add up. */
    double from = r->next_ms > (double)(now_ms - 1) ? r->next_ms : (double)now_ms;
    r->next_ms = from + r->interval_ms;
}

void rate_delay(struct rate *r, int64_t now_ms, int64_t delay_ms)
{
    if (now_ms + delay_ms > r->not_before_ms) {
        r->not_before_ms = now_ms + delay_ms;
    }
}
