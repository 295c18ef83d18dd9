/*
 * neap.report, and the runs that have it.
 *
 *     local report = require("neap.report")          -- only in reports
 *     local sheet = report.sheet("GBP", {{name = "order"}, {name = "gross", kind = "money"}})
 *     report.row(sheet, {"5001", "49.90"})
 *     report.say("one order")
 *     for _, entry in ipairs(report.exceptions()) do ... end
 *
 * A report that asks other systems has its page, its progress and its budget too.
 *
 * What it needs of the run lies in the registry of the state while the run lasts.
 */
#include "core/api/api_report.h"

#include <assert.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "core/api/api_modules.h"
#include "core/base/json_writer.h"
#include "core/base/xalloc.h"
#include "core/script/lx_event.h"
#include "core/work/document.h"
#include "core/work/exception.h"

#define BUDGET_US (3600LL * 1000 * 1000) /* CPU time of one report */

#define WAIT_MT     "neap.report.wait"
#define WAIT_MAX_MS 60000

static const char running_key; /* registry: the run */

struct report_run {
    const struct api_report *report;
    size_t sheet_count;
    bool is_ok;
    bool is_given; /* to a job; a second time is a turn that was lost, rows told twice */
    bool is_finished;
    struct buf *document;
};

static struct report_run *running(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &running_key);
    struct report_run *run = lua_touserdata(L, -1);
    lua_pop(L, 1);
    if (run == NULL) {
        luaL_error(L, "neap.report is for reports: neap reconcile and others run them");
    }
    return run;
}

/* ---- What is told
 * --------------------------------------------------------------------------------- */

/* Reads the list of columns at 2; their names stay in that list. Raises. */
static size_t check_columns(lua_State *L, struct api_report_column *columns)
{
    static const char *const kinds[] = {"text", "number", "money", NULL};
    luaL_checktype(L, 2, LUA_TTABLE);
    size_t count = lua_rawlen(L, 2);
    luaL_argcheck(L, count > 0 && count <= API_REPORT_COLUMNS_MAX, 2, "1 to 64 columns");
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, 2, (lua_Integer)i + 1);
        lx_check_keys(L, -1, "name", "kind", NULL);
        columns[i].name = lx_check_string_field(L, -1, "name");
        const char *kind = lx_opt_string(L, -1, "kind", kinds[0]);
        size_t k = 0;
        while (kinds[k] != NULL && strcmp(kinds[k], kind) != 0) {
            k++;
        }
        if (kinds[k] == NULL) {
            luaL_error(L, "column \"%s\": kind is text, number or money", columns[i].name);
        }
        columns[i].kind = (enum api_report_kind)k;
        lua_pop(L, 1);
    }
    return count;
}

/* sheet(name, columns [, options]) -> number */
static int report_sheet(lua_State *L)
{
    struct api_report_column columns[API_REPORT_COLUMNS_MAX];
    const char *name = luaL_checkstring(L, 1);
    size_t count = check_columns(L, columns);
    lx_check_keys(L, 3, "csv", NULL);
    bool is_in_csv = lx_opt_boolean(L, 3, "csv", true);
    struct report_run *run = running(L);
    const struct api_report_sink *sink = &run->report->sink;
    sink->sheet(sink->arg, name, columns, count, is_in_csv);
    lua_pushinteger(L, (lua_Integer)++run->sheet_count);
    return 1;
}

/* row(sheet, values): texts and integers, false for an empty cell */
static int report_row(lua_State *L)
{
    struct bytes cells[API_REPORT_COLUMNS_MAX];
    struct report_run *run = running(L);
    lua_Integer sheet = luaL_checkinteger(L, 1);
    luaL_argcheck(L, sheet >= 1 && sheet <= (lua_Integer)run->sheet_count, 1, "no such sheet");
    luaL_checktype(L, 2, LUA_TTABLE);
    size_t count = lua_rawlen(L, 2);
    luaL_argcheck(L, count <= API_REPORT_COLUMNS_MAX, 2, "at most 64 cells");
    luaL_checkstack(L, API_REPORT_COLUMNS_MAX, "cells");
    for (size_t i = 0; i < count; i++) {
        int type = lua_rawgeti(L, 2, (lua_Integer)i + 1);
        cells[i] = bytes_of("", 0);
        if (type == LUA_TSTRING || (type == LUA_TNUMBER && lua_isinteger(L, -1))) {
            cells[i].data = lua_tolstring(L, -1, &cells[i].size);
        } else if (type != LUA_TBOOLEAN || lua_toboolean(L, -1)) {
            luaL_error(L, "cell %d: a text, an integer or false expected", (int)i + 1);
        }
    }
    const struct api_report_sink *sink = &run->report->sink;
    sink->row(sink->arg, (size_t)sheet - 1, cells, count);
    return 0;
}

