/*
 * The C half of waiting for HTTP. Callbacks of the connection store plain data and wake the job;
 * Lua values are made by the continuation, inside the coroutine.
 */
#include "core/api/api_http_call.h"

#include <assert.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "core/api/api_file.h"
#include "core/api/api_modules.h"
#include "core/base/json_writer.h"
#include "core/base/kill_point.h"
#include "core/base/log.h"
#include "core/base/xalloc.h"
#include "core/script/runner.h"
#include "core/store/record.h"
#include "core/work/effect.h"
#include "core/work/pause.h"
#include "core/work/turn.h"

#define HTTP_OP_MT      "neap.http.op"
#define URL_MAX_BYTES   ((size_t)64 << 10)
#define ANSWER_MAX      ((size_t)256 << 20) /* the connection's own limit is what counts */
#define REQUEST_VERSION 1
#define ANSWER_VERSION  1

enum call_state { CALL_MADE, CALL_RELEASING, CALL_SENT, CALL_DONE };

struct http_call {
    struct http_op *op;
    enum call_state state;
    const char *connection_name; /* of the connection's options; lives as long as it */
    struct connection *connection;
    struct connection_call *call;
    struct http_request request;
    char *path; /* for the timeline: without the query */
    char *method;
    size_t request_bytes;
    size_t held;        /* of the client's memory: request and answer */
    uint64_t effect_id; /* 0 = none */
    char *effect_name;  /* or NULL */
    struct http_answer answer;
    struct error err; /* code 0: there is an answer */
};

struct http_op {
    struct vm *vm;
    struct job_run *run;
    uint64_t ticket;
    size_t count;
    size_t limit;
    size_t started;
    size_t done;
    bool is_starting;
    struct http_call calls[];
};

static void start_more(struct http_op *op);

/* ---- Life ---------------------------------------------------------------------------------------
 */

static void free_call(struct http_call *call)
{
    http_request_free(&call->request);
    http_answer_free(&call->answer);
    free(call->path);
    free(call->method);
    free(call->effect_name);
    call->path = NULL;
    call->method = NULL;
    call->effect_name = NULL;
    memset(&call->request, 0, sizeof(call->request));
    memset(&call->answer, 0, sizeof(call->answer));
    vm_let_go(call->op->vm, call->held);
    call->held = 0;
}

/* Counts what the call is about to hold. Raises when the client's memory has no room for it. */
static void hold(lua_State *L, struct http_call *call, size_t bytes)
{
    vm_check_hold(L, bytes);
    call->held += bytes;
}

static void call_on_release(void *arg, bool is_durable);

/* The ledger must know what became of an effect that nobody waits for any more. */
static void abandon_effect(const struct http_call *call, bool maybe_sent)
{
    struct error err;
    struct work *work = call->op->run->scope.work;
    error_set(&err, ERROR_CANCELLED, "given up while the request was under way");
    err.is_retryable = true;
    err.maybe_sent = maybe_sent;
    int rc = maybe_sent ? effect_unknown(work, call->effect_id, &err)
                        : effect_not_sent(work, call->effect_id, &err);
    if (rc != 0 && rc != ERROR_INVALID) {
        log_msg(LOG_WARN, "http", "the end of an effect could not be kept: %s",
                error_code_name(rc));
    }
}

/* Idempotent: nothing of this op can call back afterwards. */
static void stop_calls(struct http_op *op)
{
    for (size_t i = 0; i < op->count; i++) {
        struct http_call *call = &op->calls[i];
        bool maybe_sent = false;
        if (call->state == CALL_RELEASING) {
            turn_release_cancel(op->run->scope.work, call_on_release, call);
        } else if (call->state == CALL_SENT) {
            maybe_sent = connection_cancel(call->connection, call->call);
        }
        if ((call->state == CALL_RELEASING || call->state == CALL_SENT) && call->effect_id != 0) {
            abandon_effect(call, maybe_sent);
        }
        call->state = CALL_DONE;
    }
}

