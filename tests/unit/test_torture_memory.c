/*
 * Torture: the n-th allocation of the process fails, whoever asks for it (the host, LMDB, Lua,
 * expat, OpenSSL, LZ4), for every n of each scenario. Each runs in a process of its own, which
 * must end well and right, or with an error that is told, or by the one message with which small
 * allocations of the host give up (style: xalloc; lua-cjson has one like it); never by a signal,
 * never hanging, never with a wrong result that passes for right.
 */
#include "tests/support/failing_memory.h"

#include <sys/wait.h>
#include <unistd.h>

#include "core/base/xml_tree.h"
#include "core/base/zone.h"
#include "core/net/http_reader.h"
#include "core/work/cron.h"
#include "core/work/integrity.h"
#include "tests/support/script_world.h"

#define HANGS_AFTER_S 60
#ifdef __SANITIZE_ADDRESS__
#define STEP 23
#else
#define STEP 1
#endif

enum verdict { WELL = 0, TOLD = 10, NOT_REACHED = 11, WRONG = 20 };

/* ---- Scenarios: 0 right, an error code, or a positive number: wrong -----------------------------
 */

static char folder[300];

static void on_commit(void *arg, int rc, const struct error *err)
{
    (void)err;
    *(int *)arg = rc;
}

static int fill_store(struct store *store)
{
    char value[3000];
    int rc = store_nested_begin(store);
    memset(value, 'v', sizeof(value));
    for (int i = 0; i < 20 && rc == 0; i++) {
        char key[16];
        snprintf(key, sizeof(key), "key %d", i);
        rc = store_put(store, bytes_str(key), bytes_of(value, sizeof(value)));
    }
    if (rc != 0) {
        return rc;
    }
    rc = store_nested_commit(store);
    if (rc == 0) {
        rc = ERROR_IO;
        store_commit(store, on_commit, &rc);
    }
    return rc;
}

static int use_store(void)
{
    struct store *store = NULL;
    struct error err;
    struct bytes value;
    struct store_options options = {.path = folder, .is_volatile = true, .reserve_bytes = 1};
    int rc = store_open(&store, &options, &err);
    rc = rc != 0 ? rc : fill_store(store);
    if (rc == 0) {
        rc = store_get(store, bytes_str("key 7"), &value);
        rc = rc == 0 && value.size != 3000 ? 1 : rc;
        store_abort(store);
    }
    rc = rc != 0 ? rc : store_compact(store, &err);
    if (rc == 0) {
        rc = store_get(store, bytes_str("key 19"), &value);
    }
    store_close(store);
    return rc;
}

static int read_xml(void)
{
    static const char text[] = "<a b='1'><c>text &amp; more</c><d/><e><f>x</f></e></a>";
    const struct xml_limits limits = {1 << 20, 1000, 16};
    struct xml_tree tree = {0};
    struct error err;
    int rc = xml_tree_parse(&tree, bytes_str(text), &limits, &err);
    if (rc == 0) {
        rc = tree.node_count == 5 && tree.attribute_count == 1 ? 0 : 1;
    }
    xml_tree_free(&tree);
    return rc;
}

static int read_request(void)
{
    static const char text[] = "POST /orders?x=1 HTTP/1.1\r\nHost: a\r\nX-One: 1\r\n"
                               "Content-Length: 5\r\n\r\nhello";
    struct http_reader r;
    int rc = 0;
    http_reader_init(&r, 4096, 4096);
    (void)http_reader_feed(&r, text, sizeof(text) - 1);
    if (r.state == HTTP_READER_DONE) {
        rc = bytes_equal(buf_bytes(&r.body), bytes_str("hello")) ? 0 : 1;
    } else {
        rc = r.state == HTTP_READER_FAILED && r.fail_status >= 400 ? ERROR_LIMIT : 1;
    }
    http_reader_fini(&r);
    return rc;
}

