--- SCAYLE as a rehearsal needs it: it shows the case's order, takes what it is told about units as
--- the order permits, and keeps that in the words of cases.
local http_answer = require("flows.rehearsal.http_answer")
local json = require("neap.json")
local rehearsed_order = require("flows.rehearsal.order")

local scayle = {}

-- A unit must be in one of these states for what it is told of.
local FROM = {shipped = {available = true}, cancelled = {available = true},
    returned = {shipped = true}}

---@class rehearsal.Scayle
---@field told table[] in order
---@field document table the order as it is shown
local Scayle = {}
Scayle.__index = Scayle

--- Of a case's order.
---@param given table field `order` of the case
---@param merchant string|nil
---@return rehearsal.Scayle
function scayle.new(given, merchant)
    return setmetatable({told = {}, document = rehearsed_order.document(given, merchant)}, Scayle)
end

local function ids_of(items, field)
    local ids = {}
    for i, item in ipairs(items) do
        ids[i] = tostring(item[field])
    end
    return ids
end

-- False: the order does not permit it.
local function turn(self, ids, state)
    local by_id = {}
    for _, item in ipairs(self.document.items) do
        by_id[tostring(item.id)] = item
    end
    for _, id in ipairs(ids) do
        if not by_id[id] or not FROM[state][by_id[id].status] then
            return false
        end
    end
    for _, id in ipairs(ids) do
        by_id[id].status = state
    end
    return true
end

local TAKES = {
    ["/fulfillment/shipments"] = function(body)
        return {kind = "shipment", order = tostring(body.orderId), carrier = body.carrier,
            tracking = body.shipmentKey, left_at = body.deliveryDate,
            units = ids_of(body.items, "orderItemId")}, "shipped"
    end,
    ["/fulfillment/cancellations"] = function(body)
        return {kind = "cancellation", order = tostring(body.orderId),
            units = ids_of(body.items, "orderItemId")}, "cancelled"
    end,
    ["/fulfillment/return-items"] = function(body)
        return {kind = "return", reason = body[1] and body[1].returnReason,
            units = ids_of(body, "returnKey")}, "returned"
    end,
}

--- Answers a request; nil when it is none of those above.
---@param request table
---@return table|nil neap.http.Answer
function Scayle:answer(request)
    local take = request.method == "POST" and TAKES[request.path]
    if take then
        local told, state = take(json.decode(request.body))
        if not turn(self, told.units, state) then
            return http_answer(409, "{}")
        end
        self.told[#self.told + 1] = told
        return http_answer(204)
    elseif request.method == "PATCH" and request.path:find("/billing-status", 1, true) then
        local body = json.decode(request.body)
        self.document.detailedStatus.billing.code = body.code
        self.told[#self.told + 1] = {kind = "billing", status = body.code, reason = body.reason}
        return http_answer(200, "{}")
    elseif request.method == "GET" and request.path:find("/orders/", 1, true) then
        return http_answer(200, assert(json.encode(self.document)))
    end
    return nil
end

return scayle
