/* Delays grow to their maximum with full jitter, and respect what the other side asks. */
#include "core/work/backoff.h"
#include "tests/support/tap.h"

static void missing_fields_come_from_the_fallback_then_the_defaults(void)
{
    struct backoff_policy fallback = {.initial_ms = 50, .max_ms = 9000};
    struct backoff_policy policy = {.max_ms = 700};
    backoff_complete(&policy, &fallback);
    CHECK_INT(policy.initial_ms, 50);
    CHECK_INT(policy.max_ms, 700);
    CHECK_INT(policy.give_up_ms, 172800000);
    CHECK(policy.factor == 2.0);
}

static void delays_stay_within_the_growing_window(void)
{
    struct random_source random;
    struct backoff_policy policy = {.initial_ms = 100, .factor = 3, .max_ms = 1000};
    backoff_complete(&policy, NULL);
    random_init(&random, 1);
    static const int64_t windows[] = {100, 300, 900, 1000, 1000, 1000};
    for (uint32_t failures = 1; failures <= 6; failures++) {
        int64_t largest = 0;
        for (int i = 0; i < 2000; i++) {
            int64_t delay = backoff_delay_ms(&policy, failures, 0, &random);
            CHECK(delay >= 1 && delay <= windows[failures - 1]);
            largest = delay > largest ? delay : largest;
        }
        CHECK(largest > windows[failures - 1] * 9 / 10);
    }
    CHECK(backoff_delay_ms(&policy, UINT32_MAX, 0, &random) <= 1000);
    CHECK_INT(backoff_delay_ms(&policy, 1, 5000, &random), 5000);
}

/* Seen before: a header of the far side, "Retry-After: 9999999", kept an order waiting for months.
 */
static void what_the_other_side_asks_has_a_limit(void)
{
    static const int64_t asked[] = {3600001, 1000000000000, INT64_MAX};
    struct random_source random;
    struct backoff_policy policy = {0};
    struct backoff_policy patient = {.max_ms = 7200000};
    struct backoff_policy endless = {.initial_ms = INT64_MAX, .max_ms = INT64_MAX};
    backoff_complete(&policy, NULL);
    backoff_complete(&patient, NULL);
    backoff_complete(&endless, NULL);
    random_init(&random, 1);
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        CHECK_INT(backoff_delay_ms(&policy, 1, asked[i], &random), 3600000);
        CHECK(backoff_delay_ms(&patient, 1, asked[i], &random) <= 7200000);
        CHECK(backoff_delay_ms(&endless, 1, asked[i], &random) < INT64_MAX / 2);
    }
}

static void giving_up_is_a_matter_of_failing_time(void)
{
    struct backoff_policy policy = {.give_up_ms = 1000};
    backoff_complete(&policy, NULL);
    CHECK(!backoff_is_over(&policy, 999));
    CHECK(backoff_is_over(&policy, 1000));
}

int main(void)
{
    tap_case("missing fields come from the fallback, then the defaults",
             missing_fields_come_from_the_fallback_then_the_defaults);
    tap_case("delays stay within the growing window", delays_stay_within_the_growing_window);
    tap_case("what the other side asks has a limit", what_the_other_side_asks_has_a_limit);
    tap_case("giving up is a matter of failing time", giving_up_is_a_matter_of_failing_time);
    return tap_done();
}
