/* The colours of flows, over a small work whose scripts are C functions. */
#include "core/ops/health.h"

#include "tests/support/work_world.h"

#define MINUTE_MS 60000LL

static enum slice_end (*script)(struct job *job, struct failure *failure);

static enum slice_end run_script(struct job *job, struct failure *failure)
{
    return script(job, failure);
}

static const char *flow_at(void *arg, size_t i)
{
    static const char *const FLOWS[] = {"orders", "stock", NULL};
    (void)arg;
    return FLOWS[i];
}

static struct health read_health(struct world *w, bool is_live)
{
    struct ops_client client = {
        .name = "acme", .work = w->work, .generation = 1, .flow_at = flow_at};
    struct ops_view view = {
        .clients = &client, .count = 1, .is_live = is_live, .now_ms = clock_wall_ms(w->clock)};
    struct health health;
    health_read(&view, &client, &health);
    return health;
}

/* The colour of a flow is this, and its words hold that. */
static void check_flow(struct world *w, const char *name, const char *colour, const char *part)
{
    struct health health = read_health(w, true);
    bool is_found = false;
    for (size_t i = 0; i < health.flow_count; i++) {
        const struct health_flow *flow = &health.flows[i];
        if (strcmp(flow->name, name) == 0) {
            is_found = true;
            CHECK_STR(health_colour_name(flow->colour), colour);
            if (strstr(flow->why, part) == NULL) {
                printf("# \"%s\" is not in: %s\n", part, flow->why);
            }
            CHECK(strstr(flow->why, part) != NULL);
        }
    }
    CHECK(is_found);
    health_free(&health);
}

static void put_row(struct world *w, const char *table, const char *key, const char *json)
{
    CHECK_INT(script_table_put(w->work, bytes_str(table), bytes_str(key), bytes_str(json)), 0);
}

static enum slice_end fail(struct job *job, struct failure *failure)
{
    (void)job;
    failure->message = xstrdup("attempt to index a nil value");
    failure->place = xstrdup("flows/orders.lua:12");
    return SLICE_FAILED;
}

static void a_job_that_the_scripts_fail_in_is_red(void)
{
    script = fail;
    struct world *w = world_open(run_script);
    world_order(w, "order:1", "a");
    world_settle(w);
    check_flow(w, "orders", "red", "1 held, as the scripts fail: ");
    check_flow(w, "stock", "green", "");
    world_close(w);
}

static enum slice_end wait_long(struct job *job, struct failure *failure)
{
    (void)failure;
    struct job_wait wait;
    CHECK_INT(job_wait_find(job, "long", &wait), 0);
    return job_request_sleep(job, "long", 100 * MINUTE_MS) == 0 ? SLICE_UNWOUND : SLICE_FAILED;
}

static enum slice_end await_nothing(struct job *job, struct failure *failure)
{
    (void)failure;
    static const char *const NEVER[] = {"never", NULL};
    return job_request_await(job, "never", NEVER, 0) == 0 ? SLICE_UNWOUND : SLICE_FAILED;
}

static enum slice_end never_return(struct job *job, struct failure *failure)
{
    (void)job;
    (void)failure;
    return SLICE_SUSPENDED;
}

static void tick(struct world *w)
{
    struct schedule_spec every = {.flow = "stock", .name = "poll", .every_ms = 30000};
    struct error err = {0};
    CHECK_INT(schedule_replace(w->work, &every, 1, &err), 0);
    world_pass(w, 1000);
}

/* The ticks after it are skipped and their due time moves on: nothing else tells. */
static void a_tick_that_does_not_end_is_seen(void)
{
    enum slice_end (*const SCRIPTS[])(struct job *, struct failure *) = {wait_long, await_nothing,
                                                                         never_return};
    for (size_t i = 0; i < sizeof(SCRIPTS) / sizeof(SCRIPTS[0]); i++) {
        script = SCRIPTS[i];
        struct world *w = world_open(run_script);
        tick(w);
        check_flow(w, "stock", "green", "");
        world_pass(w, 12 * MINUTE_MS);
        check_flow(w, "stock", "amber", "schedule:stock.poll ");
        world_pass(w, 60 * MINUTE_MS);
        check_flow(w, "stock", "red", " for 72 min");
        struct health stopped = read_health(w, false);
        CHECK_STR(health_colour_name(stopped.colour), "green"); /* nothing runs there */
        health_free(&stopped);
        world_close(w);
    }
}

