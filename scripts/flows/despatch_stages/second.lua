--- Another sales order in Khaos under the reference of one of ours: somebody entered it a second
--- time, or in place of ours. Nothing of it goes to SCAYLE, so a person is told, again when it has
--- left; it closes when Khaos shows it as cancelled. A job waits for what the person says:
--- released, the order is followed as the second one from then on (in Khaos Control Cloud an order
--- is changed by deleting it and importing it anew, contract 8.6). While nobody has said which of
--- them it is, a cancellation of ours is not told: the other may be sent in its place. What was
--- said before ours was cancelled is no answer to that: it is asked anew.
---
--- What a person says counts for what he was told of and nothing else: each telling has a number,
--- and the subject of its exception names it.
local json = require("neap.json")
local news = require("flows.despatch_stages.news")
local order_units = require("flows.order_units")
local order_reference = require("flows.order_stages.reference")
local scayle_client = require("connectors.scayle.client")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local time = require("neap.time")

local second = {}

second.EVENT = "khaos.second"
--- reference -> {number of the newest telling, orders = {code -> {seen_ms, has_left, snapshot}}
--- that a person was told of, flow, own = the snapshot of ours that is held back, is_left_alone: a
--- person said of that one that it is told, is_too_late: SCAYLE was told that ours is cancelled}
second.TABLE = "despatch_second"

--- Cause: a cancelled order that Khaos has fetched anew; the subject is its code
--- (flows.despatch_stages.anew).
second.DOUBT = "cancelled_or_anew"

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

local function beside(own, known)
    if known.is_too_late then
        return string.format(", and SCAYLE was told that %s is cancelled", own)
    end
    return string.format(" beside %s%s", own, known.own and ", which is cancelled" or "")
end

-- Of several nobody can tell which one a release means.
local function remedy_of(own, list, count, known)
    if known.is_too_late then
        return string.format("The order is cancelled in SCAYLE and can take no parcel: cancel %s "
            .. "in Khaos before it is sent, or stop its goods. This closes by itself when Khaos "
            .. "shows %s as cancelled.", list, list)
    elseif count > 1 then
        return string.format("The order is followed as %s: nothing of the others goes to SCAYLE. "
            .. "Cancel in Khaos all of them but one; if that is not %s, release this then.", own,
            own)
    elseif known.own then
        return string.format("SCAYLE has not been told. If %s is sent in its place, release this: "
            .. "the order is followed as %s then. If the order is cancelled, cancel %s in Khaos: "
            .. "this closes by itself then, and SCAYLE is told. Dismissed, SCAYLE is told too, "
            .. "whatever becomes of %s.", list, list, list, list)
    end
    return string.format("The order is followed as %s: nothing of %s goes to SCAYLE. If %s is the "
        .. "one that is sent, release this first: the order is followed as %s then. Then cancel in "
        .. "Khaos the one that is not wanted. This closes by itself when Khaos shows %s as "
        .. "cancelled.", own, list, list, list, list)
end

local function exception_of(reference, own, known)
    local codes, has_left = codes_of(known)
    local list = table.concat(codes, ", ")
    return {cause = CAUSE, subject = subject_of(reference, known.number), recheck = "proof",
        message = string.format("Khaos has a second sales order with the reference %s: %s%s%s",
            reference, list, beside(own, known), has_left and ", and goods of it have left" or ""),
        remedy = remedy_of(own, list, #codes, known)}
end

-- What was told before is told no more: the job that waits with it ends.
local function close(job, reference, known, note)
    if known.number > 0 then
        job:close_exception(CAUSE, subject_of(reference, known.number), note)
    end
end

local function tell(job, lines, reference, known)
    close(job, reference, known, "told anew")
    known.number, known.is_left_alone = known.number + 1, nil
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

-- SCAYLE has heard that ours is cancelled.
local function is_told_cancelled(lines)
    local book = lines.key and order_units.load(lines.key)
    return book and book.changes["khaos:cancelled:" .. lines.order_code] ~= nil or nil
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
        known.flow, known.is_too_late = flow, is_told_cancelled(lines)
        job:close_exception(second.DOUBT, lines.order_code, "Khaos shows it as " .. code)
        known.orders[code] = {seen_ms = time.now_ms(), snapshot = snapshot,
            has_left = has_left or before and before.has_left or nil}
        if not before or has_left and not before.has_left then
            return tell(job, lines, reference, known)
        end
        store.put(second.TABLE, reference, known)
    end)
end

--- Is a cancellation of ours held back, because a second order lives? A person is asked of it.
---@param job neap.Job
---@param lines {order_code: string, key: string}
---@param snapshot khaos.Snapshot of ours
---@return boolean
function second.holds_back(job, lines, snapshot)
    return store.atomic(function()
        local reference = snapshot.reference
        local known = store.get(second.TABLE, reference)
        if not known or next(known.orders) == nil then
            return false
        end
        local was_told = known.own ~= nil
        known.own = snapshot.is_cancelled and snapshot or nil
        known.is_left_alone = known.own and known.is_left_alone
        if known.is_left_alone then
            known.own = nil
        elseif known.own and not was_told then
            tell(job, lines, reference, known)
        end
        store.put(second.TABLE, reference, known)
        return known.own ~= nil
    end)
end

local function follow(job, lines, reference, known)
    local code, entry = next(known.orders)
    local record = support.record(lines.key)
    job:note("despatch", string.format("order %s is followed as %s in Khaos, no more as %s",
        lines.order_id, code, lines.order_code))
    lines.order_code, record.order_code = code, code
    record.to_acknowledge = record.acknowledged and known.number or nil
    store.put(support.LINES, reference, lines)
    store.put(support.RECORDS, lines.key, record)
    store.put(second.TABLE, reference, {number = known.number, orders = {}})
    local event = news.of(entry.snapshot, lines.key)
    if event then
        job:emit(event)
    end
end

-- SCAYLE shows the code of the order that was followed before: it gets the new one. The run that
-- followed may have ended before it could.
local function acknowledge(job, lines)
    local record = support.record(lines.key)
    local number = record.to_acknowledge
    if not number then
        return
    end
    order_reference.write({job = job, scayle = scayle_client.new(job.settings.scayle),
        where = {shop_key = record.shop_key, country = record.country},
        order_id = record.order_id}, lines.key, record.order_code,
        string.format("%s/second %d", lines.key, number))
    store.atomic(function()
        record = support.record(lines.key)
        record.to_acknowledge = record.to_acknowledge ~= number and record.to_acknowledge or nil
        store.put(support.RECORDS, lines.key, record)
    end)
end

-- A person left it as it is: ours is the one, as he was told of it.
local function leave_alone(job, reference, known)
    known.is_left_alone = known.own ~= nil
    tell_own(job, known)
    store.put(second.TABLE, reference, known)
end

local function said(job, verb, subject)
    local event = job:overtaken(verb .. "." .. CAUSE)
    local payload = event and json.decode(event.payload)
    return payload ~= nil and payload.subject == subject
end

--- The job that waits with one telling: held until Khaos shows the second order as cancelled, it is
--- told anew, or a person speaks. What SCAYLE takes for cancelled is not followed.
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
        elseif lines and not known.is_too_late and #codes_of(known) == 1
            and said(job, "released", subject) then
            follow(job, lines, reference, known)
            return false
        end
        return true
    end)
    local lines = store.get(support.LINES, reference)
    if lines then
        acknowledge(job, lines)
    end
    if is_open then
        job:hold({exception_of(reference, lines and lines.order_code
            or "ours, which is not noted yet", load(reference))})
    end
end

return second
