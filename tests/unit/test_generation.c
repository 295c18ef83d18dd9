/* Loading a client: manifest, flows, settings, secrets; what is wrong is said with its place. */
#include "tests/support/script_world.h"

#define PIN_DIGEST "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static const char good_flow[] = "return {name = 'main', run = function() end}\n";

static const char full_flow[] =
    "return {name = 'full', version = 2,\n"
    "    schema = {type = 'record', fields = {n = {type = 'integer', required = true},\n"
    "        m = {type = 'integer', default = 7}}},\n"
    "    triggers = {\n"
    "        {kind = 'route', name = 'in', method = 'POST', path = '/in/{id}', auth = 'hook',\n"
    "            handle = function() return {status = 200} end, answer_within_ms = 50},\n"
    "        {kind = 'schedule', name = 'tick', cron = '*/5 * * * *'},\n"
    "        {kind = 'schedule', name = 'tock', every_ms = 1000},\n"
    "        {kind = 'schedule', name = 'tuck', cron = '* * * * *', zone = 'UTC'},\n"
    "        {kind = 'schedule', name = 'tack', every_ms = 1000}},\n"
    "    helper = function() end,\n"
    "    run = function() end,\n"
    "    selftest = function(settings) assert(settings.n == 1 and settings.m == 7) end}\n";

static void keeps_the_manifest(void)
{
    struct world *w = world_open();
    struct world_client *c = world_add(w, "acme", good_flow);
    world_write(
        c, "client.lua",
        "return {name = 'acme', live_from = '2026-05-04T02:00:00+02:00', zone = 'Europe/London',\n"
        "    connections = {\n"
        "        b = {base_url = 'https://b.test/x', timeout_ms = 5, max_concurrent = 2,\n"
        "            basic = {user = 'u', password = secret('TOKEN')}, ca_file = 'ca.pem',\n"
        "            headers = {Accept = 'text/plain', Cookie = 'a=' .. secret('TOKEN')},\n"
        "            pinned_key = 'sha256//" PIN_DIGEST ";sha256//" PIN_DIGEST "',\n"
        "            rate_per_s = 2.5, rate_burst = 4},\n"
        "        a = {base_url = 'http://a.test'}},\n"
        "    auth = {hook = {user = var('USER', 'x'), password = secret('TOKEN')}},\n"
        "    owners = {unknown_tax = 'finance', default = var('GIVEN')},\n"
        "    retry = {initial_ms = 5, factor = 1.5},\n"
        "    flows = {main = {use = 'flows.full', settings = {n = 1}, retry = {max_ms = 9},\n"
        "        schedules = {tack = {cron = '0 6 * * *'}}}}}\n");
    world_write(c, "ca.pem", "only read when a connection is opened");
    char *path = xasprintf("%s/flows", c->folder);
    mkdir(path, 0700);
    free(path);
    world_write(c, "flows/full.lua", full_flow);
    struct generation *g = NULL;
    struct error err;
    CHECK_INT(world_load(c, &g, &err), 0);
    CHECK_STR(err.message, "");
    if (g == NULL) {
        world_close(w);
        return;
    }
    const struct manifest *m = generation_manifest(g);
    CHECK_STR(m->name, "acme");
    CHECK_STR(m->zone, "Europe/London");
    CHECK_INT(m->live_from_ms, 1777852800000);
    CHECK_INT(m->connection_count, 2);
    CHECK_STR(m->connections[0].name, "a");
    CHECK_INT(m->connections[0].timeout_ms, 30000);
    /* It was 0: an import whose connection ended at once was looked up while it went on. */
    CHECK_INT(m->connections[0].settle_ms, 30000);
    CHECK_INT(m->connections[1].settle_ms, 5);
    CHECK_STR(m->connections[1].basic_password, "hush-hush-token");
    CHECK(strstr(m->connections[1].policy.ca_file, "/acme/ca.pem") != NULL);
    CHECK_STR(manifest_find_auth(m, "hook")->user, "x");
    CHECK_STR(manifest_owner_of(m, "unknown_tax"), "finance");
    CHECK_STR(manifest_owner_of(m, "other"), "given value");
    CHECK_INT(m->flows[0].retry.max_ms, 9);
    CHECK_INT(m->route_count, 1);
    CHECK_STR(m->routes[0].path, "/in/{id}");
    CHECK_INT(m->routes[0].answer_within_ms, 50);
    CHECK_INT(m->schedule_count, 4);
    CHECK_STR(m->schedules[0].zone, "Europe/London");
    CHECK_STR(m->schedules[1].zone, "UTC");
    CHECK_STR(m->schedules[2].zone, "UTC");
    CHECK_STR(m->schedules[3].zone, "Europe/London");
    CHECK_STR(m->schedules[3].cron, "0 6 * * *");
    CHECK(generation_hash(g) != 0);
    generation_free(g);
    world_close(w);
}

