/*
 * The job object that a flow's run(job) receives; scripts/meta/job.lua describes it.
 *
 *     local order = errors.check(job:step("fetch", function() return scayle.get_order(id) end))
 *     job:facts{title = "SCAYLE order " .. id}
 *
 * What needs no Lua of its own is here. step and effect are written in scripts/lib/job.lua, which
 * is loaded from the host's scripts only, over the primitives of api_job_effect.c.
 */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "core/api/api_job_private.h"
#include "core/api/api_modules.h"
#include "core/base/json_writer.h"
#include "core/script/lx_event.h"
#include "core/script/runner.h"
#include "core/work/document.h"
#include "core/work/dossier.h"
#include "core/work/exception.h"
#include "core/work/inbox.h"

#define JOB_MT         "neap.job"
#define EVENT_VALUE    1 /* user values: the event table, once it was asked for */
#define NAMES_VALUE    2 /* and the names used in this run */
#define LIST_MAX_BYTES ((size_t)16 << 20)

/* Registry: the table of methods, made once per state. */
static const char methods_key;

static struct job_run **check_box(lua_State *L, int idx)
{
    return luaL_checkudata(L, idx, JOB_MT);
}

struct job_run *api_job_check(lua_State *L, int idx)
{
    struct job_run *run = *check_box(L, idx);
    if (run == NULL || run != lx_job_now(L)) {
        luaL_error(L, "call this from the flow's own coroutine: this job object is another's");
    }
    return run;
}

struct job_run *api_job_check_wait(lua_State *L, int idx)
{
    struct job_run *run = api_job_check(L, idx);
    lx_job(L);
    return run;
}

/* ---- Events -------------------------------------------------------------------------------------
 */

/* Owns a record while Lua may raise. */
static int record_gc(lua_State *L)
{
    struct event_record *record = lua_touserdata(L, 1);
    event_record_free(record);
    return 0;
}

static struct event_record *push_record(lua_State *L)
{
    static const luaL_Reg metamethods[] = {{"__gc", record_gc}, {NULL, NULL}};
    lx_new_type(L, "neap.job.record", metamethods, NULL);
    struct event_record *record = lua_newuserdatauv(L, sizeof(*record), 0);
    memset(record, 0, sizeof(*record));
    luaL_setmetatable(L, "neap.job.record");
    return record;
}

/* Pushes the event table of a filled record below it, and takes the record off. [-1, +1] */
static void finish_record(lua_State *L, struct event_record *record)
{
    lx_push_event(L, record);
    event_record_free(record);
    memset(record, 0, sizeof(*record));
    lua_remove(L, -2);
}

static void push_own_event(lua_State *L, int idx, struct job_run *run)
{
    if (lua_getiuservalue(L, idx, EVENT_VALUE) != LUA_TNIL) {
        return;
    }
    lua_pop(L, 1);
    struct event_record *record = push_record(L);
    lx_check_rc(L, job_event(run->job, record), "reading the job's event");
    finish_record(L, record);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, idx, EVENT_VALUE);
}

/* job:overtaken(name) -> event | nil */
static int job_overtaken_event(lua_State *L)
{
    struct job_run *run = api_job_check(L, 1);
    const char *name = lx_check_name(L, 2);
    struct event_record *record = push_record(L);
    int rc = job_overtaken(run->job, name, record);
    if (rc == ERROR_NOT_FOUND) {
        lua_pushnil(L);
        return 1;
    }
    lx_check_rc(L, rc, "reading overtaking events");
    finish_record(L, record);
    return 1;
}

