/*
 * The primitives of scripts/lib/job.lua: memo of steps, the effect ledger, sending. Scripts never
 * see them. Each takes the job object first.
 */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "core/api/api_http_call.h"
#include "core/api/api_job_private.h"
#include "core/base/xalloc.h"
#include "core/script/lx_event.h"
#include "core/script/runner.h"
#include "core/work/doubt.h"
#include "core/work/step.h"

#define GUARD_MT          "neap.job.guard"
#define RUN_STEPS_MAX     100000
#define RUN_EFFECTS_MAX   10000
#define EFFECT_MT         "neap.job.effect"
#define REQUEST_MAX_BYTES ((size_t)64 << 20)

/* ---- Where the run is ---------------------------------------------------------------------------
 */

static int guard_close(lua_State *L)
{
    lua_getiuservalue(L, 1, 1);
    lua_getiuservalue(L, 1, 2); /* where the run was before */
    struct job_run **box = lua_touserdata(L, -2);
    if (box != NULL && *box != NULL) {
        free((*box)->step);
        (*box)->step = lua_isnil(L, -1) ? NULL : xstrdup(lua_tostring(L, -1));
    }
    return 0;
}

/*
 * A loop that never ends but always waits uses no CPU time; what bounds it is this. A step costs a
 * memo, an effect a record for ever, timeline lines and a request in another system.
 */
static void count_entry(lua_State *L, struct job_run *run, const char *what)
{
    bool is_effect = strcmp(what, "effect") == 0;
    unsigned *count = is_effect ? &run->effects : &run->steps;
    unsigned most = is_effect ? RUN_EFFECTS_MAX : RUN_STEPS_MAX;
    if (++*count > most) {
        luaL_error(L, "more than %d %ss in one run of a job", (int)most, what);
    }
}

/* enter(job, what, name) -> a value to be closed; a failure in between carries the name */
static int primitive_enter(lua_State *L)
{
    static const luaL_Reg metamethods[] = {{"__close", guard_close}, {NULL, NULL}};
    struct job_run *run = api_job_check_wait(L, 1);
    const char *what = luaL_checkstring(L, 2);
    const char *name = lx_check_name(L, 3);
    bool is_effect_in_step =
        strcmp(what, "effect") == 0 && run->step != NULL && strncmp(run->step, "step ", 5) == 0;
    if (run->step != NULL && !is_effect_in_step) {
        return luaL_error(L, "%s '%s' inside %s: steps do not nest", what, name, run->step);
    }
    count_entry(L, run, what);
    lx_new_type(L, GUARD_MT, metamethods, NULL);
    lua_newuserdatauv(L, 1, 2);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    lua_pushstring(L, run->step); /* nil for NULL */
    lua_setiuservalue(L, -2, 2);
    luaL_setmetatable(L, GUARD_MT);
    free(run->step);
    run->step = xasprintf("%s %s", what, name);
    return 1;
}

/* ---- Steps --------------------------------------------------------------------------------------
 */

/* step_find(job, name) -> found, value. Claims the name */
static int primitive_step_find(lua_State *L)
{
    struct job_run *run = api_job_check_wait(L, 1);
    const char *name = lx_check_name(L, 2);
    job_run_claim(L, 1, "step", name);
    struct bytes json;
    int rc = step_find(run->job, name, &json);
    if (rc == ERROR_NOT_FOUND) {
        lua_pushboolean(L, 0);
        return 1;
    }
    lx_check_rc(L, rc, "reading a step");
    lua_pushboolean(L, 1);
    lx_decode_json(L, json);
    return 2;
}

/* step_put(job, name, json) */
static int primitive_step_put(lua_State *L)
{
    struct job_run *run = api_job_check_wait(L, 1);
    const char *name = lx_check_name(L, 2);
    struct bytes json;
    json.data = luaL_checklstring(L, 3, &json.size);
    lx_check_rc(L, step_put(run->job, name, json), "keeping a step");
    return 0;
}

/* ---- Effects ------------------------------------------------------------------------------------
 */

/* The spec at idx; texts borrowed from it. It was checked by the driver. */
static void read_spec(lua_State *L, int idx, struct effect_spec *spec)
{
    luaL_checktype(L, idx, LUA_TTABLE);
    memset(spec, 0, sizeof(*spec));
    spec->connection = lx_check_name_field(L, idx, "connection");
    spec->name = lx_check_name_field(L, idx, "name");
    spec->key = lx_check_name_field(L, idx, "key");
    const char *class = lx_check_string_field(L, idx, "class");
    if (!effect_class_from_name(class, &spec->class)) {
        luaL_error(L, "option \"class\": \"dedupes\", \"lookup\" or \"once\" expected, got \"%s\"",
                   class);
    }
    spec->fingerprint = lx_opt_name_field(L, idx, "fingerprint", NULL);
    spec->unless_event = lx_opt_name_field(L, idx, "unless_event", NULL);
}

