/*
 * Jobs parked on a connection are never forgotten. Seen before: a probe that ended without using
 * the connection, a restart, and a job that parked after the half-open word, each left all parked
 * jobs waiting for ever, because nobody had another word to say.
 */
#include "core/work/timeline.h"
#include "tests/support/work_world.h"

static bool is_down;
static const char *detour; /* key whose job does not need the connection any more */

static enum slice_end ask(struct job *job, struct failure *failure)
{
    world_trace(job->info.key);
    bool is_on_detour = detour != NULL && strcmp(job->info.key, detour) == 0;
    if (!is_down || is_on_detour) {
        return SLICE_DONE;
    }
    world_fail(failure, "refused", true);
    failure->connection_down = xstrdup("khaos");
    return SLICE_FAILED;
}

static struct world *open_parked(int count)
{
    is_down = true;
    detour = NULL;
    struct world *w = world_open(ask);
    for (int i = 0; i < count; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%02d", i);
        world_order(w, key, key);
    }
    world_settle(w);
    CHECK_INT(work_parked_count(w->work, "khaos"), count);
    w->trace[0] = '\0';
    return w;
}

static void check_all_done(struct world *w, uint64_t count)
{
    struct exception e;
    CHECK_INT(work_stats(w->work)->done, count);
    CHECK_INT(work_parked_count(w->work, "khaos"), 0);
    CHECK_INT(exception_load(w->work, EXCEPTION_CONNECTION_DOWN, "khaos", &e), ERROR_NOT_FOUND);
}

static void a_probe_that_does_not_need_the_connection_passes_the_word_on(void)
{
    struct world *w = open_parked(3);
    detour = "k00";
    CHECK_INT(work_connection_up(w->work, "khaos", true), 0);
    world_settle(w);
    CHECK_STR(w->trace, "k00;k01;k02;"); /* they park again: it is still down */
    CHECK_INT(work_parked_count(w->work, "khaos"), 2);
    is_down = false;
    CHECK_INT(work_connection_up(w->work, "khaos", true), 0);
    world_settle(w);
    check_all_done(w, 3);
    world_close(w);
}

static void a_restart_lets_the_parked_jobs_try(void)
{
    struct world *w = open_parked(20);
    is_down = false;
    world_restart(w); /* the new process thinks that all its connections are up */
    world_settle(w);
    check_all_done(w, 20);
    world_close(w);
}

static void a_timer_lets_one_try_while_any_is_parked(void)
{
    struct world *w = open_parked(5);
    world_pass(w, 31000);
    CHECK_STR(w->trace, "k00;");
    world_pass(w, 31000);
    CHECK_STR(w->trace, "k00;k00;");
    is_down = false;
    world_pass(w, 31000);
    check_all_done(w, 5);
    world_pass(w, 31000);
    CHECK_INT(loop_next_timer_ms(w->loop), -1); /* nothing keeps the host awake */
    world_close(w);
}

static void a_paused_connection_keeps_its_jobs_parked(void)
{
    struct world *w = open_parked(3);
    struct pause pause = {PAUSE_CONNECTION, "khaos", "ann", "maintenance", 0};
    CHECK_INT(pause_set(w->work, &pause), 0);
    is_down = false;
    CHECK_INT(work_connection_up(w->work, "khaos", true), 0);
    CHECK_INT(work_connection_up(w->work, "khaos", false), 0);
    world_pass(w, 3600000);
    world_restart(w);
    world_pass(w, 3600000);
    CHECK_STR(w->trace, "");
    CHECK_INT(work_parked_count(w->work, "khaos"), 3);
    CHECK_INT(pause_clear(w->work, PAUSE_CONNECTION, "khaos", "ann"), 0);
    world_settle(w);
    check_all_done(w, 3);
    world_close(w);
}

static const char *down_name;

static enum slice_end park_on(struct job *job, struct failure *failure)
{
    (void)job;
    world_fail(failure, "refused", true);
    failure->connection_down = xstrdup(down_name);
    return SLICE_FAILED;
}

static void a_job_is_parked_on_one_connection(void)
{
    down_name = "khaos";
    struct world *w = world_open(park_on);
    world_order(w, "a", "a");
    world_settle(w);
    CHECK_INT(work_parked_count(w->work, "khaos"), 1);
    down_name = "scayle";
    CHECK_INT(work_connection_up(w->work, "khaos", true), 0);
    world_settle(w);
    CHECK_INT(work_parked_count(w->work, "khaos"), 0);
    CHECK_INT(work_parked_count(w->work, "scayle"), 1);
    world_close(w);
}

static enum slice_end ask_and_park(struct job *job, struct failure *failure)
{
    job_note(job, "http", "GET khaos/stock: refused", NULL);
    return park_on(job, failure);
}

static int list_line(void *arg, const struct timeline_entry *entry)
{
    char *text = arg;
    bool is_parked = strcmp(entry->kind, "parked") == 0;
    snprintf(text + strlen(text), 200, "%s%s%s;", entry->kind, is_parked ? " " : "",
             is_parked ? entry->text : "");
    return 0;
}

/* Seen before: a night without Khaos was thousands of lines in the timeline of each order. */
static void an_outage_is_one_line(void)
{
    down_name = "khaos";
    struct world *w = world_open(ask_and_park);
    world_order(w, "a", "a");
    world_settle(w);
    for (int i = 0; i < 5; i++) {
        clock_advance(w->clock, 10000);
        CHECK_INT(work_connection_up(w->work, "khaos", true), 0);
        world_settle(w);
    }
    char text[1000] = "";
    CHECK_INT(timeline_each(w->work, "a", false, list_line, text), 0);
    const char *tail = " times, last: refused;";
    CHECK(strncmp(text, "accepted;http;failed;parked khaos is down since ", 47) == 0);
    CHECK(strcmp(text + strlen(text) - strlen(tail) - 1, "6 times, last: refused;") == 0);
    down_name = "scayle"; /* another outage has a line of its own */
    CHECK_INT(work_connection_up(w->work, "khaos", true), 0);
    world_settle(w);
    text[0] = '\0';
    CHECK_INT(timeline_each(w->work, "a", false, list_line, text), 0);
    CHECK(strstr(text, "refused;http;failed;parked scayle is down: the job waits for it;") != NULL);
    world_close(w);
}

int main(void)
{
    tap_case("a probe that does not need the connection passes the word on",
             a_probe_that_does_not_need_the_connection_passes_the_word_on);
    tap_case("a restart lets the parked jobs try", a_restart_lets_the_parked_jobs_try);
    tap_case("a timer lets one try while any is parked", a_timer_lets_one_try_while_any_is_parked);
    tap_case("a paused connection keeps its jobs parked",
             a_paused_connection_keeps_its_jobs_parked);
    tap_case("a job is parked on one connection", a_job_is_parked_on_one_connection);
    tap_case("an outage is one line of the timeline", an_outage_is_one_line);
    return tap_done();
}