/* job:emit(event) -> is_new */
static int job_emit_event(lua_State *L)
{
    struct job_run *run = api_job_check(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    struct event_new event;
    struct error err;
    bool is_new = false;
    error_clear(&err);
    lx_read_event(L, 2, generation_manifest(run->generation), run->flow->name, &event);
    if (job_emit(run->job, &event, &is_new, &err) != 0) {
        return lx_raise(L, &err);
    }
    lua_pushboolean(L, is_new);
    return 1;
}

/* job:answer(reply) -> false when it was answered already */
static int job_answer_event(lua_State *L)
{
    struct job_run *run = api_job_check(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    lx_check_keys(L, 2, "status", "headers", "body", NULL);
    struct event_answer answer;
    lx_read_answer(L, 2, &answer);
    int rc = job_answer(run->job, &answer);
    if (rc != ERROR_EXISTS) {
        lx_check_rc(L, rc, "answering the event");
    }
    lua_pushboolean(L, rc == 0);
    return 1;
}

/* ---- Durable waits ------------------------------------------------------------------------------
 */

/* Whether the wait of this name is over. Claims the name. */
static bool is_wait_over(lua_State *L, struct job_run *run, const char *kind, const char *name,
                         struct job_wait *wait)
{
    job_run_claim(L, 1, kind, name);
    lx_check_rc(L, job_wait_find(run->job, name, wait), "reading the job's waits");
    return wait->state == JOB_WAIT_DONE;
}

/* job:sleep(name, ms) */
static int job_sleep(lua_State *L)
{
    struct job_run *run = api_job_check_wait(L, 1);
    const char *name = lx_check_name(L, 2);
    lua_Integer delay_ms = luaL_checkinteger(L, 3);
    luaL_argcheck(L, delay_ms >= 0, 3, "milliseconds expected");
    struct job_wait wait;
    if (is_wait_over(L, run, "sleep", name, &wait)) {
        return 0;
    }
    lx_check_rc(L, job_request_sleep(run->job, name, delay_ms), "sleeping");
    return job_run_unwind(L, run);
}

/* The list at idx as a NULL-terminated array in a userdata that is pushed. */
static const char *const *push_names(lua_State *L, int idx)
{
    size_t count = lua_rawlen(L, idx);
    if (count == 0 || count > JOB_WAIT_EVENTS_MAX) {
        luaL_error(L, "option \"events\": 1 to %d names expected", JOB_WAIT_EVENTS_MAX);
    }
    const char **names = lua_newuserdatauv(L, (count + 1) * sizeof(*names), 0);
    for (size_t i = 0; i < count; i++) {
        if (lua_rawgeti(L, idx, (lua_Integer)i + 1) != LUA_TSTRING) {
            luaL_error(L, "option \"events\": a list of strings expected");
        }
        names[i] = lx_check_name_item(L, "events");
        lua_pop(L, 1);
    }
    names[count] = NULL;
    return names;
}

/* job:await{name=, events=, until_ms=} -> event | nil */
static int job_await(lua_State *L)
{
    struct job_run *run = api_job_check_wait(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    lx_check_keys(L, 2, "name", "events", "until_ms", NULL);
    const char *name = lx_check_name_field(L, 2, "name");
    lua_Integer until_ms = lx_opt_integer(L, 2, "until_ms", 0, 0);
    lua_getfield(L, 2, "events");
    luaL_argexpected(L, lua_istable(L, -1), 2, "list of event names");
    const char *const *names = push_names(L, lua_gettop(L));
    struct job_wait wait;
    if (is_wait_over(L, run, "await", name, &wait)) {
        if (wait.event_seq == 0) {
            lua_pushnil(L);
            return 1;
        }
        struct event_record *record = push_record(L);
        lx_check_rc(L, event_load(run->scope.work, wait.event_seq, record), "reading an event");
        finish_record(L, record);
        return 1;
    }
    lx_check_rc(L, job_request_await(run->job, name, names, until_ms), "waiting for an event");
    return job_run_unwind(L, run);
}

/* The cause at idx; texts borrowed from it. */
static void read_cause(lua_State *L, int idx, struct exception_cause *cause)
{
    luaL_checktype(L, idx, LUA_TTABLE);
    lx_check_keys(L, idx, "cause", "subject", "message", "remedy", "recheck", NULL);
    memset(cause, 0, sizeof(*cause));
    cause->cause = lx_check_name_field(L, idx, "cause");
    cause->subject = lx_opt_name_field(L, idx, "subject", NULL);
    cause->message = lx_check_string_field(L, idx, "message");
    cause->remedy = lx_opt_string(L, idx, "remedy", NULL);
    const char *recheck = lx_opt_string(L, idx, "recheck", "manual");
    if (!exception_recheck_from_name(recheck, &cause->recheck)) {
        luaL_error(L,
                   "option \"recheck\": \"proof\", \"reload\" or \"manual\" expected, got \"%s\"",
                   recheck);
    }
}

/* job:hold(causes): does not return */
static int job_hold(lua_State *L)
{
    struct job_run *run = api_job_check_wait(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    size_t count = lua_rawlen(L, 2);
    luaL_argcheck(L, count > 0 && count <= EXCEPTION_CAUSES_MAX, 2, "a list of causes expected");
    struct exception_cause *causes = lua_newuserdatauv(L, count * sizeof(*causes), 0);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, 2, (lua_Integer)i + 1);
        read_cause(L, 4, &causes[i]);
        lua_pop(L, 1); /* the list keeps it */
    }
    lx_check_rc(L, job_request_hold(run->job, causes, count), "holding the job");
    return job_run_unwind(L, run);
}

/* ---- What is known about the key ----------------------------------------------------------------
 */

/* job:alias(name) */
static int job_alias(lua_State *L)
{
    struct job_run *run = api_job_check(L, 1);
    const char *name = lx_check_name(L, 2);
    int rc = inbox_alias(run->scope.work, run->job->info.key, name);
    if (rc == ERROR_EXISTS) {
        struct error err;
        error_set(&err, rc, "the alias %s belongs to another key already", name);
        return lx_raise(L, &err);
    }
    lx_check_rc(L, rc, "keeping an alias");
    return 0;
}

/* job:link(system, id) */
static int job_link(lua_State *L)
{
    struct job_run *run = api_job_check(L, 1);
    const char *system = lx_check_name(L, 2);
    const char *id = lx_check_name(L, 3);
    lx_check_rc(L, dossier_put_link(run->scope.work, run->job->info.key, system, id),
                "keeping a link");
    return 0;
}

static int collect_link(void *arg, const char *system, const char *id)
{
    struct json_writer *w = arg;
    json_member_str(w, system, id);
    return 0;
}

/* job:links() -> table */
static int job_links(lua_State *L)
{
    struct job_run *run = api_job_check(L, 1);
    struct buf *text = lx_new_buf(L, LIST_MAX_BYTES);
    struct json_writer w;
    json_writer_init(&w, text);
    json_object_begin(&w);
    int rc = dossier_each_link(run->scope.work, run->job->info.key, collect_link, &w);
    json_object_end(&w);
    lx_check_rc(L, rc, "reading links");
    lx_decode_json(L, buf_bytes(text));
    return 1;
}

/* The earliest of facts.deadlines at idx; 0 = none. */
static int64_t earliest_deadline(lua_State *L, int idx)
{
    int64_t earliest = 0;
    if (lua_getfield(L, idx, "deadlines") == LUA_TNIL) {
        lua_pop(L, 1);
        return 0;
    }
    luaL_checktype(L, -1, LUA_TTABLE);
    lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, -1, i);
        luaL_checktype(L, -1, LUA_TTABLE);
        lx_check_keys(L, -1, "name", "at_ms", NULL);
        lx_check_string_field(L, -1, "name");
        int64_t at_ms = lx_opt_integer(L, -1, "at_ms", 0, 0);
        if (at_ms != 0 && (earliest == 0 || at_ms < earliest)) {
            earliest = at_ms;
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return earliest;
}

/* Replaces the new facts at 2 by the old ones with the new fields set. */
static void merge_facts(lua_State *L, struct job_run *run)
{
    static const char *const fields[] = {"title", "amount", "deadlines", "state"};
    struct dossier_facts old;
    memset(&old, 0, sizeof(old));
    int rc = dossier_get_facts(run->scope.work, run->job->info.key, &old);
    if (rc == ERROR_NOT_FOUND) {
        return;
    }
    lx_check_rc(L, rc, "reading facts");
    struct buf *json = lx_new_buf(L, LIST_MAX_BYTES);
    buf_add_str(json, old.json == NULL || old.json[0] == '\0' ? "{}" : old.json);
    dossier_facts_free(&old);
    lx_decode_json(L, buf_bytes(json)); /* stack: ..., json, merged */
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (lua_getfield(L, 2, fields[i]) == LUA_TNIL) {
            lua_pop(L, 1);
        } else {
            lua_setfield(L, -2, fields[i]);
        }
    }
    lua_replace(L, 2);
    lua_settop(L, 2);
}

/* job:facts{title=, amount={minor=, currency=}, deadlines={{name=, at_ms=}}, state=} */
static int job_facts(lua_State *L)
{
    struct job_run *run = api_job_check(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    lx_check_keys(L, 2, "title", "amount", "deadlines", "state", NULL);
    merge_facts(L, run);
    struct dossier_facts facts;
    memset(&facts, 0, sizeof(facts));
    facts.title = (char *)lx_opt_string(L, 2, "title", NULL);
    facts.state = (char *)lx_opt_string(L, 2, "state", NULL);
    facts.deadline_ms = earliest_deadline(L, 2);
    if (lua_getfield(L, 2, "amount") != LUA_TNIL) {
        luaL_checktype(L, -1, LUA_TTABLE);
        lx_check_keys(L, -1, "minor", "currency", NULL);
        facts.amount_minor = lx_opt_integer(L, -1, "minor", 0, LUA_MININTEGER);
        facts.currency = (char *)lx_check_string_field(L, -1, "currency");
    }
    lua_pushvalue(L, 2);
    lx_encode_json(L);
    facts.json = (char *)lua_tostring(L, -1);
    lx_check_rc(L, dossier_put_facts(run->scope.work, run->job->info.key, &facts), "keeping facts");
    return 0;
}

/* job:note(kind, text [, data]) */
static int job_note_line(lua_State *L)
{
    struct job_run *run = api_job_check(L, 1);
    const char *kind = luaL_checkstring(L, 2);
    const char *text = luaL_checkstring(L, 3);
    const char *data = NULL;
    lua_settop(L, 4);
    if (!lua_isnil(L, 4)) {
        luaL_checktype(L, 4, LUA_TTABLE);
        lx_encode_json(L);
        data = lua_tostring(L, 4);
    }
    job_note(run->job, kind, text, data);
    return 0;
}

/* job:trail{lines=, data=} */
static int job_trail(lua_State *L)
{
    struct job_run *run = api_job_check(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    lx_check_keys(L, 2, "lines", "data", NULL);
    if (lua_getfield(L, 2, "lines") != LUA_TTABLE) {
        return luaL_error(L, "option \"lines\": a list of strings expected");
    }
    lua_settop(L, 2);
    lx_encode_json(L);
    struct bytes json;
    json.data = lua_tolstring(L, 2, &json.size);
    lx_check_rc(L, dossier_put_trail(run->scope.work, run->job->info.key, json),
                "keeping the trail");
    return 0;
}

/* job:keep(name, document) */
static int job_keep(lua_State *L)
{
    struct job_run *run = api_job_check(L, 1);
    const char *name = luaL_checkstring(L, 2);
    luaL_checktype(L, 3, LUA_TTABLE);
    luaL_argcheck(L, strlen(name) <= DOCUMENT_NAME_MAX, 2, "at most 200 bytes");
    lua_settop(L, 3);
    lx_encode_json(L);
    struct bytes json;
    json.data = lua_tolstring(L, 3, &json.size);
    lx_check_rc(L, document_put(run->scope.work, run->job->info.id, name, json),
                "keeping a document");
    return 0;
}

/* ---- Exceptions ---------------------------------------------------------------------------------
 */

/* job:open_exception(cause) */
static int job_open_exception(lua_State *L)
{
    struct job_run *run = api_job_check(L, 1);
    struct exception_cause cause;
    lua_settop(L, 2);
    read_cause(L, 2, &cause);
    lx_check_rc(L, exception_open_by(run->scope.work, run->scope.flow, &cause),
                "opening an exception");
    return 0;
}

static void write_exception(struct json_writer *w, const struct exception *e)
{
    json_member_str(w, "cause", e->cause);
    json_member_str(w, "subject", e->subject);
    json_member_str(w, "message", e->message);
    json_member_str(w, "remedy", e->remedy);
    json_member_str(w, "owner", e->owner);
    json_member_int(w, "waiting", (int64_t)e->waiting);
    json_member_int(w, "opened_ms", e->opened_ms);
}

static int collect_exception(void *arg, const struct exception *e)
{
    struct json_writer *w = arg;
    json_object_begin(w);
    write_exception(w, e);
    json_object_end(w);
    return 0;
}

/* job:exceptions([cause]) -> list */
static int job_exceptions(lua_State *L)
{
    struct job_run *run = api_job_check(L, 1);
    const char *cause = lua_isnoneornil(L, 2) ? NULL : lx_check_name(L, 2);
    struct buf *text = lx_new_buf(L, LIST_MAX_BYTES);
    struct json_writer w;
    json_writer_init(&w, text);
    json_array_begin(&w);
    int rc = exception_each(run->scope.work, cause, collect_exception, &w);
    json_array_end(&w);
    lx_check_rc(L, text->has_failed ? ERROR_LIMIT : rc, "reading exceptions");
    lx_decode_json(L, buf_bytes(text));
    return 1;
}

static void write_stake(struct json_writer *w, const struct exception_stake *stake)
{
    if (stake->currency[0] != '\0') {
        json_key(w, "amount");
        json_object_begin(w);
        json_member_int(w, "minor", stake->minor);
        json_member_str(w, "currency", stake->currency);
        json_object_end(w);
    }
    json_member_int(w, "other_currency", (int64_t)stake->other_currency);
    if (stake->deadline_ms != 0) {
        json_member_int(w, "deadline_ms", stake->deadline_ms);
    }
}

/* job:exception(cause, subject) -> exception with what is at stake | nil */
static int job_exception(lua_State *L)
{
    struct job_run *run = api_job_check(L, 1);
    const char *cause = luaL_checkstring(L, 2);
    const char *subject = luaL_checkstring(L, 3);
    struct buf *text = lx_new_buf(L, LIST_MAX_BYTES);
    struct exception e;
    int rc = exception_load(run->scope.work, cause, subject, &e);
    if (rc == ERROR_NOT_FOUND) {
        lua_pushnil(L);
        return 1;
    }
    lx_check_rc(L, rc, "reading an exception");
    struct exception_stake stake;
    exception_stake(run->scope.work, cause, subject, &stake);
    struct json_writer w;
    json_writer_init(&w, text);
    json_object_begin(&w);
    write_exception(&w, &e);
    write_stake(&w, &stake);
    json_object_end(&w);
    exception_free(&e);
    lx_check_rc(L, text->has_failed ? ERROR_LIMIT : 0, "reading an exception");
    lx_decode_json(L, buf_bytes(text));
    return 1;
}

/* job:close_exception(cause, subject, note) -> was_open */
static int job_close_exception(lua_State *L)
{
    struct job_run *run = api_job_check(L, 1);
    const char *cause = lx_check_name(L, 2);
    const char *subject = lx_check_name(L, 3);
    struct exception_closing closing = {CLOSED_BY_PROOF, NULL, luaL_checkstring(L, 4)};
    int rc = exception_close(run->scope.work, cause, subject, &closing);
    if (rc != ERROR_NOT_FOUND) {
        lx_check_rc(L, rc, "closing an exception");
    }
    lua_pushboolean(L, rc == 0);
    return 1;
}

/* ---- The object ---------------------------------------------------------------------------------
 */

/* Pushes the plain field of this name; false (nothing pushed) when there is none. */
static bool push_field(lua_State *L, struct job_run *run, const char *name)
{
    const struct job_info *info = &run->job->info;
    if (strcmp(name, "id") == 0) {
        lua_pushfstring(L, "%I", (LUAI_UACINT)info->id);
    } else if (strcmp(name, "key") == 0) {
        lua_pushstring(L, info->key);
    } else if (strcmp(name, "flow") == 0) {
        lua_pushstring(L, info->flow);
    } else if (strcmp(name, "client") == 0) {
        lua_pushstring(L, runner_client(run->scope.runner));
    } else if (strcmp(name, "attempt") == 0) {
        lua_pushinteger(L, info->attempt);
    } else if (strcmp(name, "live_from_ms") == 0) {
        lua_pushinteger(L, generation_manifest(run->generation)->live_from_ms);
    } else if (strcmp(name, "settings") == 0) {
        const struct manifest *m = generation_manifest(run->generation);
        generation_push_settings(L, run->generation, (size_t)(run->flow - m->flows));
    } else if (strcmp(name, "event") == 0) {
        push_own_event(L, 1, run);
    } else {
        return false;
    }
    return true;
}

static int job_index(lua_State *L)
{
    struct job_run *run = *check_box(L, 1);
    const char *name = lx_check_name(L, 2);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &methods_key);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) != LUA_TNIL) {
        return 1;
    }
    lua_settop(L, 2);
    if (run == NULL) {
        return luaL_error(L, "this job is over");
    }
    if (!push_field(L, run, name)) {
        return luaL_error(L, "a job has no field '%s'", name);
    }
    return 1;
}

