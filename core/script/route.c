/*
 * The handler runs behind the door inside one nested unit of the turn. Its events are accepted
 * there too, one by one, with nothing of C's held while Lua could raise.
 */
#include "core/script/route.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/xalloc.h"
#include "core/script/lx_event.h"
#include "core/work/exception.h"
#include "core/work/inbox.h"

#define REPLY_BODY_MAX    ((size_t)64 << 20)
#define REPLY_HEADERS_MAX ((size_t)64 << 10)
#define REPLY_EVENTS_MAX  1000

void route_reply_free(struct route_reply *reply)
{
    http_headers_free(&reply->headers);
    buf_free(&reply->body);
}

/* ---- Finding ------------------------------------------------------------------------------------
 */

static bool is_parameter(struct bytes segment)
{
    return segment.size > 2 && segment.data[0] == '{' && segment.data[segment.size - 1] == '}';
}

/* Takes the next segment off a path; false at the end. */
static bool next_segment(const char **at, struct bytes *segment)
{
    if (**at != '/') {
        return false;
    }
    size_t size = strcspn(*at + 1, "/");
    *segment = bytes_of(*at + 1, size);
    *at += 1 + size;
    return true;
}

/* -1 when the path does not fit, else the number of literal segments. */
static int match_path(const char *pattern, const char *path)
{
    int literal = 0;
    struct bytes wanted;
    struct bytes given;
    while (next_segment(&pattern, &wanted)) {
        if (!next_segment(&path, &given)) {
            return -1;
        }
        if (is_parameter(wanted)) {
            if (given.size == 0) {
                return -1;
            }
        } else if (bytes_equal(wanted, given)) {
            literal++;
        } else {
            return -1;
        }
    }
    return *path == '\0' ? literal : -1;
}

enum route_match route_find(const struct manifest *m, const char *method, const char *path,
                            size_t *route_out)
{
    int best = -1;
    bool has_path = false;
    method = strcmp(method, "HEAD") == 0 ? "GET" : method;
    for (size_t i = 0; i < m->route_count; i++) {
        int literal = match_path(m->routes[i].path, path);
        has_path = has_path || literal >= 0;
        if (literal > best && strcmp(m->routes[i].method, method) == 0) {
            best = literal;
            *route_out = i;
        }
    }
    if (best >= 0) {
        return ROUTE_FOUND;
    }
    return has_path ? ROUTE_NO_METHOD : ROUTE_NO_PATH;
}

/* ---- The request as a table ---------------------------------------------------------------------
 */

struct handling {
    struct script_scope scope;
    struct generation *generation;
    size_t route;
    const struct route_request *request;
    struct route_reply *reply;
    int rc; /* of an accept that failed; the reason was raised */
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Pushes the text percent-decoded; "+" is a blank in queries. [-0, +1] */
static void push_decoded(lua_State *L, struct bytes text, bool is_query)
{
    luaL_Buffer out;
    char *to = luaL_buffinitsize(L, &out, text.size + 1);
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        bool is_escape = c == '%' && i + 2 < text.size && hex_digit(text.data[i + 1]) >= 0 &&
                         hex_digit(text.data[i + 2]) >= 0;
        if (is_escape) {
            c = (char)(hex_digit(text.data[i + 1]) * 16 + hex_digit(text.data[i + 2]));
            i += 2;
        } else if (is_query && c == '+') {
            c = ' ';
        }
        to[size] = c;
        size++;
    }
    luaL_pushresultsize(&out, size);
}

static void set_params(lua_State *L, const char *pattern, const char *path)
{
    struct bytes wanted;
    struct bytes given;
    lua_newtable(L);
    while (next_segment(&pattern, &wanted) && next_segment(&path, &given)) {
        if (is_parameter(wanted)) {
            lua_pushlstring(L, wanted.data + 1, wanted.size - 2);
            push_decoded(L, given, false);
            lua_rawset(L, -3);
        }
    }
    lua_setfield(L, -2, "params");
}

