--- Stage "fetch": reads the full order; the delegation lacks discounts, payments and promotions.
local orders = require("connectors.scayle.orders")
local support = require("flows.order_stages.support")

-- The delegation's slice writes its time into the order's record, and sends its notice only to an
-- order that has one. So the record is there before this looks: whichever slice comes first, the
-- other sees it, and no wait misses its end.
local function has_delegation(work)
    local record = support.record(work.key)
    if record.delegated_ms == nil and not record.is_awaited then
        support.remember(work, {is_awaited = true})
        record = support.record(work.key)
    end
    return record.delegated_ms ~= nil
end

-- An order without a delegation waits for it: SCAYLE delegates a minute after the confirmation,
-- and an order whose delegation nobody answers is cancelled. Once something of it may have reached
-- Khaos it goes on: nobody else would find out what became of that.
local function await_delegation(work)
    local job = work.job
    if work.is_delegated or work.record.is_begun then
        return nil
    elseif not has_delegation(work) then
        job:facts({state = "confirmed, waiting for its delegation"})
        job:sleep("wait for the delegation", work.settings.delegation_grace_ms)
    end
    if has_delegation(work) then
        job:note("orders", "delegated by now: the delegation's own job carries on")
        return "delegated"
    end
    return nil
end

local function read(work, name)
    local answer, err = work.job:step(name, function()
        local order, problem = orders.get(work.scayle, work.where, work.order_id)
        if order then
            return {order = order}
        elseif problem.kind == "not_found" then
            return {is_missing = true}
        end
        return nil, problem
    end)
    return support.check(work, "SCAYLE", answer, err)
end

--- Sets work.order.
---@async
---@param work table
---@return string|nil ended
return function(work)
    work.job:facts({title = "SCAYLE order " .. work.order_id})
    local ended = await_delegation(work)
    if ended then
        return ended
    end
    local answer = read(work, "fetch")
    if answer.is_missing then
        work.job:sleep("SCAYLE does not show the order yet", work.settings.missing_order_wait_ms)
        answer = read(work, "fetch again")
    end
    if answer.is_missing then
        support.hold(work, {{cause = "order_not_found", subject = work.order_id,
            message = string.format("SCAYLE sent order %s but does not show it", work.order_id),
            remedy = "Check shop and country of the order and the rights of the API key, then "
                .. "close this to try again.",
            recheck = "manual"}})
    end
    work.order = answer.order
    return nil
end
