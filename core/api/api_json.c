/*
 * neap.json: strict reading, canonical writing.
 *
 *     local json = require("neap.json")
 *     local order, err = json.decode(answer.body)       -- integers stay integers, [] stays a list
 *     local text = json.encode{id = order.id, items = json.array{}}
 *
 * Reading: core/base/json_scan checks the whole text and counts what is in each list and object;
 * the second pass needs no checks and makes every table in its final size.
 * Writing is our own: sorted keys, exact 64-bit integers, shortest floats. Access is raw, so no
 * metamethod runs while the encoder holds its scratch memory.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lua.h>

#include "core/api/api_values.h"
#include "core/base/decimal.h"
#include "core/base/json_reader.h"
#include "core/base/json_scan.h"
#include "core/base/utf8.h"
#include "core/script/lx.h"

#define JSON_ARRAY_MT   "neap.json.array"
#define JSON_SCRATCH_MT "neap.json.scratch"

#define JSON_MAX_DEPTH  JSON_SCAN_MAX_DEPTH
#define JSON_MAX_BYTES  ((size_t)64 << 20)
#define JSON_KEEP_BYTES ((size_t)256 << 10) /* scratch memory kept from one call to the next */

#define FLOAT_INTEGER_MAX 9007199254740992.0 /* 2^53 */
#define INTEGER_DIGITS    18                 /* as many always fit 64 bits */

/* Memory of one module instance, reused by its calls; none of them can nest. */
struct json_scratch {
    struct buf text;
    struct buf shape;   /* of the text being read */
    struct bytes *keys; /* a stack of the member names of the objects being written */
    size_t key_count;
    size_t key_capacity;
};

static struct json_scratch *scratch_of(lua_State *L, int upvalue)
{
    struct json_scratch *s = lua_touserdata(L, lua_upvalueindex(upvalue));
    buf_reset(&s->text);
    buf_reset(&s->shape);
    s->key_count = 0;
    return s;
}

