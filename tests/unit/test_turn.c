/* The turn: nothing leaves before its commit; a full map drops the turn and loses nothing durable.
 */
#include "core/work/erasure.h"
#include "core/work/work_state.h"
#include "tests/support/work_world.h"

static int sent;
static int dropped;

static void on_release(void *arg, bool is_durable)
{
    world_trace(arg);
    CHECK(!is_durable || !store_is_dirty(the_world.store));
    sent += is_durable ? 1 : 0;
    dropped += is_durable ? 0 : 1;
}

static char text_a[] = "A";
static char text_b[] = "B";
static char text_c[] = "C";

static enum slice_end send_from_slice(struct job *job, struct failure *failure)
{
    (void)failure;
    CHECK_INT(counter_add(job->work, "n", 1), 0);
    turn_release(job->work, on_release, text_b);
    CHECK_INT(sent, 0);
    world_trace("slice");
    return SLICE_DONE;
}

static void nothing_is_released_before_the_commit(void)
{
    sent = dropped = 0;
    struct world *w = world_open(send_from_slice);
    world_settle(w);
    turn_release(w->work, on_release, text_a); /* nothing uncommitted: at once */
    CHECK_INT(sent, 1);
    sent = 0;
    world_order(w, "order:1", "a");
    turn_release(w->work, on_release, text_a);
    CHECK_INT(sent, 0);
    CHECK_INT(world_turn(w), 0);
    CHECK_STR(w->trace, "A;A;"); /* the job is durable before it starts */
    sent = 0;
    CHECK_INT(world_turn(w), 0);
    CHECK_STR(w->trace, "A;A;slice;B;");
    CHECK_INT(dropped, 0);
    world_close(w);
}

static void a_cancelled_release_never_runs(void)
{
    sent = dropped = 0;
    struct world *w = world_open(world_done);
    world_order(w, "order:1", "a");
    turn_release(w->work, on_release, text_a);
    turn_release(w->work, on_release, text_b);
    turn_release_cancel(w->work, on_release, text_a);
    world_settle(w);
    CHECK_INT(sent, 1);
    world_order(w, "order:2", "b");
    turn_release(w->work, on_release, text_c);
    world_close(w); /* the process ends before the commit */
    CHECK_INT(dropped, 1);
}

static int big_rounds;

/* Writes more than the map holds, after an honest part. */
static enum slice_end fill_the_map(struct job *job, struct failure *failure)
{
    (void)failure;
    static char block[100000];
    world_trace("fill");
    turn_release(job->work, on_release, text_b);
    for (int i = 0; i < big_rounds; i++) {
        char key[32];
        snprintf(key, sizeof key, "k%d", i);
        int rc = script_table_put(job->work, bytes_str("t"), bytes_str(key),
                                  bytes_of(block, sizeof block));
        if (rc != 0) {
            CHECK_INT(rc, ERROR_FULL);
            CHECK_INT(step_put(job, "x", bytes_str("1")), ERROR_FULL);
            return SLICE_DONE; /* whatever it says: the turn is dropped */
        }
    }
    return SLICE_DONE;
}

static struct world *small_world(world_script_fn script, uint64_t map_max_bytes)
{
    struct world *w = world_open(script);
    world_crash(w);
    w->map_bytes = 1 << 20;
    w->map_max_bytes = map_max_bytes;
    world_open_work(w);
    return w;
}

static void a_full_map_drops_the_turn_grows_and_goes_on(void)
{
    sent = dropped = 0;
    big_rounds = 20;
    struct world *w = small_world(fill_the_map, 64 << 20);
    uint64_t id = world_order(w, "order:1", "a");
    CHECK_INT(world_turn(w), 0);
    uint64_t lost = world_order(w, "order:9", "z");
    turn_release(w->work, on_release, text_a);
    CHECK_INT(world_turn(w), 0);
    CHECK_INT(dropped, 2); /* what the slice sends, and the answer to an event of that turn: 503 */
    CHECK_STATE(w, lost, "unknown");
    CHECK_INT(work_stats(w->work)->turns_dropped, 1);
    CHECK(!work_is_full(w->work));
    CHECK_STATE(w, id, "ready");
    w->script = world_done;
    world_settle(w);
    w->script = fill_the_map;
    uint64_t next = world_order(w, "order:2", "b");
    CHECK_STATE(w, id, "done");
    world_settle(w);
    CHECK_STATE(w, next, "done");
    CHECK_INT(sent, 1);
    CHECK_INT(work_live_count(w->work), 0);
    world_close(w);
}

