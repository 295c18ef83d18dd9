/*
 * What Khaos answers, on its way through the connector: any bytes under any status must come out as
 * a result or as an error object. A raise would hold an order as a script error, and a result of
 * the wrong type would travel on. The first byte chooses the reader, the second the status.
 */
#include <lauxlib.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/api/api_modules.h"
#include "core/base/log.h"
#include "core/script/vm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char chunk[] =
    "local require, reader, status, body = ...\n"
    "local client = require('connectors.khaos_soap.client')\n"
    "local orders = require('connectors.khaos_soap.orders')\n"
    "local customers = require('connectors.khaos_soap.customers')\n"
    "local errors = require('neap.errors')\n"
    "local answer = {status = status, body = body, headers = {}, elapsed_ms = 1}\n"
    "local function is_text(value, path)\n"
    "    assert(value == nil or type(value) == 'string', path .. ' is a ' .. type(value))\n"
    "end\n"
    "local function check(ok, ...)\n"
    "    local count, value, err = select('#', ...), ...\n"
    "    assert(value ~= nil or err ~= nil or count == 0 or ok, 'neither a value nor an error')\n"
    "    if value == nil and err ~= nil then\n"
    "        assert(errors.is(err), 'the error is no error object')\n"
    "        assert(#tostring(err) > 0)\n"
    "    end\n"
    "    return value\n"
    "end\n"
    "if reader == 0 then\n"
    "    local result = check(false, orders.read_import(answer))\n"
    "    if result then\n"
    "        assert(type(result.order_code) == 'string' and result.order_code ~= '')\n"
    "        is_text(result.urn, 'urn') is_text(result.message, 'message')\n"
    "    end\n"
    "elseif reader == 1 then\n"
    "    local result = check(false, customers.read_import(answer))\n"
    "    if result then\n"
    "        assert(type(result.company_code) == 'string' and result.company_code ~= '')\n"
    "    end\n"
    "elseif reader == 2 then\n"
    "    check(false, client.read(answer, 'GetStock'))\n"
    "else\n"
    "    check(true, client.document(body, 'SALES_ORDERS'))\n"
    "end\n";

struct reading {
    int reader;
    int status;
    struct bytes body;
};

static int read_answer(lua_State *L)
{
    const struct reading *r = lua_touserdata(L, 1);
    if (luaL_loadstring(L, chunk) != LUA_OK) {
        return lua_error(L);
    }
    lua_getglobal(L, "require");
    lua_pushinteger(L, r->reader);
    lua_pushinteger(L, r->status);
    lua_pushlstring(L, r->body.data, r->body.size);
    lua_call(L, 4, 0);
    return 0;
}

/* One state for many inputs, as in a host. */
static struct vm *vm_for_all(void)
{
    static struct vm *vm;
    if (vm == NULL) {
        struct error err;
        struct vm_options options = {.clock = clock_new_virtual(0),
                                     .random_seed = 1,
                                     .scripts_folder = "scripts",
                                     .modules = api_hooks()->modules};
        log_configure(LOG_ERROR + 1, LOG_FORMAT_JSON);
        vm = vm_new(&options, &err);
    }
    return vm;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 500, 404, 302};
    if (size < 2) {
        return 0;
    }
    struct reading reading = {data[0] % 4, statuses[data[1] % 4],
                              bytes_of((const char *)data + 2, size - 2)};
    struct vm_failure failure = {0};
    if (vm_call(vm_for_all(), read_answer, &reading, 0, &failure) != 0) {
        fprintf(stderr, "%s\n%s\n", failure.err.message,
                failure.traceback == NULL ? "" : failure.traceback);
        abort();
    }
    vm_failure_clear(&failure);
    return 0;
}
