/* Effects: once for ever, looked up when in doubt, through transport faults and crashes. */
#include "core/work/effect.h"
#include "tests/support/script_world.h"

/* The far side: replies to POST in this order; a GET is the look-up and has its own reply. */
static struct world_reply posts[8];
static int post_count;
static const char *lookup_body;

static void serve(const struct http_request *request, struct world_reply *reply)
{
    if (strcmp(request->method, "GET") == 0) {
        reply->body = lookup_body;
        return;
    }
    *reply = posts[post_count % 8];
    post_count++;
}

static const char flow[] =
    "local http, store, errors, json = require('neap.http'), require('neap.store'),\n"
    "    require('neap.errors'), require('neap.json')\n"
    "return {name = 'main', run = function(job)\n"
    "    local class = job.event.payload\n"
    "    store.increment('out', 'runs')\n"
    "    local result, err = job:effect{connection = 'far', name = 'import', key = 'K1',\n"
    "        class = class, fingerprint = 'F1', unless_event = 'cancellation',\n"
    "        request = function()\n"
    "            return {method = 'POST', path = '/import', body = 'attempt ' .. job.attempt,\n"
    "                headers = {['x-b'] = '1', ['x-a'] = '2'}}\n"
    "        end,\n"
    "        read = function(answer)\n"
    "            if answer.body == 'raise' and job.attempt == 1 then\n"
    "                errors.check(nil, errors.new{kind = 'remote', message = 'read failed',\n"
    "                    retryable = true})\n"
    "            elseif answer.status == 400 then\n"
    "                return nil, errors.new{kind = 'remote', message = 'refused'}\n"
    "            elseif answer.status == 422 then\n"
    "                return nil, errors.new{kind = 'remote', message = 'no', maybe_sent = true}\n"
    "            elseif answer.status == 503 then\n"
    "                return nil, errors.new{kind = 'remote', message = 'busy', retryable = true,\n"
    "                    maybe_sent = true}\n"
    "            end\n"
    "            return {code = answer.body, type = answer.headers['content-type']}\n"
    "        end,\n"
    "        lookup = class == 'lookup' and function(key)\n"
    "            store.increment('out', 'lookups')\n"
    "            local answer = errors.check(http.request{connection = 'far', path = '/find',\n"
    "                query = {key = key}})\n"
    "            if answer.body == 'absent' then return 'absent' end\n"
    "            if answer.body == 'error' then\n"
    "                return nil, errors.new{kind = 'network', message = 'away', retryable = true}\n"
    "            end\n"
    "            return 'found', {code = 'found'}, answer.body\n"
    "        end or nil,\n"
    "    }\n"
    "    if err and err.retryable then errors.check(nil, err) end\n"
    "    store.put('out', job.key, err and tostring(err) or result)\n"
    "end}\n";

static struct world_client *open_far(const char *lookup)
{
    struct world *w = world_open();
    w->serve = serve;
    memset(posts, 0, sizeof(posts));
    for (int i = 0; i < 8; i++) {
        posts[i].status = 200;
        posts[i].body = "SO1";
    }
    post_count = 0;
    lookup_body = lookup;
    return world_add(w, "acme", flow);
}

/* The file with every `from` replaced. */
static void write_with(struct world_client *c, const char *file, const char *text, const char *from,
                       const char *to)
{
    struct buf out;
    buf_init(&out, 1 << 16);
    for (const char *at = text; *at != '\0';) {
        bool is_it = strncmp(at, from, strlen(from)) == 0;
        CHECK_INT(is_it ? buf_add_str(&out, to) : buf_add(&out, at, 1), 0);
        at += is_it ? strlen(from) : 1;
    }
    world_write(c, file, buf_text(&out));
    buf_free(&out);
}

