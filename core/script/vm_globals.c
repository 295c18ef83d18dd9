/* The globals scripts see: an allow-list over the stock libraries, and a guard against all others.
 */
#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#include "core/script/vm_private.h"

/* table.move and friends loop in C over whatever is claimed to be there. */
#define TABLE_MAX_MOVES (1 << 22)
/* Without a comparator nothing of a sort can be interrupted: a million numbers take 0.4 s, and
 * twenty million the ten seconds of the watchdog. */
#define TABLE_MAX_SORT (1 << 20)
#define SHORT_TEXT     256 /* bytes whose comparison is as good as that of numbers */
#define BYTES_PER_STEP 32  /* of a comparison */
#define CHAIN_MAX      8   /* how far an __index is followed */

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

static bool has_field(lua_State *L, const char *name) /* of the metatable at the top */
{
    lua_pushstring(L, name);
    bool has = lua_rawget(L, -2) != LUA_TNIL;
    lua_pop(L, 1);
    return has;
}

/*
 * These functions loop in C. A C function as metamethod would run in there where no hook comes, and
 * a __len may say something else each time it is asked. [-0, +0]
 */
static void check_fields(lua_State *L, int idx, const char *name)
{
    luaL_checkstack(L, 2 * CHAIN_MAX + 4, "table");
    int height = lua_gettop(L);
    lua_pushvalue(L, idx);
    for (int depth = 0; lua_istable(L, -1) && lua_getmetatable(L, -1); depth++) {
        lua_pushstring(L, name);
        lua_rawget(L, -2);
        if (lua_iscfunction(L, -1) || depth == CHAIN_MAX) {
            luaL_error(L, "functions of table cannot use this %s", name);
        }
        lua_remove(L, -2);
    }
    lua_settop(L, height);
}

static void check_plain(lua_State *L, int idx)
{
    if (!lua_istable(L, idx) || !lua_getmetatable(L, idx)) {
        return;
    }
    if (has_field(L, "__len")) {
        luaL_error(L, "functions of table cannot use a __len");
    }
    lua_pop(L, 1);
    check_fields(L, idx, "__index");
    check_fields(L, idx, "__newindex");
}

static int guarded_shift(lua_State *L) /* insert, remove */
{
    check_plain(L, 1);
    check_range(L, 1, (lua_Integer)lua_rawlen(L, 1));
    return call_stock(L);
}

static int guarded_unpack(lua_State *L)
{
    check_plain(L, 1);
    return call_stock(L);
}

/* Whether some comparison of two elements may take long. */
static bool is_slow_to_compare(lua_State *L, lua_Integer count)
{
    bool is_slow = false;
    for (lua_Integer i = 1; i <= count && !is_slow; i++) {
        int type = lua_rawgeti(L, 1, i);
        is_slow = type == LUA_TSTRING ? lua_rawlen(L, -1) > SHORT_TEXT : type != LUA_TNUMBER;
        lua_pop(L, 1);
    }
    return is_slow;
}

static int charged_less(lua_State *L)
{
    if (lua_type(L, 1) == LUA_TSTRING && lua_type(L, 2) == LUA_TSTRING) {
        size_t left = lua_rawlen(L, 1);
        size_t right = lua_rawlen(L, 2);
        vm_charge(L, (left < right ? left : right) / BYTES_PER_STEP + 1);
    } else {
        vm_charge_call(L);
    }
    lua_pushboolean(L, lua_compare(L, 1, 2, LUA_OPLT));
    return 1;
}

/* upvalue 1: a comparator in C, in which no hook comes */
static int charged_compare(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 2, 1);
    vm_charge_call(L);
    return 1;
}

static int guarded_sort(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    check_plain(L, 1);
    if (lua_rawlen(L, 1) > TABLE_MAX_SORT) {
        return luaL_error(L, "too many elements to sort (more than %d)", TABLE_MAX_SORT);
    }
    if (lua_iscfunction(L, 2)) {
        lua_pushcclosure(L, charged_compare, 1);
    } else if (lua_isnil(L, 2) && is_slow_to_compare(L, (lua_Integer)lua_rawlen(L, 1))) {
        lua_pushcfunction(L, charged_less);
        lua_replace(L, 2);
    }
    return call_stock(L);
}

static int guarded_move(lua_State *L)
{
    check_plain(L, 1);
    check_plain(L, 5);
    check_range(L, luaL_checkinteger(L, 2), luaL_checkinteger(L, 3));
    return call_stock(L);
}

static int guarded_concat(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    check_plain(L, 1);
    lua_Integer count = check_range(L, luaL_optinteger(L, 3, 1),
                                    lua_isnoneornil(L, 4) ? (lua_Integer)lua_rawlen(L, 1)
                                                          : luaL_checkinteger(L, 4));
    call_stock(L);
    vm_charge(L, (uint64_t)count * 4 + lua_rawlen(L, -1) / 16);
    return 1;
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
    wrap(L, "unpack", guarded_unpack);
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
