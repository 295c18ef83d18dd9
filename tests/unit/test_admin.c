/* What people ask and do: orders, exceptions, status, pauses, metrics, over a small work. */
#include "core/ops/admin.h"

#include "core/base/json_reader.h"
#include "core/ops/metrics_page.h"
#include "core/work/work_state.h"
#include "tests/support/work_world.h"

#define KEY     "order:fo:204417"
#define HOUR_MS 3600000LL

static bool is_code_missing; /* what holds the orders */

static enum slice_end hold_while_missing(struct job *job, struct failure *failure)
{
    (void)failure;
    world_trace(job->info.key);
    return is_code_missing && strncmp(job->info.key, "order:", 6) == 0
               ? world_hold(job, "unknown_stock_code", "TS-RED-L", RECHECK_PROOF)
               : SLICE_DONE;
}

static void put_facts(struct world *w, const char *key, const char *title, const char *currency,
                      int64_t amount_minor)
{
    struct dossier_facts facts = {
        .title = (char *)title,
        .state = (char *)"held: no such code",
        .currency = (char *)currency,
        .amount_minor = amount_minor,
        .deadline_ms = WORLD_START_MS + 31 * HOUR_MS,
        .json = xasprintf("{\"title\":\"%s\",\"deadlines\":[{\"name\":\"despatch promise\","
                          "\"at_ms\":%lld}]}",
                          title, WORLD_START_MS + 31 * HOUR_MS)};
    CHECK_INT(dossier_put_facts(w->work, key, &facts), 0);
    free(facts.json);
}

/* Two held orders, one with everything that can be known of an order; and one that is done. */
static struct world *open_world(void)
{
    is_code_missing = true;
    struct world *w = world_open(hold_while_missing);
    world_order(w, KEY, "a");
    world_order(w, "order:fo:204418", "b");
    world_order(w, "note:1", "c");
    put_facts(w, KEY, "SCAYLE order 204417", "GBP", 16492);
    put_facts(w, "order:fo:204418", "SCAYLE order 204418", "GBP", 508);
    CHECK_INT(dossier_put_link(w->work, KEY, "khaos_order", "SO02075"), 0);
    CHECK_INT(inbox_alias(w->work, KEY, "reference:OR-77"), 0);
    CHECK_INT(
        dossier_put_trail(w->work, KEY, bytes_str("{\"lines\":[\"line 1: 2 x 14.99 = 29.98\"]}")),
        0);
    world_settle(w);
    return w;
}

struct asked {
    int code;
    struct buf text;
};

static struct asked the_answer; /* of the newest question; freed by the next */

struct question {
    const char *words[6];
    const char *client;
    const char *reason;
    enum admin_outcome outcome;
    bool wants_json;
    bool is_dry_run;
    bool is_stopped;
};

static bool is_orders(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, "orders") == 0;
}

static const char *flow_at(void *arg, size_t i)
{
    static const char *const FLOWS[] = {"orders", "stock", NULL};
    (void)arg;
    return FLOWS[i];
}

static const char *ask(struct world *w, struct question q)
{
    struct ops_client client = {.name = "acme",
                                .work = w->work,
                                .generation = 1,
                                .has_flow = is_orders,
                                .flow_at = flow_at};
    struct ops_view view = {.clients = &client,
                            .count = 1,
                            .is_live = !q.is_stopped,
                            .now_ms = clock_wall_ms(w->clock)};
    struct admin_request request = {.words = q.words,
                                    .client = q.client,
                                    .who = "anna",
                                    .reason = q.reason,
                                    .outcome = q.outcome,
                                    .wants_json = q.wants_json,
                                    .is_dry_run = q.is_dry_run};
    while (request.count < 6 && q.words[request.count] != NULL) {
        request.count++;
    }
    buf_free(&the_answer.text);
    buf_init(&the_answer.text, 1 << 20);
    the_answer.code = admin_run(&view, &request, &the_answer.text);
    return buf_text(&the_answer.text);
}

#define ASK(w, ...) ask(w, (struct question){__VA_ARGS__})

