/*
 * Records without sense: each is put aside, named by an exception, and nobody stands still for it.
 * Seen before: a broken exception or wait kept its job from ever ending, a broken audit head kept
 * every person from acting, a broken cancellation was as good as none, and a broken job was gone
 * with one line in the log.
 */
#include "core/store/keys.h"
#include "tests/support/work_world.h"

static int runs;

static void break_record(struct world *w, const struct key *key)
{
    struct bytes value;
    CHECK_INT(store_get(w->store, key_bytes(key), &value), 0);
    CHECK_INT(store_put(w->store, key_bytes(key), bytes_str("\x01rubbish")), 0);
}

static int count_one(void *arg, const struct exception *e)
{
    CHECK(e->message[0] != '\0');
    (*(int *)arg)++;
    return 0;
}

static void expect_told(struct world *w, int count)
{
    int seen = 0;
    CHECK_INT(exception_each(w->work, EXCEPTION_BROKEN_RECORD, count_one, &seen), 0);
    CHECK_INT(seen, count);
}

static enum slice_end hold_once(struct job *job, struct failure *failure)
{
    (void)failure;
    return runs++ == 0 ? world_hold(job, "unknown_code", "X", RECHECK_MANUAL) : SLICE_DONE;
}

static void a_broken_exception_keeps_no_job(void)
{
    static const enum key_table tables[] = {KEY_EXCEPTION, KEY_WAITER_OF};
    for (size_t i = 0; i < 2; i++) {
        runs = 0;
        struct world *w = world_open(hold_once);
        struct key key;
        uint64_t id = world_order(w, "order:1", "a");
        world_settle(w);
        CHECK_STATE(w, id, "held");
        key_begin(&key, tables[i]);
        if (tables[i] == KEY_WAITER_OF) {
            key_u64(&key, id);
        }
        key_text(&key, "unknown_code");
        key_text(&key, "X");
        break_record(w, &key);
        CHECK_INT(job_retry(w->work, id, "eve", "again"), 0);
        world_settle(w);
        CHECK_STATE(w, id, "done");
        expect_told(w, 1);
        world_close(w);
    }
}

static enum slice_end sleep_once(struct job *job, struct failure *failure)
{
    struct job_wait wait;
    (void)failure;
    CHECK_INT(job_wait_find(job, "nap", &wait), 0);
    if (wait.state == JOB_WAIT_DONE) {
        return SLICE_DONE;
    }
    CHECK_INT(job_request_sleep(job, "nap", 1000), 0);
    return SLICE_UNWOUND;
}

static void a_broken_wait_is_waited_once_more(void)
{
    struct world *w = world_open(sleep_once);
    struct key key;
    uint64_t id = world_order(w, "order:1", "a");
    world_settle(w);
    key_begin(&key, KEY_WAIT);
    key_u64(&key, id);
    key_text(&key, "nap");
    break_record(w, &key);
    CHECK_INT(job_retry(w->work, id, "eve", "at once"), 0);
    world_settle(w);
    CHECK_STATE(w, id, "waiting");
    expect_told(w, 1);
    world_pass(w, 1000);
    CHECK_STATE(w, id, "done");
    world_close(w);
}

static void a_broken_audit_head_keeps_nobody_from_acting(void)
{
    runs = 0;
    struct world *w = world_open(hold_once);
    struct key key;
    uint64_t id = world_order(w, "order:1", "a");
    world_settle(w);
    struct audit_entry entry = {.who = "eve", .action = "login", .subject = "", .detail = ""};
    CHECK_INT(audit_append(w->work, &entry), 0);
    key_begin(&key, KEY_META);
    key_raw(&key, bytes_str("audit.head"));
    break_record(w, &key);
    struct exception_act act = {"unknown_code", "X", "eve", "created"};
    CHECK_INT(exception_release(w->work, &act), 0);
    world_settle(w);
    CHECK_STATE(w, id, "done");
    expect_told(w, 1);
    uint64_t count = 0;
    struct error err;
    CHECK_INT(audit_verify(w->work, &count, &err), 0);
    CHECK_INT(count, 2);
    world_close(w);
}

static enum slice_end post_unless_cancelled(struct job *job, struct failure *failure)
{
    static const struct effect_spec post = {"khaos",       "import", "O1",
                                            EFFECT_LOOKUP, NULL,     "cancellation"};
    uint64_t id = 0;
    int rc = effect_intend(job, &post, bytes_str("POST"), &id);
    if (rc == 0) {
        runs++;
        CHECK_INT(effect_answered(job->work, id, bytes_str("SO1")), 0);
        CHECK_INT(effect_confirm(job->work, id, bytes_str("1")), 0);
        return SLICE_DONE;
    }
    CHECK_INT(rc, ERROR_CORRUPT);
    return world_fail(failure, "the mailbox cannot be read", false);
}

static void a_broken_cancellation_holds_the_order(void)
{
    runs = 0;
    struct world *w = world_open(post_unless_cancelled);
    struct key key;
    world_overtake(w, "order:1", "cancellation", EVENT_IDLE_KEEP);
    uint64_t id = world_order(w, "order:1", "a");
    key_begin(&key, KEY_MAILBOX);
    key_text(&key, "order:1");
    key_u64(&key, 1); /* the first event */
    break_record(w, &key);
    world_settle(w);
    CHECK_STATE(w, id, "held");
    CHECK_INT(runs, 0);
    expect_told(w, 1);
    CHECK_INT(job_retry(w->work, id, "eve", "looked: not cancelled"), 0);
    world_settle(w);
    CHECK_STATE(w, id, "done");
    CHECK_INT(runs, 1);
    world_close(w);
}

static void a_broken_job_is_told(void)
{
    struct world *w = world_open(world_done);
    struct key key;
    for (uint64_t i = 0; i < 2; i++) {
        uint64_t id = world_order(w, i == 0 ? "order:1" : "order:2", i == 0 ? "a" : "b");
        key_begin(&key, KEY_JOB);
        key_u64(&key, id);
        break_record(w, &key);
    }
    world_settle(w);
    CHECK_INT(work_stats(w->work)->quarantined, 2);
    expect_told(w, 2);
    world_close(w);
}

int main(void)
{
    tap_case("a broken exception keeps no job from ending", a_broken_exception_keeps_no_job);
    tap_case("a broken wait is waited once more", a_broken_wait_is_waited_once_more);
    tap_case("a broken audit head keeps nobody from acting",
             a_broken_audit_head_keeps_nobody_from_acting);
    tap_case("a broken cancellation holds the order", a_broken_cancellation_holds_the_order);
    tap_case("every broken job is told", a_broken_job_is_told);
    return tap_done();
}
