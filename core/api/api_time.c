/*
 * neap.time: instants are UTC milliseconds; text is ISO 8601.
 *
 *     local time = require("neap.time")
 *     local placed_at, err = time.parse_iso(order.createdAt)
 *     local text = time.format_iso(time.now_ms(), {zone = "Europe/London"})
 *
 * Clocks come from lx_env: a virtual clock makes scripts repeatable.
 */
#include <string.h>

#include "core/api/api_values.h"
#include "core/base/instant.h"
#include "core/script/lx.h"

/* Whether the zone is UTC, which is also the default; others are not known here. */
static bool is_utc(const char *zone)
{
    return zone == NULL || strcmp(zone, "UTC") == 0 || strcmp(zone, "Z") == 0;
}

static int fail_zone(lua_State *L, const char *zone)
{
    return lx_fail(L, ERROR_NOT_FOUND, "unknown time zone \"%.60s\"", zone);
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
    if (!read.has_offset && !is_utc(zone)) {
        return fail_zone(L, zone);
    }
    int64_t ms = instant_from_parts(&read.parts) - (int64_t)read.offset_minutes * 60000;
    lua_pushinteger(L, ms);
    return 1;
}

/* Reads the instant at 1 in the zone of the options at 2; the number of values pushed on failure. */
static int read_parts(lua_State *L, struct instant_parts *parts, int *offset_minutes_out)
{
    lua_Integer ms = luaL_checkinteger(L, 1);
    const char *zone = lx_opt_string(L, 2, "zone", NULL);
    if (!is_utc(zone)) {
        return fail_zone(L, zone);
    }
    *offset_minutes_out = 0;
    if (instant_to_parts(ms, parts) != 0) {
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
    lua_pushfstring(L, "%sZ", text);
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
    static const luaL_Reg functions[] = {
        {"now_ms", time_now_ms},         {"mono_ms", time_mono_ms},
        {"parse_iso", time_parse_iso},   {"format_iso", time_format_iso},
        {"format_date", time_format_date}, {NULL, NULL},
    };
    luaL_newlib(L, functions);
    return 1;
}
