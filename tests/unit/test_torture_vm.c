/*
 * Torture: memory of the Lua state ends at every point in turn, through loading a generation, a
 * request to a route, and a job that decodes JSON and XML, asks the far side, does an effect,
 * raises and catches, sorts, and keeps what came out.
 *
 * Each must end as an error value (a load that fails, an answer of 5xx, a job that is held or tried
 * again) or well with the right result; nothing is sent twice; and the same state does the same
 * work well afterwards: a job that is tried again ends well, and its order was sent once.
 * Leaks are the sanitizer's business.
 */
#include "core/script/vm_private.h"
#include "core/work/job.h"
#include "tests/support/script_world.h"

#define REFUSE_TWICE 2       /* Lua collects and tries once more: both are refused */
#define REFUSE_ALL   1000000 /* as at the cap, with nothing to collect */
#define CONTROL      40      /* a job without failure in between */

/* lua-cjson loses its scratch buffer when memory ends inside its decoder: a few KiB each time. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:liblua5.4-cjson\n";
}

static const char flow[] =
    "local errors, http, json = require('neap.errors'), require('neap.http'), "
    "require('neap.json')\n"
    "local store, xml = require('neap.store'), require('neap.xml')\n"
    "local TEXT = [[{\"lines\":[{\"sku\":\"B\",\"n\":2},{\"sku\":\"A\",\"n\":9007199254740993}],\n"
    "    \"note\":\"\\u00e9 \\\"quoted\\\"\",\"none\":null,\"price\":1.25}]]\n"
    "local XML = '<o a=\"1\"><l>x &amp; y</l><l/></o>'\n"
    "local function decode()\n"
    "    local doc = errors.check(json.decode(TEXT))\n"
    "    table.sort(doc.lines, function(a, b) return a.sku < b.sku end)\n"
    "    local root = errors.check(xml.parse(XML))\n"
    "    local names = {}\n"
    "    for name in ('b,a,c'):gmatch('%a') do names[#names + 1] = name:upper() end\n"
    "    return {lines = doc.lines, xml = xml.encode(root), names = names, text = "
    "json.encode(doc)}\n"
    "end\n"
    "local function caught()\n"
    "    local ok, err = pcall(function() local nothing; return nothing.field end)\n"
    "    if ok or not tostring(err):match('nil value') then error(err) end\n"
    "    return 'caught'\n"
    "end\n"
    "return {name = 'main',\n"
    "    triggers = {{kind = 'route', name = 'order', method = 'POST', path = '/orders/{id}',\n"
    "        handle = function(ctx, request)\n"
    "            local doc = json.decode(request.body)\n"
    "            if not doc then return {status = 400} end\n"
    "            return {status = 201, body = json.encode({id = request.params.id}), events = {{\n"
    "                source = 'route', id = request.params.id, key = 'route:' .. "
    "request.params.id,\n"
    "                name = 'noted', payload = request.body}}}\n"
    "        end}},\n"
    "    run = function(job)\n"
    "        if job.event.name == 'noted' then return end\n"
    "        local doc = job:step('decode', decode)\n"
    "        local stock = errors.check(http.request{connection = 'far', path = '/stock'})\n"
    "        local result, err = job:effect{connection = 'far', name = 'import', key = job.key,\n"
    "            class = 'lookup', fingerprint = 'F',\n"
    "            request = function() return {method = 'POST', path = '/import', body = job.key} "
    "end,\n"
    "            read = function(answer) return {code = answer.body} end,\n"
    "            lookup = function(key)\n"
    "                local answer = errors.check(http.request{connection = 'far', path = '/find',\n"
    "                    query = {key = key}})\n"
    "                if answer.body == 'absent' then return 'absent' end\n"
    "                return 'found', {code = answer.body}, 'F'\n"
    "            end}\n"
    "        errors.check(result, err)\n"
    "        store.put('out', job.key, {doc.lines, doc.xml, doc.names, doc.text, stock.body,\n"
    "            result.code, caught()})\n"
    "    end}\n";

static const char right[] =
    "[[{\"n\":\"9007199254740993\",\"sku\":\"A\"},{\"n\":2,\"sku\":\"B\"}],\"<o "
    "a=\\\"1\\\"><l>x &amp; y</l><l/></o>\",[\"B\",\"A\",\"C\"],"
    "\"{\\\"lines\\\":[{\\\"n\\\":\\\"9007199254740993\\\",\\\"sku\\\":\\\"A\\\"},{\\\"n\\\":2,"
    "\\\"sku\\\":\\\"B\\\"}],\\\"none\\\":null,\\\"note\\\":\\\"\xc3\xa9 "
    "\\\\\\\"quoted\\\\\\\"\\\",\\\"price\\\":1.25}\",\"stock\",\"SO1\",\"caught\"]";

#define ORDERS_MAX 4096

/* What the far side was sent, by order: a job that is tried again sends during a later one. */
static struct order {
    char key[32];
    int posts;
} orders[ORDERS_MAX];
static size_t order_count;

