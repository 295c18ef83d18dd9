/* What the files of the VM share: the struct, and who installs what. Nobody else includes this. */
#ifndef NEAP_CORE_SCRIPT_VM_PRIVATE_H
#define NEAP_CORE_SCRIPT_VM_PRIVATE_H

#include "core/script/vm.h"
#include "core/script/watchdog.h"

/* How long the Lua that runs now may go on; one at a time, saved and restored when nested. */
struct vm_budget {
    bool may_preempt;
    int64_t slice_us; /* used when may_preempt */
    int64_t burst_us; /* longest stretch that cannot be preempted */
    int64_t started_us;
    int64_t stuck_since_us; /* hooks found it unable to yield since then; -1 = it was able to */
    const char *what;       /* for the message: "a script without waiting", "store.atomic" */
};

struct vm_file {
    char *path;
    uint64_t hash;
};

/* A script of the client that was not loaded when its folder was kept. */
struct vm_kept {
    char *path;
    struct buf content;
};

struct vm {
    lua_State *L;
    struct lx_env env; /* what neap modules reach: clock, randomness, this vm */
    struct random_source random;
    struct vm_limits limits;
    struct watchdog *watchdog;
    void *owner;
    char *client_name;
    char *client_root; /* real paths, NULL when there is none */
    char *scripts_root;
    char **more_roots; /* ends with NULL; or NULL */

    size_t memory_used;
    size_t memory_held;    /* by C for scripts */
    unsigned stress_every; /* NEAP_GC_STRESS: each n-th allocation first collects everything */
    unsigned stress_count;
    bool is_retrying;
    size_t allocations; /* counted while limits.refuse_at is set */

    struct vm_budget budget;
    int64_t job_left_us;         /* INT64_MAX outside of jobs */
    int64_t ticks_us;            /* the time base with a virtual clock */
    lua_State *volatile running; /* the thread whose hook a nudge brings forward */
    bool is_raising;        /* a budget is spent: every instruction raises until the door closes */
    const char *spent_what; /* which one, and its size */
    int64_t spent_us;
    bool was_preempted;
    uint64_t charged;           /* steps of C since the clock was looked at */
    int64_t hook_awaited_us;    /* a hook is due since then and no instruction came; -1: none is */
    unsigned depth;             /* of doors */
    struct vm_failure *failure; /* of the innermost vm_call; its message handler fills it */

    struct vm_file *files;
    size_t file_count;
    size_t file_capacity;
    uint64_t files_hash;
    struct vm_kept *kept;
    size_t kept_count;
    bool is_kept;        /* the client's folder is read from `kept` alone */
    unsigned coroutines; /* alive */
    uint64_t late_completions;
};

int64_t vm_now_us(struct vm *vm);
void vm_hook_start(struct vm *vm, lua_State *L); /* the normal count hook on this thread */
struct watchdog_entry vm_watch(struct vm *vm);   /* tells the watchdog that Lua is entered */

/* Copies what was raised (at idx on the stack of L) into failure. [-0, +0]; may raise. */
void vm_read_raised(lua_State *L, int idx, struct vm_failure *failure);
/* One line "file:line in name, ..."; owned. Never raises. */
char *vm_traceback(lua_State *L);

/* lua_pcall of a module's chunk: in a job it has the budget of loading, not of a burst. */
int vm_pcall_load(lua_State *L, int arguments, int results);

/* A thread is gone: resets what needs resetting, runs its <close> variables. Not a budget victim.
 */
void vm_reset_thread(lua_State *co);

void vm_kept_free(struct vm *vm);

/* Each adds its part to the table of globals at the top. [-0, +0], may raise. */
void vm_globals_install(lua_State *L);
void vm_pairs_install(lua_State *L);
void vm_strings_install(lua_State *L);
void vm_require_install(lua_State *L, const struct vm_module *modules);

#endif
