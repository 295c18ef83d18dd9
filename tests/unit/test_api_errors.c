/* neap.errors and the error helpers of lx. */
#include "tests/support/lua_values.h"

static void objects_have_fields(void)
{
    static const struct lua_case cases[] = {
        {"errors.new{kind='invalid', message='no'}", "invalid: no"},
        {"errors.new{kind='io', message='two\\nlines'}", "io: two lines"},
        {"errors.new{kind='io', message='x'}.retryable", "false"},
        {"errors.new{kind='timeout', message='x', retryable=true, maybe_sent=true}.maybe_sent",
         "true"},
        {"errors.new{kind='timeout', message='x', maybe_sent=false}.maybe_sent", "nil"},
        {"errors.new{kind='remote', message='x', status=429, retry_after_ms=5}.retry_after_ms",
         "5"},
        {"getmetatable(errors.new{kind='io', message='x'})", "neap.error"},
        {"(pcall(setmetatable, errors.new{kind='io', message='x'}, nil))", "false"},
        {"errors.new{kind='refused', message='x'}",
         "raised: unknown error kind \"refused\"; known: invalid not_found exists timeout "
         "cancelled "
         "network remote full io corrupt limit script"},
        {"errors.new{kind='io', message='x', code=1}",
         "raised: unknown option \"code\"; known: kind, message, retryable, retry_after_ms, "
         "status, "
         "cause, details, maybe_sent"},
        {"errors.new{kind='io'}", "raised: option \"message\" is missing: a string expected"},
        {"errors.new{kind='io', message=1}",
         "raised: option \"message\": a string expected, got number"},
        {NULL, NULL},
    };
    values_check(NULL, cases);
}

static void wrapping_keeps_cause_and_kind(void)
{
    static const struct lua_case cases[] = {
        {"w", "remote: booking order 5001: refused 100%"},
        {"w.cause == e", "true"},
        {"w.kind, w.retryable, w.status, w.retry_after_ms, w.details.a", "remote|true|503|9|1"},
        {"errors.wrap('boom', 'ctx')", "script: ctx: boom"},
        {"(pcall(errors.wrap, nil, 'ctx'))", "false"},
        {"(pcall(errors.wrap, e, 'ctx %d', 'x'))", "false"},
        {NULL, NULL},
    };
    values_check("e = errors.new{kind='remote', message='refused 100%', retryable=true, status=503,"
                 " retry_after_ms=9, details={a=1}}\n"
                 "w = errors.wrap(e, 'booking order %s', '5001')",
                 cases);
}

static void check_passes_or_raises(void)
{
    static const struct lua_case cases[] = {
        {"errors.check(1, nil, 3)", "1|nil|3"},
        {"errors.check(nil)", "nil"},
        {"errors.check(false, nil)", "false|nil"},
        {"select(2, pcall(errors.check, nil, e)) == e", "true"},
        {"select(2, pcall(errors.check, false, e)) == e", "true"},
        {"(pcall(errors.check))", "false"},
        {"errors.is(e), errors.is(e, 'io'), errors.is(e, 'limit'), errors.is{}, errors.is('io: x')",
         "true|true|false|false|false"},
        {"(pcall(errors.is, e, 'oi'))", "false"},
        {NULL, NULL},
    };
    values_check("e = errors.new{kind='io', message='x'}", cases);
}

static void errors_cross_between_c_and_lua(void)
{
    lua_State *L = luaL_newstate();
    struct error err;
    error_set(&err, ERROR_REMOTE, "no \xff way");
    err.http_status = 429;
    err.retry_after_ms = 1500;
    err.is_retryable = true;
    err.maybe_sent = true;
    CHECK_INT(lx_push_error(L, &err), 2);
    CHECK(lua_isnil(L, -2) && lx_is_error(L, -1));
    struct error back;
    lx_read_error(L, -1, &back);
    CHECK_INT(back.code, ERROR_REMOTE);
    CHECK_STR(back.message, "no ? way");
    CHECK_INT(back.http_status, 429);
    CHECK_INT(back.retry_after_ms, 1500);
    CHECK(back.is_retryable && back.maybe_sent);
    CHECK_INT(lua_gettop(L), 2);
    lua_pushliteral(L, "plain");
    lx_read_error(L, -1, &back);
    CHECK_INT(back.code, ERROR_SCRIPT);
    CHECK_STR(back.message, "plain");
    lua_newtable(L);
    lx_read_error(L, -1, &back);
    CHECK_STR(back.message, "raised a value of type table");
    lua_close(L);
}

static void memory_failures_stay_errors(void)
{
    values_torture("local e = errors.new{kind='io', message='x', details={}}\n"
                   "local w = errors.wrap(e, 'a %s', 'b')\n"
                   "assert(tostring(w) == 'io: a b: x')");
}

int main(void)
{
    tap_case("objects have fields, a kind that exists and a locked metatable", objects_have_fields);
    tap_case("wrapping keeps cause, kind and what retrying needs", wrapping_keeps_cause_and_kind);
    tap_case("check passes values through or raises the same object", check_passes_or_raises);
    tap_case("an error keeps its fields between C and Lua", errors_cross_between_c_and_lua);
    tap_case("memory running out anywhere stays a memory error", memory_failures_stay_errors);
    return tap_done();
}