static void confirms_once(void)
{
    static const char *const classes[] = {"dedupes", "lookup", "once"};
    for (int i = 0; i < 3; i++) {
        struct world_client *c = open_far("absent");
        uint64_t first = world_event(c, "one", classes[i]);
        world_run(c->world, 500);
        CHECK_STATE(c, first, "done");
        CHECK_STR(world_value(c, "one"), "{\"code\":\"SO1\",\"type\":\"text/plain\"}");
        CHECK_INT(c->world->last_was_fresh, i != 0);
        uint64_t second = world_event(c, "two", classes[i]);
        world_run(c->world, 500);
        world_restart(c);
        uint64_t third = world_event(c, "three", classes[i]);
        world_run(c->world, 500);
        CHECK_STATE(c, second, "done");
        CHECK_STATE(c, third, "done");
        CHECK_STR(world_value(c, "three"), "{\"code\":\"SO1\",\"type\":\"text/plain\"}");
        CHECK_INT(post_count, 1);
        CHECK(world_has_line(c, "one", "POST far/import: 200 in 20 ms"));
        CHECK(!world_has_line(c, "one", "hush-hush"));
        world_close(c->world);
    }
}

/* Seen before: the effect stayed on its way for ever, and the job was held as a script error. */
static void an_answer_too_large_to_keep_is_a_doubt(void)
{
    struct world_client *c = open_far("F1");
    size_t size = 65u << 20;
    char *large = xmalloc(size + 1);
    memset(large, 'x', size);
    large[size] = '\0';
    posts[0].body = large;
    uint64_t id = world_event(c, "one", "lookup");
    world_run(c->world, 5000);
    CHECK_STATE(c, id, "done");
    CHECK_STR(world_value(c, "one"), "{\"code\":\"found\"}");
    CHECK_INT(post_count, 1);
    world_close(c->world);
    free(large);
}

static void looks_up_after_a_reset(void)
{
    struct world_client *c = open_far("F1");
    posts[0] = (struct world_reply){.status = 0, .maybe_sent = true};
    uint64_t id = world_event(c, "one", "lookup");
    world_run(c->world, 500);
    CHECK_STATE(c, id, "waiting"); /* the connection's settle_ms */
    world_run(c->world, 5000);
    CHECK_STATE(c, id, "done");
    CHECK_STR(world_value(c, "one"), "{\"code\":\"found\"}");
    CHECK_STR(world_value(c, "lookups"), "1");
    CHECK_INT(post_count, 1);
    world_close(c->world);
}

static void sends_the_same_bytes_when_absent(void)
{
    struct world_client *c = open_far("absent");
    posts[0] = (struct world_reply){.status = 0, .maybe_sent = true};
    uint64_t id = world_event(c, "one", "lookup");
    world_run(c->world, 5000);
    CHECK_STATE(c, id, "done");
    CHECK_INT(post_count, 2);
    CHECK_STR(c->world->seen[0], "POST http://far.test/import attempt 1");
    CHECK_STR(c->world->seen[2], "POST http://far.test/import attempt 1");
    world_close(c->world);
}

static void waits_by_both_clocks(void)
{
    struct world_client *c = open_far("absent");
    posts[0] = (struct world_reply){.status = 0, .maybe_sent = true};
    world_event(c, "one", "lookup");
    world_run(c->world, 300);
    CHECK_INT(post_count, 1);
    clock_jump_wall(c->world->clock, 10000); /* the sleep of the first job is over by it */
    world_event(c, "two", "lookup");
    world_run(c->world, 100);
    CHECK_STR(world_value(c, "lookups"), "absent");
    CHECK_INT(post_count, 1);
    world_run(c->world, 5000);
    CHECK_INT(post_count, 2);
    CHECK_STR(world_value(c, "two"), "{\"code\":\"SO1\",\"type\":\"text/plain\"}");
    world_close(c->world);
}