static void a_map_at_its_maximum_refuses_until_there_is_space(void)
{
    sent = dropped = 0;
    big_rounds = 40;
    struct world *w = small_world(fill_the_map, 1 << 20);
    world_order(w, "order:1", "a");
    CHECK_INT(world_turn(w), 0);
    CHECK_INT(world_turn(w), 0);
    CHECK(work_is_full(w->work));
    struct event_new event = {.source = "s", .id = "1", .name = "n", .flow = "f"};
    struct accept_result result;
    struct error err;
    CHECK_INT(work_accept(w->work, &event, &result, &err), ERROR_FULL);
    CHECK_INT(world_turn(w), 0);
    w->script = world_done;
    clock_advance(w->clock, 6000);
    CHECK_INT(world_turn(w), 0);
    CHECK(!work_is_full(w->work)); /* the disk has room: it tries again */
    CHECK_INT(work_accept(w->work, &event, &result, &err), 0);
    accept_result_free(&result);
    world_close(w);
}

static void slices_share_a_commit(void)
{
    struct world *w = world_open(world_done);
    world_settle(w);
    uint64_t before = work_stats(w->work)->commits;
    for (int i = 0; i < 50; i++) {
        char key[32];
        snprintf(key, sizeof key, "order:%d", i);
        world_order(w, key, key);
    }
    world_settle(w);
    CHECK_INT(work_stats(w->work)->commits - before, 2); /* of the accepts, of the slices */
    CHECK_INT(work_stats(w->work)->done, 50);
    world_close(w);
}

static enum slice_end compute_for_ever(struct job *job, struct failure *failure)
{
    (void)job;
    (void)failure;
    return SLICE_PREEMPTED;
}

/* Seen on a running host: an endless loop ran 64 slices a turn, and every request waited for them.
 */
static void a_job_that_computes_gets_one_slice_a_turn(void)
{
    struct world *w = world_open(compute_for_ever);
    world_order(w, "a", "a");
    CHECK_INT(world_turn(w), 0);
    struct error err;
    uint64_t before = 0;
    for (int turn = 0; turn < 3; turn++) {
        before = work_stats(w->work)->slices;
        CHECK_INT(turn_run(w->turn, false, NULL, &err), 0);
        CHECK_INT(work_stats(w->work)->slices - before, 1);
    }
    world_close(w);
}

static void a_world_with_nothing_left_is_idle(void)
{
    struct world *w = world_open(world_done);
    struct error err;
    bool is_idle = false;
    world_order(w, "order:1", "a");
    CHECK_INT(turn_run(w->turn, true, &is_idle, &err), 0);
    CHECK(!is_idle);
    for (int i = 0; i < 5 && !is_idle; i++) {
        CHECK_INT(turn_run(w->turn, true, &is_idle, &err), 0);
    }
    CHECK(is_idle);
    world_close(w);
}

static int count_job(void *arg, const struct job_info *info)
{
    (void)info;
    (*(int *)arg)++;
    return 0;
}

static void a_read_only_store_answers_questions_and_takes_no_writes(void)
{
    struct world *w = world_open(world_done);
    world_order(w, "order:1", "a");
    world_settle(w);
    w->script = NULL;
    struct pause pause = {.kind = PAUSE_FLOW, .name = "orders", .who = "eve", .reason = "x"};
    CHECK_INT(pause_set(w->work, &pause), 0);
    world_order(w, "order:2", "b");
    world_settle(w);
    world_crash(w);
    struct store_options options = {.path = w->folder, .is_read_only = true};
    struct store *store;
    struct work *work;
    struct error err;
    CHECK_INT(store_open(&store, &options, &err), 0);
    struct work_options work_options = {
        .client = "acme", .store = store, .clock = w->clock, .is_read_only = true};
    CHECK_INT(work_open(&work, &work_options, &err), 0);
    struct job_counts counts;
    CHECK_INT(job_count(work, &counts), 0);
    CHECK_INT(counts.by_state[JOB_DONE], 1);
    CHECK_INT(counts.by_state[JOB_READY], 1);
    int jobs = 0;
    CHECK_INT(job_each(work, JOB_READY, count_job, &jobs), 0);
    CHECK_INT(job_each_of_key(work, "order:1", count_job, &jobs), 0);
    CHECK_INT(jobs, 2);
    CHECK_INT(job_dismiss(work, 1, "eve", "x"), ERROR_INVALID);
    CHECK_INT(counter_add(work, "n", 1), ERROR_INVALID);
    work_close(work);
    store_close(store);
    world_open_work(w);
    world_close(w);
}

