/* Accepting, duplicates, aliases, and overtaking events in every state of the open job. */
#include "core/work/counter.h"
#include "core/work/exception.h"
#include "core/work/timeline.h"
#include "tests/support/work_world.h"

static int runs;

static struct event_new delegation(const char *id)
{
    struct event_new event = {.source = "scayle",
                              .id = id,
                              .key = "order:5001",
                              .name = "order.delegated",
                              .flow = "orders",
                              .payload = bytes_str("{\"id\":5001}")};
    return event;
}

static void a_duplicate_gets_the_first_answer_to_the_byte(void)
{
    struct world *w = world_open(world_done);
    struct event_new event = delegation("5001");
    struct accept_result result;
    struct error err;
    CHECK_INT(work_accept(w->work, &event, &result, &err), 0);
    uint64_t first = result.event_seq;
    uint64_t job = result.job_id;
    accept_result_free(&result);
    CHECK_INT(work_accept(w->work, &event, &result, &err), 0);
    CHECK(result.is_duplicate);
    CHECK(!result.has_answer);
    accept_result_free(&result);
    struct event_answer answer = {201, bytes_str("Content-Type: a/b\n"), bytes_of("{\0}", 3)};
    CHECK_INT(event_set_answer(w->work, first, &answer), 0);
    CHECK_INT(event_set_answer(w->work, first, &answer), ERROR_EXISTS);
    world_settle(w);
    world_restart(w);
    CHECK_INT(work_accept(w->work, &event, &result, &err), 0);
    CHECK(result.is_duplicate);
    CHECK(result.has_answer);
    CHECK_INT(result.event_seq, first);
    CHECK_INT(result.job_id, job);
    CHECK_INT(result.answer.status, 201);
    CHECK(bytes_equal(result.answer.headers, bytes_str("Content-Type: a/b\n")));
    CHECK(bytes_equal(result.answer.body, bytes_of("{\0}", 3)));
    accept_result_free(&result);
    CHECK_INT(work_stats(w->work)->duplicates, 1);
    world_settle(w);
    CHECK_STR(w->trace, "order:5001;");
    world_close(w);
}

static int count_repeated(void *arg, const struct timeline_entry *entry)
{
    int *count = arg;
    *count += strcmp(entry->kind, "repeated") == 0 ? 1 : 0;
    return 0;
}

/* Seen before: a delegation that came again with another total was answered as the first, and the
 * only trace of it was a number of repeats. */
static void a_repeat_with_another_payload_is_told_once(void)
{
    static const struct {
        const char *payload;
        int told;
    } steps[] = {{"{\"id\":5001}", 0}, {"{\"id\":5001,\"total\":2}", 1}, {"", 1}, {"{}", 1}};
    struct world *w = world_open(world_done);
    struct event_new event = delegation("5001");
    world_accept(w, &event);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        int count = 0;
        event.payload = bytes_str(steps[i].payload);
        world_accept(w, &event);
        world_settle(w);
        world_restart(w);
        CHECK_INT(timeline_each(w->work, "order:5001", false, count_repeated, &count), 0);
        CHECK_INT(count, steps[i].told);
        CHECK_INT(counter_get(w->work, "events.differing"), steps[i].told);
    }
    CHECK_STR(w->trace, "order:5001;");
    world_close(w);
}

static void a_large_payload_comes_back_as_received(void)
{
    struct world *w = world_open(world_done);
    struct event_new event = delegation("1");
    size_t size = 300000;
    char *payload = xmalloc(size);
    for (size_t i = 0; i < size; i++) {
        payload[i] = (char)(i % 251);
    }
    event.payload = bytes_of(payload, size);
    struct accept_result result;
    struct error err;
    CHECK_INT(work_accept(w->work, &event, &result, &err), 0);
    struct event_record record;
    CHECK_INT(event_load(w->work, result.event_seq, &record), 0);
    CHECK_INT(record.payload_size, size);
    CHECK(memcmp(record.payload, payload, size) == 0);
    CHECK_STR(record.key, "order:5001");
    event_record_free(&record);
    accept_result_free(&result);
    free(payload);
    world_close(w);
}

