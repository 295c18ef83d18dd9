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
