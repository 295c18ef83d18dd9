/* Effects and steps: once for ever, whatever dies in between. */
#include "core/work/work_state.h"
#include "tests/support/work_world.h"

static int runs;
static uint64_t effect_id;

static const struct effect_spec post = {.connection = "khaos",
                                        .name = "import_order",
                                        .key = "5001",
                                        .class = EFFECT_LOOKUP,
                                        .fingerprint = "sum 16492",
                                        .unless_event = "cancellation"};

static void expect_state(struct world *w, const char *state)
{
    struct effect effect;
    CHECK_INT(effect_find(w->work, &post, &effect), 0);
    CHECK_STR(effect_state_name(effect.state), state);
    effect_free(&effect);
}

/* Intends, waits for the answer, reads it. */
static enum slice_end post_order(struct job *job, struct failure *failure)
{
    struct effect effect;
    enum slice_end end = SLICE_DONE;
    runs++;
    CHECK_INT(effect_find(job->work, &post, &effect), 0);
    switch (effect.state) {
    case EFFECT_NONE:
    case EFFECT_REFUSED: {
        int rc = effect_intend(job, &post, bytes_str("POST /import"), &effect_id);
        world_trace(rc == ERROR_CANCELLED ? "cancelled" : "intent");
        end = rc == 0 ? SLICE_SUSPENDED : SLICE_DONE;
        break;
    }
    case EFFECT_UNSENT: {
        CHECK_STR(effect.request, "POST /import");
        int rc = effect_intend_again(job, effect.id, post.unless_event);
        world_trace(rc == ERROR_CANCELLED ? "cancelled" : "again");
        end = rc == 0 ? SLICE_SUSPENDED : SLICE_DONE;
        break;
    }
    case EFFECT_ANSWERED:
        CHECK_STR(effect.answer, "SO1");
        CHECK_INT(effect_confirm(job->work, effect.id, bytes_str("\"SO1\"")), 0);
        world_trace("confirmed");
        break;
    case EFFECT_UNKNOWN:
        world_trace("lookup");
        end = world_fail(failure, "cannot look up", true);
        break;
    default:
        world_trace("known");
        break;
    }
    effect_free(&effect);
    return end;
}

static struct world *open_posting(uint64_t *id)
{
    runs = 0;
    struct world *w = world_open(post_order);
    *id = world_order(w, "order:5001", "a");
    return w;
}

static void an_effect_is_done_once_across_jobs(void)
{
    uint64_t id;
    struct world *w = open_posting(&id);
    world_settle(w);
    expect_state(w, "intent");
    CHECK(effect_is_pending(w->work, "order:5001"));
    CHECK_INT(effect_answered(w->work, effect_id, bytes_str("SO1")), 0);
    CHECK_INT(effect_answered(w->work, effect_id, bytes_str("SO2")), ERROR_INVALID);
    CHECK(!effect_is_pending(w->work, "order:5001"));
    job_wake(job_find_live(w->work, id));
    world_settle(w);
    CHECK_STATE(w, id, "done");
    expect_state(w, "confirmed");
    world_order(w, "order:5001", "b");
    world_settle(w);
    CHECK_STR(w->trace, "intent;confirmed;known;");
    struct effect effect;
    CHECK_INT(effect_load(w->work, effect_id, &effect), 0);
    CHECK_STR(effect.result, "\"SO1\"");
    CHECK_STR(effect.fingerprint, "sum 16492");
    CHECK_INT(effect.attempts, 1);
    effect_free(&effect);
    world_close(w);
}

static void a_crash_between_intent_and_answer_is_an_unknown_outcome(void)
{
    uint64_t id;
    struct world *w = open_posting(&id);
    world_settle(w);
    world_restart(w);
    expect_state(w, "unknown");
    world_settle(w);
    CHECK_STR(w->trace, "intent;lookup;");
    CHECK_STATE(w, id, "waiting");
    CHECK_INT(effect_absent(w->work, effect_id), 0);
    world_pass(w, 5000);
    CHECK_STR(w->trace, "intent;lookup;again;");
    world_close(w);
}

