/*
 * The state, its allocator, the door and the budget hook.
 *
 * Nothing here may raise outside a door: lua_push* of texts allocates, so messages are read by the
 * message handler, into C memory, while it is still protected.
 */
#include "core/script/vm.h"

#include <assert.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/log.h"
#include "core/base/xalloc.h"
#include "core/script/vm_private.h"

/* haproxy measured no cost between 500 and 10,000 instructions per hook call. */
#define HOOK_INSTRUCTIONS 10000
/* With a virtual clock one hook call counts as this long: 100 instructions a microsecond. */
#define HOOK_VIRTUAL_US 100
/* A cycle begins when memory is three times what the last one left: a client idles at 5 MB and grew
 * from 14 to 17 MB under load, for a third less collecting than at Lua's 200. Generational mode
 * cost 14% more: orders under way live through two young collections and die old. */
#define GC_PAUSE 300

/* Work of C that is not worth a look at the clock, and what one call counts with a virtual one. */
#define CHARGE_LOOK      20000
#define CHARGE_PER_US    200
#define CHARGE_CALL      20
#define TRACEBACK_MAX    4096
#define TRACEBACK_FRAMES 24
#define CAUSES_MAX       8 /* how deep an error's causes are followed */

static int64_t limit_or(int64_t value, int64_t otherwise)
{
    return value > 0 ? value : otherwise;
}

static void set_limits(struct vm_limits *to, const struct vm_limits *from)
{
    to->memory_bytes = from->memory_bytes > 0 ? from->memory_bytes : (size_t)256 << 20;
    to->slice_us = limit_or(from->slice_us, 5000);
    to->burst_us = limit_or(from->burst_us, 500000);
    to->atomic_us = limit_or(from->atomic_us, 1000000);
    to->load_us = limit_or(from->load_us, 2000000);
    to->refuse_at = from->refuse_at;
    to->refuse_count = from->refuse_count;
    to->job_us = limit_or(from->job_us, (int64_t)60 * 1000 * 1000);
}

/*
 * Lua answers a refused object by a full collection and a second try: the stress mode uses that to
 * collect at every n-th new object. Arrays and buffers are left alone: the auxiliary library asks
 * for its own memory once only.
 */
static bool is_refused_for_stress(struct vm *vm, bool is_new_object)
{
    if (vm->stress_every == 0 || !is_new_object) {
        return false;
    }
    if (vm->is_retrying) {
        vm->is_retrying = false;
        return false;
    }
    vm->stress_count++;
    vm->is_retrying = vm->stress_count % vm->stress_every == 0;
    return vm->is_retrying;
}

static bool is_refused_for_test(struct vm *vm)
{
    if (vm->limits.refuse_at == 0) {
        return false;
    }
    vm->allocations++;
    return vm->allocations >= vm->limits.refuse_at &&
           vm->allocations - vm->limits.refuse_at < vm->limits.refuse_count;
}

static size_t memory_left(const struct vm *vm)
{
    size_t used = vm->memory_used + vm->memory_held;
    /* The limit may have been lowered below what is used. */
    return used < vm->limits.memory_bytes ? vm->limits.memory_bytes - used : 0;
}

static void *vm_alloc(void *ud, void *ptr, size_t osize, size_t nsize)
{
    struct vm *vm = ud;
    size_t old = ptr == NULL ? 0 : osize;
    if (nsize == 0) {
        vm->memory_used -= old;
        free(ptr);
        return NULL;
    }
    size_t grows = nsize > old ? nsize - old : 0;
    if (grows > memory_left(vm)) {
        return NULL;
    }
    /* Without a block, osize is the type of the object wanted, 0 for anything else. */
    if (is_refused_for_stress(vm, ptr == NULL && osize != 0)) {
        return NULL;
    }
    if (grows > 0 && is_refused_for_test(vm)) {
        return NULL;
    }
    void *moved = ptr == NULL ? malloc(nsize) : realloc(ptr, nsize);
    if (moved != NULL) {
        vm->memory_used = vm->memory_used - old + nsize;
    }
    return moved;
}

static int vm_on_panic(lua_State *L)
{
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "(no text)";
    log_msg(LOG_ERROR, "script", "Lua raised outside of a door: %s", text);
    abort();
}

bool vm_hold(struct vm *vm, size_t bytes)
{
    bool has_room = bytes <= memory_left(vm);
    vm->memory_held += has_room ? bytes : 0;
    return has_room;
}

