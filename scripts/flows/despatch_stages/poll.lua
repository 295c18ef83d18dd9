--- Reads Khaos's status feed, keeps what is new of our orders, and watches the clocks of what has
--- not left yet.
local crypto = require("neap.crypto")
local json = require("neap.json")
local khaos_client = require("connectors.khaos_soap.client")
local order_status = require("connectors.khaos_soap.order_status")
local order_units = require("flows.order_units")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local time = require("neap.time")

local STATE = "despatch" -- "poll" -> {since_ms}
local SEEN = "despatch_seen" -- reference, or "credit:<code>" -> {signature, number, snapshot}
local HOUR_MS = 3600000

local function tell(job, snapshot)
    local lines = snapshot.reference and store.get(support.LINES, snapshot.reference)
    if not lines then
        return false
    end
    local seen_as, event = snapshot.reference, {name = "khaos.status",
        key = "despatch:" .. lines.key}
    if snapshot.is_credit_note then
        seen_as = "credit:" .. snapshot.order_code
        event = {name = "khaos.credit_note", key = "returns:" .. lines.key,
            flow = job.settings.returns_flow}
    end
    if snapshot.is_credit_note and not event.flow then
        return false
    end
    local signature = crypto.hex_encode(crypto.sha256(json.encode(snapshot)))
    local seen = store.get(SEEN, seen_as) or {number = 0}
    if seen.signature == signature then
        return false
    end
    local number = seen.number + 1
    event.source, event.id = "khaos.status", seen_as .. ":" .. number
    event.payload = {reference = snapshot.reference, seen_as = seen_as, number = number}
    job:emit(event)
    store.put(SEEN, seen_as, {signature = signature, number = number, snapshot = snapshot})
    return true
end

-- ---- clocks ----------------------------------------------------------------------------------

local function warn(job, cause, watch, message, remedy)
    job:open_exception({cause = cause, subject = watch.order_id, message = message,
        remedy = remedy, recheck = "proof"})
end

local function look_at(job, watch, now_ms)
    local changed = false
    if watch.promise_ms and now_ms >= watch.promise_ms and not watch.is_late then
        watch.is_late, changed = true, true
        warn(job, "despatch_late", watch, string.format(
            "Order %s should have left %d h ago and is still in Khaos", watch.order_id,
            (now_ms - watch.promise_ms) // HOUR_MS),
            "Send it, or cancel in Khaos what cannot be sent.")
    end
    local left_ms = (watch.force_close_ms or math.maxinteger) - now_ms
    if left_ms <= job.settings.warn_before_close_ms and not watch.is_closing then
        watch.is_closing, changed = true, true
        warn(job, "force_close_near", watch, string.format(
            "SCAYLE closes order %s in %d h as if it had been sent", watch.order_id,
            math.max(0, left_ms // HOUR_MS)),
            "Send it, or cancel in Khaos what cannot be sent, before that.")
    end
    return changed
end

local function watch_clocks(job)
    local now_ms, after = time.now_ms(), nil
    repeat
        local page = store.range(order_units.OPEN, {after = after, limit = 500})
        for _, pair in ipairs(page) do
            after = pair.key
            if look_at(job, pair.value, now_ms) then
                store.put(order_units.OPEN, pair.key, pair.value)
            end
        end
    until #page < 500
end

--- One tick.
---@async
---@param job neap.Job
return function(job)
    local settings = job.settings
    local khaos = khaos_client.new(settings.khaos)
    local state = store.get(STATE, "poll") or {since_ms = job.live_from_ms}
    local started_ms = time.now_ms()
    local snapshots, err = order_status.changed_since(khaos, state.since_ms)
    support.check({job = job}, "Khaos", snapshots, err)
    local told = 0
    for _, snapshot in ipairs(snapshots) do
        told = told + (tell(job, snapshot) and 1 or 0)
    end
    store.put(STATE, "poll", {since_ms = math.max(state.since_ms,
        started_ms - settings.overlap_ms)})
    if told > 0 then
        job:note("despatch", string.format("Khaos tells news of %d orders", told))
    end
    watch_clocks(job)
end
