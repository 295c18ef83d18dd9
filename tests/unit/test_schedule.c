/* Schedules: due once, caught up once, never on top of each other. */
#include "tests/support/work_world.h"

static const struct schedule_spec every_minute = {
    .flow = "stock", .name = "delta", .every_ms = 60000};

static int replace(struct world *w, const struct schedule_spec *specs, size_t count)
{
    struct error err;
    error_clear(&err);
    return schedule_replace(w->work, specs, count, &err);
}

static int keep_info(void *arg, const struct schedule_info *info)
{
    struct schedule_info *kept = arg;
    *kept = *info;
    kept->flow = kept->name = kept->cron = kept->zone = NULL;
    return 0;
}

static struct schedule_info info_of(struct world *w)
{
    struct schedule_info info;
    memset(&info, 0, sizeof info);
    CHECK_INT(schedule_each(w->work, keep_info, &info), 0);
    return info;
}

static void an_interval_ticks_at_once_and_then_in_step(void)
{
    struct world *w = world_open(world_done);
    CHECK_INT(replace(w, &every_minute, 1), 0);
    world_settle(w);
    CHECK_STR(w->trace, "schedule:stock.delta;");
    for (int i = 0; i < 10; i++) {
        world_pass(w, 30000);
    }
    CHECK_INT(info_of(w).ticks, 6);
    CHECK_INT(info_of(w).next_ms, WORLD_START_MS + 6LL * 60000);
    world_close(w);
}

static void missed_ticks_are_caught_up_once(void)
{
    struct world *w = world_open(world_done);
    CHECK_INT(replace(w, &every_minute, 1), 0);
    world_settle(w);
    world_crash(w);
    clock_advance(w->clock, 10LL * 60000 + 5000);
    world_open_work(w);
    world_settle(w);
    CHECK_STR(w->trace, "schedule:stock.delta;schedule:stock.delta;");
    CHECK_INT(info_of(w).next_ms, WORLD_START_MS + 11LL * 60000);
    world_close(w);
}

static enum slice_end never_ends(struct job *job, struct failure *failure)
{
    (void)failure;
    world_trace(job->info.key);
    return SLICE_SUSPENDED;
}

static void a_tick_is_skipped_while_the_last_one_runs(void)
{
    struct world *w = world_open(never_ends);
    CHECK_INT(replace(w, &every_minute, 1), 0);
    world_settle(w);
    world_pass(w, 60000);
    world_pass(w, 60000);
    CHECK_INT(info_of(w).ticks, 1);
    CHECK_INT(info_of(w).skipped, 2);
    CHECK_STR(w->trace, "schedule:stock.delta;");
    world_close(w);
}

static void a_new_set_keeps_the_due_times_of_unchanged_ones(void)
{
    struct world *w = world_open(world_done);
    CHECK_INT(replace(w, &every_minute, 1), 0);
    world_settle(w);
    clock_advance(w->clock, 30000);
    struct schedule_spec both[2] = {every_minute,
                                    {.flow = "stock", .name = "full", .cron = "0 3 * * *"}};
    CHECK_INT(replace(w, both, 2), 0);
    world_settle(w);
    CHECK_STR(w->trace, "schedule:stock.delta;");
    struct schedule_spec slower = {.flow = "stock", .name = "delta", .every_ms = 120000};
    CHECK_INT(replace(w, &slower, 1), 0);
    CHECK_INT(info_of(w).next_ms, WORLD_START_MS + 30000);
    CHECK_INT(replace(w, NULL, 0), 0);
    world_pass(w, 600000);
    CHECK_STR(w->trace, "schedule:stock.delta;");
    world_close(w);
}

static void a_cron_ticks_in_its_zone(void)
{
    struct world *w = world_open(world_done); /* 2027-01-15 08:00:00 UTC */
    struct schedule_spec spec = {
        .flow = "stock", .name = "full", .cron = "0 9 * * *", .zone = "Europe/Berlin"};
    CHECK_INT(replace(w, &spec, 1), 0);
    CHECK_INT(info_of(w).next_ms, WORLD_START_MS + 24LL * 3600 * 1000);
    world_settle(w);
    for (int i = 0; i < 25; i++) {
        world_pass(w, 3600000);
    }
    CHECK_INT(info_of(w).ticks, 1);
    world_close(w);
}

