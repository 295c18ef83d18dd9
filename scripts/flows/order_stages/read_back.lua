--- Reads a posted order back over SOAP and compares it with the prediction. A difference is shown
--- to a person and stops nothing: the order is in Khaos.
local differing = require("flows.order_stages.differing")
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
        local found, problem = khaos_orders.find(work.khaos, reference, work.record.order_code)
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

local function check(work, found)
    local posted = store.get(support.LINES, work.record.reference)
    local code = work.record.order_code
    if #found > 1 then
        open(work, "duplicate_in_khaos", string.format("Khaos has %d orders with the reference %s",
            #found, work.record.reference))
    end
    if found[1] and found[1].is_cancelled then
        work.job:note("confirm", "the order is cancelled in Khaos already")
    end
    local problem = differing.problem(code, posted, found, work.settings.net_tolerance_minor)
    differing.note(work.key, found, problem)
    if problem then
        work.job:note("confirm", problem)
        differing.open(work.job, work.key, work.record.reference, posted, problem)
    else
        work.job:note("confirm", string.format("read back: %s %s, as predicted",
            money.to_text(found[1].total_minor, posted.currency), posted.currency))
    end
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
