--- What accepted orders take of the stock while Khaos does not know it yet, held orders too.
---
--- An order counts from the slice that accepts it until a read of Khaos that *began after* the
--- import's reply: only such a figure surely holds it. Kits count for what they are made of.
local store = require("neap.store")
local tables = require("flows.stock_stages.tables")
local watermark = require("flows.stock_stages.watermark")

local stock_pending = {}

--- order key -> accepted and not posted: {order_id, accepted_ms, confirmed_ms, units = {sku ->
--- quantity}|nil, hold}; without units it holds the stamps of figures (watermark.hold)
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

--- A reading of a code is wanted that begins after this instant, and after those wished before.
---@param sku string
---@param at_ms integer
function stock_pending.wish(sku, at_ms)
    local known = store.get(stock_pending.REREAD, sku)
    if not known or known.since_ms < at_ms then
        store.put(stock_pending.REREAD, sku, {since_ms = at_ms})
    end
end

local function reread(units, at_ms)
    for sku in pairs(units or {}) do
        stock_pending.wish(sku, at_ms)
    end
end

-- The order was confirmed before this instant, ours. What SCAYLE says of it counts as well: our
-- clock may have jumped since SCAYLE last told its time.
local function take(units, at_ms, confirmed_ms)
    local scayle_ms = watermark.latest_ms(at_ms, confirmed_ms)
    for sku in pairs(units) do
        local taken = store.get(TAKEN, sku)
        if not taken or taken.at_ms < scayle_ms then
            store.put(TAKEN, sku, {at_ms = scayle_ms})
        end
    end
    reread(units, at_ms)
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

local function release(entry)
    if entry and entry.hold then
        watermark.release(entry.hold)
        entry.hold = nil
    end
end

--- An order is open from now on, and takes the units in its entry. No figure can be right that is
--- stamped after the confirmation of an order without them.
---@param key string of the order
---@param entry table
function stock_pending.open(key, entry)
    if not entry.units then
        local accepted_ms = entry.accepted_ms or 0
        local reached_ms = watermark.scayle_ms(accepted_ms)
        entry.hold = watermark.hold(key, {order_id = entry.order_id, seen_ms = accepted_ms},
            math.min(entry.confirmed_ms or reached_ms, reached_ms))
    end
    store.put(stock_pending.OPEN, key, entry)
    if entry.units and has_index() then
        insert(key, entry.units)
        take(entry.units, entry.accepted_ms or 0, entry.confirmed_ms)
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
        reread(entry.units, entry.accepted_ms or 0)
    end
    release(entry)
    entry.units = units
    stock_pending.open(key, entry)
end

--- The units of an open order, from a source that does not count where others have told them.
---@param key string of the order
---@param units table<string, integer>
function stock_pending.learn(key, units)
    local entry = store.get(stock_pending.OPEN, key)
    if entry and not entry.units then
        stock_pending.add(key, units)
    end
end

--- SCAYLE lists an order that is known.
---@param key string of the order
---@param units table<string, integer>|nil
---@param at_ms integer
function stock_pending.listed(key, units, at_ms)
    local entry = store.get(stock_pending.OPEN, key)
    if units then
        stock_pending.learn(key, units)
    elseif entry and entry.hold then
        watermark.seen(entry.hold, at_ms)
    end
end

--- SCAYLE, asked for this order, has none that takes anything: it holds the stamps no longer.
---@param key string of the order
function stock_pending.takes_nothing(key)
    local entry = store.get(stock_pending.OPEN, key)
    if entry and entry.hold then
        release(entry)
        store.put(stock_pending.OPEN, key, entry)
    end
end

--- Khaos took the order: its reply came at this instant.
---@param key string
---@param at_ms integer
function stock_pending.posted(key, at_ms)
    local entry = store.get(stock_pending.OPEN, key)
    store.delete(stock_pending.OPEN, key)
    release(entry)
    -- Without an index nobody ever read a level: the first reading will hold the order.
    if entry and entry.units and has_index() then
        store.put(POSTED, key, {units = entry.units, posted_ms = at_ms})
        insert(key, entry.units, at_ms)
        take(entry.units, at_ms, entry.confirmed_ms)
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
    release(entry)
    if not entry or not entry.units or not has_index() then
        return
    end
    remove(key, entry.units)
    reread(entry.units, now_ms)
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
    if entry and entry.former then
        is_posted(key, entry, entry.former.units, math.min(entry.former.posted_ms, at_ms))
        reread(entry.units, at_ms)
    end
end

--- The order in Khaos is without some units since this instant; they are free, and read anew, as is
--- what is left of it: its figures counted it twice.
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
        reread(entry.units, at_ms)
    end
    reread(skus, at_ms)
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