static struct connection *check_connection(lua_State *L, struct job_run *run, const char *name)
{
    struct connection *c = runner_find_connection(run->scope.runner, name);
    if (c == NULL) {
        luaL_error(L, "the manifest has no connection \"%s\"", name);
    }
    return c;
}

static int effect_gc(lua_State *L)
{
    struct effect *effect = lua_touserdata(L, 1);
    effect_free(effect);
    return 0;
}

/* A zeroed effect that the collector frees. [-0, +1] */
static struct effect *push_effect(lua_State *L)
{
    static const luaL_Reg metamethods[] = {{"__gc", effect_gc}, {NULL, NULL}};
    lx_new_type(L, EFFECT_MT, metamethods, NULL);
    struct effect *effect = lua_newuserdatauv(L, sizeof(*effect), 0);
    memset(effect, 0, sizeof(*effect));
    luaL_setmetatable(L, EFFECT_MT);
    return effect;
}

static void set_text(lua_State *L, const char *key, const char *text)
{
    lua_pushstring(L, text);
    lua_setfield(L, -2, key);
}

/* effect_find(job, spec) -> {state=, id=, ...} */
static int primitive_effect_find(lua_State *L)
{
    struct job_run *run = api_job_check_wait(L, 1);
    struct effect_spec spec;
    read_spec(L, 2, &spec);
    struct connection *c = check_connection(L, run, spec.connection);
    struct effect *effect = push_effect(L);
    lx_check_rc(L, effect_find_for_run(run->scope.work, &spec, effect),
                "reading the effect ledger");
    lua_createtable(L, 0, 12);
    set_text(L, "state", effect_state_name(effect->state));
    if (effect->state == EFFECT_NONE) {
        return 1;
    }
    lua_pushinteger(L, (lua_Integer)effect->id);
    lua_setfield(L, -2, "id");
    lua_pushinteger(L, effect->attempts);
    lua_setfield(L, -2, "attempts");
    int64_t settle_ms = connection_options(c)->settle_ms;
    lua_pushinteger(L, doubt_left_ms(run->scope.work, effect, settle_ms));
    lua_setfield(L, -2, "settle_left_ms");
    lua_pushboolean(L, effect->job_id == run->job->info.id);
    lua_setfield(L, -2, "is_own");
    lua_pushfstring(L, EFFECT_SUBJECT_FORMAT, effect->name, effect->key, effect->connection);
    lua_setfield(L, -2, "subject");
    set_text(L, "fingerprint", effect->fingerprint);
    set_text(L, "error_kind", effect->error_kind);
    set_text(L, "error_message", effect->error_message);
    if (effect->state == EFFECT_CONFIRMED && effect->result != NULL) {
        lx_decode_json(L, bytes_of(effect->result, effect->result_size));
        lua_setfield(L, -2, "result");
    }
    if (effect->state == EFFECT_ANSWERED && effect->answer != NULL) {
        http_push_raw_answer(L, bytes_of(effect->answer, effect->answer_size));
        lua_setfield(L, -2, "answer");
    }
    effect_free(effect);
    return 1;
}

/* Raises: the run went past this effect, whose outcome nobody knows. */
static int fail_passed(lua_State *L, struct job_run *run, uint64_t id)
{
    struct effect *effect = push_effect(L);
    lx_check_rc(L, effect_peek(run->scope.work, id, effect), "reading the effect ledger");
    return luaL_error(
        L,
        "%s %s on %s has no known outcome and this run did not ask for it: was the "
        "connection, the effect or its key renamed? Under the old name it is found out",
        effect->name, effect->key, effect->connection);
}

/* The effect's id, or nil, err of a refused intent; raises for other failures. */
static int push_intended(lua_State *L, int rc, uint64_t id, const char *unless_event)
{
    if (rc == ERROR_CANCELLED) {
        return lx_fail(L, ERROR_CANCELLED, "an event \"%s\" came first: nothing was sent",
                       unless_event == NULL ? "" : unless_event);
    }
    lx_check_rc(L, rc, "writing an intent");
    lua_pushinteger(L, (lua_Integer)id);
    return 1;
}