static void check_said(const char *part)
{
    if (strstr(buf_text(&the_answer.text), part) == NULL) {
        printf("# \"%s\" is not in: %s\n", part, buf_text(&the_answer.text));
    }
    CHECK(strstr(buf_text(&the_answer.text), part) != NULL);
}

/* The member at the path "a.0.b" of the JSON answer is this text or number. */
static void check_member(const char *path, const char *expected)
{
    struct bytes at = buf_bytes(&the_answer.text);
    char part[64];
    for (const char *from = path; *from != '\0';) {
        size_t size = strcspn(from, ".");
        snprintf(part, sizeof(part), "%.*s", (int)size, from);
        from += size + (from[size] == '.' ? 1 : 0);
        if (part[0] >= '0' && part[0] <= '9') {
            struct bytes list = at;
            for (long i = strtol(part, NULL, 10); i >= 0; i--) {
                CHECK(json_next(&list, &at));
            }
        } else if (!json_find(at, part, &at)) {
            printf("# no %s of %s in: %s\n", part, path, buf_text(&the_answer.text));
            CHECK(!"the member is there");
            return;
        }
    }
    struct buf text;
    buf_init(&text, 65536);
    if (!json_text(at, &text)) {
        buf_reset(&text);
        buf_add(&text, at.data, at.size);
    }
    CHECK_STR(buf_text(&text), expected);
    buf_free(&text);
}

/* ---- Orders
 * --------------------------------------------------------------------------------------- */

static void orders_answer_to_their_names(void)
{
    static const char *const REFS[] = {KEY, "204417", "SO02075", "reference:OR-77"};
    struct world *w = open_world();
    for (size_t i = 0; i < sizeof(REFS) / sizeof(REFS[0]); i++) {
        ASK(w, .words = {"order", REFS[i]});
        CHECK_INT(the_answer.code, 0);
        check_said("acme order:fo:204417\n");
    }
    ASK(w, .words = {"order", "fo"});
    CHECK_INT(the_answer.code, 3);
    check_said("no order answers to fo\n");
    ASK(w, .words = {"order"});
    CHECK_INT(the_answer.code, 2);
    ASK(w, .words = {"order", "999"}, .wants_json = true);
    CHECK_INT(the_answer.code, 3);
    check_member("error", "no order answers to 999");
    ASK(w, .words = {"order", "204417"}, .client = "other");
    CHECK_INT(the_answer.code, 3);
    put_facts(w, "order:de:204417", "SCAYLE order 204417", "EUR", 1);
    ASK(w, .words = {"order", "204417"});
    CHECK_INT(the_answer.code, 2);
    check_said("more than one order answers to 204417");
    world_close(w);
}

static void an_order_tells_everything(void)
{
    struct world *w = open_world();
    ASK(w, .words = {"order", "204417"}, .is_stopped = true);
    CHECK_INT(the_answer.code, 0);
    check_said("  SCAYLE order 204417  GBP 164.92  held: no such code\n");
    check_said("  despatch promise: 2027-01-16T15:00:00.000Z (in 31 h)\n");
    check_said("  khaos_order SO02075\n");
    check_said(" orders: held, attempt 1");
    check_said("    held on unknown_stock_code TS-RED-L: held\n");
    check_said("timeline\n");
    check_said("penny trail\n  line 1: 2 x 14.99 = 29.98\n");
    ASK(w, .words = {"order", "204417"}, .wants_json = true);
    check_member("client", "acme");
    check_member("key", KEY);
    check_member("facts.title", "SCAYLE order 204417");
    check_member("links.khaos_order", "SO02075");
    check_member("jobs.0.state", "held");
    check_member("jobs.0.causes.0.subject", "TS-RED-L");
    check_member("trail.lines.0", "line 1: 2 x 14.99 = 29.98");
    world_close(w);
}

