/*
 * neap.test, and the runs that have it.
 *
 *     local test = require("neap.test")              -- only under `neap test`
 *     local text = test.read_file("cases/orders/order-01.json")
 *     test.advance(60000)                            -- a minute passes
 *     test.replace("neap.http", fake)                -- what require("neap.http") gives from now on
 *
 * What it needs of the run lies in the registry of the state while the run lasts.
 */
#define _GNU_SOURCE
#include "core/api/api_test.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/api/api_modules.h"

#define FILE_MAX_BYTES (16u << 20)
#define BUDGET_US      (600LL * 1000 * 1000) /* of one file, in counted instructions */
#define FRAMES_SHOWN   8

static const char options_key; /* registry: the options of this run */

static const struct api_test_options *running(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &options_key);
    const struct api_test_options *options = lua_touserdata(L, -1);
    lua_pop(L, 1);
    if (options == NULL) {
        luaL_error(L, "neap.test is for tests: neap test runs them");
    }
    return options;
}

/* ---- Files
 * ---------------------------------------------------------------------------------------- */

/* 0, or an errno; path_out is then unset. Nothing outside of root is found, not even by a link. */
static int find_below(const char *root, const char *relative, char path_out[PATH_MAX])
{
    char joined[PATH_MAX];
    char real[PATH_MAX];
    if (root == NULL || realpath(root, real) == NULL) {
        return ENOENT;
    }
    if (snprintf(joined, sizeof(joined), "%s/%s", real, relative) >= (int)sizeof(joined)) {
        return ENAMETOOLONG;
    }
    if (realpath(joined, path_out) == NULL) {
        return errno;
    }
    size_t size = strlen(real);
    bool is_below =
        strncmp(path_out, real, size) == 0 && (path_out[size] == '/' || path_out[size] == '\0');
    return is_below ? 0 : EACCES;
}

/* 0, or an errno. */
static int read_whole(const char *path, struct buf *out)
{
    FILE *file = fopen(path, "rbe");
    if (file == NULL) {
        return errno;
    }
    char block[16384];
    size_t got = 0;
    int rc = 0;
    while (rc == 0 && (got = fread(block, 1, sizeof(block), file)) > 0) {
        rc = buf_add(out, block, got) == 0 ? 0 : EFBIG;
    }
    rc = rc == 0 && ferror(file) != 0 ? EIO : rc;
    fclose(file);
    return rc;
}

static int fail_errno(lua_State *L, const char *path, int sys_errno)
{
    int code = sys_errno == ENOENT || sys_errno == ENOTDIR ? ERROR_NOT_FOUND : ERROR_IO;
    return lx_fail(L, code, "%s: %s", path, strerror(sys_errno));
}

/* read_file(path) -> text | nil, err */
static int test_read_file(lua_State *L)
{
    const char *relative = luaL_checkstring(L, 1);
    char path[PATH_MAX];
    int rc = find_below(running(L)->data_folder, relative, path);
    struct buf *content = lx_new_buf(L, FILE_MAX_BYTES);
    rc = rc != 0 ? rc : read_whole(path, content);
    if (rc != 0) {
        return fail_errno(L, relative, rc);
    }
    lua_pushlstring(L, buf_text(content), content->size);
    buf_free(content);
    return 1;
}

/* list(folder) -> names, sorted | nil, err */
static int test_list(lua_State *L)
{
    const char *relative = luaL_checkstring(L, 1);
    char path[PATH_MAX];
    int rc = find_below(running(L)->data_folder, relative, path);
    struct buf *joined = lx_new_buf(L, FILE_MAX_BYTES);
    struct dirent **entries = NULL;
    int count = rc == 0 ? scandir(path, &entries, NULL, alphasort) : 0;
    rc = count < 0 ? errno : rc;
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.') {
            buf_add(joined, entries[i]->d_name, strlen(entries[i]->d_name) + 1);
        }
        free(entries[i]);
    }
    free(entries);
    if (rc != 0) {
        return fail_errno(L, relative, rc);
    }
    lua_newtable(L);
    lua_Integer at = 0;
    for (size_t i = 0; i < joined->size; i += strlen(joined->data + i) + 1) {
        lua_pushstring(L, joined->data + i);
        lua_rawseti(L, -2, ++at);
    }
    return 1;
}

/* run_file(path): what a Lua file of the client's folder returns. Raises. */
static int test_run_file(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    running(L);
    vm_run_client_file(L, path);
    return 1;
}

/* ---- The run
 * ----------------------------------------------------------------------------------------- */

/* advance(ms) */
static int test_advance(lua_State *L)
{
    lua_Integer ms = luaL_checkinteger(L, 1);
    luaL_argcheck(L, ms >= 0, 1, "time goes forward");
    clock_advance(running(L)->clock, ms);
    return 0;
}

/* replace(name, module) */
static int test_replace(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    luaL_checkany(L, 2);
    running(L);
    lua_settop(L, 2);
    vm_set_loaded(L, name);
    return 0;
}

