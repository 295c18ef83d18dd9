/* Clocks stand still or go forward as told; the generator repeats from its seed. */
#include "core/base/clock.h"

#include "tests/support/tap.h"

static void a_virtual_clock_moves_only_when_told(void)
{
    struct clock *c = clock_new_virtual(1000);
    CHECK(clock_is_virtual(c));
    CHECK_INT(clock_wall_ms(c), 1000);
    CHECK_INT(clock_mono_ms(c), 0);
    clock_advance(c, 250);
    CHECK_INT(clock_wall_ms(c), 1250);
    CHECK_INT(clock_mono_ms(c), 250);
    CHECK_INT(clock_mono_us(c), 250000);
    clock_advance(c, 0);
    CHECK_INT(clock_mono_ms(c), 250);
    clock_free(c);
}

static void a_jump_moves_the_wall_clock_alone(void)
{
    struct clock *c = clock_new_virtual(10000);
    clock_advance(c, 5);
    clock_jump_wall(c, -3600000);
    CHECK_INT(clock_wall_ms(c), 10005 - 3600000);
    CHECK_INT(clock_mono_ms(c), 5);
    clock_jump_wall(c, 7200000);
    CHECK_INT(clock_wall_ms(c), 10005 + 3600000);
    CHECK_INT(clock_mono_ms(c), 5);
    clock_free(c);
}

static void the_system_clock_never_goes_back(void)
{
    struct clock *c = clock_new_system();
    CHECK(!clock_is_virtual(c));
    int64_t before = clock_mono_ms(c);
    for (int i = 0; i < 1000; i++) {
        int64_t now = clock_mono_ms(c);
        CHECK(now >= before);
        before = now;
    }
    CHECK(clock_wall_ms(c) > INT64_C(1577836800000)); /* 2020 */
    clock_free(c);
}

static void equal_seeds_give_equal_numbers(void)
{
    struct random_source a;
    struct random_source b;
    struct random_source other;
    random_init(&a, 42);
    random_init(&b, 42);
    random_init(&other, 43);
    int differences = 0;
    for (int i = 0; i < 100; i++) {
        uint64_t x = random_next(&a);
        CHECK(x == random_next(&b));
        differences += x != random_next(&other) ? 1 : 0;
    }
    CHECK(differences > 95);
}

static void bounded_numbers_stay_below_and_reach_all(void)
{
    struct random_source r;
    random_init(&r, 1);
    unsigned seen[7] = {0};
    for (int i = 0; i < 7000; i++) {
        uint64_t x = random_below(&r, 7);
        CHECK(x < 7);
        seen[x % 7]++;
    }
    for (int i = 0; i < 7; i++) {
        CHECK(seen[i] > 800 && seen[i] < 1200);
    }
    CHECK_INT(random_below(&r, 1), 0);
    CHECK(random_below(&r, UINT64_MAX) < UINT64_MAX);
}

static void system_seeds_differ(void)
{
    struct random_source a;
    struct random_source b;
    random_init_system(&a);
    random_init_system(&b);
    CHECK(memcmp(a.state, b.state, sizeof(a.state)) != 0);
}

int main(void)
{
    tap_case("a virtual clock moves only when told", a_virtual_clock_moves_only_when_told);
    tap_case("a jump moves the wall clock alone", a_jump_moves_the_wall_clock_alone);
    tap_case("the system clock never goes back", the_system_clock_never_goes_back);
    tap_case("equal seeds give equal numbers", equal_seeds_give_equal_numbers);
    tap_case("bounded numbers stay below and reach all", bounded_numbers_stay_below_and_reach_all);
    tap_case("system seeds differ", system_seeds_differ);
    return tap_done();
}
