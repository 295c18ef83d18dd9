/* The Lua state: globals, fences, budgets, memory. */
#include <fcntl.h>
#include <lauxlib.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/script/vm.h"
#include "core/script/vm_files.h"
#include "core/script/watchdog.h"
#include "tests/support/tap.h"
#include "tests/support/temp_folder.h"

struct world {
    char folder[256];
    struct clock *clock;
    struct vm *vm;
    struct vm_failure failure;
};

static void world_open(struct world *w, size_t memory_bytes)
{
    memset(w, 0, sizeof(*w));
    temp_folder_make(w->folder, sizeof(w->folder));
    char path[512];
    snprintf(path, sizeof(path), "%s/client", w->folder);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/scripts", w->folder);
    mkdir(path, 0700);
    w->clock = clock_new_virtual(0);
    char client[512];
    snprintf(client, sizeof(client), "%s/client", w->folder);
    struct vm_options options = {
        .clock = w->clock,
        .random_seed = 7,
        .client_folder = client,
        .scripts_folder = path,
        .limits = {.memory_bytes = memory_bytes, .load_us = 200000},
    };
    struct error err;
    w->vm = vm_new(&options, &err);
    CHECK(w->vm != NULL);
}

static void world_close(struct world *w)
{
    vm_failure_clear(&w->failure);
    vm_free(w->vm);
    clock_free(w->clock);
    temp_folder_remove(w->folder);
}

static void write_file(struct world *w, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", w->folder, name);
    FILE *file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
}

struct chunk {
    const char *text;
    char result[512];
};

static int run_chunk(lua_State *L)
{
    struct chunk *chunk = lua_touserdata(L, 1);
    if (luaL_loadbufferx(L, chunk->text, strlen(chunk->text), "@test.lua", "t") != LUA_OK) {
        return lua_error(L);
    }
    lua_call(L, 0, 1);
    snprintf(chunk->result, sizeof(chunk->result), "%s", luaL_tolstring(L, -1, NULL));
    return 0;
}

/* The result as text, or the message of the failure. */
static const char *run_text(struct world *w, const char *text)
{
    static struct chunk chunk;
    chunk.text = text;
    vm_failure_clear(&w->failure);
    if (vm_call(w->vm, run_chunk, &chunk, 0, &w->failure) != 0) {
        return w->failure.err.message;
    }
    return chunk.result;
}

struct text_case {
    const char *text;
    const char *expected;
};

static void check_cases(struct world *w, const struct text_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *result = run_text(w, cases[i].text);
        if (strcmp(result, cases[i].expected) != 0) {
            printf("# %s\n", cases[i].text);
        }
        CHECK_STR(result, cases[i].expected);
    }
}

#define CHECK_CASES(w, cases) check_cases(w, cases, sizeof(cases) / sizeof((cases)[0]))

static void has_listed_globals(void)
{
    struct world w;
    static const struct text_case cases[] = {
        {"local t = {} for k in pairs(_ENV) do t[#t + 1] = k end return table.concat(t, ' ')",
         "assert error getmetatable ipairs math next pairs pcall rawequal rawget rawlen rawset "
         "require "
         "select setmetatable string table tonumber tostring type utf8 xpcall"},
        {"return string.dump", "nil"},
        {"return math.randomseed", "nil"},
        {"return getmetatable('')", "false"},
        {"return load('x')", "test.lua:1: undeclared global 'load'; scripts cannot make code"},
        {"return os.time()",
         "test.lua:1: undeclared global 'os'; time comes from require(\"neap.time\")"},
        {"local a = 1\nreturn a + undefined_name",
         "test.lua:2: undeclared global 'undefined_name'"},
        {"x = 1", "test.lua:1: undeclared global 'x' (write \"local x\")"},
        {"return setmetatable({}, {__gc = function() end})",
         "test.lua:1: scripts have no finalizers: remove __gc"},
        {"return getmetatable(setmetatable({}, {__metatable = 'locked'}))", "locked"},
        {"setmetatable(_ENV, nil)", "test.lua:1: cannot change a protected metatable"},
        {"return #setmetatable({}, {__len = function() return 3 end})", "3"},
    };
    world_open(&w, 0);
    CHECK_CASES(&w, cases);
    world_close(&w);
}

