--- Drift: per code, what Khaos has to sell, what we sent last and what SCAYLE shows.
---
--- Once in `drift_every_ms` every code is read in SCAYLE, `drift_batch` at a tick, and goes on
--- where it was after an interruption. What differs stays in a table until it agrees; one exception
--- carries the counts. `neap stock drift` shows it; `--fix` has what differs read and sent again.
---
--- in_flight      marked, on its way, or changed while we looked: it will tell itself
--- stale          SCAYLE shows our own figure, and it should be another by now
--- by_hand        SCAYLE shows a figure that is not ours
--- missing        SCAYLE has no such variant, or no figure of it in our warehouse
--- not_for_web    the same of a code that nobody is to buy: `not_for_web` names it, it is a parent
---                of variants, or Khaos calls it discontinued or deleted
local codes = require("flows.khaos_codes")
local details = require("flows.product_stages.details")
local figure = require("flows.stock_stages.figure")
local http = require("neap.http")
local product_tables = require("flows.product_stages.tables")
local stock_pending = require("flows.stock_pending")
local stocks = require("connectors.scayle.stocks")
local store = require("neap.store")
local tables = require("flows.stock_stages.tables")
local time = require("neap.time")

local drift = {}

local CLASSES = {"in_flight", "stale", "by_hand", "missing", "not_for_web"}
-- Told, and nothing that anybody has to do.
drift.HARMLESS = {in_flight = true, not_for_web = true}

-- ---- one code --------------------------------------------------------------------------------

-- A figure that left before we asked may have been taken after SCAYLE answered us.
local function is_moving(code, sent, asked_ms)
    return store.get(tables.DIRTY, code) ~= nil or store.get(stock_pending.REREAD, code) ~= nil
        or (sent ~= nil and (sent.state == "sending" or sent.state == "doubted"
            or sent.at_ms >= asked_ms or (sent.answered_ms or 0) >= asked_ms))
end

local function is_for_web(settings, code)
    local known = codes.get(code) or {}
    return not (details.is_named(settings.not_for_web or {}, code) or known.discontinued
        or known.deleted or store.get(product_tables.PARENTS, code))
end

--- The class of a difference, nil when there is none. Pure.
---@param seen {expected: integer, is_hidden: boolean|nil, is_moving: boolean, sent: table|nil,
---   shown: {quantity: integer, stamp_ms: integer|nil}|nil, has_variant: boolean,
---   is_unsold: boolean|nil} is_unsold: it is not for the web
---@return string|nil
function drift.class(seen)
    local shown, sent = seen.shown, seen.sent
    if shown and shown.quantity == seen.expected then
        return nil
    elseif not shown and seen.is_hidden then
        return nil
    elseif not shown and seen.is_unsold then
        return "not_for_web"
    elseif not seen.has_variant then
        return "missing" -- nothing on its way changes that
    elseif seen.is_moving then
        return "in_flight"
    elseif not shown then
        return "missing"
    end
    local is_ours = sent ~= nil and shown.stamp_ms ~= nil
        and shown.stamp_ms // 1000 == sent.stamp_ms // 1000
    return is_ours and "stale" or "by_hand"
end

-- answer.state: "shown", "none" (of our warehouse), "unknown" (no such variant).
local function compare(settings, code, answer, asked_ms)
    local shown = answer.shown
    local item, sent = store.get(tables.ITEMS, code), store.get(tables.SENT, code)
    if not item or not item.read_ms then
        store.delete(tables.DRIFT, code)
        return nil
    end
    local wanted = figure.of(item, stock_pending.sum(item, item.read_ms),
        figure.policy(settings.policy, item), asked_ms)
    local class = drift.class({expected = wanted.sellable, is_hidden = item.is_hidden,
        is_moving = is_moving(code, sent, asked_ms), sent = sent, shown = shown,
        has_variant = answer.state ~= "unknown",
        is_unsold = not shown and not is_for_web(settings, code)})
    if not class then
        store.delete(tables.DRIFT, code)
        return nil
    end
    store.put(tables.DRIFT, code, {class = class, khaos = wanted.sellable, text = wanted.text,
        sent = sent and sent.quantity, sent_stamp_ms = sent and sent.stamp_ms,
        shown = shown and shown.quantity, shown_stamp_ms = shown and shown.stamp_ms,
        at_ms = time.now_ms()})
    return class
end

-- ---- a batch ---------------------------------------------------------------------------------

