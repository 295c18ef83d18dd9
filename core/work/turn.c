/*
 * The turn. Works take slices one after the other, so a busy client cannot hold back the commits of
 * the rest; then each touched work commits and its outbox leaves.
 */
#include "core/work/turn.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/kill_point.h"
#include "core/base/log.h"
#include "core/base/xalloc.h"
#include "core/work/work_state.h"

struct turn {
    struct loop *loop;
    struct work **works;
    size_t count;
    size_t first; /* takes the first slice of the next turn */
};

/* ---- Outbox ------------------------------------------------------------------------------------
 */

static void outbox_add(struct outbox *outbox, turn_release_fn fn, void *arg)
{
    if (outbox->count == outbox->capacity) {
        outbox->capacity = outbox->capacity == 0 ? 16 : outbox->capacity * 2;
        outbox->list = xrealloc(outbox->list, outbox->capacity * sizeof *outbox->list);
    }
    outbox->list[outbox->count++] = (struct outbox_entry){fn, arg};
}

void outbox_move(struct outbox *from, struct outbox *to)
{
    assert(to->count == 0);
    free(to->list);
    *to = *from;
    memset(from, 0, sizeof *from);
}

/* An entry may forget later ones of the same list, so each is looked at when its turn comes. */
void outbox_run(struct outbox *outbox, bool is_durable)
{
    for (size_t i = 0; i < outbox->count; i++) {
        struct outbox_entry entry = outbox->list[i];
        outbox->list[i].fn = NULL;
        if (entry.fn != NULL) {
            entry.fn(entry.arg, is_durable);
        }
    }
    free(outbox->list);
    memset(outbox, 0, sizeof *outbox);
}

static bool has_uncommitted(const struct work *work)
{
    return work->depth > 0 || work->is_committing || work->must_drop || work->fatal != 0 ||
           store_is_dirty(work->options.store);
}

void turn_release(struct work *work, turn_release_fn fn, void *arg)
{
    if (!has_uncommitted(work) && work->outbox.count == 0 && work->sealed.count == 0) {
        fn(arg, true);
        return;
    }
    outbox_add(&work->outbox, fn, arg);
}

static void forget(struct outbox *outbox, turn_release_fn fn, void *arg)
{
    for (size_t i = 0; i < outbox->count; i++) {
        if (outbox->list[i].fn == fn && outbox->list[i].arg == arg) {
            outbox->list[i].fn = NULL;
        }
    }
}

void turn_release_cancel(struct work *work, turn_release_fn fn, void *arg)
{
    forget(&work->outbox, fn, arg);
    forget(&work->sealed, fn, arg);
}

/* ---- Commit ------------------------------------------------------------------------------------
 */

static void on_committed(void *arg, int rc, const struct error *err)
{
    struct work *work = arg;
    work->is_committing = false;
    if (rc == 0) {
        work->stats.commits++;
        ready_queue_move(&work->fresh, &work->ready);
        kill_point_after(KILL_COMMIT, work->client);
        outbox_run(&work->sealed, true);
        return;
    }
    if (rc == ERROR_FULL) {
        /* What was sealed is lost with the turn; work_drop_turn tells the rest. */
        work->must_drop = true;
        outbox_run(&work->sealed, false);
        return;
    }
    work->fatal = rc;
    work->fatal_error = *err;
    outbox_run(&work->sealed, false);
}

static void commit(struct work *work)
{
    struct store *store = work->options.store;
    if (work->fatal != 0 || work->is_committing) {
        return;
    }
    if (!work->must_drop && (store_is_dirty(store) || work->outbox.count > 0)) {
        assert(work->depth == 0);
        outbox_move(&work->outbox, &work->sealed);
        work->is_committing = true;
        kill_point_before(KILL_COMMIT, work->client);
        store_commit(store, on_committed, work);
    } else if (!work->must_drop) {
        store_abort(store); /* gives back a transaction in which nothing was written */
        ready_queue_move(&work->fresh, &work->ready);
    }
    if (work->must_drop) {
        work_drop_turn(work);
    } else if (!work->is_committing) {
        work_tend_space(work);
        erasure_tend(work);
        retention_tend(work);
    }
}

/* ---- The turn ----------------------------------------------------------------------------------
 */

struct turn *turn_new(struct loop *loop)
{
    struct turn *turn = xcalloc(1, sizeof *turn);
    turn->loop = loop;
    return turn;
}