static void iterates_sorted(void)
{
    struct world w;
    static const struct text_case cases[] = {
        {"local t = {b = 1, a = 2, [10] = 3, [-1] = 4, [2.5] = 5, [true] = 6, [false] = 7, 'one'}\n"
         "local out = {} for k in pairs(t) do out[#out + 1] = tostring(k) end\n"
         "return table.concat(out, ' ')",
         "-1 1 2.5 10 a b false true"},
        {"local t = {c = 1, a = 2, b = 3} local out, k = {}, nil\n"
         "repeat k = next(t, k) out[#out + 1] = tostring(k) until k == nil\n"
         "return table.concat(out, ' ')",
         "a b c nil"},
        {"return next({})", "nil"},
        {"local t = {} for i = 1, 1000 do t['k' .. i] = i end local n = 0\n"
         "for k in pairs(t) do t[k] = nil n = n + 1 end return n .. ' ' .. tostring(next(t))",
         "1000 nil"},
        {"local t = {} for i = 1, 1000 do t['k' .. i] = i end local n = 0\n"
         "for k in next, t do t[k] = nil n = n + 1 end return n",
         "1000"},
        {"local t = {a = 1, b = 2} local k = next(t) t.c = 3 t.aa = 4\n"
         "return next(t, k) .. next(t, 'aa') .. next(t, 'b')",
         "aabc"},
        {"local p = setmetatable({}, {__pairs = function() return function(_, k)\n"
         "if not k then return 1 end end, nil, nil end}) local n = 0\n"
         "for _ in pairs(p) do n = n + 1 end return n",
         "1"},
        {"return pcall(next, {}, 'nope')", "false"},
        {"local k = {} local t = {[k] = 1, z = 2} local out = {}\n"
         "for key in pairs(t) do out[#out + 1] = type(key) end return table.concat(out, ' ')",
         "string table"},
    };
    world_open(&w, 0);
    CHECK_CASES(&w, cases);
    world_close(&w);
}

static void has_strings(void)
{
    struct world w;
    static const struct text_case cases[] = {
        {"return ('  x y  '):match('^%s*(.-)%s*$')", "x y"},
        {"return (('a,b,,c'):gsub(',', ';'))", "a;b;;c"},
        {"return (('hello world'):gsub('o', {o = '0'}))", "hell0 w0rld"},
        {"return (('hello'):gsub('l+', function(s) return #s end))", "he2o"},
        {"return (('abc'):gsub('%w', '%0%0'))", "aabbcc"},
        {"return (('abc'):gsub('', '-'))", "-a-b-c-"},
        {"return select(2, ('aaa'):gsub('a', 'b', 2))", "2"},
        {"local out = {} for k, v in ('a=1, b=2'):gmatch('(%w+)=(%w+)') do\n"
         "out[#out + 1] = k .. v end return table.concat(out, ' ')",
         "a1 b2"},
        {"local n = 0 for _ in ('abc'):gmatch('') do n = n + 1 end return n", "4"},
        {"return ('a.b'):find('.', 1, true)", "2"},
        {"return ('ab'):rep(3, ',') .. ('x'):rep(0) .. ('x'):rep(-1) .. ('y'):rep(1, '-')",
         "ab,ab,aby"},
        {"return #('x'):rep(1000)", "1000"},
        {"return ('x'):rep(math.maxinteger, 'y')", "test.lua:1: resulting string too large"},
        {"return ('abc'):find('b', -1)", "nil"},
        {"return ('abc'):find('', 10)", "nil"},
        {"return ('x'):gsub('x', '%2')", "test.lua:1: invalid capture index %2"},
        {"return ('x'):gsub('x', '%')", "test.lua:1: invalid use of '%' in replacement string"},
        {"return ('x'):gsub('x', function() return {} end)",
         "test.lua:1: invalid replacement value (a table)"},
        {"return ('x'):find('[a')", "test.lua:1: malformed pattern (missing ']')"},
        {"return (('a'):rep(4000)):find(('a*'):rep(6) .. 'b')",
         "test.lua:1: pattern too complex for this subject"},
        {"return #(('a'):rep(20000)):gsub('%s*$', '')", "20000"},
    };
    world_open(&w, 0);
    CHECK_CASES(&w, cases);
    world_close(&w);
}

