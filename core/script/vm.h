/*
 * One Lua state of one client: capped memory, an allow-list of globals, budgets, and the door.
 *
 * door      C enters Lua only through vm_call() here and coroutine_resume() (coroutine.h)
 * budget    how long Lua may run: a slice (then it is preempted, when it can yield), a burst (then
 * it raises) and a job's total over all slices failure   what was raised, read and copied while the
 * failed stack was still there
 *
 * With a virtual clock budgets count instructions, so that a simulation is the same everywhere.
 */
#ifndef NEAP_CORE_SCRIPT_VM_H
#define NEAP_CORE_SCRIPT_VM_H

#include <lua.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/script/lx.h"

struct vm;
struct watchdog;

/* Zero members mean the default. Times are CPU time of the host's thread, in microseconds. */
struct vm_limits {
    size_t memory_bytes; /* 256 MiB */
    int64_t slice_us;    /* 5 ms: then the next job's turn */
    int64_t burst_us;    /* 500 ms: longest stretch inside a job that cannot be preempted, such as a
                          * sort with a comparator (50,000 codes take 100 ms) */
    int64_t atomic_us;   /* 1 s: store.atomic, a route's handler */
    int64_t load_us;     /* 2 s: manifest, modules and self-tests of a generation */
    int64_t job_us;      /* 60 s: one run of a job over all its slices */
    /* For tests: the allocation of this number (from 1) and those after it are refused, as many as
     * refuse_count says; 0: none. */
    size_t refuse_at;
    size_t refuse_count;
};

/* A C module that scripts get by require(name). */
struct vm_module {
    const char *name;
    lua_CFunction open; /* a luaopen function: pushes the module */
};

struct vm_options {
    struct clock *clock;        /* borrowed */
    uint64_t random_seed;       /* of randomness outside jobs */
    const char *client_name;    /* shown in messages */
    const char *client_folder;  /* first root of require; NULL: none */
    const char *scripts_folder; /* second root of require; NULL: none */
    const char *const
        *more_folders; /* roots of require between the two, for tests; ends with NULL */
    const struct vm_module *modules; /* borrowed; ends with a NULL name; may be NULL */
    struct watchdog *watchdog;       /* borrowed; may be NULL */
    struct vm_limits limits;
    void *owner; /* what vm_owner() gives to the modules; borrowed */
};

/* What was raised. `traceback` is one line, innermost frame first; owned, may be NULL. */
struct vm_failure {
    struct error err;
    char *traceback;
    char *connection; /* the error object, or one it was caused by, named it; owned, or NULL */
    bool is_final;    /* a budget was spent: the run must not go on */
    bool is_memory;   /* the client's memory was used up, by this run or by others */
};

void vm_failure_clear(struct vm_failure *failure); /* frees the texts */

/* Copies texts. NULL with err set (ERROR_LIMIT) when the cap is too small to start. */
struct vm *vm_new(const struct vm_options *options, struct error *err);
void vm_free(struct vm *vm); /* accepts NULL; every coroutine must have been dropped: asserted */

/*
 * The door: runs fn(L) protected, on the main stack, with `arg` as a light userdata at index 1 and
 * the budget `budget_us` (0: the load budget). 0, or the failure's code with *failure filled
 * (failure must be clear; the caller clears it afterwards). Nothing is left on the stack.
 */
int vm_call(struct vm *vm, lua_CFunction fn, void *arg, int64_t budget_us,
            struct vm_failure *failure) NEAP_MUST_USE;

struct vm *vm_of(lua_State *L); /* of any state made here; never raises */
void *vm_owner(const struct vm *vm);
void vm_set_owner(struct vm *vm, void *owner);
struct clock *vm_clock(const struct vm *vm);
const struct vm_limits *vm_limits(const struct vm *vm);
/* Zero members change nothing, neither do those above what is set. */
void vm_lower_limits(struct vm *vm, const struct vm_limits *limits);
const char *vm_client_name(const struct vm *vm);
size_t vm_memory_used(const struct vm *vm);        /* what C holds for scripts included */
uint64_t vm_late_completions(const struct vm *vm); /* operations that ended after nobody waited */

/*
 * Inside Lua, for bindings: calls the function below its `arguments` as one unit that cannot wait
 * and is not preempted, under the atomic budget. Returns the lua_pcall status, results (all) or the
 * error value on the stack. [-(1 + arguments), +results], does not raise.
 */
int vm_pcall_atomic(lua_State *L, int arguments);

/*
 * Inside Lua, for what does much in one call: says how much was done, in steps of about 5 ns. Hooks
 * come between instructions only, so after a slice of such work the very next instruction is one;
 * raises when a whole burst went without an instruction. [-0, +0]
 */
void vm_charge(lua_State *L, uint64_t steps);

/* As vm_charge, after a call of a C function that nobody charged. [-0, +0] */
void vm_charge_call(lua_State *L);

/*
 * What C holds for scripts, such as bodies on their way, is memory of theirs. False: so much is not
 * left. Whoever holds lets go of as much.
 */
bool vm_hold(struct vm *vm, size_t bytes) NEAP_MUST_USE;
void vm_let_go(struct vm *vm, size_t bytes);
/* Inside Lua: vm_hold, after a collection if need be; else raises as Lua does when memory is out.
 */
void vm_check_hold(lua_State *L, size_t bytes);

/* A hash over every script file loaded so far, names and content, in the order of loading. */
uint64_t vm_files_hash(const struct vm *vm);
size_t vm_file_count(const struct vm *vm);
const char *vm_file_path(const struct vm *vm, size_t i); /* absolute, borrowed */

/*
 * From now on require() sees the client's folder as it is at this moment: scripts not loaded yet
 * are kept as text. What is saved later belongs to the next generation, what is deleted is still
 * there for this one. The host's own scripts change with the host and are not kept.
 */
void vm_keep_files(struct vm *vm);

/*
 * Inside Lua: loads a script of the host, never of the client: `name` as require names it. Pushes
 * what the file returns. Raises. [-0, +1]
 */
void vm_require_host(lua_State *L, const char *name);

/* Inside Lua: runs <client_folder>/<file> and pushes what it returns. Raises. [-0, +1] */
void vm_run_client_file(lua_State *L, const char *file);

/* Inside Lua: as the script's own require. Raises. [-0, +1] */
void vm_require(lua_State *L, const char *name);

/* Inside Lua, for tests: require(name) gives the value at the top from now on. May raise. [-1, +0]
 */
void vm_set_loaded(lua_State *L, const char *name);

#endif
