/* Secrets are userdata without a reader: scripts can pass them on and join them, and see "***". */
#include <lauxlib.h>
#include <string.h>

#include "core/script/lx.h"
#include "core/script/manifest.h"

#define SECRET_MT "neap.secret"

static int secret_tostring(lua_State *L)
{
    lua_pushliteral(L, "***");
    return 1;
}

bool manifest_secret_text(lua_State *L, int idx, struct bytes *text_out)
{
    void *text = lua_type(L, idx) == LUA_TUSERDATA ? luaL_testudata(L, idx, SECRET_MT) : NULL;
    if (text == NULL) {
        return false;
    }
    *text_out = bytes_of(text, lua_rawlen(L, idx) - 1);
    return true;
}

static struct bytes concat_part(lua_State *L, int idx)
{
    struct bytes part = {NULL, 0};
    if (!manifest_secret_text(L, idx, &part)) {
        part.data = luaL_checklstring(L, idx, &part.size);
    }
    return part;
}

/* "Bearer " .. secret("TOKEN") is a secret. */
static int secret_concat(lua_State *L)
{
    struct bytes a = concat_part(L, 1);
    struct bytes b = concat_part(L, 2);
    char *both = lua_newuserdatauv(L, a.size + b.size + 1, 0);
    memcpy(both, a.data, a.size);
    memcpy(both + a.size, b.data, b.size);
    both[a.size + b.size] = '\0';
    luaL_setmetatable(L, SECRET_MT);
    return 1;
}

void manifest_push_secret(lua_State *L, struct bytes text)
{
    static const luaL_Reg metamethods[] = {
        {"__tostring", secret_tostring}, {"__concat", secret_concat}, {NULL, NULL}};
    lx_new_type(L, SECRET_MT, metamethods, NULL);
    char *copy = lua_newuserdatauv(L, text.size + 1, 0);
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    luaL_setmetatable(L, SECRET_MT);
}