static void guards_tables(void)
{
    struct world w;
    static const struct text_case cases[] = {
        {"return pcall(table.move, {}, 1, 1 << 40, 2)", "false"},
        {"return pcall(table.insert, setmetatable({}, {__len = function() return 1 << 40 end}), 1, "
         "1)",
         "false"},
        {"return pcall(table.sort, setmetatable({}, {__len = function() return 1 << 20 end}))",
         "false"},
        {"return pcall(table.concat, setmetatable({'a'}, {__index = table.concat}), '', 1, 9)",
         "false"},
        {"local t = setmetatable({}, {__index = setmetatable({}, {__index = rawlen})})\n"
         "return pcall(table.unpack, t, 1, 9)",
         "false"},
        {"local t = setmetatable({'b', 'a'}, {__index = {x = 1}}) table.sort(t)\n"
         "return table.concat(t) .. t.x",
         "ab1"},
        {"local t = {('b'):rep(999), ('a'):rep(999), 'c'} table.sort(t) return t[1]:sub(1, 1)",
         "a"},
        {"local t = {1, 3, 2} table.sort(t, math.ult) return table.concat(t)", "123"},
        {"local t = {1, 2, 3} table.insert(t, 1, 0) return table.concat(t, ',')", "0,1,2,3"},
        {"return table.remove({1, 2, 3}, 1)", "1"},
        {"return table.concat(table.move({1, 2, 3}, 2, 3, 1), ',')", "2,3,3"},
        {"local a = math.random(1, 6) return a >= 1 and a <= 6", "true"},
        {"local f = math.random() return f >= 0 and f < 1", "true"},
        {"return pcall(math.random, 2, 1)", "false"},
    };
    world_open(&w, 0);
    CHECK_CASES(&w, cases);
    world_close(&w);
}

static void is_seeded(void)
{
    struct world a;
    struct world b;
    world_open(&a, 0);
    world_open(&b, 0);
    static char first[512];
    snprintf(first, sizeof(first), "%s", run_text(&a, "return math.random(1, 1 << 60)"));
    CHECK_STR(run_text(&b, "return math.random(1, 1 << 60)"), first);
    world_close(&a);
    world_close(&b);
}

static void ends_endless_scripts(void)
{
    struct world w;
    static const char *const texts[] = {
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "local function f() return pcall(f) end while true do f() end",
        "table.sort({3, 2, 1, 5, 4}, function() while true do end end)",
        "(('abc'):gsub('.', function() while true do end end))",
        "return tostring(setmetatable({}, {__tostring = function() while true do end end}))",
        "xpcall(function() while true do end end, function() while true do end end)",
        "local t = setmetatable({}, {__index = function() while true do end end}) return t.x",
        "for _ in pairs(setmetatable({}, {__pairs = function() while true do end end})) do end",
        "local s = ('a'):rep(40000) while true do pcall(string.find, s, '.-.-.-.-b') end",
    };
    world_open(&w, 0);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char text[512];
        const char *lead = texts[i][0] == '(' ? "local _ = " : "";
        snprintf(text, sizeof(text), "%s%s", lead, texts[i]);
        const char *result = run_text(&w, text);
        if (strstr(result, "used more than 200 ms") == NULL || !w.failure.is_final) {
            printf("# %s\n", text);
            CHECK_STR(result, "a spent budget");
        }
        CHECK_STR(run_text(&w, "return 1"), "1");
    }
    world_close(&w);
}

static void caps_memory(void)
{
    struct world w;
    static const char *const texts[] = {
        "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end",
        "return ('x'):rep(1 << 40)",
        "local s = 'x' while true do s = s .. s end",
        "local t = {} pcall(function() while true do t[#t + 1] = {} end end) return ('y'):rep(1 << "
        "30)",
        "return string.format('%s', ('x'):rep(30 << 20))",
        "return #table.concat({('x'):rep(3 << 20), ('x'):rep(3 << 20), ('x'):rep(3 << 20)})",
    };
    world_open(&w, 8 << 20);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        run_text(&w, texts[i]);
        CHECK(w.failure.err.code == ERROR_LIMIT || w.failure.err.code == ERROR_SCRIPT);
        CHECK(vm_memory_used(w.vm) <= 8 << 20);
        CHECK_STR(run_text(&w, "return 'alive'"), "alive");
    }
    world_close(&w);
}

