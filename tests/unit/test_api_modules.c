/* What scripts can require is what the stubs in scripts/meta describe, in both directions. */
#include <dirent.h>
#include <lauxlib.h>

#include "core/api/api_report.h"
#include "core/api/api_test.h"
#include "tests/support/script_world.h"

#define STUB_MAX ((size_t)256 << 10)

static void read_stub(const char *name, struct buf *out)
{
    char *path = xasprintf("scripts/meta/%s.lua", name);
    FILE *file = fopen(path, "r");
    buf_init(out, STUB_MAX);
    if (file == NULL) {
        printf("# there is no %s\n", path);
        CHECK(file != NULL);
        free(path);
        return;
    }
    char block[4096];
    size_t got;
    while ((got = fread(block, 1, sizeof(block), file)) > 0) {
        buf_add(out, block, got);
    }
    fclose(file);
    free(path);
}

/* The stub describes this field: "function http.request(" or "---@field null ". */
static bool describes(const struct buf *text, const char *table, const char *field)
{
    char *forms[] = {xasprintf("\nfunction %s.%s(", table, field),
                     xasprintf("\nfunction %s:%s(", table, field),
                     xasprintf("\n---@field %s ", field)};
    bool found = false;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        found |= strstr(buf_text(text), forms[i]) != NULL;
        free(forms[i]);
    }
    return found;
}

/* Calls fn for each "function <table>.<field>(" and "function <table>:<field>(" of the stub. */
static void each_described(const struct buf *text, const char *table,
                           void (*fn)(void *arg, const char *field), void *arg)
{
    char *start = xasprintf("\nfunction %s", table);
    const char *at = buf_text(text);
    while ((at = strstr(at, start)) != NULL) {
        at += strlen(start);
        if (*at == '.' || *at == ':') {
            size_t size = strcspn(at + 1, "(");
            char field[64];
            snprintf(field, sizeof(field), "%.*s", (int)size, at + 1);
            fn(arg, field);
        }
    }
    free(start);
}

static const struct vm_module *module_under_test;
static struct buf stub;
static char table_name[64];
static lua_State *state;

/* The module's table is at the top of `state`. */
static void check_is_there(void *arg, const char *field)
{
    (void)arg;
    if (lua_getfield(state, -1, field) == LUA_TNIL) {
        printf("# %s.%s is described, but not there\n", module_under_test->name, field);
        CHECK(!"each function described is there");
    }
    lua_pop(state, 1);
}

static int check_module(lua_State *L)
{
    state = L;
    vm_require(L, module_under_test->name);
    CHECK(lua_istable(L, -1));
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
        const char *field = lua_tostring(L, -2);
        if (!describes(&stub, table_name, field)) {
            printf("# %s.%s is there, but not described\n", module_under_test->name, field);
            CHECK(!"each field is described");
        }
    }
    each_described(&stub, table_name, check_is_there, NULL);
    return 0;
}

/* All modules: what scripts have, neap.test and neap.report, each ending its own list. */
struct all_modules {
    struct vm_module list[API_TEST_MODULES_MAX + 1];
};

static void list_all(struct all_modules *all)
{
    struct api_test_hooks test;
    struct api_report_hooks report;
    api_test_hooks_init(&test);
    api_report_hooks_init(&report);
    size_t count = 0;
    while (test.modules[count].name != NULL) {
        all->list[count] = test.modules[count];
        count++;
    }
    all->list[count] = report.modules[count - 1];
    all->list[count + 1] = (struct vm_module){NULL, NULL};
    CHECK_STR(all->list[count - 1].name, "neap.test");
    CHECK_STR(all->list[count].name, "neap.report");
}

static void modules_match(void)
{
    struct all_modules hooks;
    list_all(&hooks);
    struct clock *clock = clock_new_virtual(0);
    struct vm_options options = {
        .clock = clock, .scripts_folder = "scripts", .modules = hooks.list};
    struct error err;
    struct vm *vm = vm_new(&options, &err);
    CHECK(vm != NULL);
    size_t count = 0;
    for (const struct vm_module *m = hooks.list; m->name != NULL; m++) {
        struct vm_failure failure = {0};
        char file[80];
        module_under_test = m;
        CHECK(strncmp(m->name, "neap.", 5) == 0);
        snprintf(table_name, sizeof(table_name), "%s", m->name + 5);
        snprintf(file, sizeof(file), "neap_%s", table_name);
        read_stub(file, &stub);
        CHECK_INT(vm_call(vm, check_module, NULL, 0, &failure), 0);
        CHECK_STR(failure.err.message, "");
        vm_failure_clear(&failure);
        buf_free(&stub);
        count++;
    }
    CHECK(count >= 11);
    vm_free(vm);
    clock_free(clock);
}

/* No stub describes a module that is not there. */
static void stubs_have_modules(void)
{
    struct all_modules hooks;
    list_all(&hooks);
    DIR *dir = opendir("scripts/meta");
    struct dirent *entry;
    CHECK(dir != NULL);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (strncmp(entry->d_name, "neap_", 5) != 0) {
            continue;
        }
        bool found = false;
        for (const struct vm_module *m = hooks.list; m->name != NULL; m++) {
            size_t size = strlen(m->name) - 5;
            found |= strncmp(entry->d_name + 5, m->name + 5, size) == 0 &&
                     strcmp(entry->d_name + 5 + size, ".lua") == 0;
        }
        if (!found) {
            printf("# scripts/meta/%s describes no module\n", entry->d_name);
        }
        CHECK(found);
    }
    closedir(dir);
}

/* The methods of the job object, as the flow sees them. */
static void job_matches(void)
{
    struct buf flow;
    read_stub("job", &stub);
    buf_init(&flow, STUB_MAX);
    buf_add_str(&flow, "return {name = 'main', run = function(job) local out = {}\n");
    const char *at = buf_text(&stub);
    int count = 0;
    while ((at = strstr(at, "\nfunction job:")) != NULL) {
        at += strlen("\nfunction job:");
        buf_addf(&flow, "out[#out + 1] = type(job.%.*s)\n", (int)strcspn(at, "("), at);
        count++;
    }
    const char *fields = strstr(buf_text(&stub), "---@class neap.Job\n");
    CHECK(fields != NULL);
    while (fields != NULL && (fields = strchr(fields, '\n')) != NULL &&
           strncmp(fields, "\n---@field ", 11) == 0) {
        buf_addf(&flow, "assert(job.%.*s ~= nil)\n", (int)strcspn(fields + 11, " "), fields + 11);
        fields++;
    }
    buf_add_str(&flow, "require('neap.store').put('out', 'types', table.concat(out, ' ')) end}\n");
    struct world *w = world_open();
    struct world_client *c = world_add(w, "acme", buf_text(&flow));
    uint64_t id = world_event(c, "one", "");
    world_run(w, 100);
    CHECK_STATE(c, id, "done");
    CHECK_STR(world_exceptions(c), "");
    const char *types = world_value(c, "types");
    int functions = 0;
    for (const char *t = types; (t = strstr(t, "function")) != NULL; t++) {
        functions++;
    }
    CHECK(count >= 17);
    CHECK_INT(functions, count);
    buf_free(&flow);
    buf_free(&stub);
    world_close(w);
}

int main(void)
{
    tap_case("each module has the functions its stub describes, and no others", modules_match);
    tap_case("each stub describes a module", stubs_have_modules);
    tap_case("the job object has the methods and fields its stub describes", job_matches);
    return tap_done();
}
