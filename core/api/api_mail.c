/*
 * neap.mail: e-mail to declared mail servers.
 *
 *     local mail = require("neap.mail")
 *     local sent = errors.check(job:effect{connection = "mail", name = "mail", key = id,
 *         class = "dedupes", request = mail.message{from = ..., to = ..., subject = ...,
 *         text = ..., key = id}, read = mail.read})
 *
 * A message travels as a request with method "MAIL" (core/net/smtp.h), so that effects, the
 * timeline, rate and breaker treat it as they treat everything else.
 */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "core/api/api_http_call.h"
#include "core/api/api_modules.h"
#include "core/net/mail_message.h"
#include "core/net/smtp.h"

#define MESSAGE_MAX_BYTES  ((size_t)4 << 20)
#define RECIPIENTS_MAX     50
#define STATUS_OK_MIN      200
#define STATUS_LATER_MIN   400
#define STATUS_NEVER_MIN   500
#define LINE_TEXT_AT       4 /* "250 OK": the words begin here */
#define SERVER_WORDS_SHOWN 200

/* ---- Messages -----------------------------------------------------------------------------------
 */

/* "to" of the table at idx, a string or a list of strings, as an array in a userdata. [-0, +1] */
static const char **push_recipients(lua_State *L, int idx, size_t *count_out)
{
    const char **list = lua_newuserdatauv(L, RECIPIENTS_MAX * sizeof(*list), 0);
    int type = lua_getfield(L, idx, "to");
    if (type == LUA_TSTRING) {
        list[0] = lua_tostring(L, -1);
        *count_out = 1;
    } else if (type == LUA_TTABLE) {
        size_t count = lua_rawlen(L, -1);
        luaL_argcheck(L, count <= RECIPIENTS_MAX, idx, "too many recipients");
        for (size_t i = 0; i < count; i++) {
            if (lua_rawgeti(L, -1, (lua_Integer)i + 1) != LUA_TSTRING) {
                luaL_error(L, "option \"to\": a list of strings expected");
            }
            list[i] = lua_tostring(L, -1);
            luaL_argcheck(L, strlen(list[i]) == lua_rawlen(L, -1), idx, "a NUL in an address");
            lua_pop(L, 1);
        }
        *count_out = count;
    } else {
        luaL_error(L, "option \"to\": an address or a list of addresses expected");
    }
    lua_pop(L, 1); /* the option table keeps the texts */
    return list;
}

/* No text of a header has a NUL: C would not see what follows it. */
static void check_whole(lua_State *L, int idx)
{
    static const char *const names[] = {"from", "from_name", "to", "subject"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (lua_getfield(L, idx, names[i]) == LUA_TSTRING &&
            strlen(lua_tostring(L, -1)) != lua_rawlen(L, -1)) {
            luaL_error(L, "option \"%s\": a NUL", names[i]);
        }
        lua_pop(L, 1);
    }
}

static void read_message(lua_State *L, int idx, struct mail_message *m)
{
    memset(m, 0, sizeof(*m));
    m->to = push_recipients(L, idx, &m->to_count);
    m->from = lx_check_string_field(L, idx, "from");
    m->from_name = lx_opt_string(L, idx, "from_name", NULL);
    m->subject = lx_check_string_field(L, idx, "subject");
    m->key = lx_check_string_field(L, idx, "key");
    m->date_ms = lx_opt_integer(L, idx, "date_ms", clock_wall_ms(lx_env(L)->clock), 0);
    if (lua_getfield(L, idx, "text") != LUA_TSTRING) {
        luaL_error(L, "option \"text\": a string expected");
    }
    m->text.data = lua_tolstring(L, -1, &m->text.size);
    lua_pop(L, 1);
}

