--- What is left of an order when some of its units were cancelled before it was posted: the order
--- without them, and what it comes to then. Pure.
---
--- How SCAYLE's totals move after a partial cancellation is not documented (contract 2.5). Two
--- readings are safe: the total still covers all units, then the cancelled ones are taken off it;
--- or it covers what is left already. Everything else is said with both figures, and not posted.
--- So is an order with an amount off the whole of it: nobody says whose share stays, and a total
--- less a voucher can look like one less a unit.
local amounts = require("flows.orders.amounts")
local json = require("neap.json")
local read = require("flows.orders.read")

local remaining = {}

local text = amounts.text

local GONE = {cancelled = true, canceled = true}

--- Whether SCAYLE shows an item as cancelled: nobody will send it, and nobody pays for it. Other
--- states that may mean the same ("undeliverable", "unavailable", a date that the state does not
--- bear out) do not count: an order with such a unit is held, a unit is not left out on a guess.
---@param item table
---@return boolean
function remaining.is_gone(item)
    return GONE[read.text(item, "status") or ""] == true
        and read.text(item, "shippedAt") == nil and read.text(item, "returnedAt") == nil
end

local function is_out(item, also)
    return remaining.is_gone(item) or also ~= nil and also[read.text(item, "id") or ""] == true
end

local function price_of(item)
    return read.integer(read.table(item, "price"), "withTax") or 0
end

--- Ids of our units that are cancelled, and of all our units.
---@param order table
---@param merchant string our reference key
---@param also table<string, true>|nil ids of units that are cancelled as well
---@return string[] gone
---@return string[] ours
function remaining.units(order, merchant, also)
    local gone, ours = {}, {}
    for _, item in ipairs(read.table(order, "items")) do
        local id = read.text(item, "id")
        if id and read.is_ours(item, merchant) then
            ours[#ours + 1] = id
            gone[#gone + 1] = is_out(item, also) and id or nil
        end
    end
    return gone, ours
end

local CODE_MAX = 150 -- Khaos's are far shorter; a key of the store must hold it

--- How many of each stock code our units that are not cancelled take; nil when that is not known:
--- the order shows no items, or one of ours without a code that can be one.
---@param order table
---@param merchant string our reference key
---@param also table<string, true>|nil ids of units that are cancelled as well
---@return table<string, integer>|nil
function remaining.codes(order, merchant, also)
    local items, codes = read.table(order, "items"), {}
    for _, item in ipairs(items) do
        if read.is_ours(item, merchant) and not is_out(item, also) then
            local code = read.text(read.table(item, "variant"), "referenceKey")
            if not code or #code > CODE_MAX or code:find("%c") then
                return nil
            end
            codes[code] = (codes[code] or 0) + 1
        end
    end
    return #items > 0 and codes or nil
end

local function copy(record, changes)
    local same = {}
    for name, value in pairs(record) do
        same[name] = value
    end
    for name, value in pairs(changes) do
        same[name] = value
    end
    return same
end

-- An amount off the whole order: an absolute voucher, a membership discount.
local function has_amount_off(order, cost)
    for _, reduction in ipairs(read.table(cost, "appliedReductions")) do
        if read.text(reduction, "type") ~= "relative" then
            return true
        end
    end
    return (read.integer(read.table(order, "membershipDiscount"), "reductionValue") or 0) ~= 0
end

-- The total of what is left; nil and why it cannot be said.
local function total_left(order, cost, kept, gone)
    local total, fees = read.integer(cost, "withTax"), read.sum_fees(cost)
    local is_known = total == kept + fees or total == kept + gone + fees
    if is_known and not has_amount_off(order, cost) then
        return kept + fees
    end
    local order_id = read.text(order, "id") or "?"
    return nil, string.format("Order %s: SCAYLE's total is %s; with the cancelled units it would "
        .. "be %s, without them %s. What the order comes to after the cancellation is not known",
        order_id, total and text(total) or "unreadable", text(kept + gone + fees),
        text(kept + fees))
end

-- One payment pays what is left; how several share it is not documented.
local function payments_left(order, total)
    local list = read.table(order, "payment")
    local sum = 0
    for _, payment in ipairs(list) do
        sum = sum + (read.integer(payment, "amount") or 0)
    end
    if sum == total or #list ~= 1 or sum < total then
        return order.payment
    end
    return json.array({copy(list[1], {amount = total})})
end

local function without(order, delegation, cost, items, total)
    local left = copy(order, {items = items})
    local own = read.table(delegation, "cost")
    if own == cost then
        delegation = copy(delegation, {cost = copy(cost, {withTax = total})})
    else
        left.cost = copy(cost, {withTax = total})
        left.payment = payments_left(order, total)
        delegation = delegation and copy(delegation, {cost = json.null})
    end
    return left, delegation
end

local function split(order, merchant, also)
    local items, kept, gone, count, is_shared = json.array({}), 0, 0, 0, false
    for _, item in ipairs(read.table(order, "items")) do
        local own = read.is_ours(item, merchant)
        is_shared = is_shared or not own
        if own and is_out(item, also) then
            gone, count = gone + price_of(item), count + 1
        else
            items[#items + 1] = item
            kept = kept + (own and price_of(item) or 0)
        end
    end
    return items, kept, gone, count, is_shared
end

--- The order and its delegation without the units that are cancelled. Both come back as they are
--- when nothing is cancelled, or everything is.
---@param order table
---@param delegation table|nil
---@param merchant string our reference key
---@param also table<string, true>|nil ids of units that are to go as well
---@return table order
---@return table|nil delegation
---@return string|nil problem words: the total of what is left is not known
function remaining.of(order, delegation, merchant, also)
    local items, kept, gone, count, is_shared = split(order, merchant, also)
    if count == 0 or #items == 0 then
        return order, delegation
    end
    local cost = read.table(is_shared and delegation or order, "cost")
    local total, problem = total_left(order, cost, kept, gone)
    if not total then
        return copy(order, {items = items}), delegation, problem
    end
    return without(order, delegation, cost, items, total)
end

return remaining
