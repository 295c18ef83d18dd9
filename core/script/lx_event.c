/* Reading of events and replies. Strings stay where they are: on the stack or in the table given.
 */
#include "core/script/lx_event.h"

#include <lauxlib.h>
#include <string.h>

#include "core/script/lx.h"
#include "core/script/vm.h"

#define ANSWER_HEADERS_MAX (64u << 10)

void lx_encode_json(lua_State *L)
{
    luaL_checkstack(L, 4, "json");
    vm_require(L, "neap.json");
    lua_getfield(L, -1, "encode");
    lua_replace(L, -2);
    lua_insert(L, -2);
    lua_call(L, 1, 2);
    if (lua_isnil(L, -2)) {
        lua_error(L);
    }
    lua_pop(L, 1);
}

void lx_decode_json(lua_State *L, struct bytes json)
{
    luaL_checkstack(L, 4, "json");
    vm_require(L, "neap.json");
    lua_getfield(L, -1, "decode");
    lua_replace(L, -2);
    lua_pushlstring(L, json.data, json.size);
    lua_call(L, 1, 2);
    if (lua_isnil(L, -2) && !lua_isnil(L, -1)) {
        lua_error(L);
    }
    lua_pop(L, 1);
}

/* The payload as received, or a table as canonical JSON, which is pushed. */
static struct bytes read_payload(lua_State *L, int idx)
{
    struct bytes payload = {"", 0};
    lua_getfield(L, idx, "payload");
    if (lua_istable(L, -1)) {
        lx_encode_json(L);
    }
    if (lua_type(L, -1) == LUA_TSTRING) {
        payload.data = lua_tolstring(L, -1, &payload.size);
    } else if (!lua_isnil(L, -1)) {
        luaL_error(L, "option \"payload\": a string or table expected, got %s",
                   luaL_typename(L, -1));
    }
    return payload;
}

/* A NULL-terminated array in a userdata that is pushed; NULL when there is none. */
static const char *const *read_aliases(lua_State *L, int idx)
{
    if (lua_getfield(L, idx, "aliases") == LUA_TNIL) {
        return NULL;
    }
    luaL_checktype(L, -1, LUA_TTABLE);
    int list = lua_gettop(L);
    size_t count = lua_rawlen(L, list);
    if (count > EVENT_ALIASES_MAX) {
        luaL_error(L, "option \"aliases\": at most %d", EVENT_ALIASES_MAX);
    }
    const char **names = lua_newuserdatauv(L, (count + 1) * sizeof(*names), 0);
    for (size_t i = 0; i < count; i++) {
        if (lua_rawgeti(L, list, (lua_Integer)i + 1) != LUA_TSTRING) {
            luaL_error(L, "option \"aliases\": a list of strings expected");
        }
        names[i] = lx_check_name_item(L, "aliases");
        lua_pop(L, 1); /* the list keeps it alive, and the stack keeps the list */
    }
    names[count] = NULL;
    return names;
}

/* 0 or 1: which of two words a field says. */
static int read_word(lua_State *L, int idx, const char *key, const char *first, const char *second)
{
    const char *word = lx_opt_string(L, idx, key, first);
    if (strcmp(word, first) != 0 && strcmp(word, second) != 0) {
        luaL_error(L, "option \"%s\": \"%s\" or \"%s\" expected, got \"%s\"", key, first, second,
                   word);
    }
    return strcmp(word, second) == 0;
}

