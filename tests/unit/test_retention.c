/* Retention: what goes after its days, what stays whatever its age, and how small the pieces are.
 */
#include "core/work/retention.h"
#include "core/work/document.h"
#include "core/work/event_record.h"
#include "tests/support/work_world.h"

#define DAY_MS INT64_C(86400000)

static const struct effect_spec post = {"khaos", "post", "5001", EFFECT_ONCE, "fp", NULL};
static uint64_t effect_id;

/* The first run intends; the second, when the effect is confirmed, ends. */
static enum slice_end post_once(struct job *job, struct failure *failure)
{
    struct effect effect;
    (void)failure;
    CHECK_INT(effect_find(job->work, &post, &effect), 0);
    enum effect_state state = effect.state;
    effect_free(&effect);
    if (state == EFFECT_CONFIRMED) {
        return SLICE_DONE;
    }
    CHECK_INT(document_put(job->work, job->info.id, "mapping", bytes_str("{\"a\":1}")), 0);
    CHECK_INT(effect_intend(job, &post, bytes_str("<post/>"), &effect_id), 0);
    return SLICE_SUSPENDED;
}

static struct bytes trail(void)
{
    return bytes_str("{\"lines\":[\"12.00\"]}");
}

/* One order that was posted and is done, with all a store keeps of it. */
static uint64_t place_order(struct world *w)
{
    w->script = post_once;
    uint64_t id = world_order(w, "order:5001", "a");
    world_settle(w);
    CHECK_INT(effect_answered(w->work, effect_id, bytes_str("<ok/>")), 0);
    CHECK_INT(effect_confirm(w->work, effect_id, bytes_str("{\"code\":1}")), 0);
    job_wake(job_find_live(w->work, id));
    CHECK_INT(dossier_put_trail(w->work, "order:5001", trail()), 0);
    CHECK_INT(dossier_put_link(w->work, "order:5001", "khaos", "SO1"), 0);
    struct exception_cause cause = {"drift", "X", "differs", "", RECHECK_MANUAL};
    struct exception_closing closing = {CLOSED_BY_PROOF, NULL, "ties again"};
    CHECK_INT(exception_open(w->work, &cause), 0);
    CHECK_INT(exception_close(w->work, "drift", "X", &closing), 0);
    world_settle(w);
    CHECK_STATE(w, id, "done");
    return id;
}

static int run_pass(struct world *w)
{
    bool is_over = false;
    int pieces = 0;
    while (!is_over && pieces < 1000) {
        CHECK_INT(retention_run(w->work, &is_over), 0);
        CHECK_INT(world_turn(w), 0);
        pieces++;
    }
    return pieces;
}

static size_t payload_size(struct world *w)
{
    struct event_record event;
    uint64_t seq;
    CHECK_INT(event_find(w->work, "test", "a", &seq), 0);
    CHECK_INT(event_load(w->work, seq, &event), 0);
    size_t size = event.payload_size;
    event_record_free(&event);
    return size;
}

static bool has_document(struct world *w)
{
    char *content;
    size_t size;
    int rc = document_newest(w->work, "order:5001", "mapping", &content, &size);
    free(content);
    CHECK(rc == 0 || rc == ERROR_NOT_FOUND);
    return rc == 0;
}

static int count_line(void *arg, const struct timeline_entry *entry)
{
    (void)entry;
    (*(int *)arg)++;
    return 0;
}

static int lines_of(struct world *w, const char *key)
{
    int count = 0;
    CHECK_INT(timeline_each(w->work, key, false, count_line, &count), 0);
    return count;
}

static int count_closed(void *arg, const struct exception_closed *closed)
{
    (void)closed;
    (*(int *)arg)++;
    return 0;
}

static int closed_count(struct world *w)
{
    int count = 0;
    CHECK_INT(exception_each_closed(w->work, count_closed, &count), 0);
    return count;
}

static void what_is_young_stays(void)
{
    struct world *w = world_open(post_once);
    uint64_t id = place_order(w);
    clock_advance(w->clock, 399 * DAY_MS);
    run_pass(w);
    CHECK_STATE(w, id, "done");
    CHECK_INT(payload_size(w), 2);
    CHECK(has_document(w));
    CHECK(lines_of(w, "order:5001") > 0);
    CHECK_INT(closed_count(w), 1);
    world_close(w);
}