/* Seen before: what became of an order after its posting was on other keys, which nobody knew. */
static void an_order_tells_what_others_did_about_it(void)
{
    struct world *w = open_world();
    struct event_new event = {.source = "test",
                              .id = "u",
                              .key = "units:" KEY,
                              .about = KEY,
                              .name = "units.cancelled",
                              .flow = "orders",
                              .payload = bytes_str("{}")};
    world_accept(w, &event);
    world_settle(w);
    put_facts(w, "units:" KEY, "SCAYLE order 204417", "GBP", 1);
    ASK(w, .words = {"order", "204417"});
    check_said("jobs of units:" KEY "\n");
    check_said("[units:" KEY "] units.cancelled from test (u)\n");
    ASK(w, .words = {"order", "204417"}, .wants_json = true);
    check_member("related.0.key", "units:" KEY);
    check_member("related.0.jobs.0.state", "done");
    check_member("timeline.0.job", "1");
    world_close(w);
}

/* ---- Exceptions
 * ----------------------------------------------------------------------------------- */

static void exceptions_are_listed_and_shown(void)
{
    struct world *w = open_world();
    clock_advance(w->clock, 5 * 60000);
    ASK(w, .words = {"exceptions", "ls"});
    CHECK_INT(the_answer.code, 1);
    check_said("acme: unknown_stock_code TS-RED-L\n  held\n");
    check_said("  2 waiting, GBP 170.00, first deadline in 30 h; opened 5 min ago; "
               "owner merchandising\n");
    check_said("  to do: do something\n");
    ASK(w, .words = {"exceptions", "ls"}, .wants_json = true);
    CHECK_INT(the_answer.code, 1);
    check_member("0.cause", "unknown_stock_code");
    check_member("0.waiting", "2");
    check_member("0.amount_minor", "17000");
    check_member("0.recheck", "proof");
    ASK(w, .words = {"exceptions", "ls", "drift"});
    CHECK_INT(the_answer.code, 0);
    check_said("no open exceptions\n");
    ASK(w, .words = {"exceptions", "show", "unknown_stock_code", "TS-RED-L"});
    CHECK_INT(the_answer.code, 0);
    check_said("order:fo:204418");
    check_said("GBP 5.08");
    ASK(w, .words = {"exceptions", "show", "unknown_stock_code", "TS-RED-L"}, .wants_json = true);
    check_member("exception.owner", "merchandising");
    check_member("waiting.1.key", "order:fo:204418");
    ASK(w, .words = {"exceptions", "show", "unknown_stock_code", "TS-RED-M"});
    CHECK_INT(the_answer.code, 3);
    ASK(w, .words = {"exceptions", "show"});
    CHECK_INT(the_answer.code, 2);
    ASK(w, .words = {"exceptions", "burn"});
    CHECK_INT(the_answer.code, 2);
    world_close(w);
}

static int keep_audit(void *arg, const struct audit_entry *entry, const uint8_t *hash)
{
    (void)hash;
    snprintf(arg, 256, "%s %s %s", entry->who, entry->action, entry->detail);
    return 0;
}

static void acts_need_a_reason_and_a_host(void)
{
    static const char *const ACTS[] = {"retry", "release", "dismiss"};
    struct world *w = open_world();
    for (size_t i = 0; i < 3; i++) {
        struct question q = {.words = {"exceptions", ACTS[i], "unknown_stock_code", "TS-RED-L"}};
        ask(w, q);
        CHECK_INT(the_answer.code, 2);
        check_said("needs --reason");
        q.reason = "";
        ask(w, q);
        CHECK_INT(the_answer.code, 2);
        q.reason = "tested";
        q.is_stopped = true;
        ask(w, q);
        CHECK_INT(the_answer.code, 4);
        q.is_stopped = false;
        q.is_dry_run = true;
        ask(w, q);
        CHECK_INT(the_answer.code, 0);
        check_said("would do: unknown_stock_code TS-RED-L");
        check_said("(2 jobs)");
    }
    struct exception e;
    CHECK_INT(exception_load(w->work, "unknown_stock_code", "TS-RED-L", &e), 0);
    CHECK_INT(e.waiting, 2);
    exception_free(&e);
    world_close(w);
}