void vm_let_go(struct vm *vm, size_t bytes)
{
    assert(bytes <= vm->memory_held);
    vm->memory_held -= bytes;
}

void vm_check_hold(lua_State *L, size_t bytes)
{
    struct vm *vm = vm_of(L);
    if (vm_hold(vm, bytes)) {
        return;
    }
    lua_gc(L, LUA_GCCOLLECT); /* userdata that hold and are of no use any more */
    if (!vm_hold(vm, bytes)) {
        lua_newuserdatauv(L, vm->limits.memory_bytes + 1, 0); /* which is refused: raises */
    }
}

struct vm *vm_of(lua_State *L)
{
    void *ud = NULL;
    lua_getallocf(L, &ud);
    return ud;
}

int64_t vm_now_us(struct vm *vm)
{
    if (clock_is_virtual(vm->env.clock)) {
        return vm->ticks_us;
    }
    /* Not the wall: what others on the machine use is not the script's fault. */
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void vm_on_count(lua_State *L, lua_Debug *ar);

void vm_hook_start(struct vm *vm, lua_State *L)
{
    vm->is_raising = false;
    vm->running = L;
    vm->hook_awaited_us = -1;
    lua_sethook(L, vm_on_count, LUA_MASKCOUNT, HOOK_INSTRUCTIONS);
}

/*
 * In a signal handler: lua_sethook may be called there. One instruction may be a long call of C (a
 * pattern at its bound, a comparison of large texts), so what counts instructions comes too late.
 */
static void on_nudge(void *arg)
{
    const struct vm *vm = arg;
    if (vm->running != NULL && !vm->is_raising) {
        lua_sethook(vm->running, vm_on_count, LUA_MASKCOUNT, 1);
    }
}

struct watchdog_entry vm_watch(struct vm *vm)
{
    /* Virtual time is the same everywhere: nothing of the real one may reach it. */
    bool is_virtual = clock_is_virtual(vm->env.clock);
    struct watchdog_entry entry = {.on_nudge = is_virtual ? NULL : on_nudge, .arg = vm};
    return watchdog_enter(vm->watchdog, entry);
}

/* Every instruction raises again, so no pcall in a loop can swallow it. */
static void raise_spent(struct vm *vm, lua_State *L, const char *what, int64_t limit_us)
{
    lua_Debug ar = {.currentline = -1};
    vm->is_raising = true;
    vm->spent_what = what;
    vm->spent_us = limit_us;
    lua_sethook(L, vm_on_count, LUA_MASKCOUNT, 1);
    for (int level = 0; ar.currentline < 0 && lua_getstack(L, level, &ar) != 0; level++) {
        lua_getinfo(L, "Sl", &ar); /* C has no line: whoever called it has */
    }
    struct error err;
    error_set(&err, ERROR_LIMIT, "%s:%d: %s used more than %lld ms", ar.short_src, ar.currentline,
              what, (long long)(limit_us / 1000));
    lx_raise(L, &err);
}

static void vm_on_count(lua_State *L, lua_Debug *ar)
{
    struct vm *vm = vm_of(L);
    struct vm_budget *b = &vm->budget;
    (void)ar;
    vm->hook_awaited_us = -1;
    if (vm->is_raising) {
        raise_spent(vm, L, vm->spent_what, vm->spent_us);
    }
    if (lua_gethookcount(L) != HOOK_INSTRUCTIONS) {
        lua_sethook(L, vm_on_count, LUA_MASKCOUNT, HOOK_INSTRUCTIONS); /* it was nudged */
    }
    vm->ticks_us += HOOK_VIRTUAL_US;
    int64_t used_us = vm_now_us(vm) - b->started_us;
    if (used_us >= vm->job_left_us) {
        raise_spent(vm, L, "one run of a job", vm->limits.job_us);
    }
    if (b->may_preempt && lua_isyieldable(L)) {
        b->stuck_since_us = -1;
        if (used_us >= b->slice_us) {
            vm->was_preempted = true;
            lua_yield(L, 0); /* in a hook: returns here, the thread stops after the hook */
        }
        return;
    }
    /* In a job only the stretch that cannot be preempted counts, not what the slice did before. */
    if (b->may_preempt && b->stuck_since_us < 0) {
        b->stuck_since_us = used_us;
    }
    if (used_us - (b->may_preempt ? b->stuck_since_us : 0) >= b->burst_us) {
        raise_spent(vm, L, b->what, b->burst_us);
    }
}

static void look_at_clock(struct vm *vm, lua_State *L)
{
    const struct vm_budget *b = &vm->budget;
    int64_t now_us = vm_now_us(vm);
    vm->charged = 0;
    if (vm->is_raising) {
        return; /* the next instruction raises */
    }
    if (!b->may_preempt) {
        if (now_us - b->started_us >= b->burst_us) {
            raise_spent(vm, L, b->what, b->burst_us);
        }
        return;
    }
    if (vm->hook_awaited_us >= 0 && now_us - vm->hook_awaited_us >= b->burst_us) {
        raise_spent(vm, L, b->what, b->burst_us);
    }
    if (vm->hook_awaited_us < 0 && now_us - b->started_us >= b->slice_us) {
        vm->hook_awaited_us = now_us;
        lua_sethook(L, vm_on_count, LUA_MASKCOUNT, 1);
    }
}

void vm_charge(lua_State *L, uint64_t steps)
{
    struct vm *vm = vm_of(L);
    vm->charged += steps;
    if (vm->charged >= CHARGE_LOOK) {
        vm->ticks_us += (int64_t)(vm->charged / CHARGE_PER_US);
        look_at_clock(vm, L);
    }
}

void vm_charge_call(lua_State *L)
{
    struct vm *vm = vm_of(L);
    if (clock_is_virtual(vm->env.clock)) {
        vm_charge(L, CHARGE_CALL);
    } else {
        look_at_clock(vm, L);
    }
}

static void add_frame(struct buf *out, lua_State *L, lua_Debug *ar)
{
    lua_getinfo(L, "Sln", ar);
    if (*ar->what == 'C' && ar->name == NULL) {
        return; /* the door itself */
    }
    buf_add_str(out, out->size > 0 ? ", " : "");
    if (*ar->what == 'C') {
        buf_addf(out, "[C] in %s", ar->name);
    } else if (ar->name != NULL) {
        buf_addf(out, "%s:%d in %s", ar->short_src, ar->currentline, ar->name);
    } else {
        buf_addf(out, "%s:%d", ar->short_src, ar->currentline);
    }
}

char *vm_traceback(lua_State *L)
{
    struct buf out;
    buf_init(&out, TRACEBACK_MAX);
    lua_Debug ar;
    for (int level = 0; level < TRACEBACK_FRAMES && lua_getstack(L, level, &ar) != 0; level++) {
        add_frame(&out, L, &ar);
    }
    return buf_take(&out, NULL);
}

/* The name of the connection behind an error object, here or in what caused it. [-0, +0] */
static void read_connection(lua_State *L, int idx, struct vm_failure *failure)
{
    luaL_checkstack(L, 4, "error");
    lua_pushvalue(L, idx);
    for (int depth = 0; depth < CAUSES_MAX && lx_is_error(L, -1); depth++) {
        lua_pushliteral(L, "connection");
        if (lua_rawget(L, -2) == LUA_TSTRING && failure->connection == NULL) {
            failure->connection = xstrdup(lua_tostring(L, -1));
        }
        lua_pop(L, 1);
        lua_pushliteral(L, "cause");
        lua_rawget(L, -2);
        lua_replace(L, -2);
    }
    lua_pop(L, 1);
}

void vm_read_raised(lua_State *L, int idx, struct vm_failure *failure)
{
    idx = lua_absindex(L, idx);
    lx_read_error(L, idx, &failure->err);
    read_connection(L, idx, failure);
    failure->is_final = vm_of(L)->is_raising;
    if (failure->err.code == ERROR_SCRIPT && lua_type(L, idx) != LUA_TSTRING &&
        luaL_getmetafield(L, idx, "__tostring") != LUA_TNIL) {
        lua_pop(L, 1);
        error_set(&failure->err, ERROR_SCRIPT, "%s", luaL_tolstring(L, idx, NULL));
        lua_pop(L, 1);
    }
}

/* The message handler: runs on top of the failed stack. */
static int vm_on_error(lua_State *L)
{
    struct vm_failure *failure = vm_of(L)->failure;
    if (failure->traceback != NULL) {
        return 1; /* reading the first error raised: it is called again with the second */
    }
    failure->traceback = vm_traceback(L);
    vm_read_raised(L, 1, failure);
    return 1;
}

static const char *status_text(int status)
{
    return status == LUA_ERRMEM ? "the client's scripts need more memory than they may have"
                                : "an error while handling an error";
}

int vm_call(struct vm *vm, lua_CFunction fn, void *arg, int64_t budget_us,
            struct vm_failure *failure)
{
    lua_State *L = vm->L;
    struct vm_budget outer = vm->budget;
    struct vm_failure *outer_failure = vm->failure;
    int64_t outer_left_us = vm->job_left_us;
    bool outer_raising = vm->is_raising;
    lua_State *outer_running = vm->running;
    int height = lua_gettop(L);
    vm->failure = failure;
    vm->job_left_us = INT64_MAX;
    vm->budget.may_preempt = false;
    vm->budget.burst_us = budget_us > 0 ? budget_us : vm->limits.load_us;
    vm->budget.started_us = vm_now_us(vm);
    vm->budget.what = "a script that cannot wait";
    vm->depth++;
    vm_hook_start(vm, L);
    struct watchdog_entry outer_entry = vm_watch(vm);
    int status = LUA_ERRMEM;
    if (lua_checkstack(L, LUA_MINSTACK)) {
        lua_pushcfunction(L, vm_on_error);
        lua_pushcfunction(L, fn);
        lua_pushlightuserdata(L, arg);
        status = lua_pcall(L, 1, 0, height + 1);
    }
    watchdog_leave(vm->watchdog, outer_entry);
    lua_settop(L, height);
    failure->is_memory = status == LUA_ERRMEM;
    if (status != LUA_OK && failure->err.code == 0) {
        error_set(&failure->err, ERROR_LIMIT, "%s", status_text(status));
    }
    vm->depth--;
    vm_hook_start(vm, L);
    vm->is_raising = outer_raising;
    vm->running = outer_running;
    vm->budget = outer;
    vm->failure = outer_failure;
    vm->job_left_us = outer_left_us;
    return failure->err.code;
}

/* lua_pcall under a budget of its own, which does not count against the burst around it. */
static int pcall_within(lua_State *L, int arguments, int results, int64_t budget_us,
                        const char *what)
{
    struct vm *vm = vm_of(L);
    struct vm_budget outer = vm->budget;
    int64_t started_us = vm_now_us(vm);
    int64_t before_us = started_us - outer.started_us;
    vm->budget.may_preempt = false;
    vm->budget.burst_us = budget_us;
    vm->budget.started_us = started_us;
    vm->budget.what = what;
    if (vm->job_left_us != INT64_MAX) {
        vm->job_left_us -= before_us;
    }
    int status = lua_pcall(L, arguments, results, 0);
    if (vm->job_left_us != INT64_MAX) {
        vm->job_left_us += before_us;
    }
    vm->budget = outer;
    vm->budget.stuck_since_us = -1;
    if (!outer.may_preempt) {
        vm->budget.started_us += vm_now_us(vm) - started_us;
    }
    return status;
}

int vm_pcall_atomic(lua_State *L, int arguments)
{
    static const char what[] = "store.atomic";
    const struct vm *vm = vm_of(L);
    if (vm->budget.what == what) {
        return lua_pcall(L, arguments, LUA_MULTRET, 0); /* an inner unit has no budget of its own */
    }
    return pcall_within(L, arguments, LUA_MULTRET, vm->limits.atomic_us, what);
}

int vm_pcall_load(lua_State *L, int arguments, int results)
{
    static const char what[] = "a module while it loads";
    const struct vm *vm = vm_of(L);
    if (!vm->budget.may_preempt) {
        return lua_pcall(L, arguments, results, 0); /* part of a load already */
    }
    return pcall_within(L, arguments, results, vm->limits.load_us, what);
}

void vm_reset_thread(lua_State *co)
{
    /* 5.4.6 renames this to lua_closethread; Debian 12 has 5.4.4. */
#if LUA_VERSION_RELEASE_NUM >= 50406
    lua_closethread(co, NULL);
#else
    lua_resetthread(co);
#endif
}

static int open_state(lua_State *L)
{
    const struct vm_options *options = lua_touserdata(L, 1);
    lx_set_env(L, &vm_of(L)->env);
    lua_pushglobaltable(L);
    vm_globals_install(L);
    vm_pairs_install(L);
    vm_strings_install(L);
    vm_require_install(L, options->modules);
    return 0;
}

static char *real_root(const char *folder)
{
    return folder == NULL ? NULL : realpath(folder, NULL);
}

/* Folders that are not there are left out. */
static char **real_roots(const char *const *folders)
{
    size_t count = 0;
    while (folders != NULL && folders[count] != NULL) {
        count++;
    }
    char **roots = xcalloc(count + 1, sizeof(*roots));
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        roots[kept] = real_root(folders[i]);
        kept += roots[kept] == NULL ? 0 : 1;
    }
    return roots;
}

