/* Exponential growth with full jitter: jobs that failed together do not come back together. */
#include "core/work/backoff.h"

#define INITIAL_MS 1000
#define FACTOR     2.0
#define MAX_MS     300000
#define GIVE_UP_MS (48LL * 3600 * 1000)

/* The other side's word counts up to here, or up to max_ms where that is more: an order that waits
 * for weeks because of a slip in a header is lost for all that anybody sees. */
#define ASKED_MAX_MS 3600000
#define DELAY_MAX_MS (366LL * 86400 * 1000) /* what is added to an instant stays an instant */

static int64_t first_set(int64_t own, int64_t fallback, int64_t standard)
{
    if (own > 0) {
        return own;
    }
    return fallback > 0 ? fallback : standard;
}

void backoff_complete(struct backoff_policy *policy, const struct backoff_policy *fallback)
{
    static const struct backoff_policy none = {0};
    const struct backoff_policy *other = fallback == NULL ? &none : fallback;
    policy->initial_ms = first_set(policy->initial_ms, other->initial_ms, INITIAL_MS);
    policy->max_ms = first_set(policy->max_ms, other->max_ms, MAX_MS);
    policy->give_up_ms = first_set(policy->give_up_ms, other->give_up_ms, GIVE_UP_MS);
    if (!(policy->factor > 0)) {
        policy->factor = other->factor > 0 ? other->factor : FACTOR;
    }
}

int64_t backoff_delay_ms(const struct backoff_policy *policy, uint32_t failures,
                         int64_t retry_after_ms, struct random_source *random)
{
    double factor = policy->factor < 1 ? 1 : policy->factor;
    double ceiling = (double)policy->initial_ms;
    for (uint32_t i = 1; i < failures && ceiling < (double)policy->max_ms && factor > 1; i++) {
        ceiling *= factor;
    }
    int64_t cap = ceiling < (double)policy->max_ms ? (int64_t)ceiling : policy->max_ms;
    cap = cap < 1 ? 1 : (cap > DELAY_MAX_MS ? DELAY_MAX_MS : cap);
    int64_t asked_max = policy->max_ms > ASKED_MAX_MS ? policy->max_ms : ASKED_MAX_MS;
    asked_max = asked_max > DELAY_MAX_MS ? DELAY_MAX_MS : asked_max;
    int64_t asked = retry_after_ms > asked_max ? asked_max : retry_after_ms;
    int64_t delay = 1 + (int64_t)random_below(random, (uint64_t)cap);
    return delay < asked ? asked : delay;
}

bool backoff_is_over(const struct backoff_policy *policy, int64_t failing_ms)
{
    return failing_ms >= policy->give_up_ms;
}
