/*
 * store.sorter: very many rows brought into key order outside of memory, to replace a table.
 *
 *     local rows = store.sorter()
 *     rows:add("TS-RED-L", {vat = "20"})
 *     repeat
 *         local step = rows:replace("stock", 1000) -- {changed = {...}, gone = {...}, is_over =}
 *     until step.is_over
 */
#include "core/api/api_sorter.h"

#include <lauxlib.h>
#include <string.h>

#include "core/api/api_modules.h"
#include "core/script/lx_event.h"
#include "core/work/script_table.h"

#define SORTER_MT   "neap.store.sorter"
#define REPLACE_MAX 10000
#define TEMP_FOLDER "/tmp" /* of a store that lies in no folder: tests */

struct sorter_box {
    struct sorter *rows; /* NULL when closed */
    struct buf after;
};

static struct sorter_box *check_sorter(lua_State *L)
{
    struct sorter_box *box = luaL_checkudata(L, 1, SORTER_MT);
    luaL_argcheck(L, box->rows != NULL, 1, "the sorter is closed");
    return box;
}

static int sorter_close(lua_State *L)
{
    struct sorter_box *box = luaL_checkudata(L, 1, SORTER_MT);
    sorter_free(box->rows);
    buf_free(&box->after);
    box->rows = NULL;
    return 0;
}

/* store.sorter() */
int api_sorter_make(lua_State *L)
{
    struct script_scope *scope = lx_store_scope(L);
    const char *folder = store_folder(work_store(scope->work));
    struct sorter_box *box = lua_newuserdatauv(L, sizeof *box, 0);
    memset(box, 0, sizeof *box);
    buf_init(&box->after, SCRIPT_TABLE_KEY_MAX);
    luaL_setmetatable(L, SORTER_MT);
    box->rows = sorter_new(folder != NULL ? folder : TEMP_FOLDER);
    return 1;
}

/* sorter:add(key, value) */
static int sorter_add_row(lua_State *L)
{
    struct sorter_box *box = check_sorter(L);
    struct bytes key;
    struct bytes json;
    key.data = luaL_checklstring(L, 2, &key.size);
    luaL_argcheck(L, key.size <= SCRIPT_TABLE_KEY_MAX, 2, "key too long");
    luaL_argcheck(L, !lua_isnoneornil(L, 3), 3, "a value expected");
    luaL_argcheck(L, !sorter_is_reading(box->rows), 1, "it replaces a table already");
    lua_settop(L, 3);
    lx_encode_json(L);
    json.data = lua_tolstring(L, 3, &json.size);
    lx_check_rc(L, sorter_add(box->rows, key, json), "sorting rows");
    return 0;
}

/* Keys collected as plain bytes: the store's work is over before Lua may raise. */
struct told {
    struct buf changed; /* size, key, ... */
    struct buf gone;
};

static void on_change(void *arg, struct bytes key, bool is_gone)
{
    struct told *told = arg;
    struct buf *out = is_gone ? &told->gone : &told->changed;
    if (buf_add(out, &key.size, sizeof key.size) == 0) {
        buf_add(out, key.data, key.size);
    }
}

static void push_keys(lua_State *L, const struct buf *keys)
{
    const char *at = buf_text(keys);
    const char *end = at + keys->size;
    lua_newtable(L);
    for (lua_Integer i = 1; at < end; i++) {
        size_t size;
        memcpy(&size, at, sizeof size);
        lua_pushlstring(L, at + sizeof size, size);
        lua_rawseti(L, -2, i);
        at += sizeof size + size;
    }
}

/* sorter:replace(table, limit) */
static int sorter_replace(lua_State *L)
{
    struct sorter_box *box = check_sorter(L);
    struct bytes table;
    struct error err;
    table.data = luaL_checklstring(L, 2, &table.size);
    lua_Integer limit = luaL_checkinteger(L, 3);
    luaL_argcheck(L, limit > 0 && limit <= REPLACE_MAX, 3, "1 to 10,000 expected");
    if (script_table_check(table, bytes_of("", 0), &err) != 0) {
        return luaL_error(L, "%s", err.message);
    }
    struct script_scope *scope = lx_store_write_scope(L);
    size_t most = REPLACE_MAX * (sizeof(size_t) + SCRIPT_TABLE_KEY_MAX);
    struct buf *changed = lx_new_buf(L, most);
    struct buf *gone = lx_new_buf(L, most);
    struct told told = {*changed, *gone};
    struct script_replace replace = {box->rows, &box->after, (size_t)limit, on_change, &told};
    bool is_over = false;
    int rc = script_table_replace(scope->work, table, &replace, &is_over);
    *changed = told.changed;
    *gone = told.gone;
    lx_check_rc(L, rc, "writing the store");
    lua_createtable(L, 0, 3);
    push_keys(L, changed);
    lua_setfield(L, -2, "changed");
    push_keys(L, gone);
    lua_setfield(L, -2, "gone");
    lua_pushboolean(L, is_over);
    lua_setfield(L, -2, "is_over");
    buf_free(changed);
    buf_free(gone);
    return 1;
}

void api_sorter_open(lua_State *L)
{
    static const luaL_Reg metamethods[] = {
        {"__gc", sorter_close}, {"__close", sorter_close}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"add", sorter_add_row},
                                       {"replace", sorter_replace},
                                       {"close", sorter_close},
                                       {NULL, NULL}};
    lx_new_type(L, SORTER_MT, metamethods, methods);
}
