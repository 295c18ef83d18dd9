/* neap.http from a job: answers, errors, lists, limits, parking, cancelling. */
#include "core/work/effect.h"
#include "core/work/job.h"
#include "core/work/pause.h"
#include "tests/support/script_world.h"

static bool is_down;
static int under_way_max;

static int count_transfers(void)
{
    int count = 0;
    for (struct transfer *t = the_world.transfers; t != NULL; t = t->next) {
        count++;
    }
    return count;
}

static void serve(const struct http_request *request, struct world_reply *reply)
{
    if (is_down) {
        reply->status = 0;
        return;
    }
    reply->body = strstr(request->url, "two") != NULL ? "second" : "first";
    reply->status = strstr(request->url, "gone") != NULL ? 404 : 200;
    int count = count_transfers();
    under_way_max = count > under_way_max ? count : under_way_max;
}

static struct world_client *open_far(const char *flow)
{
    struct world *w = world_open();
    w->serve = serve;
    is_down = false;
    under_way_max = 0;
    return world_add(w, "acme", flow);
}

static void requests(void)
{
    struct world_client *c = open_far(
        "local http, store = require('neap.http'), require('neap.store')\n"
        "return {name = 'main', run = function(job)\n"
        "    local a = http.request{connection = 'far', path = '/one', query = {b = 'x y', a = "
        "1},\n"
        "        headers = {accept = 'text/plain'}}\n"
        "    local b = http.request{connection = 'far', method = 'DELETE', path = '/gone'}\n"
        "    store.put('out', 'r', {a.status, a.body, a.headers['content-type'], a.elapsed_ms,\n"
        "        b.status})\n"
        "end}\n");
    uint64_t id = world_event(c, "one", "");
    world_run(c->world, 1000);
    CHECK_STATE(c, id, "done");
    CHECK_STR(world_value(c, "r"), "[200,\"first\",\"text/plain\",20,404]");
    CHECK_STR(c->world->seen[0], "GET http://far.test/one?a=1&b=x%20y");
    CHECK_STR(c->world->seen[1], "DELETE http://far.test/gone");
    CHECK(world_has_line(c, "one", "GET far/one: 200 in 20 ms"));
    CHECK(world_has_line(c, "one", "\"received_bytes\":5"));
    CHECK(!world_has_line(c, "one", "x%20y"));
    world_close(c->world);
}

static void requests_many(void)
{
    struct world_client *c = open_far(
        "local http, store = require('neap.http'), require('neap.store')\n"
        "return {name = 'main', run = function(job)\n"
        "    local list = {}\n"
        "    for i = 1, 9 do\n"
        "        list[i] = {connection = 'far', path = i % 3 == 0 and '/two' or '/one'}\n"
        "    end\n"
        "    local out = {}\n"
        "    for i, r in ipairs(http.all(list, {limit = 3})) do out[i] = r.answer.body end\n"
        "    store.put('out', 'r', out)\n"
        "    store.put('out', 'empty', #http.all{})\n"
        "end}\n");
    uint64_t id = world_event(c, "one", "");
    world_run(c->world, 2000);
    CHECK_STATE(c, id, "done");
    CHECK_STR(world_value(c, "r"), "[\"first\",\"first\",\"second\",\"first\",\"first\",\"second\","
                                   "\"first\",\"first\",\"second\"]");
    CHECK_STR(world_value(c, "empty"), "0");
    CHECK_INT(under_way_max, 3);
    world_close(c->world);
}

static void serve_large(const struct http_request *request, struct world_reply *reply)
{
    static char body[1000001];
    (void)request;
    memset(body, 'x', sizeof(body) - 1);
    reply->body = body;
}

/* Seen before: a hundred requests with one body of 10 MB were a gigabyte of the host's. */
static void counts_what_it_holds(void)
{
    struct world *w = world_open();
    w->serve = serve_large;
    w->limits.memory_bytes = 24 << 20;
    struct world_client *c = world_add(
        w, "acme",
        "local http, store = require('neap.http'), require('neap.store')\n"
        "local function ask(n, body)\n"
        "    local list = {}\n"
        "    for i = 1, n do list[i] = {connection = 'far', path = '/x', body = body} end\n"
        "    return http.all(list)\n"
        "end\n"
        "return {name = 'main', run = function(job)\n"
        "    local ok, err = pcall(ask, 20, ('y'):rep(2 << 20))\n"
        "    local refused, got = 0, 0\n"
        "    for _, r in ipairs(ask(40)) do\n"
        "        if r.answer then got = got + 1\n"
        "        elseif r.error.kind == 'limit' and r.error.maybe_sent then\n"
        "            refused = refused + 1\n"
        "        end\n"
        "    end\n"
        "    store.put('out', 'r', {ok, err, got > 3, refused > 3, got + refused})\n"
        "end}\n");
    uint64_t id = world_event(c, "one", "");
    world_run(w, 5000);
    CHECK_STATE(c, id, "done");
    CHECK_STR(world_value(c, "r"), "[false,\"not enough memory\",true,true,40]");
    CHECK_INT(w->seen_count, 40); /* nothing of the first left */
    world_close(w);
}