/* say(line) */
static int report_say(lua_State *L)
{
    const char *line = luaL_checkstring(L, 1);
    const struct api_report_sink *sink = &running(L)->report->sink;
    sink->say(sink->arg, line);
    return 0;
}

/* page(html) */
static int report_page(lua_State *L)
{
    struct bytes html;
    html.data = luaL_checklstring(L, 1, &html.size);
    const struct api_report_sink *sink = &running(L)->report->sink;
    if (sink->page != NULL) {
        sink->page(sink->arg, html);
    }
    return 0;
}

/* progress(text) */
static int report_progress(lua_State *L)
{
    const char *text = luaL_checkstring(L, 1);
    const struct api_report_sink *sink = &running(L)->report->sink;
    if (sink->progress != NULL) {
        sink->progress(sink->arg, text);
    }
    return 0;
}

/* budget() -> {calls, max_calls, failed, refused, over} */
static int report_budget(lua_State *L)
{
    struct api_report_budget budget = {0};
    const struct api_report_sink *sink = &running(L)->report->sink;
    if (sink->budget != NULL) {
        sink->budget(sink->budget_arg, &budget);
    }
    lua_createtable(L, 0, 5);
    lua_pushinteger(L, (lua_Integer)budget.calls);
    lua_setfield(L, -2, "calls");
    lua_pushinteger(L, (lua_Integer)budget.failed);
    lua_setfield(L, -2, "failed");
    lua_pushinteger(L, (lua_Integer)budget.refused);
    lua_setfield(L, -2, "refused");
    if (budget.max_calls > 0) {
        lua_pushinteger(L, (lua_Integer)budget.max_calls);
        lua_setfield(L, -2, "max_calls");
    }
    if (budget.over != NULL) {
        lua_pushstring(L, budget.over);
        lua_setfield(L, -2, "over");
    }
    return 1;
}

/* ---- Waiting
 * --------------------------------------------------------------------------------------- */

struct report_wait {
    struct loop_timer *timer; /* NULL when it is over */
    struct job_run *run;
    uint64_t ticket;
};

static int wait_close(lua_State *L)
{
    struct report_wait *wait = luaL_checkudata(L, 1, WAIT_MT);
    loop_timer_free(wait->timer);
    wait->timer = NULL;
    return 0;
}

static void wait_on_cancel(void *arg)
{
    struct report_wait *wait = arg;
    loop_timer_free(wait->timer);
    wait->timer = NULL;
}

static void wait_on_time(void *arg)
{
    struct report_wait *wait = arg;
    struct job_run *run = wait->run;
    if (coroutine_wait_done(run->co, wait->ticket)) {
        job_wake(run->job);
    }
}

static int report_wait_k(lua_State *L, int status, lua_KContext context)
{
    struct report_wait *wait = (struct report_wait *)context;
    (void)L;
    (void)status;
    coroutine_wait_take(wait->run->co);
    wait_on_cancel(wait);
    return 0;
}

/* wait(ms): volatile, not remembered by the job */
static int report_wait(lua_State *L)
{
    lua_Integer ms = luaL_checkinteger(L, 1);
    luaL_argcheck(L, ms >= 0 && ms <= WAIT_MAX_MS, 1, "0 to 60000 ms");
    struct loop *loop = running(L)->report->loop;
    if (loop == NULL) {
        return luaL_error(L, "only a report that asks other systems can wait");
    }
    struct job_run *run = lx_job(L);
    struct report_wait *wait = lua_newuserdatauv(L, sizeof(*wait), 0);
    memset(wait, 0, sizeof(*wait));
    luaL_setmetatable(L, WAIT_MT);
    wait->run = run;
    wait->ticket = coroutine_wait_begin(run->co, wait_on_cancel, wait);
    if (wait->ticket == 0) {
        return 0; /* cancelled: what is waited for next says so */
    }
    wait->timer = loop_timer_new(loop, wait_on_time, wait);
    loop_timer_start(wait->timer, ms);
    return lua_yieldk(L, 0, (lua_KContext)wait, report_wait_k);
}