-- What SCAYLE shows of each code; raises what may be tried again: the batch is asked for anew.
local function read(settings, page)
    local requests, answers = {}, {}
    for i, pair in ipairs(page) do
        requests[i] = stocks.get_request(pair.key)
        requests[i].connection = settings.scayle.connection
    end
    for i, result in ipairs(http.all(requests, {limit = settings.at_once})) do
        local state, found = nil, result.error
        if result.answer then
            state, found = stocks.read_get(result.answer, settings.warehouse)
        end
        if not state then
            error(found, 0)
        end
        answers[page[i].key] = {state = state, shown = state == "shown" and found or nil}
    end
    return answers
end

local function look_at(settings, state)
    local asked_ms = time.now_ms()
    local page = store.range(tables.ITEMS, {after = state.after, limit = settings.drift_batch})
    local answers = #page > 0 and read(settings, page) or {}
    for _, pair in ipairs(page) do
        local class = compare(settings, pair.key, answers[pair.key], asked_ms)
        state.looked = state.looked + 1
        if class then
            state.counts[class] = (state.counts[class] or 0) + 1
        end
        state.after = pair.key
    end
    return #page < settings.drift_batch
end

-- ---- a whole one -----------------------------------------------------------------------------

-- Codes that Khaos lists no more were not looked at.
local function forget_older(started_ms)
    local after
    repeat
        local page = store.range(tables.DRIFT, {after = after, limit = 500})
        for _, pair in ipairs(page) do
            after = pair.key
            if pair.value.at_ms < started_ms then
                store.delete(tables.DRIFT, pair.key)
            end
        end
    until #page < 500
end

local function tell(job, state)
    local words, wrong = {}, 0
    for _, class in ipairs(CLASSES) do
        local count = state.counts[class] or 0
        words[#words + 1] = count > 0 and string.format("%d %s", count, class:gsub("_", " ")) or nil
        wrong = wrong + (drift.HARMLESS[class] and 0 or count)
    end
    local text = string.format("%d codes compared: %s", state.looked,
        #words > 0 and table.concat(words, ", ") or "all agree")
    job:note("stock", text)
    if wrong == 0 then
        job:close_exception("stock_drift", job.settings.warehouse, text)
        return
    end
    job:open_exception({cause = "stock_drift", subject = job.settings.warehouse, message = text,
        remedy = "See which (neap stock drift); find out who else writes stock, or have them sent "
            .. "again (neap stock drift --fix). The next comparison that agrees closes this.",
        recheck = "proof"})
end

local function finish(job, state)
    forget_older(state.started_ms)
    tell(job, state)
    store.put(tables.STATE, "drift", {completed_ms = time.now_ms(),
        started_ms = state.started_ms, looked = state.looked, counts = state.counts})
end

-- Marks what differs: read again, so that its stamp is newer, and sent whatever we sent before.
local function fix()
    local after
    repeat
        local page = store.range(tables.DRIFT, {after = after, limit = 500})
        for _, pair in ipairs(page) do
            after = pair.key
            local sent = store.get(tables.SENT, pair.key)
            if sent and sent.state ~= "sending" then
                sent.state = "doubted"
                store.put(tables.SENT, pair.key, sent)
            end
            store.put(stock_pending.REREAD, pair.key, {since_ms = time.now_ms()})
        end
    until #page < 500
end

-- The first comparison comes one period after the first tick, or when somebody asks for it.
local function is_due(settings, state, now_ms, wish)
    if wish == "check" then
        return true
    elseif not state.completed_ms then
        store.put(tables.STATE, "drift", {completed_ms = now_ms})
        return false
    end
    return now_ms - state.completed_ms >= settings.drift_every_ms
end

--- One tick.
---@async
---@param job neap.Job
function drift.run(job)
    local settings, now_ms = job.settings, time.now_ms()
    local wish = (store.get(tables.STATE, "drift_wish") or {}).wish
    if wish then
        store.delete(tables.STATE, "drift_wish")
    end
    if wish == "fix" then
        fix()
        job:note("stock", "what differs is read and sent again")
    end
    local state = store.get(tables.STATE, "drift") or {}
    if not state.is_under_way then
        if not is_due(settings, state, now_ms, wish) then
            return
        end
        state = {is_under_way = true, started_ms = now_ms, looked = 0, counts = {},
            completed_ms = state.completed_ms}
        store.put(tables.STATE, "drift", state)
    end
    if look_at(settings, state) then
        finish(job, state)
    else
        store.put(tables.STATE, "drift", state)
    end
end

return drift