/* What an earlier process left in doubt: its instants say nothing when the clock was set since. */
static void waits_anew_after_a_restart(void)
{
    struct world_client *c = open_far("absent");
    posts[0] = (struct world_reply){.status = 0, .maybe_sent = true};
    uint64_t id = world_event(c, "one", "lookup");
    world_run(c->world, 300);
    world_crash(c);
    clock_jump_wall(c->world->clock, 10000);
    world_open_work(c);
    world_run(c->world, 900);
    CHECK_INT(post_count, 1);
    world_run(c->world, 5000);
    CHECK_STATE(c, id, "done");
    CHECK_INT(post_count, 2);
    world_close(c->world);
}

static void holds_on_another_fingerprint(void)
{
    struct world_client *c = open_far("F2");
    posts[0] = (struct world_reply){.status = 0, .maybe_sent = true};
    uint64_t id = world_event(c, "one", "lookup");
    world_run(c->world, 5000);
    CHECK_STATE(c, id, "held");
    CHECK(strstr(world_exceptions(c), "fingerprint_mismatch/import K1 on far: ") != NULL);
    world_close(c->world);
}

/* Seen before: an order delegated again with another total was reported as posted. */
static void holds_another_thing_of_the_same_key(void)
{
    struct world_client *c = open_far("F1");
    uint64_t first = world_event(c, "one", "lookup");
    world_run(c->world, 500);
    CHECK_STATE(c, first, "done");
    write_with(c, "main.lua", flow, "F1'", "F2'");
    world_restart(c);
    uint64_t second = world_event(c, "two", "lookup");
    world_run(c->world, 500);
    CHECK_STATE(c, second, "held");
    CHECK(strstr(world_exceptions(c), "was done before, as F1; now it would be F2") != NULL);
    CHECK_INT(post_count, 1);
    world_close(c->world);
}

/* The job that did it goes on, whatever its scripts would send by now. */
static void goes_on_with_its_own(void)
{
    struct world_client *c = open_far("F1");
    write_with(c, "main.lua", flow, "job.key, err and",
               "job.key, job:sleep('nap', 9000) or err and");
    world_restart(c);
    uint64_t id = world_event(c, "one", "lookup");
    world_run(c->world, 500);
    CHECK_STATE(c, id, "waiting");
    write_with(c, "main.lua", flow, "F1'", "F2'");
    world_restart(c);
    world_run(c->world, 20000);
    CHECK_STATE(c, id, "done");
    world_close(c->world);
}

static void needs_the_fingerprint_of_what_is_found(void)
{
    struct world_client *c = open_far("F1");
    posts[0] = (struct world_reply){.status = 0, .maybe_sent = true};
    write_with(c, "main.lua", flow, "{code = 'found'}, answer.body", "{code = 'found'}");
    world_restart(c);
    uint64_t id = world_event(c, "one", "lookup");
    world_run(c->world, 5000);
    CHECK_STATE(c, id, "held");
    CHECK(strstr(world_exceptions(c), "found, without a fingerprint; the intent's is F1") != NULL);
    world_close(c->world);
}

static void goes_on_looking_up(void)
{
    struct world_client *c = open_far("error");
    posts[0] = (struct world_reply){.status = 0, .maybe_sent = true};
    uint64_t id = world_event(c, "one", "lookup");
    world_run(c->world, 3000);
    CHECK_STATE(c, id, "waiting");
    lookup_body = "F1";
    world_run(c->world, 5000);
    CHECK_STATE(c, id, "done");
    CHECK_INT(post_count, 1);
    world_close(c->world);
}

static void survives_a_crash_in_flight(void)
{
    static const char *const found[] = {"F1", "absent"};
    for (int i = 0; i < 2; i++) {
        struct world_client *c = open_far(found[i]);
        posts[0].never = true;
        uint64_t id = world_event(c, "one", "lookup");
        world_run(c->world, 100);
        CHECK_STATE(c, id, "running");
        CHECK_INT(post_count, 1);
        world_restart(c);
        world_run(c->world, 10000);
        CHECK_STATE(c, id, "done");
        CHECK_INT(post_count, i == 0 ? 1 : 2);
        CHECK_STR(world_value(c, "lookups"), "1");
        world_close(c->world);
    }
}