/* Memory ends at every point in turn: each ends in an error value, never in an abort. */
static void survives_failing_memory(void)
{
    static const char text[] =
        "local t = {}\n"
        "for i = 1, 20 do t['k' .. i] = {i, tostring(i):rep(i)} end\n"
        "local n = 0\n"
        "for k, v in pairs(t) do n = n + #v[2] + #k:gsub('k', '%0%0') end\n"
        "local ok, err = pcall(error, {text = 'x'})\n"
        "return setmetatable({}, {__tostring = function() return 'n' .. n end})\n";
    int failed = 0;
    int fine = 0;
    for (size_t bytes = 512; fine < 3; bytes += 61) {
        struct clock *clock = clock_new_virtual(0);
        struct vm_options options = {
            .clock = clock, .random_seed = 1, .limits = {.memory_bytes = bytes}};
        struct error err;
        struct vm *vm = vm_new(&options, &err);
        if (vm != NULL) {
            struct chunk chunk = {text, ""};
            struct vm_failure failure = {0};
            int rc = vm_call(vm, run_chunk, &chunk, 0, &failure);
            CHECK(rc == 0 || failure.err.message[0] != '\0');
            fine += rc == 0 ? 1 : 0;
            vm_failure_clear(&failure);
        }
        failed += fine == 0 ? 1 : 0;
        vm_free(vm);
        clock_free(clock);
    }
    CHECK(failed > 100);
}

static void requires_from_roots(void)
{
    struct world w;
    world_open(&w, 0);
    write_file(&w, "client/own.lua", "return {name = 'own'}");
    write_file(&w, "client/both.lua", "return {name = 'client'}");
    write_file(&w, "scripts/both.lua", "return {name = 'scripts'}");
    write_file(&w, "scripts/shared.lua", "return {name = 'shared'}");
    write_file(&w, "client/loop.lua", "return require('loop')");
    write_file(&w, "client/broken.lua", "local x = \nreturn x +");
    write_file(&w, "client/raises.lua", "local t\nreturn t.x");
    write_file(&w, "client/empty.lua", "");
    write_file(&w, "client/binary.lua", "\x1bLua");
    write_file(&w, "outside.lua", "return {name = 'outside'}");
    char from[512];
    char to[512];
    snprintf(from, sizeof(from), "%s/outside.lua", w.folder);
    snprintf(to, sizeof(to), "%s/client/link.lua", w.folder);
    CHECK(symlink(from, to) == 0);
    char pipe_path[512];
    snprintf(pipe_path, sizeof(pipe_path), "%s/client/pipe.lua", w.folder);
    CHECK(mkfifo(pipe_path, 0600) == 0); /* opening one waits for a writer: the host stood still */
    uint64_t scanned = vm_files_scan(w.folder);
    CHECK(scanned != 0);
    static const struct text_case cases[] = {
        {"return require('own').name", "own"},
        {"return require('both').name", "client"},
        {"return require('shared').name", "shared"},
        {"return require('own') == require('own')", "true"},
        {"return require('loop')", "loop.lua:1: module 'loop' requires itself"},
        {"return require('broken')", "broken.lua:2: unexpected symbol near 'return'"},
        {"return require('raises')", "raises.lua:2: attempt to index a nil value (local 't')"},
        {"return require('empty')", "test.lua:1: module 'empty' returns nothing"},
        {"return pcall(require, 'binary')", "false"},
        {"return require('../outside')",
         "test.lua:1: '../outside' is not a module name (lower case words joined by dots)"},
        {"return require('/etc/passwd')",
         "test.lua:1: '/etc/passwd' is not a module name (lower case words joined by dots)"},
        {"return require('link')",
         "test.lua:1: module 'link' not found: no link.lua in the client's "
         "folder or in scripts/"},
        {"return require('pipe')", "test.lua:1: cannot read pipe.lua: it is no file"},
        {"return require('neap.none')", "test.lua:1: the host has no module 'neap.none'"},
    };
    CHECK_CASES(&w, cases);
    CHECK(vm_file_count(w.vm) >= 5);
    world_close(&w);
}

static int raise_nested(lua_State *L)
{
    struct world *w = lua_touserdata(L, 1);
    (void)w;
    return luaL_error(L, "from C");
}

