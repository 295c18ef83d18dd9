/*
 * xml.records: long documents piece by piece.
 *
 *     local records = xml.records(answer.file, {"StockCode"})
 *     local list, err = records:read(1000) -- an empty list at the end
 *
 * The reader keeps its source in a user value and its place in it.
 */
#include "core/api/api_xml_records.h"

#include <lauxlib.h>

#include "core/api/api_file.h"
#include "core/base/xml_records.h"
#include "core/script/lx.h"

#define RECORDS_MT  "neap.xml.records"
#define PIECE_BYTES ((size_t)64 << 10)
#define READ_MAX    10000

struct records_box {
    struct xml_records *reader; /* NULL when closed */
    uint64_t offset;            /* of the next piece */
    bool is_over;
};

static int records_close(lua_State *L)
{
    struct records_box *box = luaL_checkudata(L, 1, RECORDS_MT);
    xml_records_free(box->reader);
    box->reader = NULL;
    return 0;
}

/* stack: source, names */
int xml_records_make(lua_State *L)
{
    const char *names[XML_RECORDS_MAX_HAVING];
    if (api_file_test(L, 1) == NULL) {
        luaL_checktype(L, 1, LUA_TSTRING);
    }
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    size_t count = lua_rawlen(L, 2);
    luaL_argcheck(L, count > 0 && count <= XML_RECORDS_MAX_HAVING, 2, "1 to 8 names expected");
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, 2, (lua_Integer)i + 1);
        luaL_argcheck(L, lua_type(L, -1) == LUA_TSTRING, 2, "names expected");
        names[i] = lua_tostring(L, -1); /* stays on the stack */
    }
    struct records_box *box = lua_newuserdatauv(L, sizeof *box, 1);
    *box = (struct records_box){NULL, 0, false};
    luaL_setmetatable(L, RECORDS_MT);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    box->reader = xml_records_new(names, count);
    if (box->reader == NULL) {
        return luaL_error(L, "not enough memory");
    }
    return 1;
}

/* The source is at the top. Returns 0 or a code with err set. */
static int feed_text(lua_State *L, struct records_box *box, struct error *err)
{
    size_t size = 0;
    const char *text = lua_tolstring(L, -1, &size);
    size_t left = size - (size_t)box->offset;
    struct bytes piece = bytes_of(text + box->offset, left < PIECE_BYTES ? left : PIECE_BYTES);
    box->offset += piece.size;
    box->is_over = piece.size == left;
    return xml_records_feed(box->reader, piece, box->is_over, err);
}

static int feed_file(struct spool *spool, struct records_box *box, struct error *err)
{
    char piece[PIECE_BYTES];
    size_t got = 0;
    if (spool_read(spool, box->offset, piece, sizeof piece, &got) != 0) {
        return error_set(err, ERROR_IO, "the file cannot be read");
    }
    box->offset += got;
    box->is_over = box->offset >= spool_size(spool) || got == 0;
    return xml_records_feed(box->reader, bytes_of(piece, got), box->is_over, err);
}

static int feed(lua_State *L, struct records_box *box, struct error *err)
{
    lua_getiuservalue(L, 1, 1);
    struct spool *spool = api_file_test(L, -1);
    int rc = spool == NULL ? feed_text(L, box, err) : feed_file(spool, box, err);
    lua_pop(L, 1);
    return rc;
}

static void push_record(lua_State *L, const struct xml_field *fields, size_t count)
{
    lua_createtable(L, 0, (int)count);
    for (size_t i = 0; i < count; i++) {
        lua_pushlstring(L, fields[i].value.data, fields[i].value.size);
        lua_setfield(L, -2, fields[i].name);
    }
}

/* records:read(limit) -> list | nil, err */
static int records_read(lua_State *L)
{
    struct records_box *box = luaL_checkudata(L, 1, RECORDS_MT);
    lua_Integer limit = luaL_checkinteger(L, 2);
    luaL_argcheck(L, limit > 0 && limit <= READ_MAX, 2, "1 to 10,000 expected");
    luaL_argcheck(L, box->reader != NULL, 1, "the reader is closed");
    lua_settop(L, 2);
    lua_newtable(L); /* 3 */
    lua_Integer found = 0;
    while (found < limit) {
        const struct xml_field *fields = NULL;
        size_t count = 0;
        struct error err;
        if (xml_records_next(box->reader, &fields, &count)) {
            push_record(L, fields, count);
            lua_rawseti(L, 3, ++found);
        } else if (box->is_over) {
            break;
        } else if (feed(L, box, &err) != 0) {
            return lx_push_error(L, &err);
        }
    }
    return 1;
}

void xml_records_open(lua_State *L)
{
    static const luaL_Reg metamethods[] = {
        {"__gc", records_close}, {"__close", records_close}, {NULL, NULL}};
    static const luaL_Reg methods[] = {
        {"read", records_read}, {"close", records_close}, {NULL, NULL}};
    lx_new_type(L, RECORDS_MT, metamethods, methods);
}