/* ---- A store that fails -------------------------------------------------------------------------
 */

static struct world *fake_world(world_script_fn script)
{
    sent = dropped = 0;
    struct world *w = world_open(script);
    world_settle(w);
    world_crash(w);
    w->has_fake_store = true;
    world_open_work(w);
    world_settle(w);
    return w;
}

static int run_turn(struct world *w, struct error *err)
{
    error_clear(err);
    return turn_run(w->turn, false, NULL, err);
}

static void a_failed_sync_stops_the_turns_and_is_not_tried_again(void)
{
    struct world *w = fake_world(send_from_slice);
    struct error err;
    world_order(w, "order:1", "a");
    CHECK_INT(run_turn(w, &err), 0);
    world_order(w, "order:2", "b");
    turn_release(w->work, on_release, text_a);
    w->fake->commit_rc = ERROR_IO;
    w->fake->commits = 0;
    CHECK_INT(run_turn(w, &err), ERROR_IO);
    CHECK_STR(err.message, "client acme: the disk does not sync");
    CHECK_INT(dropped, 2); /* the answer and the send of the slice */
    w->fake->commit_rc = 0;
    CHECK_INT(run_turn(w, &err), ERROR_IO); /* whoever asks again hears the same */
    CHECK_INT(w->fake->commits, 1);
    struct event_new event = {.source = "s", .id = "1", .name = "n", .flow = "f"};
    struct accept_result result;
    CHECK_INT(work_accept(w->work, &event, &result, &err), ERROR_IO);
    turn_release(w->work, on_release, text_c);
    CHECK_INT(sent, 0); /* nothing is durable any more, whatever the store says */
    world_close(w);
    CHECK_INT(sent, 0);
    CHECK_INT(dropped, 3);
}

static void a_write_that_fails_on_disk_stops_the_turns_before_the_commit(void)
{
    struct world *w = fake_world(send_from_slice);
    struct error err;
    world_order(w, "order:1", "a");
    CHECK_INT(run_turn(w, &err), 0);
    w->fake->put_rc = ERROR_IO;
    w->fake->puts_before = 1;
    w->script = world_done;
    w->fake->commits = 0;
    CHECK_INT(run_turn(w, &err), ERROR_IO);
    CHECK_INT(w->fake->commits, 0);
    world_close(w);
}

static void a_commit_without_space_drops_the_turn_and_runs_it_again(void)
{
    struct world *w = fake_world(send_from_slice);
    struct error err;
    uint64_t id = world_order(w, "order:1", "a");
    CHECK_INT(run_turn(w, &err), 0);
    CHECK_INT(run_turn(w, &err), 0);
    CHECK_STATE(w, id, "done");
    id = world_order(w, "order:2", "b");
    turn_release(w->work, on_release, text_a);
    w->fake->commit_rc = ERROR_FULL;
    dropped = sent = 0;
    CHECK_INT(run_turn(w, &err), 0);
    CHECK_INT(dropped, 1);
    CHECK_STATE(w, id, "unknown");
    w->fake->commit_rc = 0;
    id = world_order(w, "order:2", "b"); /* told 503, it comes again */
    world_settle(w);
    CHECK_STATE(w, id, "done");
    CHECK_INT(sent, 1);
    world_close(w);
}

static enum slice_end write_too_much(struct job *job, struct failure *failure)
{
    if (job->info.attempt == 1) {
        the_world.fake->nested_commit_rc = ERROR_LIMIT;
    }
    return world_done(job, failure);
}

/* Seen before: the job kept its coroutine and no place in the queue, so its key stood still; later
 * it was held for a person, though others had filled the turn and the next one has room. */
static void a_slice_that_cannot_be_kept_is_tried_again(void)
{
    struct world *w = fake_world(write_too_much);
    uint64_t id = world_order(w, "order:1", "a");
    world_settle(w);
    CHECK_STATE(w, id, "waiting");
    CHECK_INT(work_live_count(w->work), 0);
    world_pass(w, 60000);
    CHECK_STATE(w, id, "done");
    world_close(w);
}