static int read_zone(void)
{
    struct error err;
    struct cron cron;
    struct zone *zone = zone_open("Europe/London", &err);
    if (zone == NULL) {
        return err.code;
    }
    int rc = zone_offset_s(zone, 1783000000) == 3600 ? 0 : 1;
    zone_close(zone);
    return rc != 0 ? rc : cron_parse(&cron, "0 6 * * mon-fri", &err);
}

static const char flow[] =
    "local errors, json, store = require('neap.errors'), require('neap.json'), "
    "require('neap.store')\n"
    "return {name = 'main', run = function(job)\n"
    "    local n = job:step('n', function()\n"
    "        return #errors.check(json.decode('[1,2,[3],{\"a\":\"b\"}]')) end)\n"
    "    local r, err = job:effect{connection = 'far', name = 'import', key = job.key,\n"
    "        class = 'lookup', request = function()\n"
    "            return {method = 'POST', path = '/import', body = ('x'):rep(5000)} end,\n"
    "        read = function(answer) return {code = answer.body} end,\n"
    "        lookup = function() return 'found', {code = 'found'} end}\n"
    "    errors.check(r, err)\n"
    "    store.put('out', 'result', {n, r.code})\n"
    "end}\n";

static int posts;

static void serve(const struct http_request *request, struct world_reply *reply)
{
    posts += strcmp(request->method, "POST") == 0 ? 1 : 0;
    reply->body = "SO1";
}

static struct world_client *job_client;

/* In the child: an environment of LMDB must not outlive a fork. */
static void open_client(void)
{
    struct world *w = world_open();
    w->serve = serve;
    job_client = world_add(w, "acme", flow);
}

static int turn_until_quiet(struct world *w)
{
    struct error err;
    for (int i = 0; i < 60; i++) {
        error_clear(&err);
        int rc = turn_run(w->turn, true, NULL, &err);
        if (rc != 0) {
            return rc; /* the host stops, and says why */
        }
    }
    return 0;
}

static void tell_problem(void *arg, const char *record, const char *problem)
{
    (void)arg;
    fprintf(stderr, "%s: %s; ", record, problem);
}

static int run_job(void)
{
    struct world_client *c = job_client;
    struct accept_result result;
    struct integrity_report report;
    struct error err;
    struct event_new event = {.source = "test",
                              .id = "1",
                              .key = "order:1",
                              .name = "placed",
                              .flow = "main",
                              .payload = bytes_str("{}")};
    error_clear(&err);
    int rc = work_accept(c->work, &event, &result, &err);
    rc = rc != 0 ? rc : turn_until_quiet(c->world);
    if (rc != 0) {
        return rc;
    }
    memory_fails_in = 0;
    uint64_t id = result.job_id;
    accept_result_free(&result);
    if (posts > 1 || integrity_check(c->work, tell_problem, NULL, &report) != 0 ||
        report.problems != 0) {
        return 1;
    }
    const char *state = world_state(c, id);
    if (strcmp(state, "done") != 0) {
        bool is_told = strcmp(state, "held") == 0 || strcmp(state, "waiting") == 0;
        fprintf(stderr, "the job is %s; ", state);
        return is_told ? ERROR_LIMIT : 2;
    }
    const char *value = world_value(c, "result");
    fprintf(stderr, "the result is %s; ", value);
    return strcmp(value, "[4,{}]") != 0 && strstr(value, "SO1") == NULL &&
                   strstr(value, "found") == NULL
               ? 3
               : 0;
}

static int load_scripts(void)
{
    struct generation *generation = NULL;
    struct error err;
    int rc = world_load(job_client, &generation, &err);
    if (rc == 0 && generation_manifest(generation)->flow_count != 1) {
        rc = 1;
    }
    generation_free(generation);
    return rc;
}

/* ---- One process each --------------------------------------------------------------------------
 */

struct scenario {
    void (*prepare)(void); /* while memory is there; or NULL */
    int (*run)(void);
    long step;
};

