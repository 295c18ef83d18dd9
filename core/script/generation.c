/*
 * Loading runs in one vm_call: the manifest, then each flow's module, its settings and its
 * self-test. What Lua keeps for the host lies in one registry table per generation: runs, handlers
 * and settings.
 */
#include "core/script/generation.h"

#include <assert.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/xalloc.h"
#include "core/script/source_place.h"
#include "core/script/vm_files.h"

#define SECRET_MAX_BYTES (64 << 10)

struct generation {
    struct vm *vm;
    struct manifest manifest;
    struct generation_options options; /* its strings are owned */
    int runs_ref;                      /* flow index + 1 -> run */
    int settings_ref;                  /* flow index + 1 -> settings */
    int handlers_ref;                  /* route index + 1 -> handle */
    const char *loading_flow;          /* whose settings are looked at, for messages; or NULL */
    bool is_loading;                   /* secret() and var() answer */
    size_t problems;                   /* told to on_problem */
    uint64_t disk_hash;
    uint64_t hash;
    struct job_run *runs;
};

/* upvalue 1: the generation. It outlives the state, a script may keep the function. */
static struct generation *loading_of(lua_State *L)
{
    struct generation *g = lua_touserdata(L, lua_upvalueindex(1));
    if (!g->is_loading) {
        luaL_error(L, "only while client.lua and the flows load");
    }
    return g;
}

/* secret(name) */
static int manifest_secret(lua_State *L)
{
    struct generation *g = loading_of(L);
    const char *name = luaL_checkstring(L, 1);
    struct buf *text = lx_new_buf(L, SECRET_MAX_BYTES);
    if (g->options.find_secret == NULL || g->options.find_secret(g->options.arg, name, text) != 0) {
        return luaL_error(L, "secret %s is not set (environment or secrets folder)", name);
    }
    log_redact(buf_text(text));
    manifest_push_secret(L, buf_bytes(text));
    memset(text->data, 0, text->size);
    return 1;
}

/* var(name [, default]) */
static int manifest_var(lua_State *L)
{
    struct generation *g = loading_of(L);
    const char *name = luaL_checkstring(L, 1);
    lua_settop(L, 2);
    struct buf *text = lx_new_buf(L, SECRET_MAX_BYTES);
    if (g->options.find_variable != NULL &&
        g->options.find_variable(g->options.arg, name, text) == 0) {
        lua_pushlstring(L, buf_text(text), text->size);
        return 1;
    }
    if (lua_isnoneornil(L, 2)) {
        return luaL_error(L, "variable %s is not set (--set %s=... or NEAP_%s) and has no default",
                          name, name, name);
    }
    lua_pushvalue(L, 2);
    return 1;
}

static void set_global(lua_State *L, const char *name, lua_CFunction fn, struct generation *g)
{
    lua_pushglobaltable(L);
    lua_pushstring(L, name);
    if (fn == NULL) {
        lua_pushnil(L);
    } else {
        lua_pushlightuserdata(L, g);
        lua_pushcclosure(L, fn, 1);
    }
    lua_rawset(L, -3); /* raw: the table is guarded */
    lua_pop(L, 1);
}

static void tell_problem(struct generation *g, const char *text)
{
    g->problems++;
    char *placed = source_place(g->options.client_folder, text);
    g->options.on_problem(g->options.arg, placed);
    free(placed);
}

/* A line of what loading a flow raised, with where it belongs: self-tests speak of "settings."
 * alone. Owned. */
static char *place_line(const struct generation *g, const char *line, size_t size)
{
    bool is_setting = strncmp(line, "settings.", strlen("settings.")) == 0;
    char *full = is_setting && g->loading_flow != NULL
                     ? xasprintf("client.lua: flows.%s.%.*s", g->loading_flow, (int)size, line)
                     : xstrndup(line, size);
    char *placed = source_place(g->options.client_folder, full);
    free(full);
    return placed;
}

/* A problem per line. */
static void tell_raised(struct generation *g, const char *text)
{
    while (text[0] != '\0') {
        size_t size = strcspn(text, "\n");
        char *line = place_line(g, text, size);
        g->problems++;
        g->options.on_problem(g->options.arg, line);
        free(line);
        text += size + (text[size] == '\n' ? 1 : 0);
    }
}

/* All lines as one, each with its place. */
static void place_message(const struct generation *g, struct error *err)
{
    struct buf joined;
    buf_init(&joined, sizeof(err->message) * 4);
    for (const char *text = err->message; text[0] != '\0';) {
        size_t size = strcspn(text, "\n");
        char *line = place_line(g, text, size);
        buf_addf(&joined, "%s%s", joined.size == 0 ? "" : "; ", line);
        free(line);
        text += size + (text[size] == '\n' ? 1 : 0);
    }
    snprintf(err->message, sizeof(err->message), "%s", buf_text(&joined));
    buf_free(&joined);
}

