/*
 * Torture: one scenario in which the turn does everything, run again and again, each time with one
 * more call of the store failing: every get, range, put, delete, nested begin, nested commit and
 * commit, with every code the interface allows.
 *
 * After each failure either the process goes on (the turn was dropped, the job tried again) or the
 * turn says ERROR_IO and the process starts anew on the same folder. Either way the scenario must
 * come to the same end: every event that was told durable is there and its job done, in the order
 * of its inbox; nothing was sent twice; nothing cancelled was sent; the store is whole.
 *
 * NEAP_TORTURE_STEP=1 tries every n of every code (some minutes); by default every n of the codes
 * that a disk really gives, and each third of the rest.
 */
#include "core/work/erasure.h"
#include "core/work/retention.h"
#include "core/work/work_state.h"
#include "tests/support/store_check.h"
#include "tests/support/work_world.h"

#define KEYS         4 /* order:A, order:B, order:C, order:D */
#define EVENTS_MAX   64
#define TRIES        80
#define YEAR_MS      (INT64_C(366) * 86400000)
#define RARE_STEP    3
#define ANSWER_STATE 200
/* Under sanitizers a story takes many times as long: they look for other things than this test, and
 * see the same code with fewer points. */
#ifdef __SANITIZE_ADDRESS__
#define SLOWER 11
#else
#define SLOWER 1
#endif

struct far_order { /* what the other system knows, and what went out */
    int done;
    int asked;
    uint64_t last_done_job;
};

struct answer { /* on its way back to us */
    uint64_t effect_id;
    uint64_t job_id;
    bool is_there;
};

static struct {
    struct world *w;
    struct fake_fault fault;
    struct far_order orders[KEYS];
    struct answer answers[KEYS];
    bool knows_stock;
    bool is_mended;
    char accepted[EVENTS_MAX][32]; /* ids of events told durable */
    int accepted_count;
    int stops;
} t;

static const char *const names[] = {[FAKE_GET] = "get",
                                    [FAKE_RANGE] = "range",
                                    [FAKE_PUT] = "put",
                                    [FAKE_DELETE] = "delete",
                                    [FAKE_NESTED_BEGIN] = "nested begin",
                                    [FAKE_NESTED_COMMIT] = "nested commit",
                                    [FAKE_COMMIT] = "commit",
                                    [FAKE_COMPACT] = "compaction"};

static size_t index_of(const char *key)
{
    return (size_t)(key[strlen(key) - 1] - 'A') % KEYS;
}

/* ---- The scripts -------------------------------------------------------------------------------
 */

static enum slice_end fail(struct failure *failure, int rc)
{
    return world_fail(failure, error_code_name(rc), true);
}

struct sending {
    uint64_t effect_id;
    uint64_t job_id;
    size_t order;
};

static void on_send(void *arg, bool is_durable)
{
    struct sending *sending = arg;
    if (is_durable) {
        struct answer answer = {sending->effect_id, sending->job_id, true};
        t.orders[sending->order].done++;
        CHECK_INT(t.orders[sending->order].done, 1); /* twice is the failure that matters */
        t.answers[sending->order] = answer;
    }
    free(sending);
}

static enum slice_end send(struct job *job, uint64_t effect_id)
{
    struct sending *sending = xcalloc(1, sizeof *sending);
    *sending = (struct sending){effect_id, job->info.id, index_of(job->info.key)};
    turn_release(job->work, on_send, sending);
    return SLICE_SUSPENDED;
}

static struct effect_spec spec_of(const struct job *job)
{
    return (struct effect_spec){.connection = "far",
                                .name = "post",
                                .key = job->info.key,
                                .class = EFFECT_LOOKUP,
                                .fingerprint = "sum",
                                .unless_event = "cancel"};
}

static int look_up(struct job *job, const struct effect *effect)
{
    struct far_order *order = &t.orders[index_of(job->info.key)];
    order->asked++;
    return order->done > 0 ? effect_confirm(job->work, effect->id, bytes_str("\"found\""))
                           : effect_absent(job->work, effect->id);
}

