/*
 * pairs and next in a fixed order: numbers ascending, strings by bytes, false, true, then what
 * cannot be ordered (tables, functions) as the stock next gives it. The stock order differs between
 * processes, and steps must run the same way again.
 *
 * pairs sorts the keys once per loop. next keeps one sorted list per table under way (a weak
 * registry table), so that a loop by next is not quadratic.
 */
#include <lauxlib.h>
#include <stdlib.h>

#include "core/script/vm_private.h"

enum key_kind { KEY_NUMBER, KEY_STRING, KEY_BOOLEAN, KEY_OTHER };

struct sort_key {
    enum key_kind kind;
    lua_Integer index; /* place in the unsorted list; keeps the order of KEY_OTHER */
    long double number;
    struct bytes text; /* borrowed from the key, which the list keeps alive */
};

/* Its address is the registry key of the weak table of lists. */
static const char lists_key;

#define FEW_KEYS 16 /* most tables; sorted without memory of their own */

/* The list's field 0 holds the position next has reached. */
#define POSITION 0

static void read_key(lua_State *L, int idx, struct sort_key *key)
{
    switch (lua_type(L, idx)) {
    case LUA_TNUMBER:
        key->kind = KEY_NUMBER;
        key->number = lua_isinteger(L, idx) ? (long double)lua_tointeger(L, idx)
                                            : (long double)lua_tonumber(L, idx);
        break;
    case LUA_TSTRING:
        key->kind = KEY_STRING;
        key->text.data = lua_tolstring(L, idx, &key->text.size);
        break;
    case LUA_TBOOLEAN:
        key->kind = KEY_BOOLEAN;
        key->number = lua_toboolean(L, idx);
        break;
    default:
        key->kind = KEY_OTHER;
        break;
    }
}

/* 0 for two keys that have no order among them. */
static int compare_keys(const struct sort_key *a, const struct sort_key *b)
{
    if (a->kind != b->kind) {
        return a->kind < b->kind ? -1 : 1;
    }
    if (a->kind == KEY_STRING) {
        return bytes_compare(a->text, b->text);
    }
    if (a->kind == KEY_OTHER || a->number == b->number) {
        return 0;
    }
    return a->number < b->number ? -1 : 1;
}

static int compare_for_sort(const void *left, const void *right)
{
    const struct sort_key *a = left;
    const struct sort_key *b = right;
    int order = compare_keys(a, b);
    if (order != 0) {
        return order;
    }
    return a->index < b->index ? -1 : 1;
}

static int count_keys(lua_State *L, int table)
{
    int count = 0;
    for (lua_pushnil(L); lua_next(L, table) != 0; lua_pop(L, 1)) {
        count++;
    }
    return count;
}

/* Pushes the list of keys as the stock next gives them; true when that is sorted. [-0, +1] */
static bool push_raw_keys(lua_State *L, int table)
{
    bool is_sorted = true;
    struct sort_key last = {0};
    struct sort_key key = {0};
    lua_Integer count = 0;
    lua_createtable(L, count_keys(L, table), 1);
    int list = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, table) != 0;) {
        lua_pop(L, 1);
        read_key(L, -1, &key);
        is_sorted = is_sorted && (count == 0 || compare_keys(&last, &key) <= 0);
        last = key;
        count++;
        lua_pushvalue(L, -1);
        lua_rawseti(L, list, count);
    }
    return is_sorted;
}

static void sort_few(struct sort_key *keys, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct sort_key key = keys[i];
        size_t at = i;
        for (; at > 0 && compare_for_sort(&key, &keys[at - 1]) < 0; at--) {
            keys[at] = keys[at - 1];
        }
        keys[at] = key;
    }
}

/* Pushes the sorted list of keys. [-0, +1] */
static void push_sorted_keys(lua_State *L, int table)
{
    luaL_checkstack(L, 6, "pairs");
    if (push_raw_keys(L, table)) {
        return;
    }
    struct sort_key few[FEW_KEYS];
    int raw = lua_gettop(L);
    size_t count = lua_rawlen(L, raw);
    struct sort_key *keys =
        count <= FEW_KEYS ? few : lua_newuserdatauv(L, count * sizeof(*keys), 0);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, raw, (lua_Integer)i + 1);
        read_key(L, -1, &keys[i]);
        keys[i].index = (lua_Integer)i + 1;
        lua_pop(L, 1);
    }
    if (count <= FEW_KEYS) {
        sort_few(keys, count);
    } else {
        qsort(keys, count, sizeof(*keys), compare_for_sort);
    }
    lua_createtable(L, (int)count, 1); /* stack: raw, keys of many, sorted */
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, raw, keys[i].index);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_replace(L, raw);
    lua_settop(L, raw);
}

