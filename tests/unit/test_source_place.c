/* Settings are found again in the text of the client's files. */
#include "core/script/source_place.h"

#include "core/base/xalloc.h"
#include "tests/support/tap.h"
#include "tests/support/temp_folder.h"

static const char CLIENT[] =
    "-- return {not = \"this\"}\n"
    "local OWNER = \"a = {\"\n"
    "local function each() for i = 1, 2 do if i then end end return {} end\n"
    "local SETTINGS = {\n"
    "    lag = tonumber(var(\"LAG\", \"1\")), --[[ lag2 = 3,\n"
    "    ]] rates = {[\"0.2\"] = 1, [7] = 2, [\n"
    "        'odd key'] = 3},\n"
    "}\n"
    "return {\n"
    "    name = \"acme\", live_from = [[x = {]],\n"
    "    each = function(a, b) if a then return {1, 2} end end,\n"
    "    flows = {\n"
    "        one = {use = \"x\", settings = SETTINGS},\n"
    "        two = {\n"
    "            list = {{a = 1}, {a = 2},\n"
    "                {a = 3}},\n"
    "            tax = require(\"mappings.tax\"),\n"
    "            gone = require \"mappings.gone\",\n"
    "        };\n"
    "        loop = LOOP,\n"
    "    },\n"
    "}\n";
static const char LOOPS[] = "local LOOP = LOOP\nreturn {flows = {loop = LOOP}}\n";
static const char TAX[] =
    "local t = 1\nreturn {\n    uk = {\n        [\"0.2\"] = {code = \"x\"},\n    },\n}\n";

static void put(const char *folder, const char *name, const char *text)
{
    char *path = xasprintf("%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    free(path);
    if (file == NULL) {
        abort();
    }
    fputs(text, file);
    fclose(file);
}

static void check_place(const char *folder, const char *message, const char *expected)
{
    char *placed = source_place(folder, message);
    CHECK_STR(placed, expected);
    free(placed);
}

static void check_places(void)
{
    static const char *const CASES[][2] = {
        {"client.lua: live_from: bad", "client.lua:10: live_from: bad"},
        {"client.lua: flows.one.settings.lag: bad", "client.lua:5: flows.one.settings.lag: bad"},
        {"client.lua: flows.one.settings.lag2: unknown",
         "client.lua:13: flows.one.settings.lag2: unknown"},
        {"client.lua: flows.one.settings.rates[\"0.2\"]: bad",
         "client.lua:6: flows.one.settings.rates[\"0.2\"]: bad"},
        {"client.lua: flows.one.settings.rates[7]: bad",
         "client.lua:6: flows.one.settings.rates[7]: bad"},
        {"client.lua: flows.one.settings.rates[\"odd key\"]: bad",
         "client.lua:6: flows.one.settings.rates[\"odd key\"]: bad"},
        {"client.lua: flows.two.list[3].a: bad", "client.lua:16: flows.two.list[3].a: bad"},
        {"client.lua: flows.two.tax.uk[\"0.2\"].code: bad",
         "mappings/tax.lua:4: flows.two.tax.uk[\"0.2\"].code: bad"},
        {"client.lua: flows.two.gone.x: bad", "client.lua:18: flows.two.gone.x: bad"},
        {"client.lua: flows.loop.x: bad", "client.lua:20: flows.loop.x: bad"},
        {"client.lua: flows.two (flows.two).triggers[1]: bad",
         "client.lua:14: flows.two (flows.two).triggers[1]: bad"},
        {"client.lua: nothing here: bad", "client.lua: nothing here: bad"},
        {"client.lua: ", "client.lua: "},
        {"mappings/tax.lua:3: syntax", "mappings/tax.lua:3: syntax"},
    };
    char folder[256];
    temp_folder_make(folder, sizeof(folder));
    put(folder, "client.lua", CLIENT);
    char *mappings = xasprintf("%s/mappings", folder);
    mkdir(mappings, 0700);
    put(mappings, "tax.lua", TAX);
    free(mappings);
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        check_place(folder, CASES[i][0], CASES[i][1]);
    }
    put(folder, "client.lua", LOOPS);
    check_place(folder, "client.lua: flows.loop.x: bad", "client.lua:2: flows.loop.x: bad");
    temp_folder_remove(folder);
}

/* Any text may be cut anywhere: nothing is read beyond it. */
static void check_cut(void)
{
    char folder[256];
    temp_folder_make(folder, sizeof(folder));
    for (size_t size = 0; size < sizeof(CLIENT); size++) {
        char *text = xstrndup(CLIENT, size);
        put(folder, "client.lua", text);
        char *placed = source_place(folder, "client.lua: flows.one.settings.rates[7]: bad");
        CHECK(strstr(placed, "flows.one.settings.rates[7]: bad") != NULL);
        free(placed);
        free(text);
    }
    temp_folder_remove(folder);
}

int main(void)
{
    tap_case("a setting is found through locals, requires, comments and strings", check_places);
    tap_case("a file that ends anywhere is survived", check_cut);
    return tap_done();
}