static void serve_echo(const struct http_request *request, struct world_reply *reply)
{
    (void)request;
    reply->body = "no such token: hush-hush-token";
}

/* Seen before: only the log was clean; a far side that echoes a token in its error had it on the
 * timeline, in the exception and in what `neap order` shows. */
static void keeps_secrets_to_itself(void)
{
    struct world_client *c = open_far(
        "local http, store, errors = require('neap.http'), require('neap.store'), "
        "require('neap.errors')\n"
        "return {name = 'main', run = function(job)\n"
        "    local said = http.request{connection = 'far', path = '/one'}.body\n"
        "    if job.key == 'held' then\n"
        "        job:note('said', said, {said = said})\n"
        "        job:hold{{cause = 'refused', subject = 's', message = said}}\n"
        "    elseif job.key == 'effect' then\n"
        "        job:effect{connection = 'far', name = 'e', key = 'k', class = 'dedupes',\n"
        "            request = {method = 'POST', path = '/e'}, read = function()\n"
        "                return nil, errors.new{kind = 'remote', message = said} end}\n"
        "        return\n"
        "    end\n"
        "    error(said)\n"
        "end}\n");
    static const char *const keys[] = {"held", "raises", "effect"};
    c->world->serve = serve_echo;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        uint64_t id = world_event(c, keys[i], "");
        world_run(c->world, 1000);
        CHECK_STATE(c, id, i < 2 ? "held" : "done");
        CHECK(world_has_line(c, keys[i], "no such token: ***"));
        CHECK(!world_has_line(c, keys[i], "hush-hush"));
        struct job_info info;
        CHECK_INT(job_load(c->work, id, &info), 0);
        CHECK(strstr(info.last_error, "hush-hush") == NULL);
        job_info_free(&info);
    }
    CHECK(strstr(world_exceptions(c), "no such token: ***") != NULL);
    CHECK(strstr(world_exceptions(c), "hush-hush") == NULL);
    struct effect_spec spec = {"far", "e", "k", EFFECT_DEDUPES, NULL, NULL};
    struct effect effect;
    CHECK_INT(effect_find(c->work, &spec, &effect), 0);
    CHECK_STR(effect.error_message, "no such token: ***");
    effect_free(&effect);
    world_close(c->world);
}

static void encodes(void)
{
    struct world_client *c = open_far(
        "local http, store = require('neap.http'), require('neap.store')\n"
        "return {name = 'main', run = function(job)\n"
        "    local d = http.decode_query('a=1&b=x%20y+z&a=2&c&=d&e=%zz')\n"
        "    store.put('out', 'r', {http.url_encode('key=A/B~\\xc3\\xa9'),\n"
        "        http.encode_query{limit = 100, all = true, q = 'a&b'}, http.encode_query{},\n"
        "        d.a, d.b, d.c, d.e})\n"
        "end}\n");
    world_event(c, "one", "");
    world_run(c->world, 100);
    CHECK_STR(world_value(c, "r"), "[\"key%3DA%2FB~%C3%A9\",\"all=true&limit=100&q=a%26b\",\"\","
                                   "\"2\",\"x y z\",\"\",\"%zz\"]");
    world_close(c->world);
}

static const char asking[] =
    "local http, errors, store = require('neap.http'), require('neap.errors'), "
    "require('neap.store')\n"
    "return {name = 'main', run = function(job)\n"
    "    local answer, err = http.request{connection = 'far', path = '/one'}\n"
    "    if not answer then err = errors.wrap(err, 'asking') end\n"
    "    errors.check(answer, err)\n"
    "    store.put('out', job.key, answer.body)\n"
    "end}\n";