/* 0 = confirmed, ERROR_CANCELLED, SLICE_SUSPENDED + 1 = sent, else an error. */
#define SENT 1
static int post_once(struct job *job, enum slice_end *end)
{
    struct effect_spec spec = spec_of(job);
    struct effect effect;
    uint64_t id = 0;
    int rc = effect_find(job->work, &spec, &effect);
    if (rc != 0) {
        return rc;
    }
    id = effect.id;
    switch (effect.state) {
    case EFFECT_NONE:
    case EFFECT_REFUSED:
        rc = effect_intend(job, &spec, bytes_str("POST"), &id);
        break;
    case EFFECT_UNSENT:
        rc = effect_intend_again(job, id, spec.unless_event);
        break;
    case EFFECT_UNKNOWN:
        rc = look_up(job, &effect);
        effect_free(&effect);
        return rc != 0 ? rc : post_once(job, end);
    case EFFECT_ANSWERED:
        rc = effect_confirm(job->work, id, bytes_str("\"answered\""));
        effect_free(&effect);
        return rc;
    case EFFECT_INTENT:
        effect_free(&effect);
        return ERROR_NETWORK; /* woken though its answer could not be kept */
    default:
        effect_free(&effect);
        return 0;
    }
    effect_free(&effect);
    if (rc == 0) {
        *end = send(job, id);
        return SENT;
    }
    return rc;
}

static int describe(struct job *job)
{
    char *links = xasprintf("SO-%s", job->info.key);
    char title[] = "an order";
    char json[] = "{}";
    struct dossier_facts facts = {.title = title, .json = json, .deadline_ms = WORLD_START_MS};
    struct event_answer answer = {.status = ANSWER_STATE, .body = bytes_str("kept")};
    int rc = dossier_put_link(job->work, job->info.key, "far", links);
    rc = rc != 0 ? rc : dossier_put_facts(job->work, job->info.key, &facts);
    rc = rc != 0 ? rc : dossier_put_trail(job->work, job->info.key, bytes_str("[]"));
    rc = rc != 0 ? rc : job_answer(job, &answer);
    free(links);
    return rc == ERROR_EXISTS ? 0 : rc;
}

static enum slice_end finish(struct job *job)
{
    struct far_order *order = &t.orders[index_of(job->info.key)];
    CHECK(job->info.id >= order->last_done_job);
    order->last_done_job = job->info.id;
    return SLICE_DONE;
}

static enum slice_end wait_for_status(struct job *job, struct failure *failure)
{
    static const char *const events[] = {"status", NULL};
    struct job_wait wait;
    int rc = job_wait_find(job, "status", &wait);
    if (rc != 0) {
        return fail(failure, rc);
    }
    if (wait.state == JOB_WAIT_DONE) {
        return finish(job);
    }
    rc = job_request_await(job, "status", events, 0);
    return rc != 0 ? fail(failure, rc) : SLICE_UNWOUND;
}

static enum slice_end run_order(struct job *job, struct failure *failure)
{
    struct bytes json;
    enum slice_end end = SLICE_DONE;
    int rc = step_find(job, "fetch", &json);
    if (rc == ERROR_NOT_FOUND) {
        rc = script_table_put(job->work, bytes_str("seen"), bytes_str(job->info.key),
                              bytes_str("1"));
        rc = rc != 0 ? rc : step_put(job, "fetch", bytes_str("{\"order\":1}"));
    }
    if (rc != 0) {
        return fail(failure, rc);
    }
    job_note(job, "note", "fetched", NULL);
    if (!t.knows_stock) {
        struct exception_cause cause = {"unknown_stock_code", "TS", "held", "add it",
                                        RECHECK_PROOF};
        rc = job_request_hold(job, &cause, 1);
        return rc != 0 ? fail(failure, rc) : SLICE_UNWOUND;
    }
    rc = post_once(job, &end);
    if (rc == SENT) {
        return end;
    }
    if (rc == ERROR_CANCELLED) {
        return finish(job);
    }
    rc = rc != 0 ? rc : describe(job);
    return rc != 0 ? fail(failure, rc) : wait_for_status(job, failure);
}

static enum slice_end run_tick(struct job *job, struct failure *failure)
{
    char id[32];
    bool is_new;
    struct error err;
    snprintf(id, sizeof id, "tick-%llu", (unsigned long long)job->info.event_seq);
    struct event_new event = {
        .source = "ticks", .id = id, .key = "ticks", .name = "ticked", .flow = "note"};
    error_clear(&err);
    int rc = job_emit(job, &event, &is_new, &err);
    return rc != 0 ? fail(failure, rc) : SLICE_DONE;
}

static enum slice_end script(struct job *job, struct failure *failure)
{
    if (strcmp(job->info.flow, "orders") == 0) {
        return run_order(job, failure);
    }
    if (strcmp(job->info.flow, "tick") == 0) {
        return run_tick(job, failure);
    }
    if (strcmp(job->info.flow, "broken") == 0 && !t.is_mended) {
        return world_fail(failure, "a mistake", false);
    }
    return SLICE_DONE;
}