static void a_crash_between_answer_and_reading_keeps_the_answer(void)
{
    uint64_t id;
    struct world *w = open_posting(&id);
    world_settle(w);
    CHECK_INT(effect_answered(w->work, effect_id, bytes_str("SO1")), 0);
    CHECK_INT(world_turn(w), 0);
    world_restart(w);
    world_settle(w);
    CHECK_STATE(w, id, "done");
    CHECK_STR(w->trace, "intent;confirmed;");
    world_close(w);
}

static void a_tombstone_stops_the_intent(void)
{
    uint64_t id;
    struct world *w = open_posting(&id);
    world_overtake(w, "order:5001", "cancellation", EVENT_IDLE_KEEP);
    world_settle(w);
    CHECK_STR(w->trace, "cancelled;");
    CHECK_STATE(w, id, "done");
    expect_state(w, "none");
    world_close(w);
}

static void a_cancellation_stops_a_resend_of_what_never_left(void)
{
    uint64_t id;
    struct world *w = open_posting(&id);
    struct error err;
    world_settle(w);
    error_set(&err, ERROR_NETWORK, "refused");
    CHECK_INT(effect_not_sent(w->work, effect_id, &err), 0);
    expect_state(w, "unsent");
    world_overtake(w, "order:5001", "cancellation", EVENT_IDLE_KEEP);
    job_restart(job_find_live(w->work, id));
    world_settle(w);
    CHECK_STR(w->trace, "intent;cancelled;");
    CHECK_STATE(w, id, "done");
    expect_state(w, "refused");
    world_close(w);
}

static void a_cancellation_after_the_intent_waits_for_the_answer(void)
{
    uint64_t id;
    struct world *w = open_posting(&id);
    world_settle(w);
    CHECK_INT(world_overtake(w, "order:5001", "cancellation", EVENT_IDLE_JOB), 0);
    world_settle(w);
    CHECK_STATE(w, id, "running");
    CHECK_INT(runs, 1);
    CHECK_INT(effect_answered(w->work, effect_id, bytes_str("SO1")), 0);
    job_wake(job_find_live(w->work, id));
    world_settle(w);
    CHECK_STATE(w, id, "done");
    CHECK_STR(w->trace, "intent;confirmed;known;"); /* then the cancellation's own job */
    world_close(w);
}

/* Seen before: an order whose import had no known outcome was cancelled in the meantime; the job
 * ran again, saw the cancellation before it asked for the outcome and ended as "never posted",
 * although the order was in Khaos. */
static void a_cancellation_is_not_seen_while_an_outcome_is_open(void)
{
    uint64_t id;
    struct world *w = open_posting(&id);
    world_settle(w);
    world_restart(w);
    expect_state(w, "unknown");
    world_overtake(w, "order:5001", "cancellation", EVENT_IDLE_KEEP);
    world_settle(w);
    CHECK_STATE(w, id, "waiting");
    char key[] = "order:5001";
    struct job job = {.work = w->work, .info = {.key = key}};
    struct event_record event;
    CHECK_INT(job_overtaken(&job, "cancellation", &event), ERROR_NOT_FOUND);
    CHECK_INT(effect_absent(w->work, effect_id), 0);
    CHECK_INT(job_overtaken(&job, "cancellation", &event), 0);
    event_record_free(&event);
    world_close(w);
}

/* Seen before: the open effect stayed under the key of the job that intended it first, so a job of
 * another key that sent it again found it "under way" for ever after its own restart. */
static void an_effect_belongs_to_the_job_that_sent_it_last(void)
{
    uint64_t first;
    struct world *w = open_posting(&first);
    struct error err;
    world_settle(w);
    error_set(&err, ERROR_NETWORK, "refused");
    CHECK_INT(effect_not_sent(w->work, effect_id, &err), 0);
    uint64_t sweep = world_order(w, "sweep:5001", "b");
    world_settle(w);
    expect_state(w, "intent");
    CHECK(effect_is_pending(w->work, "sweep:5001"));
    CHECK(!effect_is_pending(w->work, "order:5001"));
    uint64_t unfinished = 0;
    CHECK_INT(effect_unfinished(w->work, "sweep:5001", sweep, &unfinished), 0);
    CHECK_INT(unfinished, effect_id);
    job_restart(job_find_live(w->work, sweep));
    world_settle(w);
    CHECK_STR(w->trace, "intent;again;lookup;");
    expect_state(w, "unknown");
    world_close(w);
}