static void a_release_lets_orders_go_on(void)
{
    struct world *w = open_world();
    is_code_missing = false;
    ASK(w, .words = {"exceptions", "release", "unknown_stock_code", "TS-RED-L"},
        .reason = "created in Khaos", .wants_json = true);
    CHECK_INT(the_answer.code, 0);
    check_member("jobs", "2");
    check_member("dry_run", "false");
    world_settle(w);
    ASK(w, .words = {"exceptions"});
    CHECK_INT(the_answer.code, 0);
    ASK(w, .words = {"order", "204417"}, .wants_json = true);
    check_member("jobs.0.state", "done");
    char audit[256] = "";
    audit_each(w->work, 0, keep_audit, audit);
    CHECK(strstr(audit, "anna exception.release") != NULL);
    CHECK(strstr(audit, "created in Khaos") != NULL);
    world_close(w);
}

/* An effect of class once whose answer never came: what the ledger says decides how the job goes
 * on. */
static enum slice_end send_once(struct job *job, struct failure *failure)
{
    (void)failure;
    struct effect_spec spec = {"bank", "refund", "R1", EFFECT_ONCE, NULL, NULL};
    struct effect effect;
    CHECK_INT(effect_find(job->work, &spec, &effect), 0);
    enum effect_state state = effect.state;
    effect_free(&effect);
    if (state == EFFECT_NONE) {
        uint64_t id = 0;
        struct error err = {.code = ERROR_TIMEOUT, .message = "no answer"};
        CHECK_INT(effect_intend(job, &spec, bytes_str("POST /refund"), &id), 0);
        CHECK_INT(effect_unknown(job->work, id, &err), 0);
    } else if (state != EFFECT_UNKNOWN) {
        world_trace(effect_state_name(state));
        return SLICE_DONE;
    }
    struct exception_cause cause = {"outcome_unknown", "refund R1 on bank", "not known", "look",
                                    RECHECK_MANUAL};
    CHECK_INT(job_request_hold(job, &cause, 1), 0);
    return SLICE_UNWOUND;
}

static void a_person_says_what_became_of_an_effect(void)
{
    static const struct {
        enum admin_outcome outcome;
        const char *state;
    } FOUND[] = {{ADMIN_OUTCOME_HAPPENED, "confirmed;"}, {ADMIN_OUTCOME_ABSENT, "unsent;"}};
    for (size_t i = 0; i < 2; i++) {
        struct world *w = world_open(send_once);
        world_order(w, "refund:1", "a");
        world_settle(w);
        ASK(w, .words = {"exceptions", "release", "outcome_unknown", "refund R1 on bank"},
            .reason = "looked");
        CHECK_INT(the_answer.code, 2);
        check_said("say what you found");
        ASK(w, .words = {"exceptions", "release", "outcome_unknown", "refund R1 on bank"},
            .reason = "looked", .outcome = FOUND[i].outcome);
        CHECK_INT(the_answer.code, 0);
        world_settle(w);
        CHECK_STR(w->trace, FOUND[i].state);
        world_close(w);
    }
}

static const struct effect_spec payout = {"bank", "payout", "P1", EFFECT_ONCE, NULL, NULL};

static enum effect_state state_of(struct work *work, const struct effect_spec *spec)
{
    struct effect effect;
    CHECK_INT(effect_find(work, spec, &effect), 0);
    enum effect_state state = effect.state;
    effect_free(&effect);
    return state;
}

static enum slice_end send_two(struct job *job, struct failure *failure)
{
    uint64_t id = 0;
    struct error err = {.code = ERROR_TIMEOUT, .message = "no answer"};
    if (state_of(job->work, &payout) == EFFECT_NONE) {
        CHECK_INT(effect_intend(job, &payout, bytes_str("POST /payout"), &id), 0);
        CHECK_INT(effect_unknown(job->work, id, &err), 0);
    }
    return send_once(job, failure);
}

/* Seen before: it settled every doubtful effect of the waiting jobs' keys, so that money that was
 * never sent was marked as sent. */
static void the_outcome_of_one_effect_says_nothing_about_another(void)
{
    struct world *w = world_open(send_two);
    world_order(w, "refund:1", "a");
    world_settle(w);
    ASK(w, .words = {"exceptions", "release", "outcome_unknown", "refund R1 on bank"},
        .reason = "looked", .outcome = ADMIN_OUTCOME_HAPPENED);
    CHECK_INT(the_answer.code, 0);
    CHECK_STR(effect_state_name(state_of(w->work, &payout)), "unknown");
    char audit[256] = "";
    audit_each(w->work, 0, keep_audit, audit);
    CHECK(strstr(audit, "happened: looked") != NULL);
    world_close(w);
}