static unsigned read_stress(void)
{
    const char *text = getenv("NEAP_GC_STRESS");
    return text == NULL ? 0 : (unsigned)strtoul(text, NULL, 10);
}

struct vm *vm_new(const struct vm_options *options, struct error *err)
{
    struct vm *vm = xcalloc(1, sizeof(*vm));
    set_limits(&vm->limits, &options->limits);
    random_init(&vm->random, options->random_seed);
    vm->env.clock = options->clock;
    vm->env.random = &vm->random;
    vm->env.vm = vm;
    vm->watchdog = options->watchdog;
    vm->owner = options->owner;
    vm->client_name = xstrdup(options->client_name == NULL ? "client" : options->client_name);
    vm->client_root = real_root(options->client_folder);
    vm->scripts_root = real_root(options->scripts_folder);
    vm->more_roots = real_roots(options->more_folders);
    vm->job_left_us = INT64_MAX;
    vm->budget.what = "";
    vm->files_hash = 14695981039346656037u; /* FNV-1a's offset */
    vm->L = lua_newstate(vm_alloc, vm);
    if (vm->L == NULL) {
        error_set(err, ERROR_LIMIT, "no memory for a Lua state");
        goto fail;
    }
    lua_atpanic(vm->L, vm_on_panic);
    memset(lua_getextraspace(vm->L), 0, LUA_EXTRASPACE);
    lua_gc(vm->L, LUA_GCINC, GC_PAUSE, 0, 0);
    vm->stress_every = read_stress();
    struct vm_failure failure = {0};
    if (vm_call(vm, open_state, (void *)options, 0, &failure) != 0) {
        *err = failure.err;
        vm_failure_clear(&failure);
        goto fail;
    }
    return vm;
fail:
    vm_free(vm);
    return NULL;
}