/* Joins the messages (a list at the top) and raises, or tells each and raises nil. */
static int raise_messages(lua_State *L, struct generation *g)
{
    luaL_Buffer text;
    int list = lua_gettop(L);
    lua_Integer count = (lua_Integer)lua_rawlen(L, list);
    for (lua_Integer i = 1; g->options.on_problem != NULL && i <= count; i++) {
        lua_rawgeti(L, list, i);
        tell_problem(g, luaL_tolstring(L, -1, NULL));
        lua_pop(L, 2);
    }
    if (g->options.on_problem != NULL) {
        lua_pushnil(L);
        return lua_error(L);
    }
    luaL_buffinit(L, &text);
    for (lua_Integer i = 1; i <= count; i++) {
        luaL_addstring(&text, i == 1 ? "" : "; ");
        lua_rawgeti(L, list, i);
        luaL_addvalue(&text);
    }
    luaL_pushresult(&text);
    return lua_error(L);
}

/* Replaces the settings at the top by what the flow's schema makes of them. stack: flow, settings
 */
static void check_settings(lua_State *L, struct generation *g, const char *name)
{
    lua_getfield(L, -2, "schema");
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return;
    }
    vm_require_host(L, "lib.schema"); /* stack: flow, settings, schema, module */
    lua_getfield(L, -1, "check");
    lua_pushvalue(L, -3);
    lua_pushvalue(L, -5);
    lua_pushfstring(L, "client.lua: flows.%s.settings", name);
    lua_call(L, 3, 2);
    if (!lua_toboolean(L, -2)) {
        raise_messages(L, g);
    }
    lua_pop(L, 2);
    lua_getfield(L, -1, "with_defaults");
    if (lua_isfunction(L, -1)) {
        lua_pushvalue(L, -3);
        lua_pushvalue(L, -5);
        lua_call(L, 2, 1);
        lua_replace(L, -4);
        lua_pop(L, 2);
    } else {
        lua_pop(L, 3);
    }
}

static void run_selftest(lua_State *L)
{
    lua_getfield(L, -2, "selftest"); /* stack: flow, settings, selftest */
    if (lua_isfunction(L, -1)) {
        lua_pushvalue(L, -2);
        lua_call(L, 1, 0);
    } else {
        lua_pop(L, 1);
    }
}

/* stack: manifest, runs, settings, handlers */
static void load_flow(lua_State *L, struct generation *g, size_t i)
{
    const struct manifest_flow *f = &g->manifest.flows[i];
    g->loading_flow = f->name;
    luaL_checkstack(L, 16, "flow");
    vm_require(L, f->module); /* 5 */
    manifest_read_flow(L, &g->manifest, i, 4);
    lua_getfield(L, 1, "flows");
    lua_getfield(L, -1, f->name);
    lua_getfield(L, -1, "settings");
    lua_insert(L, -3);
    lua_pop(L, 2); /* stack: ..., flow, settings */
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_newtable(L);
    }
    check_settings(L, g, f->name);
    run_selftest(L);
    lua_rawseti(L, 3, (lua_Integer)i + 1);
    lua_getfield(L, -1, "run");
    lua_rawseti(L, 2, (lua_Integer)i + 1);
    lua_settop(L, 4);
}

/* As load_flow, telling what it raises. stack: generation, flow, the four tables of load_flow */
static int load_flow_alone(lua_State *L)
{
    struct generation *g = lua_touserdata(L, 1);
    size_t i = (size_t)lua_tointeger(L, 2);
    lua_remove(L, 1);
    lua_remove(L, 1);
    load_flow(L, g, i);
    return 0;
}

static void check_flow(lua_State *L, struct generation *g, size_t i)
{
    lua_pushcfunction(L, load_flow_alone);
    lua_pushlightuserdata(L, g);
    lua_pushinteger(L, (lua_Integer)i);
    for (int table = 1; table <= 4; table++) {
        lua_pushvalue(L, table);
    }
    if (lua_pcall(L, 6, 0, 0) != LUA_OK && !lua_isnil(L, -1)) {
        tell_raised(g, luaL_tolstring(L, -1, NULL));
    }
    lua_settop(L, 4);
}

