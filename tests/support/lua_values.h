/* For unit tests of the value modules: a Lua state, expressions with expected text, failing memory.
 */
#ifndef NEAP_TESTS_SUPPORT_LUA_VALUES_H
#define NEAP_TESTS_SUPPORT_LUA_VALUES_H

#include <lauxlib.h>
#include <lualib.h>

#include "core/api/api_values.h"
#include "core/script/lx.h"
#include "tests/support/tap.h"

/* An expression list and its values as text, joined by "|"; a raised error reads "raised: ...". */
struct lua_case {
    const char *expression;
    const char *expected;
};

static inline int values_open(lua_State *L)
{
    static const luaL_Reg libraries[] = {
        {"_G", luaopen_base},
        {"string", luaopen_string},
        {"table", luaopen_table},
        {"math", luaopen_math},
        {"errors", luaopen_neap_errors},
        {"json", luaopen_neap_json},
        {"money", luaopen_neap_money},
        {"xml", luaopen_neap_xml},
        {"time", luaopen_neap_time},
        {"crypto", luaopen_neap_crypto},
        {NULL, NULL},
    };
    for (const luaL_Reg *library = libraries; library->name != NULL; library++) {
        luaL_requiref(L, library->name, library->func, 1);
        lua_pop(L, 1);
    }
    return 0;
}

/* Runs the expression and pushes its text. */
static inline int values_evaluate(lua_State *L)
{
    const char *expression = lua_tostring(L, 1);
    lua_pushfstring(L, "return %s", expression);
    const char *chunk = lua_tostring(L, -1);
    if (luaL_loadbuffer(L, chunk, strlen(chunk), "=case") != LUA_OK) {
        return lua_error(L);
    }
    int base = lua_gettop(L) - 1;
    if (lua_pcall(L, 0, LUA_MULTRET, 0) != LUA_OK) {
        luaL_tolstring(L, -1, NULL);
        luaL_gsub(L, lua_tostring(L, -1), "case:1: ", "");
        lua_pushfstring(L, "raised: %s", lua_tostring(L, -1));
        return 1;
    }
    int count = lua_gettop(L) - base;
    luaL_Buffer text;
    luaL_buffinit(L, &text);
    for (int i = 1; i <= count; i++) {
        if (i > 1) {
            luaL_addchar(&text, '|');
        }
        luaL_tolstring(L, base + i, NULL);
        luaL_addvalue(&text);
    }
    luaL_pushresult(&text);
    return 1;
}

/* Runs the chunk `prelude` (may be NULL), then checks every case up to one without expression. */
static inline void values_check(const char *prelude, const struct lua_case *cases)
{
    lua_State *L = luaL_newstate();
    struct random_source random;
    random_init(&random, 1);
    struct lx_env env = {clock_new_virtual(1777888978123), &random, NULL};
    lx_set_env(L, &env);
    values_open(L);
    if (prelude != NULL && luaL_dostring(L, prelude) != LUA_OK) {
        CHECK_STR(lua_tostring(L, -1), "a prelude that runs");
    }
    for (; cases->expression != NULL; cases++) {
        lua_settop(L, 0);
        lua_pushcfunction(L, values_evaluate);
        lua_pushstring(L, cases->expression);
        lua_pcall(L, 1, 1, 0);
        const char *actual = lua_tostring(L, -1);
        if (actual == NULL || strcmp(actual, cases->expected) != 0) {
            printf("# in: %s\n", cases->expression);
        }
        CHECK_STR(actual, cases->expected);
    }
    lua_close(L);
    clock_free(env.clock);
}

/* An allocator that fails from its n-th growing call on. */
struct values_memory {
    long calls_left;
};

static inline void *values_allocate(void *context, void *old, size_t old_size, size_t size)
{
    struct values_memory *memory = context;
    if (size == 0) {
        free(old);
        return NULL;
    }
    bool is_growing = old == NULL || size > old_size;
    if (is_growing && memory->calls_left-- <= 0) {
        return NULL;
    }
    return realloc(old, size);
}

static inline int values_run_chunk(lua_State *L)
{
    const char *chunk = lua_touserdata(L, 1);
    values_open(L);
    if (luaL_loadstring(L, chunk) != LUA_OK) {
        return lua_error(L);
    }
    lua_call(L, 0, 0);
    return 0;
}

/*
 * Runs the chunk again and again, each time with one more allocation before memory is out, until it
 * passes. Every earlier run must end in a memory error and leave nothing behind (the leak checker).
 */
static inline void values_torture(const char *chunk)
{
    int status = LUA_ERRMEM;
    for (long n = 1; status != LUA_OK && n < 20000; n++) {
        struct values_memory memory = {n};
        lua_State *L = lua_newstate(values_allocate, &memory);
        if (L == NULL) {
            continue;
        }
        lua_pushcfunction(L, values_run_chunk);
        lua_pushlightuserdata(L, (void *)(uintptr_t)chunk);
        status = lua_pcall(L, 1, 0, 0);
        if (status != LUA_OK) {
            const char *text = lua_tostring(L, -1);
            CHECK(text != NULL && strstr(text, "memory") != NULL);
        }
        lua_close(L);
    }
    CHECK_INT(status, LUA_OK);
}

#endif
