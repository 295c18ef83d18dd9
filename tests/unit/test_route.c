/* Routes: found by path, handled as one unit, answered once for ever. */
#include "tests/support/script_world.h"

static const char flow[] =
    "local store = require('neap.store')\n"
    "local function reply(status, body, events)\n"
    "    return {status = status, body = body, headers = {['x-kind'] = 'test'}, events = events}\n"
    "end\n"
    "return {name = 'main',\n"
    "    triggers = {\n"
    "        {kind = 'route', name = 'order', method = 'POST', path = '/orders/{id}',\n"
    "            handle = function(ctx, request)\n"
    "                local n = store.increment('out', 'handled')\n"
    "                local r = reply(201, 'accepted ' .. n, {{source = 'shop', id = "
    "request.params.id,\n"
    "                    key = 'order:' .. request.params.id, name = 'placed',\n"
    "                    payload = request.body, aliases = {'ref:' .. request.params.id}},\n"
    "                    {source = 'shop2', id = request.params.id, name = 'copy', flow = "
    "'main'}})\n"
    "                return r\n"
    "            end},\n"
    "        {kind = 'route', name = 'echo', method = 'GET', path = '/orders/echo',\n"
    "            handle = function(ctx, request)\n"
    "                return reply(200, table.concat({ctx.client, ctx.flow, ctx.settings.greeting,\n"
    "                    ctx.live_from_ms,\n"
    "                    request.method, request.path, request.query.a, "
    "request.headers['x-both'],\n"
    "                    request.peer}, '|'))\n"
    "            end},\n"
    "        {kind = 'route', name = 'any', method = 'GET', path = '/orders/{id}',\n"
    "            handle = function(ctx, request) return reply(200, request.params.id) end},\n"
    "        {kind = 'route', name = 'slow', method = 'POST', path = '/slow/{id}',\n"
    "            answer_within_ms = 3000,\n"
    "            handle = function(ctx, request)\n"
    "                return reply(202, 'not yet', {{source = 'slow', id = request.params.id,\n"
    "                    name = 'slow'}})\n"
    "            end},\n"
    "        {kind = 'route', name = 'bad', method = 'POST', path = '/bad/{what}',\n"
    "            handle = function(ctx, request)\n"
    "                store.put('out', 'bad', true)\n"
    "                local what = request.params.what\n"
    "                if what == 'raise' then error('broken handler') end\n"
    "                if what == 'nothing' then return nil end\n"
    "                if what == 'status' then return {status = 99} end\n"
    "                if what == 'header' then return {status = 200, headers = {['a b'] = 'x'}} "
    "end\n"
    "                if what == 'rude' then return {status = 200, rude = 'reset'} end\n"
    "                if what == 'event' then return {status = 200, events = {{id = 'x'}}} end\n"
    "                if what == 'key' then return {status = 200, events = {{source = 's', id = "
    "'i',\n"
    "                    name = 'n', key = ('k'):rep(5000)}}} end\n"
    "                if what == 'wait' then require('neap.http').request{connection = 'far',\n"
    "                    path = '/'} end\n"
    "                while true do end\n"
    "            end}},\n"
    "    run = function(job)\n"
    "        if job.event.name == 'slow' then\n"
    "            store.put('out', 'answered', {job:answer{status = 201, body = 'now'},\n"
    "                job:answer{status = 500, body = 'again'}})\n"
    "        end\n"
    "        store.increment('out', 'jobs')\n"
    "    end}\n";

struct outcome {
    int status;
    char body[256];
    char kind[32];
    int64_t wait_ms;
    bool is_duplicate;
    char error[640];
};

static struct outcome request(struct world_client *c, const char *method, const char *path,
                              const char *body)
{
    struct outcome outcome;
    memset(&outcome, 0, sizeof(outcome));
    size_t route = 0;
    const struct manifest *m = generation_manifest(runner_generation(c->runner));
    enum route_match match = route_find(m, method, path, &route);
    if (match != ROUTE_FOUND) {
        outcome.status = match == ROUTE_NO_PATH ? 404 : 405;
        return outcome;
    }
    struct http_headers headers = {0};
    CHECK_INT(http_headers_add(&headers, "X-Both", "1"), 0);
    CHECK_INT(http_headers_add(&headers, "x-both", "2"), 0);
    struct route_request r = {.method = method,
                              .path = path,
                              .query = "a=x%20y+z&b",
                              .peer = "peer",
                              .headers = &headers,
                              .body = bytes_str(body)};
    struct route_reply reply;
    struct error err;
    error_clear(&err);
    if (route_handle(c->runner, route, &r, &reply, &err) != 0) {
        outcome.status = -1;
        snprintf(outcome.error, sizeof(outcome.error), "%s", err.message);
    } else {
        outcome.status = reply.status;
        const char *kind = http_headers_get(&reply.headers, "x-kind");
        snprintf(outcome.body, sizeof(outcome.body), "%s", buf_text(&reply.body));
        snprintf(outcome.kind, sizeof(outcome.kind), "%s", kind == NULL ? "" : kind);
        outcome.wait_ms = reply.wait_ms;
        outcome.is_duplicate = reply.is_duplicate;
        route_reply_free(&reply);
    }
    http_headers_free(&headers);
    return outcome;
}