static void what_is_old_goes_and_the_ledger_stays(void)
{
    struct world *w = world_open(post_once);
    uint64_t id = place_order(w);
    clock_advance(w->clock, 401 * DAY_MS);
    run_pass(w);
    CHECK_INT(world_state(w, id), JOB_STATE_COUNT);
    CHECK_INT(payload_size(w), 0);
    CHECK_INT(lines_of(w, "order:5001"), 0);
    CHECK_INT(closed_count(w), 0);
    struct bytes json;
    CHECK_INT(dossier_get_trail(w->work, "order:5001", &json), 0);
    struct effect effect;
    CHECK_INT(effect_find(w->work, &post, &effect), 0);
    CHECK_INT(effect.state, EFFECT_CONFIRMED);
    CHECK_STR(effect.fingerprint, "fp");
    CHECK_STR(effect.result, "{\"code\":1}");
    CHECK(effect.request == NULL);
    CHECK(effect.answer == NULL);
    effect_free(&effect);
    char *linked = dossier_find_by_link(w->work, "khaos", "SO1");
    CHECK_STR(linked, "order:5001");
    free(linked);
    CHECK_INT(counter_get(w->work, "jobs.done"), 1);
    const struct retention_counts *counts = retention_counts(w->work);
    CHECK_INT(counts->jobs, 1);
    CHECK_INT(counts->effects, 1);
    CHECK_INT(counts->closed_exceptions, 1);
    world_close(w);
}

static void a_trail_is_kept_for_years(void)
{
    struct world *w = world_open(post_once);
    struct bytes json;
    place_order(w);
    clock_advance(w->clock, 2599 * DAY_MS);
    run_pass(w);
    CHECK_INT(dossier_get_trail(w->work, "order:5001", &json), 0);
    clock_advance(w->clock, 2 * DAY_MS);
    run_pass(w);
    CHECK_INT(dossier_get_trail(w->work, "order:5001", &json), ERROR_NOT_FOUND);
    world_close(w);
}

static void a_repeat_of_an_old_event_is_still_a_repeat(void)
{
    struct world *w = world_open(post_once);
    place_order(w);
    clock_advance(w->clock, 500 * DAY_MS);
    run_pass(w);
    world_restart(w);
    struct event_new event = {.source = "test",
                              .id = "a",
                              .key = "order:5001",
                              .name = "order.placed",
                              .flow = "orders",
                              .payload = bytes_str("{}")};
    struct accept_result result;
    struct error err;
    CHECK_INT(work_accept(w->work, &event, &result, &err), 0);
    CHECK(result.is_duplicate);
    accept_result_free(&result);
    world_close(w);
}

static enum slice_end hold_it(struct job *job, struct failure *failure)
{
    (void)failure;
    return world_hold(job, "unknown_stock_code", "X", RECHECK_PROOF);
}

static void an_open_job_keeps_all_of_its_key(void)
{
    struct world *w = world_open(world_done);
    uint64_t done = world_order(w, "order:5001", "b");
    world_settle(w);
    w->script = hold_it;
    uint64_t held = world_order(w, "order:5001", "a");
    world_settle(w);
    CHECK_INT(dossier_put_trail(w->work, "order:5001", trail()), 0);
    int lines = lines_of(w, "order:5001");
    clock_advance(w->clock, 3000 * DAY_MS);
    run_pass(w);
    struct bytes json;
    CHECK_STATE(w, held, "held");
    CHECK_STATE(w, done, "done");
    CHECK_INT(payload_size(w), 2);
    CHECK_INT(lines_of(w, "order:5001"), lines);
    CHECK_INT(dossier_get_trail(w->work, "order:5001", &json), 0);
    world_close(w);
}

static void an_effect_without_outcome_keeps_its_bytes(void)
{
    struct world *w = world_open(post_once);
    uint64_t id = world_order(w, "order:5001", "a");
    world_settle(w);
    world_restart(w);
    CHECK_INT(job_dismiss(w->work, id, "eve", "by hand"), 0);
    world_settle(w);
    clock_advance(w->clock, 1000 * DAY_MS);
    run_pass(w);
    struct effect effect;
    CHECK_INT(effect_find(w->work, &post, &effect), 0);
    CHECK_INT(effect.state, EFFECT_UNKNOWN);
    CHECK_STR(effect.request, "<post/>");
    effect_free(&effect);
    world_close(w);
}