/* effect_intend(job, spec, request) -> id | nil, err */
static int primitive_effect_intend(lua_State *L)
{
    struct job_run *run = api_job_check_wait(L, 1);
    struct effect_spec spec;
    read_spec(L, 2, &spec);
    lua_settop(L, 3);
    struct http_op *op = http_op_push(L, 1, 1);
    struct http_call *call = http_op_call(op, 0);
    http_call_read(L, 3, run, spec.connection, call);
    struct buf *bytes = lx_new_buf(L, REQUEST_MAX_BYTES);
    http_call_encode(call, bytes);
    if (bytes->has_failed) {
        return luaL_error(L, "the request is larger than %d MiB", (int)(REQUEST_MAX_BYTES >> 20));
    }
    uint64_t id = 0;
    int rc = effect_intend(run->job, &spec, buf_bytes(bytes), &id);
    if (rc == ERROR_EXISTS) {
        return fail_passed(L, run, id);
    }
    return push_intended(L, rc, id, spec.unless_event);
}

static uint64_t check_id(lua_State *L, int idx)
{
    return (uint64_t)luaL_checkinteger(L, idx);
}

/* effect_intend_again(job, id, unless_event) -> id | nil, err */
static int primitive_effect_intend_again(lua_State *L)
{
    struct job_run *run = api_job_check_wait(L, 1);
    uint64_t id = check_id(L, 2);
    const char *unless_event = luaL_optstring(L, 3, NULL);
    return push_intended(L, effect_intend_again(run->job, id, unless_event), id, unless_event);
}

static int primitive_send_k(lua_State *L, int status, lua_KContext context)
{
    struct http_op *op = (struct http_op *)context;
    struct job_run *run = api_job_check_wait(L, 1);
    (void)status;
    coroutine_wait_take(run->co);
    http_op_push_result(L, run, op, 0);
    return 2;
}

/* effect_send(job, spec, id) -> true | nil, err. The ledger has the outcome before it returns */
static int primitive_effect_send(lua_State *L)
{
    struct job_run *run = api_job_check_wait(L, 1);
    struct effect_spec spec;
    read_spec(L, 2, &spec);
    uint64_t id = check_id(L, 3);
    lua_settop(L, 3);
    struct effect *effect = push_effect(L);
    lx_check_rc(L, effect_load(run->scope.work, id, effect), "reading the effect ledger");
    struct http_op *op = http_op_push(L, 1, 1);
    struct http_call *call = http_op_call(op, 0);
    http_call_decode(L, run, spec.connection,
                     bytes_of(effect->request == NULL ? "" : effect->request, effect->request_size),
                     call);
    http_call_set_effect(call, id, spec.name, spec.class != EFFECT_DEDUPES);
    effect_free(effect);
    return http_op_wait(L, run, op, primitive_send_k);
}

/* effect_confirm(job, id, json) */
static int primitive_effect_confirm(lua_State *L)
{
    struct job_run *run = api_job_check_wait(L, 1);
    struct bytes json;
    json.data = luaL_checklstring(L, 3, &json.size);
    lx_check_rc(L, effect_confirm(run->scope.work, check_id(L, 2), json), "confirming an effect");
    return 0;
}

/* effect_refuse(job, id, kind, message) */
static int primitive_effect_refuse(lua_State *L)
{
    struct job_run *run = api_job_check_wait(L, 1);
    lx_check_rc(L,
                effect_refuse(run->scope.work, check_id(L, 2), luaL_checkstring(L, 3),
                              luaL_checkstring(L, 4)),
                "refusing an effect");
    return 0;
}

/* effect_unknown(job, id, kind, message) */
static int primitive_effect_unknown(lua_State *L)
{
    struct job_run *run = api_job_check_wait(L, 1);
    struct error err;
    int code = lx_error_code(luaL_checkstring(L, 3));
    error_set(&err, code == 0 ? ERROR_REMOTE : code, "%s", luaL_checkstring(L, 4));
    err.maybe_sent = true;
    lx_check_rc(L, effect_unknown(run->scope.work, check_id(L, 2), &err), "keeping a doubt");
    return 0;
}

/* effect_absent(job, id) */
static int primitive_effect_absent(lua_State *L)
{
    struct job_run *run = api_job_check_wait(L, 1);
    lx_check_rc(L, effect_absent(run->scope.work, check_id(L, 2)), "keeping a look-up");
    return 0;
}

void api_job_effect_install(lua_State *L)
{
    static const luaL_Reg primitives[] = {
        {"enter", primitive_enter},
        {"step_find", primitive_step_find},
        {"step_put", primitive_step_put},
        {"effect_find", primitive_effect_find},
        {"effect_intend", primitive_effect_intend},
        {"effect_intend_again", primitive_effect_intend_again},
        {"effect_send", primitive_effect_send},
        {"effect_confirm", primitive_effect_confirm},
        {"effect_refuse", primitive_effect_refuse},
        {"effect_unknown", primitive_effect_unknown},
        {"effect_absent", primitive_effect_absent},
        {NULL, NULL},
    };
    http_op_open(L);
    luaL_setfuncs(L, primitives, 0);
}