static void op_on_cancel(void *arg)
{
    struct http_op *op = arg;
    stop_calls(op);
    for (size_t i = 0; i < op->count; i++) {
        if (op->calls[i].err.code == 0 && op->calls[i].answer.status == 0) {
            error_set(&op->calls[i].err, ERROR_CANCELLED, "the job was cancelled");
        }
    }
}

static int op_close(lua_State *L)
{
    struct http_op *op = luaL_checkudata(L, 1, HTTP_OP_MT);
    if (op->run != NULL) {
        stop_calls(op);
    }
    for (size_t i = 0; i < op->count; i++) {
        free_call(&op->calls[i]);
    }
    op->count = 0;
    return 0;
}

void http_op_open(lua_State *L)
{
    static const luaL_Reg metamethods[] = {{"__gc", op_close}, {"__close", op_close}, {NULL, NULL}};
    lx_new_type(L, HTTP_OP_MT, metamethods, NULL);
    api_file_open(L);
}

struct http_op *http_op_push(lua_State *L, size_t count, size_t limit)
{
    size_t size = sizeof(struct http_op) + count * sizeof(struct http_call);
    struct http_op *op = lua_newuserdatauv(L, size, 0);
    memset(op, 0, size);
    op->vm = vm_of(L);
    op->count = count;
    op->limit = limit;
    for (size_t i = 0; i < count; i++) {
        op->calls[i].op = op;
        buf_init(&op->calls[i].answer.body, ANSWER_MAX);
    }
    luaL_setmetatable(L, HTTP_OP_MT);
    lua_toclose(L, -1); /* early, also when something raises: it may hold much */
    return op;
}

struct http_call *http_op_call(struct http_op *op, size_t i)
{
    assert(i < op->count);
    return &op->calls[i];
}

/* ---- Making a request ---------------------------------------------------------------------------
 */

void http_add_encoded(struct buf *out, struct bytes text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool is_plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                        (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
        if (is_plain) {
            buf_add_char(out, (char)c);
        } else {
            char escape[3] = {'%', digits[c >> 4], digits[c & 15]};
            buf_add(out, escape, sizeof(escape));
        }
    }
}

/* The value at the top as text: a string, an integer or a boolean. */
static struct bytes query_value(lua_State *L, const char *name)
{
    struct bytes value = {NULL, 0};
    if (lua_isboolean(L, -1)) {
        return bytes_str(lua_toboolean(L, -1) ? "true" : "false");
    }
    if (lua_type(L, -1) != LUA_TSTRING && !lua_isinteger(L, -1)) {
        luaL_error(L, "query \"%s\": a string, integer or boolean expected, got %s", name,
                   luaL_typename(L, -1));
    }
    value.data = lua_tolstring(L, -1, &value.size);
    return value;
}

void http_add_query(lua_State *L, int idx, struct buf *out)
{
    idx = lua_absindex(L, idx);
    luaL_checktype(L, idx, LUA_TTABLE);
    luaL_checkstack(L, 8, "query");
    lua_getglobal(L, "pairs"); /* sorted */
    lua_pushvalue(L, idx);
    lua_call(L, 1, 3);
    int step = lua_gettop(L) - 2;
    for (bool is_first = true;; is_first = false) {
        lua_settop(L, step + 2);
        for (int i = 0; i < 3; i++) {
            lua_pushvalue(L, step + i);
        }
        lua_call(L, 2, 2);
        if (lua_isnil(L, -2)) {
            break;
        }
        if (lua_type(L, -2) != LUA_TSTRING) {
            luaL_error(L, "query: names expected as keys");
        }
        struct bytes name;
        name.data = lua_tolstring(L, -2, &name.size);
        struct bytes value = query_value(L, name.data);
        buf_add_str(out, is_first ? "" : "&");
        http_add_encoded(out, name);
        buf_add_char(out, '=');
        http_add_encoded(out, value);
        lua_pop(L, 1);
        lua_replace(L, step + 2);
    }
    lua_settop(L, step - 1);
}