static void an_event_without_its_parts_is_refused_with_words(void)
{
    struct world *w = world_open(world_done);
    struct event_new event = delegation("");
    struct accept_result result;
    struct error err;
    CHECK_INT(work_accept(w->work, &event, &result, &err), ERROR_INVALID);
    CHECK(strstr(err.message, "id") != NULL);
    char long_id[EVENT_KEY_MAX + 2];
    memset(long_id, 'x', sizeof long_id - 1);
    long_id[sizeof long_id - 1] = '\0';
    event.id = long_id;
    CHECK_INT(work_accept(w->work, &event, &result, &err), ERROR_LIMIT);
    long_id[EVENT_KEY_MAX] = '\0'; /* long, but allowed: hashed in the key */
    CHECK_INT(work_accept(w->work, &event, &result, &err), 0);
    accept_result_free(&result);
    CHECK_INT(work_accept(w->work, &event, &result, &err), 0);
    CHECK(result.is_duplicate);
    accept_result_free(&result);
    world_close(w);
}

static void an_aborted_unit_leaves_nothing_in_memory(void)
{
    struct world *w = world_open(world_done);
    CHECK_INT(work_nested_begin(w->work), 0);
    world_order(w, "order:1", "a");
    CHECK(!work_has_ready(w->work));
    work_nested_abort(w->work);
    CHECK(!work_has_ready(w->work));
    CHECK_INT(work_nested_begin(w->work), 0);
    uint64_t id = world_order(w, "order:1", "a");
    CHECK_INT(work_nested_commit(w->work), 0);
    world_settle(w);
    CHECK_STATE(w, id, "done");
    world_close(w);
}

/* ---- Overtaking --------------------------------------------------------------------------------
 */

static enum slice_end until_cancelled(struct job *job, struct failure *failure)
{
    struct event_record event;
    runs++;
    int rc = job_overtaken(job, "cancellation", &event);
    if (rc == 0) {
        event_record_free(&event);
        world_trace("cancelled");
        return SLICE_DONE;
    }
    CHECK_INT(rc, ERROR_NOT_FOUND);
    if (strcmp(job->info.key, "held") == 0) {
        return world_hold(job, "unknown_stock_code", "X", RECHECK_PROOF);
    }
    if (strcmp(job->info.key, "sleeping") == 0) {
        CHECK_INT(job_request_sleep(job, "nap", 1000000), 0);
        return SLICE_UNWOUND;
    }
    if (strcmp(job->info.key, "awaiting") == 0) {
        static const char *const names[] = {"status", "cancellation", NULL};
        CHECK_INT(job_request_await(job, "push", names, 0), 0);
        return SLICE_UNWOUND;
    }
    if (strcmp(job->info.key, "running") == 0 && runs == 1) {
        return SLICE_SUSPENDED;
    }
    if (strcmp(job->info.key, "running") == 0) {
        return world_hold(job, "unknown_stock_code", "X", RECHECK_PROOF);
    }
    return world_fail(failure, "no route", true);
}

