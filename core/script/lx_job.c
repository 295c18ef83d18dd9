/* From a Lua state to the job that runs on it. */
#include <lauxlib.h>

#include "core/script/job_run.h"

struct script_scope *lx_scope(lua_State *L)
{
    return vm_owner(vm_of(L));
}

struct script_scope *lx_store_scope(lua_State *L)
{
    struct script_scope *scope = lx_scope(L);
    if (scope == NULL || !scope->may_write) {
        luaL_error(L,
                   "not while scripts load or end: the store belongs to jobs and route handlers");
    }
    return scope;
}

struct script_scope *lx_store_write_scope(lua_State *L)
{
    struct script_scope *scope = lx_store_scope(L);
    if (scope->is_reading) {
        luaL_error(L, "nothing is written here: this run only reads what a host recorded");
    }
    return scope;
}

struct job_run *lx_job_now(lua_State *L)
{
    struct script_scope *scope = lx_scope(L);
    struct job_run *run = scope == NULL || !scope->may_write ? NULL : scope->run;
    if (run == NULL) {
        luaL_error(L, "call this from the flow's own coroutine");
    }
    return run;
}

struct job_run *lx_job(lua_State *L)
{
    struct script_scope *scope = lx_scope(L);
    struct job_run *run = scope == NULL || !scope->may_write ? NULL : scope->run;
    if (run == NULL || !coroutine_can_wait(run->co, L)) {
        luaL_error(L, "call this from the flow's own coroutine");
    }
    return run;
}

void lx_check_rc(lua_State *L, int rc, const char *doing)
{
    if (rc == 0) {
        return;
    }
    struct error err;
    error_set(&err, rc, "%s: %s", doing, error_code_name(rc));
    err.is_retryable = rc == ERROR_FULL;
    lx_raise(L, &err);
}

int job_run_unwind(lua_State *L, struct job_run *run)
{
    run->is_unwinding = true;
    return lua_yield(L, 0);
}

void job_run_claim(lua_State *L, int idx, const char *kind, const char *name)
{
    idx = lua_absindex(L, idx);
    lua_getiuservalue(L, idx, 2);
    lua_pushfstring(L, "%s %s", kind, name); /* stack: names, this */
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) != LUA_TNIL) {
        luaL_error(L, "two %ss of this run are named '%s': name them by business key", kind, name);
    }
    lua_pop(L, 1);
    lua_pushboolean(L, 1);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}
