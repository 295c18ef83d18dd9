/*
 * neap.json: strict reading, canonical writing.
 *
 *     local json = require("neap.json")
 *     local order, err = json.decode(answer.body)       -- integers stay integers, [] stays a list
 *     local text = json.encode{id = order.id, items = json.array{}}
 *
 * Reading: the text is checked by core/base/json_scan, decoded by lua-cjson (private instance), and
 * one pass over the result restores what that library loses: integers, and lists that are empty.
 * Writing is our own: sorted keys, exact 64-bit integers, shortest floats. Access is raw, so no
 * metamethod runs while the encoder holds its scratch memory.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lua.h>
#include <lua-cjson.h> /* needs lua.h before it */

#include "core/api/api_values.h"
#include "core/base/decimal.h"
#include "core/base/json_scan.h"
#include "core/base/utf8.h"
#include "core/script/lx.h"

#define JSON_ARRAY_MT   "neap.json.array"
#define JSON_SCRATCH_MT "neap.json.scratch"

#define JSON_MAX_DEPTH  JSON_SCAN_MAX_DEPTH
#define JSON_MAX_BYTES  ((size_t)64 << 20)
#define JSON_KEEP_BYTES ((size_t)256 << 10) /* scratch memory kept from one call to the next */

#define FLOAT_INTEGER_MAX 9007199254740992.0 /* 2^53 */

/* Memory of one module instance, reused by its calls; none of them can nest. */
struct json_scratch {
    struct buf text;
    struct bytes *keys; /* a stack of the member names of the objects being written */
    size_t key_count;
    size_t key_capacity;
};

static struct json_scratch *scratch_of(lua_State *L, int upvalue)
{
    struct json_scratch *s = lua_touserdata(L, lua_upvalueindex(upvalue));
    buf_reset(&s->text);
    s->key_count = 0;
    return s;
}

static void scratch_trim(struct json_scratch *s)
{
    if (s->text.capacity > JSON_KEEP_BYTES) {
        buf_free(&s->text);
    }
    if (s->key_capacity * sizeof(*s->keys) > JSON_KEEP_BYTES) {
        free(s->keys);
        s->keys = NULL;
        s->key_capacity = 0;
    }
}

static int scratch_gc(lua_State *L)
{
    struct json_scratch *s = luaL_checkudata(L, 1, JSON_SCRATCH_MT);
    buf_free(&s->text);
    free(s->keys);
    s->keys = NULL;
    s->key_capacity = 0;
    return 0;
}

/* ---- reading ---- */

/* Pushes the integer a float stands for, when it stands for one exactly. [-0, +0|1] */
static bool push_if_integer(lua_State *L, int idx)
{
    if (lua_type(L, idx) != LUA_TNUMBER || lua_isinteger(L, idx)) {
        return false;
    }
    lua_Number value = lua_tonumber(L, idx);
    if (!(fabs(value) <= FLOAT_INTEGER_MAX) || floor(value) != value) {
        return false;
    }
    lua_pushinteger(L, (lua_Integer)value);
    return true;
}

/* What one pass over a decoded value does besides restoring. */
struct restoring {
    int array_mt;          /* stack index */
    bool is_without_nulls; /* members and elements that are null go */
};

static void restore(lua_State *L, const struct restoring *r);

/* Whether the value at the top is null; never so when nulls stay. */
static bool is_unwanted(lua_State *L, const struct restoring *r)
{
    return r->is_without_nulls && lua_type(L, -1) == LUA_TLIGHTUSERDATA;
}

/* The list at the top. [-0, +0] */
static void restore_list(lua_State *L, const struct restoring *r)
{
    lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
    lua_Integer kept = 0;
    for (lua_Integer i = 1; i <= count; i++) {
        int type = lua_rawgeti(L, -1, i);
        if (type == LUA_TTABLE) {
            restore(L, r);
        }
        bool is_mark = type == LUA_TNUMBER && isinf(lua_tonumber(L, -1)); /* of an empty list */
        bool is_changed = push_if_integer(L, -1);
        if (is_mark || is_unwanted(L, r)) {
            lua_pop(L, 1);
            continue;
        }
        kept++;
        if (is_changed || kept != i) {
            lua_rawseti(L, is_changed ? -3 : -2, kept);
            lua_pop(L, is_changed ? 1 : 0);
        } else {
            lua_pop(L, 1);
        }
    }
    while (count > kept) {
        lua_pushnil(L);
        lua_rawseti(L, -2, count);
        count--;
    }
    lua_pushvalue(L, r->array_mt);
    lua_setmetatable(L, -2);
}

