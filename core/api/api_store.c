/*
 * neap.store: durable tables of this client.
 *
 *     local store = require("neap.store")
 *     store.put("khaos_codes", "TS-RED-L", {vat = "20"})
 *     local item = store.get("khaos_codes", "TS-RED-L")
 *
 * Values are JSON. Writes belong to the slice; store.atomic makes a smaller unit inside it.
 */
#include <lauxlib.h>
#include <string.h>

#include "core/api/api_modules.h"
#include "core/api/api_sorter.h"
#include "core/script/lx_event.h"
#include "core/work/script_table.h"

#define RANGE_LIMIT     100
#define RANGE_LIMIT_MAX 10000

static struct bytes check_bytes(lua_State *L, int idx)
{
    struct bytes b;
    b.data = luaL_checklstring(L, idx, &b.size);
    return b;
}

/* Table at 1 and key at idx (0: none) are what the store takes. Raises. */
static void check_names(lua_State *L, struct bytes table, struct bytes key)
{
    struct error err;
    if (script_table_check(table, key, &err) != 0) {
        luaL_error(L, "%s", err.message);
    }
}

/* store.get(table, key) */
static int store_get_value(lua_State *L)
{
    struct bytes table = check_bytes(L, 1);
    struct bytes key = check_bytes(L, 2);
    check_names(L, table, key);
    struct script_scope *scope = lx_store_scope(L);
    struct bytes json;
    int rc = script_table_get(scope->work, table, key, &json);
    if (rc == ERROR_NOT_FOUND) {
        lua_pushnil(L);
        return 1;
    }
    lx_check_rc(L, rc, "reading the store");
    lx_decode_json(L, json);
    return 1;
}

/* store.put(table, key, value) */
static int store_put_value(lua_State *L)
{
    struct bytes table = check_bytes(L, 1);
    struct bytes key = check_bytes(L, 2);
    check_names(L, table, key);
    luaL_argcheck(L, !lua_isnoneornil(L, 3), 3, "a value expected; store.delete removes one");
    struct script_scope *scope = lx_store_write_scope(L);
    lua_settop(L, 3);
    lx_encode_json(L);
    lx_check_rc(L, script_table_put(scope->work, table, key, check_bytes(L, 3)),
                "writing the store");
    return 0;
}