/* ---- What the host remembers
 * ------------------------------------------------------------------------- */

/* The walks belong to the store, so nothing may raise inside them: collected as JSON first. */
struct collecting {
    struct json_writer w;
    struct buf *out;
};

static void write_exception(struct json_writer *w, const char *cause, const char *subject,
                            int64_t opened_ms, int64_t closed_ms)
{
    json_object_begin(w);
    json_member_str(w, "cause", cause);
    json_member_str(w, "subject", subject);
    json_member_int(w, "opened_ms", opened_ms);
    if (closed_ms > 0) {
        json_member_int(w, "closed_ms", closed_ms);
    }
    json_object_end(w);
}

static int add_open(void *arg, const struct exception *e)
{
    struct collecting *c = arg;
    write_exception(&c->w, e->cause, e->subject, e->opened_ms, 0);
    return 0;
}

static int add_closed(void *arg, const struct exception_closed *e)
{
    struct collecting *c = arg;
    write_exception(&c->w, e->cause, e->subject, e->opened_ms, e->closed_ms);
    return 0;
}

/* exceptions() -> {cause, subject, opened_ms, closed_ms|nil}[]: open ones, then closed ones */
static int report_exceptions(lua_State *L)
{
    struct work *work = running(L)->report->work;
    struct collecting c;
    c.out = lx_new_buf(L, vm_limits(vm_of(L))->memory_bytes);
    json_writer_init(&c.w, c.out);
    json_array_begin(&c.w);
    int rc = exception_each(work, NULL, add_open, &c);
    rc = rc != 0 ? rc : exception_each_closed(work, add_closed, &c);
    json_array_end(&c.w);
    lx_check_rc(L, rc, "reading the exceptions");
    lx_decode_json(L, bytes_of(buf_text(c.out), c.out->size));
    buf_free(c.out);
    return 1;
}

/* document(key, name) -> table|nil: the newest that a job of the key kept */
static int report_document(lua_State *L)
{
    const char *key = luaL_checkstring(L, 1);
    const char *name = luaL_checkstring(L, 2);
    struct buf *out = lx_new_buf(L, vm_limits(vm_of(L))->memory_bytes);
    char *content = NULL;
    size_t size = 0;
    int rc = document_newest(running(L)->report->work, key, name, &content, &size);
    if (rc == 0) {
        rc = buf_add(out, content, size);
        free(content);
    }
    if (rc == ERROR_NOT_FOUND) {
        lua_pushnil(L);
        return 1;
    }
    lx_check_rc(L, rc, "reading a document");
    lx_decode_json(L, bytes_of(buf_text(out), out->size));
    buf_free(out);
    return 1;
}

/* {NAME = VALUE}, all text. [-0, +1] */
static void push_options(lua_State *L, const char *const *options)
{
    lua_newtable(L);
    for (size_t i = 0; options[i] != NULL; i++) {
        const char *equals = strchr(options[i], '=');
        assert(equals != NULL);
        lua_pushlstring(L, options[i], (size_t)(equals - options[i]));
        lua_pushstring(L, equals + 1);
        lua_rawset(L, -3);
    }
}

/* The report's function, its options and flows. [-0, +3] */
static void push_report(lua_State *L, const struct report_run *run)
{
    vm_require_host(L, run->report->module);
    push_options(L, run->report->options);
    if (run->report->generation != NULL) {
        api_push_flows(L, run->report->generation);
    } else {
        lua_newtable(L);
    }
}

/* Keeps {ok, document} at the top. [-0, +0] */
static void keep_result(lua_State *L, struct report_run *run)
{
    if (!lua_istable(L, -1)) {
        luaL_error(L, "%s must return {ok, document}", run->report->module);
    }
    run->is_ok = lx_opt_boolean(L, -1, "ok", true);
    lua_getfield(L, -1, "document");
    lx_encode_json(L);
    size_t size;
    const char *text = lua_tolstring(L, -1, &size);
    lx_check_rc(L, buf_add(run->document, text, size), "keeping the document");
    lua_pop(L, 1);
    run->is_finished = true;
}