static void a_clock_set_back_does_not_stop_an_interval(void)
{
    struct world *w = world_open(world_done);
    CHECK_INT(replace(w, &every_minute, 1), 0);
    world_settle(w);
    clock_jump_wall(w->clock, -7200000);
    for (int i = 0; i < 4; i++) {
        world_pass(w, 60000);
    }
    CHECK(info_of(w).ticks >= 2);
    world_close(w);
}

/* Seen before: with a clock a year ahead at boot, a nightly run was due in a year. */
static void a_clock_set_back_does_not_stop_a_cron(void)
{
    struct world *w = world_open(world_done); /* 2027-01-15 08:00:00 UTC */
    struct schedule_spec spec = {.flow = "stock", .name = "full", .cron = "0 3 * * *"};
    clock_jump_wall(w->clock, 365LL * 24 * 3600 * 1000);
    CHECK_INT(replace(w, &spec, 1), 0);
    world_settle(w);
    clock_jump_wall(w->clock, -365LL * 24 * 3600 * 1000);
    world_pass(w, 61000);
    CHECK_INT(info_of(w).next_ms, WORLD_START_MS + 19LL * 3600 * 1000);
    clock_jump_wall(w->clock, 365LL * 24 * 3600 * 1000);
    world_pass(w, 61000);
    CHECK_INT(info_of(w).ticks, 1);
    world_crash(w);
    clock_jump_wall(w->clock, -365LL * 24 * 3600 * 1000);
    world_open_work(w);
    world_settle(w);
    CHECK_INT(info_of(w).next_ms, WORLD_START_MS + 19LL * 3600 * 1000);
    world_close(w);
}

static void a_paused_flow_skips_its_ticks(void)
{
    struct world *w = world_open(world_done);
    struct pause pause = {.kind = PAUSE_FLOW, .name = "stock", .who = "eve", .reason = "stocktake"};
    CHECK_INT(pause_set(w->work, &pause), 0);
    CHECK_INT(replace(w, &every_minute, 1), 0);
    world_settle(w);
    CHECK_STR(w->trace, "");
    CHECK_INT(info_of(w).skipped, 1);
    world_close(w);
}

static void a_person_runs_one_now(void)
{
    struct world *w = world_open(world_done);
    struct schedule_spec spec = {.flow = "stock", .name = "full", .cron = "0 3 * * *"};
    CHECK_INT(replace(w, &spec, 1), 0);
    CHECK_INT(schedule_run_now(w->work, "stock", "other"), ERROR_NOT_FOUND);
    CHECK_INT(schedule_run_now(w->work, "stock", "full"), 0);
    world_settle(w);
    CHECK_STR(w->trace, "schedule:stock.full;");
    world_close(w);
}

static void bad_schedules_are_refused_with_their_name(void)
{
    static const struct schedule_spec bad[] = {
        {.flow = "stock", .name = "x"},
        {.flow = "stock", .name = "x", .every_ms = 5},
        {.flow = "stock", .name = "x", .every_ms = INT64_MAX},
        {.flow = "stock", .name = "x", .every_ms = 1000, .cron = "* * * * *"},
        {.flow = "stock", .name = "x", .cron = "61 * * * *"},
        {.flow = "stock", .name = "x", .cron = "* * * * *", .zone = "Mars/Olympus"},
        {.flow = "stock", .name = ""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct error err;
        error_clear(&err);
        CHECK(schedule_check(&bad[i], &err) != 0);
        CHECK(strstr(err.message, "schedule") != NULL);
    }
}

int main(void)
{
    tap_case("an interval ticks at once and then in step",
             an_interval_ticks_at_once_and_then_in_step);
    tap_case("missed ticks are caught up once", missed_ticks_are_caught_up_once);
    tap_case("a tick is skipped while the last one runs",
             a_tick_is_skipped_while_the_last_one_runs);
    tap_case("a new set keeps the due times of unchanged ones",
             a_new_set_keeps_the_due_times_of_unchanged_ones);
    tap_case("a cron ticks in its zone", a_cron_ticks_in_its_zone);
    tap_case("a clock set back does not stop an interval",
             a_clock_set_back_does_not_stop_an_interval);
    tap_case("a clock set back does not stop a cron", a_clock_set_back_does_not_stop_a_cron);
    tap_case("a paused flow skips its ticks", a_paused_flow_skips_its_ticks);
    tap_case("a person runs one now", a_person_runs_one_now);
    tap_case("bad schedules are refused with their name",
             bad_schedules_are_refused_with_their_name);
    return tap_done();
}