/* Seen before: the time to settle was counted from the intent, and a request that waited in the
 * queue of its connection had used it up before it left: a look-up came too early and a second
 * order was posted. */
static void an_unknown_outcome_settles_from_the_end_of_the_sending(void)
{
    uint64_t id;
    struct world *w = open_posting(&id);
    struct error err;
    struct effect effect;
    world_settle(w);
    clock_advance(w->clock, 120000); /* queued, then sent, then no answer */
    error_set(&err, ERROR_TIMEOUT, "no answer");
    CHECK_INT(effect_unknown(w->work, effect_id, &err), 0);
    CHECK_INT(effect_find(w->work, &post, &effect), 0);
    CHECK_INT(effect.sent_ms, WORLD_START_MS + 120000);
    CHECK_INT(effect.intended_ms, WORLD_START_MS);
    effect_free(&effect);
    world_close(w);
}

/* Seen before: an answer that came while the disk was below its reserve was thrown away, and the
 * outcome of the effect became unknown. */
static void an_answer_is_kept_in_the_reserve_of_a_full_disk(void)
{
    uint64_t id;
    struct world *w = open_posting(&id);
    world_settle(w);
    w->work->is_full = true; /* as work_tend_space does */
    CHECK_INT(effect_answered(w->work, effect_id, bytes_str("SO1")), 0);
    CHECK_INT(world_turn(w), 0);
    expect_state(w, "answered");
    world_restart(w);
    world_settle(w);
    CHECK_STATE(w, id, "done");
    CHECK_STR(w->trace, "intent;confirmed;");
    world_close(w);
}

static enum slice_end intend_then_raise(struct job *job, struct failure *failure)
{
    CHECK_INT(script_table_put(job->work, bytes_str("t"), bytes_str("before"), bytes_str("1")), 0);
    CHECK_INT(effect_intend(job, &post, bytes_str("x"), &effect_id), 0);
    CHECK_INT(script_table_put(job->work, bytes_str("t"), bytes_str("after"), bytes_str("1")), 0);
    return world_fail(failure, "bug", false);
}

static void an_intent_survives_the_raise_after_it(void)
{
    struct world *w = world_open(intend_then_raise);
    struct bytes json;
    world_order(w, "order:5001", "a");
    world_settle(w);
    expect_state(w, "intent");
    CHECK_INT(script_table_get(w->work, bytes_str("t"), bytes_str("before"), &json), 0);
    CHECK_INT(script_table_get(w->work, bytes_str("t"), bytes_str("after"), &json),
              ERROR_NOT_FOUND);
    world_close(w);
}

static void new_code_that_never_reaches_an_open_effect_is_held(void)
{
    uint64_t id;
    struct world *w = open_posting(&id);
    world_settle(w);
    world_restart(w);
    w->script = world_done;
    world_settle(w);
    CHECK_STATE(w, id, "held");
    struct exception e;
    CHECK_INT(exception_load(w->work, EXCEPTION_UNFINISHED_EFFECT, "order:5001", &e), 0);
    exception_free(&e);
    CHECK_INT(effect_confirm(w->work, effect_id, bytes_str("1")), 0);
    struct exception_act act = {EXCEPTION_UNFINISHED_EFFECT, "order:5001", "eve", "it is there"};
    CHECK_INT(exception_release(w->work, &act), 0);
    world_settle(w);
    CHECK_STATE(w, id, "done");
    world_close(w);
}

static void a_refused_effect_may_be_intended_anew(void)
{
    uint64_t id;
    struct world *w = open_posting(&id);
    world_settle(w);
    CHECK_INT(effect_answered(w->work, effect_id, bytes_str("no")), 0);
    CHECK_INT(effect_refuse(w->work, effect_id, "remote", "unknown stock code"), 0);
    CHECK_INT(effect_confirm(w->work, effect_id, bytes_str("1")), ERROR_INVALID);
    job_restart(job_find_live(w->work, id));
    world_settle(w);
    struct effect effect;
    CHECK_INT(effect_find(w->work, &post, &effect), 0);
    CHECK_INT(effect.state, EFFECT_INTENT);
    CHECK_INT(effect.attempts, 2);
    CHECK(effect.answer == NULL);
    effect_free(&effect);
    world_close(w);
}