static void does_not_send_before_the_commit(void)
{
    struct world_client *c = open_far("absent");
    uint64_t id = world_event(c, "one", "lookup");
    world_restart(c); /* the accept itself was not committed: nothing happened */
    world_run(c->world, 1000);
    CHECK_STATE(c, id, "none");
    CHECK_INT(c->world->seen_count, 0);
    world_close(c->world);
}

static void reads_the_stored_answer(void)
{
    struct world_client *c = open_far("absent");
    posts[0].body = "raise";
    uint64_t id = world_event(c, "one", "once");
    world_run(c->world, 5000);
    CHECK_STATE(c, id, "done");
    CHECK_STR(world_value(c, "one"), "{\"code\":\"raise\",\"type\":\"text/plain\"}");
    CHECK_INT(post_count, 1);
    world_close(c->world);
}

static void takes_refusals(void)
{
    struct world_client *c = open_far("absent");
    posts[0].status = 400;
    world_event(c, "one", "lookup");
    world_run(c->world, 5000);
    CHECK_STR(world_value(c, "one"), "\"remote: refused\"");
    uint64_t second = world_event(c, "two", "lookup");
    world_run(c->world, 5000);
    CHECK_STATE(c, second, "done");
    CHECK_STR(world_value(c, "two"), "{\"code\":\"SO1\",\"type\":\"text/plain\"}");
    CHECK_INT(post_count, 2);
    world_close(c->world);
}

static void looks_up_a_doubtful_no(void)
{
    struct world_client *c = open_far("absent");
    posts[0].status = 422;
    uint64_t id = world_event(c, "one", "lookup");
    world_run(c->world, 9000);
    CHECK_STATE(c, id, "done");
    CHECK_STR(world_value(c, "one"), "\"remote: no\"");
    CHECK_INT(post_count, 1);
    world_close(c->world);
}

static void looks_up_a_doubtful_later(void)
{
    struct world_client *c = open_far("absent");
    posts[0].status = 503;
    uint64_t id = world_event(c, "one", "lookup");
    world_run(c->world, 9000);
    CHECK_STATE(c, id, "done");
    CHECK_STR(world_value(c, "one"), "{\"code\":\"SO1\",\"type\":\"text/plain\"}");
    CHECK_INT(post_count, 2);
    world_close(c->world);
}

static void holds_once(void)
{
    struct world_client *c = open_far("absent");
    posts[0] = (struct world_reply){.status = 0, .maybe_sent = true};
    uint64_t id = world_event(c, "one", "once");
    world_run(c->world, 9000);
    CHECK_STATE(c, id, "held");
    CHECK(strstr(world_exceptions(c), "outcome_unknown/import K1 on far: It is not known") != NULL);
    CHECK_INT(post_count, 1);
    world_close(c->world);
}

static void sends_deduped_again(void)
{
    struct world_client *c = open_far("absent");
    posts[0] = (struct world_reply){.status = 0, .maybe_sent = true};
    uint64_t id = world_event(c, "one", "dedupes");
    world_run(c->world, 9000);
    CHECK_STATE(c, id, "done");
    CHECK_INT(post_count, 2);
    CHECK_STR(c->world->seen[1], "POST http://far.test/import attempt 1");
    world_close(c->world);
}

static void sends_unsent_again(void)
{
    struct world_client *c = open_far("absent");
    posts[0] = (struct world_reply){.status = 0, .maybe_sent = false};
    uint64_t id = world_event(c, "one", "once");
    world_run(c->world, 9000);
    CHECK_STATE(c, id, "done");
    CHECK_INT(post_count, 2);
    CHECK_STR(c->world->seen[1], "POST http://far.test/import attempt 1");
    world_close(c->world);
}

