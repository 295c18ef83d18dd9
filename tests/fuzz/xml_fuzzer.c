/*
 * neap.xml on arbitrary bytes. What must hold: parse never raises; what it accepts can be encoded;
 * that text parses again and encodes to the same bytes.
 */
#include <lauxlib.h>
#include <lualib.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/api/api_values.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char chunk[] = "local xml, text = ...\n"
                            "local records = xml.records(text, {'a', 'Id'})\n"
                            "repeat local list = records:read(9) until not list or #list == 0\n"
                            "local root = xml.parse(text)\n"
                            "if root == nil then return end\n"
                            "local is_written, once = pcall(xml.encode, root)\n"
                            "if not is_written then\n"
                            "    assert(once:find('name'), once)\n" /* more than one colon */
                            "    return\n"
                            "end\n"
                            "local again, err = xml.parse(once)\n"
                            "assert(again ~= nil, err)\n"
                            "assert(xml.encode(again) == once, 'not stable')\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lua_State *L = luaL_newstate();
    luaL_requiref(L, "_G", luaopen_base, 1);
    luaL_requiref(L, "string", luaopen_string, 1);
    lua_settop(L, 0);
    if (luaL_loadstring(L, chunk) != LUA_OK) {
        abort();
    }
    luaopen_neap_xml(L);
    lua_pushlstring(L, (const char *)data, size);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
        abort();
    }
    lua_close(L);
    return 0;
}
