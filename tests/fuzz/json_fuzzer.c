/*
 * neap.json on arbitrary bytes. What must hold: decode never raises; what it accepts can be
 * encoded; decoding that text again and encoding it gives the same bytes; reading a part of it
 * gives what is left when the rest is taken out.
 */
#include <lauxlib.h>
#include <lualib.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/api/api_values.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char chunk[] = "local json, text = ...\n"
                            "local function part(v, only)\n"
                            "  if type(v) ~= 'table' or only == true then return v end\n"
                            "  local is_list = json.is_array(v)\n"
                            "  local kept = is_list and json.array{} or {}\n"
                            "  for k, e in next, v do\n"
                            "    if is_list then kept[k] = part(e, only)\n"
                            "    elseif only[k] then kept[k] = part(e, only[k]) end\n"
                            "  end\n"
                            "  return kept\n"
                            "end\n"
                            "local value = json.decode(text)\n"
                            "if value == nil then return end\n"
                            "local only = {a = true, b = {a = true}, id = {}}\n"
                            "assert(json.encode(json.decode(text, {only = only}))\n"
                            "    == json.encode(part(value, only)), 'another part')\n"
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