static void a_piece_is_bounded_and_the_pass_goes_on(void)
{
    enum { ORDERS = 1200 };
    struct world *w = world_open(world_done);
    for (int i = 0; i < ORDERS; i++) {
        char key[32];
        snprintf(key, sizeof key, "order:%d", i);
        world_order(w, key, key);
        if (i % 64 == 0) {
            CHECK_INT(world_turn(w), 0);
        }
    }
    world_settle(w);
    world_settle(w);
    CHECK_INT(counter_get(w->work, "jobs.done"), ORDERS);
    clock_advance(w->clock, 401 * DAY_MS);
    const struct retention_counts *counts = retention_counts(w->work);
    bool is_over = false;
    CHECK_INT(retention_run(w->work, &is_over), 0);
    CHECK(!is_over);
    CHECK_INT(counts->jobs, RETENTION_REMOVE_MAX);
    CHECK_INT(world_turn(w), 0);
    CHECK(run_pass(w) > 2);
    CHECK_INT(counts->jobs, ORDERS);
    CHECK_INT(counts->timeline_lines, 2 * ORDERS); /* accepted, done */
    CHECK_INT(counts->passes, 1);
    CHECK_INT(run_pass(w), 8); /* nothing left: one piece per stage */
    CHECK_INT(counts->jobs, ORDERS);
    world_close(w);
}

static void days_are_the_clients(void)
{
    struct world *w = world_open(post_once);
    uint64_t id = place_order(w);
    struct retention_policy policy = {.payload_days = 30, .timeline_days = 90};
    retention_set_policy(w->work, &policy);
    clock_advance(w->clock, 31 * DAY_MS);
    run_pass(w);
    CHECK_INT(payload_size(w), 0);
    CHECK(!has_document(w));
    CHECK(lines_of(w, "order:5001") > 0);
    CHECK_STATE(w, id, "done");
    clock_advance(w->clock, 60 * DAY_MS);
    run_pass(w);
    CHECK_INT(lines_of(w, "order:5001"), 0);
    CHECK_STATE(w, id, "done");
    world_close(w);
}

static void it_runs_by_itself_once_a_day(void)
{
    struct world *w = world_open(post_once);
    place_order(w);
    clock_advance(w->clock, 401 * DAY_MS);
    for (int i = 0; i < 100 && retention_counts(w->work)->passes == 0; i++) {
        CHECK_INT(world_turn(w), 0);
        clock_advance(w->clock, 50);
    }
    CHECK_INT(retention_counts(w->work)->passes, 1);
    CHECK_INT(payload_size(w), 0);
    world_settle(w);
    world_restart(w); /* the end of the pass is durable */
    world_pass(w, DAY_MS / 2);
    CHECK_INT(retention_counts(w->work)->passes, 0);
    world_close(w);
}

static void an_unset_clock_removes_nothing(void)
{
    struct world *w = world_open(post_once);
    uint64_t id = place_order(w);
    struct retention_policy policy = {RETENTION_DAYS_MAX, RETENTION_DAYS_MAX, RETENTION_DAYS_MAX,
                                      RETENTION_DAYS_MAX, RETENTION_DAYS_MAX};
    retention_set_policy(w->work, &policy); /* more days than there were since 1970 */
    run_pass(w);
    CHECK_STATE(w, id, "done");
    CHECK_INT(payload_size(w), 2);
    world_close(w);
}

/* A broken alias was put aside while the table was being read: an assert ended the host. */
static void a_broken_alias_keeps_what_it_may_lead_to(void)
{
    struct world *w = world_open(post_once);
    place_order(w);
    CHECK_INT(store_put(w->store, bytes_str("a\norder:5001"), bytes_of("\x01\xff", 2)), 0);
    clock_advance(w->clock, 401 * DAY_MS);
    run_pass(w);
    CHECK_INT(payload_size(w), 2);
    CHECK_INT(retention_counts(w->work)->effects, 0);
    world_close(w);
}

int main(void)
{
    tap_case("what is young stays", what_is_young_stays);
    tap_case("what is old goes and the ledger stays", what_is_old_goes_and_the_ledger_stays);
    tap_case("a trail is kept for years", a_trail_is_kept_for_years);
    tap_case("a repeat of an old event is still a repeat",
             a_repeat_of_an_old_event_is_still_a_repeat);
    tap_case("an open job keeps all of its key", an_open_job_keeps_all_of_its_key);
    tap_case("an effect without outcome keeps its bytes",
             an_effect_without_outcome_keeps_its_bytes);
    tap_case("a piece is bounded and the pass goes on", a_piece_is_bounded_and_the_pass_goes_on);
    tap_case("days are the client's", days_are_the_clients);
    tap_case("it runs by itself once a day", it_runs_by_itself_once_a_day);
    tap_case("an unset clock removes nothing", an_unset_clock_removes_nothing);
    tap_case("a broken alias keeps what it may lead to", a_broken_alias_keeps_what_it_may_lead_to);
    return tap_done();
}
