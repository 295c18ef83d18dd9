--- What the day brings: how many orders when, which faults, and what becomes of each order. Chance
--- is a pure function of the seed and the order's number.
local agenda = require("day.agenda")
local faults = require("day.faults")
local outside = require("day.outside")
local random = require("lib.sandbox.random")
local store = require("neap.store")
local time = require("neap.time")

local plan = {}

--- order id -> {kind, lines, sent, returned, taken_off, goodwill}: an order in Khaos.
plan.POSTED = "posted"
--- SKU -> units that were written off by hand: as many may be oversold.
plan.EXPOSED = "exposed"

local MINUTE_MS = 60000
local HOUR_MS = 60 * MINUTE_MS
local OPENS_HOUR, CLOSES_HOUR = 7, 20 -- of the warehouse, UTC
local OPENS_UNTIL_HOUR = 9 -- what waits in the morning has left by then

-- Orders per hour, from 06:00 on, as shares.
local CURVE = {1, 2, 4, 5, 5, 5, 7, 6, 5, 5, 6, 8, 11, 15, 20, 16, 9, 5, 2, 1, 0.5, 0.5, 0.5, 1}

-- What nobody has mapped or created yet (`held_share` of all orders).
local HELD = {"unknown_sku", "unmapped_payment", "unmapped_tax", "unmapped_carrier",
    "undeclared_promotion", "totals_do_not_tie", "unmapped_market"}

--- Kinds whose units cost what the shop shows beside them, so that a return is worth just that.
local RETURNABLE = {plain = true, multi_unit = true, express = true, mixed_vat = true, sale = true,
    percentage = true, promotion_code = true, promotion_percent = true, gift_card = true,
    guest = true, eur = true, collection_point = true, zero_rated_export = true,
    free_shipping = true}

--- Kinds of which an agent takes a unit off.
local SHRINKABLE = {plain = true, multi_unit = true, express = true, guest = true}

local SKUS = {"FO-SCK-0007-L", "FO-JKT-1042-M", "FO-BTL-0750-GRN", "FO-CAP-0311", "FO-GIL-2201-S",
    "FO-MAP-LAKES", "FO-BAR-0012", "FO-TNT-0200"}
local FIRST_SHARE, DELIVERED_SHARE = 0.5, 0.2 -- of the orders, in units per SKU
local DELIVERY_HOURS = {3, 6, 9, 12, 15}
local WRITTEN_OFF = 3

-- ---- the day ---------------------------------------------------------------------------------

local function kinds_of(settings, good, hour, count)
    local r = random.new(settings.seed * 100 + hour)
    local kinds = {}
    for i = 1, count do
        kinds[i] = r:chance(settings.held_share) and r:pick(HELD) or r:pick(good)
    end
    return kinds
end

