/*
 * neap.json on arbitrary bytes. What must hold: decode never raises; what it accepts can be
 * encoded; decoding that text again and encoding it gives the same bytes.
 */
#include <lauxlib.h>
#include <lualib.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/api/api_values.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char chunk[] = "local json, text = ...\n"
                            "local value = json.decode(text)\n"
                            "if value == nil then return end\n"
                            "local once = assert(json.encode(value))\n"
                            "local again, err = json.decode(once)\n"
                            "assert(again ~= nil, err)\n"
                            "assert(json.encode(again) == once, 'not stable')\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lua_State *L = luaL_newstate();
    luaL_requiref(L, "_G", luaopen_base, 1);
    lua_settop(L, 0);
    if (luaL_loadstring(L, chunk) != LUA_OK) {
        abort();
    }
    luaopen_neap_json(L);
    lua_pushlstring(L, (const char *)data, size);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
        abort();
    }
    lua_close(L);
    return 0;
}
