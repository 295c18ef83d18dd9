/*
 * A thread anchored in the registry, found again by the pointer in its extra space. The thread is
 * only touched from outside through lua_resume, lua_getstack and the reset: what may allocate runs
 * in vm_call.
 */
#include "core/script/coroutine.h"

#include <assert.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/xalloc.h"
#include "core/script/vm_private.h"

struct coroutine {
    struct vm *vm;
    lua_State *co;
    int thread_ref;
    int argument_count; /* of the first resume; -1 afterwards */
    void *owner;
    struct random_source random;
    int64_t left_us; /* of one run of a job */
    bool is_running;
    bool has_failed;
    bool is_spent; /* a budget is used up: its hook is off, no script may run in it again */
    bool is_cancelled;
    uint64_t ticket; /* of the pending wait; 0 = none */
    uint64_t last_ticket;
    bool is_done;
    coroutine_cancel_fn cancel;
    void *cancel_arg;
};

struct making {
    struct coroutine *co;
    lua_CFunction prepare;
    void *arg;
};

static struct coroutine **slot_of(lua_State *L)
{
    return (struct coroutine **)lua_getextraspace(L);
}

static int make_thread(lua_State *L)
{
    struct making *m = lua_touserdata(L, 1);
    lua_State *thread = lua_newthread(L);
    *slot_of(thread) = NULL;
    m->co->thread_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    m->co->co = thread;
    lua_settop(L, 0);
    lua_pushlightuserdata(L, m->arg);
    m->prepare(L);
    lua_remove(L, 1);
    int count = lua_gettop(L);
    luaL_checkstack(thread, count + LUA_MINSTACK, "job");
    lua_xmove(L, thread, count);
    m->co->argument_count = count - 1;
    *slot_of(thread) = m->co;
    return 0;
}

/*
 * Not behind a door, because it cannot raise: the slots of the reference and of the free list are
 * there already. A door would need memory, and the thread let go here may be holding all of it.
 */
static void release(struct coroutine *co)
{
    if (co->thread_ref != LUA_NOREF) {
        *slot_of(co->co) = NULL;
        luaL_unref(co->vm->L, LUA_REGISTRYINDEX, co->thread_ref);
    }
    co->vm->coroutines--;
    free(co);
}

struct coroutine *coroutine_new(struct vm *vm, lua_CFunction prepare, void *arg, uint64_t seed,
                                struct vm_failure *failure)
{
    struct coroutine *co = xcalloc(1, sizeof(*co));
    co->vm = vm;
    co->thread_ref = LUA_NOREF;
    co->left_us = vm->limits.job_us;
    random_init(&co->random, seed);
    vm->coroutines++;
    struct making making = {co, prepare, arg};
    if (vm_call(vm, make_thread, &making, 0, failure) != 0) {
        release(co);
        return NULL;
    }
    return co;
}

void coroutine_set_owner(struct coroutine *co, void *owner)
{
    co->owner = owner;
}

void *coroutine_owner(const struct coroutine *co)
{
    return co->owner;
}

struct raised {
    struct coroutine *co;
    struct vm_failure *failure;
};

/* Moves the raised value to the main stack and reads it there. */
static int read_raised(lua_State *L)
{
    struct raised *r = lua_touserdata(L, 1);
    lua_xmove(r->co->co, L, 1);
    vm_read_raised(L, -1, r->failure);
    return 0;
}

static void note_failure(struct coroutine *co, int status, bool is_spent,
                         struct vm_failure *failure)
{
    co->has_failed = true;
    co->is_spent = is_spent;
    failure->traceback = vm_traceback(co->co);
    struct vm_failure inner = {0};
    struct raised raised = {co, failure};
    failure->is_memory = status == LUA_ERRMEM;
    if (status == LUA_ERRMEM) {
        error_set(&failure->err, ERROR_LIMIT,
                  "the client's scripts need more memory than they may have");
    } else if (vm_call(co->vm, read_raised, &raised, co->vm->limits.burst_us, &inner) != 0) {
        failure->err = inner.err;
    }
    vm_failure_clear(&inner);
    failure->is_final = is_spent;
}

