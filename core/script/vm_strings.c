/*
 * The string library of scripts: the stock one without dump, its four pattern functions replaced by
 * ones over core/script/pattern.h, whose work is bounded.
 */
#define _GNU_SOURCE /* memmem: linear, where the stock plain search is quadratic */
#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#include "core/script/pattern.h"
#include "core/script/vm_private.h"

#define REPLACEMENT_STEPS 8 /* what pushing, looking up and adding cost, in steps of matching */

static struct bytes check_bytes(lua_State *L, int idx)
{
    struct bytes b;
    b.data = luaL_checklstring(L, idx, &b.size);
    return b;
}

/* After each match: the steps count against the budgets of whoever runs. */
static void check_problem(lua_State *L, struct pattern *p)
{
    vm_charge(L, pattern_untold(p));
    if (p->problem != NULL) {
        luaL_error(L, "%s", p->problem);
    }
}

/* Offset of the optional `init` argument, or a value beyond the subject. */
static size_t check_init(lua_State *L, int idx, size_t size)
{
    lua_Integer init = luaL_optinteger(L, idx, 1);
    if (init > 0) {
        return (lua_Unsigned)init - 1 > size ? size + 1 : (size_t)init - 1;
    }
    if (init == 0 || init < -(lua_Integer)size) {
        return 0;
    }
    return size - (size_t)-init;
}

/* Capture i, or the whole match when there are none. [-0, +1] */
static void push_capture(lua_State *L, const struct pattern *p, int i, struct bytes whole)
{
    if (i >= p->capture_count) {
        if (i != 0) {
            luaL_error(L, "invalid capture index %%%d", i + 1);
        }
        lua_pushlstring(L, whole.data, whole.size);
        return;
    }
    const struct pattern_capture *c = &p->captures[i];
    if (c->size == PATTERN_POSITION) {
        lua_pushinteger(L, c->start - p->subject.data + 1);
    } else {
        lua_pushlstring(L, c->start, (size_t)c->size);
    }
}

/* All captures; the whole match when there are none and it is wanted. Returns how many. */
static int push_captures(lua_State *L, const struct pattern *p, struct bytes whole,
                         bool wants_whole)
{
    int count = p->capture_count == 0 && wants_whole ? 1 : p->capture_count;
    luaL_checkstack(L, count, "too many captures");
    for (int i = 0; i < count; i++) {
        push_capture(L, p, i, whole);
    }
    return count;
}

/* Takes a leading "^" off the pattern. */
static bool take_anchor(struct bytes *text)
{
    if (text->size == 0 || *text->data != '^') {
        return false;
    }
    text->data++;
    text->size--;
    return true;
}

static int find_plain(lua_State *L, struct bytes subject, struct bytes text, size_t init)
{
    const char *from = subject.data + init;
    const char *found =
        text.size == 0 ? from : memmem(from, subject.size - init, text.data, text.size);
    if (found == NULL) {
        luaL_pushfail(L);
        return 1;
    }
    lua_pushinteger(L, found - subject.data + 1);
    lua_pushinteger(L, found - subject.data + (lua_Integer)text.size);
    return 2;
}

static int find_or_match(lua_State *L, bool is_find)
{
    struct bytes subject = check_bytes(L, 1);
    struct bytes text = check_bytes(L, 2);
    size_t init = check_init(L, 3, subject.size);
    if (init > subject.size) {
        luaL_pushfail(L);
        return 1;
    }
    if (is_find && (lua_toboolean(L, 4) || pattern_is_plain(text))) {
        return find_plain(L, subject, text, init);
    }
    struct pattern p;
    bool is_anchored = take_anchor(&text);
    pattern_init(&p, subject, text);
    const char *start = subject.data + init;
    const char *end = NULL;
    if (is_anchored) {
        end = pattern_match(&p, start);
    } else if (!pattern_search(&p, start, &start, &end)) {
        end = NULL;
    }
    check_problem(L, &p);
    if (end == NULL) {
        luaL_pushfail(L);
        return 1;
    }
    struct bytes whole = bytes_of(start, (size_t)(end - start));
    if (!is_find) {
        return push_captures(L, &p, whole, true);
    }
    lua_pushinteger(L, start - subject.data + 1);
    lua_pushinteger(L, end - subject.data);
    return 2 + push_captures(L, &p, whole, false);
}

static int string_find(lua_State *L)
{
    return find_or_match(L, true);
}

static int string_match(lua_State *L)
{
    return find_or_match(L, false);
}

/* upvalues: subject, pattern, offset to go on at, offset of the last match's end (or -1) */
static int gmatch_step(lua_State *L)
{
    struct bytes subject;
    struct bytes text;
    subject.data = lua_tolstring(L, lua_upvalueindex(1), &subject.size);
    text.data = lua_tolstring(L, lua_upvalueindex(2), &text.size);
    size_t from = (size_t)lua_tointeger(L, lua_upvalueindex(3));
    lua_Integer last = lua_tointeger(L, lua_upvalueindex(4));
    struct pattern p;
    pattern_init(&p, subject, text);
    for (; from <= subject.size; from++) {
        const char *start = subject.data + from;
        const char *end = pattern_match(&p, start);
        check_problem(L, &p);
        if (end == NULL || end - subject.data == last) {
            continue;
        }
        lua_pushinteger(L, end - subject.data);
        lua_pushvalue(L, -1);
        lua_replace(L, lua_upvalueindex(3));
        lua_replace(L, lua_upvalueindex(4));
        return push_captures(L, &p, bytes_of(start, (size_t)(end - start)), true);
    }
    lua_pushinteger(L, (lua_Integer)subject.size + 1);
    lua_replace(L, lua_upvalueindex(3));
    return 0;
}