static void tells_failures(void)
{
    struct world w;
    world_open(&w, 0);
    run_text(&w, "local function inner()\n  error('broken')\nend\nlocal function outer()\n"
                 "  inner()\n  return 1\nend\nouter()\nreturn 2");
    CHECK_STR(w.failure.err.message, "test.lua:2: broken");
    CHECK_INT(w.failure.err.code, ERROR_SCRIPT);
    CHECK_STR(w.failure.traceback,
              "[C] in error, test.lua:2 in inner, test.lua:5 in outer, test.lua:8");
    run_text(&w, "error({})");
    CHECK_STR(w.failure.err.message, "raised a value of type table");
    run_text(&w, "error(setmetatable({}, {__tostring = function() return 'as text' end}))");
    CHECK_STR(w.failure.err.message, "as text");
    run_text(&w, "error(setmetatable({}, {__tostring = function() error('again') end}))");
    CHECK(w.failure.err.code != 0);
    vm_failure_clear(&w.failure);
    CHECK_INT(vm_call(w.vm, raise_nested, &w, 0, &w.failure), ERROR_SCRIPT);
    run_text(&w, "local function f() return f() + 1 end return f()");
    CHECK(strstr(w.failure.err.message, "stack overflow") != NULL);
    CHECK_STR(run_text(&w, "return 1"), "1");
    world_close(&w);
}

static void note_stuck(void *arg)
{
    *(volatile int *)arg = 1;
}

static void watches(void)
{
    volatile int stuck = 0;
    struct watchdog *w = watchdog_new(1, note_stuck, (void *)&stuck);
    struct watchdog_entry nobody = {0};
    struct watchdog_entry outer = watchdog_enter(w, nobody);
    for (int i = 0; i < 2000 && !stuck; i++) {
        usleep(1000);
    }
    watchdog_leave(w, outer);
    watchdog_free(w);
    CHECK(stuck == 1);
    watchdog_leave(NULL, watchdog_enter(NULL, nobody));
}

/* The child: inside Lua, in a call that blocks, until a byte comes. */
static int wait_inside(int from)
{
    volatile int stuck = 0;
    char byte;
    struct watchdog *w = watchdog_new(200, note_stuck, (void *)&stuck);
    struct watchdog_entry nobody = {0};
    struct watchdog_entry outer = watchdog_enter(w, nobody);
    usleep(200 * 1000); /* a first look or more */
    raise(SIGSTOP);
    ssize_t got = read(from, &byte, 1);
    watchdog_leave(w, outer);
    watchdog_free(w);
    return got == 1 ? stuck : 2;
}

/* Seen before: a host that was stopped for a minute (a frozen container) aborted as it went on, and
 * the job at hand was counted as one that kills it. */
static void forgives_a_stopped_process(void)
{
    int fds[2];
    int status = 0;
    CHECK(pipe(fds) == 0);
    pid_t child = fork();
    if (child == 0) {
        _exit(wait_inside(fds[0]));
    }
    CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
    usleep(1500 * 1000); /* more than the 1,200 ms that a blocking call may take */
    CHECK(kill(child, SIGCONT) == 0);
    usleep(100 * 1000); /* a look or two */
    CHECK(write(fds[1], "x", 1) == 1);
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
    close(fds[0]);
    close(fds[1]);
}

/*
 * Seen before: ten thousand instructions of long calls were minutes, and the watchdog took the
 * process. In real time: virtual time has no slow C.
 */
static void ends_loops_of_long_calls(void)
{
    static const char *const texts[] = {
        "local s = ('a'):rep(40000) while true do pcall(string.find, s, '.-.-.-.-b') end",
        "local a = ('x'):rep(20 << 20) .. 'a' local b = ('x'):rep(20 << 20) .. 'b'\n"
        "while a ~= b do end",
        "while true do pcall(string.rep, 'x', 60 << 20) end",
        "local t = {} pcall(function() while true do t[#t + 1] = {} end end)\n"
        "while #t > 0 do pcall(string.rep, 'y', 40 << 20) end",
    };
    struct clock *clock = clock_new_system();
    struct watchdog *watchdog = watchdog_new(9000, NULL, NULL); /* aborts: what was seen before */
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct vm_options options = {
            .clock = clock,
            .watchdog = watchdog,
            .limits = {.memory_bytes = (size_t)64 << 20, .load_us = 200000}};
        struct error err;
        struct world w = {.vm = vm_new(&options, &err)};
        const char *result = run_text(&w, texts[i]);
        if (strstr(result, "used more than 200 ms") == NULL &&
            strstr(result, "more memory than they may have") == NULL) {
            CHECK_STR(result, "a spent budget");
        }
        CHECK_STR(run_text(&w, "return 1"), "1");
        vm_failure_clear(&w.failure);
        vm_free(w.vm);
    }
    watchdog_free(watchdog);
    clock_free(clock);
}