static void is_overtaken(void)
{
    struct world_client *c = open_far("absent");
    world_overtake(c, "one", "cancellation", "");
    uint64_t id = world_event(c, "one", "lookup");
    world_run(c->world, 9000);
    CHECK_STATE(c, id, "done");
    CHECK(strstr(world_value(c, "one"), "cancelled: an event \\\"cancellation\\\" came first") !=
          NULL);
    CHECK_INT(post_count, 0);
    world_close(c->world);
}

/* The coroutine goes away while its request is under way: the ledger has a doubt, not an intent. */
static void is_unwound_in_flight(void)
{
    struct world_client *c = open_far("F1");
    posts[0].never = true;
    uint64_t id = world_event(c, "one", "lookup");
    world_run(c->world, 100);
    struct job *job = job_find_live(c->work, id);
    CHECK(job != NULL);
    job_restart(job);
    world_run(c->world, 9000);
    CHECK_STATE(c, id, "done");
    CHECK_STR(world_value(c, "one"), "{\"code\":\"found\"}");
    CHECK_INT(post_count, 1);
    world_close(c->world);
}

/* Seen before: a connection was renamed while an import was in doubt. The ledger is by name, so the
 * new one had nothing, and the order was posted once more without a look-up. */
static void does_not_send_by_another_name(void)
{
    struct world_client *c = open_far("F1");
    posts[0] = (struct world_reply){.status = 0, .maybe_sent = true};
    uint64_t id = world_event(c, "one", "lookup");
    world_run(c->world, 300);
    CHECK_INT(post_count, 1);
    write_with(c, "client.lua", WORLD_MANIFEST, "far = {", "far_uk = {");
    write_with(c, "main.lua", flow, "'far'", "'far_uk'");
    world_restart(c);
    world_run(c->world, 20000);
    CHECK_INT(post_count, 1);
    CHECK_STATE(c, id, "held");
    CHECK(strstr(world_exceptions(c), "import K1 on far has no known outcome") != NULL);
    world_write(c, "client.lua", WORLD_MANIFEST);
    world_write(c, "main.lua", flow);
    world_restart(c);
    world_run(c->world, 20000);
    CHECK_STATE(c, id, "done");
    CHECK_INT(post_count, 1);
    CHECK_STR(world_value(c, "one"), "{\"code\":\"found\"}");
    world_close(c->world);
}

/* Seen before: an id from outside with a zero byte was cut there, so that the second of two events
 * was the repeat of the first, and lost; keys of effects likewise. */
static void refuses_zero_bytes(void)
{
    struct world *w = world_open();
    struct world_client *c = world_add(
        w, "acme",
        "return {name = 'main', run = function(job)\n"
        "    local ids = {}\n"
        "    local function refused(fn, ...) ids[#ids + 1] = not pcall(fn, job, ...) end\n"
        "    local function event(field, value)\n"
        "        local e = {source = 's', id = 'x', name = 'n', key = 'k', class = 'overtaking'}\n"
        "        e[field] = value\n"
        "        return e\n"
        "    end\n"
        "    for _, field in ipairs{'source', 'id', 'name', 'key'} do\n"
        "        refused(job.emit, event(field, 'x\\0a'))\n"
        "    end\n"
        "    refused(job.emit, event('aliases', {'a\\0b'}))\n"
        "    refused(job.alias, 'a\\0b')\n"
        "    refused(job.link, 'khaos', 'a\\0b')\n"
        "    refused(job.effect, {connection = 'far', name = 'n', key = 'k\\0', class = 'once',\n"
        "        read = function() end, request = {}})\n"
        "    refused(job.emit, event('id', 'whole'))\n"
        "    require('neap.store').put('out', 'r', ids)\n"
        "end}\n");
    uint64_t id = world_event(c, "one", "");
    world_run(w, 100);
    CHECK_STATE(c, id, "done");
    CHECK_STR(world_value(c, "r"), "[true,true,true,true,true,true,true,true,false]");
    world_close(w);
}