/* given() -> function, options, flows */
static int report_given(lua_State *L)
{
    struct report_run *run = running(L);
    if (run->is_given) {
        return luaL_error(L, "what it had read was lost on the way (no space left?): run it again");
    }
    run->is_given = true;
    push_report(L, run);
    return 3;
}

/* finish(result) */
static int report_finish(lua_State *L)
{
    lua_settop(L, 1);
    keep_result(L, running(L));
    return 0;
}

static int luaopen_neap_report(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"sheet", report_sheet},       {"row", report_row},
        {"say", report_say},           {"page", report_page},
        {"progress", report_progress}, {"budget", report_budget},
        {"wait", report_wait},         {"exceptions", report_exceptions},
        {"document", report_document}, {"given", report_given},
        {"finish", report_finish},     {NULL, NULL},
    };
    static const luaL_Reg wait_methods[] = {
        {"__gc", wait_close}, {"__close", wait_close}, {NULL, NULL}};
    lx_new_type(L, WAIT_MT, wait_methods, NULL);
    luaL_newlib(L, functions);
    return 1;
}

/* ---- The run
 * ----------------------------------------------------------------------------------------- */

void api_report_hooks_init(struct api_report_hooks *hooks_out)
{
    const struct script_hooks *common = api_hooks();
    size_t count = 0;
    while (common->modules[count].name != NULL) {
        assert(count < API_REPORT_MODULES_MAX - 2);
        hooks_out->modules[count] = common->modules[count];
        count++;
    }
    hooks_out->modules[count] = (struct vm_module){"neap.report", luaopen_neap_report};
    hooks_out->modules[count + 1] = (struct vm_module){NULL, NULL};
    hooks_out->hooks = *common;
    hooks_out->hooks.modules = hooks_out->modules;
}

static int remember_running(lua_State *L)
{
    lua_rawsetp(L, LUA_REGISTRYINDEX, &running_key);
    return 0;
}

static int run_report(lua_State *L)
{
    struct report_run *run = lua_touserdata(L, 1);
    lua_pushlightuserdata(L, run);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &running_key);
    push_report(L, run);
    lua_call(L, 2, 1);
    keep_result(L, run);
    return 0;
}

static int forget_running(lua_State *L)
{
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &running_key);
    return 0;
}

static int call(struct vm *vm, lua_CFunction fn, void *arg, struct error *err)
{
    struct vm_failure failure = {0};
    int rc = vm_call(vm, fn, arg, BUDGET_US, &failure);
    if (rc != 0) {
        *err = failure.err;
    }
    vm_failure_clear(&failure);
    return rc;
}

int api_report_run(struct vm *vm, const struct api_report *report, bool *is_ok_out,
                   struct buf *document, struct error *err)
{
    struct script_scope scope = {
        .work = report->work, .flow = report->module, .may_write = true, .is_reading = true};
    struct report_run run = {.report = report, .document = document};
    void *owner = vm_owner(vm);
    vm_set_owner(vm, &scope);
    int rc = call(vm, run_report, &run, err);
    vm_set_owner(vm, owner);
    struct error ignored;
    int rc_forget = call(vm, forget_running, NULL, &ignored);
    *is_ok_out = run.is_ok;
    return rc != 0 ? rc : rc_forget;
}

/* ---- A report that is a job
 * -------------------------------------------------------------------------------- */

struct api_report_asking {
    struct report_run run;
    struct vm *vm;
};

struct api_report_asking *api_report_begin(struct vm *vm, const struct api_report *report,
                                           struct buf *document, struct error *err)
{
    struct api_report_asking *asking = xcalloc(1, sizeof(*asking));
    asking->run.report = report;
    asking->run.document = document;
    asking->vm = vm;
    if (call(vm, remember_running, &asking->run, err) != 0) {
        free(asking);
        return NULL;
    }
    return asking;
}

bool api_report_is_finished(const struct api_report_asking *asking, bool *is_ok_out)
{
    *is_ok_out = asking->run.is_ok;
    return asking->run.is_finished;
}

void api_report_end(struct api_report_asking *asking)
{
    if (asking == NULL) {
        return;
    }
    struct error ignored;
    int rc = call(asking->vm, forget_running, NULL, &ignored);
    (void)rc; /* only when memory is out, and the state goes with its owner */
    free(asking);
}