static void set_connection(lua_State *L, struct job_run *run, const char *name,
                           struct http_call *call)
{
    call->connection = runner_find_connection(run->scope.runner, name);
    if (call->connection == NULL) {
        luaL_error(L, "the manifest has no connection \"%s\"", name);
    }
    call->connection_name = connection_options(call->connection)->name;
}

static void read_headers(lua_State *L, int idx, struct http_call *call)
{
    lua_getfield(L, idx, "headers");
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return;
    }
    luaL_checktype(L, -1, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
        bool is_text = lua_type(L, -2) == LUA_TSTRING &&
                       (lua_type(L, -1) == LUA_TSTRING || lua_isinteger(L, -1));
        if (!is_text || http_headers_add(&call->request.headers, lua_tostring(L, -2),
                                         lua_tostring(L, -1)) != 0) {
            luaL_error(L, "option \"headers\": not a header that HTTP allows");
        }
    }
    lua_pop(L, 1);
}

static int compare_headers(const void *left, const void *right)
{
    const struct http_header *a = left;
    const struct http_header *b = right;
    return strcmp(a->name, b->name);
}

static void remember_shown(struct http_call *call)
{
    free(call->path);
    free(call->method);
    call->path = xstrndup(call->request.url, strcspn(call->request.url, "?"));
    call->method = xstrdup(call->request.method);
    call->request_bytes = call->request.body_size;
}

void http_call_read(lua_State *L, int idx, struct job_run *run, const char *connection,
                    struct http_call *call)
{
    idx = lua_absindex(L, idx);
    luaL_checkstack(L, 12, "request");
    luaL_checktype(L, idx, LUA_TTABLE);
    bool is_effect = connection != NULL; /* whose answer is kept in the ledger, so not in a file */
    lx_check_keys(L, idx, "connection", "method", "path", "query", "headers", "body", "timeout_ms",
                  is_effect ? NULL : "file_max_bytes", NULL);
    lua_Integer file_max = lx_opt_integer(L, idx, "file_max_bytes", 0, 1);
    set_connection(L, run,
                   connection != NULL ? connection : lx_check_string_field(L, idx, "connection"),
                   call);
    const char *method = lx_opt_string(L, idx, "method", "GET");
    const char *path = lx_check_string_field(L, idx, "path");
    if (path[0] != '/' && path[0] != '?' && path[0] != '\0') {
        luaL_error(L, "option \"path\": it begins with \"/\", got \"%s\"", path);
    }
    const char *body = NULL;
    size_t body_size = 0;
    lua_getfield(L, idx, "body");
    if (!lua_isnil(L, -1)) {
        body = luaL_checklstring(L, -1, &body_size);
    }
    struct buf *url = lx_new_buf(L, URL_MAX_BYTES);
    buf_add_str(url, path);
    if (lua_getfield(L, idx, "query") != LUA_TNIL) {
        size_t before = url->size;
        buf_add_char(url, strchr(path, '?') == NULL ? '?' : '&');
        http_add_query(L, -1, url);
        if (url->size == before + 1) {
            url->size = before; /* an empty table */
            url->data[before] = '\0';
        }
    }
    if (url->has_failed) {
        luaL_error(L, "path and query are longer than %d bytes", (int)URL_MAX_BYTES);
    }
    struct http_request *request = &call->request;
    request->timeout_ms = lx_opt_integer(L, idx, "timeout_ms", 0, 1);
    request->file_max_bytes = (uint64_t)file_max;
    request->method = xstrdup(method);
    request->url = xstrdup(buf_text(url));
    read_headers(L, idx, call);
    /* The same request is the same bytes, whatever order the table had. */
    if (request->headers.count > 1) {
        qsort(request->headers.list, request->headers.count, sizeof(*request->headers.list),
              compare_headers);
    }
    if (body != NULL) {
        hold(L, call, body_size);
        request->body = xmalloc(body_size + 1);
        memcpy(request->body, body, body_size + 1);
        request->body_size = body_size;
    }
    remember_shown(call);
    lua_settop(L, lua_gettop(L) - 3); /* body, url, query */
}

