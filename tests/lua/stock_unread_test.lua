-- neap-test-root: examples/sandbox/khaos
-- Codes that Khaos does not answer for. Seen before: one such code ended every poll and every full
-- reading at the same place, so no figure changed any more, drops to zero included.
local flow = require("flows.stock")
local full = require("flows.stock_stages.full")
local khaos_sandbox = require("khaos_sandbox")
local poll = require("flows.stock_stages.poll")
local schema = require("lib.schema")
local stock_pending = require("flows.stock_pending")
local store = require("neap.store")
local tables = require("flows.stock_stages.tables")

local HOUR_MS = 3600000

local FAULT = [[<?xml version="1.0"?><SOAP-ENV:Envelope
  xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"><SOAP-ENV:Body><SOAP-ENV:Fault>
  <faultcode>SOAP-ENV:Client</faultcode><faultstring>Access violation in Web.dll</faultstring>
  </SOAP-ENV:Fault></SOAP-ENV:Body></SOAP-ENV:Envelope>]]

-- Runs `body` with a Khaos that faults on every `operation` that names one of `bad`.
local function scene(operation, bad, body)
    local world, far = khaos_sandbox.world(nil)
    local s = {far = far, world = world, asked = 0, exceptions = {}, bad = bad}
    local job = {settings = schema.with_defaults(flow.schema, {khaos = {}, merchant_key = "f",
        warehouse = "W"}), note = function() end,
        open_exception = function(_, exception)
            s.exceptions[exception.cause] = exception.message
        end,
        close_exception = function(_, cause)
            s.exceptions[cause] = nil
        end}
    far.before = function(request)
        s.asked = s.asked + 1
        for _, code in ipairs(s.bad) do
            if request.body:find("<StockCode[^<]*" .. code)
                and request.body:find(":" .. operation .. "[ >]") then
                return {status = 500, headers = {}, body = FAULT, elapsed_ms = 1}
            end
        end
    end
    function s.run(what)
        world.now_ms = world.now_ms + HOUR_MS
        return pcall(what, job)
    end
    world:with(function()
        body(s)
    end)
end

local function levels(codes)
    local list = {}
    for i, code in ipairs(codes) do
        local item = store.get(tables.ITEMS, code)
        list[i] = item and item.available or "none"
    end
    return list
end

local CODES = {"AAA", "BAD", "ZZZ"}

local function apart(t)
    for _, operation in ipairs({"ExportStock", "ExportStockStatus"}) do
        for name, what in pairs({poll = poll, full = full.run}) do
            t.case(name .. ": others are read where " .. operation .. " faults on one", function()
                scene(operation, {"BAD"}, function(s)
                    for _, code in ipairs(CODES) do
                        s.far.change_stock({code = code, level = 7})
                    end
                    assert(s.run(what))
                    t.equal(levels({"AAA", "ZZZ"}), {7, 7})
                    t.equal(levels({"BAD"})[1] == 7, false)
                    assert(s.exceptions.stock_unread:find("1 stock codes.*BAD: Access violation"))
                    s.bad = {}
                    assert(s.run(poll))
                    t.equal({levels(CODES), s.exceptions.stock_unread}, {{7, 7, 7}})
                    t.equal(#store.range(tables.UNREAD, {}), 0)
                end)
            end)
        end
    end
    t.case("a code whose details cannot be read keeps them, and its level is read", function()
        scene("ExportStock", {}, function(s)
            s.far.change_stock({code = "AAA", level = 7})
            s.far.change_stock({code = "BAD", level = 7, max_display = 5})
            assert(s.run(poll))
            s.bad = {"BAD"}
            s.far.change_stock({code = "BAD", level = 0, max_display = 6})
            assert(s.run(poll))
            local item = store.get(tables.ITEMS, "BAD")
            t.equal({item.available, item.max_display}, {0, 5})
        end)
    end)
end

local function outage(t)
    t.case("a Khaos that answers for no code at all is down: nothing is set aside", function()
        scene("ExportStock%w*", {}, function(s)
            for i = 100, 250 do
                s.far.change_stock({code = "C" .. i, level = 7})
            end
            assert(s.run(poll))
            s.bad, s.asked = {"C"}, 0
            local ok, err = s.run(poll)
            t.equal({ok, err.message, s.exceptions.stock_unread, #store.range(tables.UNREAD, {})},
                {false, "Access violation in Web.dll", nil, 0})
            assert(s.asked < 20, s.asked .. " requests")
        end)
    end)
    t.case("so it is at the first reading, but for a few", function()
        scene("ExportStock%w*", {"C"}, function(s)
            for i = 100, 250 do
                s.far.change_stock({code = "C" .. i, level = 7})
            end
            t.equal(s.run(full.run), false)
            assert(s.asked < 60, s.asked .. " requests")
        end)
    end)
end

local function pending(t)
    t.case("orders of it are subtracted as long as no reading holds them", function()
        scene("ExportStockStatus", {}, function(s)
            s.far.change_stock({code = "AAA", level = 7})
            s.far.change_stock({code = "BAD", level = 7})
            assert(s.run(poll))
            s.bad = {"BAD"}
            for _, code in ipairs({"AAA", "BAD"}) do
                stock_pending.open(code, {units = {[code] = 2}, accepted_ms = s.world.now_ms})
                stock_pending.posted(code, s.world.now_ms)
            end
            for _ = 1, 5 do
                assert(s.run(poll))
            end
            local function taken(code)
                local item = store.get(tables.ITEMS, code)
                return stock_pending.sum(item, item.read_ms).quantity
            end
            t.equal({taken("AAA"), taken("BAD"), #store.range("stock_pending", {})}, {0, 2, 1})
            s.bad = {}
            assert(s.run(poll))
            t.equal({taken("BAD"), #store.range("stock_pending", {})}, {0, 0})
        end)
    end)
end

return function(t)
    apart(t)
    outage(t)
    pending(t)
end
