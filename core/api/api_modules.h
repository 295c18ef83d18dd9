/* Everything the api room gives: the modules scripts may require, and the job object. */
#ifndef NEAP_CORE_API_API_MODULES_H
#define NEAP_CORE_API_API_MODULES_H

#include <lua.h>

#include "core/script/generation.h"

/* For generation_options. Static; lives for ever. */
const struct script_hooks *api_hooks(void);

/* The modules that wait or write. Each pushes its module table; may raise when memory is out. */
int luaopen_neap_http(lua_State *L);
int luaopen_neap_log(lua_State *L);
int luaopen_neap_mail(lua_State *L);
int luaopen_neap_store(lua_State *L);

/* The list of a client's flows: {name, flow, settings}. [-0, +1], may raise. */
void api_push_flows(lua_State *L, const struct generation *generation);

/* The job object of a run. [-0, +1], may raise. */
void api_job_push(lua_State *L, struct job_run *run);

#endif