/* The request of the message at idx. [-0, +1] */
static void push_request(lua_State *L, int idx)
{
    struct mail_message m;
    struct error err;
    error_clear(&err);
    luaL_checkstack(L, 12, "message");
    check_whole(L, idx);
    read_message(L, idx, &m); /* stack: ..., recipients */
    struct buf *bytes = lx_new_buf(L, MESSAGE_MAX_BYTES);
    if (mail_message_write(&m, bytes, &err) != 0) {
        lx_raise(L, &err);
    }
    lua_createtable(L, 0, 4);
    lua_pushliteral(L, SMTP_METHOD);
    lua_setfield(L, -2, "method");
    lua_pushliteral(L, "");
    lua_setfield(L, -2, "path");
    lua_pushlstring(L, buf_text(bytes), bytes->size);
    lua_setfield(L, -2, "body");
    lua_createtable(L, 0, 2);
    lua_pushstring(L, m.from);
    lua_setfield(L, -2, "Mail-From");
    struct buf *to = lx_new_buf(L, MESSAGE_MAX_BYTES);
    for (size_t i = 0; i < m.to_count; i++) {
        buf_addf(to, "%s%s", i == 0 ? "" : " ", m.to[i]);
    }
    lua_pushstring(L, buf_text(to));
    lua_setfield(L, -3, "Rcpt-To");
    lua_pop(L, 1);
    lua_setfield(L, -2, "headers");
    lua_replace(L, -3);
    lua_pop(L, 1);
}

/* mail.message(message) -> request */
static int mail_message(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lx_check_keys(L, 1, "from", "from_name", "to", "subject", "text", "key", "date_ms", NULL);
    push_request(L, 1);
    return 1;
}

/* ---- Answers ------------------------------------------------------------------------------------
 */

/* The server's code and words as {code=, text=}, or nil, err. [-0, +2] */
static int push_outcome(lua_State *L, lua_Integer status, const char *line)
{
    const char *words = strlen(line) > LINE_TEXT_AT ? line + LINE_TEXT_AT : line;
    if (status >= STATUS_OK_MIN && status < STATUS_LATER_MIN) {
        lua_createtable(L, 0, 2);
        lua_pushinteger(L, status);
        lua_setfield(L, -2, "code");
        lua_pushstring(L, words);
        lua_setfield(L, -2, "text");
        lua_pushnil(L);
        return 2;
    }
    struct error err;
    error_set(&err, ERROR_REMOTE, "the mail server says %d: %.*s", (int)status, SERVER_WORDS_SHOWN,
              words);
    err.http_status = (int)status;
    err.is_retryable = status < STATUS_NEVER_MIN; /* 4xx: not now (greylisting, full, busy) */
    return lx_push_error(L, &err);
}

/* mail.read(answer) -> {code=, text=} | nil, err */
static int mail_read(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_Integer status = lx_opt_integer(L, 1, "status", 0, 0);
    return push_outcome(L, status, lx_opt_string(L, 1, "body", ""));
}

static int mail_send_k(lua_State *L, int status, lua_KContext context)
{
    struct http_op *op = (struct http_op *)context;
    struct job_run *run = lx_job(L);
    (void)status;
    coroutine_wait_take(run->co);
    http_op_push_result(L, run, op, 0); /* stack: ..., answer or nil, nil or error */
    if (lua_isnil(L, -2)) {
        return 2;
    }
    lua_pop(L, 1);
    return push_outcome(L, lx_opt_integer(L, lua_gettop(L), "status", 0, 0),
                        lx_opt_string(L, lua_gettop(L), "body", ""));
}

/* mail.send(message with connection) -> {code=, text=} | nil, err */
static int mail_send(lua_State *L)
{
    struct job_run *run = lx_job(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lx_check_keys(L, 1, "connection", "from", "from_name", "to", "subject", "text", "key",
                  "date_ms", NULL);
    const char *connection = lx_check_string_field(L, 1, "connection");
    push_request(L, 1);
    struct http_op *op = http_op_push(L, 1, 1);
    http_call_read(L, 2, run, connection, http_op_call(op, 0));
    return http_op_wait(L, run, op, mail_send_k);
}

int luaopen_neap_mail(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"message", mail_message}, {"read", mail_read}, {"send", mail_send}, {NULL, NULL}};
    http_op_open(L);
    luaL_newlib(L, functions);
    return 1;
}