static void set_query(lua_State *L, const char *query)
{
    lua_newtable(L);
    while (*query != '\0') {
        size_t size = strcspn(query, "&");
        size_t name = strcspn(query, "=&");
        struct bytes value = bytes_of("", 0);
        if (name < size) {
            value = bytes_of(query + name + 1, size - name - 1);
        }
        if (name > 0) {
            push_decoded(L, bytes_of(query, name), true);
            push_decoded(L, value, true);
            lua_rawset(L, -3);
        }
        query += size + (query[size] == '&' ? 1 : 0);
    }
    lua_setfield(L, -2, "query");
}

/* Names in lower case, repeated ones joined by ", ". */
static void set_headers(lua_State *L, const struct http_headers *headers)
{
    lua_createtable(L, 0, headers == NULL ? 0 : (int)headers->count);
    for (size_t i = 0; headers != NULL && i < headers->count; i++) {
        luaL_Buffer name;
        luaL_buffinit(L, &name);
        for (const char *c = headers->list[i].name; *c != '\0'; c++) {
            luaL_addchar(&name, (char)(*c >= 'A' && *c <= 'Z' ? *c | 0x20 : *c));
        }
        luaL_pushresult(&name);
        lua_pushvalue(L, -1);
        if (lua_rawget(L, -3) == LUA_TNIL) {
            lua_pop(L, 1);
            lua_pushstring(L, headers->list[i].value);
        } else {
            lua_pushfstring(L, "%s, %s", lua_tostring(L, -1), headers->list[i].value);
            lua_remove(L, -2);
        }
        lua_rawset(L, -3);
    }
    lua_setfield(L, -2, "headers");
}

static void push_request(lua_State *L, const struct handling *h)
{
    const struct manifest *m = generation_manifest(h->generation);
    const struct route_request *request = h->request;
    lua_createtable(L, 0, 7);
    lua_pushstring(L, request->method);
    lua_setfield(L, -2, "method");
    push_decoded(L, bytes_str(request->path), false);
    lua_setfield(L, -2, "path");
    set_params(L, m->routes[h->route].path, request->path);
    set_query(L, request->query == NULL ? "" : request->query);
    set_headers(L, request->headers);
    lua_pushlstring(L, request->body.data == NULL ? "" : request->body.data, request->body.size);
    lua_setfield(L, -2, "body");
    lua_pushstring(L, request->peer == NULL ? "" : request->peer);
    lua_setfield(L, -2, "peer");
}

static void push_context(lua_State *L, const struct handling *h)
{
    const struct manifest *m = generation_manifest(h->generation);
    lua_createtable(L, 0, 4);
    lua_pushstring(L, runner_client(h->scope.runner));
    lua_setfield(L, -2, "client");
    lua_pushstring(L, h->scope.flow);
    lua_setfield(L, -2, "flow");
    lua_pushinteger(L, m->live_from_ms);
    lua_setfield(L, -2, "live_from_ms");
    generation_push_settings(L, h->generation, m->routes[h->route].flow);
    lua_setfield(L, -2, "settings");
}

/* ---- The reply ----------------------------------------------------------------------------------
 */

void route_reply_set(struct route_reply *reply, const struct event_answer *answer)
{
    const char *at = answer->headers.data;
    const char *end = at + answer->headers.size;
    reply->status = answer->status;
    http_headers_free(&reply->headers);
    memset(&reply->headers, 0, sizeof(reply->headers));
    while (at != NULL && at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        line_end = line_end == NULL ? end : line_end;
        const char *colon = memchr(at, ':', (size_t)(line_end - at));
        if (colon != NULL) {
            const char *value = colon + 1;
            int rc = http_headers_add_bytes(&reply->headers, bytes_of(at, (size_t)(colon - at)),
                                            bytes_of(value, (size_t)(line_end - value)));
            (void)rc; /* checked when it was written */
        }
        at = line_end + 1;
    }
    buf_free(&reply->body);
    buf_init(&reply->body, REPLY_BODY_MAX);
    buf_add(&reply->body, answer->body.data, answer->body.size);
}