void vm_free(struct vm *vm)
{
    if (vm == NULL) {
        return;
    }
    assert(vm->coroutines == 0);
    if (vm->L != NULL) {
        vm->stress_every = 0;
        lua_close(vm->L); /* scripts have no __gc; closing runs C finalizers only */
    }
    assert(vm->memory_held == 0);
    for (size_t i = 0; i < vm->file_count; i++) {
        free(vm->files[i].path);
    }
    free(vm->files);
    vm_kept_free(vm);
    free(vm->client_name);
    free(vm->client_root);
    free(vm->scripts_root);
    for (size_t i = 0; vm->more_roots[i] != NULL; i++) {
        free(vm->more_roots[i]);
    }
    free(vm->more_roots);
    free(vm);
}

void vm_failure_clear(struct vm_failure *failure)
{
    free(failure->traceback);
    free(failure->connection);
    memset(failure, 0, sizeof(*failure));
}

void *vm_owner(const struct vm *vm)
{
    return vm->owner;
}

void vm_set_owner(struct vm *vm, void *owner)
{
    vm->owner = owner;
}

struct clock *vm_clock(const struct vm *vm)
{
    return vm->env.clock;
}

const struct vm_limits *vm_limits(const struct vm *vm)
{
    return &vm->limits;
}

static void lower(int64_t *limit, int64_t to)
{
    if (to > 0 && to < *limit) {
        *limit = to;
    }
}

void vm_lower_limits(struct vm *vm, const struct vm_limits *limits)
{
    if (limits->memory_bytes > 0 && limits->memory_bytes < vm->limits.memory_bytes) {
        vm->limits.memory_bytes = limits->memory_bytes;
    }
    lower(&vm->limits.slice_us, limits->slice_us);
    lower(&vm->limits.burst_us, limits->burst_us);
    lower(&vm->limits.atomic_us, limits->atomic_us);
    lower(&vm->limits.load_us, limits->load_us);
    lower(&vm->limits.job_us, limits->job_us);
}

const char *vm_client_name(const struct vm *vm)
{
    return vm->client_name;
}

size_t vm_memory_used(const struct vm *vm)
{
    return vm->memory_used + vm->memory_held;
}

uint64_t vm_late_completions(const struct vm *vm)
{
    return vm->late_completions;
}

uint64_t vm_files_hash(const struct vm *vm)
{
    return vm->files_hash;
}

size_t vm_file_count(const struct vm *vm)
{
    return vm->file_count;
}

const char *vm_file_path(const struct vm *vm, size_t i)
{
    return vm->files[i].path;
}