/* A manifest around flows.main; the flow is given alone. */
struct bad_case {
    const char *manifest; /* NULL: the usual one */
    const char *flow;     /* NULL: a good one */
    const char *expected;
};

static const struct bad_case bad_cases[] = {
    {"return {", NULL, "client.lua:1: unexpected symbol near <eof>"},
    {"return 5", NULL, "a table (the manifest) expected as what it returns, got number"},
    {"return {nme = 'acme'}", NULL, "nme: unknown key; known: name, live_from, zone"},
    {"return {live_from = '2026-01-01T00:00:00Z'}", NULL, "name: missing: a string expected"},
    {"return {name = 'a b', live_from = '2026-01-01T00:00:00Z'}", NULL,
     "name: letters, digits, \"-\" and \"_\" expected, got \"a b\""},
    {"return {name = 'acme'}", NULL, "live_from: missing: a string expected"},
    {"return {name = 'acme', live_from = '2026-01-01'}", NULL,
     "live_from: an instant with time and zone expected"},
    {"return {name = 'acme', live_from = '2026-01-01T00:00:00Z', connections = {k = {base_url = "
     "1}}}",
     NULL, "connections.k.base_url: a string expected, got number"},
    {"return {name = 'acme', live_from = '2026-01-01T00:00:00Z', connections = {k = {base_url = "
     "'x'}}}",
     NULL, "connections.k.base_url: "},
    {"return {name = 'acme', live_from = '2026-01-01T00:00:00Z',\n"
     "connections = {k = {base_url = 'http://x', timeout = 1}}}",
     NULL, "connections.k.timeout: unknown key; known: base_url, headers"},
    {"return {name = 'acme', live_from = '2026-01-01T00:00:00Z',\n"
     "connections = {k = {base_url = 'http://x', timeout_ms = -1}}}",
     NULL, "connections.k.timeout_ms: an integer of at least 1 expected"},
    {"return {name = 'acme', live_from = '2026-01-01T00:00:00Z', "
     "connections = {k = {base_url = 'http://x', max_concurrent = 4294967296}}}",
     NULL, "connections.k.max_concurrent: an integer of at most 2147483647 expected"},
    {"return {name = 'acme', live_from = '2026-01-01T00:00:00Z', "
     "connections = {k = {base_url = 'http://x', settle_ms = 86400001}}}",
     NULL, "connections.k.settle_ms: an integer of at most 86400000 expected"},
    {"return {name = 'acme', live_from = '2026-01-01T00:00:00Z', auth = {h = {user = "
     "secret('NONE')}}}",
     NULL, "client.lua:1: secret NONE is not set (environment or secrets folder)"},
    {"return {name = 'acme', live_from = var('NONE')}", NULL,
     "client.lua:1: variable NONE is not set"},
    {"return {name = 'acme', live_from = '2026-01-01T00:00:00Z', flows = {main = {use = 'gone'}}}",
     NULL, "module 'gone' not found"},
    {"return {name = 'acme', live_from = '2026-01-01T00:00:00Z', flows = {main = 'main'}}", NULL,
     "flows.main: a table expected, got string"},
    {"return {name = 'acme', live_from = '2026-01-01T00:00:00Z',\n"
     "zone = 'Europe/Leeds'}",
     NULL, "client.lua:2: zone: an IANA time zone expected (Europe/London): "},
    {"return {name = 'acme', live_from = '2026-01-01T00:00:00Z',\n"
     "zone = '../passwd'}",
     NULL, "client.lua:2: zone: an IANA time zone expected"},
    {"return {name = 'acme', live_from = '2026-01-01T00:00:00Z',\n"
     "auth = {h = {user = 'u', password = 'hush'}}}",
     NULL,
     "client.lua:2: auth.h.password: secret(\"NAME\") expected: secrets are named, never written "
     "down"},
    {"return {name = 'acme', live_from = '2026-01-01T00:00:00Z',\n"
     "auth = {h = {user = 'u'}}}",
     NULL, "auth.h.password: missing: secret(\"NAME\") expected"},
    {"return {name = 'acme', live_from = '2026-01-01T00:00:00Z',\n"
     "connections = {k = {base_url = 'http://x', basic = {user = 'u', password = 'hush'}}}}",
     NULL,
     "connections.k.basic.password: secret(\"NAME\") expected: secrets are named, never written "
     "down"},
    {"return {name = 'acme', live_from = '2026-01-01T00:00:00Z',\n"
     "connections = {k = {base_url = 'http://x', headers = {authorization = 'hush'}}}}",
     NULL,
     "connections.k.headers.authorization: secret(\"NAME\") expected: secrets are named, never "
     "written down"},
    {"return {name = 'acme', live_from = '2026-01-01T00:00:00Z',\n"
     "connections = {k = {base_url = 'http://x', headers = {['X-Api-KEY'] = 'hush'}}}}",
     NULL,
     "connections.k.headers.X-Api-KEY: secret(\"NAME\") expected: secrets are named, never written "
     "down"},
    {"return {name = 'acme', live_from = '2026-01-01T00:00:00Z',\n"
     "connections = {k = {base_url = 'http://x', ca_file = 'none.pem'}}}",
     NULL, "client.lua:2: connections.k.ca_file: "},
    {"return {name = 'acme', live_from = '2026-01-01T00:00:00Z',\n"
     "connections = {k = {base_url = 'http://x', pinned_cert_file = '/'}}}",
     NULL, "connections.k.pinned_cert_file: / cannot be read: Is a directory"},
    {"return {name = 'acme', live_from = '2026-01-01T00:00:00Z',\n"
     "connections = {k = {base_url = 'http://x', pinned_key = 'sha256/x'}}}",
     NULL, "client.lua:2: connections.k.pinned_key: sha256//BASE64 expected"},
    {"return {name = 'acme', live_from = '2026-01-01T00:00:00Z',\n"
     "connections = {k = {base_url = 'http://x', pinned_key = "
     "'sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=;'}}}",
     NULL, "connections.k.pinned_key: sha256//BASE64 expected"},
    {"local x = nothing.field", NULL, "client.lua:1: undeclared global 'nothing'"},
    {NULL, "return 1", "flows.main (main): the module must return a table, got number"},
    {NULL, "return {name = 'x', trigers = {}}", "flows.main (main).trigers: unknown key"},
    {NULL, "return {name = 'x', run = 1}",
     "flows.main (main).run: a function expected, got number"},
    {NULL, "return {name = 'x', run = function() end, triggers = {{kind = 'timer'}}}",
     "flows.main (main).triggers[1].kind: \"route\" or \"schedule\" expected, got \"timer\""},
    {NULL,
     "return {name = 'x', run = function() end, triggers = {{kind = 'schedule', name = 't',\n"
     "cron = '99 * * * *'}}}",
     "flows.main (main).triggers[1]: "},
    {NULL, "return {name = 'x', triggers = {{kind = 'schedule', name = 't', every_ms = 1000}}}",
     "a flow with a schedule needs run(job)"},
    {NULL,
     "return {name = 'x', triggers = {{kind = 'route', name = 'r', method = 'GET', path = 'x',\n"
     "handle = function() end}}}",
     "path: a path that begins with \"/\" expected, got \"x\""},
    {NULL,
     "return {name = 'x', triggers = {{kind = 'route', name = 'r', method = 'GET', path = '/x',\n"
     "auth = 'none', handle = function() end}}}",
     "auth: \"none\" is not in the manifest's auth"},
    {NULL,
     "return {name = 'x', schema = {type = 'record', fields = {greeting = {type = 'integer'}}}}",
     "flows.main.settings.greeting: "},
    {NULL,
     "return {name = 'x', selftest = function(s) error('no bank account for ' .. s.greeting) end}",
     "main.lua:1: no bank account for hello"},
    {NULL, "local x = \nreturn {}", "main.lua:2: unexpected symbol near 'return'"},
    {NULL, "require('neap.store').put('a', 'b', 1) return {}", "not while scripts load"},
    {NULL, "while true do end", "used more than 2000 ms"},
    {NULL, "local s = secret('TOKEN') error(tostring(s) .. type(s))", "main.lua:1: ***userdata"},
};

