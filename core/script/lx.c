/* Helpers for C code that talks to Lua. Table access is raw throughout: no metamethod runs here. */
#include "core/script/lx.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "core/base/utf8.h"

/* Its address is the registry key; the value is not used. */
static const char env_key;

void lx_set_env(lua_State *L, struct lx_env *env)
{
    lua_pushlightuserdata(L, env);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &env_key);
}

struct lx_env *lx_env(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &env_key);
    struct lx_env *env = lua_touserdata(L, -1);
    lua_pop(L, 1);
    if (env == NULL) {
        luaL_error(L, "this state has no clock and no randomness");
    }
    return env;
}

static bool is_listed(const char *key, va_list names)
{
    for (const char *name = va_arg(names, const char *); name != NULL;
         name = va_arg(names, const char *)) {
        if (strcmp(key, name) == 0) {
            return true;
        }
    }
    return false;
}

static int raise_unknown_key(lua_State *L, const char *key, va_list names)
{
    char known[512] = "";
    size_t used = 0;
    for (const char *name = va_arg(names, const char *); name != NULL && used < sizeof(known);
         name = va_arg(names, const char *)) {
        used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", used == 0 ? "" : ", ",
                                 name);
    }
    return luaL_error(L, "unknown option \"%s\"; known: %s", key, known);
}

bool lx_check_keys(lua_State *L, int idx, ...)
{
    if (lua_isnoneornil(L, idx)) {
        return false;
    }
    luaL_checktype(L, idx, LUA_TTABLE);
    luaL_checkstack(L, 3, "options");
    idx = lua_absindex(L, idx);
    for (lua_pushnil(L); lua_next(L, idx) != 0; lua_pop(L, 1)) {
        /* A number as key is shown as text; the copy keeps lua_next's key untouched. */
        lua_pushvalue(L, -2);
        const char *key = lua_tostring(L, -1);
        key = key == NULL ? luaL_typename(L, -2) : key;
        va_list names;
        va_start(names, idx);
        bool is_known = is_listed(key, names);
        va_end(names);
        if (!is_known) {
            va_start(names, idx);
            raise_unknown_key(L, key, names);
            va_end(names);
        }
        lua_pop(L, 1);
    }
    return true;
}

/* Pushes the raw field, nil when the table is absent. [-0, +1] */
static int push_field(lua_State *L, int idx, const char *key)
{
    if (!lua_istable(L, idx)) {
        lua_pushnil(L);
        return LUA_TNIL;
    }
    idx = lua_absindex(L, idx);
    lua_pushstring(L, key);
    return lua_rawget(L, idx);
}

static int raise_field(lua_State *L, const char *key, const char *expected)
{
    return luaL_error(L, "option \"%s\": %s expected, got %s", key, expected, luaL_typename(L, -1));
}

lua_Integer lx_opt_integer(lua_State *L, int idx, const char *key, lua_Integer otherwise,
                           lua_Integer min)
{
    lua_Integer value = otherwise;
    if (push_field(L, idx, key) != LUA_TNIL) {
        int is_integer = 0;
        value = lua_tointegerx(L, -1, &is_integer);
        if (!is_integer || lua_type(L, -1) != LUA_TNUMBER) {
            raise_field(L, key, "an integer");
        }
        if (value < min) {
            luaL_error(L, "option \"%s\": at least %I expected, got %I", key, (LUAI_UACINT)min,
                       (LUAI_UACINT)value);
        }
    }
    lua_pop(L, 1);
    return value;
}

bool lx_opt_boolean(lua_State *L, int idx, const char *key, bool otherwise)
{
    bool value = otherwise;
    if (push_field(L, idx, key) != LUA_TNIL) {
        if (!lua_isboolean(L, -1)) {
            raise_field(L, key, "a boolean");
        }
        value = lua_toboolean(L, -1) != 0;
    }
    lua_pop(L, 1);
    return value;
}

const char *lx_opt_string(lua_State *L, int idx, const char *key, const char *otherwise)
{
    const char *value = otherwise;
    if (push_field(L, idx, key) != LUA_TNIL) {
        if (lua_type(L, -1) != LUA_TSTRING) {
            raise_field(L, key, "a string");
        }
        value = lua_tostring(L, -1);
    }
    lua_pop(L, 1);
    return value;
}