static int load_all(lua_State *L)
{
    struct generation *g = lua_touserdata(L, 1);
    lua_settop(L, 0);
    /* Nearly all that loading makes stays, so collecting meanwhile is in vain (a tenth of the
     * time). At the cap on memory Lua collects all the same. A state that fails is closed. */
    lua_gc(L, LUA_GCSTOP);
    set_global(L, "secret", manifest_secret, g);
    set_global(L, "var", manifest_var, g);
    vm_run_client_file(L, "client.lua"); /* 1 */
    if (g->options.overlay != NULL) {
        vm_require_host(L, g->options.overlay);
        lua_insert(L, 1);
        lua_call(L, 1, 1);
    }
    manifest_read(L, &g->manifest);
    lua_newtable(L); /* 2: runs, 3: settings, 4: handlers */
    lua_newtable(L);
    lua_newtable(L);
    for (size_t i = 0; i < g->manifest.flow_count; i++) {
        if (g->options.on_problem == NULL) {
            load_flow(L, g, i);
        } else {
            check_flow(L, g, i);
        }
    }
    if (g->problems > 0) {
        luaL_error(L, "%d problems", (int)g->problems);
    }
    g->loading_flow = NULL;
    g->handlers_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    g->settings_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    g->runs_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    set_global(L, "secret", NULL, g);
    set_global(L, "var", NULL, g);
    if (g->options.hooks != NULL) {
        /* The first job would load it, from a file of another day. */
        vm_require_host(L, "lib.job");
    }
    lua_gc(L, LUA_GCRESTART);
    return 0;
}

/* What holds from the moment it is loaded. */
static void settle(struct generation *g)
{
    if (g->options.overlay != NULL) {
        g->manifest.schedule_count = 0;
    } else {
        struct vm_limits lower = {.memory_bytes = (size_t)g->manifest.memory_mb << 20,
                                  .job_us = g->manifest.run_ms * 1000};
        vm_lower_limits(g->vm, &lower);
    }
    vm_keep_files(g->vm);
    /* Over what is on disk too: a script that is only required later is part of the scripts. */
    g->hash = vm_files_hash(g->vm) * 31 + g->disk_hash;
}

static char *copy_text(const char *text)
{
    return text == NULL ? NULL : xstrdup(text);
}

int generation_load(struct generation **generation_out, const struct generation_options *options,
                    struct error *err)
{
    *generation_out = NULL;
    struct generation *g = xcalloc(1, sizeof(*g));
    g->options = *options;
    g->options.client_folder = copy_text(options->client_folder);
    g->options.scripts_folder = copy_text(options->scripts_folder);
    g->manifest.folder = g->options.client_folder;
    /* Before reading: a change while the scripts load is then seen as a change afterwards. */
    g->disk_hash = generation_scan(g);
    struct vm_options vm_options = {
        .clock = options->clock,
        .random_seed = options->random_seed,
        .client_folder = options->client_folder,
        .scripts_folder = options->scripts_folder,
        .modules = options->hooks == NULL ? NULL : options->hooks->modules,
        .watchdog = options->watchdog,
        .limits = options->limits,
    };
    g->vm = vm_new(&vm_options, err);
    int rc = g->vm == NULL ? ERROR_LIMIT : 0;
    if (rc == 0) {
        struct vm_failure failure = {0};
        g->is_loading = true;
        rc = vm_call(g->vm, load_all, g, 0, &failure);
        g->is_loading = false;
        if (rc != 0 && err != NULL) {
            *err = failure.err;
            place_message(g, err);
        }
        vm_failure_clear(&failure);
    }
    if (rc != 0) {
        generation_free(g);
        return rc;
    }
    settle(g);
    *generation_out = g;
    return 0;
}

void generation_free(struct generation *g)
{
    if (g == NULL) {
        return;
    }
    assert(g->runs == NULL);
    vm_free(g->vm);
    manifest_free(&g->manifest);
    free((char *)g->options.client_folder);
    free((char *)g->options.scripts_folder);
    free(g);
}

const struct manifest *generation_manifest(const struct generation *g)
{
    return &g->manifest;
}

struct vm *generation_vm(const struct generation *g)
{
    return g->vm;
}

uint64_t generation_hash(const struct generation *g)
{
    return g->hash == 0 ? 1 : g->hash;
}

uint64_t generation_scan(const struct generation *g)
{
    return vm_files_scan(g->options.client_folder) * 31 + vm_files_scan(g->options.scripts_folder);
}

uint64_t generation_disk_hash(const struct generation *g)
{
    return g->disk_hash;
}

static void push_part(lua_State *L, int ref, size_t i)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
    lua_rawgeti(L, -1, (lua_Integer)i + 1);
    lua_remove(L, -2);
}

void generation_push_run(lua_State *L, const struct generation *g, size_t flow)
{
    push_part(L, g->runs_ref, flow);
}

void generation_push_handler(lua_State *L, const struct generation *g, size_t route)
{
    push_part(L, g->handlers_ref, route);
}

void generation_push_settings(lua_State *L, const struct generation *g, size_t flow)
{
    push_part(L, g->settings_ref, flow);
}

struct job_run *generation_runs(const struct generation *g)
{
    return g->runs;
}

void generation_add_run(struct generation *g, struct job_run *run)
{
    run->next = g->runs;
    g->runs = run;
}

void generation_remove_run(struct generation *g, struct job_run *run)
{
    struct job_run **link = &g->runs;
    while (*link != run) {
        assert(*link != NULL);
        link = &(*link)->next;
    }
    *link = run->next;
}

const struct script_hooks *generation_hooks(const struct generation *g)
{
    return g->options.hooks;
}