static void an_overtaking_event_reaches_the_job_in_each_state(void)
{
    static const struct {
        const char *key;
        const char *state;
    } cases[] = {{"held", "held"},
                 {"sleeping", "waiting"},
                 {"awaiting", "awaiting"},
                 {"retrying", "waiting"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        runs = 0;
        struct world *w = world_open(until_cancelled);
        uint64_t id = world_order(w, cases[i].key, "a");
        CHECK_INT(world_turn(w), 0);
        CHECK_INT(world_turn(w), 0);
        CHECK_STATE(w, id, cases[i].state);
        CHECK_INT(world_overtake(w, cases[i].key, "cancellation", EVENT_IDLE_JOB), 0);
        CHECK_STATE(w, id, "ready");
        world_settle(w);
        CHECK_STATE(w, id, "done");
        CHECK_STR(w->trace, "cancelled;");
        world_close(w);
    }
}

static void an_event_during_a_run_reaches_the_wait_after_it(void)
{
    runs = 0;
    struct world *w = world_open(until_cancelled);
    uint64_t id = world_order(w, "running", "a");
    world_settle(w);
    CHECK_STATE(w, id, "running");
    world_overtake(w, "running", "other", EVENT_IDLE_KEEP);
    job_wake(job_find_live(w->work, id));
    world_settle(w);
    CHECK_STATE(w, id, "held");
    CHECK_INT(runs, 3); /* held in the second, looked again in the third */
    world_close(w);
}

static enum slice_end cancelled_or_status(struct job *job, struct failure *failure)
{
    (void)failure;
    struct event_record event;
    static const char *const names[] = {"status", NULL};
    bool is_first = ++runs == 1;
    if (job_overtaken(job, "cancellation", &event) == 0) {
        event_record_free(&event);
        world_trace("cancelled");
        return SLICE_DONE;
    }
    if (is_first && strcmp(job->info.key, "asking") == 0) {
        return SLICE_SUSPENDED;
    }
    CHECK_INT(job_request_await(job, "push", names, 0), 0);
    return SLICE_UNWOUND;
}

/* Seen before: a job that awaited a status heard of no cancellation until the status came, and a
 * cancellation starts no job of its own while one is open. */
static void an_await_for_another_event_is_reached_too(void)
{
    runs = 0;
    struct world *w = world_open(cancelled_or_status);
    uint64_t id = world_order(w, "order:1", "a");
    world_settle(w);
    CHECK_STATE(w, id, "awaiting");
    world_overtake(w, "order:1", "other", EVENT_IDLE_KEEP);
    world_settle(w);
    CHECK_STATE(w, id, "awaiting"); /* it looked, and waits on */
    world_overtake(w, "order:1", "cancellation", EVENT_IDLE_JOB);
    world_settle(w);
    CHECK_STATE(w, id, "done");
    CHECK_STR(w->trace, "cancelled;");
    world_close(w);
}

static void an_event_during_a_run_reaches_the_await_after_it(void)
{
    runs = 0;
    struct world *w = world_open(cancelled_or_status);
    uint64_t id = world_order(w, "asking", "a");
    world_settle(w);
    CHECK_STATE(w, id, "running");
    world_overtake(w, "asking", "other", EVENT_IDLE_KEEP);
    job_wake(job_find_live(w->work, id));
    world_settle(w);
    CHECK_STATE(w, id, "awaiting");
    CHECK_INT(runs, 3); /* began to wait in the second, looked again in the third */
    world_close(w);
}

static void an_event_that_no_run_looked_at_starts_its_own_job(void)
{
    runs = 0;
    struct world *w = world_open(world_done);
    uint64_t id = world_order(w, "order:1", "a");
    CHECK_INT(world_overtake(w, "order:1", "refund", EVENT_IDLE_JOB), 0);
    CHECK_INT(world_overtake(w, "order:1", "push", EVENT_IDLE_KEEP), 0);
    world_settle(w);
    CHECK_STATE(w, id, "done");
    CHECK_STR(w->trace, "order:1;order:1;");
    CHECK_INT(work_stats(w->work)->done, 2);
    world_close(w);
}

static void without_an_open_job_it_stays_or_starts_one(void)
{
    runs = 0;
    struct world *w = world_open(until_cancelled);
    CHECK_INT(world_overtake(w, "order:1", "cancellation", EVENT_IDLE_KEEP), 0);
    world_settle(w);
    CHECK_INT(runs, 0);
    world_restart(w);
    uint64_t id = world_order(w, "order:1", "a"); /* the tombstone is found */
    world_settle(w);
    CHECK_STATE(w, id, "done");
    CHECK_STR(w->trace, "cancelled;");
    uint64_t own = world_overtake(w, "order:2", "cancellation", EVENT_IDLE_JOB);
    CHECK(own != 0);
    world_settle(w);
    CHECK_STATE(w, own, "done");
    world_close(w);
}

static enum slice_end await_status(struct job *job, struct failure *failure)
{
    (void)failure;
    static const char *const names[] = {"status", NULL};
    struct job_wait wait;
    char text[32];
    CHECK_INT(job_wait_find(job, "push", &wait), 0);
    if (wait.state == JOB_WAIT_DONE) {
        snprintf(text, sizeof text, "event %d", wait.event_seq != 0);
        world_trace(text);
        return SLICE_DONE;
    }
    CHECK_INT(job_request_await(job, "push", names, WORLD_START_MS + 60000), 0);
    return SLICE_UNWOUND;
}

static void an_await_ends_by_its_event_or_its_time(void)
{
    struct world *w = world_open(await_status);
    uint64_t a = world_order(w, "a", "a");
    uint64_t b = world_order(w, "b", "b");
    world_settle(w);
    world_overtake(w, "a", "other", EVENT_IDLE_KEEP);
    world_settle(w);
    CHECK_STATE(w, a, "awaiting");
    world_overtake(w, "a", "status", EVENT_IDLE_KEEP);
    world_settle(w);
    CHECK_STATE(w, a, "done");
    CHECK_STATE(w, b, "awaiting");
    world_restart(w);
    world_pass(w, 60001);
    CHECK_STATE(w, b, "done");
    CHECK_STR(w->trace, "event 1;event 0;");
    world_close(w);
}

static void an_await_takes_an_event_that_came_before_it_once(void)
{
    struct world *w = world_open(await_status);
    world_overtake(w, "a", "status", EVENT_IDLE_KEEP);
    uint64_t a = world_order(w, "a", "a");
    uint64_t b = world_order(w, "a", "b");
    world_settle(w);
    CHECK_STATE(w, a, "done");
    CHECK_STATE(w, b, "awaiting");
    world_close(w);
}

/* ---- Aliases -----------------------------------------------------------------------------------
 */

static int count_alias(void *arg, const char *alias)
{
    (void)alias;
    (*(int *)arg)++;
    return 0;
}

static void a_tombstone_under_an_alias_is_found_by_the_key(void)
{
    runs = 0;
    struct world *w = world_open(until_cancelled);
    world_overtake(w, "reference:ABC", "cancellation", EVENT_IDLE_KEEP);
    static const char *const aliases[] = {"reference:ABC", NULL};
    struct event_new event = delegation("5001");
    event.aliases = aliases;
    uint64_t id = world_accept(w, &event);
    world_settle(w);
    CHECK_STATE(w, id, "done");
    CHECK_STR(w->trace, "cancelled;");
    char *key = inbox_resolve(w->work, "reference:ABC");
    CHECK_STR(key, "order:5001");
    free(key);
    CHECK_INT(inbox_alias(w->work, "order:7", "reference:ABC"), ERROR_EXISTS);
    CHECK_INT(inbox_alias(w->work, "order:5001", "reference:ABC"), 0);
    int count = 0;
    CHECK_INT(inbox_each_alias(w->work, "order:5001", count_alias, &count), 0);
    CHECK_INT(count, 1);
    uint64_t by_alias = world_order(w, "reference:ABC", "z");
    struct job_info info;
    CHECK_INT(job_load(w->work, by_alias, &info), 0);
    CHECK_STR(info.key, "order:5001");
    job_info_free(&info);
    world_close(w);
}

static int count_conflicts(void *arg, const struct timeline_entry *entry)
{
    int *count = arg;
    *count += strcmp(entry->kind, "alias conflict") == 0 ? 1 : 0;
    return 0;
}

/* Seen before: a line of the log was all; later a cancellation by reference stopped the first. */
static int append_name(void *arg, const char *name)
{
    char *text = arg;
    snprintf(text + strlen(text), 100, "%s ", name);
    return 0;
}

static void a_key_knows_what_others_did_about_it(void)
{
    struct world *w = world_open(world_done);
    static const char *const KEYS[][2] = {
        {"cancellation:ABC", "reference:ABC"}, /* before the order is known */
        {"order:5001", "order:5001"},          {"units:order:5001", "order:5001"},
        {"units:order:5001", "order:5001"},    {"units:order:5002", "order:5002"},
    };
    char id[2] = "a";
    for (size_t i = 0; i < sizeof(KEYS) / sizeof(KEYS[0]); i++, id[0]++) {
        struct event_new event = delegation(id);
        struct accept_result result;
        struct error err;
        event.key = KEYS[i][0];
        event.about = KEYS[i][1];
        CHECK_INT(work_accept(w->work, &event, &result, &err), 0);
        accept_result_free(&result);
    }
    CHECK_INT(inbox_alias(w->work, "order:5001", "reference:ABC"), 0);
    world_settle(w);
    char names[200] = "";
    CHECK_INT(inbox_each_related(w->work, "order:5001", append_name, names), 0);
    CHECK_STR(names, "units:order:5001 cancellation:ABC ");
    world_close(w);
}

static void an_alias_of_another_key_is_an_exception(void)
{
    static const char *const aliases[] = {"reference:ABC", NULL};
    struct world *w = world_open(world_done);
    struct event_new event = delegation("1");
    event.aliases = aliases;
    world_accept(w, &event);
    event.id = "2";
    event.key = "order:5002";
    uint64_t second = world_accept(w, &event);
    world_settle(w);
    CHECK_STATE(w, second, "done");
    struct exception e;
    CHECK_INT(exception_load(w->work, "alias_conflict", "reference:ABC", &e), 0);
    CHECK_STR(e.message,
              "reference:ABC was given as a name of order:5002, but belongs to order:5001");
    exception_free(&e);
    int count = 0;
    CHECK_INT(timeline_each(w->work, "order:5001", false, count_conflicts, &count), 0);
    CHECK_INT(timeline_each(w->work, "order:5002", false, count_conflicts, &count), 0);
    CHECK_INT(count, 2);
    char *key = inbox_resolve(w->work, "reference:ABC");
    CHECK_STR(key, "order:5001");
    free(key);
    world_close(w);
}

static enum slice_end emit_and_fail(struct job *job, struct failure *failure)
{
    struct event_new event = {.source = "sweep", .id = "1", .key = "order:9", .name = "found"};
    bool is_new = false;
    struct error err;
    if (strcmp(job->info.key, "sweep") != 0) {
        return world_done(job, failure);
    }
    CHECK_INT(job_emit(job, &event, &is_new, &err), 0);
    CHECK(is_new);
    return runs++ == 0 ? world_fail(failure, "later", true) : SLICE_DONE;
}

static void an_emitted_event_lives_and_dies_with_its_slice(void)
{
    runs = 0;
    struct world *w = world_open(emit_and_fail);
    world_order(w, "sweep", "a");
    CHECK_INT(world_turn(w), 0);
    CHECK_INT(world_turn(w), 0);
    CHECK_INT(inbox_depth(w->work, "order:9"), 0);
    world_pass(w, 2000);
    CHECK_STR(w->trace, "order:9;");
    world_close(w);
}

static enum slice_end answer_it(struct job *job, struct failure *failure)
{
    (void)failure;
    struct event_answer answer = {200, bytes_str(""), bytes_str("ok")};
    CHECK_INT(job_answer(job, &answer), 0);
    CHECK_INT(job_answer(job, &answer), ERROR_EXISTS);
    CHECK_INT(the_world.answers, 0);
    return SLICE_DONE;
}

static void an_answer_of_the_job_is_told_after_the_commit(void)
{
    struct world *w = world_open(answer_it);
    world_order(w, "a", "a");
    world_settle(w);
    CHECK_INT(w->answers, 1);
    world_close(w);
}

int main(void)
{
    tap_case("a duplicate gets the first answer to the byte",
             a_duplicate_gets_the_first_answer_to_the_byte);
    tap_case("a repeat with another payload is told once",
             a_repeat_with_another_payload_is_told_once);
    tap_case("an alias of another key is an exception", an_alias_of_another_key_is_an_exception);
    tap_case("a key knows what others did about it", a_key_knows_what_others_did_about_it);
    tap_case("a large payload comes back as received", a_large_payload_comes_back_as_received);
    tap_case("an event without its parts is refused with words",
             an_event_without_its_parts_is_refused_with_words);
    tap_case("an aborted unit leaves nothing in memory", an_aborted_unit_leaves_nothing_in_memory);
    tap_case("an overtaking event reaches the job in each state",
             an_overtaking_event_reaches_the_job_in_each_state);
    tap_case("an event during a run reaches the wait after it",
             an_event_during_a_run_reaches_the_wait_after_it);
    tap_case("an await for another event is reached too",
             an_await_for_another_event_is_reached_too);
    tap_case("an event during a run reaches the await after it",
             an_event_during_a_run_reaches_the_await_after_it);
    tap_case("an event that no run looked at starts its own job",
             an_event_that_no_run_looked_at_starts_its_own_job);
    tap_case("without an open job it stays or starts one",
             without_an_open_job_it_stays_or_starts_one);
    tap_case("an await ends by its event or its time", an_await_ends_by_its_event_or_its_time);
    tap_case("an await takes an event that came before it once",
             an_await_takes_an_event_that_came_before_it_once);
    tap_case("a tombstone under an alias is found by the key",
             a_tombstone_under_an_alias_is_found_by_the_key);
    tap_case("an emitted event lives and dies with its slice",
             an_emitted_event_lives_and_dies_with_its_slice);
    tap_case("an answer of the job is told after the commit",
             an_answer_of_the_job_is_told_after_the_commit);
    return tap_done();
}
