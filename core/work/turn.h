/*
 * The turn of the host over all its clients:
 *   poll -> slices, round-robin -> commit each touched client -> release its outbox -> next.
 * Nothing leaves the process before the state that explains it is durable.
 */
#ifndef NEAP_CORE_WORK_TURN_H
#define NEAP_CORE_WORK_TURN_H

#include "core/work/work.h"

struct turn;

#define TURN_SLICES_PER_WORK 64  /* group commit: this many jobs share one commit at most */
#define TURN_LUA_MS          20  /* Lua of one turn, before the next look at the sockets */
#define TURN_SLICES          256 /* a turn is at most this many slices, then everyone commits */

struct turn *turn_new(struct loop *loop); /* loop is borrowed */
void turn_free(struct turn *turn);        /* works are not closed */
void turn_add(struct turn *turn, struct work *work);
void turn_remove(struct turn *turn, struct work *work);

/*
 * One turn. may_wait: sleep in the poll when nothing is ready. *is_idle_out (may be NULL): nothing
 * ran and nothing can ever happen any more (virtual clock, no timer). ERROR_IO: a commit failed;
 * the host must stop with a non-zero exit and never retry it.
 */
int turn_run(struct turn *turn, bool may_wait, bool *is_idle_out, struct error *err) NEAP_MUST_USE;

/*
 * turn_run in its two halves, for a simulation in which a process ends between them: what
 * turn_begin did is lost then when turn_is_dirty, and nothing of it has left.
 */
void turn_begin(struct turn *turn, bool may_wait, bool *is_idle_out);
bool turn_is_dirty(const struct turn *turn);
int turn_end(struct turn *turn, struct error *err) NEAP_MUST_USE;
/* Something is ready to run or to be committed, whatever the time. */
bool turn_has_work(const struct turn *turn);

/*
 * Calls fn(arg, true) after the next commit of this work, at once when nothing is uncommitted;
 * fn(arg, false) instead when its turn was dropped (answer 503, forget the send) or the work
 * closes. Exactly once, in call order. fn may write (a later turn) and may call turn_release.
 */
typedef void (*turn_release_fn)(void *arg, bool is_durable);
void turn_release(struct work *work, turn_release_fn fn, void *arg);
/* Forgets every such call with this pair; after it returns, fn(arg) cannot run. */
void turn_release_cancel(struct work *work, turn_release_fn fn, void *arg);

#endif
