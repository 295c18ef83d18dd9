--- What accepted orders take of the stock while Khaos does not know it yet, held orders too.
---
--- An order counts from the slice that accepts it until a read of Khaos that *began after* the
--- import's reply: only such a figure surely holds it. Kits count for what they are made of.
local store = require("neap.store")
local watermark = require("flows.stock_stages.watermark")

local stock_pending = {}

--- order key -> accepted and not posted: {order_id, accepted_ms, confirmed_ms, units = {sku ->
--- quantity}|nil}
stock_pending.OPEN = "orders_open"
-- order key -> {units, posted_ms}; while Khaos amends it {units, posted_ms, left, former}
local POSTED = "stock_pending"
-- "<sku>\n<order key>" -> {quantity, posted_ms}: of both, once somebody reads stock
local BY_SKU = "stock_pending_sku"
-- "index" -> {is_complete}: BY_SKU is kept; complete when it holds what was open before, too
local STATE = "stock_state"
local KITS_OF = "stock_kits_of" -- "<component>\n<kit>" -> quantity of it in the kit
--- sku -> {since_ms}: read again at the next poll although Khaos need not have moved it.
stock_pending.REREAD = "stock_reread"

-- sku -> {at_ms}: when the newest order took of it, in SCAYLE's time. SCAYLE lowered its figure by
-- it until one that is stamped later comes, be it the same: codes without a level and capped ones
-- stay as they are in Khaos, and a figure that knew an order can have been stamped before it.
local TAKEN = "stock_taken"

local PAGE = 1000
local AMENDING = math.maxinteger // 1024 -- posted_ms of an order that Khaos is importing anew

local function place(sku, key)
    return sku .. "\n" .. key
end

local function remove(key, units)
    for sku in pairs(units or {}) do
        store.delete(BY_SKU, place(sku, key))
    end
end

local function insert(key, units, posted_ms)
    for sku, quantity in pairs(units or {}) do
        store.put(BY_SKU, place(sku, key), {quantity = quantity, posted_ms = posted_ms})
    end
end

-- The order was confirmed before this instant, ours.
local function take(units, at_ms)
    local scayle_ms = watermark.scayle_ms(at_ms)
    for sku in pairs(units) do
        local taken = store.get(TAKEN, sku)
        if not taken or taken.at_ms < scayle_ms then
            store.put(TAKEN, sku, {at_ms = scayle_ms})
        end
        store.put(stock_pending.REREAD, sku, {since_ms = at_ms})
    end
end

local function has_index()
    return store.get(STATE, "index") ~= nil
end

local function is_same(a, b)
    for sku, quantity in pairs(a) do
        if b[sku] ~= quantity then
            return false
        end
    end
    for sku in pairs(b) do
        if a[sku] == nil then
            return false
        end
    end
    return true
end

--- An order is open from now on, and takes the units in its entry.
---@param key string of the order
---@param entry table
function stock_pending.open(key, entry)
    store.put(stock_pending.OPEN, key, entry)
    if entry.units and has_index() then
        insert(key, entry.units)
        take(entry.units, entry.accepted_ms or 0)
    end
end

--- An open order takes these units; told again, the newer units count.
---@param key string of the order
---@param units table<string, integer>
function stock_pending.add(key, units)
    local entry = store.get(stock_pending.OPEN, key)
    if not entry or entry.units and is_same(entry.units, units) then
        return
    end
    if has_index() then
        remove(key, entry.units)
    end
    entry.units = units
    stock_pending.open(key, entry)
end

--- Khaos took the order: its reply came at this instant.
---@param key string
---@param at_ms integer
function stock_pending.posted(key, at_ms)
    local entry = store.get(stock_pending.OPEN, key)
    store.delete(stock_pending.OPEN, key)
    -- Without an index nobody ever read a level: the first reading will hold the order.
    if entry and entry.units and has_index() then
        store.put(POSTED, key, {units = entry.units, posted_ms = at_ms})
        insert(key, entry.units, at_ms)
        take(entry.units, at_ms)
    end
end

--- Has an order taken units of a code that a figure with this stamp does not give back?
---@param sku string
---@param stamp_ms integer
---@return boolean
function stock_pending.is_taken_since(sku, stamp_ms)
    local taken = store.get(TAKEN, sku)
    return taken ~= nil and taken.at_ms >= stamp_ms
end

--- The order will never be posted: its units are free again, and read anew, because only a newer
--- reading gives SCAYLE a newer figure.
---@param key string
---@param now_ms integer
function stock_pending.drop(key, now_ms)
    local entry = store.get(stock_pending.OPEN, key)
    store.delete(stock_pending.OPEN, key)
    if not entry or not entry.units or not has_index() then
        return
    end
    remove(key, entry.units)
    for sku in pairs(entry.units) do
        store.put(stock_pending.REREAD, sku, {since_ms = now_ms})
    end
end

--- Khaos is asked to delete the order and to import it anew: a reading in between would show all of
--- it as free. Until it is known what became of it (amended, not_amended) its units count whatever
--- is read, and those of an order that no reading held yet count as they did.
---@param key string
---@param units table<string, integer> of what will be left
function stock_pending.amending(key, units)
    if not has_index() then
        return
    end
    local entry = store.get(POSTED, key)
    if entry and entry.former then
        return -- asked again
    end
    local most = {}
    for sku, quantity in pairs(units) do
        most[sku] = quantity
    end
    for sku, quantity in pairs(entry and entry.units or {}) do
        most[sku] = math.max(most[sku] or 0, quantity)
    end
    store.put(POSTED, key, {units = most, left = units, posted_ms = AMENDING,
        former = entry or {units = {}, posted_ms = 0}})
    insert(key, most, AMENDING)
