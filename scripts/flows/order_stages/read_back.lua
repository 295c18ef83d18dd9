--- Reads a posted order back over SOAP and compares it with the prediction. A difference is shown
--- to a person and stops nothing: the order is in Khaos.
local history = require("flows.order_history")
local khaos_orders = require("connectors.khaos_soap.orders")
local money = require("neap.money")
local news = require("flows.despatch_stages.news")
local order_status = require("connectors.khaos_soap.order_status")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local time = require("neap.time")

local LONG_MS = 30 * 60000 -- well below the overlap with which the status feed is read

local function read_back(work, name)
    local reference = work.record.reference
    local answer, err = work.job:step(name, function()
        local found, problem = khaos_orders.find(work.khaos, reference)
        return found and {found = found}, problem
    end)
    return support.check(work, "Khaos", answer, err).found
end

local function open(work, cause, message)
    work.job:note("confirm", message)
    work.job:open_exception({cause = cause, subject = work.record.reference, message = message,
        remedy = "Compare the order in Khaos with its penny trail and correct it in Khaos, then "
            .. "close this.",
        recheck = "manual"})
end

local function text(minor, currency)
    return minor and money.to_text(minor, currency) or "an unreadable amount"
end

-- True when they differ.
local function compare(work, posted, found)
    local predicted, currency = posted.predicted, posted.currency
    local code = work.record.order_code
    if found.total_minor ~= predicted.gross_minor or found.currency ~= currency then
        open(work, "posted_total_differs", string.format("Khaos order %s comes to %s %s, predicted "
            .. "and paid were %s %s", code, text(found.total_minor, currency),
            found.currency or "?", text(predicted.gross_minor, currency), currency))
        return true
    end
    local off = found.net_minor and math.abs(found.net_minor - predicted.net_minor) or 0
    if off > work.settings.net_tolerance_minor then
        open(work, "posted_total_differs", string.format("Khaos order %s has the right total, but "
            .. "net %s instead of %s", code, text(found.net_minor, currency),
            text(predicted.net_minor, currency)))
        return true
    end
    work.job:note("confirm", string.format("read back: %s %s, as predicted",
        text(found.total_minor, currency), currency))
    return false
end

local function remember(work, count, first, differs)
    history.add(work.key, "read_back", {count = count, total_minor = first and first.total_minor,
        net_minor = first and first.net_minor, currency = first and first.currency,
        cancelled = first and first.is_cancelled or nil, differs = differs or nil})
end

local function check(work, found)
    local posted = store.get(support.LINES, work.record.reference)
    if #found == 0 then
        open(work, "posted_total_differs", string.format(
            "Khaos took order %s as %s but does not list it", work.record.reference,
            work.record.order_code))
        remember(work, 0, nil, true)
        return
    end
    if #found > 1 then
        open(work, "duplicate_in_khaos", string.format("Khaos has %d orders with the reference %s",
            #found, work.record.reference))
    end
    if found[1].is_cancelled then
        work.job:note("confirm", "the order is cancelled in Khaos already")
    end
    remember(work, #found, found[1], compare(work, posted, found[1]))
end

-- An order whose outcome was open for long may have been sent since, and the status feed has passed
-- it: nothing was known of it then.
local function tell_despatch(work)
    local flow = work.settings.despatch_flow
    if not flow or time.now_ms() - (work.record.accepted_ms or 0) < LONG_MS then
        return
    end
    local answer, err = work.job:step("what became of it", function()
        local snapshot, problem = order_status.of_order(work.khaos, work.record.reference,
            work.record.order_code)
        return not problem and {snapshot = snapshot} or nil, problem
    end)
    local snapshot = support.check(work, "Khaos", answer, err).snapshot
    local event = snapshot and news.of(snapshot, work.key, flow)
    if event then
        work.job:emit(event)
    end
end

--- Compares.
---@async
---@param work table
return function(work)
    local found = read_back(work, "read back")
    if #found == 0 then
        work.job:sleep("Khaos does not list the order yet", work.settings.read_back_wait_ms)
        found = read_back(work, "read back again")
    end
    check(work, found)
    tell_despatch(work)
end