static void encode_headers(const struct http_headers *headers, struct buf *out)
{
    record_u32(out, (uint32_t)headers->count);
    for (size_t i = 0; i < headers->count; i++) {
        record_str(out, headers->list[i].name);
        record_str(out, headers->list[i].value);
    }
}

static void decode_headers(struct record_reader *reader, struct http_headers *headers)
{
    uint32_t count = record_get_u32(reader);
    for (uint32_t i = 0; i < count && !reader->is_bad; i++) {
        struct bytes name = record_get_bytes(reader);
        struct bytes value = record_get_bytes(reader);
        if (!reader->is_bad && http_headers_add_bytes(headers, name, value) != 0) {
            reader->is_bad = true;
        }
    }
}

void http_call_encode(const struct http_call *call, struct buf *out)
{
    const struct http_request *request = &call->request;
    record_begin(out, REQUEST_VERSION);
    record_str(out, request->method);
    record_str(out, request->url);
    record_i64(out, request->timeout_ms);
    encode_headers(&request->headers, out);
    record_u8(out, request->body != NULL);
    record_bytes(out, bytes_of(request->body == NULL ? "" : request->body, request->body_size));
}

void http_call_decode(lua_State *L, struct job_run *run, const char *connection, struct bytes bytes,
                      struct http_call *call)
{
    struct http_request *request = &call->request;
    set_connection(L, run, connection, call);
    struct record_reader reader;
    record_open(&reader, bytes);
    request->method = record_get_str(&reader);
    request->url = record_get_str(&reader);
    request->timeout_ms = record_get_i64(&reader);
    decode_headers(&reader, &request->headers);
    bool has_body = record_get_u8(&reader) != 0;
    struct bytes body = record_get_bytes(&reader);
    if (reader.is_bad || reader.version != REQUEST_VERSION) {
        luaL_error(L, "the stored request cannot be read");
    }
    if (has_body) {
        hold(L, call, body.size);
        request->body = xmalloc(body.size + 1);
        memcpy(request->body, body.data, body.size);
        request->body[body.size] = '\0';
        request->body_size = body.size;
    }
    remember_shown(call);
}

void http_call_set_effect(struct http_call *call, uint64_t effect_id, const char *name,
                          bool is_fresh)
{
    call->effect_id = effect_id;
    free(call->effect_name);
    call->effect_name = xstrdup(name);
    call->request.is_fresh = is_fresh;
}

/* ---- Sending and completion ---------------------------------------------------------------------
 */

/* It happened, and what was said about it cannot be kept: half an answer must not pass for one. */
static void set_too_large(struct http_call *call, size_t size)
{
    error_set(&call->err, ERROR_LIMIT, "an answer of %zu bytes cannot be kept", size);
    call->err.maybe_sent = true;
}

static void keep_answer(struct http_call *call, struct http_answer *answer)
{
    if (!vm_hold(call->op->vm, answer->body.size)) {
        set_too_large(call, answer->body.size);
        return;
    }
    call->held += answer->body.size;
    call->answer.file = answer->file; /* taken over */
    answer->file = NULL;
    call->answer.status = answer->status;
    call->answer.elapsed_ms = answer->elapsed_ms;
    http_headers_copy(&call->answer.headers, &answer->headers);
    if (buf_add(&call->answer.body, buf_text(&answer->body), answer->body.size) != 0) {
        set_too_large(call, answer->body.size);
    }
}

static int keep_raw_answer(struct http_call *call)
{
    struct work *work = call->op->run->scope.work;
    struct buf raw;
    buf_init(&raw, ANSWER_MAX);
    record_begin(&raw, ANSWER_VERSION);
    record_u32(&raw, (uint32_t)call->answer.status);
    record_i64(&raw, call->answer.elapsed_ms);
    encode_headers(&call->answer.headers, &raw);
    record_bytes(&raw, buf_bytes(&call->answer.body));
    int rc = raw.has_failed ? ERROR_LIMIT : effect_answered(work, call->effect_id, buf_bytes(&raw));
    buf_free(&raw);
    if (rc == ERROR_LIMIT) {
        set_too_large(call, call->answer.body.size);
        rc = effect_unknown(work, call->effect_id, &call->err);
    }
    return rc;
}