/* Turns integral floats into integers and marks lists in the table at the top. [-0, +0] */
static void restore(lua_State *L, const struct restoring *r)
{
    luaL_checkstack(L, 5, "JSON");
    lua_pushnil(L);
    if (lua_next(L, -2) == 0) {
        return;
    }
    if (lua_type(L, -2) == LUA_TNUMBER) {
        lua_pop(L, 2);
        restore_list(L, r);
        return;
    }
    do {
        if (lua_type(L, -1) == LUA_TTABLE) {
            restore(L, r);
        } else if (is_unwanted(L, r)) {
            lua_pushvalue(L, -2); /* stack: object, key, value, key */
            lua_pushnil(L);
            lua_rawset(L, -5);
        } else if (push_if_integer(L, -1)) {
            lua_pushvalue(L, -3); /* stack: object, key, value, integer, key */
            lua_insert(L, -2);
            lua_rawset(L, -5);
        }
        lua_pop(L, 1);
    } while (lua_next(L, -2) != 0);
}

/* json.decode(text [, {max_depth=, max_bytes=, without_nulls=}]) -> value | nil, err
 * Upvalues: cjson, scratch */
static int json_decode(lua_State *L)
{
    size_t size = 0;
    const char *text = luaL_checklstring(L, 1, &size);
    lx_check_keys(L, 2, "max_depth", "max_bytes", "without_nulls", NULL);
    lua_Integer max_depth = lx_opt_integer(L, 2, "max_depth", JSON_MAX_DEPTH, 1);
    size_t max_bytes = (size_t)lx_opt_integer(L, 2, "max_bytes", (lua_Integer)JSON_MAX_BYTES, 1);
    struct restoring restoring = {2, lx_opt_boolean(L, 2, "without_nulls", false)};
    if (size > max_bytes) {
        return lx_fail(L, ERROR_LIMIT, "JSON: %zu bytes, at most %zu allowed", size, max_bytes);
    }
    lua_settop(L, 1);
    luaL_getmetatable(L, JSON_ARRAY_MT);
    struct json_scratch *s = scratch_of(L, 2);
    s->text.max = size * 4 + 16;
    struct bytes ready = {NULL, 0};
    struct error err;
    unsigned depth = max_depth > JSON_MAX_DEPTH ? JSON_MAX_DEPTH : (unsigned)max_depth;
    int rc = json_scan(bytes_of(text, size), depth, &s->text, &ready, &err);
    if (rc != 0) {
        scratch_trim(s);
        return lx_push_error(L, &err);
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    if (ready.data == text && ready.size == size) {
        lua_pushvalue(L, 1);
    } else {
        lua_pushlstring(L, ready.data, ready.size);
    }
    scratch_trim(s);
    int status = lua_pcall(L, 1, 1, 0);
    if (status == LUA_ERRMEM) {
        return lua_error(L);
    }
    if (status != LUA_OK) {
        return lx_fail(L, ERROR_INVALID, "JSON: %s", lua_tostring(L, -1));
    }
    if (lua_type(L, -1) == LUA_TTABLE) {
        restore(L, &restoring);
    } else {
        push_if_integer(L, -1);
    }
    return 1;
}

/* ---- writing ---- */

/* Where the encoder is: a member name, or (name NULL) a list position. */
struct json_place {
    const char *name;
    lua_Integer index;
};

struct json_encoder {
    lua_State *L;
    struct buf *out;
    struct json_scratch *scratch;
    bool is_pretty;
    int array_mt;
    unsigned depth;
    struct json_place path[JSON_MAX_DEPTH + 1];
};

/* Raises "<what> at $.items[3].name". */
static void __attribute__((noreturn)) raise_at(struct json_encoder *e, const char *what)
{
    luaL_Buffer where;
    luaL_checkstack(e->L, 8, "JSON");
    luaL_buffinit(e->L, &where);
    luaL_addchar(&where, '$');
    for (unsigned i = 1; i <= e->depth; i++) {
        char part[96];
        if (e->path[i].name != NULL) {
            snprintf(part, sizeof(part), ".%s", e->path[i].name);
        } else {
            snprintf(part, sizeof(part), "[%lld]", (long long)e->path[i].index);
        }
        luaL_addstring(&where, part);
    }
    luaL_pushresult(&where);
    luaL_error(e->L, "json.encode: %s at %s", what, lua_tostring(e->L, -1));
    __builtin_unreachable();
}

static void write_escaped(struct buf *out, unsigned char c)
{
    static const char short_names[] = "\"\"\\\\\nn\rr\tt\bb\ff";
    for (const char *pair = short_names; *pair != '\0'; pair += 2) {
        if ((unsigned char)pair[0] == c) {
            char escape[2] = {'\\', pair[1]};
            buf_add(out, escape, 2);
            return;
        }
    }
    buf_addf(out, "\\u%04x", c);
}

/* False when the text is not UTF-8. */
static bool write_string(struct buf *out, const char *text, size_t size)
{
    buf_add_char(out, '"');
    size_t plain = 0; /* start of the run not yet written */
    size_t i = 0;
    while (i < size) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c != '"' && c != '\\' && c < 0x80) {
            i++;
        } else if (c >= 0x80) {
            size_t length = utf8_length(text + i, size - i);
            if (length == 0) {
                return false;
            }
            i += length;
        } else {
            buf_add(out, text + plain, i - plain);
            write_escaped(out, c);
            plain = ++i;
        }
    }
    buf_add(out, text + plain, size - plain);
    buf_add_char(out, '"');
    return true;
}