void turn_free(struct turn *turn)
{
    if (turn != NULL) {
        free(turn->works);
        free(turn);
    }
}

void turn_add(struct turn *turn, struct work *work)
{
    turn->works = xrealloc(turn->works, (turn->count + 1) * sizeof(struct work *));
    turn->works[turn->count++] = work;
}

void turn_remove(struct turn *turn, struct work *work)
{
    for (size_t i = 0; i < turn->count; i++) {
        if (turn->works[i] == work) {
            memmove(&turn->works[i], &turn->works[i + 1],
                    (turn->count - i - 1) * sizeof(struct work *));
            turn->count--;
            return;
        }
    }
}

bool turn_has_work(const struct turn *turn)
{
    for (size_t i = 0; i < turn->count; i++) {
        struct work *work = turn->works[i];
        bool is_due = (work->is_due || work->is_parked_due) && !work->is_draining;
        bool is_waiting = work_has_ready(work) || is_due || work->must_drop || work->is_due_stale ||
                          store_is_dirty(work->options.store) || work->outbox.count > 0;
        if (is_waiting && !work->is_full) {
            return true;
        }
    }
    return false;
}

/*
 * One slice of each work, then again, until a cap is reached or nothing is ready. A work whose job
 * used up its slice is done for this turn, and no pass begins after TURN_LUA_MS: whoever computes
 * at length must not keep requests of others from being read and answered.
 */
static size_t run_slices(struct turn *turn)
{
    size_t total = 0;
    int64_t end_ms = clock_mono_ms(loop_clock(turn->loop)) + TURN_LUA_MS;
    for (size_t i = 0; i < turn->count; i++) {
        turn->works[i]->has_spent_turn = false;
    }
    for (unsigned pass = 0; pass < TURN_SLICES_PER_WORK; pass++) {
        size_t ran = 0;
        for (size_t i = 0; i < turn->count && total < TURN_SLICES; i++) {
            struct work *work = turn->works[(turn->first + i) % turn->count];
            bool may_run = !work->must_drop && work->fatal == 0 && !work->has_spent_turn;
            if (may_run && slice_run(work) == 1) {
                ran++;
                total++;
            }
        }
        bool is_late = clock_mono_ms(loop_clock(turn->loop)) >= end_ms;
        if (ran == 0 || total >= TURN_SLICES || is_late) {
            break;
        }
    }
    if (turn->count > 0) {
        turn->first = (turn->first + 1) % turn->count;
    }
    return total;
}

static int report_fatal(const struct turn *turn, struct error *err)
{
    for (size_t i = 0; i < turn->count; i++) {
        const struct work *work = turn->works[i];
        if (work->fatal != 0) {
            return error_set(err, ERROR_IO, "client %s: %s", work->client,
                             work->fatal_error.message);
        }
    }
    return 0;
}

static void run_due(struct work *work)
{
    int rc = work_settle(work);
    rc = rc != 0 ? rc : work_run_due(work);
    rc = rc != 0 ? rc : parking_run_due(work);
    if (rc != 0 && !work->must_drop && work->fatal == 0) {
        log_msg(LOG_ERROR, work->area, "what is due cannot run: %s", error_code_name(rc));
    }
}

void turn_begin(struct turn *turn, bool may_wait, bool *is_idle_out)
{
    bool had_work = turn_has_work(turn);
    bool may_happen = loop_poll(turn->loop, may_wait && !had_work);
    for (size_t i = 0; i < turn->count; i++) {
        run_due(turn->works[i]);
    }
    size_t slices = run_slices(turn);
    if (is_idle_out != NULL) {
        *is_idle_out = !may_happen && !had_work && slices == 0 && !turn_has_work(turn);
    }
}

bool turn_is_dirty(const struct turn *turn)
{
    for (size_t i = 0; i < turn->count; i++) {
        if (store_is_dirty(turn->works[i]->options.store)) {
            return true;
        }
    }
    return false;
}

int turn_end(struct turn *turn, struct error *err)
{
    for (size_t i = 0; i < turn->count; i++) {
        commit(turn->works[i]);
        work_arm_timer(turn->works[i]);
    }
    return report_fatal(turn, err);
}

int turn_run(struct turn *turn, bool may_wait, bool *is_idle_out, struct error *err)
{
    turn_begin(turn, may_wait, is_idle_out);
    return turn_end(turn, err);
}