/* store.put_many(table, values): every key and value is checked before the first is written */
static int store_put_many(lua_State *L)
{
    struct bytes table = check_bytes(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    struct script_scope *scope = lx_store_write_scope(L);
    lua_settop(L, 2);
    size_t count = 0;
    for (lua_pushnil(L); lua_next(L, 2) != 0; lua_pop(L, 1)) {
        count++;
    }
    struct script_pair *pairs = lua_newuserdatauv(L, (count + 1) * sizeof(*pairs), 0); /* 3 */
    lua_createtable(L, (int)count, 0); /* 4: keeps the texts */
    size_t filled = 0;
    for (lua_pushnil(L); lua_next(L, 2) != 0;) { /* 5: key, 6: value */
        luaL_argexpected(L, lua_type(L, 5) == LUA_TSTRING, 2, "table with string keys");
        pairs[filled].key.data = lua_tolstring(L, 5, &pairs[filled].key.size);
        check_names(L, table, pairs[filled].key);
        lx_encode_json(L);
        pairs[filled].json.data = lua_tolstring(L, 6, &pairs[filled].json.size);
        filled++;
        lua_rawseti(L, 4, (lua_Integer)filled);
    }
    lx_check_rc(L, script_table_put_many(scope->work, table, pairs, filled), "writing the store");
    lua_pushinteger(L, (lua_Integer)filled);
    return 1;
}

/* store.delete(table, key) */
static int store_delete_value(lua_State *L)
{
    struct bytes table = check_bytes(L, 1);
    struct bytes key = check_bytes(L, 2);
    check_names(L, table, key);
    struct script_scope *scope = lx_store_write_scope(L);
    int rc = script_table_delete(scope->work, table, key);
    if (rc != ERROR_NOT_FOUND) {
        lx_check_rc(L, rc, "writing the store");
    }
    lua_pushboolean(L, rc == 0);
    return 1;
}

/* Collected as plain bytes first: the walk belongs to the store, so nothing may raise inside it. */
static int collect_pair(void *arg, struct bytes key, struct bytes json)
{
    struct buf *out = arg;
    int rc = buf_add(out, &key.size, sizeof(key.size));
    rc = rc == 0 ? buf_add(out, &json.size, sizeof(json.size)) : rc;
    rc = rc == 0 ? buf_add(out, key.data, key.size) : rc;
    return rc == 0 ? buf_add(out, json.data, json.size) : rc;
}

static void push_pairs(lua_State *L, const struct buf *pairs)
{
    const char *at = buf_text(pairs);
    const char *end = at + pairs->size;
    lua_newtable(L);
    for (lua_Integer i = 1; at < end; i++) {
        struct bytes key;
        struct bytes json;
        memcpy(&key.size, at, sizeof(key.size));
        memcpy(&json.size, at + sizeof(key.size), sizeof(json.size));
        key.data = at + sizeof(key.size) + sizeof(json.size);
        json.data = key.data + key.size;
        at = json.data + json.size;
        lua_createtable(L, 0, 2);
        lua_pushlstring(L, key.data, key.size);
        lua_setfield(L, -2, "key");
        lx_decode_json(L, json);
        lua_setfield(L, -2, "value");
        lua_rawseti(L, -2, i);
    }
}

/* store.range(table [, options]) */
static int store_range_values(lua_State *L)
{
    struct bytes table = check_bytes(L, 1);
    check_names(L, table, bytes_of("", 0));
    lx_check_keys(L, 2, "prefix", "from", "after", "limit", "reverse", NULL);
    struct script_range range = {
        .prefix = bytes_str(lx_opt_string(L, 2, "prefix", "")),
        .from = bytes_str(lx_opt_string(L, 2, "from", "")),
        .after = bytes_str(lx_opt_string(L, 2, "after", "")),
        .is_reverse = lx_opt_boolean(L, 2, "reverse", false),
        .limit = (size_t)lx_opt_integer(L, 2, "limit", RANGE_LIMIT, 1),
    };
    if (range.limit > RANGE_LIMIT_MAX) {
        return luaL_error(L, "option \"limit\": at most %d", RANGE_LIMIT_MAX);
    }
    struct script_scope *scope = lx_store_scope(L);
    struct buf *pairs = lx_new_buf(L, vm_limits(vm_of(L))->memory_bytes);
    lx_check_rc(L, script_table_range(scope->work, table, &range, collect_pair, pairs),
                "reading the store");
    push_pairs(L, pairs);
    buf_free(pairs);
    return 1;
}

/* store.increment(table, key [, delta]) */
static int store_increment(lua_State *L)
{
    struct bytes table = check_bytes(L, 1);
    struct bytes key = check_bytes(L, 2);
    lua_Integer delta = luaL_optinteger(L, 3, 1);
    check_names(L, table, key);
    struct script_scope *scope = lx_store_write_scope(L);
    int64_t value = 0;
    int rc = script_table_increment(scope->work, table, key, delta, &value);
    if (rc == ERROR_INVALID) {
        return luaL_error(L, "%s/%s does not hold an integer", table.data, key.data);
    }
    lx_check_rc(L, rc, "counting in the store");
    lua_pushinteger(L, value);
    return 1;
}

/* store.atomic(fn): what it raises is raised again after its writes are gone */
static int store_atomic(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    struct script_scope *scope = lx_store_write_scope(L);
    lx_check_rc(L, work_nested_begin(scope->work), "beginning in the store");
    if (vm_pcall_atomic(L, 0) != LUA_OK) {
        work_nested_abort(scope->work);
        return lua_error(L);
    }
    lx_check_rc(L, work_nested_commit(scope->work), "writing the store");
    return lua_gettop(L);
}

int luaopen_neap_store(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"get", store_get_value},
        {"put", store_put_value},
        {"put_many", store_put_many},
        {"delete", store_delete_value},
        {"range", store_range_values},
        {"increment", store_increment},
        {"atomic", store_atomic},
        {"sorter", api_sorter_make},
        {NULL, NULL},
    };
    api_sorter_open(L);
    luaL_newlib(L, functions);
    return 1;
}