const char *lx_check_string_field(lua_State *L, int idx, const char *key)
{
    const char *value = lx_opt_string(L, idx, key, NULL);
    if (value == NULL) {
        luaL_error(L, "option \"%s\" is missing: a string expected", key);
    }
    return value;
}

const char *lx_check_name(lua_State *L, int arg)
{
    size_t size;
    const char *name = luaL_checklstring(L, arg, &size);
    luaL_argcheck(L, strlen(name) == size, arg, "text without zero bytes expected");
    return name;
}

const char *lx_opt_name_field(lua_State *L, int idx, const char *key, const char *otherwise)
{
    const char *name = lx_opt_string(L, idx, key, otherwise);
    if (push_field(L, idx, key) != LUA_TNIL && strlen(name) != lua_rawlen(L, -1)) {
        raise_field(L, key, "text without zero bytes");
    }
    lua_pop(L, 1);
    return name;
}

const char *lx_check_name_field(lua_State *L, int idx, const char *key)
{
    lx_check_string_field(L, idx, key);
    return lx_opt_name_field(L, idx, key, NULL);
}

const char *lx_check_name_item(lua_State *L, const char *key)
{
    size_t size;
    const char *name = lua_tolstring(L, -1, &size);
    if (name == NULL || strlen(name) != size) {
        luaL_error(L, "option \"%s\": a list of texts without zero bytes expected", key);
    }
    return name;
}

int lx_error_code(const char *kind)
{
#define ERROR_CODE_MATCH(symbol, value, name)                                                      \
    if (strcmp(kind, (name)) == 0) {                                                               \
        return (symbol);                                                                           \
    }
    ERROR_CODE_LIST(ERROR_CODE_MATCH)
#undef ERROR_CODE_MATCH
    return 0;
}

/* "kind: message" on one line whatever the message holds. */
static int error_tostring(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    push_field(L, 1, "kind");
    push_field(L, 1, "message");
    const char *kind = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "unknown";
    const char *message = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    luaL_Buffer line;
    luaL_buffinit(L, &line);
    luaL_addstring(&line, kind);
    luaL_addstring(&line, ": ");
    for (const char *c = message; *c != '\0'; c++) {
        luaL_addchar(&line, *c == '\n' || *c == '\r' ? ' ' : *c);
    }
    luaL_pushresult(&line);
    return 1;
}

void lx_set_error_metatable(lua_State *L)
{
    static const luaL_Reg metamethods[] = {{"__tostring", error_tostring}, {NULL, NULL}};
    assert(lua_istable(L, -1));
    if (luaL_getmetatable(L, LX_ERROR_MT) != LUA_TTABLE) {
        lua_pop(L, 1);
        lx_new_type(L, LX_ERROR_MT, metamethods, NULL);
        luaL_getmetatable(L, LX_ERROR_MT);
    }
    lua_setmetatable(L, -2);
}

/* Messages quote outside bytes and are cut at a fixed size: what is no UTF-8 becomes '?'. [-0, +1]
 */
static void push_clean_text(lua_State *L, const char *text)
{
    char clean[ERROR_MESSAGE_SIZE];
    size_t size = strnlen(text, sizeof(clean));
    memcpy(clean, text, size);
    for (size_t i = 0; i < size;) {
        size_t length = utf8_length(clean + i, size - i);
        if (length == 0) {
            clean[i] = '?';
            length = 1;
        }
        i += length;
    }
    lua_pushlstring(L, clean, size);
}

void lx_push_error_object(lua_State *L, const struct error *err)
{
    luaL_checkstack(L, 4, "error");
    lua_createtable(L, 0, 5);
    lua_pushstring(L, error_code_name(err->code));
    lua_setfield(L, -2, "kind");
    push_clean_text(L, err->message);
    lua_setfield(L, -2, "message");
    lua_pushboolean(L, err->is_retryable);
    lua_setfield(L, -2, "retryable");
    if (err->retry_after_ms > 0) {
        lua_pushinteger(L, err->retry_after_ms);
        lua_setfield(L, -2, "retry_after_ms");
    }
    if (err->http_status != 0) {
        lua_pushinteger(L, err->http_status);
        lua_setfield(L, -2, "status");
    }
    if (err->maybe_sent) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "maybe_sent");
    }
    lx_set_error_metatable(L);
}