-- ---- kits ------------------------------------------------------------------------------------

-- Every row whose key begins so: fn(rest of the key, value).
local function each_of(name, prefix, fn)
    local after
    repeat
        local page = store.range(name, {prefix = prefix, after = after, limit = PAGE})
        for _, pair in ipairs(page) do
            after = pair.key
            fn(pair.key:sub(#prefix + 1), pair.value)
        end
    until #page < PAGE
end

local function components_of(code)
    local item = store.get(tables.ITEMS, code)
    return item and item.components or {}
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

local function add_components(found, code)
    if not found[code] then
        found[code] = true
        for component in pairs(components_of(code)) do
            add_components(found, component)
        end
    end
end

local function add_kits(found, code)
    found[code] = true
    each_of(KITS_OF, code .. "\n", function(kit)
        if not found[kit] then
            add_kits(found, kit)
        end
    end)
end

--- These codes and all whose figure depends on what is taken of them: what they are made of, kits
--- of them, and kits that share a component with them.
---@param codes table<string, any>
---@return table<string, true>
function stock_pending.related(codes)
    local parts, found = {}, {}
    for code in pairs(codes) do
        add_components(parts, code)
    end
    for code in pairs(parts) do
        add_kits(found, code)
    end
    return found
end

-- ---- sums ------------------------------------------------------------------------------------

local DEPTH = 4 -- of kits in kits; a ring ends there

local Sums = {}
Sums.__index = Sums

-- Units of a code that orders name and a reading begun at read_ms does not hold.
local function direct(code, read_ms)
    local sum = 0
    each_of(BY_SKU, code .. "\n", function(_, row)
        if not row.posted_ms or row.posted_ms >= read_ms then
            sum = sum + row.quantity
        end
    end)
    return sum
end

-- The same by themselves and in kits.
function Sums:taken(code, read_ms, depth)
    local known = self[read_ms] or {}
    self[read_ms] = known
    if not known[code] then
        local sum = direct(code, read_ms)
        if depth < DEPTH then
            each_of(KITS_OF, code .. "\n", function(kit, each)
                sum = sum + each * self:taken(kit, read_ms, depth + 1)
            end)
        end
        known[code] = sum
    end
    return known[code]
end

-- How many of it cannot be had any more: of a kit so many as lack their scarcest component,
-- whether that was ordered by itself, in this kit or in another.
function Sums:gone(code, components, read_ms, depth)
    local gone = self:taken(code, read_ms, 0)
    for component, each in pairs(depth < DEPTH and components or {}) do
        local parts = self:gone(component, components_of(component), read_ms, depth + 1)
        gone = math.max(gone, (parts + each - 1) // each)
    end
    return gone
end

-- How many of a kit its components would make if all sites were one. What a site owes is missing at
-- the others, which Khaos does not count against a kit that they can make.
local function limit_of(item)
    local limit
    for component, each in pairs(item.components or {}) do
        local part = store.get(tables.ITEMS, component)
        if part and part.available and not part.potential then
            local made = math.max(part.available, 0) // each
            limit = math.min(limit or made, made)
        end
    end
    return limit
end

--- What orders take of a code and a reading begun at read_ms does not hold; of a kit, how many its
--- components allow.
---@param item stock.Item|{code: string, components: table<string, integer>|nil}
---@param read_ms integer
---@return stock.Pending
function Sums:of(item, read_ms)
    return {quantity = self:gone(item.code, item.components, read_ms, 0), limit = limit_of(item)}
end

--- Sums of one slice: what many kits share is added up once.
function stock_pending.sums()
    return setmetatable({}, Sums)
end

--- One sum alone.
---@param item stock.Item|{code: string, components: table<string, integer>|nil}
---@param read_ms integer
---@return stock.Pending
function stock_pending.sum(item, read_ms)
    return stock_pending.sums():of(item, read_ms)
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

local function has_any(units, codes)
    for sku in pairs(units) do
        if codes[sku] then
            return true
        end
    end
    return false
end

--- Forgets posted orders that every reading since holds.
---@param read_ms integer a reading of all that moved began at this instant
---@param unread table<string, true>|nil but for these codes
function stock_pending.settle(read_ms, unread)
    local after
    repeat
        local page = store.range(POSTED, {after = after, limit = PAGE})
        for _, pair in ipairs(page) do
            after = pair.key
            if pair.value.posted_ms < read_ms and not has_any(pair.value.units, unread or {}) then
                remove(pair.key, pair.value.units)
                store.delete(POSTED, pair.key)
            end
        end
    until #page < PAGE
end

return stock_pending
