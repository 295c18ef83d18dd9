--- Tables of the stock flow, and the mark that a figure may have changed.
local store = require("neap.store")

local tables = {
    -- "poll" -> {since_ms, ran_ms, after}; "full" -> stock.Full; "cursors" -> {table -> code};
    -- "bulk" -> the bulk request under way (stock.Bulk); "policy" -> {digest, is_marking, after};
    -- "unknown", "unread" -> {count, first}; "unchecked" -> {after}; "lag", "drift", "drift_wish"
    -- -> {...}
    STATE = "stock_state",
    LISTED = "stock_listed", -- code -> its parent or true: what the full reading reads
    UNREAD = "stock_unread", -- code -> {words}: Khaos does not answer for it
    GONE = "stock_gone", -- code -> true: listed no more, on its way back into LISTED
    ITEMS = "stock_items", -- code -> what Khaos says of it (stock.Item), its sites, read_ms
    DIRTY = "stock_dirty", -- code -> {since_ms}: to be compared with what was sent
    URGENT = "stock_urgent", -- code -> {since_ms}: the same, and Khaos has less than before
    -- number -> {sku, quantity, stamp_ms, read_ms}: figures of the bulk request, in its order
    BULK = "stock_bulk",
    -- code -> {request, operation, quantity, stamp_ms, read_ms}: counts as set, since the bulk
    -- request went through; its operation is still to be looked up
    UNCHECKED = "stock_unchecked",
    DRIFT = "stock_drift", -- code -> {class, khaos, sent, shown, ...}: what differs in the shop
    -- code -> {quantity, stamp_ms, state, at_ms, text, terms, bulk}: the newest figure
    SENT = "stock_sent",
}

--- The figure of a code may have changed. The first mark counts: the delay is measured from it.
---@param code string
---@param at_ms integer
function tables.mark(code, at_ms)
    if not store.get(tables.DIRTY, code) then
        store.put(tables.DIRTY, code, {since_ms = at_ms})
    end
end

--- SCAYLE has a figure that left at this instant: what is due now is younger.
---@param code string
---@param at_ms integer
function tables.told(code, at_ms)
    local mark = store.get(tables.DIRTY, code)
    if mark and mark.since_ms < at_ms then
        store.put(tables.DIRTY, code, {since_ms = at_ms})
    end
end

--- Khaos has less of a code than before: looked at before all others.
---@param code string
---@param at_ms integer
function tables.mark_urgent(code, at_ms)
    if not store.get(tables.URGENT, code) then
        store.put(tables.URGENT, code, {since_ms = at_ms})
    end
    tables.mark(code, at_ms)
end

--- Is a figure on its way by the bulk request that is under way?
---@param sent {bulk: integer|nil} as SENT has it
---@return boolean
function tables.is_in_bulk(sent)
    local open = sent.bulk and store.get(tables.STATE, "bulk")
    return open ~= nil and open.id == sent.bulk and not open.is_over
end

-- Sums the sites; a reading is as old as its oldest site. Where one site makes the item and
-- another has it, what can be sold is what both come to.
local function total(item)
    local available, potential, read_ms, uncontrolled, discontinued
    local either = 0
    for _, site in pairs(item.sites) do
        available = site.available and (available or 0) + site.available or available
        either = either + (site.potential or site.available or 0)
        potential = (potential or site.potential) and either
        uncontrolled = uncontrolled or site.is_uncontrolled
        discontinued = discontinued or site.is_discontinued
        read_ms = math.min(read_ms or site.read_ms, site.read_ms)
    end
    item.available, item.potential, item.is_uncontrolled = available, potential, uncontrolled
    item.is_discontinued, item.read_ms = discontinued, read_ms
end

--- Keeps an item whose sites changed, and marks it.
---@param code string
---@param item table
---@param at_ms integer
function tables.keep(code, item, at_ms)
    local before = item.potential or item.available or 0
    total(item)
    store.put(tables.ITEMS, code, item)
    if item.is_hidden or item.is_discontinued
        or (item.potential or item.available or 0) < before then
        tables.mark_urgent(code, at_ms)
    else
        tables.mark(code, at_ms)
    end
end

return tables