static void keep_effect(struct http_call *call)
{
    struct work *work = call->op->run->scope.work;
    int rc;
    if (call->err.code == 0) {
        rc = keep_raw_answer(call);
    } else if (call->err.maybe_sent) {
        rc = effect_unknown(work, call->effect_id, &call->err);
    } else {
        rc = effect_not_sent(work, call->effect_id, &call->err);
    }
    if (rc != 0) {
        log_msg(LOG_WARN, "http", "the outcome of %s could not be kept: %s", call->effect_name,
                error_code_name(rc));
    }
}

static const char *subject_of(const struct http_call *call)
{
    return call->effect_name == NULL ? "call" : call->effect_name;
}

static void finish_call(struct http_call *call)
{
    struct http_op *op = call->op;
    call->state = CALL_DONE;
    if (call->effect_id != 0) {
        keep_effect(call);
    }
    kill_point_after(KILL_ARRIVAL, subject_of(call));
    op->done++;
    if (op->done < op->count) {
        start_more(op);
        return;
    }
    struct job_run *run = op->run;
    if (coroutine_wait_done(run->co, op->ticket) && !coroutine_is_running(run->co)) {
        job_wake(run->job);
    }
}

static void call_on_done(void *arg, struct http_answer *answer, const struct error *err)
{
    struct http_call *call = arg;
    kill_point_before(KILL_ARRIVAL, subject_of(call));
    if (answer != NULL) {
        keep_answer(call, answer);
    } else {
        call->err = *err;
    }
    finish_call(call);
}

static void call_on_release(void *arg, bool is_durable)
{
    struct http_call *call = arg;
    struct work *work = call->op->run->scope.work;
    if (!is_durable) {
        error_set(&call->err, ERROR_CANCELLED, "not sent: what explains it could not be kept");
        call->err.is_retryable = true;
    } else if (pause_is_set(work, PAUSE_CONNECTION, call->connection_name)) {
        error_set(&call->err, ERROR_NETWORK, "connection %s is paused", call->connection_name);
        call->err.is_retryable = true;
    } else {
        kill_point_before(KILL_SEND, subject_of(call));
        call->state = CALL_SENT;
        call->call = connection_send(call->connection, &call->request, call_on_done, call);
        kill_point_after(KILL_SEND, subject_of(call));
        return;
    }
    finish_call(call);
}

static void start_more(struct http_op *op)
{
    if (op->is_starting) {
        return; /* a release that ran at once: the loop below goes on */
    }
    op->is_starting = true;
    while (op->started < op->count && op->started - op->done < op->limit) {
        struct http_call *call = &op->calls[op->started];
        op->started++;
        call->state = CALL_RELEASING;
        turn_release(op->run->scope.work, call_on_release, call);
    }
    op->is_starting = false;
}

int http_op_wait(lua_State *L, struct job_run *run, struct http_op *op, lua_KFunction k)
{
    op->run = run;
    op->ticket = coroutine_wait_begin(run->co, op_on_cancel, op);
    if (op->ticket == 0) {
        op_on_cancel(op);
        return k(L, LUA_OK, (lua_KContext)op);
    }
    start_more(op);
    if (coroutine_wait_take(run->co)) {
        return k(L, LUA_OK, (lua_KContext)op);
    }
    return lua_yieldk(L, 0, (lua_KContext)op, k);
}

/* ---- Results ------------------------------------------------------------------------------------
 */

