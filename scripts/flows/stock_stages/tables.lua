--- Tables of the stock flow, and the mark that a figure may have changed.
local store = require("neap.store")

local tables = {
    -- "poll" -> {since_ms, full_ms, full_started_ms}; "lag", "drift", "drift_wish" -> {...}
    STATE = "stock_state",
    ITEMS = "stock_items", -- code -> what Khaos says of it (stock.Item), its sites, read_ms
    DIRTY = "stock_dirty", -- code -> {since_ms}: to be compared with what was sent
    DRIFT = "stock_drift", -- code -> {class, khaos, sent, shown, ...}: what differs in the shop
    SENT = "stock_sent", -- code -> {quantity, stamp_ms, state, at_ms, text}: the newest figure
}

--- The figure of a code may have changed. The first mark counts: the delay is measured from it.
---@param code string
---@param at_ms integer
function tables.mark(code, at_ms)
    if not store.get(tables.DIRTY, code) then
        store.put(tables.DIRTY, code, {since_ms = at_ms})
    end
end

-- Sums the sites; a reading is as old as its oldest site.
local function total(item)
    local available, potential, read_ms, uncontrolled = nil, nil, nil, nil
    for _, site in pairs(item.sites) do
        available = site.available and (available or 0) + site.available or available
        potential = site.potential and (potential or 0) + site.potential or potential
        uncontrolled = uncontrolled or site.is_uncontrolled
        read_ms = math.min(read_ms or site.read_ms, site.read_ms)
    end
    item.available, item.potential, item.is_uncontrolled = available, potential, uncontrolled
    item.read_ms = read_ms
end

--- Keeps an item whose sites changed, and marks it.
---@param code string
---@param item table
---@param at_ms integer
function tables.keep(code, item, at_ms)
    total(item)
    store.put(tables.ITEMS, code, item)
    tables.mark(code, at_ms)
end

return tables
