--- What SCAYLE would be answered when it wants an order cancelled, and what a person is asked then:
--- for golden cases (scripts/lib/golden.lua).
---
---     return {
---         flow = "cancellations", name = "order that has left",
---         order = {id = "204417", lines = {{stock_code = "A", units = {"1"}}}, shipped = {"1"}},
---         expect = {told = {{kind = "answer", result = "failed"}},
---             held = {"cancel_too_late:204417"}},
---     }
local http_answer = require("flows.rehearsal.http_answer")
local json = require("neap.json")
local khaos = require("flows.rehearsal.khaos")
local khaos_line = require("flows.khaos_line")
local rehearsed_order = require("flows.rehearsal.order")
local run = require("flows.rehearsal.run")
local scayle = require("flows.rehearsal.scayle")
local xml = require("neap.xml")

local rehearse = {}

rehearse.CASES = {at = run.AT, live_from = run.LIVE_FROM, order = rehearsed_order.FIELD,
    khaos = khaos.OPTIONAL,
    khaos_refuses = {type = "string", help = "what Khaos says when it does not cancel"},
    call = {type = "map", values = {type = "any"}, default = {},
        help = "fields of SCAYLE's call that are not the usual ones"}}

local FAULT = [[<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>]]
    .. [[<faultcode>s:Server</faultcode><faultstring>%s</faultstring></s:Fault></s:Body>]]
    .. [[</s:Envelope>]]

local function call_of(settings, case)
    local call = {fulfillingMerchantKey = settings.merchant_key,
        orderReferenceKey = case.order and rehearsed_order.names(case.order).scayle_key}
    for name, value in pairs(case.call) do
        call[name] = value
    end
    if not call.orderReferenceKey then
        error("without an order: call = {orderReferenceKey = ...} expected", 0)
    end
    return assert(json.encode(call))
end

local function khaos_answer(settings, case, request)
    if khaos.operation(request) ~= settings.cancel_order.operation then
        return khaos.reply(request, khaos.said(settings, case))
    elseif case.khaos_refuses then
        return http_answer(500, FAULT:format(xml.escape(case.khaos_refuses)))
    end
    return khaos.reply(request, "")
end

local function told_of(reply)
    local body = json.decode(reply.body) or {}
    return {kind = "answer", status = reply.status, result = body.cancellationResult}
end

--- Of the flow; its rehearse(settings, case).
---@param flow table
---@return fun(settings: table, case: table): table
function rehearse.of(flow)
    return function(settings, case)
        local erp = khaos_line.new(settings.khaos).connection
        local shop = case.order and scayle.new(case.order, settings.merchant_key)
        local rehearsal = run.new(flow, settings, case, function(request)
            if request.connection == erp then
                return khaos_answer(settings, case, request)
            end
            return shop and shop:answer(request)
        end)
        local world, body = rehearsal.world, call_of(settings, case)
        world:with(function()
            if case.order then
                rehearsed_order.keep(case.order, settings.merchant_key)
            end
        end)
        local reply = world:call(flow, "cancellation", {body = body}, settings)
        for _, event in ipairs(reply.events or {}) do
            rehearsal:play_one(event)
        end
        return rehearsal:result({told_of(world.answers[1] or reply)})
    end
end

return rehearse
