--- What people do: shoppers, warehouse, office, and whoever breaks things.
local agenda = require("day.agenda")
local json = require("neap.json")
local outside = require("day.outside")
local plan = require("day.plan")
local store = require("neap.store")
local summary = require("day.summary")
local time = require("neap.time")

local acts = {}

local MINUTE_MS = 60000
local HOUR_MS = 60 * MINUTE_MS

local GOODWILL_MINOR = 150

local ACTS = {}

local function posted(order_id)
    return store.get(plan.POSTED, tostring(order_id))
end

local function count(name, by)
    store.increment("day_counts", name, by)
end

-- ---- shoppers --------------------------------------------------------------------------------

function ACTS.shoppers(entry)
    outside.shop("play", {seed = entry.seed, count = entry.count, kinds = entry.kinds,
        interval_ms = entry.interval_ms, only_visible = true})
end

function ACTS.shopper_cancels(entry)
    outside.shop("cancel", {order_id = entry.order_id})
    count("cancel_wishes")
    store.put("cancel_wanted", tostring(entry.order_id), true)
    if entry.is_unsent then
        agenda.add(time.now_ms() + HOUR_MS, {act = "send_unless_cancelled",
            order_id = entry.order_id})
    end
end

-- An agent of the shop takes a unit off the order; the office takes it off in Khaos when the client
-- asks for it.
function ACTS.agent_takes_off(entry)
    local order, known = outside.shop_order(entry.order_id), posted(entry.order_id)
    if known.sent or known.is_cancelled then
        return
    end
    local unit = order.units[1]
    outside.shop("cancel_items", {order_id = entry.order_id, items = {unit.id}})
    known.taken_off = {sku = unit.sku}
    store.put(plan.POSTED, tostring(entry.order_id), known)
    count("taken_off")
end

-- A unit that has left, whose SKU has one price in the order.
local function unit_to_return(order)
    local prices = {}
    for _, unit in ipairs(order.units) do
        local first = prices[unit.sku] or unit.minor
        prices[unit.sku] = first == unit.minor and first or false
    end
    for _, unit in ipairs(order.units) do
        if unit.status == "shipped" and prices[unit.sku] and unit.minor > 0 then
            return unit
        end
    end
    return nil
end

local function credit(order_id, unit)
    outside.in_khaos(order_id, "credit", {items = {{stock_code = unit.sku, quantity = 1}},
        amount_minor = unit.minor})
    count("returns")
end

-- Khaos books it; the shop is told by the client.
function ACTS.return_to_warehouse(entry)
    local unit = unit_to_return(outside.shop_order(entry.order_id))
    if unit then
        credit(entry.order_id, unit)
    end
end

-- Money without goods, of which the shop is told by the client.
function ACTS.goodwill(entry)
    local known = posted(entry.order_id)
    if known.sent and not known.is_cancelled then
        outside.in_khaos(entry.order_id, "credit", {amount_minor = GOODWILL_MINOR})
        known.goodwill = GOODWILL_MINOR
        store.put(plan.POSTED, tostring(entry.order_id), known)
        count("goodwill")
    end
end

-- The shop took it back by itself; the office books it when the client's worklist says so.
-- Not while Neap is away: that webhook would be lost, and nothing sweeps for returns.
function ACTS.return_to_shop(entry)
    local back_ms = store.get("day", "back_ms") or 0
    if time.now_ms() < back_ms then
        agenda.add(back_ms, entry)
        return
    end
    local order = outside.shop_order(entry.order_id)
    local first
    for _, unit in ipairs(order.units) do
        first = first or unit.status == "shipped" and unit or nil
    end
    local unit = unit_to_return(order)
    if unit and first.id == unit.id then
        outside.shop("return", {order_id = entry.order_id, count = 1})
        local known = posted(entry.order_id)
        known.returned = unit
        store.put(plan.POSTED, tostring(entry.order_id), known)
    end
end

-- ---- the warehouse ---------------------------------------------------------------------------

function ACTS.stock(entry)
    outside.khaos("stock", {code = entry.code, received = entry.received})
    if entry.is_loss then
        store.increment(plan.EXPOSED, entry.code, -entry.received)
    end
end