static enum slice_end park(struct job *job, struct failure *failure)
{
    (void)job;
    failure->message = xstrdup("connection khaos is down");
    failure->connection_down = xstrdup("khaos");
    return SLICE_FAILED;
}

static void check_down(struct world *w, const char *message)
{
    struct exception e;
    CHECK_INT(exception_load(w->work, EXCEPTION_CONNECTION_DOWN, "khaos", &e), 0);
    CHECK_STR(e.message, message);
    exception_free(&e);
}

static void a_connection_that_a_person_paused_is_amber(void)
{
    script = park;
    struct world *w = world_open(run_script);
    struct pause pause = {.kind = PAUSE_CONNECTION,
                          .name = "khaos",
                          .who = "eve",
                          .reason = "their update",
                          .since_ms = clock_wall_ms(w->clock)};
    CHECK_INT(pause_set(w->work, &pause), 0);
    world_order(w, "order:1", "a");
    world_settle(w);
    check_flow(w, "orders", "amber", "1 wait, as a person paused the connection: khaos");
    struct health health = read_health(w, true);
    CHECK_STR(health_colour_name(health.colour), "amber");
    CHECK(strstr(health.why, "connection khaos is paused by eve since 2027-01-15T08:00Z: "
                             "their update") != NULL);
    health_free(&health);
    check_down(w, "Connection khaos is paused");
    CHECK_INT(pause_clear(w->work, PAUSE_CONNECTION, "khaos", "eve"), 0);
    world_settle(w);
    check_flow(w, "orders", "red", "1 wait, as a connection is down: khaos");
    check_down(w, "Connection khaos is down: connection khaos is down");
    world_close(w);
}

static void put_due(struct world *w, int64_t minutes)
{
    char *json = xasprintf("{\"since_ms\":%lld}", clock_wall_ms(w->clock) - minutes * MINUTE_MS);
    put_row(w, "stock_dirty", "TS-RED-L", json);
    free(json);
}

static void stock_is_as_late_as_its_flow_allows(void)
{
    script = never_return;
    struct world *w = world_open(run_script);
    put_row(w, "stock_state", "poll", "{\"ran_ms\":1}");
    put_due(w, 21);
    check_flow(w, "stock", "green", ""); /* the flow has not said yet */
    put_row(w, "stock_state", "lag",
            "{\"flow\":\"stock\",\"amber_ms\":1200000,\"red_ms\":2400000}");
    check_flow(w, "stock", "amber", "figures are due in the shop for 21 min");
    put_due(w, 41);
    check_flow(w, "stock", "amber", "41 min"); /* the first reading of all */
    put_row(w, "stock_state", "full", "{\"completed_ms\":1}");
    check_flow(w, "stock", "red", "41 min");
    put_due(w, 19);
    check_flow(w, "stock", "green", "");
    world_close(w);
}

static void silence_of_khaos_is_red(void)
{
    script = never_return;
    struct world *w = world_open(run_script);
    struct exception_cause cause = {"khaos_silent", "orders", "Khaos has not asked for 61 min", "",
                                    RECHECK_PROOF};
    CHECK_INT(exception_open_by(w->work, "khaos_cloud", &cause), 0);
    check_flow(w, "khaos_cloud", "red", "Khaos has not asked for 61 min");
    world_close(w);
}

int main(void)
{
    tap_case("a job that the scripts fail in is red", a_job_that_the_scripts_fail_in_is_red);
    tap_case("a tick that does not end is seen", a_tick_that_does_not_end_is_seen);
    tap_case("a connection that a person paused is amber",
             a_connection_that_a_person_paused_is_amber);
    tap_case("stock is as late as its flow allows", stock_is_as_late_as_its_flow_allows);
    tap_case("silence of Khaos is red", silence_of_khaos_is_red);
    return tap_done();
}