/* settings() -> {NAME = VALUE}, all text */
static int test_settings(lua_State *L)
{
    const struct api_test_options *options = running(L);
    lua_newtable(L);
    for (size_t i = 0; options->settings != NULL && options->settings[i] != NULL; i++) {
        const char *equals = strchr(options->settings[i], '=');
        if (equals != NULL) {
            lua_pushlstring(L, options->settings[i], (size_t)(equals - options->settings[i]));
            lua_pushstring(L, equals + 1);
            lua_rawset(L, -3);
        }
    }
    return 1;
}

/* The Lua frames of what failed, without those of the runner. */
static void add_frames(lua_State *L, luaL_Buffer *text)
{
    lua_Debug ar;
    int shown = 0;
    for (int level = 1; shown < FRAMES_SHOWN && lua_getstack(L, level, &ar) != 0; level++) {
        lua_getinfo(L, "Sl", &ar);
        if (ar.currentline > 0 && strstr(ar.short_src, "scripts/lib/test.lua") == NULL &&
            strstr(ar.short_src, "scripts/lib/golden.lua") == NULL) {
            char place[LUA_IDSIZE + 32];
            snprintf(place, sizeof(place), "%s%s:%d", shown == 0 ? "\nat " : ", ", ar.short_src,
                     ar.currentline);
            luaL_addstring(text, place);
            shown++;
        }
    }
}

static int on_raised(lua_State *L)
{
    luaL_Buffer text;
    luaL_tolstring(L, 1, NULL); /* stack: raised, its text */
    luaL_buffinit(L, &text);
    lua_pushvalue(L, 2);
    luaL_addvalue(&text);
    add_frames(L, &text);
    luaL_pushresult(&text);
    return 1;
}

/* try(fn) -> true | false, message with places */
static int test_try(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    lua_pushcfunction(L, on_raised);
    lua_insert(L, 1);
    bool is_ok = lua_pcall(L, 0, 0, 1) == LUA_OK;
    lua_pushboolean(L, is_ok);
    lua_insert(L, 2);
    return is_ok ? 1 : 2;
}

/* result(is_ok, sentence, details) */
static int test_result(lua_State *L)
{
    const struct api_test_options *options = running(L);
    options->on_case(options->arg, lua_toboolean(L, 1), luaL_checkstring(L, 2),
                     luaL_optstring(L, 3, ""));
    return 0;
}

static int luaopen_neap_test(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"read_file", test_read_file},
        {"list", test_list},
        {"run_file", test_run_file},
        {"advance", test_advance},
        {"replace", test_replace},
        {"settings", test_settings},
        {"try", test_try},
        {"result", test_result},
        {NULL, NULL},
    };
    luaL_newlib(L, functions);
    return 1;
}

/* ---- Entrances
 * ------------------------------------------------------------------------------------- */

struct test_run {
    const struct api_test_options *options;
    const char *path;
    struct generation *generation;
};

static void set_running(lua_State *L, const struct api_test_options *options)
{
    lua_pushlightuserdata(L, (void *)options);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &options_key);
}

/* Pushes the chunk of the test file. Raises. [-0, +1] */
static void load_test(lua_State *L, const char *path)
{
    struct buf *content = lx_new_buf(L, FILE_MAX_BYTES);
    int rc = read_whole(path, content);
    if (rc != 0) {
        luaL_error(L, "%s: %s", path, strerror(rc));
    }
    lua_pushfstring(L, "@%s", path); /* stack: content, name */
    int status = luaL_loadbufferx(L, buf_text(content), content->size, lua_tostring(L, -1), "t");
    buf_free(content);
    if (status != LUA_OK) {
        lua_error(L);
    }
    lua_replace(L, -3);
    lua_pop(L, 1);
}

static int run_file(lua_State *L)
{
    const struct test_run *run = lua_touserdata(L, 1);
    set_running(L, run->options);
    vm_require_host(L, "lib.test");
    lua_getfield(L, -1, "run");
    load_test(L, run->path);
    lua_call(L, 0, 1); /* stack: run, lib.test, its run, what the file returned */
    if (!lua_isfunction(L, -1)) {
        return luaL_error(L, "%s: a function(t) expected as what it returns, got %s", run->path,
                          luaL_typename(L, -1));
    }
    lua_call(L, 1, 0);
    return 0;
}

/* {name -> settings} of every flow. [-0, +1] */
static void push_all_settings(lua_State *L, const struct generation *generation)
{
    const struct manifest *m = generation_manifest(generation);
    lua_newtable(L);
    for (size_t i = 0; i < m->flow_count; i++) {
        generation_push_settings(L, generation, i);
        lua_setfield(L, -2, m->flows[i].name);
    }
}

