--- Telling SCAYLE of money that went back outside of it (contract 3.5): it records a state and
--- moves no money.
local client = require("connectors.scayle.client")
local json = require("neap.json")
local orders = require("connectors.scayle.orders")

local billing = {}

billing.PARTIALLY = "billing_partially_refunded"
billing.WHOLLY = "billing_refunded"

--- Request that records a state of the whole order.
---@param where {shop_key: string, country: string}
---@param order_id string
---@param code string
---@param reason string goes to SCAYLE's audit log
---@return table request for an effect of class "lookup"
function billing.request(where, order_id, code, reason)
    return client.request({method = "PATCH",
        path = client.shop_path(where) .. "/orders/" .. client.identifier(order_id)
            .. "/billing-status",
        body = {code = code, reason = reason, items = json.array({})}})
end

--- What the answer says.
---@param answer neap.http.Answer
---@return {recorded: boolean}|nil
---@return neap.Error|nil
function billing.read(answer)
    local body, err = client.read(answer)
    if body then
        return {recorded = true}
    end
    return nil, err
end

--- The state that SCAYLE shows of an order.
---@async
---@param scayle scayle.Client
---@param where {shop_key: string, country: string}
---@param order_id string
---@return string|nil
---@return neap.Error|nil
function billing.code(scayle, where, order_id)
    local order, err = orders.get(scayle, where, order_id)
    if not order then
        return nil, err
    end
    local detailed = type(order.detailedStatus) == "table" and order.detailedStatus.billing
    return type(detailed) == "table" and tostring(detailed.code) or ""
end

--- Was it recorded? An order that shows the state proves it only when it did not before; else it
--- is recorded again, which changes nothing. One that became wholly refunded is left so: that says
--- more.
---@async
---@param scayle scayle.Client
---@param where {shop_key: string, country: string}
---@param order_id string
---@param wanted string
---@param before string|nil what the order showed before it was told
---@return "found"|"absent"|nil
---@return any
function billing.lookup(scayle, where, order_id, wanted, before)
    local code, err = billing.code(scayle, where, order_id)
    if not code then
        return nil, err
    end
    local is_news = before ~= code and (code == wanted or code == billing.WHOLLY)
    return is_news and "found" or "absent", {recorded = true}
end

return billing