/* Seen before: an effect that a job of another key had sent was not found, and no person could ever
 * settle it. */
static void an_outcome_reaches_an_effect_of_another_key(void)
{
    struct world *w = world_open(send_once);
    uint64_t first = world_order(w, "refund:1", "a");
    world_settle(w);
    CHECK_INT(job_dismiss(w->work, first, "anna", "by another job"), 0);
    uint64_t second = world_order(w, "return:9", "b");
    world_settle(w);
    CHECK_STATE(w, second, "held");
    ASK(w, .words = {"exceptions", "release", "outcome_unknown", "refund R1 on bank"},
        .reason = "looked", .outcome = ADMIN_OUTCOME_HAPPENED);
    CHECK_INT(the_answer.code, 0);
    world_settle(w);
    CHECK_STATE(w, second, "done");
    CHECK_STR(w->trace, "confirmed;");
    world_close(w);
}

static int doubts;

/* Held first, on something else; released, it sends, and no answer comes. */
static enum slice_end send_after_a_hold(struct job *job, struct failure *failure)
{
    uint64_t id = 0;
    struct error err = {.code = ERROR_TIMEOUT, .message = "no answer"};
    struct exception_cause cause = {"unknown_code", "X", "m", "r", RECHECK_MANUAL};
    enum effect_state state = state_of(job->work, &payout);
    if (state == EFFECT_NONE && doubts++ > 0) {
        CHECK_INT(effect_intend(job, &payout, bytes_str("POST"), &id), 0);
        CHECK_INT(effect_unknown(job->work, id, &err), 0);
        return world_fail(failure, "timeout", true);
    }
    CHECK_INT(job_request_hold(job, &cause, 1), 0);
    return SLICE_UNWOUND;
}

/* Seen before: dismissing a cause ended jobs in the middle of a retry of their posting. The order
 * may be there, the job said done, and nobody was told. */
static void a_dismissal_does_not_end_a_job_in_doubt(void)
{
    doubts = 0;
    struct world *w = world_open(send_after_a_hold);
    uint64_t id = world_order(w, "payout:9", "a");
    world_settle(w);
    ASK(w, .words = {"exceptions", "retry", "unknown_code", "X"}, .reason = "again");
    world_settle(w);
    CHECK_STATE(w, id, "waiting");
    ASK(w, .words = {"exceptions", "dismiss", "unknown_code", "X"}, .reason = "by hand");
    CHECK_INT(the_answer.code, 0);
    CHECK_STATE(w, id, "waiting"); /* the retry finds out */
    world_pass(w, 60000);
    CHECK_STATE(w, id, "held");
    ASK(w, .words = {"exceptions", "dismiss", "unknown_code", "X"}, .reason = "by hand");
    CHECK_STATE(w, id, "held");
    struct exception e;
    CHECK_INT(exception_load(w->work, EXCEPTION_UNFINISHED_EFFECT, "payout:9", &e), 0);
    exception_free(&e);
    ASK(w, .words = {"exceptions", "dismiss", "unfinished_effect", "payout:9"}, .reason = "looked");
    CHECK_STATE(w, id, "done");
    world_close(w);
}

/* ---- Status, pause
 * --------------------------------------------------------------------------------- */

static void status_is_health_at_a_glance(void)
{
    struct world *w = open_world();
    ASK(w, .words = {"status"});
    CHECK_INT(the_answer.code, 1);
    check_said("acme: amber, 1 open exceptions; jobs:");
    check_said("  orders         amber: 2 held: ");
    check_said(" 2 held");
    check_said(" 1 done");
    ASK(w, .words = {"status"}, .wants_json = true);
    check_member("0.jobs.held", "2");
    check_member("0.exceptions", "1");
    check_member("0.health.colour", "amber");
    ASK(w, .words = {"status", "quo"});
    CHECK_INT(the_answer.code, 2);
    ASK(w, .words = {"status"}, .client = "other", .wants_json = true);
    CHECK_INT(the_answer.code, 0);
    CHECK_STR(buf_text(&the_answer.text), "[]\n");
    ASK(w, .words = {"weather"});
    CHECK_INT(the_answer.code, 2);
    check_said("there is no question \"weather\"");
    world_close(w);
}