int lx_push_error(lua_State *L, const struct error *err)
{
    luaL_checkstack(L, 5, "error");
    lua_pushnil(L);
    lx_push_error_object(L, err);
    return 2;
}

int lx_fail(lua_State *L, int code, const char *fmt, ...)
{
    struct error err;
    va_list args;
    va_start(args, fmt);
    error_set_v(&err, code, fmt, args);
    va_end(args);
    return lx_push_error(L, &err);
}

int lx_raise(lua_State *L, const struct error *err)
{
    lx_push_error_object(L, err);
    lua_error(L);
    __builtin_unreachable();
}

bool lx_is_error(lua_State *L, int idx)
{
    if (!lua_istable(L, idx) || !lua_checkstack(L, 2) || !lua_getmetatable(L, idx)) {
        return false;
    }
    luaL_getmetatable(L, LX_ERROR_MT);
    bool is_error = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return is_error;
}

/* The raw field as text; a table's number or boolean gives "". [-0, +1] */
static const char *push_text(lua_State *L, int idx, const char *key)
{
    return push_field(L, idx, key) == LUA_TSTRING ? lua_tostring(L, -1) : "";
}

static lua_Integer read_integer(lua_State *L, int idx, const char *key)
{
    push_field(L, idx, key);
    lua_Integer value = lua_type(L, -1) == LUA_TNUMBER ? lua_tointeger(L, -1) : 0;
    lua_pop(L, 1);
    return value;
}

static bool read_boolean(lua_State *L, int idx, const char *key)
{
    push_field(L, idx, key);
    bool value = lua_toboolean(L, -1) != 0;
    lua_pop(L, 1);
    return value;
}

void lx_read_error(lua_State *L, int idx, struct error *err)
{
    if (!lx_is_error(L, idx)) {
        int type = lua_type(L, idx);
        bool is_text = type == LUA_TSTRING;
        error_set(err, ERROR_SCRIPT, "%s%s", is_text ? "" : "raised a value of type ",
                  is_text ? lua_tostring(L, idx) : lua_typename(L, type));
        return;
    }
    idx = lua_absindex(L, idx);
    int code = lx_error_code(push_text(L, idx, "kind"));
    error_set(err, code == 0 ? ERROR_SCRIPT : code, "%s", push_text(L, idx, "message"));
    lua_pop(L, 2);
    err->is_retryable = read_boolean(L, idx, "retryable");
    err->maybe_sent = read_boolean(L, idx, "maybe_sent");
    err->retry_after_ms = read_integer(L, idx, "retry_after_ms");
    err->http_status = (int)read_integer(L, idx, "status");
}

void lx_new_type(lua_State *L, const char *name, const luaL_Reg *metamethods,
                 const luaL_Reg *methods)
{
    int height = lua_gettop(L);
    if (luaL_newmetatable(L, name)) {
        luaL_setfuncs(L, metamethods, 0);
        lua_pushstring(L, name);
        lua_setfield(L, -2, "__metatable");
        if (methods != NULL) {
            lua_newtable(L);
            luaL_setfuncs(L, methods, 0);
            lua_setfield(L, -2, "__index");
        }
    }
    lua_pop(L, 1);
    assert(lua_gettop(L) == height);
    (void)height;
}

static int buf_gc(lua_State *L)
{
    buf_free(luaL_checkudata(L, 1, LX_BUF_MT));
    return 0;
}

struct buf *lx_new_buf(lua_State *L, size_t max)
{
    static const luaL_Reg metamethods[] = {{"__gc", buf_gc}, {"__close", buf_gc}, {NULL, NULL}};
    struct buf *b = lua_newuserdatauv(L, sizeof(*b), 0);
    buf_init(b, max);
    if (luaL_getmetatable(L, LX_BUF_MT) != LUA_TTABLE) {
        lua_pop(L, 1);
        lx_new_type(L, LX_BUF_MT, metamethods, NULL);
        luaL_getmetatable(L, LX_BUF_MT);
    }
    lua_setmetatable(L, -2);
    return b;
}