enum coroutine_outcome coroutine_resume(struct coroutine *co, struct vm_failure *failure)
{
    struct vm *vm = co->vm;
    assert(!co->is_running && !co->has_failed);
    vm->budget.may_preempt = true;
    vm->budget.slice_us = vm->limits.slice_us;
    vm->budget.burst_us = vm->limits.burst_us;
    vm->budget.started_us = vm_now_us(vm);
    vm->budget.stuck_since_us = -1;
    vm->budget.what = "a script that cannot be interrupted here";
    vm->job_left_us = co->left_us;
    vm->was_preempted = false;
    vm->env.random = &co->random;
    vm_hook_start(vm, co->co);
    int arguments = co->argument_count < 0 ? 0 : co->argument_count;
    co->argument_count = -1;
    co->is_running = true;
    int results = 0;
    struct watchdog_entry outer_entry = vm_watch(vm);
    int status = lua_resume(co->co, vm->L, arguments, &results);
    watchdog_leave(vm->watchdog, outer_entry);
    co->is_running = false;
    vm->env.random = &vm->random;
    co->left_us -= vm_now_us(vm) - vm->budget.started_us;
    vm->budget.may_preempt = false;
    vm->job_left_us = INT64_MAX;
    bool is_spent = vm->is_raising;
    vm->is_raising = false;
    if (status == LUA_YIELD) {
        return vm->was_preempted ? COROUTINE_PREEMPTED : COROUTINE_WAITING;
    }
    if (status == LUA_OK) {
        lua_settop(co->co, 0);
        return COROUTINE_RETURNED;
    }
    note_failure(co, status, is_spent, failure);
    return COROUTINE_RAISED;
}

static void cancel_wait(struct coroutine *co)
{
    if (co->ticket != 0 && !co->is_done && co->cancel != NULL) {
        co->cancel(co->cancel_arg);
    }
    co->is_done = true;
}

/* <close> variables run on the coroutine's own thread: with a burst of their own, unable to wait.
 */
static void close_thread(struct coroutine *co)
{
    struct vm *vm = co->vm;
    struct vm_budget outer = vm->budget;
    lua_State *outer_running = vm->running;
    vm->budget.may_preempt = false;
    vm->budget.burst_us = vm->limits.burst_us;
    vm->budget.started_us = vm_now_us(vm);
    vm->budget.what = "a <close> variable";
    vm_hook_start(vm, co->co);
    struct watchdog_entry outer_entry = vm_watch(vm);
    vm_reset_thread(co->co);
    watchdog_leave(vm->watchdog, outer_entry);
    vm->running = outer_running;
    vm->is_raising = false;
    vm->budget = outer;
}

void coroutine_drop(struct coroutine *co)
{
    if (co == NULL) {
        return;
    }
    assert(!co->is_running);
    co->is_cancelled = true;
    cancel_wait(co);
    /* A thread that died inside a hook has its hooks off for good: nothing could stop a <close>
     * loop. */
    if (!co->is_spent) {
        close_thread(co);
    }
    release(co);
}

struct coroutine *coroutine_of(lua_State *L)
{
    return *slot_of(L);
}

bool coroutine_can_wait(const struct coroutine *co, lua_State *L)
{
    return co->co == L && lua_isyieldable(L);
}

uint64_t coroutine_wait_begin(struct coroutine *co, coroutine_cancel_fn cancel, void *arg)
{
    assert(co->ticket == 0);
    if (co->is_cancelled) {
        return 0;
    }
    co->last_ticket++;
    co->ticket = co->last_ticket;
    co->is_done = false;
    co->cancel = cancel;
    co->cancel_arg = arg;
    return co->ticket;
}

bool coroutine_wait_done(struct coroutine *co, uint64_t ticket)
{
    if (ticket == 0 || co->ticket != ticket || co->is_done) {
        co->vm->late_completions++;
        return false;
    }
    co->is_done = true;
    return true;
}

bool coroutine_wait_take(struct coroutine *co)
{
    if (co->ticket == 0 || !co->is_done) {
        return false;
    }
    co->ticket = 0;
    co->cancel = NULL;
    return true;
}

void coroutine_cancel(struct coroutine *co)
{
    co->is_cancelled = true;
    cancel_wait(co);
}

bool coroutine_is_cancelled(const struct coroutine *co)
{
    return co->is_cancelled;
}

bool coroutine_is_running(const struct coroutine *co)
{
    return co->is_running;
}