static struct order *order_of(const char *key)
{
    for (size_t i = 0; i < order_count; i++) {
        if (strcmp(orders[i].key, key) == 0) {
            return &orders[i];
        }
    }
    CHECK(order_count < ORDERS_MAX);
    struct order *order = &orders[order_count++ % ORDERS_MAX];
    snprintf(order->key, sizeof(order->key), "%s", key);
    order->posts = 0;
    return order;
}

static void serve(const struct http_request *request, struct world_reply *reply)
{
    const char *query = strstr(request->url, "/find?key=");
    reply->body = "stock";
    if (strcmp(request->method, "POST") == 0) {
        struct order *order = order_of(request->body);
        order->posts++;
        CHECK_INT(order->posts, 1); /* twice is the failure that matters */
        reply->body = "SO1";
    } else if (query != NULL) {
        char key[32];
        snprintf(key, sizeof(key), "%s", query + strlen("/find?key="));
        char *colon = strstr(key, "%3A");
        if (colon != NULL) {
            *colon = ':';
            memmove(colon + 1, colon + 3, strlen(colon + 3) + 1);
        }
        reply->body = order_of(key)->posts > 0 ? "SO1" : "absent";
    }
}

static struct vm *vm_at_work(struct world_client *c)
{
    return generation_vm(runner_generation(c->runner));
}

static void refuse(struct world_client *c, size_t at, size_t count)
{
    struct vm *vm = vm_at_work(c);
    vm->limits.refuse_at = at;
    vm->limits.refuse_count = count;
    vm->allocations = 0;
}

/* ---- Jobs --------------------------------------------------------------------------------------
 */

static const char *run_one(struct world_client *c, const char *key, uint64_t *id_out)
{
    c->world->seen_count = 0;
    *id_out = world_event(c, key, "{}");
    world_run(c->world, 400);
    return world_state(c, *id_out);
}

static void check_result(struct world_client *c, const char *key, const char *state)
{
    bool is_done = strcmp(state, "done") == 0;
    bool is_told = strcmp(state, "held") == 0;
    CHECK(is_done || is_told);
    if (!is_done && !is_told) {
        printf("# %s is %s\n", key, state);
    }
    if (is_done) {
        CHECK_STR(world_value(c, key), right);
        CHECK_INT(order_of(key)->posts, 1);
    }
}

/* One job whose state is refused memory from its n-th allocation on. False: it did not need so
 * many. */
static bool torture_job(struct world_client *c, long n, size_t count)
{
    char key[32];
    uint64_t id;
    snprintf(key, sizeof(key), "order:%ld", n);
    refuse(c, (size_t)n, count);
    const char *state = run_one(c, key, &id);
    bool has_tripped = vm_at_work(c)->allocations >= (size_t)n;
    refuse(c, 0, 0);
    if (strcmp(state, "waiting") == 0 || strcmp(state, "running") == 0) {
        world_run(c->world, 10000); /* it is tried again, and memory is back */
        state = world_state(c, id);
        CHECK_STATE(c, id, "done");
    }
    check_result(c, key, state);
    if (strcmp(state, "held") == 0 && n % CONTROL == 0) {
        CHECK_INT(job_retry(c->work, id, "ops", "memory is back"), 0);
        world_run(c->world, 2000);
        check_result(c, key, world_state(c, id));
        CHECK_STATE(c, id, "done");
    }
    return has_tripped;
}

