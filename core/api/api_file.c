/* A box around a spool; closed by hand, by <close> or by the collector. */
#include "core/api/api_file.h"

#include <lauxlib.h>

#include "core/script/lx.h"

#define FILE_MT  "neap.http.file"
#define READ_MAX ((lua_Integer)1 << 20)

struct file_box {
    struct spool *spool; /* NULL when closed */
};

struct spool *api_file_test(lua_State *L, int idx)
{
    struct file_box *box = luaL_testudata(L, idx, FILE_MT);
    if (box != NULL && box->spool == NULL) {
        luaL_error(L, "the file is closed");
    }
    return box == NULL ? NULL : box->spool;
}

static struct spool *check_file(lua_State *L)
{
    luaL_checkudata(L, 1, FILE_MT);
    return api_file_test(L, 1);
}

/* file:size() */
static int file_size(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)spool_size(check_file(L)));
    return 1;
}

/* file:read(offset, size) */
static int file_read(lua_State *L)
{
    struct spool *spool = check_file(L);
    lua_Integer offset = luaL_checkinteger(L, 2);
    lua_Integer size = luaL_checkinteger(L, 3);
    luaL_argcheck(L, offset >= 0, 2, "not negative expected");
    luaL_argcheck(L, size >= 0 && size <= READ_MAX, 3, "0 to 1 MiB expected");
    luaL_Buffer text;
    size_t got = 0;
    char *to = luaL_buffinitsize(L, &text, (size_t)size);
    if (spool_read(spool, (uint64_t)offset, to, (size_t)size, &got) != 0) {
        return lx_fail(L, ERROR_IO, "the file cannot be read");
    }
    luaL_pushresultsize(&text, got);
    return 1;
}

/* file:close() */
static int file_close(lua_State *L)
{
    struct file_box *box = luaL_checkudata(L, 1, FILE_MT);
    spool_free(box->spool);
    box->spool = NULL;
    return 0;
}

void api_file_open(lua_State *L)
{
    static const luaL_Reg metamethods[] = {
        {"__gc", file_close}, {"__close", file_close}, {NULL, NULL}};
    static const luaL_Reg methods[] = {
        {"size", file_size}, {"read", file_read}, {"close", file_close}, {NULL, NULL}};
    lx_new_type(L, FILE_MT, metamethods, methods);
}

void api_file_push(lua_State *L, struct spool **spool)
{
    struct file_box *box = lua_newuserdatauv(L, sizeof *box, 0);
    box->spool = NULL;
    luaL_setmetatable(L, FILE_MT);
    box->spool = *spool;
    *spool = NULL;
}