/* What no job and no exception tells: the host itself does not get on. */
static void what_should_have_run_is_red(void)
{
    struct world *w = open_world();
    is_code_missing = false;
    world_order(w, "note:2", "d");
    clock_advance(w->clock, 4 * 60000);
    ASK(w, .words = {"status"}, .wants_json = true);
    check_member("0.health.flows.0.why", "2 held: held");
    clock_advance(w->clock, 2 * 60000);
    ASK(w, .words = {"status"}, .wants_json = true);
    check_member("0.health.flows.0.why", "2 held: held; note:2 waits its turn for 6 min");
    check_member("0.health.colour", "amber");
    clock_advance(w->clock, HOUR_MS);
    ASK(w, .words = {"status"}, .wants_json = true);
    check_member("0.health.flows.0.colour", "red");
    ASK(w, .words = {"status"}, .wants_json = true, .is_stopped = true);
    check_member("0.health.colour", "amber"); /* nothing runs there, nothing is late */
    world_close(w);
}

static void held_beyond_a_deadline_is_red(void)
{
    struct world *w = open_world();
    clock_advance(w->clock, 32 * HOUR_MS);
    ASK(w, .words = {"status"}, .wants_json = true);
    check_member("0.health.flows.0.colour", "red");
    ASK(w, .words = {"status"});
    check_said("orders         red: 2 held beyond a deadline; 2 held: ");
    world_close(w);
}

static void a_standing_exception_belongs_to_its_flow(void)
{
    struct world *w = open_world();
    struct exception_cause cause = {"stock_drift", "MAIN", "3 codes differ", "", RECHECK_PROOF};
    CHECK_INT(exception_open_by(w->work, "stock", &cause), 0);
    struct exception_cause silence = {"silence", "stock", "No figure for 3 h", "", RECHECK_PROOF};
    CHECK_INT(exception_open_by(w->work, "alerts", &silence), 0);
    world_settle(w);
    world_restart(w);
    ASK(w, .words = {"status"});
    check_said("  stock          red: No figure for 3 h; 3 codes differ\n");
    struct exception_cause refused = {"connection_refused", "SCAYLE 401", "SCAYLE refuses us", "",
                                      RECHECK_MANUAL};
    CHECK_INT(exception_open(w->work, &refused), 0);
    ASK(w, .words = {"status"});
    check_said("acme: red, ");
    check_said("  for all flows: SCAYLE refuses us\n");
    world_close(w);
}

static void stuck_orders_are_listed_with_what_they_wait_for(void)
{
    struct world *w = open_world();
    ASK(w, .words = {"status", "stuck"});
    CHECK_INT(the_answer.code, 1);
    check_said("acme SCAYLE order 204417: since ");
    check_said(", GBP 164.92, first deadline in 31 h\n  ");
    ASK(w, .words = {"status", "stuck"}, .wants_json = true);
    check_member("0.key", KEY);
    check_member("1.minor", "508");
    world_close(w);
}

/* Their keys are in the opposite order of their ages. */
static void of_very_many_stuck_orders_the_oldest_are_listed(void)
{
    struct world *w = open_world();
    for (int i = 0; i < 2100; i++) {
        char key[32];
        char json[64];
        snprintf(key, sizeof(key), "order:fo:%d", 300000 + i);
        snprintf(json, sizeof(json), "{\"is_told\":true,\"accepted_ms\":%lld}",
                 WORLD_START_MS - i * 60000LL - HOUR_MS);
        CHECK_INT(
            script_table_put(w->work, bytes_str("orders_open"), bytes_str(key), bytes_str(json)),
            0);
    }
    ASK(w, .words = {"status", "stuck"}, .wants_json = true);
    check_member("0.key", "order:fo:302099");
    check_member("1999.key", "order:fo:300100");
    ASK(w, .words = {"status", "stuck"});
    check_said("acme order:fo:302099: since 35 h ago\n  no job of it is open\n");
    check_said("acme: and 102 more\n"); /* the two held ones are the youngest */
    world_close(w);
}

