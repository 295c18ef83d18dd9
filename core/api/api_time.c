/*
 * neap.time: instants are UTC milliseconds; text is ISO 8601.
 *
 *     local time = require("neap.time")
 *     local placed_at, err = time.parse_iso(order.createdAt)
 *     local text = time.format_iso(time.now_ms(), {zone = "Europe/London"})
 *
 * Clocks come from lx_env: a virtual clock makes scripts repeatable.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/api/api_values.h"
#include "core/base/instant.h"
#include "core/base/zone.h"
#include "core/script/lx.h"

#define TIME_ZONE_MT "neap.time.zone"

struct time_zone {
    struct zone *zone; /* NULL until opened */
};

static int time_zone_close(lua_State *L)
{
    struct time_zone *box = luaL_checkudata(L, 1, TIME_ZONE_MT);
    zone_close(box->zone);
    box->zone = NULL;
    return 0;
}

/*
 * The zone of this name, opened once per state and kept in the table that is upvalue 1.
 * NULL after pushing nil, err. [-0, +0|2]
 */
static const struct zone *find_zone(lua_State *L, const char *name)
{
    if (lua_getfield(L, lua_upvalueindex(1), name) == LUA_TUSERDATA) {
        const struct time_zone *known = lua_touserdata(L, -1);
        lua_pop(L, 1);
        return known->zone;
    }
    lua_pop(L, 1);
    struct time_zone *box = lua_newuserdatauv(L, sizeof(*box), 0);
    box->zone = NULL;
    luaL_setmetatable(L, TIME_ZONE_MT);
    struct error err;
    box->zone = zone_open(name, &err);
    if (box->zone == NULL) {
        lx_push_error(L, &err);
        return NULL;
    }
    lua_setfield(L, lua_upvalueindex(1), name);
    return box->zone;
}

/* time.now_ms() -> wall clock */
static int time_now_ms(lua_State *L)
{
    lua_pushinteger(L, clock_wall_ms(lx_env(L)->clock));
    return 1;
}

/* time.mono_ms() -> a clock that only goes forward, for durations */
static int time_mono_ms(lua_State *L)
{
    lua_pushinteger(L, clock_mono_ms(lx_env(L)->clock));
    return 1;
}

/* time.parse_iso(text [, {zone=}]) -> ms | nil, err */
static int time_parse_iso(lua_State *L)
{
    size_t size = 0;
    const char *text = luaL_checklstring(L, 1, &size);
    lx_check_keys(L, 2, "zone", NULL);
    const char *zone = lx_opt_string(L, 2, "zone", NULL);
    struct instant_text read;
    struct error err;
    if (instant_parse(bytes_of(text, size), &read, &err) != 0) {
        return lx_push_error(L, &err);
    }
    if (!read.has_offset && zone == NULL) {
        return lx_fail(L, ERROR_INVALID, "no offset in \"%.40s\" and no zone given", text);
    }
    if (read.has_offset) {
        lua_pushinteger(L, instant_from_parts(&read.parts) - (int64_t)read.offset_minutes * 60000);
        return 1;
    }
    const struct zone *in = find_zone(L, zone);
    if (in == NULL) {
        return 2;
    }
    const struct instant_parts *p = &read.parts;
    struct zone_parts parts = {p->year, p->month, p->day, p->hour, p->minute, p->second, 0, 0};
    lua_pushinteger(L, zone_to_wall_ms(in, &parts) + p->millisecond);
    return 1;
}

/* Reads the instant at 1 in the zone of the options at 2; the number of values pushed on failure.
 */
static int read_parts(lua_State *L, struct instant_parts *parts, int *offset_minutes_out)
{
    lua_Integer ms = luaL_checkinteger(L, 1);
    const char *name = lx_opt_string(L, 2, "zone", "UTC");
    const struct zone *zone = find_zone(L, name);
    if (zone == NULL) {
        return 2;
    }
    /* ISO 8601 has no seconds in an offset: the local mean times of long ago lose theirs. */
    int64_t seconds = ms / 1000 - (ms % 1000 < 0 ? 1 : 0);
    *offset_minutes_out = zone_offset_s(zone, seconds) / 60;
    int64_t shift_ms = (int64_t)*offset_minutes_out * 60000;
    int64_t local_ms = 0;
    if (__builtin_add_overflow(ms, shift_ms, &local_ms) || instant_to_parts(local_ms, parts) != 0) {
        return lx_fail(L, ERROR_INVALID, "the instant %lld is outside the years 0 to 9999",
                       (long long)ms);
    }
    return 0;
}

/* time.format_iso(ms [, {zone=, millis=}]) -> "2026-05-04T10:02:58Z" | nil, err */
static int time_format_iso(lua_State *L)
{
    lx_check_keys(L, 2, "zone", "millis", NULL);
    bool has_millis = lx_opt_boolean(L, 2, "millis", false);
    struct instant_parts parts;
    int offset = 0;
    int pushed = read_parts(L, &parts, &offset);
    if (pushed != 0) {
        return pushed;
    }
    char text[INSTANT_TEXT_SIZE];
    instant_format(&parts, has_millis, text);
    char suffix[16] = "Z";
    if (offset != 0) {
        int minutes = abs(offset);
        snprintf(suffix, sizeof(suffix), "%c%02d:%02d", offset < 0 ? '-' : '+', minutes / 60,
                 minutes % 60);
    }
    lua_pushfstring(L, "%s%s", text, suffix);
    return 1;
}

/* time.format_date(ms [, {zone=}]) -> "2026-05-04" | nil, err: the calendar day of an instant */
static int time_format_date(lua_State *L)
{
    lx_check_keys(L, 2, "zone", NULL);
    struct instant_parts parts;
    int offset = 0;
    int pushed = read_parts(L, &parts, &offset);
    if (pushed != 0) {
        return pushed;
    }
    char text[INSTANT_TEXT_SIZE];
    instant_format(&parts, false, text);
    lua_pushlstring(L, text, strlen("2026-05-04"));
    return 1;
}

int luaopen_neap_time(lua_State *L)
{
    static const luaL_Reg zone_metamethods[] = {
        {"__gc", time_zone_close}, {"__close", time_zone_close}, {NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"now_ms", time_now_ms},           {"mono_ms", time_mono_ms},
        {"parse_iso", time_parse_iso},     {"format_iso", time_format_iso},
        {"format_date", time_format_date}, {NULL, NULL},
    };
    lx_new_type(L, TIME_ZONE_MT, zone_metamethods, NULL);
    luaL_newlibtable(L, functions);
    lua_newtable(L); /* the zones opened so far */
    luaL_setfuncs(L, functions, 1);
    return 1;
}
