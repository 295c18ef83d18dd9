--- Golden cases of the cancellations flow: what SCAYLE is answered in every state of an order.
local flow = require("flows.cancellations")
local golden = require("lib.golden")
local host = require("neap.test")
local schema = require("lib.schema")

local CANCELLED = [[<STATUS_LIST><ORDER_STATUS SORDER_CODE="SO7" ASSOCIATED_REF="SC7">
    <CANCELLED><REASON>Asked</REASON></CANCELLED></ORDER_STATUS></STATUS_LIST>]]
local THERE = [[<STATUS_LIST><ORDER_STATUS SORDER_CODE="SO7" ASSOCIATED_REF="SC7"/></STATUS_LIST>]]

local function check(case, more)
    local given = {merchant_key = "fellside"}
    for name, value in pairs(more or {}) do
        given[name] = value
    end
    assert(schema.check(flow.schema, given, "settings"))
    case.flow = "cancellations"
    golden.check(host, {{name = "cancellations", flow = flow,
        settings = schema.with_defaults(flow.schema, given)}}, case, "cases", "cases/x.lua")
end

local function order(fields)
    local made = {id = "7", lines = {{stock_code = "A", units = {"101", "102"}, warehouse = 1},
        {stock_code = "B", units = {"103"}, warehouse = 2}}}
    for name, value in pairs(fields or {}) do
        made[name] = value
    end
    return made
end

local function answer(result, status)
    return {{kind = "answer", result = result, status = status or 201}}
end

return function(t)
    local PAID = {khaos = {add_ons = {"cancel_order"}}}
    t.case("where Khaos cancels by a call, what it shows then is the answer", function()
        check({order = order(), khaos = CANCELLED, expect = {told = answer("successful")}}, PAID)
        check({order = order(), khaos = THERE, khaos_refuses = "In picking",
            expect = {told = answer("failed"), held = {"cancel_in_khaos:7"}}}, PAID)
    end)
    t.case("Khaos must say something when it is asked", function()
        t.matches(t.raises(check, {order = order(), expect = {told = answer("failed")}}, PAID),
            "khaos: on this client's line %(soap%)")
    end)
    t.case("an order that is cancelled already was cancelled", function()
        check({order = order({khaos_cancelled = {"101", "102", "103"}}),
            expect = {told = answer("successful")}})
    end)
    t.case("an order under way is not decided yet", function()
        check({order = order({state = "under way"}), expect = {told = answer(nil, 503)}})
    end)
    t.case("an order nobody knows is a person's just after going live", function()
        local call = {orderReferenceKey = "x-1"}
        check({call = call, expect = {told = answer("successful")}})
        check({call = call, live_from = "2026-05-01T00:00:00Z",
            expect = {told = answer("failed"), held = {"cancellation_unknown:x-1"}}})
        t.matches(t.raises(check, {expect = {held = {}}}), "call = {orderReferenceKey")
    end)
    t.case("a call about some warehouses asks a person where that is not clear", function()
        local unplaced = {{stock_code = "A", units = {"101", "102"}},
            {stock_code = "B", units = {"103"}, warehouse = 2}}
        check({order = order({lines = unplaced}), call = {warehouseIds = {2}},
            expect = {told = answer("failed"), held = {"cancel_part:7 at 2"}}},
            {warehouse_ids = {1, 2}})
        -- Khaos is asked by the orders flow, which is no part of this case.
        check({order = order(), call = {warehouseIds = {2}}, expect = {told = answer(nil, 503)}},
            {warehouse_ids = {1, 2}})
    end)
    t.case("another merchant's call is refused, and nobody is asked", function()
        check({order = order(), call = {fulfillingMerchantKey = "other"},
            expect = {told = answer("failed")}})
    end)
end
