/* The breaker's transitions. */
#include "core/net/breaker.h"

#include "tests/support/tap.h"

static bool is_probe;

static void trip(struct breaker *b, int64_t now_ms)
{
    for (unsigned i = 0; i < b->limit; i++) {
        CHECK(breaker_admit(b, &is_probe));
        breaker_report(b, is_probe, BREAKER_BAD, now_ms);
    }
    CHECK_INT(b->state, BREAKER_OPEN);
}

static void test_opens_after_failures_in_a_row(void)
{
    struct breaker b;
    breaker_init(&b, 3, 1000);
    static const enum breaker_outcome outcomes[] = {BREAKER_BAD, BREAKER_BAD, BREAKER_GOOD,
                                                    BREAKER_BAD, BREAKER_BAD, BREAKER_UNKNOWN};
    for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
        breaker_report(&b, false, outcomes[i], 0);
        CHECK_INT(b.state, BREAKER_CLOSED);
    }
    breaker_report(&b, false, BREAKER_BAD, 0);
    CHECK_INT(b.state, BREAKER_OPEN);
    CHECK(!breaker_admit(&b, &is_probe));
}

static void test_lets_one_probe_through(void)
{
    struct breaker b;
    breaker_init(&b, 2, 1000);
    trip(&b, 500);
    CHECK(!breaker_cool(&b, 1499));
    CHECK(breaker_cool(&b, 1500));
    CHECK(!breaker_cool(&b, 1500));
    CHECK(breaker_admit(&b, &is_probe) && is_probe);
    CHECK(!breaker_admit(&b, &is_probe));
    CHECK(!is_probe);
    breaker_report(&b, true, BREAKER_GOOD, 1600);
    CHECK_INT(b.state, BREAKER_CLOSED);
    CHECK(breaker_admit(&b, &is_probe) && !is_probe);
}

static void test_failed_probe_opens_again(void)
{
    struct breaker b;
    breaker_init(&b, 2, 1000);
    trip(&b, 0);
    CHECK(breaker_cool(&b, 1000) && breaker_admit(&b, &is_probe));
    breaker_report(&b, true, BREAKER_BAD, 1200);
    CHECK_INT(b.state, BREAKER_OPEN);
    CHECK(!breaker_cool(&b, 2199));
    CHECK(breaker_cool(&b, 2200));
}

static void test_cancelled_probe_leaves_room_for_another(void)
{
    struct breaker b;
    breaker_init(&b, 1, 1000);
    trip(&b, 0);
    CHECK(breaker_cool(&b, 1000) && breaker_admit(&b, &is_probe));
    breaker_report(&b, true, BREAKER_UNKNOWN, 1200);
    CHECK_INT(b.state, BREAKER_HALF_OPEN);
    CHECK(breaker_admit(&b, &is_probe) && is_probe);
}

static void test_late_results_do_not_count(void)
{
    struct breaker b;
    breaker_init(&b, 1, 1000);
    trip(&b, 0);
    breaker_report(&b, false, BREAKER_GOOD, 100);
    CHECK_INT(b.state, BREAKER_OPEN);
    breaker_report(&b, false, BREAKER_BAD, 900);
    CHECK(breaker_cool(&b, 1000));
    breaker_report(&b, false, BREAKER_GOOD, 1000);
    breaker_report(&b, false, BREAKER_BAD, 1000);
    CHECK_INT(b.state, BREAKER_HALF_OPEN);
}

static void test_names(void)
{
    CHECK_STR(breaker_state_name(BREAKER_CLOSED), "closed");
    CHECK_STR(breaker_state_name(BREAKER_HALF_OPEN), "half_open");
}

int main(void)
{
    tap_case("opens after failures in a row", test_opens_after_failures_in_a_row);
    tap_case("lets exactly one probe through", test_lets_one_probe_through);
    tap_case("opens again when the probe fails", test_failed_probe_opens_again);
    tap_case("a cancelled probe leaves room for another",
             test_cancelled_probe_leaves_room_for_another);
    tap_case("late results of older calls do not count", test_late_results_do_not_count);
    tap_case("states have names", test_names);
    return tap_done();
}