/* Seen before: it was forgotten until a restart. */
static void a_job_that_cannot_begin_is_tried_again(void)
{
    struct world *w = fake_world(world_done);
    uint64_t id = world_order(w, "order:1", "a");
    w->fake->nested_commit_rc = ERROR_LIMIT;
    world_settle(w);
    CHECK_STATE(w, id, "ready");
    world_pass(w, WORK_STALLED_MS);
    CHECK_STATE(w, id, "done");
    world_close(w);
}

static enum slice_end nap(struct job *job, struct failure *failure)
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

/* Seen before: the first that was due and could not be woken kept all later ones of its client. */
static void who_cannot_be_woken_keeps_nobody_waiting(void)
{
    struct world *w = fake_world(nap);
    uint64_t a = world_order(w, "order:1", "a");
    uint64_t b = world_order(w, "order:2", "b");
    world_settle(w);
    clock_advance(w->clock, 1000);
    w->fake->nested_commit_rc = ERROR_LIMIT;
    CHECK_INT(world_turn(w), 0);
    CHECK_STATE(w, a, "waiting");
    CHECK_STATE(w, b, "ready");
    world_pass(w, WORK_STALLED_MS);
    CHECK_STATE(w, a, "done");
    CHECK_STATE(w, b, "done");
    world_close(w);
}

/* Seen before: a reload in a dropped turn, or without space, never reached the store, so that jobs
 * held until the next scripts were not released. */
static void new_scripts_outlive_a_dropped_turn(void)
{
    struct world *w = fake_world(world_done);
    CHECK_INT(world_turn(w), 0);
    CHECK_INT(work_generation_changed(w->work, 2), 0);
    w->fake->commit_rc = ERROR_FULL;
    CHECK_INT(world_turn(w), 0);
    w->fake->commit_rc = 0;
    world_settle(w);
    CHECK_INT(erasure_stored_generation(w->store), 2);
    world_close(w);
}

static void while_a_commit_is_on_its_way_nothing_runs_or_leaves(void)
{
    struct world *w = fake_world(send_from_slice);
    struct error err;
    uint64_t id = world_order(w, "order:1", "a");
    CHECK_INT(run_turn(w, &err), 0);
    w->fake->defers = true;
    CHECK_INT(run_turn(w, &err), 0);
    CHECK_STATE(w, id, "done");
    CHECK_INT(sent, 0);
    struct event_new event = {.source = "s", .id = "1", .name = "n", .flow = "f"};
    struct accept_result result;
    CHECK_INT(work_accept(w->work, &event, &result, &err), ERROR_FULL);
    turn_release(w->work, on_release, text_c);
    CHECK_INT(run_turn(w, &err), 0);
    CHECK_INT(sent, 0);
    fake_store_finish(w->fake);
    CHECK_INT(sent, 1);
    w->fake->defers = false;
    world_settle(w);
    CHECK_INT(sent, 2);
    CHECK_INT(work_accept(w->work, &event, &result, &err), 0);
    accept_result_free(&result);
    world_close(w);
}

/* ---- Several clients ----------------------------------------------------------------------------
 */

#define CLIENTS 6

struct client {
    char folder[96];
    struct store *store;
    struct work *work;
};

static void open_client(struct world *w, struct client *c, const char *name, int orders)
{
    struct error err;
    snprintf(c->folder, sizeof c->folder, "%s_%s", w->folder, name);
    struct store_options options = {.path = c->folder, .is_volatile = true, .reserve_bytes = 1};
    CHECK_INT(store_open(&c->store, &options, &err), 0);
    struct work_options work_options = {
        .client = name,
        .store = c->store,
        .clock = w->clock,
        .loop = w->loop,
        .random = &w->random,
        .runner = {w, world_slice, world_drop},
        .generation = 1,
    };
    CHECK_INT(work_open(&c->work, &work_options, &err), 0);
    turn_add(w->turn, c->work);
    for (int i = 0; i < orders; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", i);
        struct event_new event = {.source = "s", .id = id, .name = "n", .flow = "f"};
        struct accept_result result;
        CHECK_INT(work_accept(c->work, &event, &result, &err), 0);
        accept_result_free(&result);
    }
}

static void close_client(struct world *w, struct client *c)
{
    turn_remove(w->turn, c->work);
    work_close(c->work);
    store_close(c->store);
    static const char *const files[] = {"data.mdb", "lock.mdb"};
    for (size_t i = 0; i < 2; i++) {
        char *path = xasprintf("%s/%s", c->folder, files[i]);
        unlink(path);
        free(path);
    }
    rmdir(c->folder);
}

