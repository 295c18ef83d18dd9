/* store.sorter: part of neap.store. */
#ifndef NEAP_CORE_API_API_SORTER_H
#define NEAP_CORE_API_API_SORTER_H

#include <lua.h>

void api_sorter_open(lua_State *L); /* makes the type. May raise. [-0, +0] */
int api_sorter_make(lua_State *L);  /* store.sorter(), a lua_CFunction */

#endif