static int string_gmatch(lua_State *L)
{
    struct bytes subject = check_bytes(L, 1);
    check_bytes(L, 2);
    size_t init = check_init(L, 3, subject.size);
    lua_settop(L, 2);
    lua_pushinteger(L, (lua_Integer)init);
    lua_pushinteger(L, -1);
    lua_pushcclosure(L, gmatch_step, 4);
    return 1;
}

/* Appends the replacement text at 3 with %0..%9 and %% resolved. */
static void add_text(lua_State *L, luaL_Buffer *out, struct pattern *p, struct bytes whole)
{
    size_t size = 0;
    const char *text = lua_tolstring(L, 3, &size);
    if (!pattern_charge(p, size)) { /* a long text of empty captures adds nothing, and takes long */
        check_problem(L, p);
    }
    for (const char *at = text; at < text + size; at++) {
        if (*at != '%') {
            luaL_addchar(out, *at);
            continue;
        }
        at++;
        if (at < text + size && *at == '%') {
            luaL_addchar(out, '%');
        } else if (at < text + size && *at == '0') {
            luaL_addlstring(out, whole.data, whole.size);
        } else if (at < text + size && *at >= '1' && *at <= '9') {
            push_capture(L, p, *at - '1', whole);
            luaL_tolstring(L, -1, NULL);
            lua_remove(L, -2);
            luaL_addvalue(out);
        } else {
            luaL_error(L, "invalid use of '%%' in replacement string");
        }
    }
}

/* Appends what replaces this match; true when it differs from the match. */
static bool add_replacement(lua_State *L, luaL_Buffer *out, struct pattern *p, struct bytes whole)
{
    switch (lua_type(L, 3)) {
    case LUA_TFUNCTION:
        lua_pushvalue(L, 3);
        lua_call(L, push_captures(L, p, whole, true), 1);
        if (lua_iscfunction(L, 3)) {
            vm_charge_call(L);
        }
        break;
    case LUA_TTABLE:
        push_capture(L, p, 0, whole);
        if (lua_getmetatable(L, 3)) {
            lua_pop(L, 1);
            vm_charge_call(L); /* its __index may be C */
        }
        lua_gettable(L, 3);
        break;
    default:
        add_text(L, out, p, whole);
        return true;
    }
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        luaL_addlstring(out, whole.data, whole.size);
        return false;
    }
    if (!lua_isstring(L, -1)) {
        luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    }
    luaL_addvalue(out);
    return true;
}

static int string_gsub(lua_State *L)
{
    struct bytes subject = check_bytes(L, 1);
    struct bytes text = check_bytes(L, 2);
    int kind = lua_type(L, 3);
    luaL_argexpected(L,
                     kind == LUA_TNUMBER || kind == LUA_TSTRING || kind == LUA_TFUNCTION ||
                         kind == LUA_TTABLE,
                     3, "string/function/table");
    lua_Integer most = luaL_optinteger(L, 4, (lua_Integer)subject.size + 1);
    bool is_anchored = take_anchor(&text);
    struct pattern p;
    pattern_init(&p, subject, text);
    const char *at = subject.data;
    const char *subject_end = subject.data + subject.size;
    const char *last = NULL;
    lua_Integer count = 0;
    bool has_changed = false;
    luaL_Buffer out;
    luaL_buffinit(L, &out);
    while (count < most) {
        const char *end = pattern_match(&p, at);
        check_problem(L, &p);
        if (end != NULL && end != last) {
            count++;
            if (!pattern_charge(&p, REPLACEMENT_STEPS)) {
                check_problem(L, &p);
            }
            has_changed |= add_replacement(L, &out, &p, bytes_of(at, (size_t)(end - at)));
            at = last = end;
        } else if (at < subject_end) {
            luaL_addchar(&out, *at);
            at++;
        } else {
            break;
        }
        if (is_anchored) {
            break;
        }
    }
    if (!has_changed) {
        lua_pushvalue(L, 1);
    } else {
        luaL_addlstring(&out, at, (size_t)(subject_end - at));
        luaL_pushresult(&out);
    }
    lua_pushinteger(L, count);
    return 2;
}

/* The stock one goes n times also where there is nothing to copy. */
static int string_rep(lua_State *L)
{
    struct bytes piece = check_bytes(L, 1);
    lua_Integer count = luaL_checkinteger(L, 2);
    struct bytes between;
    between.data = luaL_optlstring(L, 3, "", &between.size);
    size_t each = piece.size + between.size;
    if (count <= 0 || each == 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    if (each < piece.size || (lua_Unsigned)count > (lua_Unsigned)(LUA_MAXINTEGER / 2) / each) {
        return luaL_error(L, "resulting string too large");
    }
    size_t total = (size_t)count * each - between.size;
    luaL_Buffer out;
    char *at = luaL_buffinitsize(L, &out, total);
    for (lua_Integer i = 1; i <= count; i++) {
        memcpy(at, piece.data, piece.size);
        at += piece.size;
        if (i < count) {
            memcpy(at, between.data, between.size);
            at += between.size;
        }
    }
    luaL_pushresultsize(&out, total);
    vm_charge(L, (uint64_t)count / 2 + total / 16);
    return 1;
}

void vm_strings_install(lua_State *L)
{
    static const luaL_Reg replaced[] = {
        {"find", string_find}, {"match", string_match}, {"gmatch", string_gmatch},
        {"gsub", string_gsub}, {"rep", string_rep},     {NULL, NULL},
    };
    lua_pushliteral(L, "string");
    luaL_requiref(L, "string", luaopen_string, 0);
    lua_pushnil(L);
    lua_setfield(L, -2, "dump");
    luaL_setfuncs(L, replaced, 0);
    /* ("x"):upper() works; the metatable itself is nobody's business. */
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 2);
    lua_rawset(L, -3);
}