end

-- What of the order no reading holds that began before this instant.
local function is_posted(key, entry, units, at_ms)
    remove(key, entry.units)
    store.put(POSTED, key, {units = units, posted_ms = at_ms})
    insert(key, units, at_ms)
end

--- Khaos did not amend it: the order takes what it took.
---@param key string
---@param at_ms integer
function stock_pending.not_amended(key, at_ms)
    local entry = store.get(POSTED, key)
    if not entry or not entry.former then
        return
    end
    is_posted(key, entry, entry.former.units, math.min(entry.former.posted_ms, at_ms))
    for sku in pairs(entry.units) do -- figures were low meanwhile
        store.put(stock_pending.REREAD, sku, {since_ms = at_ms})
    end
end

--- The order in Khaos is without some units since this instant; they are free, and read anew.
---@param key string
---@param skus table<string, true>
---@param at_ms integer
function stock_pending.amended(key, skus, at_ms)
    if not has_index() then
        return
    end
    local entry = store.get(POSTED, key)
    if entry and entry.former then
        is_posted(key, entry, entry.left, at_ms)
    end
    for sku in pairs(skus) do
        store.put(stock_pending.REREAD, sku, {since_ms = at_ms})
    end
end

local function index_one(key)
    store.atomic(function()
        local entry = store.get(stock_pending.OPEN, key) -- it may be posted by now
        insert(key, entry and entry.units)
    end)
end

--- Somebody will read stock: from now on what orders take is kept for each code. Call it before
--- the first reading begins.
function stock_pending.begin()
    local state = store.get(STATE, "index")
    if state and state.is_complete then
        return
    end
    -- First: who opens an order while the others are gone through does its own part.
    store.put(STATE, "index", {is_complete = false})
    local after
    repeat
        local page = store.range(stock_pending.OPEN, {after = after, limit = PAGE})
        for _, pair in ipairs(page) do
            after = pair.key
            index_one(pair.key)
        end
    until #page < PAGE
    store.put(STATE, "index", {is_complete = true})
end

-- ---- sums ------------------------------------------------------------------------------------

local function direct(sku, read_ms)
    local sum, orders, after = 0, 0, nil
    repeat
        local page = store.range(BY_SKU, {prefix = sku .. "\n", after = after, limit = PAGE})
        for _, pair in ipairs(page) do
            after = pair.key
            local posted_ms = pair.value.posted_ms
            if not posted_ms or posted_ms >= read_ms then
                sum, orders = sum + pair.value.quantity, orders + 1
            end
        end
    until #page < PAGE
    return sum, orders
end

local function kits_of(sku)
    return store.range(KITS_OF, {prefix = sku .. "\n", limit = PAGE})
end

--- Units of a code that orders take and a reading begun at read_ms does not hold.
---@param item stock.Item|{code: string, components: table<string, integer>|nil}
---@param read_ms integer
---@return {quantity: integer, orders: integer}
function stock_pending.sum(item, read_ms)
    local quantity, orders = direct(item.code, read_ms)
    for _, pair in ipairs(kits_of(item.code)) do
        local kits, count = direct(pair.key:match("\n(.*)$"), read_ms)
        quantity, orders = quantity + kits * pair.value, orders + count
    end
    -- A component that is ordered by itself cannot be built into a kit any more.
    local lost = 0
    for component, each in pairs(item.components or {}) do
        local single, count = direct(component, read_ms)
        lost = math.max(lost, (single + each - 1) // each)
        orders = orders + (single > 0 and count or 0)
    end
    return {quantity = quantity + lost, orders = orders}
end

--- Codes of orders that were posted before an instant and are subtracted still.
---@param read_ms integer
---@return table<string, true>
function stock_pending.posted_before(read_ms)
    local codes, after = {}, nil
    repeat
        local page = store.range(POSTED, {after = after, limit = PAGE})
        for _, pair in ipairs(page) do
            after = pair.key
            if pair.value.posted_ms and pair.value.posted_ms < read_ms then
                for sku in pairs(pair.value.units) do
                    codes[sku] = true
                end
            end
        end
    until #page < PAGE
    return codes
end

--- Forgets posted orders that every reading since holds.
---@param read_ms integer a reading of all that moved began at this instant
function stock_pending.settle(read_ms)
    local after
    repeat
        local page = store.range(POSTED, {after = after, limit = PAGE})
        for _, pair in ipairs(page) do
            after = pair.key
            if pair.value.posted_ms < read_ms then
                remove(pair.key, pair.value.units)
                store.delete(POSTED, pair.key)
            end
        end
    until #page < PAGE
end

--- Remembers what a kit is made of.
---@param kit string
---@param old table<string, integer>|nil
---@param new table<string, integer>|nil
function stock_pending.set_components(kit, old, new)
    for component in pairs(old or {}) do
        store.delete(KITS_OF, place(component, kit))
    end
    for component, quantity in pairs(new or {}) do
        store.put(KITS_OF, place(component, kit), quantity)
    end
end

--- Kits that hold a code.
---@param sku string
---@return string[]
function stock_pending.kits_of(sku)
    local list = {}
    for i, pair in ipairs(kits_of(sku)) do
        list[i] = pair.key:match("\n(.*)$")
    end
    return list
end

return stock_pending
