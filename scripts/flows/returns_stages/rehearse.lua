--- What the returns flow would make of a credit note, or of units that came back to SCAYLE: for
--- golden cases (scripts/lib/golden.lua).
---
---     return {
---         flow = "returns", name = "one of two came back",
---         order = {id = "204417", lines = {{stock_code = "A", units = {"1", "2"},
---             paid = "20.00"}}, shipped = {"1", "2"}},
---         khaos = "credit-note.xml", -- in cases/khaos/
---         expect = {told = {{kind = "return", units = {"1"}}}},
---     }
local downloads = require("flows.cloud_stages.downloads")
local json = require("neap.json")
local khaos = require("flows.rehearsal.khaos")
local khaos_line = require("flows.khaos_line")
local poll = require("flows.despatch_stages.poll")
local rehearsed_order = require("flows.rehearsal.order")
local run = require("flows.rehearsal.run")
local scayle = require("flows.rehearsal.scayle")

local rehearse = {}

rehearse.CASES = {at = run.AT, khaos = khaos.OPTIONAL,
    order = {type = "record", required = true, fields = rehearsed_order.FIELD.fields}}

-- The despatch flow's reading of the feed, which hands credit notes on.
local function read_feed(rehearsal, settings)
    local own = {khaos = settings.khaos, returns_flow = rehearsal.flow.name, overlap_ms = 0,
        warn_before_close_ms = 0}
    rehearsal:play_as(poll, own)
end

local function tell_returned(rehearsal, order)
    if #order.scayle_returned == 0 then
        return
    end
    local key = rehearsed_order.names(order).key
    rehearsal:play({name = "scayle.returned", key = "returns:" .. key, payload = {
        order_key = key, id = "case", kind = "returned", units = order.scayle_returned}})
end

-- Khaos Control Cloud fetches what was offered.
local function fetch(settings, told)
    local reply = downloads.returns({settings = {khaos = settings.khaos, format = "JSON",
        page_size = 100, match_address_on = {}, match_contact_on = {}}}, {headers = {}})
    for _, document in ipairs(assert(json.decode(reply.body)).Returns or {}) do
        local lines = {}
        for i, item in ipairs(document.ReturnedItems) do
            lines[i] = {stock_code = item.SKU, quantity = item.Quantity,
                gross = tostring(item.UnitPrice.Gross), reason = item.ReturnReason.ID}
        end
        told[#told + 1] = {kind = "khaos_return", reference = document.AssociatedRef,
            urn = document.URN, lines = lines}
    end
end

--- Of the flow; its rehearse(settings, case).
---@param flow table
---@return fun(settings: table, case: table): table
function rehearse.of(flow)
    return function(settings, case)
        local client = khaos_line.new(settings.khaos)
        local shows_notes = client.capabilities.poll_order_status
        local shop = scayle.new(case.order, settings.merchant_key)
        local rehearsal = run.new(flow, settings, case, function(request)
            if request.connection == client.connection then
                return khaos.reply(request, khaos.said(settings, case))
            end
            return shop:answer(request)
        end)
        rehearsal.world:with(function()
            rehearsed_order.keep(case.order, settings.merchant_key)
        end)
        tell_returned(rehearsal, case.order)
        if case.khaos and shows_notes then
            read_feed(rehearsal, settings)
            rehearsal:play_events()
        elseif not shows_notes then
            rehearsal.world:with(function()
                fetch(settings, shop.told)
            end)
        end
        return rehearsal:result(shop.told)
    end
end

return rehearse