static int job_newindex(lua_State *L)
{
    return luaL_error(L, "a job cannot be changed (field '%s')", luaL_tolstring(L, 2, NULL));
}

static int job_tostring(lua_State *L)
{
    struct job_run *run = *check_box(L, 1);
    if (run == NULL) {
        lua_pushliteral(L, "job (over)");
    } else {
        lua_pushfstring(L, "job %I (%s)", (LUAI_UACINT)run->job->info.id, run->job->info.key);
    }
    return 1;
}

static int job_gc(lua_State *L)
{
    struct job_run **box = check_box(L, 1);
    if (*box != NULL) {
        (*box)->object = NULL;
        *box = NULL;
    }
    return 0;
}

/* Makes the type and the methods, those of scripts/lib/job.lua among them. */
static void make_type(lua_State *L)
{
    static const luaL_Reg metamethods[] = {
        {"__index", job_index},
        {"__newindex", job_newindex},
        {"__tostring", job_tostring},
        {"__gc", job_gc},
        {NULL, NULL},
    };
    static const luaL_Reg methods[] = {
        {"overtaken", job_overtaken_event},
        {"emit", job_emit_event},
        {"answer", job_answer_event},
        {"sleep", job_sleep},
        {"await", job_await},
        {"hold", job_hold},
        {"alias", job_alias},
        {"link", job_link},
        {"links", job_links},
        {"facts", job_facts},
        {"note", job_note_line},
        {"trail", job_trail},
        {"keep", job_keep},
        {"open_exception", job_open_exception},
        {"exceptions", job_exceptions},
        {"exception", job_exception},
        {"close_exception", job_close_exception},
        {NULL, NULL},
    };
    lx_new_type(L, JOB_MT, metamethods, NULL);
    luaL_newlib(L, methods); /* stack: methods */
    vm_require_host(L, "lib.job");
    lua_pushvalue(L, -2);
    lua_newtable(L);
    api_job_effect_install(L);
    lua_call(L, 2, 0); /* the driver adds its methods to the table */
    lua_rawsetp(L, LUA_REGISTRYINDEX, &methods_key);
}

void api_job_push(lua_State *L, struct job_run *run)
{
    luaL_checkstack(L, 8, "job");
    bool is_made = lua_rawgetp(L, LUA_REGISTRYINDEX, &methods_key) != LUA_TNIL;
    lua_pop(L, 1);
    if (!is_made) {
        make_type(L);
    }
    struct job_run **box = lua_newuserdatauv(L, sizeof(struct job_run *), 2);
    *box = NULL;
    luaL_setmetatable(L, JOB_MT);
    lua_newtable(L);
    lua_setiuservalue(L, -2, NAMES_VALUE);
    *box = run;
    run->object = (void **)box;
}