static void parks_while_down(void)
{
    struct world_client *c = open_far(asking);
    is_down = true;
    uint64_t one = world_event(c, "one", "");
    uint64_t two = world_event(c, "two", "");
    world_run(c->world, 9000);
    CHECK_STATE(c, one, "waiting");
    CHECK_STATE(c, two, "waiting");
    CHECK_INT(work_parked_count(c->work, "far"), 2);
    CHECK(strstr(world_exceptions(c), "connection_down/far: Connection far is down: asking: ") !=
          NULL);
    is_down = false;
    world_run(c->world, 60000);
    CHECK_STATE(c, one, "done");
    CHECK_STATE(c, two, "done");
    CHECK_STR(world_value(c, "two"), "\"first\"");
    CHECK_STR(world_exceptions(c), "");
    world_close(c->world);
}

static void respects_pauses(void)
{
    struct world_client *c = open_far(asking);
    struct pause pause = {PAUSE_CONNECTION, "far", "ann", "maintenance", 0};
    CHECK_INT(pause_set(c->work, &pause), 0);
    uint64_t id = world_event(c, "one", "");
    world_run(c->world, 5000);
    CHECK_STATE(c, id, "waiting");
    CHECK_INT(c->world->seen_count, 0);
    CHECK_INT(work_parked_count(c->work, "far"), 1);
    CHECK_INT(pause_clear(c->work, PAUSE_CONNECTION, "far", "ann"), 0);
    world_run(c->world, 5000);
    CHECK_STATE(c, id, "done");
    world_close(c->world);
}

static void serve_never(const struct http_request *request, struct world_reply *reply)
{
    (void)request;
    reply->never = true;
}

static void cancels_at_the_end(void)
{
    struct world_client *c = open_far(asking);
    c->world->serve = serve_never;
    uint64_t id = world_event(c, "one", "");
    world_run(c->world, 100);
    CHECK_STATE(c, id, "running");
    CHECK_INT(count_transfers(), 1);
    world_crash(c);
    CHECK_INT(count_transfers(), 0);
    world_close(c->world);
}

/* A completion of a wait that is over is counted, and wakes nobody. */
static void drops_late_completions(void)
{
    struct world_client *c = open_far(asking);
    c->world->serve = serve_never;
    uint64_t id = world_event(c, "one", "");
    world_run(c->world, 100);
    struct job *job = job_find_live(c->work, id);
    CHECK(job != NULL);
    struct job_run *run = job->script;
    CHECK(!coroutine_wait_done(run->co, 999));
    CHECK_INT(vm_late_completions(generation_vm(runner_generation(c->runner))), 1);
    world_run(c->world, 100);
    CHECK_STATE(c, id, "running");
    world_close(c->world);
}

/* A cancelled coroutine gets its error at once, and at every later wait: its cleanup runs. */
static void cancels_for_good(void)
{
    struct world_client *c =
        open_far("local http, store = require('neap.http'), require('neap.store')\n"
                 "return {name = 'main', run = function(job)\n"
                 "    local _, first = http.request{connection = 'far', path = '/one'}\n"
                 "    local _, second = http.request{connection = 'far', path = '/one'}\n"
                 "    store.put('out', 'r', {first.kind, second.kind})\n"
                 "end}\n");
    c->world->serve = serve_never;
    uint64_t id = world_event(c, "one", "");
    world_run(c->world, 100);
    struct job *job = job_find_live(c->work, id);
    CHECK(job != NULL);
    coroutine_cancel(((struct job_run *)job->script)->co);
    job_wake(job);
    world_run(c->world, 100);
    CHECK_STATE(c, id, "done");
    CHECK_STR(world_value(c, "r"), "[\"cancelled\",\"cancelled\"]");
    CHECK_INT(c->world->seen_count, 1);
    world_close(c->world);
}

int main(void)
{
    tap_case("a request is sent, answered and on the timeline", requests);
    tap_case("many requests run at once up to the limit", requests_many);
    tap_case("what requests and answers hold is the client's memory", counts_what_it_holds);
    tap_case("what the far side echoes of a secret is not kept", keeps_secrets_to_itself);
    tap_case("URLs are encoded and decoded", encodes);
    tap_case("jobs park while a connection is down", parks_while_down);
    tap_case("a paused connection parks jobs too", respects_pauses);
    tap_case("closing cancels what is under way", cancels_at_the_end);
    tap_case("a late completion is counted and dropped", drops_late_completions);
    tap_case("a cancelled job cannot wait any more", cancels_for_good);
    return tap_done();
}
