--- Looks up the operations of bulk requests that went through: SCAYLE says of a figure that it
--- ignored as older only in the answer to that one operation.
---
--- Each such figure counts as set at once, so that the next request need not wait, and is kept in
--- UNCHECKED until its operation was looked up, `bulk.check` of them in a run. A newer figure of
--- the code takes it out. What was ignored is read anew and told with a later stamp; what failed,
--- or is not known there, is told again singly.
local http = require("neap.http")
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
---@return {state: string, more: any}[]|nil found nil when one cannot be asked for now
function bulk_check.look_up(settings, list, operation_of)
    local requests, found = {}, {}
    for i, entry in ipairs(list) do
        requests[i] = scayle_bulk.operation_request(operation_of(entry))
        requests[i].connection = settings.scayle.connection
    end
    for i, result in ipairs(http.all(requests, {limit = settings.at_once})) do
        local outcome, more = nil, result.error
        if result.answer then
            outcome, more = scayle_bulk.read_operation(result.answer, list[i])
        end
        if not outcome and more.retryable then
            return nil
        end
        found[i] = {state = outcome or "open", more = more}
    end
    return found
end

--- The request went through: its figure counts as set, and will be looked up.
---@param job neap.Job
---@param request_key integer SCAYLE's
---@param entry stock.Due with the key of its operation
function bulk_check.assume(job, request_key, entry)
    if sent.settle(job, entry, "set") then
        store.put(tables.UNCHECKED, entry.sku, {request = request_key, operation = entry.key,
            quantity = entry.quantity, stamp_ms = entry.stamp_ms, read_ms = entry.read_ms})
    end
end

local function keep(job, entry, result)
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

--- Some of them, at the end of a run.
---@async
---@param job neap.Job
function bulk_check.step(job)
    local settings, list = job.settings, {}
    local limit = settings.bulk and settings.bulk.check or settings.batch
    if limit == 0 then
        return
    end
    for i, pair in ipairs(store.range(tables.UNCHECKED, {limit = limit})) do
        list[i] = pair.value
        list[i].sku, list[i].warehouse, list[i].merchant = pair.key, settings.warehouse,
            settings.merchant_key
    end
    local found = bulk_check.look_up(settings, list, function(entry)
        return entry.request, entry.operation
    end)
    local wrong = 0
    for i, result in ipairs(found or {}) do
        wrong = wrong + keep(job, list[i], result)
    end
    if wrong > 0 then
        job:note("stock", string.format("%d of %d figures that went by a bulk request are not in "
            .. "SCAYLE: told again", wrong, #list))
    end
end

return bulk_check
