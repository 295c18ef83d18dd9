--- Money that the shop gives back: for returned units, for the delivery, of an agent's own accord.
--- The record keeps a ledger of it; the order shows only a billing status, as the contract has it.

local catalogue = require("shop.catalogue")
local orders = require("shop.orders")
local world = require("shop.world")

local refunds = {}

local CODES = {billing_completed = true, billing_partially_refunded = true,
    billing_refunded = true, billing_payment_cancelled = true}
local DELIVERY = {delivery = true, shipment = true}

local function problem(status, key, message)
    return nil, {status = status, key = key, message = message}
end

local function unit_minor(item)
    local reduced = item.price.absoluteVoucherReducedPrice
    return type(reduced) == "table" and reduced.withTax or item.price.withTax
end

local function delivery_fees(order)
    local keys, minor = {}, 0
    for _, fee in ipairs(order.cost.appliedFees or {}) do
        if DELIVERY[fee.category] then
            keys[#keys + 1], minor = fee.key, minor + fee.amount.withTax
        end
    end
    return keys, minor
end

local function total(record)
    local minor = 0
    for _, entry in ipairs(record.refunds or {}) do
        minor = minor + entry.minor
    end
    return minor
end

local function is_all_returned(order)
    for _, item in ipairs(order.items) do
        if item.status ~= "returned" and item.status ~= "cancelled" then
            return false
        end
    end
    return true
end

-- One refund: the ledger, the billing status, what the webhooks say.
local function book(w, order, refund)
    local record = orders.record(w, order.id)
    record.refunds = record.refunds or {}
    refund.id = ("RF%d"):format(world.number(w, "refund", 70001))
    refund.at_ms = w.now_ms
    table.insert(record.refunds, refund)
    orders.save_record(w, record)
    local code = total(record) >= order.cost.withTax and "billing_refunded"
        or "billing_partially_refunded"
    order.detailedStatus.billing = {code = code, name = code}
    orders.save(w, order)
    return refund
end

local function was_delivery_refunded(w, order)
    for _, entry in ipairs(orders.record(w, order.id).refunds or {}) do
        if entry.fees and #entry.fees > 0 then
            return true
        end
    end
    return false
end

--- Refunds units that came back; with the last of them the delivery too, where that is switched on.
---@param w table world
---@param order table
---@param items table<integer, boolean> that are returned only now
---@return table|nil refund
function refunds.of_return(w, order, items)
    local minor, units, fees = 0, {}, {}
    for _, item in ipairs(order.items) do
        if items[item.id] then
            minor, units[#units + 1] = minor + unit_minor(item), item.id
        end
    end
    if w.settings.refund_delivery and is_all_returned(order)
        and not was_delivery_refunded(w, order) then
        local keys, delivery = delivery_fees(order)
        fees, minor = keys, minor + delivery
    end
    return #units > 0 and book(w, order, {minor = minor, items = units, fees = fees}) or nil
end

--- An agent refunds: the delivery, or an amount that nothing explains.
---@param w table
---@param order table
---@param body {delivery: boolean|nil, amount_minor: integer|nil}
---@return table|nil refund
function refunds.by_agent(w, order, body)
    local fees, minor = {}, body.amount_minor or 0
    if body.delivery then
        local keys, delivery = delivery_fees(order)
        fees, minor = keys, minor + delivery
    end
    return minor > 0 and book(w, order, {minor = minor, items = {}, fees = fees}) or nil
end

local function check_items(order, items)
    local known = {}
    for _, item in ipairs(order.items) do
        known[item.id] = true
    end
    for _, entry in ipairs(items or {}) do
        if type(entry) ~= "table" or not known[entry.id] or not CODES[entry.code] then
            return false
        end
    end
    return true
end

--- PATCH .../billing-status: records what happened outside, moves no money.
---@param w table
---@param order table
---@param body table
---@return boolean|nil
---@return table|nil error
function refunds.set_status(w, order, body)
    if not CODES[body.code] then
        return problem(400, "VALIDATION_ERROR", "code is not a billing status")
    elseif type(body.reason) ~= "string" or body.reason == "" then
        return problem(400, "VALIDATION_ERROR", "reason is missing")
    elseif not check_items(order, body.items) then
        return problem(400, "VALIDATION_ERROR", "items must name items of the order with a code")
    elseif w.settings.billing_repeat_conflicts and order.detailedStatus.billing.code == body.code
    then
        return problem(409, "CONFLICT", "the order has this billing status")
    end
    order.detailedStatus.billing = {code = body.code, name = body.code}
    orders.save(w, order)
    local record = orders.record(w, order.id)
    record.billing_changes = record.billing_changes or {}
    table.insert(record.billing_changes, {at_ms = w.now_ms, code = body.code,
        reason = body.reason})
    orders.save_record(w, record)
    return true
end

--- The payload of a refund's webhook: the order with the fees it refunds marked, and the refund.
--- The shape of the latter is the sandbox's own: the contract does not know it.
---@param order table changed
---@param refund table
---@return table
function refunds.payload(order, refund)
    local is_refunded = {}
    for _, key in ipairs(refund.fees or {}) do
        is_refunded[key] = true
    end
    for _, fee in ipairs(order.cost.appliedFees or {}) do
        fee.refundTriggered = DELIVERY[fee.category] and is_refunded[fee.key] or false
    end
    return {order = order, refund = {id = refund.id, amount = refund.minor,
        merchant = catalogue.MERCHANT.referenceKey}}
end

return refunds