local function plan_orders(settings, start_ms)
    local good = outside.good_kinds()
    local total = 0
    for _, share in ipairs(CURVE) do
        total = total + share
    end
    local due, placed = 0, 0
    for hour, share in ipairs(CURVE) do
        due = due + share * settings.orders / total
        local count = math.floor(due + 0.5) - placed
        placed = placed + count
        if count > 0 then
            -- The shop opens when it has its first stock.
            local late_ms = hour == 1 and 20 * MINUTE_MS or 0
            agenda.add(start_ms + (hour - 1) * HOUR_MS + late_ms, {act = "shoppers", count = count,
                seed = settings.seed * 100 + hour, kinds = kinds_of(settings, good, hour, count),
                interval_ms = (HOUR_MS - late_ms) // count})
        end
    end
end

local function plan_stock(settings, start_ms)
    for i, sku in ipairs(SKUS) do
        local units = math.floor(settings.orders * FIRST_SHARE) + 20
        agenda.add(start_ms, {act = "stock", code = sku, received = units})
        for _, hour in ipairs(DELIVERY_HOURS) do
            agenda.add(start_ms + hour * HOUR_MS + i * 7 * MINUTE_MS, {act = "stock", code = sku,
                received = math.floor(settings.orders * DELIVERED_SHARE) + i})
        end
    end
    for i, sku in ipairs({SKUS[2], SKUS[4]}) do
        agenda.add(start_ms + (4 + 6 * i) * HOUR_MS, {act = "stock", code = sku,
            received = -WRITTEN_OFF, is_loss = true})
    end
end

--- The first minute.
---@async
---@param settings table
---@param start_ms integer
function plan.begin(settings, start_ms)
    plan_stock(settings, start_ms)
    plan_orders(settings, start_ms)
    faults.plan(settings, start_ms)
    for hour = 1, 30 do
        agenda.add(start_ms + hour * HOUR_MS, {act = "hour"})
    end
    for quarter = 1, 28 * 4 do
        agenda.add(start_ms + quarter * 15 * MINUTE_MS, {act = "office"})
    end
end

-- ---- one order -------------------------------------------------------------------------------

local function draw(settings, order_id, what)
    return random.unit(settings.seed, order_id * 16 + what)
end

--- An order was placed.
---@param settings table
---@param order table
function plan.placed(settings, order)
    local now_ms = time.now_ms()
    store.increment("day_counts", "placed")
    store.put("kinds", tostring(order.id), order.kind)
    local u = draw(settings, order.id, 1)
    if order.expect ~= "posted" and u < 0.15 then
        agenda.add(now_ms + 2 * HOUR_MS, {act = "shopper_cancels", order_id = order.id})
    elseif u < 0.015 then
        -- Before, while or after it is delegated.
        agenda.add(now_ms + math.floor(u / 0.015 * 4) * MINUTE_MS, {act = "shopper_cancels",
            order_id = order.id})
    end
end

-- When the warehouse is at work.
local function at_work(wanted_ms, u)
    local day_ms = wanted_ms % (24 * HOUR_MS)
    if day_ms >= OPENS_HOUR * HOUR_MS and day_ms < CLOSES_HOUR * HOUR_MS then
        return wanted_ms
    end
    local next_ms = wanted_ms - day_ms + OPENS_HOUR * HOUR_MS
    if day_ms >= CLOSES_HOUR * HOUR_MS then
        next_ms = next_ms + 24 * HOUR_MS
    end
    return next_ms + math.floor(u * (OPENS_UNTIL_HOUR - OPENS_HOUR) * HOUR_MS)
end

local function has_pack(order)
    for _, line in ipairs(order.lines) do
        if line.is_pack or line.pack then
            return true
        end
    end
    return false
end

local function pick_sending(settings, order, order_id)
    local u, units = draw(settings, order_id, 3), 0
    for _, line in ipairs(order.lines) do
        units = units + line.quantity
    end
    if has_pack(order) or units < 2 or u < 0.70 then
        return "whole"
    end
    return u < 0.80 and "boxes" or u < 0.90 and "parts" or u < 0.95 and "untracked" or "unissued"
end

local function plan_aftermath(settings, order, order_id, sent_ms)
    local u = draw(settings, order_id, 4)
    local can_return = not has_pack(order) and RETURNABLE[store.get("kinds", tostring(order_id))]
    local later_ms = sent_ms + 3 * HOUR_MS + math.floor(draw(settings, order_id, 5) * 6 * HOUR_MS)
    if u < 0.02 then
        agenda.add(sent_ms + 30 * MINUTE_MS, {act = "shopper_cancels", order_id = order_id})
    elseif u < 0.08 and can_return then
        -- Khaos Control Cloud tells nobody of what it credits by itself: there all goods come
        -- back through the shop.
        agenda.add(later_ms, {act = settings.is_cloud and "return_to_shop"
            or "return_to_warehouse", order_id = order_id})
    elseif u < 0.12 and can_return then
        agenda.add(later_ms, {act = "return_to_shop", order_id = order_id})
    elseif u < 0.15 and not settings.is_cloud then
        agenda.add(later_ms, {act = "goodwill", order_id = order_id})
    end
end

-- Several units at plain gross prices: of others the pennies that Khaos makes of what is left are a
-- person's.
local function can_shrink(order, order_id)
    local units = 0
    for _, line in ipairs(order.lines) do
        units = units + (line.sku:find("^FO%-") and line.quantity or 0)
    end
    return units > 1 and SHRINKABLE[store.get("kinds", tostring(order_id))]
end

--- An order came to Khaos.
---@param settings table
---@param order table
function plan.posted(settings, order)
    local order_id = math.tointeger(tonumber(order.reference:sub(3)))
    local now_ms, u = time.now_ms(), draw(settings, order_id, 2)
    store.increment("day_counts", "posted")
    store.put(plan.POSTED, tostring(order_id), {lines = order.lines})
    if u < 0.03 then
        agenda.add(now_ms + math.floor(u * 1000) * MINUTE_MS, {act = "shopper_cancels",
            order_id = order_id, is_unsent = true})
        return
    elseif u < 0.045 then
        agenda.add(now_ms + HOUR_MS, {act = "warehouse_cancels", order_id = order_id})
        return
    end
    if u < 0.12 and can_shrink(order, order_id) then
        agenda.add(now_ms + 20 * MINUTE_MS, {act = "agent_takes_off", order_id = order_id})
        agenda.add(at_work(now_ms + 2 * HOUR_MS, draw(settings, order_id, 7)),
            {act = "send", order_id = order_id, how = "whole"})
        return
    end
    local picked_ms = 30 * MINUTE_MS + math.floor(draw(settings, order_id, 6) * 6 * HOUR_MS)
    local sent_ms = at_work(now_ms + picked_ms, draw(settings, order_id, 7))
    agenda.add(sent_ms, {act = "send", order_id = order_id,
        how = pick_sending(settings, order, order_id)})
    plan_aftermath(settings, order, order_id, sent_ms)
end

return plan
