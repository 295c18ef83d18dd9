/* Reload: loaded aside, swapped, or the old scripts go on; jobs continue on the new ones. */
#include "core/script/reload.h"

#include <unistd.h>

#include "core/work/work_state.h"
#include "tests/support/script_world.h"

static int failures;
static char last_error[640];

static int load(void *arg, struct generation **generation_out, struct error *err)
{
    return world_load(arg, generation_out, err);
}

static int take(void *arg, struct generation *next, struct error *err)
{
    struct world_client *c = arg;
    return runner_swap(c->runner, next, err);
}

static void on_failed(void *arg, const struct error *err)
{
    (void)arg;
    failures++;
    snprintf(last_error, sizeof(last_error), "%s", err->message);
}

static struct reload *watch(struct world_client *c, struct loop *loop)
{
    struct reload_options options = {.loop = loop,
                                     .client_folder = c->folder,
                                     .scripts_folder = "scripts",
                                     .runner = c->runner,
                                     .settle_ms = 1,
                                     .scan_ms = 5,
                                     .load = load,
                                     .on_loaded = take,
                                     .on_failed = on_failed,
                                     .arg = c};
    failures = 0;
    return reload_new(&options);
}

static void version(struct world_client *c, int number)
{
    char text[1024];
    snprintf(text, sizeof(text),
             "local store, http = require('neap.store'), require('neap.http')\n"
             "return {name = 'main', run = function(job)\n"
             "    store.put('out', 'began', %d)\n"
             "    local step = job:step('memo', function() return %d end)\n"
             "    if job.event.payload == 'sleep' then job:sleep('nap', 10000) end\n"
             "    if job.event.payload == 'http' then\n"
             "        http.request{connection = 'far', path = '/x'}\n"
             "    end\n"
             "    if job.event.payload == 'raise' and %d == 1 then error('broken') end\n"
             "    store.put('out', job.key, {step, %d})\n"
             "end}\n",
             number, number, number, number);
    world_write(c, "main.lua", text);
}

static void swaps(void)
{
    struct world *w = world_open();
    struct world_client *c = world_add(w, "acme", "return {name = 'main', run = function() end}");
    version(c, 1);
    struct reload *r = watch(c, w->loop);
    CHECK_INT(reload_now(r), 0);
    uint64_t sleeper = world_event(c, "sleeper", "sleep");
    uint64_t broken = world_event(c, "broken", "raise");
    world_run(w, 100);
    CHECK_STATE(c, sleeper, "waiting");
    CHECK_STATE(c, broken, "held");
    version(c, 2);
    CHECK_INT(reload_now(r), 0);
    CHECK_INT(runner_generation_count(c->runner), 1);
    world_run(w, 20000);
    CHECK_STATE(c, sleeper, "done");
    CHECK_STATE(c, broken, "done");
    CHECK_STR(world_value(c, "sleeper"), "[2,2]");
    CHECK_STR(world_value(c, "broken"), "[2,2]");
    CHECK_STR(world_exceptions(c), "");
    reload_free(r);
    world_close(w);
}

static void keeps_the_old(void)
{
    struct world *w = world_open();
    struct world_client *c = world_add(w, "acme", "return {name = 'main', run = function() end}");
    version(c, 1);
    struct reload *r = watch(c, w->loop);
    CHECK_INT(reload_now(r), 0);
    struct generation *serving = runner_generation(c->runner);
    world_write(c, "main.lua", "return {name = 'main', run = function()\n");
    CHECK(reload_now(r) != 0);
    CHECK_INT(failures, 1);
    CHECK(strstr(last_error, "main.lua:2: 'end' expected") != NULL);
    CHECK(runner_generation(c->runner) == serving);
    uint64_t id = world_event(c, "one", "");
    world_run(w, 100);
    CHECK_STATE(c, id, "done");
    CHECK_STR(world_value(c, "one"), "[1,1]");
    reload_free(r);
    world_close(w);
}

static void serve_never(const struct http_request *request, struct world_reply *reply)
{
    (void)request;
    reply->never = the_world.seen_count == 1;
}

/* In flight: ends on the generation it began with, unless a third one comes. */
static void unwinds_the_oldest(void)
{
    struct world *w = world_open();
    w->serve = serve_never;
    struct world_client *c = world_add(w, "acme", "return {name = 'main', run = function() end}");
    version(c, 1);
    struct reload *r = watch(c, w->loop);
    CHECK_INT(reload_now(r), 0);
    uint64_t id = world_event(c, "one", "http");
    world_run(w, 100);
    CHECK_STATE(c, id, "running");
    version(c, 2);
    CHECK_INT(reload_now(r), 0);
    world_run(w, 100);
    CHECK_STATE(c, id, "running");
    CHECK_INT(runner_generation_count(c->runner), 2);
    version(c, 3);
    CHECK_INT(reload_now(r), 0);
    CHECK_INT(runner_generation_count(c->runner), 1);
    world_run(w, 1000);
    CHECK_STATE(c, id, "done");
    CHECK_STR(world_value(c, "one"), "[3,3]");
    CHECK_INT(w->seen_count, 2);
    reload_free(r);
    world_close(w);
}

