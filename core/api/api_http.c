/*
 * neap.http: HTTP to declared connections.
 *
 *     local http = require("neap.http")
 *     local answer, err = http.request{connection = "khaos", path = "/stock", query = {limit =
 * 100}} for i, r in ipairs(http.all(requests, {limit = 8})) do ... end
 *
 * Requests leave after the commit of everything written so far; each one is a line on the job's
 * timeline.
 */
#include <lauxlib.h>
#include <string.h>

#include "core/api/api_http_call.h"
#include "core/api/api_modules.h"

#define ALL_LIMIT     4
#define ALL_MAX_CALLS 10000
#define TEXT_MAX      ((size_t)64 << 20)

static int http_request_k(lua_State *L, int status, lua_KContext context)
{
    struct http_op *op = (struct http_op *)context;
    struct job_run *run = lx_job(L);
    (void)status;
    coroutine_wait_take(run->co);
    http_op_push_result(L, run, op, 0);
    return 2;
}

/* http.request(request) -> answer | nil, err */
static int http_request(lua_State *L)
{
    struct job_run *run = lx_job(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    struct http_op *op = http_op_push(L, 1, 1);
    http_call_read(L, 1, run, NULL, http_op_call(op, 0));
    return http_op_wait(L, run, op, http_request_k);
}

static int http_all_k(lua_State *L, int status, lua_KContext context)
{
    struct http_op *op = (struct http_op *)context;
    struct job_run *run = lx_job(L);
    (void)status;
    coroutine_wait_take(run->co);
    lua_Integer count = (lua_Integer)lua_rawlen(L, 1);
    lua_createtable(L, (int)count, 0);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_createtable(L, 0, 1);
        http_op_push_result(L, run, op, (size_t)i - 1); /* stack: list, item, answer, error */
        lua_setfield(L, -3, "error");
        lua_setfield(L, -2, "answer");
        lua_rawseti(L, -2, i);
    }
    return 1;
}

/* http.all(requests [, options]) -> list of {answer=, error=} */
static int http_all(lua_State *L)
{
    struct job_run *run = lx_job(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    lx_check_keys(L, 2, "limit", NULL);
    size_t limit = (size_t)lx_opt_integer(L, 2, "limit", ALL_LIMIT, 1);
    size_t count = lua_rawlen(L, 1);
    luaL_argcheck(L, count <= ALL_MAX_CALLS, 1, "too many requests at once");
    if (count == 0) {
        lua_newtable(L);
        return 1;
    }
    /* The continuation needs the number of requests, whatever happens to the table meanwhile. */
    lua_settop(L, 1);
    struct http_op *op = http_op_push(L, count, limit);
    lua_createtable(L, (int)count, 0);
    for (lua_Integer i = 1; i <= (lua_Integer)count; i++) {
        lua_rawgeti(L, 1, i);
        http_call_read(L, -1, run, NULL, http_op_call(op, (size_t)i - 1));
        lua_rawseti(L, 3, i);
    }
    lua_replace(L, 1);
    return http_op_wait(L, run, op, http_all_k);
}

/* http.url_encode(text) */
static int http_url_encode(lua_State *L)
{
    struct bytes text;
    text.data = luaL_checklstring(L, 1, &text.size);
    struct buf *out = lx_new_buf(L, TEXT_MAX);
    http_add_encoded(out, text);
    luaL_argcheck(L, !out->has_failed, 1, "text too long");
    lua_pushlstring(L, buf_text(out), out->size);
    buf_free(out); /* early: the collector may take its time */
    return 1;
}

/* http.encode_query(table) */
static int http_encode_query(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    struct buf *out = lx_new_buf(L, TEXT_MAX);
    http_add_query(L, 1, out);
    luaL_argcheck(L, !out->has_failed, 1, "query too long");
    lua_pushlstring(L, buf_text(out), out->size);
    buf_free(out);
    return 1;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void push_decoded(lua_State *L, const char *text, size_t size)
{
    luaL_Buffer out;
    luaL_buffinit(L, &out);
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (c == '%' && i + 2 < size && hex_digit(text[i + 1]) >= 0 &&
            hex_digit(text[i + 2]) >= 0) {
            c = (char)(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        luaL_addchar(&out, c);
    }
    luaL_pushresult(&out);
}

/* http.decode_query(text) -> table; of repeated names the last one counts */
static int http_decode_query(lua_State *L)
{
    const char *at = luaL_checkstring(L, 1);
    lua_newtable(L);
    while (*at != '\0') {
        size_t size = strcspn(at, "&");
        size_t name = strcspn(at, "=&");
        if (name > 0) {
            push_decoded(L, at, name);
            push_decoded(L, name < size ? at + name + 1 : "", name < size ? size - name - 1 : 0);
            lua_rawset(L, -3);
        }
        at += size + (at[size] == '&' ? 1 : 0);
    }
    return 1;
}

int luaopen_neap_http(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"request", http_request},           {"all", http_all},
        {"url_encode", http_url_encode},     {"encode_query", http_encode_query},
        {"decode_query", http_decode_query}, {NULL, NULL},
    };
    http_op_open(L);
    luaL_newlib(L, functions);
    return 1;
}
