--- Cancelling a sales order in Khaos: a paid development (contract 5.1), capability "cancel_order".
---
--- Its signature is not documented. This is the one place that knows it: operation and parameter
--- are settings of the client's installation. A fault may be a refusal or trouble, and nobody can
--- tell by its words, so the outcome counts as open and the order itself is looked up.
local client = require("connectors.khaos_soap.client")
local order_status = require("connectors.khaos_soap.order_status")

local cancel = {}

--- Settings of the call.
---@return table schema node
function cancel.schema()
    return {type = "record", default = {}, fields = {
        operation = {type = "string", default = "CancelOrder"},
        parameter = {type = "string", default = "OrderCode"},
    }}
end

--- Request that cancels one order by its Khaos code.
---@param khaos khaos.Client
---@param settings {operation: string, parameter: string}
---@param order_code string
---@return table request for an effect of class "lookup"
function cancel.request(khaos, settings, order_code)
    return khaos:request(settings.operation, {{settings.parameter, "string", order_code}})
end

--- What the reply says. Words of a refusal are kept for the person who must read them.
---@param answer neap.http.Answer
---@param settings {operation: string}
---@return {cancelled: true}|nil
---@return neap.Error|nil
function cancel.read(answer, settings)
    local result, err = client.read(answer, settings.operation, {is_write = true})
    if result ~= nil then
        return {cancelled = true}
    end
    return nil, err
end

cancel.NOT_SHOWN = "Khaos took the request, but does not show the order as cancelled"

--- What Khaos shows after it answered: what its reply means is not documented.
---@async
---@param job neap.Job
---@param khaos khaos.Client
---@param record {reference: string, order_code: string}
---@return {is_cancelled: boolean, left: integer|nil}|nil
---@return neap.Error|nil
function cancel.shown(job, khaos, record)
    return job:step("cancelled in Khaos " .. record.order_code, function()
        local state, result = cancel.lookup(khaos, record.reference, record.order_code)
        if not state then
            return nil, result
        end
        return {is_cancelled = state == "found", left = state == "found" and result.left or nil}
    end)
end

--- Is the order cancelled in Khaos? What had left before that is not: a person may have sent a part
--- and cancelled the rest.
---@async
---@param khaos khaos.Client
---@param reference string ours
---@param order_code string
---@return "found"|"absent"|nil
---@return {cancelled: true, left: integer|nil}|neap.Error|nil left: units that were sent
function cancel.lookup(khaos, reference, order_code)
    local order, err = order_status.of_order(khaos, reference, order_code)
    if err then
        return nil, err
    elseif not order or not order.is_cancelled then
        return "absent"
    end
    local left = 0
    for _, parcel in ipairs(order.parcels) do
        for _, item in ipairs(parcel.items) do
            left = left + item.quantity
        end
    end
    return "found", {cancelled = true, left = #order.parcels > 0 and math.max(left, 1) or nil}
end

return cancel
