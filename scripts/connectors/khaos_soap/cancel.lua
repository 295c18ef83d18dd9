--- Cancelling a sales order in Khaos: a paid development (contract 5.1), capability "cancel_order".
---
--- Its signature is not documented. This is the one place that knows it: operation and parameter
--- are settings of the client's installation. A fault may be a refusal or trouble, and nobody can
--- tell by its words, so the outcome counts as open and the order itself is looked up.
local client = require("connectors.khaos_soap.client")
local orders = require("connectors.khaos_soap.orders")

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
---@return {cancelled: boolean}|nil
---@return neap.Error|nil
function cancel.read(answer, settings)
    local result, err = client.read(answer, settings.operation, {is_write = true})
    if result ~= nil then
        return {cancelled = true}
    end
    return nil, err
end

--- Is the order cancelled in Khaos?
---@async
---@param khaos khaos.Client
---@param reference string ours
---@param order_code string
---@return "found"|"absent"|nil
---@return any
function cancel.lookup(khaos, reference, order_code)
    local found, err = orders.find(khaos, reference)
    if not found then
        return nil, err
    end
    for _, order in ipairs(found) do
        if order.order_code == order_code and order.is_cancelled then
            return "found", {cancelled = true}
        end
    end
    return "absent"
end

return cancel