/* ---- The process: turns, its end, its start ----------------------------------------------------
 */

static int open_once(struct world *w)
{
    struct error err;
    struct store_options options = {.path = w->folder, .is_volatile = true, .reserve_bytes = 1};
    static const struct schedule_spec tick = {.flow = "tick", .name = "often", .every_ms = 10000};
    error_clear(&err);
    CHECK_INT(store_open(&w->store, &options, &err), 0);
    w->fake = fake_store_new(w->store);
    w->fake->fault = &t.fault;
    w->store = &w->fake->base;
    struct work_options work = {
        .client = "acme",
        .store = w->store,
        .clock = w->clock,
        .loop = w->loop,
        .random = &w->random,
        .runner = {w, world_slice, world_drop},
        .lookup = {.arg = w, .owner = world_owner},
        .retry = {.initial_ms = 1000, .max_ms = 1000, .factor = 1},
        .live_from_ms = WORLD_START_MS - 1000000,
        .generation = t.is_mended ? 2 : 1,
    };
    int rc = work_open(&w->work, &work, &err);
    if (rc == 0) {
        turn_add(w->turn, w->work);
        rc = schedule_replace(w->work, &tick, 1, &err);
    }
    return rc;
}

static void end_process(struct world *w)
{
    if (w->work != NULL) {
        turn_remove(w->turn, w->work);
    }
    work_close(w->work);
    store_close(w->store);
    w->work = NULL;
    w->store = NULL;
    memset(t.answers, 0, sizeof t.answers);
}

static void start_process(struct world *w)
{
    for (int i = 0; i < 3; i++) {
        if (open_once(w) == 0) {
            return;
        }
        end_process(w);
    }
    CHECK(!"the process starts again");
    exit(EXIT_FAILURE);
}

static void deliver_answers(struct world *w)
{
    for (size_t i = 0; i < KEYS; i++) {
        struct answer *answer = &t.answers[i];
        if (!answer->is_there) {
            continue;
        }
        answer->is_there = false;
        int rc = effect_answered(w->work, answer->effect_id, bytes_str("done"));
        struct job *job = job_find_live(w->work, answer->job_id);
        (void)rc; /* what could not be kept is in doubt: the job asks */
        if (job != NULL && !job->is_queued) {
            job_wake(job);
        }
    }
}

static void run_turns(struct world *w)
{
    struct error err;
    for (int i = 0; i < 6; i++) {
        error_clear(&err);
        deliver_answers(w);
        if (turn_run(w->turn, false, NULL, &err) != 0) {
            t.stops++;
            end_process(w);
            start_process(w);
        }
    }
    clock_advance(w->clock, 1100);
}

/* ---- The story ---------------------------------------------------------------------------------
 */

typedef bool (*step_fn)(struct world *w);

static int print_job(void *arg, const struct job_info *info)
{
    (void)arg;
    printf("# job %llu of %s: %s, %s; %s\n", (unsigned long long)info->id, info->key,
           job_state_name(info->state), info->reason, info->last_error);
    return 0;
}

static void until(struct world *w, const char *what, step_fn step)
{
    for (int i = 0; i < TRIES; i++) {
        if (step(w)) {
            return;
        }
        run_turns(w);
    }
    printf("# never: %s\n", what);
    for (enum job_state state = JOB_READY; state < JOB_STATE_COUNT; state++) {
        if (state != JOB_DONE) {
            (void)job_each(w->work, state, print_job, NULL);
        }
    }
    CHECK(!"the story goes on");
}

struct telling {
    char id[32];
};

static bool is_accepted(const char *id)
{
    for (int i = 0; i < t.accepted_count; i++) {
        if (strcmp(t.accepted[i], id) == 0) {
            return true;
        }
    }
    return false;
}

static void on_accepted(void *arg, bool is_durable)
{
    struct telling *telling = arg;
    if (is_durable && !is_accepted(telling->id) && t.accepted_count < EVENTS_MAX) {
        memcpy(t.accepted[t.accepted_count++], telling->id, sizeof telling->id);
    }
    free(telling);
}

