--- Posted orders that Khaos shows with another total than was proved: a person is told, and they
--- are read again until somebody has corrected them. Nothing is stopped: the order is in Khaos.
local history = require("flows.order_history")
local khaos_line = require("flows.khaos_line")
local khaos_orders = require("connectors.khaos_soap.orders")
local money = require("neap.money")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local time = require("neap.time")

local differing = {}

--- key of the order -> {reference, until_ms}
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
function differing.note(key, found, problem)
    local first = found[1] or {}
    history.add(key, "read_back", {count = #found, total_minor = first.total_minor,
        net_minor = first.net_minor, currency = first.currency,
        cancelled = first.is_cancelled or nil, differs = problem and true or nil})
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

local function look(job, khaos, key, entry)
    local found = job:step("differs " .. key, function()
        return khaos_orders.find(khaos, entry.reference) or {is_unread = true}
    end)
    local posted = store.get(support.LINES, entry.reference)
    if found.is_unread then
        return -- read at the next tick
    end
    local problem = differing.problem(posted.order_code, posted, found,
        job.settings.net_tolerance_minor)
    local is_cancelled = found[1] and found[1].is_cancelled
    differing.note(key, found, problem)
    if not problem or is_cancelled then
        job:close_exception(CAUSE, entry.reference, is_cancelled and "cancelled in Khaos"
            or "Khaos shows the right total")
        store.delete(differing.TABLE, key)
    elseif time.now_ms() > entry.until_ms then
        store.delete(differing.TABLE, key)
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
