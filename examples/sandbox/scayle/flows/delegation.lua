--- Delegates a confirmed order to the merchant: after a lag, at least once, by the retry schedule
--- of the contract, and cancels the order when nobody answers.

local delegation = require("shop.delegation")
local faults = require("lib.sandbox.faults")
local json = require("neap.json")
local orders = require("shop.orders")
local sender = require("shop.sender")
local store = require("neap.store")
local time = require("neap.time")
local world = require("shop.world")

local function open(job)
    return world.open({store = store, time = time, settings = job.settings})
end

-- What this attempt is to suffer; decided once, before it is made.
local function decide(job, number)
    return job:step("plan " .. number, function()
        local w = open(job)
        local plan = faults.plan(w.store, {operation = "delegation",
            path = w.settings.delegation_path})
        return {
            delay_ms = plan.delay_ms or (plan.reorder and 1500) or 0,
            duplicate_ms = plan.duplicate and (plan.duplicate == true and 50 or plan.duplicate)
                or nil,
            is_lost = plan.rude ~= nil,
        }
    end)
end

-- One POST and its note in the order's record. A lost answer was sent, but nobody here saw the
-- reply.
local function attempt(job, order_id, number, is_lost)
    local w = open(job)
    local order = orders.get(w, order_id)
    if not order or orders.is_cancelled(order) then
        return {is_over = true}
    end
    local body = delegation.body(order, orders.record(w, order_id))
    local result = sender.post(w.settings.delegation_path, body, w.settings.answer_timeout_ms)
    if is_lost then
        result = {problem = "the answer was lost (fault rule)"}
    end
    result.number = number
    if result.status then
        result.is_accepted, result.problem = delegation.is_accepted(result)
    end
    local after = open(job)
    if orders.get(after, order_id) then
        delegation.note(after, order_id, result)
    end
    return {is_accepted = result.is_accepted == true}
end

local function send(job, order_id, number, is_lost)
    return job:step("send " .. number, function()
        return attempt(job, order_id, number, is_lost)
    end)
end

local function repeat_later(job, order_id, number, wait_ms)
    job:sleep("before repeat " .. number, wait_ms)
    send(job, order_id, number .. " again", false)
end

local function run(job)
    local order_id = json.decode(job.event.payload).order_id
    local settings = job:step("settings", function()
        local all = open(job).settings
        return {
            delegation_lag_ms = all.delegation_lag_ms,
            retry_factor = all.retry_factor,
            retry_limit = all.retry_limit,
            duplicate_delegations = all.duplicate_delegations,
        }
    end)
    job:sleep("lag", settings.delegation_lag_ms)
    local number = 1
    while true do
        local plan = decide(job, number)
        if plan.delay_ms > 0 then
            job:sleep("delay " .. number, plan.delay_ms)
        end
        local result = send(job, order_id, tostring(number), plan.is_lost)
        local repeat_ms = plan.duplicate_ms or (settings.duplicate_delegations and 50)
        if repeat_ms and not result.is_over then
            repeat_later(job, order_id, tostring(number), repeat_ms)
        end
        if result.is_over or result.is_accepted then
            return
        end
        local wait_ms = delegation.retry_delay(number, settings)
        if not wait_ms then
            break
        end
        job:sleep("retry " .. number, wait_ms)
        number = number + 1
    end
    job:step("give up", function()
        delegation.give_up(open(job), order_id)
        return true
    end)
end

return {name = "delegation", version = 1, run = run}