static void refuses_bad_specs(void)
{
    struct world *w = world_open();
    struct world_client *c = world_add(
        w, "acme",
        "return {name = 'main', run = function(job)\n"
        "    local out = {}\n"
        "    local function try(spec)\n"
        "        local _, err = pcall(job.effect, job, spec)\n"
        "        out[#out + 1] = tostring(err)\n"
        "    end\n"
        "    local function read() end\n"
        "    try{}\n"
        "    try{connection = 'far', name = 'n', key = 'k', class = 'often', read = read,\n"
        "        request = {}}\n"
        "    try{connection = 'far', name = 'n', key = 'k', class = 'lookup', read = read,\n"
        "        request = {}}\n"
        "    try{connection = 'far', name = 'n', key = 'k', class = 'once', read = read,\n"
        "        request = {}, retries = 1}\n"
        "    try{connection = 'gone', name = 'n', key = 'k', class = 'once', read = read,\n"
        "        request = {}}\n"
        "    try{connection = 'far', name = 'n', key = 'k', class = 'once', read = read,\n"
        "        request = {path = '/', connection = 'far', verb = 'GET'}}\n"
        "    require('neap.store').put('out', 'r', out)\n"
        "end}\n");
    uint64_t id = world_event(c, "one", "");
    world_run(w, 100);
    CHECK_STATE(c, id, "done");
    const char *out = world_value(c, "r");
    CHECK(strstr(out, "job:effect: class: a string expected, got nil") != NULL);
    CHECK(strstr(out, "expected, got \\\"often\\\"") != NULL);
    CHECK(strstr(out, "lookup: a function expected for class") != NULL);
    CHECK(strstr(out, "unknown option \\\"retries\\\"") != NULL);
    CHECK(strstr(out, "the manifest has no connection \\\"gone\\\"") != NULL);
    CHECK(strstr(out, "unknown option \\\"verb\\\"") != NULL);
    world_close(w);
}

int main(void)
{
    tap_case("an effect is confirmed once, for all jobs and restarts", confirms_once);
    tap_case("an answer too large to keep is a doubt", an_answer_too_large_to_keep_is_a_doubt);
    tap_case("an unknown outcome is looked up after the settling time", looks_up_after_a_reset);
    tap_case("absent permits to send the same bytes again", sends_the_same_bytes_when_absent);
    tap_case("a step forward of the wall clock does not shorten the settling time",
             waits_by_both_clocks);
    tap_case("a doubt of an earlier process settles anew", waits_anew_after_a_restart);
    tap_case("an effect in doubt is not sent by another name", does_not_send_by_another_name);
    tap_case("a zero byte in a name, id or key is refused", refuses_zero_bytes);
    tap_case("found with another fingerprint holds the job", holds_on_another_fingerprint);
    tap_case("another thing under the same key holds the job", holds_another_thing_of_the_same_key);
    tap_case("a job goes on with what it did itself", goes_on_with_its_own);
    tap_case("what is found must have a fingerprint when the intent has one",
             needs_the_fingerprint_of_what_is_found);
    tap_case("a look-up that fails is retried, nothing is sent", goes_on_looking_up);
    tap_case("a crash with the request under way is looked up", survives_a_crash_in_flight);
    tap_case("nothing leaves before the commit", does_not_send_before_the_commit);
    tap_case("an answer kept is read again without sending", reads_the_stored_answer);
    tap_case("a refusal is given back and may be tried anew", takes_refusals);
    tap_case("a no in doubt, looked up absent, is a refusal", looks_up_a_doubtful_no);
    tap_case("a retryable doubt, looked up absent, is sent again", looks_up_a_doubtful_later);
    tap_case("class once holds for a person", holds_once);
    tap_case("class dedupes is sent again by policy", sends_deduped_again);
    tap_case("what never left is sent again", sends_unsent_again);
    tap_case("an overtaking event stops the intent", is_overtaken);
    tap_case("a job unwound in flight leaves a doubt that is looked up", is_unwound_in_flight);
    tap_case("a bad spec raises in words", refuses_bad_specs);
    return tap_done();
}
