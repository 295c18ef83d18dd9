/*
 * neap.errors: what the world answered when it said no, as one kind of object.
 *
 *     local errors = require("neap.errors")
 *     local order, err = scayle.order(id)
 *     if not order then
 *         return nil, errors.wrap(err, "booking order %s", id)
 *     end
 *
 * Objects are tables with the fields kind, message, retryable, retry_after_ms, status, cause,
 * details and maybe_sent; tostring gives "kind: message". C code makes the same objects with
 * lx_push_error.
 */
#include <string.h>

#include "core/api/api_values.h"
#include "core/script/lx.h"

/* [-0, +0]; copies a field that is not nil from the table at `from` to the table at the top. */
static void copy_field(lua_State *L, int from, const char *key)
{
    lua_pushstring(L, key);
    if (lua_rawget(L, from) == LUA_TNIL) {
        lua_pop(L, 1);
        return;
    }
    lua_setfield(L, -2, key);
}

static int raise_unknown_kind(lua_State *L, const char *kind)
{
    static const char known[] =
#define ERROR_CODE_TEXT(symbol, value, name) " " name
        ERROR_CODE_LIST(ERROR_CODE_TEXT)
#undef ERROR_CODE_TEXT
        ;
    return luaL_error(L, "unknown error kind \"%s\"; known:%s", kind, known);
}

/* errors.new{kind=, message=, ...} -> error object */
static int errors_new(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lx_check_keys(L, 1, "kind", "message", "retryable", "retry_after_ms", "status", "cause",
                  "details", "maybe_sent", NULL);
    const char *kind = lx_check_string_field(L, 1, "kind");
    if (lx_error_code(kind) == 0) {
        return raise_unknown_kind(L, kind);
    }
    lx_check_string_field(L, 1, "message");
    bool is_retryable = lx_opt_boolean(L, 1, "retryable", false);
    lx_opt_integer(L, 1, "retry_after_ms", 0, 0);
    lx_opt_integer(L, 1, "status", 0, 0);
    bool maybe_sent = lx_opt_boolean(L, 1, "maybe_sent", false);

    lua_createtable(L, 0, 6);
    static const char *const copied[] = {"kind",   "message", "retry_after_ms",
                                         "status", "cause",   "details"};
    for (size_t i = 0; i < sizeof(copied) / sizeof(copied[0]); i++) {
        copy_field(L, 1, copied[i]);
    }
    lua_pushboolean(L, is_retryable);
    lua_setfield(L, -2, "retryable");
    if (maybe_sent) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "maybe_sent");
    }
    lx_set_error_metatable(L);
    return 1;
}

/* Replaces the arguments from 2 on by string.format(...) of them. [-n, +1] */
static void format_context(lua_State *L)
{
    luaL_checktype(L, 2, LUA_TSTRING);
    if (luaL_getmetafield(L, 2, "__index") != LUA_TTABLE) {
        lua_settop(L, 2); /* a state without the string library */
        return;
    }
    lua_getfield(L, -1, "format");
    lua_replace(L, -2);
    lua_insert(L, 2);
    lua_call(L, lua_gettop(L) - 2, 1);
}

/* errors.wrap(err, fmt, ...) -> error object; the first may also be a raised string */
static int errors_wrap(lua_State *L)
{
    luaL_argexpected(L, lx_is_error(L, 1) || lua_type(L, 1) == LUA_TSTRING, 1, "error object");
    format_context(L);
    struct error old;
    lx_read_error(L, 1, &old);
    lua_createtable(L, 0, 6); /* stack: err, context, new */
    lua_pushvalue(L, 2);
    lua_pushliteral(L, ": ");
    if (lx_is_error(L, 1)) {
        static const char *const copied[] = {"kind",   "retryable", "retry_after_ms",
                                             "status", "details",   "maybe_sent"};
        lua_pushliteral(L, "message");
        lua_rawget(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING) {
            lua_pop(L, 1);
            lua_pushliteral(L, "");
        }
        lua_concat(L, 3);
        lua_setfield(L, 3, "message");
        for (size_t i = 0; i < sizeof(copied) / sizeof(copied[0]); i++) {
            copy_field(L, 1, copied[i]);
        }
    } else {
        lua_pushvalue(L, 1);
        lua_concat(L, 3);
        lua_setfield(L, 3, "message");
        lua_pushstring(L, error_code_name(old.code));
        lua_setfield(L, 3, "kind");
        lua_pushboolean(L, 0);
        lua_setfield(L, 3, "retryable");
    }
    lua_pushvalue(L, 1);
    lua_setfield(L, 3, "cause");
    lx_set_error_metatable(L);
    return 1;
}

/* errors.check(v, err, ...) -> the same values, or raises err when v is nil or false */
static int errors_check(lua_State *L)
{
    luaL_checkany(L, 1);
    if (lua_toboolean(L, 1) || lua_isnoneornil(L, 2)) {
        return lua_gettop(L);
    }
    lua_settop(L, 2);
    return lua_error(L);
}

/* errors.is(value [, kind]) -> boolean */
static int errors_is(lua_State *L)
{
    const char *kind = luaL_optstring(L, 2, NULL);
    if (kind != NULL && lx_error_code(kind) == 0) {
        return raise_unknown_kind(L, kind);
    }
    bool is_error = lx_is_error(L, 1);
    if (is_error && kind != NULL) {
        lua_pushliteral(L, "kind");
        lua_rawget(L, 1);
        const char *own = lua_tostring(L, -1);
        is_error = own != NULL && strcmp(own, kind) == 0;
    }
    lua_pushboolean(L, is_error);
    return 1;
}

int luaopen_neap_errors(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"new", errors_new}, {"wrap", errors_wrap}, {"check", errors_check},
        {"is", errors_is},   {NULL, NULL},
    };
    luaL_newlib(L, functions);
    return 1;
}
