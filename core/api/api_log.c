/*
 * neap.log: log lines of this client.
 *
 *     local log = require("neap.log")
 *     log.info("order posted", {code = "SO204417"})
 *
 * Client, flow, job and key are added here; fields must be something neap.json can write.
 */
#include <lauxlib.h>
#include <string.h>

#include "core/api/api_modules.h"
#include "core/base/json_writer.h"
#include "core/base/log.h"
#include "core/script/lx_event.h"
#include "core/script/runner.h"

#define LOG_FIELDS_MAX 8192

/* Who speaks, as the inside of a JSON object. */
static void add_origin(struct json_writer *w, const struct script_scope *scope)
{
    json_member_str(w, "client", runner_client(scope->runner));
    json_member_str(w, "flow", scope->flow);
    if (scope->run != NULL) {
        json_member_int(w, "job", (int64_t)scope->run->job->info.id);
        json_member_str(w, "key", scope->run->job->info.key);
    }
}

static int write_line(lua_State *L, enum log_level level)
{
    const char *message = luaL_checkstring(L, 1);
    lua_settop(L, 2);
    struct bytes fields = {NULL, 0};
    if (!lua_isnil(L, 2)) {
        luaL_checktype(L, 2, LUA_TTABLE);
        lx_encode_json(L);
        fields.data = lua_tolstring(L, 2, &fields.size);
    }
    struct script_scope *scope = lx_scope(L);
    struct buf *inside = lx_new_buf(L, LOG_FIELDS_MAX);
    struct json_writer w;
    json_writer_init(&w, inside);
    json_object_begin(&w);
    if (scope != NULL) {
        add_origin(&w, scope);
    }
    if (fields.size > 2 && fields.data[0] == '{') {
        json_key(&w, "fields");
        json_raw(&w, fields);
    }
    json_object_end(&w);
    const char *area = scope == NULL ? "script" : runner_client(scope->runner);
    /* The writer made "{...}"; a line too long for its fields goes without them. */
    if (inside->has_failed || inside->size <= 2) {
        log_msg(level, area, "%s", message);
    } else {
        inside->data[inside->size - 1] = '\0';
        log_fields(level, area, inside->data + 1, "%s", message);
    }
    return 0;
}

static int log_debug(lua_State *L)
{
    return write_line(L, LOG_DEBUG);
}

static int log_info(lua_State *L)
{
    return write_line(L, LOG_INFO);
}

static int log_warn(lua_State *L)
{
    return write_line(L, LOG_WARN);
}

static int log_error(lua_State *L)
{
    return write_line(L, LOG_ERROR);
}

int luaopen_neap_log(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"debug", log_debug}, {"info", log_info}, {"warn", log_warn},
        {"error", log_error}, {NULL, NULL},
    };
    luaL_newlib(L, functions);
    return 1;
}
