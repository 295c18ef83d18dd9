--- Looks up the operations of bulk requests that went through: SCAYLE says of a figure that it
--- ignored as older only in the answer to that one operation.
---
--- Each such figure counts as set at once, so that the next request need not wait, and is kept in
--- UNCHECKED until its operation was looked up, `bulk.check` of them in a run. A newer figure of
--- the code takes it out. What was ignored is read anew and told with a later stamp; what failed,
--- or is not known there, is told again singly.
local calls = require("flows.stock_stages.calls")
local scayle_bulk = require("connectors.scayle.bulk")
local sent = require("flows.stock_stages.sent")
local store = require("neap.store")
local tables = require("flows.stock_stages.tables")
local time = require("neap.time")

local bulk_check = {}

--- What SCAYLE says of each of these figures' operations.
---@async
---@param settings table
---@param list stock.Due[]
---@param operation_of fun(entry: stock.Due): integer, string keys of its request and operation
---@return ({state: string, more: any}|false)[] found false: it cannot be asked for now
---@return boolean is_whole
function bulk_check.look_up(settings, list, operation_of)
    local requests, found, is_whole = {}, {}, true
    for i, entry in ipairs(list) do
        requests[i] = scayle_bulk.operation_request(operation_of(entry))
    end
    for i, result in ipairs(calls(settings, requests)) do
        local outcome, more = nil, result.error
        if result.answer then
            outcome, more = scayle_bulk.read_operation(result.answer, list[i])
        end
        local is_open = not outcome and more.retryable
        is_whole = is_whole and not is_open
        found[i] = not is_open and {state = outcome or "open", more = more}
    end
    return found, is_whole
end

--- The request went through: its figure counts as set, and will be looked up.
---@param job neap.Job
---@param request_key integer SCAYLE's
---@param entry stock.Due with the key of its operation
function bulk_check.assume(job, request_key, entry)
    store.atomic(function()
        if sent.settle(job, entry, "set") then
            store.put(tables.UNCHECKED, entry.sku, {request = request_key, operation = entry.key,
                quantity = entry.quantity, stamp_ms = entry.stamp_ms, read_ms = entry.read_ms})
        end
    end)
end

-- What cannot be asked for is asked for again; after `bulk.wait_ms` the figure is told singly.
local function keep_open(settings, entry)
    local now_ms = time.now_ms()
    local failing_ms = entry.failing_ms or now_ms
    local wait_ms = settings.bulk and settings.bulk.wait_ms or 0
    if now_ms - failing_ms >= wait_ms then
        store.delete(tables.UNCHECKED, entry.sku)
        sent.release(entry)
        return 1
    elseif not entry.failing_ms then
        store.put(tables.UNCHECKED, entry.sku, {request = entry.request,
            operation = entry.operation, quantity = entry.quantity, stamp_ms = entry.stamp_ms,
            read_ms = entry.read_ms, failing_ms = now_ms})
    end
    return 0
end

-- How many of it are told again: 0 or 1.
local function keep(job, entry, result)
    if not result then
        return keep_open(job.settings, entry)
    end
    store.delete(tables.UNCHECKED, entry.sku)
    if result.state == "set" then
        return 0
    elseif result.state == "ignored" then
        sent.settle(job, entry, "ignored", result.more)
        tables.mark(entry.sku, time.now_ms())
    elseif result.state == "unknown" then
        sent.settle(job, entry, "unknown")
    else
        sent.release(entry)
    end
    return 1
end

-- The next ones, round and round: one that cannot be asked for holds up no other.
local function next_page(settings, limit)
    local list = {}
    local after = (store.get(tables.STATE, "unchecked") or {}).after
    local page = store.range(tables.UNCHECKED, {after = after, limit = limit})
    for i, pair in ipairs(page) do
        list[i] = pair.value
        list[i].sku, list[i].warehouse, list[i].merchant = pair.key, settings.warehouse,
            settings.merchant_key
    end
    local last = #page == limit and page[#page].key or nil
    if last ~= after then
        store.put(tables.STATE, "unchecked", {after = last})
    end
    return list
end

--- Some of them, at the end of a run.
---@async
---@param job neap.Job
function bulk_check.step(job)
    local settings = job.settings
    local limit = settings.bulk and settings.bulk.check or settings.batch
    local list = limit > 0 and next_page(settings, limit) or {}
    local found = bulk_check.look_up(settings, list, function(entry)
        return entry.request, entry.operation
    end)
    local wrong = 0
    for i, result in ipairs(found) do
        wrong = wrong + store.atomic(function()
            return keep(job, list[i], result)
        end)
    end
    if wrong > 0 then
        job:note("stock", string.format("%d of %d figures that went by a bulk request are not in "
            .. "SCAYLE: told again", wrong, #list))
    end
end

return bulk_check