/* upvalues: the sorted keys, the position. Keys whose value is gone are passed over. */
static int pairs_step(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_Integer at = lua_tointeger(L, lua_upvalueindex(2));
    for (;;) {
        at++;
        if (lua_rawgeti(L, lua_upvalueindex(1), at) == LUA_TNIL) {
            return 1;
        }
        lua_pushvalue(L, -1);
        if (lua_rawget(L, 1) != LUA_TNIL) {
            break;
        }
        lua_pop(L, 2);
    }
    lua_pushinteger(L, at);
    lua_replace(L, lua_upvalueindex(2));
    return 2;
}

static int sorted_pairs(lua_State *L)
{
    luaL_checkany(L, 1);
    if (luaL_getmetafield(L, 1, "__pairs") != LUA_TNIL) {
        lua_pushvalue(L, 1);
        lua_call(L, 1, 3);
        return 3;
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    push_sorted_keys(L, 1);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, pairs_step, 2);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

/* The smallest key and its value, or nil. Forgets a list left by an earlier loop. */
static int next_first(lua_State *L)
{
    struct sort_key best = {0};
    struct sort_key key = {0};
    lua_rawgetp(L, LUA_REGISTRYINDEX, &lists_key);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    lua_rawset(L, -3);
    lua_settop(L, 1);
    lua_pushnil(L); /* stack: table, best key */
    for (lua_pushnil(L); lua_next(L, 1) != 0;) {
        lua_pop(L, 1);
        read_key(L, -1, &key);
        if (lua_isnil(L, 2) || compare_keys(&key, &best) < 0) {
            best = key;
            lua_pushvalue(L, -1);
            lua_replace(L, 2);
        }
    }
    if (lua_isnil(L, 2)) {
        return 1;
    }
    lua_pushvalue(L, 2);
    lua_rawget(L, 1);
    return 2;
}

/* The place of the key at 2 in the list at 4; of the one before its successor when it is not there.
 */
static lua_Integer find_position(lua_State *L)
{
    lua_rawgeti(L, 4, POSITION);
    lua_Integer at = lua_tointeger(L, -1);
    lua_rawgeti(L, 4, at);
    bool is_there = at > 0 && lua_rawequal(L, -1, 2);
    lua_pop(L, 2);
    if (is_there) {
        return at;
    }
    struct sort_key wanted = {0};
    struct sort_key key = {0};
    read_key(L, 2, &wanted);
    lua_Integer count = (lua_Integer)lua_rawlen(L, 4);
    for (at = 1; at <= count; at++) {
        lua_rawgeti(L, 4, at);
        read_key(L, -1, &key);
        is_there = lua_rawequal(L, -1, 2);
        lua_pop(L, 1);
        if (is_there) {
            return at;
        }
        if (compare_keys(&key, &wanted) > 0) {
            return at - 1;
        }
    }
    return luaL_error(L, "invalid key to 'next'");
}

/* next(table [, key]) */
static int sorted_next(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    if (lua_isnil(L, 2)) {
        return next_first(L);
    }
    lua_rawgetp(L, LUA_REGISTRYINDEX, &lists_key);
    lua_pushvalue(L, 1);
    if (lua_rawget(L, 3) == LUA_TNIL) {
        lua_pop(L, 1);
        push_sorted_keys(L, 1);
        lua_pushvalue(L, 1);
        lua_pushvalue(L, 4);
        lua_rawset(L, 3);
    }
    lua_Integer at = find_position(L); /* stack: table, key, lists, list */
    for (;;) {
        at++;
        if (lua_rawgeti(L, 4, at) == LUA_TNIL) {
            lua_pushvalue(L, 1);
            lua_pushnil(L);
            lua_rawset(L, 3);
            return 1;
        }
        lua_pushvalue(L, -1);
        if (lua_rawget(L, 1) != LUA_TNIL) {
            break;
        }
        lua_pop(L, 2);
    }
    lua_pushinteger(L, at);
    lua_rawseti(L, 4, POSITION);
    return 2;
}

/* Raw: the table of globals is guarded already. [-0, +0] */
static void set_raw(lua_State *L, const char *name, lua_CFunction fn)
{
    lua_pushstring(L, name);
    lua_pushcfunction(L, fn);
    lua_rawset(L, -3);
}

void vm_pairs_install(lua_State *L)
{
    lua_newtable(L);
    lua_newtable(L);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &lists_key);
    set_raw(L, "pairs", sorted_pairs);
    set_raw(L, "next", sorted_next);
}
