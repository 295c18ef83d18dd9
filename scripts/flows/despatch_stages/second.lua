--- Another sales order in Khaos under the reference of one of ours: somebody entered it a second
--- time, or in place of ours. Nothing of it goes to SCAYLE, so a person is told, again when it has
--- left; it closes when Khaos shows it as cancelled. A job waits for what the person says:
--- released, the order is followed as the second one from then on (in Khaos Control Cloud an order
--- is changed by deleting it and importing it anew, contract 8.6).
local json = require("neap.json")
local news = require("flows.despatch_stages.news")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local time = require("neap.time")

local second = {}

second.EVENT = "khaos.second"
--- reference -> {orders = {code -> {seen_ms, has_left, snapshot}}}: those that a person was told of
second.TABLE = "despatch_second"

local CAUSE = "duplicate_in_khaos"

local function exception_of(reference, own, code, has_left)
    return {cause = CAUSE, subject = reference, recheck = "proof",
        message = string.format("Khaos has a second sales order with the reference %s: %s beside "
            .. "%s%s", reference, code, own, has_left and ", and goods of it have left" or ""),
        remedy = string.format("The order is followed as %s: nothing of %s goes to SCAYLE. Cancel "
            .. "in Khaos the one that is not wanted. If %s is the one that is sent, release this: "
            .. "the order is followed as %s then. This closes by itself when Khaos shows %s as "
            .. "cancelled.", own, code, code, code, code)}
end

local function tell(job, lines, snapshot, has_left, flow)
    local reference, code = snapshot.reference, snapshot.order_code
    local exception = exception_of(reference, lines.order_code, code, has_left)
    job:note("despatch", exception.message)
    job:open_exception(exception)
    job:emit({source = "khaos.second", name = second.EVENT, flow = flow,
        id = string.format("%s:%s:%s", reference, code, has_left and "left" or "seen"),
        key = "second:" .. reference, about = lines.key, payload = {reference = reference}})
end

local function is_over(job, reference, code)
    local known = store.get(second.TABLE, reference) or {orders = {}}
    known.orders[code] = nil
    if next(known.orders) then
        store.put(second.TABLE, reference, known)
        return
    end
    store.delete(second.TABLE, reference)
    job:close_exception(CAUSE, reference, code .. " is cancelled in Khaos")
end

--- A sales order that Khaos shows with our reference and another code.
---@param job neap.Job
---@param lines {order_code: string, key: string|nil} what is known of ours
---@param snapshot khaos.Snapshot with a reference
---@param flow string|nil name of the despatch flow, when another one sees it
function second.see(job, lines, snapshot, flow)
    local reference, code = snapshot.reference, snapshot.order_code
    store.atomic(function()
        if snapshot.is_cancelled then
            return is_over(job, reference, code)
        end
        local known = store.get(second.TABLE, reference) or {orders = {}}
        local has_left, before = #snapshot.parcels > 0, known.orders[code]
        known.orders[code] = {seen_ms = time.now_ms(), snapshot = snapshot,
            has_left = has_left or before and before.has_left or nil}
        store.put(second.TABLE, reference, known)
        if not before or has_left and not before.has_left then
            tell(job, lines, snapshot, has_left, flow)
        end
    end)
end

local function follow(job, lines, code, entry)
    local reference, record = entry.snapshot.reference, support.record(lines.key)
    job:note("despatch", string.format("order %s is followed as %s in Khaos, no more as %s",
        lines.order_id, code, lines.order_code))
    lines.order_code, record.order_code = code, code
    store.put(support.LINES, reference, lines)
    store.put(support.RECORDS, lines.key, record)
    store.delete(second.TABLE, reference)
    local event = news.of(entry.snapshot, lines.key)
    if event then
        job:emit(event)
    end
end

--- The job that waits: held until Khaos shows the second order as cancelled, or a person speaks.
--- Of several nobody can tell which one a release means.
---@param job neap.Job
function second.run(job)
    local reference = assert(json.decode(job.event.payload)).reference
    local known, lines = store.get(second.TABLE, reference), store.get(support.LINES, reference)
    if not known or job:overtaken("dismissed." .. CAUSE) then
        return
    end
    local code, entry = next(known.orders)
    local is_only = next(known.orders, code) == nil
    if lines and is_only and job:overtaken("released." .. CAUSE) then
        return store.atomic(function()
            follow(job, lines, code, entry)
        end)
    end
    local own = lines and lines.order_code or "ours, which is not noted yet"
    job:hold({exception_of(reference, own, is_only and code or "several others", entry.has_left)})
end

return second