/* As a shop that sends again until it is answered. True once it was told. */
static bool offer(struct world *w, const struct event_new *event)
{
    if (is_accepted(event->id)) {
        return true;
    }
    struct accept_result result;
    struct error err;
    error_clear(&err);
    if (work_accept(w->work, event, &result, &err) == 0) {
        struct telling *telling = xcalloc(1, sizeof *telling);
        snprintf(telling->id, sizeof telling->id, "%s", event->id);
        turn_release(w->work, on_accepted, telling);
        accept_result_free(&result);
    }
    return false;
}

static bool offer_order(struct world *w, const char *id, const char *key, const char *alias)
{
    const char *const aliases[] = {alias, NULL};
    struct event_new event = {.source = "test",
                              .id = id,
                              .key = key,
                              .name = "placed",
                              .flow = "orders",
                              .aliases = aliases,
                              .payload = bytes_str("{\"order\":1}")};
    return offer(w, &event);
}

static bool offer_mail(struct world *w, const char *id, const char *key, const char *name)
{
    struct event_new event = {.source = "test",
                              .id = id,
                              .key = key,
                              .name = name,
                              .flow = "orders",
                              .class = EVENT_OVERTAKING,
                              .payload = bytes_str("{}")};
    return offer(w, &event);
}

static bool orders_come(struct world *w)
{
    struct event_new broken = {
        .source = "test", .id = "D1", .key = "order:D", .name = "placed", .flow = "broken"};
    return offer_order(w, "A1", "order:A", "ref:A") && offer_order(w, "A2", "ref:A", "ref:A") &&
           offer_order(w, "B1", "order:B", "ref:B") && offer_order(w, "C1", "order:C", "ref:C") &&
           offer(w, &broken);
}

static bool is_state(struct world *w, const char *id, enum job_state state)
{
    uint64_t seq;
    struct event_record event;
    struct job_info info;
    bool is_it = false;
    if (event_find(w->work, "test", id, &seq) == 0 && event_load(w->work, seq, &event) == 0) {
        if (job_load(w->work, event.job_id, &info) == 0) {
            is_it = info.state == state && job_find_live(w->work, info.id) == NULL;
            job_info_free(&info);
        }
        event_record_free(&event);
    }
    return is_it;
}

static bool orders_are_held(struct world *w)
{
    return is_state(w, "A1", JOB_HELD) && is_state(w, "B1", JOB_HELD) &&
           is_state(w, "C1", JOB_HELD) && is_state(w, "D1", JOB_HELD);
}

static bool a_cancellation_comes(struct world *w)
{
    return offer_mail(w, "C2", "ref:C", "cancel");
}

static bool the_stock_code_is_proved(struct world *w)
{
    struct exception_closing closing = {CLOSED_BY_PROOF, NULL, "it is there"};
    t.knows_stock = true;
    return exception_close(w->work, "unknown_stock_code", "TS", &closing) == ERROR_NOT_FOUND;
}

static bool orders_are_posted(struct world *w)
{
    return t.orders[0].done == 1 && t.orders[1].done == 1 && is_state(w, "A1", JOB_AWAITING) &&
           is_state(w, "B1", JOB_AWAITING) && is_state(w, "C1", JOB_DONE);
}

static bool first_status_comes(struct world *w)
{
    return offer_mail(w, "A3", "ref:A", "status") && offer_mail(w, "B3", "order:B", "status") &&
           is_state(w, "A1", JOB_DONE) && is_state(w, "A2", JOB_AWAITING) &&
           is_state(w, "B1", JOB_DONE);
}

static bool second_status_comes(struct world *w)
{
    return offer_mail(w, "A4", "order:A", "status") && is_state(w, "A2", JOB_DONE);
}

static bool the_script_is_mended(struct world *w)
{
    if (!t.is_mended) {
        t.is_mended = true;
        int rc = work_generation_changed(w->work, 2); /* once, as a reload does */
        (void)rc;
    }
    return is_state(w, "D1", JOB_DONE);
}

static bool a_person_wants_to_be_forgotten(struct world *w)
{
    struct erasure_request request = {.key = "order:A", .who = "ops", .reason = "asked"};
    struct erasure_report report;
    struct error err;
    struct dossier_facts facts;
    error_clear(&err);
    if (dossier_get_facts(w->work, "order:A", &facts) == 0) {
        bool is_erased = strcmp(facts.json, "{}") != 0 || is_accepted("erased");
        dossier_facts_free(&facts);
        if (is_erased) {
            return true;
        }
    }
    if (erasure_apply(w->work, &request, &report, &err) == 0) {
        struct telling *telling = xcalloc(1, sizeof *telling);
        snprintf(telling->id, sizeof telling->id, "erased");
        turn_release(w->work, on_accepted, telling);
    }
    return false;
}