/* Names in lower case, repeated ones joined by ", ". [-0, +1] */
static void push_headers(lua_State *L, const struct http_headers *headers)
{
    lua_createtable(L, 0, (int)headers->count);
    for (size_t i = 0; i < headers->count; i++) {
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
}

/* answer.file is taken over. [-0, +1] */
static void push_answer(lua_State *L, struct http_answer *answer, struct bytes body)
{
    luaL_checkstack(L, 8, "answer");
    lua_createtable(L, 0, 4);
    if (answer->file != NULL) {
        api_file_push(L, &answer->file);
        lua_setfield(L, -2, "file");
    } else {
        lua_pushlstring(L, body.data, body.size);
        lua_setfield(L, -2, "body");
    }
    lua_pushinteger(L, answer->status);
    lua_setfield(L, -2, "status");
    push_headers(L, &answer->headers);
    lua_setfield(L, -2, "headers");
    lua_pushinteger(L, answer->elapsed_ms);
    lua_setfield(L, -2, "elapsed_ms");
}

static int64_t received_bytes(const struct http_answer *answer)
{
    return (int64_t)(answer->file != NULL ? spool_size(answer->file) : answer->body.size);
}

/* What was asked and what came back, without header values, bodies or queries. */
static void note_call(struct job_run *run, const struct http_call *call)
{
    struct buf data;
    struct json_writer w;
    char outcome[64];
    buf_init(&data, 8192);
    json_writer_init(&w, &data);
    json_object_begin(&w);
    json_member_str(&w, "connection", call->connection_name);
    json_member_str(&w, "method", call->method);
    json_member_str(&w, "path", call->path);
    json_member_int(&w, "sent_bytes", (int64_t)call->request_bytes);
    if (call->err.code == 0) {
        json_member_int(&w, "status", call->answer.status);
        json_member_int(&w, "ms", call->answer.elapsed_ms);
        json_member_int(&w, "received_bytes", received_bytes(&call->answer));
        snprintf(outcome, sizeof(outcome), "%d in %lld ms", call->answer.status,
                 (long long)call->answer.elapsed_ms);
    } else {
        json_member_str(&w, "error", call->err.message);
        json_member_bool(&w, "maybe_sent", call->err.maybe_sent);
        snprintf(outcome, sizeof(outcome), "%s", error_code_name(call->err.code));
    }
    json_object_end(&w);
    char *text = xasprintf("%s %s%s: %s", call->method, call->connection_name, call->path, outcome);
    job_note(run->job, "http", text, buf_text(&data));
    free(text);
    buf_free(&data);
}

void http_op_push_result(lua_State *L, struct job_run *run, struct http_op *op, size_t i)
{
    struct http_call *call = http_op_call(op, i);
    note_call(run, call);
    if (call->err.code == 0 && call->effect_id != 0) {
        lua_pushboolean(L, 1); /* the answer is in the ledger: it is read from there */
        lua_pushnil(L);
        return;
    }
    if (call->err.code == 0) {
        push_answer(L, &call->answer, buf_bytes(&call->answer.body));
        free_call(call); /* early: the collector may take its time */
        lua_pushnil(L);
        return;
    }
    lx_push_error(L, &call->err);
    lua_pushstring(L, call->connection_name);
    lua_setfield(L, -2, "connection");
}

/* A userdata owns the headers while Lua may raise. */
struct raw_answer {
    struct http_answer answer;
};

static int raw_answer_gc(lua_State *L)
{
    struct raw_answer *raw = lua_touserdata(L, 1);
    http_headers_free(&raw->answer.headers);
    memset(raw, 0, sizeof(*raw));
    return 0;
}

void http_push_raw_answer(lua_State *L, struct bytes bytes)
{
    static const luaL_Reg metamethods[] = {{"__gc", raw_answer_gc}, {NULL, NULL}};
    lx_new_type(L, "neap.http.raw_answer", metamethods, NULL);
    struct raw_answer *raw = lua_newuserdatauv(L, sizeof(*raw), 0);
    memset(raw, 0, sizeof(*raw));
    luaL_setmetatable(L, "neap.http.raw_answer");
    struct record_reader reader;
    record_open(&reader, bytes);
    raw->answer.status = (int)record_get_u32(&reader);
    raw->answer.elapsed_ms = record_get_i64(&reader);
    decode_headers(&reader, &raw->answer.headers);
    struct bytes body = record_get_bytes(&reader);
    if (reader.is_bad || reader.version != ANSWER_VERSION) {
        luaL_error(L, "the stored answer cannot be read");
    }
    push_answer(L, &raw->answer, body);
    lua_remove(L, -2);
}