/* ---- Steps -------------------------------------------------------------------------------------
 */

static enum slice_end with_a_step(struct job *job, struct failure *failure)
{
    struct bytes json;
    int rc = step_find(job, "fetch", &json);
    if (rc == ERROR_NOT_FOUND) {
        world_trace("fetch");
        CHECK_INT(step_put(job, "fetch", bytes_str("{\"n\":1}")), 0);
        CHECK_INT(step_put(job, "fetch", bytes_str("2")), ERROR_EXISTS);
        return world_fail(failure, "later", true);
    }
    CHECK(bytes_equal(json, bytes_str("{\"n\":1}")));
    world_trace("memo");
    if (++runs == 1) {
        return world_hold(job, "unknown_stock_code", "X", RECHECK_PROOF);
    }
    return SLICE_DONE;
}

static void a_step_is_remembered_for_a_retry_and_forgotten_after_a_hold(void)
{
    runs = 0;
    struct world *w = world_open(with_a_step);
    uint64_t id = world_order(w, "a", "a");
    world_settle(w);
    world_restart(w);
    world_pass(w, 2000);
    CHECK_STATE(w, id, "held");
    CHECK_STR(w->trace, "fetch;memo;");
    struct exception_closing closing = {CLOSED_BY_PROOF, NULL, "it exists"};
    CHECK_INT(exception_close(w->work, "unknown_stock_code", "X", &closing), 0);
    world_settle(w);
    world_pass(w, 2000);
    CHECK_STR(w->trace, "fetch;memo;fetch;memo;");
    CHECK_STATE(w, id, "done");
    world_close(w);
}

static void a_new_generation_forgets_steps_and_the_same_one_keeps_them(void)
{
    runs = 1;
    struct world *w = world_open(with_a_step);
    uint64_t id = world_order(w, "a", "a");
    world_settle(w);
    w->generation = 2;
    world_restart(w);
    world_pass(w, 2000);
    world_pass(w, 4000);
    CHECK_STATE(w, id, "done");
    CHECK_STR(w->trace, "fetch;fetch;memo;");
    world_close(w);
}

int main(void)
{
    tap_case("an effect is done once across jobs", an_effect_is_done_once_across_jobs);
    tap_case("a crash between intent and answer is an unknown outcome",
             a_crash_between_intent_and_answer_is_an_unknown_outcome);
    tap_case("a crash between answer and reading keeps the answer",
             a_crash_between_answer_and_reading_keeps_the_answer);
    tap_case("a tombstone stops the intent", a_tombstone_stops_the_intent);
    tap_case("a cancellation stops a re-send of what never left",
             a_cancellation_stops_a_resend_of_what_never_left);
    tap_case("a cancellation after the intent waits for the answer",
             a_cancellation_after_the_intent_waits_for_the_answer);
    tap_case("a cancellation is not seen while an outcome is open",
             a_cancellation_is_not_seen_while_an_outcome_is_open);
    tap_case("an effect belongs to the job that sent it last",
             an_effect_belongs_to_the_job_that_sent_it_last);
    tap_case("an unknown outcome settles from the end of the sending",
             an_unknown_outcome_settles_from_the_end_of_the_sending);
    tap_case("an answer is kept in the reserve of a full disk",
             an_answer_is_kept_in_the_reserve_of_a_full_disk);
    tap_case("an intent survives the raise after it", an_intent_survives_the_raise_after_it);
    tap_case("new code that never reaches an open effect is held",
             new_code_that_never_reaches_an_open_effect_is_held);
    tap_case("a refused effect may be intended anew", a_refused_effect_may_be_intended_anew);
    tap_case("a step is remembered for a retry and forgotten after a hold",
             a_step_is_remembered_for_a_retry_and_forgotten_after_a_hold);
    tap_case("a new generation forgets steps, the same one keeps them",
             a_new_generation_forgets_steps_and_the_same_one_keeps_them);
    return tap_done();
}