static void write_integer(struct buf *out, lua_Integer value)
{
    char digits[24];
    char *p = digits + sizeof(digits);
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        *--p = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0) {
        *--p = '-';
    }
    buf_add(out, p, (size_t)(digits + sizeof(digits) - p));
}

static void write_number(struct json_encoder *e)
{
    if (lua_isinteger(e->L, -1)) {
        write_integer(e->out, lua_tointeger(e->L, -1));
        return;
    }
    double value = lua_tonumber(e->L, -1);
    if (!isfinite(value)) {
        raise_at(e, "a number that is not finite");
    }
    if (fabs(value) <= FLOAT_INTEGER_MAX && floor(value) == value) {
        write_integer(e->out, (lua_Integer)value);
        return;
    }
    char text[40];
    int digits = 15;
    snprintf(text, sizeof(text), "%.*g", digits, value);
    while (digits < 17 && strtod(text, NULL) != value) {
        digits++;
        snprintf(text, sizeof(text), "%.*g", digits, value);
    }
    if (strpbrk(text, ".e") == NULL) {
        /* Beyond 2^53: without an exponent it would be read back as an integer, hence as a string.
         */
        snprintf(text, sizeof(text), "%.*e", digits - 1, value);
    }
    buf_add_str(e->out, text);
}

static void write_line(struct json_encoder *e, unsigned depth)
{
    if (e->is_pretty) {
        buf_addf(e->out, "\n%*s", (int)depth * 2, "");
    }
}

static void write_value(struct json_encoder *e);

/* The list at the top, of `count` values. [-0, +0] */
static void write_list(struct json_encoder *e, size_t count)
{
    buf_add_char(e->out, '[');
    for (size_t i = 1; i <= count; i++) {
        if (i > 1) {
            buf_add_char(e->out, ',');
        }
        write_line(e, e->depth);
        e->path[e->depth] = (struct json_place){NULL, (lua_Integer)i};
        lua_rawgeti(e->L, -1, (lua_Integer)i);
        write_value(e);
        lua_pop(e->L, 1);
    }
    if (count > 0) {
        write_line(e, e->depth - 1);
    }
    buf_add_char(e->out, ']');
}

static int compare_keys(const void *a, const void *b)
{
    return bytes_compare(*(const struct bytes *)a, *(const struct bytes *)b);
}

static void sort_keys(struct bytes *keys, size_t count)
{
    if (count > 16) {
        qsort(keys, count, sizeof(*keys), compare_keys);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        struct bytes key = keys[i];
        size_t at = i;
        for (; at > 0 && bytes_compare(keys[at - 1], key) > 0; at--) {
            keys[at] = keys[at - 1];
        }
        keys[at] = key;
    }
}