static void finds_routes(void)
{
    struct world *w = world_open();
    struct world_client *c = world_add(w, "acme", flow);
    CHECK_INT(request(c, "GET", "/orders", "").status, 404);
    CHECK_INT(request(c, "DELETE", "/orders/1", "").status, 405);
    CHECK_INT(request(c, "GET", "/orders/", "").status, 404);
    CHECK_INT(request(c, "GET", "/orders/1/2", "").status, 404);
    CHECK_STR(request(c, "GET", "/orders/a%2Fb", "").body, "a/b");
    CHECK_STR(request(c, "HEAD", "/orders/7", "").body, "7");
    CHECK_STR(request(c, "GET", "/orders/echo", "").body,
              "acme|main|hello|1577836800000|GET|/orders/echo|x y z|1, 2|peer");
    world_close(w);
}

static void answers_the_same_again(void)
{
    struct world *w = world_open();
    struct world_client *c = world_add(w, "acme", flow);
    struct outcome first = request(c, "POST", "/orders/5", "payload");
    CHECK_INT(first.status, 201);
    CHECK_STR(first.body, "accepted 1");
    CHECK_STR(first.kind, "test");
    world_run(w, 100);
    CHECK_STR(world_value(c, "jobs"), "2");
    struct outcome again = request(c, "POST", "/orders/5", "payload");
    CHECK(again.is_duplicate);
    CHECK_INT(again.status, 201);
    CHECK_STR(again.body, "accepted 1");
    CHECK_STR(again.kind, "test");
    CHECK_STR(world_value(c, "handled"), "1");
    world_restart(c);
    CHECK_STR(request(c, "POST", "/orders/5", "payload").body, "accepted 1");
    char *key = inbox_resolve(c->work, "ref:5");
    CHECK_STR(key, "order:5");
    free(key);
    world_close(w);
}

static void lets_jobs_answer(void)
{
    struct world *w = world_open();
    struct world_client *c = world_add(w, "acme", flow);
    struct outcome first = request(c, "POST", "/slow/1", "");
    CHECK_INT(first.wait_ms, 3000);
    CHECK_STR(first.body, "not yet");
    world_run(w, 100);
    CHECK_STR(world_value(c, "answered"), "[true,false]");
    struct outcome again = request(c, "POST", "/slow/1", "");
    CHECK_INT(again.wait_ms, 0);
    CHECK_STR(again.body, "now");
    world_close(w);
}

static void answers_late(void)
{
    struct world *w = world_open();
    struct world_client *c = world_add(w, "acme", flow);
    struct outcome outcome = request(c, "POST", "/slow/2", "");
    CHECK_INT(outcome.wait_ms, 3000);
    struct route_reply reply;
    memset(&reply, 0, sizeof(reply));
    reply.status = 202;
    buf_init(&reply.body, 100);
    buf_add_str(&reply.body, "not yet");
    uint64_t seq = 0;
    CHECK_INT(event_find(c->work, "slow", "2", &seq), 0);
    reply.event_seq = seq;
    CHECK_INT(route_answer_late(c->runner, &reply), 0);
    CHECK_STR(buf_text(&reply.body), "not yet");
    world_run(w, 100);
    CHECK_STR(world_value(c, "answered"), "[false,false]");
    CHECK_STR(request(c, "POST", "/slow/2", "").body, "not yet");
    route_reply_free(&reply);
    world_close(w);
}

static void keeps_nothing_of_a_raise(void)
{
    static const char *const cases[][2] = {
        {"/bad/raise", "broken handler"},
        {"/bad/nothing", "the handler must return a reply (a table), got nil"},
        {"/bad/status", "option \"status\": at least 100 expected, got 99"},
        {"/bad/header", "not a header that HTTP allows"},
        {"/bad/rude", "only a client with sandbox = true may answer rudely"},
        {"/bad/event", "option \"source\" is missing"},
        {"/bad/key", "key"},
        {"/bad/wait", "call this from the flow's own coroutine"},
        {"/bad/loop", "used more than 1000 ms"},
    };
    struct world *w = world_open();
    struct world_client *c = world_add(w, "acme", flow);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct outcome outcome = request(c, "POST", cases[i][0], "");
        CHECK_INT(outcome.status, -1);
        if (strstr(outcome.error, cases[i][1]) == NULL) {
            CHECK_STR(outcome.error, cases[i][1]);
        }
        CHECK_STR(world_value(c, "bad"), "absent");
    }
    CHECK(strstr(world_exceptions(c), "script_error/main route bad: ") != NULL);
    CHECK_STR(request(c, "GET", "/orders/7", "").body, "7");
    world_close(w);
}

int main(void)
{
    tap_case("routes are found by method and path", finds_routes);
    tap_case("a duplicate gets the first answer, to the byte", answers_the_same_again);
    tap_case("a job may answer within the time", lets_jobs_answer);
    tap_case("when it does not, the reply counts", answers_late);
    tap_case("a handler that raises leaves nothing behind", keeps_nothing_of_a_raise);
    return tap_done();
}
