/* The globals scripts see: an allow-list over the stock libraries, and a guard against all others.
 */
#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#include "core/script/vm_private.h"

/* table.move and friends loop in C over whatever a length metamethod claims. */
#define TABLE_MAX_MOVES (1 << 24)
/* Without a comparator nothing of a sort can be interrupted: a million numbers take 0.4 s, and
 * twenty million the ten seconds of the watchdog. */
#define TABLE_MAX_SORT (1 << 20)

static const char *const allowed_globals[] = {
    "assert",   "error",    "getmetatable", "ipairs", "math",         "next",   "pairs",  "pcall",
    "rawequal", "rawget",   "rawlen",       "rawset", "require",      "select", "string", "table",
    "tonumber", "tostring", "type",         "utf8",   "setmetatable", "xpcall", NULL,
};

static bool is_allowed(const char *name)
{
    for (size_t i = 0; allowed_globals[i] != NULL; i++) {
        if (strcmp(allowed_globals[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* Removes from the table at the top what is not listed. [-0, +0] */
static void drop_others(lua_State *L)
{
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
        if (lua_type(L, -2) == LUA_TSTRING && !is_allowed(lua_tostring(L, -2))) {
            lua_pushvalue(L, -2);
            lua_pushnil(L);
            lua_rawset(L, -5); /* clearing a field is fine while traversing */
        }
    }
}

static int guarded_setmetatable(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, lua_isnil(L, 2) || lua_istable(L, 2), 2, "nil or table");
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL) {
        return luaL_error(L, "cannot change a protected metatable");
    }
    if (lua_istable(L, 2)) {
        lua_pushliteral(L, "__gc");
        if (lua_rawget(L, 2) != LUA_TNIL) {
            return luaL_error(L, "scripts have no finalizers: remove __gc");
        }
    }
    lua_settop(L, 2);
    lua_setmetatable(L, 1);
    return 1;
}

/*
 * upvalue 1: the script's handler. Hooks are off while a handler runs for an error that a hook
 * raised, so a spent budget must not enter one: an endless handler could not be stopped.
 */
static int guarded_handler(lua_State *L)
{
    lua_settop(L, 1);
    if (vm_of(L)->is_raising) {
        return 1;
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

static int guarded_xpcall_k(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    return lua_gettop(L);
}

/* upvalue 1: the stock xpcall */
static int guarded_xpcall(lua_State *L)
{
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, guarded_handler, 1);
    lua_replace(L, 2);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, guarded_xpcall_k);
    return lua_gettop(L);
}

static lua_Integer check_range(lua_State *L, lua_Integer low, lua_Integer high)
{
    if (low > high) {
        return 0;
    }
    if ((lua_Unsigned)high - (lua_Unsigned)low >= TABLE_MAX_MOVES) {
        luaL_error(L, "too many elements to move (more than %d)", TABLE_MAX_MOVES);
    }
    return high - low + 1;
}

/* upvalue 1: the stock function. Passes all arguments on. */
static int call_stock(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

static int guarded_shift(lua_State *L) /* insert, remove */
{
    if (lua_istable(L, 1)) {
        check_range(L, 1, luaL_len(L, 1));
    }
    return call_stock(L);
}

static int guarded_sort(lua_State *L)
{
    if (lua_istable(L, 1) && luaL_len(L, 1) > TABLE_MAX_SORT) {
        return luaL_error(L, "too many elements to sort (more than %d)", TABLE_MAX_SORT);
    }
    return call_stock(L);
}

static int guarded_move(lua_State *L)
{
    check_range(L, luaL_checkinteger(L, 2), luaL_checkinteger(L, 3));
    return call_stock(L);
}

static int guarded_concat(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    check_range(L, luaL_optinteger(L, 3, 1),
                lua_isnoneornil(L, 4) ? luaL_len(L, 1) : luaL_checkinteger(L, 4));
    return call_stock(L);
}

/* random(), random(m), random(m, n) from the generator of the job that runs. */
static int seeded_random(lua_State *L)
{
    struct random_source *random = lx_env(L)->random;
    int arguments = lua_gettop(L);
    if (arguments == 0) {
        lua_pushnumber(L, (lua_Number)(random_next(random) >> 11) * 0x1.0p-53);
        return 1;
    }
    luaL_argcheck(L, arguments <= 2, 3, "wrong number of arguments");
    lua_Integer low = arguments == 2 ? luaL_checkinteger(L, 1) : 1;
    lua_Integer high = luaL_checkinteger(L, arguments);
    luaL_argcheck(L, low <= high, arguments, "interval is empty");
    lua_Unsigned span = (lua_Unsigned)high - (lua_Unsigned)low;
    lua_Unsigned picked = span == UINT64_MAX ? random_next(random) : random_below(random, span + 1);
    lua_pushinteger(L, (lua_Integer)((lua_Unsigned)low + picked));
    return 1;
}

/* Replaces field `name` of the table at the top by guard(stock). [-0, +0] */
static void wrap(lua_State *L, const char *name, lua_CFunction guard)
{
    lua_getfield(L, -1, name);
    lua_pushcclosure(L, guard, 1);
    lua_setfield(L, -2, name);
}

static void install_table(lua_State *L)
{
    luaL_requiref(L, "table", luaopen_table, 0);
    wrap(L, "insert", guarded_shift);
    wrap(L, "remove", guarded_shift);
    wrap(L, "move", guarded_move);
    wrap(L, "sort", guarded_sort);
    wrap(L, "concat", guarded_concat);
    lua_setfield(L, -2, "table");
}

static void install_math(lua_State *L)
{
    luaL_requiref(L, "math", luaopen_math, 0);
    lua_pushnil(L);
    lua_setfield(L, -2, "randomseed");
    lua_pushcfunction(L, seeded_random);
    lua_setfield(L, -2, "random");
    lua_setfield(L, -2, "math");
}

static const char *hint_for(const char *name)
{
    static const char *const hints[][2] = {
        {"print", "; use require(\"neap.log\")"},
        {"os", "; time comes from require(\"neap.time\")"},
        {"io", "; scripts have no files"},
        {"coroutine", "; the host runs one coroutine per job"},
        {"load", "; scripts cannot make code"},
        {"secret", "; secrets are read while client.lua loads"},
        {NULL, NULL},
    };
    for (size_t i = 0; hints[i][0] != NULL; i++) {
        if (strcmp(hints[i][0], name) == 0) {
            return hints[i][1];
        }
    }
    return "";
}

static const char *name_of_key(lua_State *L)
{
    return lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : luaL_typename(L, 2);
}

static int read_undeclared(lua_State *L)
{
    const char *name = name_of_key(L);
    return luaL_error(L, "undeclared global '%s'%s", name, hint_for(name));
}

static int write_undeclared(lua_State *L)
{
    return luaL_error(L, "undeclared global '%s' (write \"local %s\")", name_of_key(L),
                      name_of_key(L));
}

static void install_guard(lua_State *L)
{
    static const luaL_Reg metamethods[] = {
        {"__index", read_undeclared}, {"__newindex", write_undeclared}, {NULL, NULL}};
    luaL_newlib(L, metamethods);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
}

void vm_globals_install(lua_State *L)
{
    luaL_requiref(L, "_G", luaopen_base, 0);
    lua_pop(L, 1);
    drop_others(L);
    lua_pushcfunction(L, guarded_setmetatable);
    lua_setfield(L, -2, "setmetatable");
    wrap(L, "xpcall", guarded_xpcall);
    install_table(L);
    install_math(L);
    luaL_requiref(L, "utf8", luaopen_utf8, 0);
    lua_setfield(L, -2, "utf8");
    /* What comes after this (pairs, string, require) is set raw. */
    install_guard(L);
}