static void read_rude(lua_State *L, struct handling *h)
{
    static const char *const words[] = {"reset", "close", "truncate"};
    static const enum http_rudeness kinds[] = {HTTP_RUDE_RESET, HTTP_RUDE_CLOSE,
                                               HTTP_RUDE_TRUNCATE};
    const char *word = lx_opt_string(L, -1, "rude", NULL);
    if (word == NULL) {
        return;
    }
    if (!generation_manifest(h->generation)->is_sandbox) {
        luaL_error(L, "only a client with sandbox = true may answer rudely");
    }
    for (size_t i = 0; i < 3; i++) {
        if (strcmp(words[i], word) == 0) {
            h->reply->is_rude = true;
            h->reply->rudeness = kinds[i];
            return;
        }
    }
    luaL_error(L, "option \"rude\": \"reset\", \"close\" or \"truncate\" expected, got \"%s\"",
               word);
}

/* Accepts one event (at the top). True when it is a duplicate. */
static bool accept_event(lua_State *L, struct handling *h, bool is_first)
{
    const struct manifest *m = generation_manifest(h->generation);
    int height = lua_gettop(L);
    struct event_new event;
    lx_read_event(L, -1, m, h->scope.flow, &event);
    struct accept_result result;
    struct error err;
    error_clear(&err);
    memset(&result, 0, sizeof(result));
    h->rc = work_accept(h->scope.work, &event, &result, &err);
    bool is_duplicate = result.is_duplicate;
    if (h->rc == 0 && is_first) {
        h->reply->event_seq = result.event_seq;
        h->reply->is_duplicate = is_duplicate;
        if (is_duplicate && result.has_answer) {
            route_reply_set(h->reply, &result.answer);
        }
        h->reply->wait_ms =
            is_duplicate && result.has_answer ? 0 : m->routes[h->route].answer_within_ms;
    }
    accept_result_free(&result);
    if (h->rc != 0) {
        lx_raise(L, &err);
    }
    lua_settop(L, height);
    return is_duplicate;
}

/* The events of the reply at the top. */
static void accept_events(lua_State *L, struct handling *h)
{
    if (lua_getfield(L, -1, "events") == LUA_TNIL) {
        lua_pop(L, 1);
        return;
    }
    luaL_checktype(L, -1, LUA_TTABLE);
    lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
    if (count > REPLY_EVENTS_MAX) {
        luaL_error(L, "option \"events\": at most %d", REPLY_EVENTS_MAX);
    }
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, -1, i);
        bool is_duplicate = accept_event(L, h, i == 1);
        lua_pop(L, 1);
        if (i == 1 && is_duplicate) {
            break; /* nothing of this request is kept */
        }
    }
    lua_pop(L, 1);
}

/* An answer that no job may give later is the event's answer from now on. */
static void store_answer(lua_State *L, struct handling *h, const struct event_answer *answer)
{
    if (h->reply->event_seq == 0 || h->reply->is_duplicate || h->reply->wait_ms > 0) {
        return;
    }
    h->rc = event_set_answer(h->scope.work, h->reply->event_seq, answer);
    lx_check_rc(L, h->rc, "keeping the answer");
}