static void in_child(const struct scenario *scenario, long n, FILE *words)
{
    dup2(fileno(words), STDERR_FILENO);
    dup2(fileno(words), STDOUT_FILENO);
    alarm(HANGS_AFTER_S);
    if (scenario->prepare != NULL) {
        scenario->prepare();
    }
    memory_fails_in = n;
    int rc = scenario->run();
    memory_fails_in = 0;
    fflush(stdout);
    if (rc > 0 || tap_is_case_bad) {
        fprintf(stderr, "wrong (%d)", rc);
        _exit(WRONG);
    }
    if (!memory_has_failed) {
        _exit(rc == 0 ? NOT_REACHED : WRONG);
    }
    _exit(rc == 0 ? WELL : TOLD);
}

static bool gave_up_clearly(FILE *words, char *text, size_t size)
{
    rewind(words);
    size_t got = fread(text, 1, size - 1, words);
    text[got] = '\0';
    /* The sanitizer itself cannot start a thread without memory. */
    return strstr(text, "ut of memory") != NULL ||
           strstr(text, "GetThreadStackTopAndBottom") != NULL;
}

/* False when the scenario needs fewer than n allocations. */
static bool try_one(const struct scenario *scenario, long n, long counts[3])
{
    static char text[4096];
    FILE *words = tmpfile();
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        in_child(scenario, n, words);
    }
    waitpid(pid, &status, 0);
    bool is_abort = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
    /* lua-cjson's "Out of memory", the sanitizer's own end. */
    bool is_other = WIFEXITED(status) && (WEXITSTATUS(status) == 255 || WEXITSTATUS(status) == 1);
    bool is_clear = gave_up_clearly(words, text, sizeof(text));
    fclose(words);
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if ((is_abort || is_other) && is_clear) {
        counts[2]++;
    } else if (code == WELL || code == TOLD) {
        counts[code == WELL ? 0 : 1]++;
    } else if (code != NOT_REACHED) {
        printf("# allocation %ld: exit %d, signal %d: %s\n", n, code,
               WIFSIGNALED(status) ? WTERMSIG(status) : 0, text);
        CHECK(!"it ends well, or with an error that is told");
    }
    return code != NOT_REACHED;
}

static void torture(const struct scenario *scenario)
{
    long counts[3] = {0};
    const char *from = getenv("NEAP_TORTURE_FROM"); /* to look at one again */
    long n = from == NULL ? 1 : strtol(from, NULL, 10);
    while (try_one(scenario, n, counts) && !tap_is_case_bad) {
        n += scenario->step;
    }
    printf("# up to allocation %ld: %ld well, %ld told, %ld gave up\n", n, counts[0], counts[1],
           counts[2]);
}

static void the_store(void)
{
    torture(&(struct scenario){NULL, use_store, 1});
}

static void xml_text(void)
{
    torture(&(struct scenario){NULL, read_xml, 1});
}

static void requests(void)
{
    torture(&(struct scenario){NULL, read_request, 1});
}

static void zones(void)
{
    torture(&(struct scenario){NULL, read_zone, 1});
}

static void jobs(void)
{
    torture(&(struct scenario){open_client, run_job, STEP});
}

static void loads(void)
{
    torture(&(struct scenario){open_client, load_scripts, STEP});
}

int main(void)
{
    char all[256];
    temp_folder_make(all, sizeof(all));
    setenv("TMPDIR", all, 1); /* of the children too, which leave theirs behind */
    snprintf(folder, sizeof(folder), "%s/store", all);
    tap_case("the store ends well or says why not", the_store);
    tap_case("XML is read or refused", xml_text);
    tap_case("a request is read or refused", requests);
    tap_case("a zone and a schedule are read or refused", zones);
    tap_case("scripts load or say why not", loads);
    tap_case("a job ends well, waits or is held", jobs);
    temp_folder_remove(all);
    return tap_done();
}
