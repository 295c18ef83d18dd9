/*
 * The coroutine of one job: made, resumed and dropped behind doors, with at most one pending
 * operation.
 *
 * operation  what the coroutine waits for (a request, a list of requests). Its memory is a userdata
 * on the coroutine's own stack; here is only its ticket and how to cancel it. ticket     number of
 * one wait; a completion with an old ticket is counted and dropped
 *
 * coroutine_resume() holds the one lua_resume of the program.
 */
#ifndef NEAP_CORE_SCRIPT_COROUTINE_H
#define NEAP_CORE_SCRIPT_COROUTINE_H

#include "core/script/vm.h"

struct coroutine;

enum coroutine_outcome {
    COROUTINE_WAITING,   /* yielded: an operation is pending, or the owner asked to unwind */
    COROUTINE_PREEMPTED, /* its slice is used up: resume it later */
    COROUTINE_RETURNED,
    COROUTINE_RAISED, /* *failure says what; it cannot be resumed */
};

/* Makes the operation's callbacks impossible; must not raise, yield or resume. */
typedef void (*coroutine_cancel_fn)(void *arg);

/*
 * prepare runs behind the door on the main stack with `arg` as a light userdata at 1 and leaves the
 * function to run and its arguments above it. owner is given back by coroutine_owner.
 * NULL with *failure filled when it raised. seed: of the job's randomness.
 */
struct coroutine *coroutine_new(struct vm *vm, lua_CFunction prepare, void *arg, uint64_t seed,
                                struct vm_failure *failure);
void coroutine_set_owner(struct coroutine *co, void *owner);
void *coroutine_owner(const struct coroutine *co);

/* Starts or continues. *failure must be clear; it is filled for COROUTINE_RAISED. */
enum coroutine_outcome coroutine_resume(struct coroutine *co, struct vm_failure *failure);

/*
 * Ends it in any state: cancels its operation, runs its <close> variables (unless a budget was
 * spent) and frees it. Accepts NULL. Not from inside itself.
 */
void coroutine_drop(struct coroutine *co);

/* The coroutine this Lua thread is, or NULL for the main one. Never raises. */
struct coroutine *coroutine_of(lua_State *L);
/* L is this coroutine's thread and may yield here. */
bool coroutine_can_wait(const struct coroutine *co, lua_State *L);

/* ---- The pending operation; from bindings and library callbacks, never raises -------------------
 */

/* Begins a wait. 0 when the coroutine is cancelled: then the wait fails at once. */
uint64_t coroutine_wait_begin(struct coroutine *co, coroutine_cancel_fn cancel, void *arg);
/* It is over. False when the ticket is old (counted): then nobody waits and nothing must be woken.
 */
bool coroutine_wait_done(struct coroutine *co, uint64_t ticket);
/* For the continuation: whether the wait is over; if so it is taken off. */
bool coroutine_wait_take(struct coroutine *co);
/* Cancels the pending wait and, for ever, all later ones. */
void coroutine_cancel(struct coroutine *co);
bool coroutine_is_cancelled(const struct coroutine *co);
bool coroutine_is_running(const struct coroutine *co);

#endif