static void refuses_bad_clients(void)
{
    struct world *w = world_open();
    struct world_client *c = world_add(w, "acme", good_flow);
    for (size_t i = 0; i < sizeof(bad_cases) / sizeof(bad_cases[0]); i++) {
        const struct bad_case *bad = &bad_cases[i];
        world_write(c, "client.lua", bad->manifest == NULL ? WORLD_MANIFEST : bad->manifest);
        world_write(c, "main.lua", bad->flow == NULL ? good_flow : bad->flow);
        struct generation *g = NULL;
        struct error err;
        CHECK(world_load(c, &g, &err) != 0);
        CHECK(g == NULL);
        if (strstr(err.message, bad->expected) == NULL) {
            CHECK_STR(err.message, bad->expected);
        }
        CHECK(strstr(err.message, "hush") == NULL);
    }
    world_close(w);
}

static void lets_sandboxes_write_them_down(void)
{
    struct world *w = world_open();
    struct world_client *c = world_add(w, "acme", good_flow);
    world_write(c, "client.lua",
                "return {name = 'acme', live_from = '2026-01-01T00:00:00Z', sandbox = true,\n"
                "    auth = {h = {user = 'u', password = 'open'}}, connections = {k = {\n"
                "        base_url = 'http://x', headers = {['X-Access-Token'] = 'open'}}}}\n");
    struct generation *g = NULL;
    struct error err;
    CHECK_INT(world_load(c, &g, &err), 0);
    CHECK_STR(err.message, "");
    if (g != NULL) {
        CHECK_STR(generation_manifest(g)->auths[0].password, "open");
    }
    generation_free(g);
    world_close(w);
}