static int run_handler(lua_State *L)
{
    struct handling *h = lua_touserdata(L, 1);
    generation_push_handler(L, h->generation, h->route);
    push_context(L, h);
    push_request(L, h);
    lua_call(L, 2, 1);
    if (!lua_istable(L, -1)) {
        return luaL_error(L, "the handler must return a reply (a table), got %s",
                          luaL_typename(L, -1));
    }
    lx_check_keys(L, -1, "status", "headers", "body", "events", "delay_ms", "rude", NULL);
    int reply = lua_gettop(L);
    struct event_answer answer;
    lx_read_answer(L, reply, &answer);
    route_reply_set(h->reply, &answer);
    lua_pushvalue(L, reply);
    h->reply->delay_ms = lx_opt_integer(L, -1, "delay_ms", 0, 0);
    read_rude(L, h);
    accept_events(L, h);
    store_answer(L, h, &answer);
    return 0;
}

static void open_script_error(const struct handling *h, const struct vm_failure *failure)
{
    const struct manifest *m = generation_manifest(h->generation);
    const struct manifest_route *route = &m->routes[h->route];
    log_msg(LOG_WARN, runner_client(h->scope.runner), "route %s of flow %s: %s; at %s", route->name,
            h->scope.flow, failure->err.message,
            failure->traceback == NULL ? "?" : failure->traceback);
    char *subject = xasprintf("%s route %s", h->scope.flow, route->name);
    struct exception_cause cause = {EXCEPTION_SCRIPT_ERROR, subject, failure->err.message,
                                    "Correct the script; it is loaded as soon as it is saved",
                                    RECHECK_RELOAD};
    if (exception_open_by(h->scope.work, h->scope.flow, &cause) != 0) {
        log_msg(LOG_ERROR, runner_client(h->scope.runner), "the script error could not be kept");
    }
    free(subject);
}

int route_handle(struct runner *r, size_t route, const struct route_request *request,
                 struct route_reply *reply_out, struct error *err)
{
    struct generation *generation = runner_generation(r);
    const struct manifest *m = generation_manifest(generation);
    struct vm *vm = generation_vm(generation);
    struct vm_failure failure = {0};
    memset(reply_out, 0, sizeof(*reply_out));
    struct handling h = {
        .scope = {.runner = r,
                  .work = runner_work(r),
                  .flow = m->flows[m->routes[route].flow].name},
        .generation = generation,
        .route = route,
        .request = request,
        .reply = reply_out,
    };
    int rc = work_nested_begin(h.scope.work);
    if (rc != 0) {
        return error_set(err, rc, "the store takes no writes now");
    }
    h.scope.may_write = true;
    vm_set_owner(vm, &h.scope);
    rc = vm_call(vm, run_handler, &h, vm_limits(vm)->atomic_us, &failure);
    vm_set_owner(vm, NULL);
    if (rc != 0 || reply_out->is_duplicate) {
        work_nested_abort(h.scope.work);
    } else {
        rc = work_nested_commit(h.scope.work);
        if (rc != 0) {
            error_set(&failure.err, rc, "keeping what the handler wrote");
        }
    }
    if (rc != 0) {
        if (rc != ERROR_FULL && rc != ERROR_IO) {
            open_script_error(&h, &failure);
        }
        *err = failure.err;
        route_reply_free(reply_out);
        memset(reply_out, 0, sizeof(*reply_out));
    }
    vm_failure_clear(&failure);
    return rc;
}

int route_answer_late(struct runner *r, struct route_reply *reply)
{
    struct buf headers;
    buf_init(&headers, REPLY_HEADERS_MAX);
    for (size_t i = 0; i < reply->headers.count; i++) {
        buf_addf(&headers, "%s: %s\n", reply->headers.list[i].name, reply->headers.list[i].value);
    }
    struct event_answer own = {reply->status, buf_bytes(&headers), buf_bytes(&reply->body)};
    int rc = event_set_answer(runner_work(r), reply->event_seq, &own);
    buf_free(&headers);
    if (rc != ERROR_EXISTS) {
        return rc;
    }
    struct event_answer given;
    struct buf owned;
    rc = event_answer(runner_work(r), reply->event_seq, &given, &owned);
    if (rc == 0) {
        route_reply_set(reply, &given);
        buf_free(&owned);
    }
    return rc;
}