static void a_pause_is_durable_until_resumed(void)
{
    struct world *w = open_world();
    ASK(w, .words = {"pause", "flow", "orders"}, .is_dry_run = true);
    CHECK_INT(the_answer.code, 0);
    CHECK(!pause_is_set(w->work, PAUSE_FLOW, "orders"));
    ASK(w, .words = {"pause", "flow", "orders"}, .is_stopped = true);
    CHECK_INT(the_answer.code, 4);
    ASK(w, .words = {"pause", "flow", "orders"}, .reason = "stock take");
    CHECK_INT(the_answer.code, 0);
    check_said("flow orders of acme is paused\n");
    world_settle(w);
    world_restart(w);
    CHECK(pause_is_set(w->work, PAUSE_FLOW, "orders"));
    ASK(w, .words = {"status"});
    check_said("  paused: flow orders by anna: stock take\n");
    ASK(w, .words = {"resume", "flow", "orders"});
    CHECK_INT(the_answer.code, 0);
    ASK(w, .words = {"resume", "flow", "orders"});
    CHECK_INT(the_answer.code, 3);
    static const char *const WRONG[][3] = {
        {"pause", NULL, NULL}, {"pause", "flow", NULL}, {"pause", "host", "x"}};
    for (size_t i = 0; i < 3; i++) {
        ASK(w, .words = {WRONG[i][0], WRONG[i][1], WRONG[i][2]});
        CHECK_INT(the_answer.code, 2);
    }
    ASK(w, .words = {"pause", "connection", "khaos"}, .client = "other");
    CHECK_INT(the_answer.code, 2);
    ASK(w, .words = {"pause", "flow", "ordres"}, .reason = "typo");
    CHECK_INT(the_answer.code, 3);
    check_said("acme has no flow ordres\n");
    world_close(w);
}

/* ---- Metrics
 * ---------------------------------------------------------------------------------------- */

/* A sample belongs to the metric announced last, so that the lines of one metric stand together. */
static void check_metric_line(const char *line, char metric[128], char typed[128])
{
    char name[128];
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(line, "{ "), line);
    if (sscanf(line, "# HELP %127s", name) == 1) {
        snprintf(metric, 128, "%s", name);
        CHECK(strlen(line) > strlen("# HELP ") + strlen(name) + 1);
    } else if (sscanf(line, "# TYPE %127s", name) == 1) {
        CHECK_STR(name, metric);
        snprintf(typed, 128, "%s", name);
    } else {
        CHECK_STR(name, metric);
        CHECK_STR(name, typed);
        const char *value = strrchr(line, ' ');
        char *end = NULL;
        CHECK(value != NULL);
        strtod(value == NULL ? "" : value + 1, &end);
        CHECK(end != NULL && *end == '\0');
        CHECK(strncmp(name, "neap_", 5) == 0);
    }
}

static void metrics_are_announced(void)
{
    struct world *w = open_world();
    struct connection_options options = {.name = "kha\"os", .base_url = "http://127.0.0.1:1"};
    struct connection *connections[] = {connection_new(w->loop, NULL, &options, NULL, NULL)};
    uint64_t answers[300] = {0};
    answers[201] = 3;
    struct ops_client client = {.name = "acme",
                                .work = w->work,
                                .answers = answers,
                                .answers_size = 300,
                                .connections = connections,
                                .connection_count = 1};
    struct ops_view view = {
        .clients = &client, .count = 1, .is_live = true, .now_ms = WORLD_START_MS + 90000};
    buf_free(&the_answer.text);
    buf_init(&the_answer.text, 1 << 20);
    metrics_page(&view, &the_answer.text);
    check_said("neap_http_answers_total{client=\"acme\",status=\"201\"} 3\n");
    check_said("neap_jobs{client=\"acme\",state=\"held\"} 2\n");
    check_said("neap_oldest_job_seconds{client=\"acme\"} 90\n");
    check_said("neap_connection_up{client=\"acme\",connection=\"kha\\\"os\"} 1\n");
    char metric[128] = "";
    char typed[128] = "";
    char *text = buf_take(&the_answer.text, NULL);
    size_t lines = 0;
    for (char *line = text; *line != '\0'; lines++) {
        char *end = strchr(line, '\n');
        CHECK(end != NULL);
        *end = '\0';
        check_metric_line(line, metric, typed);
        line = end + 1;
    }
    CHECK(lines > 40);
    free(text);
    connection_free(connections[0]);
    world_close(w);
}