/* The object at the top; its names are scratch->keys[first..]. [-0, +0] */
static void write_object(struct json_encoder *e, size_t first)
{
    struct json_scratch *s = e->scratch;
    size_t count = s->key_count - first;
    if (count > 1) {
        sort_keys(s->keys + first, count);
    }
    buf_add_char(e->out, '{');
    for (size_t i = 0; i < count; i++) {
        struct bytes key = s->keys[first + i]; /* by value: a nested object may move the stack */
        if (i > 0) {
            buf_add_char(e->out, ',');
        }
        write_line(e, e->depth);
        e->path[e->depth] = (struct json_place){key.data, 0};
        if (!write_string(e->out, key.data, key.size)) {
            raise_at(e, "invalid UTF-8 in a name");
        }
        buf_add(e->out, ": ", e->is_pretty ? 2 : 1);
        lua_pushlstring(e->L, key.data, key.size);
        lua_rawget(e->L, -2);
        write_value(e);
        lua_pop(e->L, 1);
    }
    if (count > 0) {
        write_line(e, e->depth - 1);
    }
    buf_add_char(e->out, '}');
    s->key_count = first;
}

static void push_key(struct json_encoder *e, const char *data, size_t size)
{
    struct json_scratch *s = e->scratch;
    if (s->key_count == s->key_capacity) {
        size_t capacity = s->key_capacity == 0 ? 64 : s->key_capacity * 2;
        struct bytes *grown = realloc(s->keys, capacity * sizeof(*grown));
        if (grown == NULL) {
            luaL_error(e->L, "json.encode: not enough memory");
            return;
        }
        s->keys = grown;
        s->key_capacity = capacity;
    }
    s->keys[s->key_count++] = bytes_of(data, size);
}

/*
 * Looks at all keys of the table at the top: collects the names, counts the list positions.
 * Raises when it is neither a list 1..n nor an object. [-0, +0]
 */
static size_t collect_keys(struct json_encoder *e, bool is_marked)
{
    lua_State *L = e->L;
    struct json_scratch *s = e->scratch;
    size_t first = s->key_count;
    size_t positions = 0;
    lua_Integer highest = 0;
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
        if (lua_type(L, -2) == LUA_TSTRING) {
            size_t size = 0;
            const char *name = lua_tolstring(L, -2, &size);
            if (positions > 0 || is_marked) {
                e->path[e->depth] = (struct json_place){name, 0};
                raise_at(e, "a list with a named member");
            }
            push_key(e, name, size);
        } else if (lua_isinteger(L, -2) && lua_tointeger(L, -2) >= 1) {
            lua_Integer index = lua_tointeger(L, -2);
            if (s->key_count > first) {
                e->path[e->depth] = (struct json_place){NULL, index};
                raise_at(e, "an object with a list position");
            }
            positions++;
            highest = index > highest ? index : highest;
        } else {
            e->depth--;
            raise_at(e, "a key that is neither a name nor a position");
        }
    }
    if ((size_t)highest != positions) {
        e->path[e->depth] = (struct json_place){NULL, highest};
        raise_at(e, "a list with holes before its last position");
    }
    return positions;
}

static void write_table(struct json_encoder *e)
{
    lua_State *L = e->L;
    if (e->depth == JSON_MAX_DEPTH) {
        raise_at(e, "more than 64 levels, or a table that contains itself,");
    }
    luaL_checkstack(L, 6, "JSON");
    bool is_marked = false;
    if (lua_getmetatable(L, -1)) {
        is_marked = lua_rawequal(L, -1, e->array_mt) != 0;
        lua_pop(L, 1);
    }
    e->depth++;
    size_t first = e->scratch->key_count;
    size_t positions = collect_keys(e, is_marked);
    if (is_marked || positions > 0) {
        write_list(e, positions);
    } else {
        write_object(e, first);
    }
    e->depth--;
}

static void write_userdata(struct json_encoder *e)
{
    const struct decimal *d = luaL_testudata(e->L, -1, LX_DECIMAL_MT);
    if (d == NULL) {
        raise_at(e, "a userdata");
    }
    char text[DECIMAL_TEXT_SIZE];
    decimal_format(*d, text);
    buf_add_str(e->out, text);
}