static void ends_on_its_own(void)
{
    struct world *w = world_open();
    struct world_client *c = world_add(w, "acme", "return {name = 'main', run = function() end}");
    version(c, 1);
    struct reload *r = watch(c, w->loop);
    CHECK_INT(reload_now(r), 0);
    uint64_t id = world_event(c, "one", "http");
    world_run(w, 10);
    CHECK_STATE(c, id, "running");
    version(c, 2);
    CHECK_INT(reload_now(r), 0);
    world_run(w, 1000);
    CHECK_STATE(c, id, "done");
    CHECK_STR(world_value(c, "one"), "[1,1]");
    CHECK_INT(runner_generation_count(c->runner), 1);
    reload_free(r);
    world_close(w);
}

static void write_late(struct world_client *c, const char *main_text, const char *late)
{
    world_write(c, "main.lua", main_text);
    if (late != NULL) {
        world_write(c, "late.lua", late);
    }
}

static void serve_well(const struct http_request *request, struct world_reply *reply)
{
    (void)request;
    (void)reply;
}

/*
 * Seen before: a run that began before the reload held after it, on a cause that the new scripts
 * cure, and waited for a reload that had been.
 */
static void a_late_hold_meets_the_new_scripts(void)
{
    struct world *w = world_open();
    w->serve = serve_well;
    struct world_client *c = world_add(w, "acme", "return {name = 'main', run = function() end}");
    static const char old[] =
        "return {name = 'main', run = function(job)\n"
        "    require('neap.http').request{connection = 'far', path = '/x'}\n"
        "    if job.event.payload == 'raise' then error('broken') end\n"
        "    job:hold{{cause = 'unmapped', message = 'no', recheck = 'reload'}}\n"
        "end}\n";
    struct reload *r = watch(c, w->loop);
    write_late(c, old, NULL);
    CHECK_INT(reload_now(r), 0);
    uint64_t holder = world_event(c, "holder", "hold");
    uint64_t raiser = world_event(c, "raiser", "raise");
    world_run(w, 10);
    CHECK_STATE(c, holder, "running");
    write_late(c, "return {name = 'main', run = function() end}\n", NULL);
    CHECK_INT(reload_now(r), 0);
    world_run(w, 1000);
    CHECK_STATE(c, holder, "done");
    CHECK_STATE(c, raiser, "done");
    CHECK_STR(world_exceptions(c), "");
    CHECK(world_has_line(
        c, "raiser",
        "Runs again on the new scripts; the ones before ended in: main.lua:3: broken"));
    reload_free(r);
    world_close(w);
}

/* Seen before: it was read from the disk of another day, or was gone. */
static void a_late_module_is_of_its_generation(void)
{
    struct world *w = world_open();
    w->serve = serve_well;
    struct world_client *c = world_add(w, "acme", "return {name = 'main', run = function() end}");
    static const char text[] =
        "return {name = 'main', run = function(job)\n"
        "    require('neap.http').request{connection = 'far', path = '/x'}\n"
        "    require('neap.store').put('out', job.key, require('late').word)\n"
        "end}\n";
    struct reload *r = watch(c, w->loop);
    write_late(c, text, "return {word = 'first'}\n");
    CHECK_INT(reload_now(r), 0);
    uint64_t one = world_event(c, "one", "");
    world_run(w, 10);
    char *path = xasprintf("%s/late.lua", c->folder);
    CHECK_INT(unlink(path), 0);
    free(path);
    world_run(w, 1000);
    CHECK_STATE(c, one, "done");
    CHECK_STR(world_value(c, "one"), "\"first\"");
    reload_free(r);
    world_close(w);
}

/* Seen before: equal loaded files were equal generations, whatever a late module said. */
static void a_mended_late_module_releases(void)
{
    struct world *w = world_open();
    struct world_client *c = world_add(w, "acme", "return {name = 'main', run = function() end}");
    static const char text[] = "return {name = 'main', run = function(job)\n"
                               "    require('late').work()\n"
                               "end}\n";
    struct reload *r = watch(c, w->loop);
    write_late(c, text, "return {work = function() error('broken') end}\n");
    CHECK_INT(reload_now(r), 0);
    uint64_t id = world_event(c, "one", "");
    world_run(w, 100);
    CHECK_STATE(c, id, "held");
    write_late(c, text, "return {work = function() end}\n");
    CHECK_INT(reload_now(r), 0);
    world_run(w, 100);
    CHECK_STATE(c, id, "done");
    reload_free(r);
    world_close(w);
}

