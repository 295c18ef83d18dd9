--- Posted orders that Khaos shows with another total than was proved: a person is told, and they
--- are read again until somebody has corrected them. Nothing is stopped: the order is in Khaos.
---
--- The status feed shows the total of every order that moves: one that is not what was read back
--- last is suspected, and read again by the orders flow, which judges it.
local amending = require("flows.unit_stages.amending")
local history = require("flows.order_history")
local khaos_line = require("flows.khaos_line")
local khaos_orders = require("connectors.khaos_soap.orders")
local lowered = require("flows.order_stages.lowered")
local money = require("neap.money")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local time = require("neap.time")

local differing = {}

--- key of the order -> {reference, until_ms, is_suspected}: suspected until it was read
differing.TABLE = "orders_differing"

local CAUSE = "posted_total_differs"
local LOOK_FOR_MS = 60 * 24 * 3600000 -- then nobody will correct it any more

local function text(minor, currency)
    return minor and money.to_text(minor, currency) or "an unreadable amount"
end

--- What is wrong with an order that was read back; nil when it is as predicted.
---@param code string Khaos's
---@param posted table of support.LINES
---@param found table[] as khaos_soap.orders.find gives it
---@param net_tolerance_minor integer how far its net may be off when its total is right
---@return string|nil
function differing.problem(code, posted, found, net_tolerance_minor)
    local first, predicted, currency = found[1], posted.predicted, posted.currency
    if not first then
        return string.format("Khaos took an order as %s but does not list it", code)
    elseif first.total_minor ~= predicted.gross_minor or first.currency ~= currency then
        return string.format("Khaos order %s comes to %s %s, predicted and paid were %s %s", code,
            text(first.total_minor, currency), first.currency or "?",
            text(predicted.gross_minor, currency), currency)
    end
    local off = first.net_minor and math.abs(first.net_minor - predicted.net_minor) or 0
    if off > net_tolerance_minor then
        return string.format("Khaos order %s has the right total, but net %s instead of %s", code,
            text(first.net_minor, currency), text(predicted.net_minor, currency))
    end
    return nil
end

--- What Khaos shows, as reconciliation reads it.
---@param key string
---@param found table[]
---@param problem string|nil
---@param lowered_minor integer|nil so much less by right (flows.order_stages.lowered)
function differing.note(key, found, problem, lowered_minor)
    local first = found[1] or {}
    history.add(key, "read_back", {count = #found, total_minor = first.total_minor,
        net_minor = first.net_minor, currency = first.currency, quantity = first.quantity,
        cancelled = first.is_cancelled or nil, differs = problem and true or nil,
        lowered_minor = lowered_minor})
end

--- Khaos's status feed shows an order: is its total what was read back last? If not, it is to be
--- read again.
---@param key string
---@param snapshot khaos.Snapshot
function differing.compare(key, snapshot)
    local last, totals = history.newest(key, "read_back"), snapshot.totals
    if not last or not totals or not totals.total_minor or snapshot.is_cancelled
        or last.total_minor == totals.total_minor and last.net_minor == totals.net_minor
        and last.currency == totals.currency then
        return
    end
    store.atomic(function()
        local entry = store.get(differing.TABLE, key) or {reference = snapshot.reference,
            until_ms = time.now_ms() + LOOK_FOR_MS}
        entry.is_suspected = true
        store.put(differing.TABLE, key, entry)
    end)
end

--- Tells a person.
---@param job neap.Job
---@param key string
---@param reference string
---@param posted table of support.LINES
---@param problem string
function differing.open(job, key, reference, posted, problem)
    store.put(differing.TABLE, key, {reference = reference, until_ms = time.now_ms()
        + LOOK_FOR_MS})
    job:open_exception({cause = CAUSE, subject = reference, message = problem,
        remedy = "Compare the order in Khaos with its penny trail (neap order " .. posted.order_id
            .. ") and correct it in Khaos: this closes by itself when Khaos shows it.",
        recheck = "proof"})
end

-- One whose units are on their way out is judged when that is settled.
local function judge(job, key, entry, found)
    local posted = store.get(support.LINES, entry.reference)
    local first, off = found[1] or {}, lowered.of(key, posted)
    local is_over = time.now_ms() > entry.until_ms
    if not is_over and not first.is_cancelled and lowered.is_open(key, posted, off, first) then
        return
    end
    local problem = differing.problem(posted.order_code, lowered.expected(posted, off, found[1]),
        found, job.settings.net_tolerance_minor)
    local less = not problem and posted.predicted.gross_minor - first.total_minor or 0
    differing.note(key, found, problem, less > 0 and less or nil)
    if not problem or first.is_cancelled then
        job:close_exception(CAUSE, entry.reference, first.is_cancelled and "cancelled in Khaos"
            or "Khaos shows the right total")
        store.delete(differing.TABLE, key)
    elseif entry.is_suspected then
        job:note("confirm", problem)
        differing.open(job, key, entry.reference, posted, problem)
    elseif is_over then
        store.delete(differing.TABLE, key)
    end
end

local function look(job, khaos, key, entry)
    local read_ms = time.now_ms()
    local found = job:step("differs " .. key, function()
        local lines = store.get(support.LINES, entry.reference) or {}
        return khaos_orders.find(khaos, entry.reference, lines.order_code) or {is_unread = true}
    end)
    if not found.is_unread and not amending.covers(key, read_ms) then -- else at the next tick
        judge(job, key, entry, found)
    end
end

--- Reads them again: one tick of the sweep.
---@async
---@param job neap.Job
function differing.look_again(job)
    local khaos = khaos_line.new(job.settings.khaos)
    if not khaos.capabilities.export_orders then
        return
    end
    local after
    repeat
        local page = store.range(differing.TABLE, {after = after, limit = 100})
        for _, pair in ipairs(page) do
            after = pair.key
            look(job, khaos, pair.key, pair.value)
        end
    until #page < 100
end

return differing