-- One unit alone, and all the rest.
local function in_two(lines)
    local first, rest
    rest = {}
    for _, line in ipairs(lines) do
        local quantity = line.quantity
        if not first and line.sku:find("^FO%-") then
            first = {stock_code = line.sku, quantity = 1}
            quantity = quantity - 1
        end
        if quantity > 0 then
            rest[#rest + 1] = {stock_code = line.sku, quantity = quantity}
        end
    end
    return first, rest
end

local SENDINGS = {}

function SENDINGS.whole(order_id)
    outside.in_khaos(order_id, "ship")
end

function SENDINGS.boxes(order_id, lines)
    local first, rest = in_two(lines)
    outside.in_khaos(order_id, "ship", {boxes = {{items = {first}}, {items = rest}}})
    count("parcels")
end

function SENDINGS.parts(order_id, lines)
    outside.in_khaos(order_id, "ship", {items = {(in_two(lines))}})
    agenda.add(time.now_ms() + 2 * HOUR_MS, {act = "send_rest", order_id = order_id})
end

function SENDINGS.untracked(order_id)
    outside.in_khaos(order_id, "ship", {consignment = ""})
    agenda.add(time.now_ms() + 40 * MINUTE_MS, {act = "track", order_id = order_id})
end

function SENDINGS.unissued(order_id)
    outside.in_khaos(order_id, "ship", {invoice_stage = 14})
    agenda.add(time.now_ms() + 40 * MINUTE_MS, {act = "issue", order_id = order_id})
end

function ACTS.send(entry)
    local known = posted(entry.order_id)
    -- Cancelled by the office meanwhile.
    if known.is_cancelled then
        return
    elseif known.taken_off and not known.taken_off.is_done then
        agenda.add(time.now_ms() + 20 * MINUTE_MS, entry) -- the office has not come to it
        return
    end
    known.sent = true
    store.put(plan.POSTED, tostring(entry.order_id), known)
    SENDINGS[entry.how](entry.order_id, known.lines)
    count("parcels")
end

function ACTS.send_unless_cancelled(entry)
    ACTS.send({order_id = entry.order_id, how = "whole"})
end

function ACTS.send_rest(entry)
    outside.in_khaos(entry.order_id, "ship")
    count("parcels")
end

function ACTS.track(entry)
    outside.in_khaos(entry.order_id, "track", {consignment = "LATE" .. entry.order_id})
end

function ACTS.issue(entry)
    outside.in_khaos(entry.order_id, "issue")
end

local function cancel_in_khaos(order_id, reason)
    local known = posted(order_id)
    if known and not known.sent and not known.is_cancelled then
        outside.in_khaos(order_id, "cancel", {reason = reason})
        known.is_cancelled = true
        store.put(plan.POSTED, tostring(order_id), known)
        count("cancelled")
        return true
    end
    return false
end

function ACTS.warehouse_cancels(entry)
    cancel_in_khaos(entry.order_id, "Not found in the warehouse")
end

-- ---- the office ------------------------------------------------------------------------------

local MENDS = {}

function MENDS.unknown_stock_code(problem)
    if store.get("created", problem.subject) then
        return -- it has not been seen yet
    end
    store.put("created", problem.subject, true)
    outside.khaos("stock", {code = problem.subject, level = 50})
    outside.shop("variants", {skus = {problem.subject}})
end

function MENDS.cancel_in_khaos(problem)
    local order_id = math.tointeger(tonumber(problem.subject))
    local known = posted(order_id)
    if not cancel_in_khaos(order_id, "Shopper") and not known.is_cancelled then
        outside.verb({"exceptions", "dismiss", problem.cause, problem.subject}, "it has left")
    end
end

function MENDS.amend_in_khaos(problem)
    local order_id = math.tointeger(tonumber(problem.subject))
    local known = posted(order_id)
    if not known.taken_off.is_done then
        outside.in_khaos(order_id, "take_off", {items = {{stock_code = known.taken_off.sku,
            quantity = 1}}})
        known.taken_off.is_done = true
        store.put(plan.POSTED, problem.subject, known)
    end
    if problem.recheck == "manual" then -- Khaos Control Cloud shows no lines
        outside.verb({"exceptions", "release", problem.cause, problem.subject}, "taken off")
    end
end

function MENDS.cancel_too_late(problem)
    outside.verb({"exceptions", "release", problem.cause, problem.subject}, "left to the return")
end

function MENDS.return_not_in_khaos(problem)
    local order_id = math.tointeger(tonumber(problem.subject))
    local known = posted(order_id)
    if known.returned then
        credit(order_id, known.returned)
        known.returned = nil
        store.put(plan.POSTED, problem.subject, known)
    end
end

-- Goes through the worklist, as far as it says what to do.
function ACTS.office()
    for _, problem in ipairs(outside.verb({"exceptions", "ls"}) or {}) do
        local mend = MENDS[problem.cause]
        if mend then
            mend(problem)
            count("mended")
        end
    end
end

function ACTS.hour()
    outside.say(summary.line())
end

-- ---- whoever breaks things -------------------------------------------------------------------

function ACTS.faults(entry)
    outside[entry.at]("faults", {seed = entry.seed, rules = json.array(entry.rules)})
end

function ACTS.edit(entry)
    outside.desk("edit", {file = entry.file, find = entry.find, put = entry.put})
end

function ACTS.kill(entry)
    outside.desk("kill", {ms = entry.ms})
    store.put("day", "back_ms", time.now_ms() + entry.ms + MINUTE_MS)
    outside.say(summary.event("kill -9 of Neap within a turn; started again after "
        .. entry.ms // 1000 .. " s"))
end

function ACTS.clock(entry)
    outside.desk("clock", {ms = entry.ms})
end

--- One thing of the agenda.
---@async
---@param entry table
function acts.run(entry)
    if entry.say then
        outside.say(summary.event(entry.say))
    end
    ACTS[entry.act](entry)
end

--- What the books must notice: only for tests of the books themselves.
---@async
---@param settings table
---@param state table
function acts.sabotage(settings, state)
    if settings.sabotage ~= "" and not state.is_sabotaged then
        state.is_sabotaged = true
        local orders = outside.khaos_pages("orders")
        local victim = orders[#orders // 2 + 1]
        if settings.sabotage == "penny" then
            outside.in_khaos(victim.reference:sub(3), "tamper", {minor = 1})
        elseif settings.sabotage == "cancel" then
            -- Behind everybody's back: the client tells the shop, which sent it already.
            outside.in_khaos(victim.reference:sub(3), "cancel", {reason = "sabotage"})
        end
    end
end

return acts