/* {owners = {cause -> owner}, schedules = {name -> {every_ms, cron}}, flows}. [-0, +1] */
static void push_surroundings(lua_State *L, const struct generation *generation, size_t flow)
{
    const struct manifest *m = generation_manifest(generation);
    lua_newtable(L);
    push_all_settings(L, generation);
    lua_setfield(L, -2, "flows");
    lua_newtable(L);
    for (size_t i = 0; i < m->owner_count; i++) {
        lua_pushstring(L, m->owners[i].owner);
        lua_setfield(L, -2, m->owners[i].cause);
    }
    lua_setfield(L, -2, "owners");
    lua_newtable(L);
    for (size_t i = 0; i < m->schedule_count; i++) {
        const struct manifest_schedule *s = &m->schedules[i];
        if (s->flow != flow) {
            continue;
        }
        lua_newtable(L);
        if (s->cron != NULL) {
            lua_pushstring(L, s->cron);
            lua_setfield(L, -2, "cron");
        } else {
            lua_pushinteger(L, s->every_ms);
            lua_setfield(L, -2, "every_ms");
        }
        lua_setfield(L, -2, s->name);
    }
    lua_setfield(L, -2, "schedules");
}

/* The flows of the manifest, each with its `client`. [-0, +1] */
static void push_flows(lua_State *L, struct generation *generation)
{
    const struct manifest *m = generation_manifest(generation);
    api_push_flows(L, generation);
    for (size_t i = 0; i < m->flow_count; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        push_surroundings(L, generation, i);
        lua_setfield(L, -2, "client");
        lua_pop(L, 1);
    }
}

static int run_golden(lua_State *L)
{
    const struct test_run *run = lua_touserdata(L, 1);
    set_running(L, run->options);
    vm_require_host(L, "lib.golden");
    lua_getfield(L, -1, "run");
    push_flows(L, run->generation);
    lua_call(L, 1, 0);
    return 0;
}

/* Enters, and takes what failed out of the failure. */
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

void api_test_hooks_init(struct api_test_hooks *hooks_out)
{
    const struct script_hooks *common = api_hooks();
    size_t count = 0;
    while (common->modules[count].name != NULL) {
        assert(count < API_TEST_MODULES_MAX - 2);
        hooks_out->modules[count] = common->modules[count];
        count++;
    }
    hooks_out->modules[count] = (struct vm_module){"neap.test", luaopen_neap_test};
    hooks_out->modules[count + 1] = (struct vm_module){NULL, NULL};
    hooks_out->hooks = *common;
    hooks_out->hooks.modules = hooks_out->modules;
}

int api_test_file(const struct api_test_options *options, const char *path, struct error *err)
{
    struct api_test_hooks hooks;
    api_test_hooks_init(&hooks);
    struct vm_options vm_options = {
        .clock = options->clock,
        .random_seed = API_TEST_SEED,
        .client_name = "test",
        .client_folder = options->client_folder,
        .more_folders = options->more_folders,
        .scripts_folder = options->scripts_folder,
        .modules = hooks.modules,
    };
    struct vm *vm = vm_new(&vm_options, err);
    if (vm == NULL) {
        return err->code;
    }
    struct test_run run = {.options = options, .path = path};
    int rc = call(vm, run_file, &run, err);
    vm_free(vm);
    return rc;
}

static int forget_running(lua_State *L)
{
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &options_key);
    return 0;
}

int api_test_golden(struct generation *generation, const struct api_test_options *options,
                    struct error *err)
{
    struct vm *vm = generation_vm(generation);
    struct test_run run = {.options = options, .generation = generation};
    int rc = call(vm, run_golden, &run, err);
    struct error ignored;
    return call(vm, forget_running, NULL, &ignored) != 0 && rc == 0 ? ERROR_SCRIPT : rc;
}

/* ---- Reports
 * ------------------------------------------------------------------------------------------ */

struct reporting {
    struct generation *generation;
    void (*on_line)(void *arg, const char *flow, const char *line);
    void *arg;
};

static void report_flow(lua_State *L, const struct reporting *r, size_t flow)
{
    const struct manifest_flow *f = &generation_manifest(r->generation)->flows[flow];
    vm_require(L, f->module);
    lua_getfield(L, -1, "report");
    if (!lua_isfunction(L, -1)) {
        return;
    }
    generation_push_settings(L, r->generation, flow);
    push_surroundings(L, r->generation, flow);
    lua_call(L, 2, 1);
    if (!lua_istable(L, -1)) {
        luaL_error(L, "flows.%s (%s): report must return a list of lines, got %s", f->name,
                   f->module, luaL_typename(L, -1));
    }
    lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, -1, i);
        r->on_line(r->arg, f->name, luaL_tolstring(L, -1, NULL));
        lua_pop(L, 2);
    }
}

static int report_all(lua_State *L)
{
    const struct reporting *r = lua_touserdata(L, 1);
    for (size_t i = 0; i < generation_manifest(r->generation)->flow_count; i++) {
        report_flow(L, r, i);
        lua_settop(L, 1);
    }
    return 0;
}

int api_flow_reports(struct generation *generation,
                     void (*on_line)(void *arg, const char *flow, const char *line), void *arg,
                     struct error *err)
{
    struct reporting reporting = {generation, on_line, arg};
    return call(generation_vm(generation), report_all, &reporting, err);
}
