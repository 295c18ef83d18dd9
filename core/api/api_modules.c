/* The list of modules, once. All are opened by the first require of a state. */
#include "core/api/api_modules.h"

#include "core/api/api_values.h"

static const struct vm_module modules[] = {
    {"neap.crypto", luaopen_neap_crypto},
    {"neap.errors", luaopen_neap_errors},
    {"neap.http", luaopen_neap_http},
    {"neap.json", luaopen_neap_json},
    {"neap.log", luaopen_neap_log},
    {"neap.money", luaopen_neap_money},
    {"neap.store", luaopen_neap_store},
    {"neap.time", luaopen_neap_time},
    {"neap.mail", luaopen_neap_mail},
    {"neap.xml", luaopen_neap_xml},
    {NULL, NULL},
};

const struct script_hooks *api_hooks(void)
{
    static const struct script_hooks hooks = {modules, api_job_push};
    return &hooks;
}

void api_push_flows(lua_State *L, const struct generation *generation)
{
    const struct manifest *manifest = generation_manifest(generation);
    lua_newtable(L);
    for (size_t i = 0; i < manifest->flow_count; i++) {
        lua_createtable(L, 0, 3);
        lua_pushstring(L, manifest->flows[i].name);
        lua_setfield(L, -2, "name");
        vm_require(L, manifest->flows[i].module);
        lua_setfield(L, -2, "flow");
        generation_push_settings(L, generation, i);
        lua_setfield(L, -2, "settings");
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}
