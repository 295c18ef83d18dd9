--- Reads Khaos's status feed, keeps what is new of our orders, and watches the clocks of what has
--- not left yet.
local amending = require("flows.unit_stages.amending")
local differing = require("flows.order_stages.differing")
local khaos_line = require("flows.khaos_line")
local news = require("flows.despatch_stages.news")
local order_status = require("connectors.khaos_soap.order_status")
local order_units = require("flows.order_units")
local second = require("flows.despatch_stages.second")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local time = require("neap.time")

local STATE = "despatch" -- "poll" -> {since_ms}
local DOUBTED = "despatch_doubted" -- reference -> {}: shown as cancelled while we had it amended
local HOUR_MS = 3600000

local function tell(job, snapshot)
    local lines = snapshot.reference and store.get(support.LINES, snapshot.reference)
    local event
    if lines and snapshot.is_credit_note then
        event = news.of_credit_note(snapshot, lines.key, job.settings.returns_flow)
    elseif lines and lines.order_code == snapshot.order_code then
        differing.compare(lines.key, snapshot)
        event = not second.holds_back(job, lines, snapshot) and news.of(snapshot, lines.key)
            or nil
    elseif lines and lines.order_code then
        second.see(job, lines, snapshot)
    elseif snapshot.is_credit_note and not snapshot.reference then
        event = news.of_stray_credit_note(snapshot, job.settings.returns_flow)
    end
    if event then
        job:emit(event)
    end
    return event ~= nil
end

-- ---- amended orders --------------------------------------------------------------------------

-- Of an order that is amended Khaos may show the record that it deleted (contract 5.1), beside the
-- new one or, in between, alone. Alone it says nothing: the order is asked for when that is over.
local function is_doubted(snapshot, read_ms)
    local lines = snapshot.is_cancelled and snapshot.reference
        and store.get(support.LINES, snapshot.reference)
    if not lines or not amending.covers(lines.key, read_ms) then
        return false
    end
    store.put(DOUBTED, snapshot.reference, {})
    return true
end

local function look_again(job, khaos, reference)
    local lines, now_ms = store.get(support.LINES, reference), time.now_ms()
    if amending.covers(lines.key, now_ms) then
        return
    end
    local answer, err = job:step("order " .. reference, function()
        local snapshot, problem = order_status.of_order(khaos, reference, lines.order_code)
        return not problem and {snapshot = snapshot} or nil, problem
    end)
    local snapshot = support.check({job = job}, "Khaos", answer, err).snapshot
    if snapshot and not amending.covers(lines.key, now_ms) then
        tell(job, snapshot)
        store.delete(DOUBTED, reference)
    end
end

local function look_at_doubted(job, khaos)
    local after
    repeat
        local page = store.range(DOUBTED, {after = after, limit = 100})
        for _, pair in ipairs(page) do
            after = pair.key
            look_again(job, khaos, pair.key)
        end
    until #page < 100
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
                store.atomic(function()
                    if store.get(order_units.OPEN, pair.key) then -- not all of it left meanwhile
                        store.put(order_units.OPEN, pair.key, pair.value)
                    end
                end)
            end
        end
    until #page < 500
end

local function read_feed(job, khaos)
    local settings = job.settings
    local state = store.get(STATE, "poll") or {since_ms = job.live_from_ms}
    local started_ms = time.now_ms()
    local snapshots, err = order_status.changed_since(khaos, state.since_ms)
    support.check({job = job}, "Khaos", snapshots, err)
    local told, alive = 0, {}
    for _, snapshot in ipairs(snapshots) do
        alive[snapshot.order_code] = alive[snapshot.order_code] or not snapshot.is_cancelled
    end
    -- A cancellation last: another order may stand in its place.
    table.sort(snapshots, function(one, other)
        return not one.is_cancelled and other.is_cancelled == true
    end)
    for _, snapshot in ipairs(snapshots) do
        local is_replaced = snapshot.is_cancelled
            and (alive[snapshot.order_code] or is_doubted(snapshot, started_ms))
        told = told + (not is_replaced and tell(job, snapshot) and 1 or 0)
    end
    store.put(STATE, "poll", {since_ms = math.max(state.since_ms,
        started_ms - settings.overlap_ms)})
    if told > 0 then
        job:note("despatch", string.format("Khaos tells news of %d orders", told))
    end
end

--- One tick. Where Khaos pushes its news, only the clocks are looked at.
---@async
---@param job neap.Job
return function(job)
    local khaos = khaos_line.new(job.settings.khaos)
    if khaos.capabilities.poll_order_status then
        read_feed(job, khaos)
        look_at_doubted(job, khaos)
    end
    watch_clocks(job)
end