/*
 * Seen before: one line stopped the host for all its clients, since nothing in it is an instruction
 * and hooks come at instructions. Nobody nudges here, and the watchdog takes whoever does not end.
 */
static void ends_single_calls(void)
{
    static const struct text_case cases[] = {
        {"return #(''):rep(math.maxinteger)", "0"},
        {"return #(''):rep(math.maxinteger, '')", "0"},
        {"table.sort(setmetatable({}, {__len = function() return (1 << 31) - 2 end,\n"
         "__index = type, __newindex = type}))",
         "test.lua:1: functions of table cannot use a __len"},
        {"local a, b, t = ('x'):rep(9 << 20) .. 'a', ('x'):rep(9 << 20) .. 'b', {}\n"
         "for i = 1, 100000 do t[i] = i % 7 == 0 and a or b end\ntable.sort(t)",
         NULL},
        {"local s, t = ('a'):rep(20000), {}\nfor i = 1, 1000 do t[i] = s end\n"
         "table.sort(t, function(a, b) return a:find('.-.-.-.-b') end)",
         NULL},
        {"local t = {}\nfor i = 1, 999 do t[i] = ('.-'):rep(4) .. '%d' .. ('a'):rep(25) end\n"
         "table.sort(t, string.find)",
         NULL},
        {"local s = (('a'):rep(40) .. ';.-.-.-.-b;'):rep(1000)\n"
         "local _ = s:gsub('(a*);([^;]*);', string.find)",
         NULL},
        {"return (('b'):rep(1 << 20)):find('[' .. ('a'):rep(1 << 20) .. ']')", NULL},
        {"return (('a'):rep(100000)):gsub('(b?)', ('%1'):rep(1 << 20))", NULL},
    };
    struct clock *clock = clock_new_system();
    struct watchdog *watchdog = watchdog_new(0, NULL, NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vm_options options = {
            .clock = clock, .limits = {.memory_bytes = (size_t)64 << 20, .load_us = 200000}};
        struct error err;
        struct world w = {.vm = vm_new(&options, &err)};
        struct watchdog_entry nobody = {0};
        struct watchdog_entry outer = watchdog_enter(watchdog, nobody);
        const char *result = run_text(&w, cases[i].text);
        watchdog_leave(watchdog, outer);
        bool is_spent =
            strstr(result, "test.lua:") == result &&
            (strstr(result, "a script that cannot wait used more than 200 ms") != NULL ||
             strstr(result, "pattern too complex") != NULL);
        if (cases[i].expected != NULL || !is_spent) {
            CHECK_STR(result, cases[i].expected == NULL ? cases[i].text : cases[i].expected);
        }
        vm_failure_clear(&w.failure);
        vm_free(w.vm);
    }
    watchdog_free(watchdog);
    clock_free(clock);
}

int main(void)
{
    log_configure(LOG_ERROR, LOG_FORMAT_HUMAN);
    tap_case("scripts see the listed globals and no others", has_listed_globals);
    tap_case("pairs and next go in a fixed order", iterates_sorted);
    tap_case("strings have patterns with a bound", has_strings);
    tap_case("table functions cannot loop for ever inside C", guards_tables);
    tap_case("randomness comes from the seed", is_seeded);
    tap_case("endless scripts end, whatever they hide in", ends_endless_scripts);
    tap_case("memory is capped and the state survives", caps_memory);
    tap_case("memory may end at any point", survives_failing_memory);
    tap_case("require finds modules in two roots and nowhere else", requires_from_roots);
    tap_case("failures carry message, kind and traceback", tells_failures);
    tap_case("the watchdog notices a script that does not come back", watches);
    tap_case("the watchdog does not count time in which nothing ran", forgives_a_stopped_process);
    tap_case("loops of long calls of C end too", ends_loops_of_long_calls);
    tap_case("no single call of C goes on for ever", ends_single_calls);
    return tap_done();
}
