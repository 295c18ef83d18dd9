--- Figures that go to SCAYLE: written down before they leave, and what became of them.
local stock_pending = require("flows.stock_pending")
local store = require("neap.store")
local tables = require("flows.stock_stages.tables")
local time = require("neap.time")

local REFUSED = "stock_refused" -- cause

local sent = {}

--- Writes figures down; a stamp never goes backwards after that.
---@param list stock.Due[]
---@param now_ms integer
function sent.write_down(list, now_ms)
    for _, entry in ipairs(list) do
        local before = store.get(tables.SENT, entry.sku)
        store.delete(tables.UNCHECKED, entry.sku)
        store.put(tables.SENT, entry.sku, {quantity = entry.quantity, stamp_ms = entry.stamp_ms,
            state = "sending", at_ms = now_ms, text = entry.text, terms = entry.terms,
            read_ms = entry.read_ms, bulk = entry.bulk,
            was_refused = before and before.was_refused})
    end
end

-- The record of a figure, nil when a newer one left since.
local function record_of(entry)
    local record = store.get(tables.SENT, entry.sku)
    local is_it = record and record.bulk == entry.bulk and record.stamp_ms == entry.stamp_ms
        and record.quantity == entry.quantity
    return is_it and record or nil
end

local function tell_ahead(job, entry, stamp_ms)
    job:open_exception({cause = "stock_stamp_ahead", subject = entry.sku,
        message = string.format("SCAYLE holds a stock of %s that was stamped in the future (%s): "
            .. "no figure of ours counts until then", entry.sku, time.format_iso(stamp_ms)),
        remedy = "Find out what else writes stock to SCAYLE; correct the figure by hand.",
        recheck = "manual"})
end

--- Keeps what became of a figure.
---@param job neap.Job
---@param entry stock.Due
---@param state "set"|"ignored"|"unknown" as connectors.scayle.stocks has it
---@param newer_ms integer|nil of "ignored": stamp of the figure that is in force
---@return boolean is_newest false: a newer one left since, nothing is kept
function sent.settle(job, entry, state, newer_ms)
    local record = record_of(entry)
    if not record then
        return false
    end
    local now_ms = time.now_ms()
    local was_refused = record.was_refused
    record.state, record.answered_ms, record.bulk, record.was_refused = state, now_ms, nil, nil
    record.stamp_ms = math.max(newer_ms or 0, record.stamp_ms)
    store.put(tables.SENT, entry.sku, record)
    if state == "ignored" then
        if (newer_ms or 0) > now_ms + job.settings.order_lag_ms then
            tell_ahead(job, entry, newer_ms)
        end
        return true
    end
    if was_refused then
        job:close_exception(REFUSED, entry.sku, "SCAYLE took the figure")
    end
    local item = store.get(tables.ITEMS, entry.sku)
    -- Else it was read again meanwhile, or SCAYLE takes away what orders took that the figure knows
    -- already: then it goes again with a later stamp.
    local is_last = not item or item.read_ms == entry.read_ms
    if is_last and not stock_pending.is_taken_since(entry.sku, record.stamp_ms) then
        store.delete(tables.DIRTY, entry.sku)
        store.delete(tables.URGENT, entry.sku)
    else
        tables.told(entry.sku, record.at_ms)
    end
    return true
end

--- SCAYLE refuses a figure for good: told once, and sent again when it changes or by drift.
---@param job neap.Job
---@param entry stock.Due
---@param err neap.Error
function sent.refuse(job, entry, err)
    local record = record_of(entry)
    if not record then
        return
    end
    record.state, record.bulk, record.was_refused = "refused", nil, true
    store.put(tables.SENT, entry.sku, record)
    store.delete(tables.DIRTY, entry.sku)
    store.delete(tables.URGENT, entry.sku)
    job:open_exception({cause = REFUSED, subject = entry.sku, message = string.format(
        "SCAYLE refuses the stock figure of %s: %s", entry.sku, err.message),
        remedy = "Compare variant, warehouse and merchant in SCAYLE with the stock flow's "
            .. "settings; then have it sent again (neap stock drift --check, then --fix).",
        recheck = "proof"})
end

--- Nobody knows what became of a figure of a bulk request: it is told again, by itself.
---@param entry stock.Due
function sent.release(entry)
    local record = record_of(entry)
    if record then
        record.bulk, record.state = nil, "sending"
        store.put(tables.SENT, entry.sku, record)
        tables.mark(entry.sku, time.now_ms())
    end
end

return sent
