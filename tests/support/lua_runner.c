/*
 * Runs one Lua file with the value modules, without a host: for libraries and mappers under
 * development. NEAP_LUA_PATH is a list of folders separated by ';' (default "."); each is searched
 * as <folder>/?.lua. Globals `arg`, `print` and `read_file(path)` exist. Exit code 1 and a
 * traceback when the file raises.
 *
 * Built by hand, from the root of the tree:
 *   gcc -std=c11 -D_DEFAULT_SOURCE -O1 -g -I. -Iinclude -I/usr/include/lua5.4 -o /tmp/lua_runner \
 *       tests/support/lua_runner.c core/script/lx.c \
 *       core/api/api_{errors,json,money,xml,time,crypto}.c \
 *       core/base/{errors,buf,xalloc,clock,decimal,digest,instant}.c \
 *       core/base/{json_scan,utf8,xml_tree,zone,zone_rule}.c \
 *       -llua5.4-cjson -llua5.4 -lexpat -lcrypto -lm
 */
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/api/api_values.h"
#include "core/script/lx.h"

static const luaL_Reg modules[] = {
    {"neap.errors", luaopen_neap_errors},
    {"neap.json", luaopen_neap_json},
    {"neap.money", luaopen_neap_money},
    {"neap.crypto", luaopen_neap_crypto},
    {"neap.time", luaopen_neap_time},
    {"neap.xml", luaopen_neap_xml},
    {NULL, NULL},
};

/* read_file(path): a whole small file, for test data; nil when it cannot be read. */
static int read_file(lua_State *L)
{
    static char bytes[1 << 20];
    FILE *file = fopen(luaL_checkstring(L, 1), "rb");
    if (file == NULL) {
        return 0;
    }
    size_t size = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    lua_pushlstring(L, bytes, size);
    return 1;
}

static int add_traceback(lua_State *L)
{
    const char *text = luaL_tolstring(L, 1, NULL);
    luaL_traceback(L, L, text, 1);
    return 1;
}

static void open_libraries(lua_State *L)
{
    static const luaL_Reg libraries[] = {
        {"_G", luaopen_base},
        {"package", luaopen_package},
        {"string", luaopen_string},
        {"table", luaopen_table},
        {"math", luaopen_math},
        {"utf8", luaopen_utf8},
        {NULL, NULL},
    };
    for (const luaL_Reg *library = libraries; library->name != NULL; library++) {
        luaL_requiref(L, library->name, library->func, 1);
        lua_pop(L, 1);
    }
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    luaL_setfuncs(L, modules, 0);
    lua_pop(L, 1);
}

static void set_path(lua_State *L)
{
    const char *folders = getenv("NEAP_LUA_PATH");
    lua_getglobal(L, "package");
    lua_pushstring(L, folders == NULL ? "." : folders);
    luaL_gsub(L, lua_tostring(L, -1), ";", "/?.lua;");
    lua_pushliteral(L, "/?.lua");
    lua_concat(L, 2);
    lua_setfield(L, -3, "path");
    lua_pushliteral(L, "");
    lua_setfield(L, -3, "cpath");
    lua_settop(L, 0);
}

static int run(lua_State *L)
{
    int argc = (int)lua_tointeger(L, 1);
    char **argv = lua_touserdata(L, 2);
    lua_settop(L, 0);
    open_libraries(L);
    set_path(L);
    lua_newtable(L);
    for (int i = 1; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i - 1);
    }
    lua_setglobal(L, "arg");
    lua_register(L, "read_file", read_file);
    if (luaL_loadfilex(L, argv[1], "t") != LUA_OK) {
        return lua_error(L);
    }
    lua_call(L, 0, 0);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s FILE [ARGUMENT...]\n", argv[0]);
        return 2;
    }
    lua_State *L = luaL_newstate();
    if (L == NULL) {
        return 2;
    }
    struct random_source random;
    random_init(&random, 1);
    struct lx_env env = {clock_new_system(), &random, NULL};
    lx_set_env(L, &env);
    lua_pushcfunction(L, add_traceback);
    lua_pushcfunction(L, run);
    lua_pushinteger(L, argc);
    lua_pushlightuserdata(L, argv);
    int status = lua_pcall(L, 2, 0, 1);
    if (status != LUA_OK) {
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
    }
    lua_close(L);
    clock_free(env.clock);
    return status == LUA_OK ? 0 : 1;
}
