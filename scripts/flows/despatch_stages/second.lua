--- Another sales order in Khaos under the reference of one of ours: somebody entered it a second
--- time, or in place of ours. Nothing of it goes to SCAYLE, so a person is told, again when it has
--- left; it closes when Khaos shows it as cancelled. A job waits for what the person says:
--- released, the order is followed as the second one from then on (in Khaos Control Cloud an order
--- is changed by deleting it and importing it anew, contract 8.6). While nobody has said which of
--- them it is, a cancellation of ours is not told: the other may be sent in its place.
---
--- What a person says counts for what he was told of and nothing else: each telling has a number,
--- and the subject of its exception names it.
local json = require("neap.json")
local news = require("flows.despatch_stages.news")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local time = require("neap.time")

local second = {}

second.EVENT = "khaos.second"
--- reference -> {number of the newest telling, orders = {code -> {seen_ms, has_left, snapshot}}
--- that a person was told of, flow, own = the snapshot of ours that is held back}
second.TABLE = "despatch_second"

local CAUSE = "duplicate_in_khaos"

local function load(reference)
    return store.get(second.TABLE, reference) or {number = 0, orders = {}}
end

local function subject_of(reference, number)
    return number == 1 and reference or string.format("%s v%d", reference, number)
end

local function codes_of(known)
    local codes, has_left = {}, false
    for code, entry in pairs(known.orders) do
        codes[#codes + 1] = code
        has_left = has_left or entry.has_left
    end
    table.sort(codes)
    return codes, has_left
end

local function exception_of(reference, own, known)
    local codes, has_left = codes_of(known)
    local list = table.concat(codes, ", ")
    return {cause = CAUSE, subject = subject_of(reference, known.number), recheck = "proof",
        message = string.format("Khaos has a second sales order with the reference %s: %s beside "
            .. "%s%s", reference, list, own, has_left and ", and goods of it have left" or ""),
        remedy = #codes == 1 and string.format("The order is followed as %s: nothing of %s goes to "
            .. "SCAYLE. If %s is the one that is sent, release this first: the order is followed "
            .. "as %s then. Then cancel in Khaos the one that is not wanted. This closes by "
            .. "itself when Khaos shows %s as cancelled.", own, list, list, list, list)
            or string.format("The order is followed as %s: nothing of the others goes to SCAYLE. "
            .. "Cancel in Khaos all of them but one; if that is not %s, release this then.", own,
            own)}
end

-- What was told before is told no more: the job that waits with it ends.
local function close(job, reference, known, note)
    if known.number > 0 then
        job:close_exception(CAUSE, subject_of(reference, known.number), note)
    end
end

local function tell(job, lines, reference, known)
    close(job, reference, known, "told anew")
    known.number = known.number + 1
    store.put(second.TABLE, reference, known)
    local exception = exception_of(reference, lines.order_code, known)
    job:note("despatch", exception.message)
    job:open_exception(exception)
    job:emit({source = "khaos.second", name = second.EVENT, flow = known.flow,
        id = string.format("%s:%d", reference, known.number), key = "second:" .. reference,
        about = lines.key, payload = {reference = reference, number = known.number}})
end

-- None of the others is any more: what was held back of ours is told.
local function tell_own(job, known)
    local lines = known.own and store.get(support.LINES, known.own.reference)
    local event = lines and news.of(known.own, lines.key, known.flow)
    known.own = nil
    if event then
        job:emit(event)
    end
end

local function forget(job, reference, code)
    local known = load(reference)
    if not known.orders[code] then
        return
    end
    known.orders[code] = nil
    if next(known.orders) == nil then
        close(job, reference, known, code .. " is cancelled in Khaos")
        tell_own(job, known)
    end
    store.put(second.TABLE, reference, known)
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
            return forget(job, reference, code)
        end
        local known = load(reference)
        local has_left, before = #snapshot.parcels > 0, known.orders[code]
        known.flow = flow
        known.orders[code] = {seen_ms = time.now_ms(), snapshot = snapshot,
            has_left = has_left or before and before.has_left or nil}
        if not before or has_left and not before.has_left then
            return tell(job, lines, reference, known)
        end
        store.put(second.TABLE, reference, known)
    end)
end

--- Is a cancellation of ours held back, because a second order lives?
---@param snapshot khaos.Snapshot of ours
---@return boolean
function second.holds_back(snapshot)
    return store.atomic(function()
        local known = store.get(second.TABLE, snapshot.reference)
        if not known or next(known.orders) == nil or known.is_left_alone then
            return false
        end
        known.own = snapshot.is_cancelled and snapshot or nil
        store.put(second.TABLE, snapshot.reference, known)
        return known.own ~= nil
    end)
end

local function follow(job, lines, reference, known)
    local code, entry = next(known.orders)
    local record = support.record(lines.key)
    job:note("despatch", string.format("order %s is followed as %s in Khaos, no more as %s",
        lines.order_id, code, lines.order_code))
    lines.order_code, record.order_code = code, code
    store.put(support.LINES, reference, lines)
    store.put(support.RECORDS, lines.key, record)
    store.put(second.TABLE, reference, {number = known.number, orders = {}})
    local event = news.of(entry.snapshot, lines.key)
    if event then
        job:emit(event)
    end
end

-- A person left it as it is: ours is the one.
local function leave_alone(job, reference, known)
    known.is_left_alone = true
    tell_own(job, known)
    store.put(second.TABLE, reference, known)
end

local function said(job, verb, subject)
    local event = job:overtaken(verb .. "." .. CAUSE)
    local payload = event and json.decode(event.payload)
    return payload ~= nil and payload.subject == subject
end

--- The job that waits with one telling: held until Khaos shows the second order as cancelled, it is
--- told anew, or a person speaks. Of several nobody can tell which one a release means.
---@param job neap.Job
function second.run(job)
    local asked = assert(json.decode(job.event.payload))
    local reference, subject = asked.reference, subject_of(asked.reference, asked.number)
    local is_open = store.atomic(function()
        local known, lines = load(reference), store.get(support.LINES, reference)
        if known.number ~= asked.number or next(known.orders) == nil then
            return false
        elseif said(job, "dismissed", subject) then
            leave_alone(job, reference, known)
            return false
        elseif lines and #codes_of(known) == 1 and said(job, "released", subject) then
            follow(job, lines, reference, known)
            return false
        end
        return true
    end)
    if is_open then
        local lines = store.get(support.LINES, reference)
        job:hold({exception_of(reference, lines and lines.order_code
            or "ours, which is not noted yet", load(reference))})
    end
end

return second