static void torture_jobs(size_t count)
{
    struct world *w = world_open();
    struct world_client *c = world_add(w, "acme", flow);
    long n = 1;
    order_count = 0;
    w->serve = serve;
    for (bool has_tripped = true; has_tripped && !tap_is_case_bad; n++) {
        uint64_t id;
        if (n % CONTROL == 1) {
            char key[32];
            snprintf(key, sizeof(key), "control:%ld", n);
            check_result(c, key, run_one(c, key, &id));
            CHECK_STATE(c, id, "done");
        }
        has_tripped = torture_job(c, n, count);
        if (tap_is_case_bad) {
            printf("# first seen at allocation %ld\n", n);
        }
    }
    printf("# %ld jobs\n", n);
    CHECK(n > 100);
    world_close(w);
}

static void jobs_survive_a_refusal(void)
{
    torture_jobs(REFUSE_TWICE);
}

static void jobs_survive_the_end_of_memory(void)
{
    torture_jobs(REFUSE_ALL);
}

/* ---- Routes ------------------------------------------------------------------------------------
 */

static int ask(struct world_client *c, const char *path)
{
    size_t route = 0;
    struct route_reply reply;
    const struct manifest *m = generation_manifest(runner_generation(c->runner));
    CHECK_INT(route_find(m, "POST", path, &route), ROUTE_FOUND);
    struct http_headers headers = {0};
    struct route_request request = {.method = "POST",
                                    .path = path,
                                    .query = "",
                                    .peer = "",
                                    .headers = &headers,
                                    .body = bytes_str("{\"a\":1}")};
    struct error err;
    error_clear(&err);
    memset(&reply, 0, sizeof(reply));
    int rc = route_handle(c->runner, route, &request, &reply, &err);
    int status = rc == 0 ? reply.status : 500;
    if (rc == 0 && status == 201) {
        CHECK(reply.event_seq != 0);
        CHECK(strncmp(buf_text(&reply.body), "{\"id\":\"", 7) == 0);
    }
    if (rc == 0) {
        route_reply_free(&reply);
    }
    return status;
}

static void routes_survive_refusals(void)
{
    struct world *w = world_open();
    struct world_client *c = world_add(w, "acme", flow);
    bool has_tripped = true;
    long n = 1;
    for (; has_tripped && !tap_is_case_bad; n++) {
        char path[64];
        snprintf(path, sizeof(path), "/orders/%ld", n);
        refuse(c, (size_t)n, n % 2 == 0 ? REFUSE_TWICE : REFUSE_ALL);
        int status = ask(c, path);
        has_tripped = vm_at_work(c)->allocations >= (size_t)n;
        refuse(c, 0, 0);
        CHECK(status == 201 || status == 500);
        CHECK_INT(ask(c, path), 201); /* the shop asks again */
        world_run(w, 10);
    }
    printf("# %ld requests\n", n);
    CHECK(n > 20);
    world_close(w);
}

/* ---- Loading -----------------------------------------------------------------------------------
 */

static void loading_survives_refusals(void)
{
    struct world *w = world_open();
    struct world_client *c = world_add(w, "acme", flow);
    long n = 1;
    int rc = ERROR_LIMIT;
    for (; rc != 0 && !tap_is_case_bad; n++) {
        struct generation *generation = NULL;
        struct error err;
        w->limits.refuse_at = (size_t)n;
        w->limits.refuse_count = n % 2 == 0 ? REFUSE_ALL : REFUSE_TWICE;
        rc = world_load(c, &generation, &err);
        CHECK(rc == 0 ? generation != NULL : err.message[0] != '\0');
        if (rc == 0) {
            CHECK_INT((long long)generation_manifest(generation)->route_count, 1);
            CHECK_INT((long long)generation_manifest(generation)->flow_count, 1);
        }
        if (rc == 0 && n % 2 == 1) {
            rc = ERROR_LIMIT; /* where Lua found room after all: not yet the end */
        }
        generation_free(generation);
    }
    printf("# %ld loads\n", n);
    CHECK(n > 300);
    world_close(w);
}

int main(void)
{
    tap_case("a generation loads or says why not", loading_survives_refusals);
    tap_case("a route answers or says why not", routes_survive_refusals);
    tap_case("a job survives a refused allocation anywhere", jobs_survive_a_refusal);
    tap_case("a job survives the end of memory anywhere", jobs_survive_the_end_of_memory);
    return tap_done();
}
