--- Stage "acknowledge": writes the Khaos order code back to SCAYLE.
local scayle_orders = require("connectors.scayle.orders")
local support = require("flows.order_stages.support")

local function is_wanted(work)
    local rule = work.settings.write_reference
    return rule == "always" or (rule == "unless_shared" and not work.record.is_shared)
end

local function hold_refused(work, err)
    support.hold(work, {{cause = "reference_refused", subject = work.order_id,
        message = string.format("SCAYLE did not take %s as the reference of order %s: %s",
            work.record.order_code, work.order_id, err.message),
        remedy = "The order is in Khaos. Enter the reference in SCAYLE or correct the connection, "
            .. "then close this.",
        recheck = "manual"}})
end

--- Remembered in the order's record; on orders with several merchants the reference is nobody's
--- own.
---@async
---@param work table
---@return string|nil ended
return function(work)
    local record = work.record
    if record.acknowledged or not is_wanted(work) then
        return nil
    end
    support.call_by(record.order_code, work.key)
    local result, err = work.job:effect({
        connection = work.scayle.connection,
        name = "set_reference_key",
        key = work.key,
        class = "dedupes",
        request = function()
            return scayle_orders.reference_key_request(work.where, work.order_id, record.order_code)
        end,
        read = function(answer)
            return scayle_orders.read_reference_key(answer, record.order_code)
        end,
    })
    if not result then
        if err.retryable then
            error(err, 0)
        end
        hold_refused(work, err)
    end
    support.remember(work, {acknowledged = true})
    work.job:note("acknowledge", "SCAYLE shows " .. record.order_code)
    return nil
end