static void hides_secrets(void)
{
    struct world *w = world_open();
    struct world_client *c = world_add(
        w, "acme",
        "local kept, get = secret('TOKEN'), secret\n"
        "return {name = 'main', run = function(job)\n"
        "    local out = {tostring(kept), tostring('a' .. kept)}\n"
        "    for _, f in ipairs{function() return #kept end, function() return kept.x end,\n"
        "        function() return get('TOKEN') end, function() return secret end,\n"
        "        function() return ('%s'):format(kept) end, function() return getmetatable(kept) "
        "end,\n"
        "        function() return require('neap.json').encode(kept) end} do\n"
        "        local ok, v = pcall(f)\n"
        "        out[#out + 1] = tostring(v)\n"
        "    end\n"
        "    require('neap.store').put('out', 'r', out)\n"
        "end}\n");
    uint64_t id = world_event(c, "one", "");
    world_run(w, 100);
    CHECK_STATE(c, id, "done");
    CHECK(strncmp(world_value(c, "r"), "[\"***\",\"***\",", 13) == 0);
    CHECK(strstr(world_value(c, "r"), "only while client.lua and the flows load") != NULL);
    CHECK(strstr(world_value(c, "r"), "hush") == NULL);
    world_close(w);
}

static void is_known_by_its_text(void)
{
    struct world *w = world_open();
    struct world_client *c = world_add(w, "acme", good_flow);
    struct error err;
    struct generation *a = NULL;
    struct generation *b = NULL;
    struct generation *d = NULL;
    CHECK_INT(world_load(c, &a, &err), 0);
    CHECK_INT(world_load(c, &b, &err), 0);
    world_write(c, "main.lua", "return {name = 'main', version = 2, run = function() end}\n");
    CHECK_INT(world_load(c, &d, &err), 0);
    CHECK(generation_hash(a) == generation_hash(b));
    CHECK(generation_hash(a) != generation_hash(d));
    CHECK(generation_scan(a) != generation_disk_hash(a));
    CHECK(generation_scan(d) == generation_disk_hash(d));
    generation_free(a);
    generation_free(b);
    generation_free(d);
    world_close(w);
}

int main(void)
{
    tap_case("a manifest is read into plain values", keeps_the_manifest);
    tap_case("what is wrong is said with its place and what was expected", refuses_bad_clients);
    tap_case("a sandbox may write its secrets down", lets_sandboxes_write_them_down);
    tap_case("secrets are opaque to scripts", hides_secrets);
    tap_case("equal scripts are equal generations", is_known_by_its_text);
    return tap_done();
}
