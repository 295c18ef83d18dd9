--- What accepted orders take of the stock while Khaos does not know it yet, held orders too.
---
--- An order counts from the slice that accepts it until a read of Khaos that *began after* the
--- import's reply: only such a figure surely holds it. Kits count for what they are made of.
local store = require("neap.store")

local stock_pending = {}

local ORDERS = "stock_pending" -- order key -> {units = {sku -> quantity}, posted_ms}
local BY_SKU = "stock_pending_sku" -- "<sku>\n<order key>" -> {quantity, posted_ms}
local POLL = "stock_state" -- "poll": there once the stock flow has begun to read
local KITS_OF = "stock_kits_of" -- "<component>\n<kit>" -> quantity of it in the kit
--- sku -> {since_ms}: read again at the next poll although Khaos need not have moved it.
stock_pending.REREAD = "stock_reread"

local PAGE = 1000

local function place(sku, key)
    return sku .. "\n" .. key
end

local function remove(key, entry)
    for sku in pairs(entry.units) do
        store.delete(BY_SKU, place(sku, key))
    end
end

--- An accepted order takes these units; told again, the newer units count. A posted order stays as
--- it is.
---@param key string of the order
---@param units table<string, integer>
function stock_pending.add(key, units)
    local entry = store.get(ORDERS, key)
    if entry and entry.posted_ms then
        return
    elseif entry then
        remove(key, entry)
    end
    store.put(ORDERS, key, {units = units})
    for sku, quantity in pairs(units) do
        store.put(BY_SKU, place(sku, key), {quantity = quantity})
    end
end

--- Khaos took the order: its reply came at this instant.
---@param key string
---@param at_ms integer
function stock_pending.posted(key, at_ms)
    local entry = store.get(ORDERS, key)
    if not entry or entry.posted_ms then
        return
    elseif not store.get(POLL, "poll") then
        remove(key, entry) -- nobody ever read a level: the first reading will hold the order
        store.delete(ORDERS, key)
        return
    end
    entry.posted_ms = at_ms
    store.put(ORDERS, key, entry)
    for sku, quantity in pairs(entry.units) do
        store.put(BY_SKU, place(sku, key), {quantity = quantity, posted_ms = at_ms})
    end
end

--- The order will never be posted: its units are free again, and read anew, because only a newer
--- reading gives SCAYLE a newer figure.
---@param key string
---@param now_ms integer
function stock_pending.drop(key, now_ms)
    local entry = store.get(ORDERS, key)
    if not entry or entry.posted_ms then
        return
    end
    remove(key, entry)
    store.delete(ORDERS, key)
    for sku in pairs(entry.units) do
        store.put(stock_pending.REREAD, sku, {since_ms = now_ms})
    end
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
        local page = store.range(ORDERS, {after = after, limit = PAGE})
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
        local page = store.range(ORDERS, {after = after, limit = PAGE})
        for _, pair in ipairs(page) do
            after = pair.key
            if pair.value.posted_ms and pair.value.posted_ms < read_ms then
                remove(pair.key, pair.value)
                store.delete(ORDERS, pair.key)
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
