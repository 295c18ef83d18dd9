/* Patterns agree with the stock matcher of Lua, and give up where that one would not come back. */
#include <lauxlib.h>
#include <lualib.h>

#include "core/script/pattern.h"
#include "tests/support/tap.h"

/* Position and captures as text, by the matcher under test. */
static void describe(const char *subject, const char *text, char out[512])
{
    struct pattern p;
    const char *start = subject;
    const char *end = NULL;
    bool is_anchored = text[0] == '^';
    pattern_init(&p, bytes_str(subject), bytes_str(text + (is_anchored ? 1 : 0)));
    bool found = is_anchored ? (end = pattern_match(&p, subject)) != NULL
                             : pattern_search(&p, subject, &start, &end);
    if (p.problem != NULL) {
        snprintf(out, 512, "problem");
        return;
    }
    if (!found) {
        snprintf(out, 512, "nil");
        return;
    }
    int used = snprintf(out, 512, "%d,%d", (int)(start - subject) + 1, (int)(end - subject));
    for (int i = 0; i < p.capture_count; i++) {
        if (p.captures[i].size == PATTERN_POSITION) {
            used += snprintf(out + used, 512 - (size_t)used, ",%d",
                             (int)(p.captures[i].start - subject) + 1);
        } else {
            used += snprintf(out + used, 512 - (size_t)used, ",%.*s", (int)p.captures[i].size,
                             p.captures[i].start);
        }
    }
}

/* The same by the stock library. */
static void describe_stock(lua_State *L, const char *subject, const char *text, char out[512])
{
    lua_settop(L, 0);
    lua_getglobal(L, "string");
    lua_getfield(L, 1, "find");
    lua_pushstring(L, subject);
    lua_pushstring(L, text);
    if (lua_pcall(L, 2, LUA_MULTRET, 0) != LUA_OK) {
        snprintf(out, 512, "problem");
        return;
    }
    if (lua_isnil(L, 2)) {
        snprintf(out, 512, "nil");
        return;
    }
    int used = 0;
    for (int i = 2; i <= lua_gettop(L); i++) {
        used +=
            snprintf(out + used, 512 - (size_t)used, "%s%s", i == 2 ? "" : ",", lua_tostring(L, i));
    }
}

static const char *const SUBJECTS[] = {
    "",         "hello world",         "  trim me  ", "a1b22c333",
    "((x)(y))", "THE (quick) fox",     "key = value", "a.b-c]d^e",
    "aaa",      "2026-05-04T10:02:58", "x]y",         "%d"};
static const char *const PATTERNS[] = {"l+",
                                       "^%s*(.-)%s*$",
                                       "(%a+)(%d+)",
                                       "()ll()",
                                       "%b()",
                                       "%f[%a]%a+",
                                       "(%w+) = (%w+)",
                                       "[^%s]+",
                                       "[%]%-]",
                                       "[]]",
                                       "[^]]",
                                       "[a-c]+",
                                       "a-b",
                                       "a*",
                                       "a?b",
                                       "$",
                                       "^",
                                       "a$",
                                       "%d%d%d%d%-%d%d",
                                       "(a)(a)%2",
                                       ".-x",
                                       "[%a_][%w_]*",
                                       "%",
                                       "[a",
                                       "(",
                                       ")",
                                       "%1",
                                       "(()",
                                       "[a-]",
                                       "[-a]",
                                       "%f",
                                       "%bx",
                                       "",
                                       "^a",
                                       "a^",
                                       "[%",
                                       "((a)(b))",
                                       "%%d",
                                       "[%d-]+",
                                       ".",
                                       "%u%l*",
                                       "%S+$"};

static void agrees_with_stock(void)
{
    lua_State *L = luaL_newstate();
    luaL_requiref(L, "string", luaopen_string, 1);
    for (size_t i = 0; i < sizeof(SUBJECTS) / sizeof(SUBJECTS[0]); i++) {
        for (size_t j = 0; j < sizeof(PATTERNS) / sizeof(PATTERNS[0]); j++) {
            char ours[512];
            char stock[512];
            if (pattern_is_plain(bytes_str(PATTERNS[j]))) {
                continue; /* the stock library does not see the faults of what it takes as plain */
            }
            describe(SUBJECTS[i], PATTERNS[j], ours);
            describe_stock(L, SUBJECTS[i], PATTERNS[j], stock);
            if (strcmp(ours, stock) != 0) {
                printf("# \"%s\" with \"%s\"\n", SUBJECTS[i], PATTERNS[j]);
                CHECK_STR(ours, stock);
            }
        }
    }
    lua_close(L);
}

static void agrees_on_random_patterns(void)
{
    static const char alphabet[] = "ab.%*+-?()[]^$d1f";
    lua_State *L = luaL_newstate();
    luaL_requiref(L, "string", luaopen_string, 1);
    uint64_t seed = 42;
    for (int round = 0; round < 60000; round++) {
        char text[9];
        char subject[9];
        char ours[512];
        char stock[512];
        for (int i = 0; i < 8; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            text[i] = alphabet[(seed >> 33) % (sizeof(alphabet) - 1)];
            subject[i] = "ab1("[(seed >> 50) % 4];
        }
        text[1 + (seed >> 40) % 8] = '\0';
        subject[8] = '\0';
        if (text[0] == '\0' || pattern_is_plain(bytes_str(text))) {
            continue;
        }
        describe(subject, text, ours);
        describe_stock(L, subject, text, stock);
        if (strcmp(ours, stock) != 0) {
            printf("# \"%s\" with \"%s\"\n", subject, text);
            CHECK_STR(ours, stock);
        }
    }
    lua_close(L);
}

static void gives_up(void)
{
    static const char *const texts[] = {"(.-)(.-)(.-)(.-)(.-)b", "a*a*a*a*a*a*b", ".*.*.*.*x"};
    static char subject[4001];
    memset(subject, 'a', 4000);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct pattern p;
        const char *start;
        const char *end;
        pattern_init(&p, bytes_str(subject), bytes_str(texts[i]));
        CHECK(!pattern_search(&p, subject, &start, &end));
        CHECK(p.problem != NULL);
    }
}

static void passes_long_subjects(void)
{
    size_t size = 8 << 20;
    char *subject = malloc(size + 1);
    memset(subject, 'a', size);
    subject[size] = '\0';
    struct pattern p;
    const char *start;
    const char *end;
    pattern_init(&p, bytes_of(subject, size), bytes_str("%d"));
    CHECK(!pattern_search(&p, subject, &start, &end));
    CHECK(p.problem == NULL);
    pattern_init(&p, bytes_of(subject, size), bytes_str("%a+"));
    CHECK(pattern_search(&p, subject, &start, &end));
    CHECK_INT(end - start, size);
    free(subject);
}

int main(void)
{
    tap_case("patterns match as in the stock library", agrees_with_stock);
    tap_case("random patterns match as in the stock library", agrees_on_random_patterns);
    tap_case("a search that would take for ever is given up", gives_up);
    tap_case("linear searches of megabytes are allowed", passes_long_subjects);
    return tap_done();
}