static void scratch_trim(struct json_scratch *s)
{
    if (s->text.capacity > JSON_KEEP_BYTES) {
        buf_free(&s->text);
    }
    if (s->shape.capacity > JSON_KEEP_BYTES) {
        buf_free(&s->shape);
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
    buf_free(&s->shape);
    free(s->keys);
    s->keys = NULL;
    s->key_capacity = 0;
    return 0;
}

/* ---- reading ---- */

/* Reads text that json_scan has found good. */
struct json_decoder {
    lua_State *L;
    const char *p;
    const char *end;
    const uint32_t *counts;       /* of the next list or object to open */
    struct json_scratch *scratch; /* for texts with escapes */
    int array_mt;                 /* stack index */
    bool is_without_nulls;
};

static void read_value(struct json_decoder *d);

static void skip_space(struct json_decoder *d)
{
    while (*d->p == ' ' || *d->p == '\n' || *d->p == '\r' || *d->p == '\t') {
        d->p++;
    }
}

/* Pushes the text whose opening quote is at p. [-0, +1] */
static void read_string(struct json_decoder *d)
{
    const char *first = ++d->p;
    while (*d->p != '"' && *d->p != '\\') {
        d->p++;
    }
    if (*d->p == '"') {
        lua_pushlstring(d->L, first, (size_t)(d->p - first));
        d->p++;
        return;
    }
    struct buf *out = &d->scratch->text;
    buf_reset(out);
    while (*d->p != '"') {
        if (*d->p == '\\') {
            buf_add(out, first, (size_t)(d->p - first));
            d->p += json_add_escape(out, d->p, (size_t)(d->end - d->p));
            first = d->p;
        } else {
            d->p++;
        }
    }
    buf_add(out, first, (size_t)(d->p - first));
    d->p++;
    if (out->has_failed) {
        luaL_error(d->L, "JSON: not enough memory for a text");
    }
    lua_pushlstring(d->L, buf_text(out), out->size);
}

/* An integer up to 2^53 is one, beyond it a text of its digits; other numbers are floats, but
 * integers where they stand for one. [-0, +1] */
static void read_number(struct json_decoder *d)
{
    const char *first = d->p;
    d->p += *d->p == '-' ? 1 : 0;
    const char *digits = d->p;
    lua_Integer value = 0;
    while (*d->p >= '0' && *d->p <= '9') {
        value = d->p - digits < INTEGER_DIGITS ? value * 10 + (*d->p - '0') : value;
        d->p++;
    }
    if (*d->p != '.' && *d->p != 'e' && *d->p != 'E') {
        if (d->p - digits > INTEGER_DIGITS || value > (lua_Integer)FLOAT_INTEGER_MAX) {
            lua_pushlstring(d->L, first, (size_t)(d->p - first));
        } else {
            lua_pushinteger(d->L, *first == '-' ? -value : value);
        }
        return;
    }
    char *end = NULL;
    double number = strtod(first, &end);
    d->p = end;
    if (fabs(number) <= FLOAT_INTEGER_MAX && floor(number) == number) {
        lua_pushinteger(d->L, (lua_Integer)number);
    } else {
        lua_pushnumber(d->L, number);
    }
}

static void read_object(struct json_decoder *d)
{
    uint32_t count = *d->counts++;
    luaL_checkstack(d->L, 4, "JSON");
    lua_createtable(d->L, 0, (int)count);
    for (uint32_t i = 0; i < count; i++) {
        d->p++; /* the brace or a comma */
        skip_space(d);
        read_string(d);
        skip_space(d);
        d->p++; /* the colon */
        read_value(d);
        lua_rawset(d->L, -3);
        skip_space(d);
    }
    d->p += count == 0 ? 1 : 0;
    skip_space(d);
    d->p++;
}

static void read_list(struct json_decoder *d)
{
    uint32_t count = *d->counts++;
    lua_Integer kept = 0;
    luaL_checkstack(d->L, 4, "JSON");
    lua_createtable(d->L, (int)count, 0);
    for (uint32_t i = 0; i < count; i++) {
        d->p++; /* the bracket or a comma */
        read_value(d);
        if (lua_isnil(d->L, -1)) {
            lua_pop(d->L, 1);
        } else {
            lua_rawseti(d->L, -2, ++kept);
        }
        skip_space(d);
    }
    d->p += count == 0 ? 1 : 0;
    skip_space(d);
    d->p++;
    lua_pushvalue(d->L, d->array_mt);
    lua_setmetatable(d->L, -2);
}

/* nil only for a null that is not wanted. [-0, +1] */
static void read_value(struct json_decoder *d)
{
    skip_space(d);
    switch (*d->p) {
    case '{':
        read_object(d);
        break;
    case '[':
        read_list(d);
        break;
    case '"':
        read_string(d);
        break;
    case 't':
        lua_pushboolean(d->L, 1);
        d->p += 4;
        break;
    case 'f':
        lua_pushboolean(d->L, 0);
        d->p += 5;
        break;
    case 'n':
        if (d->is_without_nulls) {
            lua_pushnil(d->L);
        } else {
            lua_pushlightuserdata(d->L, NULL);
        }
        d->p += 4;
        break;
    default:
        read_number(d);
        break;
    }
}

/* json.decode(text [, {max_depth=, max_bytes=, without_nulls=}]) -> value | nil, err
 * Upvalue: scratch */
static int json_decode(lua_State *L)
{
    size_t size = 0;
    const char *text = luaL_checklstring(L, 1, &size);
    lx_check_keys(L, 2, "max_depth", "max_bytes", "without_nulls", NULL);
    lua_Integer max_depth = lx_opt_integer(L, 2, "max_depth", JSON_MAX_DEPTH, 1);
    size_t max_bytes = (size_t)lx_opt_integer(L, 2, "max_bytes", (lua_Integer)JSON_MAX_BYTES, 1);
    bool is_without_nulls = lx_opt_boolean(L, 2, "without_nulls", false);
    if (size > max_bytes) {
        return lx_fail(L, ERROR_LIMIT, "JSON: %zu bytes, at most %zu allowed", size, max_bytes);
    }
    lua_settop(L, 1);
    luaL_getmetatable(L, JSON_ARRAY_MT);
    struct json_scratch *s = scratch_of(L, 1);
    s->text.max = size + 1;
    s->shape.max = size * sizeof(uint32_t);
    struct bytes ready = {NULL, 0};
    struct error err;
    unsigned depth = max_depth > JSON_MAX_DEPTH ? JSON_MAX_DEPTH : (unsigned)max_depth;
    int rc = json_scan(bytes_of(text, size), depth, &s->shape, &ready, &err);
    if (rc != 0) {
        scratch_trim(s);
        return lx_push_error(L, &err);
    }
    struct json_decoder d = {
        .L = L,
        .p = ready.data,
        .end = ready.data + ready.size,
        .counts = (const uint32_t *)(const void *)s->shape.data,
        .scratch = s,
        .array_mt = 2,
        .is_without_nulls = is_without_nulls,
    };
    read_value(&d);
    if (lua_isnil(L, -1)) {
        lua_pushlightuserdata(L, NULL); /* null itself is the document */
    }
    scratch_trim(s);
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
    buf_init(&s->shape, JSON_MAX_BYTES);
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, json_decode, 1);
    lua_setfield(L, -3, "decode");
    lua_pushcclosure(L, json_encode, 1);
    lua_setfield(L, -2, "encode");
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
    return 1;
}