static bool is_job_gone(struct world *w, const char *id)
{
    uint64_t seq;
    struct event_record event;
    struct job_info info;
    bool is_gone = false;
    if (event_find(w->work, "test", id, &seq) == 0 && event_load(w->work, seq, &event) == 0) {
        is_gone = job_load(w->work, event.job_id, &info) == ERROR_NOT_FOUND;
        job_info_free(&info);
        event_record_free(&event);
    }
    return is_gone;
}

static bool years_pass(struct world *w)
{
    bool is_over = false;
    return retention_run(w->work, &is_over) == 0 && is_over && is_job_gone(w, "B1");
}

static bool is_quiet(struct world *w)
{
    struct job_counts counts;
    uint64_t open = 0;
    if (work_has_ready(w->work) || job_count(w->work, &counts) != 0) {
        return false;
    }
    for (size_t state = 0; state < JOB_STATE_COUNT; state++) {
        open += state == JOB_DONE ? 0 : counts.by_state[state];
    }
    return open == 0 && !store_is_dirty(w->store);
}

/* ---- One run -----------------------------------------------------------------------------------
 */

/* The check is the test's own: nothing fails in it. */
static void check_store(struct world *w)
{
    struct fake_fault *fault = w->fake->fault;
    w->fake->fault = NULL;
    store_check(w->work);
    w->fake->fault = fault;
}

static void check_end(struct world *w)
{
    static const char *const kept[] = {"A1", "A2", "B1", "C1", "D1", "A3", "B3", "A4", "C2"};
    uint64_t seq;
    struct work_stats stats = *work_stats(w->work);
    w->fake->fault = NULL; /* what follows is the test's own */
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        CHECK(is_accepted(kept[i]));
        CHECK_INT(event_find(w->work, "test", kept[i], &seq), 0);
    }
    CHECK_INT(t.orders[0].done, 1);
    CHECK_INT(t.orders[1].done, 1);
    CHECK_INT(t.orders[2].done, 0); /* cancelled before it was sent */
    CHECK_INT(stats.quarantined, 0);
    check_store(w);
}

static void tell_story(struct world *w)
{
    until(w, "orders are accepted", orders_come);
    until(w, "orders are held", orders_are_held);
    until(w, "a cancellation is accepted", a_cancellation_comes);
    until(w, "the exception closes", the_stock_code_is_proved);
    until(w, "orders are posted", orders_are_posted);
    until(w, "the first status releases", first_status_comes);
    until(w, "the second status releases", second_status_comes);
    until(w, "the mended script runs", the_script_is_mended);
    check_store(w);
    until(w, "the key is erased", a_person_wants_to_be_forgotten);
    clock_advance(w->clock, 2 * YEAR_MS);
    until(w, "retention takes what is old", years_pass);
    until(w, "all is quiet", is_quiet);
}

/* The fault in t.fault, the whole story, and the store as the next process finds it. */
static void run_story(void)
{
    struct world *w = &the_world;
    memset(w, 0, sizeof *w);
    memset(t.orders, 0, sizeof t.orders);
    memset(t.answers, 0, sizeof t.answers);
    t.w = w;
    t.knows_stock = t.is_mended = false;
    t.accepted_count = t.stops = 0;
    log_configure(LOG_ERROR + 1, LOG_FORMAT_JSON);
    snprintf(w->folder, sizeof w->folder, "/tmp/neap_work_XXXXXX");
    CHECK(mkdtemp(w->folder) != NULL);
    w->clock = clock_new_virtual(WORLD_START_MS);
    w->loop = loop_new(w->clock);
    w->turn = turn_new(w->loop);
    random_init(&w->random, 7);
    w->script = script;
    start_process(w);
    tell_story(w);
    check_end(w);
    t.fault.rc = 0;
    end_process(w);
    start_process(w);
    run_turns(w);
    check_end(w);
    world_close(w);
}

