/* How soon the next request may leave. */
#include "core/net/rate.h"

#include "tests/support/tap.h"

static void test_no_limit(void)
{
    struct rate r;
    rate_init(&r, 0, 0, 5);
    for (int i = 0; i < 1000; i++) {
        CHECK_INT(rate_wait_ms(&r, 5), 0);
        rate_take(&r, 5);
    }
}

static void test_paces(void)
{
    static const struct {
        double per_s;
        unsigned burst;
        unsigned requests;
        int64_t expected_ms; /* when the last one leaves */
    } cases[] = {
        {10, 1, 11, 1000}, {10, 5, 5, 0},     {10, 5, 6, 100},   {3, 1, 4, 1000},
        {3, 1, 31, 10000}, {0.5, 1, 2, 2000}, {1000, 1, 11, 10}, {7, 3, 73, 10000},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rate r;
        int64_t now = 100;
        rate_init(&r, cases[i].per_s, cases[i].burst, now);
        for (unsigned k = 0; k < cases[i].requests; k++) {
            now += rate_wait_ms(&r, now);
            CHECK_INT(rate_wait_ms(&r, now), 0);
            rate_take(&r, now);
        }
        CHECK_INT(now - 100, cases[i].expected_ms);
    }
}

static void test_idle_time_saves_no_more_than_the_burst(void)
{
    struct rate r;
    rate_init(&r, 1, 2, 0);
    rate_take(&r, 100000);
    CHECK_INT(rate_wait_ms(&r, 100000), 0);
    rate_take(&r, 100000);
    CHECK_INT(rate_wait_ms(&r, 100000), 1000);
}

static void test_told_delays_win(void)
{
    struct rate r;
    rate_init(&r, 10, 1, 0);
    rate_take(&r, 0);
    CHECK_INT(rate_wait_ms(&r, 0), 100);
    rate_delay(&r, 0, 5000);
    rate_delay(&r, 0, 10); /* a shorter one cuts nothing */
    CHECK_INT(rate_wait_ms(&r, 0), 5000);
    CHECK_INT(rate_wait_ms(&r, 4999), 1);
    CHECK_INT(rate_wait_ms(&r, 5000), 0);
}

int main(void)
{
    tap_case("without a limit nothing waits", test_no_limit);
    tap_case("requests are paced exactly, bursts apart", test_paces);
    tap_case("idle time saves no more than the burst", test_idle_time_saves_no_more_than_the_burst);
    tap_case("a delay told by the server wins over a shorter one", test_told_delays_win);
    return tap_done();
}