/* Seen before: the new scripts served, were reported as refused, and nothing was released. */
static void no_room_keeps_the_old(void)
{
    struct world *w = world_open();
    struct world_client *c = world_add(w, "acme", "return {name = 'main', run = function() end}");
    version(c, 1);
    struct reload *r = watch(c, w->loop);
    CHECK_INT(reload_now(r), 0);
    struct generation *serving = runner_generation(c->runner);
    version(c, 2);
    c->work->is_full = true;
    CHECK(reload_now(r) != 0);
    CHECK_INT(failures, 1);
    CHECK(runner_generation(c->runner) == serving);
    CHECK(work_generation(c->work) == generation_hash(serving));
    c->work->is_full = false;
    CHECK_INT(reload_now(r), 0);
    CHECK(runner_generation(c->runner) != serving);
    reload_free(r);
    world_close(w);
}

/* On a loop of its own in real time: the files are written while it turns. */
static void notices_changes(void)
{
    struct world *w = world_open();
    struct world_client *c = world_add(w, "acme", "return {name = 'main', run = function() end}");
    struct clock *clock = clock_new_system();
    struct loop *loop = loop_new(clock);
    struct reload *r = watch(c, loop);
    struct generation *before = runner_generation(c->runner);
    for (int i = 0; i < 3; i++) {
        loop_poll(loop, true);
    }
    CHECK(runner_generation(c->runner) == before);
    version(c, 5);
    for (int i = 0; i < 2000 && runner_generation(c->runner) == before; i++) {
        loop_poll(loop, true);
    }
    CHECK(runner_generation(c->runner) != before);
    before = runner_generation(c->runner);
    world_write(c, "main.lua", "return {\n");
    for (int i = 0; i < 2000 && failures == 0; i++) {
        loop_poll(loop, true);
    }
    CHECK_INT(failures, 1);
    for (int i = 0; i < 10; i++) {
        loop_poll(loop, true);
    }
    CHECK_INT(failures, 1); /* told once, not at every look */
    CHECK(runner_generation(c->runner) == before);
    version(c, 6);
    for (int i = 0; i < 2000 && runner_generation(c->runner) == before; i++) {
        loop_poll(loop, true);
    }
    CHECK(runner_generation(c->runner) != before);
    reload_free(r);
    loop_free(loop);
    clock_free(clock);
    world_close(w);
}

static void ending_with(struct world_client *c, const char *statement)
{
    char text[600];
    snprintf(text, sizeof(text),
             "local http = require('neap.http')\n"
             "return {name = 'main', run = function(job)\n"
             "    http.request{connection = 'far', path = '/x'}\n"
             "    %s\n"
             "end}\n",
             statement);
    world_write(c, "main.lua", text);
}

/* Seen before: a run that was still on the old scripts when the mended ones came failed a moment
 * later, and its job was held until the next reload, which nobody had a reason to make. */
static void does_not_hold_for_a_reload_that_was(void)
{
    static const char *const endings[] = {
        "error('broken')", "job:hold{{cause = 'unmapped', subject = 'x', message = 'm',\n"
                           "        remedy = 'r', recheck = 'reload'}}"};
    for (size_t i = 0; i < 2; i++) {
        struct world *w = world_open();
        struct world_client *c =
            world_add(w, "acme", "return {name = 'main', run = function() end}");
        ending_with(c, endings[i]);
        struct reload *r = watch(c, w->loop);
        CHECK_INT(reload_now(r), 0);
        uint64_t id = world_event(c, "one", "x");
        world_run(w, 10);
        CHECK_STATE(c, id, "running");
        ending_with(c, "");
        CHECK_INT(reload_now(r), 0);
        world_run(w, 1000);
        CHECK_STATE(c, id, "done");
        CHECK_STR(world_exceptions(c), "");
        reload_free(r);
        world_close(w);
    }
}

int main(void)
{
    tap_case("new scripts serve, and jobs go on with fresh steps", swaps);
    tap_case("scripts that do not load change nothing", keeps_the_old);
    tap_case("who failed on the old scripts runs on the new ones at once",
             does_not_hold_for_a_reload_that_was);
    tap_case("a third generation unwinds what runs on the first", unwinds_the_oldest);
    tap_case("a job in flight ends on the scripts it began with", ends_on_its_own);
    tap_case("a hold that comes after the reload meets the new scripts",
             a_late_hold_meets_the_new_scripts);
    tap_case("a module required late is the one of its generation",
             a_late_module_is_of_its_generation);
    tap_case("a mended late module is a new generation", a_mended_late_module_releases);
    tap_case("a store that takes nothing keeps the old scripts", no_room_keeps_the_old);
    tap_case("changed files are noticed, settled and loaded once", notices_changes);
    return tap_done();
}