void lx_read_event(lua_State *L, int idx, const struct manifest *manifest, const char *flow,
                   struct event_new *event_out)
{
    idx = lua_absindex(L, idx);
    luaL_checkstack(L, 12, "event");
    luaL_checktype(L, idx, LUA_TTABLE);
    lx_check_keys(L, idx, "source", "id", "key", "name", "payload", "flow", "class", "idle",
                  "aliases", "about", "at_ms", NULL);
    memset(event_out, 0, sizeof(*event_out));
    event_out->source = lx_check_name_field(L, idx, "source");
    event_out->id = lx_check_name_field(L, idx, "id");
    event_out->key = lx_opt_name_field(L, idx, "key", NULL);
    event_out->about = lx_opt_name_field(L, idx, "about", NULL);
    event_out->name = lx_check_name_field(L, idx, "name");
    event_out->flow = lx_opt_name_field(L, idx, "flow", flow);
    event_out->class =
        read_word(L, idx, "class", "queued", "overtaking") ? EVENT_OVERTAKING : EVENT_QUEUED;
    event_out->idle = read_word(L, idx, "idle", "keep", "job") ? EVENT_IDLE_JOB : EVENT_IDLE_KEEP;
    event_out->at_ms = lx_opt_integer(L, idx, "at_ms", 0, 0);
    if (manifest_find_flow(manifest, event_out->flow) == NULL) {
        luaL_error(L, "option \"flow\": the manifest has no flow \"%s\"", event_out->flow);
    }
    event_out->payload = read_payload(L, idx);
    event_out->aliases = read_aliases(L, idx);
}

/* "name: value\n" per header, in the order of names. */
static struct bytes read_headers(lua_State *L, int idx)
{
    struct buf *text = lx_new_buf(L, ANSWER_HEADERS_MAX);
    if (lua_getfield(L, idx, "headers") == LUA_TNIL) {
        return buf_bytes(text);
    }
    luaL_checktype(L, -1, LUA_TTABLE);
    lua_getglobal(L, "pairs"); /* sorted: the same reply is the same bytes */
    lua_insert(L, -2);
    lua_call(L, 1, 3); /* stack: step, table, control */
    int step = lua_gettop(L) - 2;
    for (;;) {
        lua_settop(L, step + 2);
        lua_pushvalue(L, step);
        lua_pushvalue(L, step + 1);
        lua_pushvalue(L, step + 2);
        lua_call(L, 2, 2); /* stack: step, table, control, name, value */
        if (lua_isnil(L, -2)) {
            break;
        }
        struct http_headers probe = {0};
        bool is_fine = lua_type(L, -2) == LUA_TSTRING && lua_isstring(L, -1) &&
                       http_headers_add(&probe, lua_tostring(L, -2), lua_tostring(L, -1)) == 0;
        http_headers_free(&probe);
        if (!is_fine) {
            luaL_error(L, "option \"headers\": not a header that HTTP allows");
        }
        buf_addf(text, "%s: %s\n", lua_tostring(L, -2), lua_tostring(L, -1));
        lua_pop(L, 1);
        lua_replace(L, step + 2);
    }
    if (text->has_failed) {
        luaL_error(L, "option \"headers\": more than %d bytes", ANSWER_HEADERS_MAX);
    }
    return buf_bytes(text);
}

void lx_read_answer(lua_State *L, int idx, struct event_answer *answer_out)
{
    idx = lua_absindex(L, idx);
    luaL_checkstack(L, 12, "reply");
    memset(answer_out, 0, sizeof(*answer_out));
    lua_Integer status = lx_opt_integer(L, idx, "status", 0, 100);
    if (status < 100 || status > 599) {
        luaL_error(L, "option \"status\": an HTTP status expected");
    }
    answer_out->status = (int)status;
    answer_out->headers = read_headers(L, idx);
    answer_out->body = bytes_of("", 0);
    if (lua_getfield(L, idx, "body") == LUA_TSTRING) {
        answer_out->body.data = lua_tolstring(L, -1, &answer_out->body.size);
    } else if (!lua_isnil(L, -1)) {
        luaL_error(L, "option \"body\": a string expected, got %s", luaL_typename(L, -1));
    }
}

static void set_text(lua_State *L, const char *key, const char *text)
{
    lua_pushstring(L, text);
    lua_setfield(L, -2, key);
}

void lx_push_event(lua_State *L, const struct event_record *event)
{
    luaL_checkstack(L, 4, "event");
    lua_createtable(L, 0, 6);
    set_text(L, "name", event->name);
    set_text(L, "source", event->source);
    set_text(L, "id", event->id);
    lua_pushlstring(L, event->payload == NULL ? "" : event->payload, event->payload_size);
    lua_setfield(L, -2, "payload");
    lua_pushinteger(L, event->received_ms);
    lua_setfield(L, -2, "received_ms");
    if (event->at_ms != 0) {
        lua_pushinteger(L, event->at_ms);
        lua_setfield(L, -2, "at_ms");
    }
}