/* Seen before: one full client made it 503, and a probe restarted all of them. */
static void one_full_client_is_no_reason_to_restart_all(void)
{
    struct world *w = open_world();
    struct error err;
    struct work *other = NULL;
    struct work_options options = {
        .client = "other", .store = w->store, .clock = w->clock, .is_read_only = true};
    CHECK_INT(work_open(&other, &options, &err), 0);
    struct ops_client clients[] = {{.name = "acme", .work = w->work},
                                   {.name = "other", .work = other}};
    struct ops_view view = {.clients = clients, .count = 2, .is_live = true};
    work_set_full(w->work, true);
    buf_reset(&the_answer.text);
    CHECK_INT(health_page(&view, &the_answer.text), 200);
    check_said("\"acme\":\"full\"");
    view.count = 1;
    buf_reset(&the_answer.text);
    CHECK_INT(health_page(&view, &the_answer.text), 503);
    work_set_full(w->work, false);
    work_close(other);
    world_close(w);
}

static void health_says_what_is_wrong(void)
{
    struct world *w = open_world();
    struct ops_client client = {.name = "acme", .work = w->work};
    struct ops_view view = {.clients = &client, .count = 1, .is_live = true};
    buf_free(&the_answer.text);
    buf_init(&the_answer.text, 1 << 20);
    CHECK_INT(health_page(&view, &the_answer.text), 200);

    check_member("clients.acme", "ok");
    client.load_error = "client.lua:3: oops";
    view.is_draining = true;
    buf_reset(&the_answer.text);
    CHECK_INT(health_page(&view, &the_answer.text), 503);
    check_member("clients.acme", "old scripts");
    check_member("draining", "true");
    world_close(w);
}

int main(void)
{
    buf_init(&the_answer.text, 1 << 20);
    tap_case("a person says what became of an effect", a_person_says_what_became_of_an_effect);
    tap_case("a dismissal does not end a job in doubt", a_dismissal_does_not_end_a_job_in_doubt);
    tap_case("the outcome of one effect says nothing about another",
             the_outcome_of_one_effect_says_nothing_about_another);
    tap_case("an outcome reaches an effect of another key",
             an_outcome_reaches_an_effect_of_another_key);
    tap_case("an order answers to key, number, link and alias", orders_answer_to_their_names);
    tap_case("an order tells facts, links, jobs, causes, timeline and trail",
             an_order_tells_everything);
    tap_case("an order tells what others did about it", an_order_tells_what_others_did_about_it);
    tap_case("exceptions are listed and shown, as text and JSON", exceptions_are_listed_and_shown);
    tap_case("acts need a reason and a host; a dry run changes nothing",
             acts_need_a_reason_and_a_host);
    tap_case("a release lets the orders go on and is audited", a_release_lets_orders_go_on);
    tap_case("status is health at a glance", status_is_health_at_a_glance);
    tap_case("what should have run and has not is red", what_should_have_run_is_red);
    tap_case("what is held beyond a deadline is red", held_beyond_a_deadline_is_red);
    tap_case("a standing exception belongs to the flow that opened it",
             a_standing_exception_belongs_to_its_flow);
    tap_case("stuck orders are listed with what they wait for",
             stuck_orders_are_listed_with_what_they_wait_for);
    tap_case("of very many stuck orders the oldest are listed",
             of_very_many_stuck_orders_the_oldest_are_listed);
    tap_case("a pause lasts until it is resumed", a_pause_is_durable_until_resumed);
    tap_case("every metric line follows its HELP and TYPE", metrics_are_announced);
    tap_case("one full client is no reason to restart all",
             one_full_client_is_no_reason_to_restart_all);
    tap_case("health says draining and old scripts", health_says_what_is_wrong);
    buf_free(&the_answer.text);
    return tap_done();
}