/* Writes the value at the top. [-0, +0] */
static void write_value(struct json_encoder *e)
{
    lua_State *L = e->L;
    int type = lua_type(L, -1);
    switch (type) {
    case LUA_TSTRING: {
        size_t size = 0;
        const char *text = lua_tolstring(L, -1, &size);
        if (!write_string(e->out, text, size)) {
            raise_at(e, "invalid UTF-8");
        }
        break;
    }
    case LUA_TNUMBER:
        write_number(e);
        break;
    case LUA_TBOOLEAN:
        buf_add_str(e->out, lua_toboolean(L, -1) ? "true" : "false");
        break;
    case LUA_TTABLE:
        write_table(e);
        break;
    case LUA_TUSERDATA:
        write_userdata(e);
        break;
    case LUA_TLIGHTUSERDATA:
        if (lua_touserdata(L, -1) == NULL) {
            buf_add_str(e->out, "null");
            break;
        }
        /* fall through */
    default: {
        char what[48];
        snprintf(what, sizeof(what), "a %s", lua_typename(L, type));
        raise_at(e, what);
    }
    }
}

/* json.encode(value [, {pretty=, max_bytes=}]) -> text | nil, err (limit).  Upvalue: scratch */
static int json_encode(lua_State *L)
{
    luaL_checkany(L, 1);
    lx_check_keys(L, 2, "pretty", "max_bytes", NULL);
    bool is_pretty = lx_opt_boolean(L, 2, "pretty", false);
    lua_Integer max_bytes = lx_opt_integer(L, 2, "max_bytes", (lua_Integer)JSON_MAX_BYTES, 1);
    lua_settop(L, 1);
    luaL_getmetatable(L, JSON_ARRAY_MT);
    lua_insert(L, 1); /* stack: array metatable, value */
    struct json_scratch *s = scratch_of(L, 1);
    s->text.max = (size_t)max_bytes;
    struct json_encoder e;
    e.L = L;
    e.out = &s->text;
    e.scratch = s;
    e.is_pretty = is_pretty;
    e.array_mt = 1;
    e.depth = 0;
    write_value(&e);
    if (s->text.has_failed) {
        scratch_trim(s);
        return lx_fail(L, ERROR_LIMIT, "JSON: more than %lld bytes", (long long)max_bytes);
    }
    lua_pushlstring(L, s->text.data, s->text.size);
    scratch_trim(s);
    return 1;
}

/* json.array([table]) -> the table, marked as a list */
static int json_array(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_newtable(L);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (lua_getmetatable(L, 1)) {
        luaL_getmetatable(L, JSON_ARRAY_MT);
        luaL_argcheck(L, lua_rawequal(L, -1, -2), 1, "the table has another metatable");
    }
    lua_settop(L, 1);
    luaL_setmetatable(L, JSON_ARRAY_MT);
    return 1;
}

/* json.is_array(value) -> whether it is marked as a list */
static int json_is_array(lua_State *L)
{
    bool is_array = false;
    if (lua_istable(L, 1) && lua_getmetatable(L, 1)) {
        luaL_getmetatable(L, JSON_ARRAY_MT);
        is_array = lua_rawequal(L, -1, -2) != 0;
    }
    lua_pushboolean(L, is_array);
    return 1;
}

/* Pushes the decode function of a cjson instance of our own, set strict. [-0, +1] */
static void push_cjson_decode(lua_State *L)
{
    luaopen_cjson(L);
    lua_getfield(L, -1, "decode_invalid_numbers");
    lua_pushboolean(L, 0);
    lua_call(L, 1, 0);
    lua_getfield(L, -1, "decode_max_depth");
    lua_pushinteger(L, JSON_MAX_DEPTH);
    lua_call(L, 1, 0);
    lua_getfield(L, -1, "decode");
    lua_remove(L, -2);
}

int luaopen_neap_json(lua_State *L)
{
    static const luaL_Reg none[] = {{NULL, NULL}};
    static const luaL_Reg scratch_metamethods[] = {
        {"__gc", scratch_gc}, {"__close", scratch_gc}, {NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"array", json_array}, {"is_array", json_is_array}, {NULL, NULL}};
    lx_new_type(L, JSON_ARRAY_MT, none, NULL);
    lx_new_type(L, JSON_SCRATCH_MT, scratch_metamethods, NULL);
    luaL_newlib(L, functions);
    struct json_scratch *s = lua_newuserdatauv(L, sizeof(*s), 0); /* stack: module, scratch */
    memset(s, 0, sizeof(*s));
    buf_init(&s->text, JSON_MAX_BYTES);
    luaL_setmetatable(L, JSON_SCRATCH_MT);
    push_cjson_decode(L);
    lua_pushvalue(L, -2);
    lua_pushcclosure(L, json_decode, 2);
    lua_setfield(L, -3, "decode");
    lua_pushcclosure(L, json_encode, 1);
    lua_setfield(L, -2, "encode");
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
    return 1;
}
