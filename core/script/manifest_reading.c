#include "core/script/manifest_reading.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/script/lx.h"
#include "core/script/manifest_value.h"

#define KEYS_MAX 1024 /* entries of one map of the manifest */

/* ---- Fields -------------------------------------------------------------------------------------
 */

int reading_raise(struct reading *r, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

int reading_raise(struct reading *r, const char *key, const char *fmt, ...)
{
    char text[ERROR_MESSAGE_SIZE];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    bool has_both = r->path[0] != '\0' && key[0] != '\0';
    return luaL_error(r->L, "client.lua: %s%s%s: %s", r->path, has_both ? "." : "", key, text);
}

void reading_check_keys(struct reading *r, const char *const *known)
{
    lua_State *L = r->L;
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
        char listed[ERROR_MESSAGE_SIZE / 2] = "";
        size_t used = 0;
        bool is_known = false;
        for (size_t i = 0; known[i] != NULL && used < sizeof(listed); i++) {
            is_known = is_known || (key != NULL && strcmp(known[i], key) == 0);
            used += (size_t)snprintf(listed + used, sizeof(listed) - used, "%s%s",
                                     i == 0 ? "" : ", ", known[i]);
        }
        if (!is_known) {
            reading_raise(r, key == NULL ? "" : key, "unknown %s; known: %s",
                          key == NULL ? "entry" : "key", listed);
        }
    }
}

/* Pushes the field; false (and nothing pushed) when it is absent. */
bool reading_push(struct reading *r, const char *key, int type, const char *expected)
{
    lua_pushstring(r->L, key);
    int found = lua_rawget(r->L, -2);
    if (found == LUA_TNIL) {
        lua_pop(r->L, 1);
        return false;
    }
    if (found != type) {
        reading_raise(r, key, "%s expected, got %s", expected, lua_typename(r->L, found));
    }
    return true;
}

const char *reading_text(struct reading *r, const char *key, const char *otherwise)
{
    if (!reading_push(r, key, LUA_TSTRING, "a string")) {
        return otherwise;
    }
    const char *text = manifest_keep(r->m, lua_tostring(r->L, -1));
    lua_pop(r->L, 1);
    return text;
}

const char *reading_need_text(struct reading *r, const char *key)
{
    const char *text = reading_text(r, key, NULL);
    if (text == NULL) {
        reading_raise(r, key, "missing: a string expected");
    }
    return text;
}

/*
 * A text or secret(...). NULL when absent. Credentials are secret(...): manifests are read by many
 * and kept in histories. Sandboxes have none worth hiding.
 */
const char *reading_secret(struct reading *r, const char *key, bool is_credential)
{
    struct bytes text;
    lua_pushstring(r->L, key);
    if (lua_rawget(r->L, -2) == LUA_TNIL) {
        lua_pop(r->L, 1);
        return NULL;
    }
    if (!manifest_secret_text(r->L, -1, &text)) {
        if (is_credential && !r->m->is_sandbox) {
            reading_raise(r, key,
                          "secret(\"NAME\") expected: secrets are named, never written down");
        }
        lua_pop(r->L, 1);
        return reading_text(r, key, NULL);
    }
    const char *kept = manifest_keep(r->m, text.data);
    lua_pop(r->L, 1);
    return kept;
}

int64_t reading_integer(struct reading *r, const char *key, int64_t otherwise, int64_t min)
{
    if (!reading_push(r, key, LUA_TNUMBER, "an integer")) {
        return otherwise;
    }
    int is_integer = 0;
    lua_Integer value = lua_tointegerx(r->L, -1, &is_integer);
    if (!is_integer || value < min) {
        reading_raise(r, key, "an integer of at least %lld expected", (long long)min);
    }
    lua_pop(r->L, 1);
    return value;
}

int64_t reading_integer_within(struct reading *r, const char *key, int64_t otherwise, int64_t min,
                               int64_t max)
{
    int64_t value = reading_integer(r, key, otherwise, min);
    if (value > max) {
        reading_raise(r, key, "an integer of at most %lld expected", (long long)max);
    }
    return value;
}

double reading_number(struct reading *r, const char *key, double otherwise)
{
    if (!reading_push(r, key, LUA_TNUMBER, "a number")) {
        return otherwise;
    }
    double value = lua_tonumber(r->L, -1);
    if (!(value >= 0)) {
        reading_raise(r, key, "a number of at least 0 expected");
    }
    lua_pop(r->L, 1);
    return value;
}

bool reading_boolean(struct reading *r, const char *key)
{
    if (!reading_push(r, key, LUA_TBOOLEAN, "true or false")) {
        return false;
    }
    bool value = lua_toboolean(r->L, -1) != 0;
    lua_pop(r->L, 1);
    return value;
}

/* Enters the table field: it is at the top and the path names it. */
bool reading_enter(struct reading *r, const char *key, size_t *outer)
{
    luaL_checkstack(r->L, 8, "manifest");
    *outer = strlen(r->path);
    if (!reading_push(r, key, LUA_TTABLE, "a table")) {
        return false;
    }
    snprintf(r->path + *outer, sizeof(r->path) - *outer, "%s%s", *outer == 0 ? "" : ".", key);
    return true;
}

void reading_leave(struct reading *r, size_t outer)
{
    r->path[outer] = '\0';
    lua_pop(r->L, 1);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Pushes a userdata with the sorted string keys of the table below it. [-0, +1] */
const char **reading_push_keys(struct reading *r, size_t *count_out)
{
    lua_State *L = r->L;
    const char **keys = lua_newuserdatauv(L, KEYS_MAX * sizeof(*keys), 0);
    size_t count = 0;
    lua_pushnil(L);
    while (lua_next(L, -3) != 0) {
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING || count == KEYS_MAX) {
            reading_raise(r, "", count == KEYS_MAX ? "too many entries" : "names as keys expected");
        }
        keys[count] = manifest_keep(r->m, lua_tostring(L, -1));
        count++;
    }
    qsort(keys, count, sizeof(*keys), compare_texts);
    *count_out = count;
    return keys;
}

/* Calls fn with each table of the map `key` at the top, in the order of names. */
void reading_each(struct reading *r, const char *key,
                  void (*fn)(struct reading *r, const char *name))
{
    size_t outer;
    size_t inner;
    if (!reading_enter(r, key, &outer)) {
        return;
    }
    size_t count = 0;
    const char **names = reading_push_keys(r, &count);
    lua_insert(r->L, -2); /* stack: names, map */
    for (size_t i = 0; i < count; i++) {
        reading_enter(r, names[i], &inner);
        fn(r, names[i]);
        reading_leave(r, inner);
    }
    lua_remove(r->L, -2);
    reading_leave(r, outer);
}