static enum slice_end quiet_done(struct job *job, struct failure *failure)
{
    (void)job;
    (void)failure;
    return SLICE_DONE;
}

static void a_busy_client_does_not_hold_back_the_others(void)
{
    struct world *w = world_open(quiet_done);
    struct client busy;
    struct client calm;
    open_client(w, &busy, "busy", 300);
    open_client(w, &calm, "calm", 5);
    CHECK_INT(world_turn(w), 0); /* the accepts */
    CHECK_INT(world_turn(w), 0);
    CHECK_INT(work_stats(busy.work)->done, TURN_SLICES_PER_WORK);
    CHECK_INT(work_stats(calm.work)->done, 5);
    CHECK_INT(work_stats(busy.work)->commits, 2);
    CHECK_INT(work_stats(calm.work)->commits, 2);
    world_settle(w);
    while (work_has_ready(busy.work)) {
        CHECK_INT(world_turn(w), 0);
    }
    CHECK_INT(work_stats(busy.work)->done, 300);
    close_client(w, &busy);
    close_client(w, &calm);
    world_close(w);
}

static void a_turn_shares_its_slices_among_all_clients(void)
{
    struct world *w = world_open(quiet_done);
    struct client clients[CLIENTS];
    uint64_t before[CLIENTS] = {0};
    for (int i = 0; i < CLIENTS; i++) {
        char name[16];
        snprintf(name, sizeof name, "c%d", i);
        open_client(w, &clients[i], name, 100);
    }
    CHECK_INT(world_turn(w), 0); /* the accepts */
    for (int round = 0; round < 2; round++) {
        uint64_t total = 0;
        CHECK_INT(world_turn(w), 0);
        for (int i = 0; i < CLIENTS; i++) {
            uint64_t done = work_stats(clients[i].work)->done - before[i];
            CHECK(done >= TURN_SLICES / (CLIENTS + 1) && done <= TURN_SLICES / CLIENTS + 1);
            before[i] += done;
            total += done;
        }
        CHECK_INT(total, TURN_SLICES);
    }
    for (int i = 0; i < CLIENTS; i++) {
        close_client(w, &clients[i]);
    }
    world_close(w);
}

int main(void)
{
    tap_case("nothing is released before the commit", nothing_is_released_before_the_commit);
    tap_case("a cancelled release never runs", a_cancelled_release_never_runs);
    tap_case("a full map drops the turn, grows and goes on",
             a_full_map_drops_the_turn_grows_and_goes_on);
    tap_case("a map at its maximum refuses until there is space",
             a_map_at_its_maximum_refuses_until_there_is_space);
    tap_case("slices share a commit", slices_share_a_commit);
    tap_case("a job that computes gets one slice a turn",
             a_job_that_computes_gets_one_slice_a_turn);
    tap_case("a world with nothing left is idle", a_world_with_nothing_left_is_idle);
    tap_case("a read-only store answers questions and takes no writes",
             a_read_only_store_answers_questions_and_takes_no_writes);
    tap_case("a failed sync stops the turns and is not tried again",
             a_failed_sync_stops_the_turns_and_is_not_tried_again);
    tap_case("a write that fails on disk stops the turns before the commit",
             a_write_that_fails_on_disk_stops_the_turns_before_the_commit);
    tap_case("a commit without space drops the turn and runs it again",
             a_commit_without_space_drops_the_turn_and_runs_it_again);
    tap_case("a slice that cannot be kept is tried again",
             a_slice_that_cannot_be_kept_is_tried_again);
    tap_case("a job that cannot begin is tried again", a_job_that_cannot_begin_is_tried_again);
    tap_case("who cannot be woken keeps nobody waiting", who_cannot_be_woken_keeps_nobody_waiting);
    tap_case("new scripts outlive a dropped turn", new_scripts_outlive_a_dropped_turn);
    tap_case("while a commit is on its way nothing runs or leaves",
             while_a_commit_is_on_its_way_nothing_runs_or_leaves);
    tap_case("a busy client does not hold back the others",
             a_busy_client_does_not_hold_back_the_others);
    tap_case("a turn shares its slices among all clients",
             a_turn_shares_its_slices_among_all_clients);
    return tap_done();
}