/* Every n-th call, from the first to the last there is. */
static void torture(enum fake_op op, int rc, long step)
{
    const char *only = getenv("NEAP_TORTURE_ONLY"); /* "nested commit": this call alone */
    if (only != NULL && strcmp(only, names[op]) != 0) {
        return;
    }
    const char *asked = getenv("NEAP_TORTURE_STEP");
    step = asked == NULL ? step * SLOWER : strtol(asked, NULL, 10);
    long runs = 0;
    for (long n = step < 2 ? 0 : ((long)op - rc) % step;; n += step < 1 ? 1 : step) {
        memset(&t.fault, 0, sizeof t.fault);
        t.fault.op = op;
        t.fault.rc = rc;
        t.fault.calls_left = n;
        bool was_bad = tap_is_case_bad;
        run_story();
        if (tap_is_case_bad && !was_bad) {
            printf("# first seen when %s number %ld failed with %s\n", names[op], n + 1,
                   error_code_name(rc));
            return;
        }
        if (!t.fault.has_tripped) {
            break;
        }
        runs++;
    }
    printf("# %ld runs: %s fails with %s\n", runs, names[op], error_code_name(rc));
    CHECK(runs > 0 || step > t.fault.calls[op]);
}

#define TORTURE(name, op, rc, step)                                                                \
    static void name(void)                                                                         \
    {                                                                                              \
        torture(op, rc, step);                                                                     \
    }

TORTURE(puts_full, FAKE_PUT, ERROR_FULL, 1)
TORTURE(puts_io, FAKE_PUT, ERROR_IO, RARE_STEP)
TORTURE(puts_limit, FAKE_PUT, ERROR_LIMIT, 1)
TORTURE(puts_corrupt, FAKE_PUT, ERROR_CORRUPT, RARE_STEP)
TORTURE(deletes_full, FAKE_DELETE, ERROR_FULL, 1)
TORTURE(deletes_io, FAKE_DELETE, ERROR_IO, RARE_STEP)
TORTURE(deletes_limit, FAKE_DELETE, ERROR_LIMIT, 1)
TORTURE(begins_full, FAKE_NESTED_BEGIN, ERROR_FULL, 1)
TORTURE(begins_io, FAKE_NESTED_BEGIN, ERROR_IO, RARE_STEP)
TORTURE(nested_full, FAKE_NESTED_COMMIT, ERROR_FULL, 1)
TORTURE(nested_io, FAKE_NESTED_COMMIT, ERROR_IO, RARE_STEP)
TORTURE(nested_limit, FAKE_NESTED_COMMIT, ERROR_LIMIT, 1)
TORTURE(commits_full, FAKE_COMMIT, ERROR_FULL, 1)
TORTURE(commits_io, FAKE_COMMIT, ERROR_IO, 1)
TORTURE(compactions_full, FAKE_COMPACT, ERROR_FULL, 1)
TORTURE(compactions_io, FAKE_COMPACT, ERROR_IO, 1)
TORTURE(gets_io, FAKE_GET, ERROR_IO, RARE_STEP)
TORTURE(gets_corrupt, FAKE_GET, ERROR_CORRUPT, RARE_STEP)
TORTURE(ranges_io, FAKE_RANGE, ERROR_IO, RARE_STEP)
TORTURE(ranges_corrupt, FAKE_RANGE, ERROR_CORRUPT, RARE_STEP)

static void story_without_faults(void)
{
    memset(&t.fault, 0, sizeof t.fault);
    run_story();
    CHECK_INT(t.stops, 0);
    for (size_t op = 0; op < FAKE_OP_COUNT; op++) {
        printf("# %s: %ld calls\n", names[op], t.fault.calls[op]);
    }
}

int main(void)
{
    tap_case("the story without faults", story_without_faults);
    tap_case("any put may find the map full", puts_full);
    tap_case("any put may fail on disk", puts_io);
    tap_case("any put may be too much for its transaction", puts_limit);
    tap_case("any put may meet a damaged page", puts_corrupt);
    tap_case("any delete may find the map full", deletes_full);
    tap_case("any delete may fail on disk", deletes_io);
    tap_case("any delete may be too much for its transaction", deletes_limit);
    tap_case("any nested begin may find the map full", begins_full);
    tap_case("any nested begin may fail on disk", begins_io);
    tap_case("any nested commit may find the map full", nested_full);
    tap_case("any nested commit may fail on disk", nested_io);
    tap_case("any nested commit may be too much", nested_limit);
    tap_case("any commit may find the disk full", commits_full);
    tap_case("any commit may fail to sync", commits_io);
    tap_case("a compaction may find no space", compactions_full);
    tap_case("a compaction may fail on disk", compactions_io);
    tap_case("any get may fail on disk", gets_io);
    tap_case("any get may meet a damaged page", gets_corrupt);
    tap_case("any range may fail on disk", ranges_io);
    tap_case("any range may meet a damaged page", ranges_corrupt);
    return tap_done();
}
