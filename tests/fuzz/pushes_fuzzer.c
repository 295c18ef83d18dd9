/*
 * What Khaos Control Cloud pushes, read: any bytes must come out as a list of records, each with
 * what is odd of it in words, or as an error object. The bytes were answered with 200, so a raise
 * would stop the queue behind them. The first byte chooses the reader.
 */
#include <lauxlib.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/api/api_modules.h"
#include "core/base/log.h"
#include "core/script/vm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char chunk[] =
    "local require, reader, body = ...\n"
    "local stock = require('connectors.khaos_cloud.stock')\n"
    "local status = require('connectors.khaos_cloud.order_status')\n"
    "local errors = require('neap.errors')\n"
    "local function is_text(value, is_needed)\n"
    "    assert(value == nil and not is_needed or type(value) == 'string' and value ~= '')\n"
    "end\n"
    "local function is_whole(value, is_needed)\n"
    "    assert(value == nil and not is_needed or math.type(value) == 'integer')\n"
    "end\n"
    "local checks = {\n"
    "    function(entry)\n"
    "        is_text(entry.code, true) is_text(entry.site, true) is_text(entry.stock_id)\n"
    "        is_whole(entry.level.available or entry.level.potential,\n"
    "            not entry.level.is_uncontrolled)\n"
    "    end,\n"
    "    function(entry)\n"
    "        is_text(entry.deleted or entry.code, true) is_text(entry.category)\n"
    "        is_text(entry.stock_id, not entry.deleted) is_whole(entry.safe_level)\n"
    "        for name, value in pairs(entry.numbers or {}) do\n"
    "            is_text(name, true) is_whole(value, true)\n"
    "        end\n"
    "    end,\n"
    "    function(entry)\n"
    "        is_text(entry.list.id, true) is_text(entry.code)\n"
    "    end,\n"
    "    function(entry)\n"
    "        is_text(entry.reference or entry.custom, true)\n"
    "        for _, parcel in ipairs(entry.snapshot.parcels) do\n"
    "            is_text(parcel.id, true) is_text(parcel.consignment)\n"
    "        end\n"
    "    end,\n"
    "}\n"
    "local readers = {stock.read_levels, stock.read_items, stock.read_price_lists, status.read}\n"
    "local list, err = readers[reader](body)\n"
    "assert(list ~= nil or errors.is(err) and #err.message > 0, 'neither a list nor an error')\n"
    "for _, entry in ipairs(list or {}) do\n"
    "    is_text(entry.odd, entry.is_lost)\n"
    "    if not entry.is_lost then\n"
    "        checks[reader](entry)\n"
    "    end\n"
    "end\n";

struct reading {
    int reader;
    struct bytes body;
};

static int read_push(lua_State *L)
{
    const struct reading *r = lua_touserdata(L, 1);
    if (luaL_loadstring(L, chunk) != LUA_OK) {
        return lua_error(L);
    }
    lua_getglobal(L, "require");
    lua_pushinteger(L, r->reader);
    lua_pushlstring(L, r->body.data, r->body.size);
    lua_call(L, 3, 0);
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
    if (size < 1) {
        return 0;
    }
    struct reading reading = {data[0] % 4 + 1, bytes_of((const char *)data + 1, size - 1)};
    struct vm_failure failure = {0};
    if (vm_call(vm_for_all(), read_push, &reading, 0, &failure) != 0) {
        fprintf(stderr, "%s\n%s\n", failure.err.message,
                failure.traceback == NULL ? "" : failure.traceback);
        abort();
    }
    vm_failure_clear(&failure);
    return 0;
}
