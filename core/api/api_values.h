/* The Lua modules that compute with values: no waiting, no state beyond lx_env. */
#ifndef NEAP_CORE_API_API_VALUES_H
#define NEAP_CORE_API_API_VALUES_H

#include <lua.h>

/* Each pushes its module table and returns 1 (a lua_CFunction; may raise when memory is out). */
int luaopen_neap_crypto(lua_State *L);
int luaopen_neap_errors(lua_State *L);
int luaopen_neap_json(lua_State *L);
int luaopen_neap_money(lua_State *L);
int luaopen_neap_time(lua_State *L); /* its functions need lx_env */
int luaopen_neap_xml(lua_State *L);

#endif
