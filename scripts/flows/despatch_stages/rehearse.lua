--- What the despatch flow would tell SCAYLE of an order when Khaos says this of it: for golden
--- cases (scripts/lib/golden.lua). The connectors read the document, the stages work on a posted
--- order.
---
---     return {
---         flow = "despatch", name = "two parcels",
---         order = {id = "204417", lines = {{stock_code = "A", units = {"1", "2"}}}},
---         khaos = {soap = "204417.xml", cloud = "204417.json"}, -- in cases/khaos/
---         expect = {told = {
---             {kind = "shipment", carrier = "DPD_UK", tracking = "1Z", units = {"1"}},
---         }},
---     }
local khaos = require("flows.rehearsal.khaos")
local khaos_line = require("flows.khaos_line")
local push = require("flows.rehearsal.push")
local rehearsed_order = require("flows.rehearsal.order")
local run = require("flows.rehearsal.run")
local scayle = require("flows.rehearsal.scayle")

local rehearse = {}

rehearse.CASES = {at = run.AT, order = {type = "record", required = true,
    fields = rehearsed_order.FIELD.fields}, khaos = khaos.OPTIONAL}

--- Of the flow; its rehearse(settings, case).
---@param flow table
---@return fun(settings: table, case: table): table
function rehearse.of(flow)
    return function(settings, case)
        local said = case.khaos and khaos.said(settings, case)
        local erp = khaos_line.new(settings.khaos).connection
        local shop = scayle.new(case.order, settings.merchant_key)
        local rehearsal = run.new(flow, settings, case, function(request)
            if request.connection == erp then
                return khaos.reply(request, said or "<STATUS_LIST/>")
            end
            return shop:answer(request)
        end)
        rehearsal.world:with(function()
            rehearsed_order.keep(case.order, settings.merchant_key)
        end)
        if said and khaos_line.kind(settings.khaos) == "cloud" then
            push(rehearsal, "order_status", said)
        end
        rehearsal:play_events()
        rehearsal:play({name = "schedule.poll"})
        return rehearsal:result(shop.told)
    end
end

return rehearse
