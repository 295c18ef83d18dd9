--- Writes Khaos's code of an order to SCAYLE, which shows it as the order's reference.
local scayle_orders = require("connectors.scayle.orders")
local support = require("flows.order_stages.support")

local reference = {}

local function hold_refused(work, code, err)
    support.hold(work, {{cause = "reference_refused", subject = work.order_id,
        message = string.format("SCAYLE did not take %s as the reference of order %s: %s", code,
            work.order_id, err.message),
        remedy = "The order is in Khaos. Enter the reference in SCAYLE or correct the connection, "
            .. "then close this.",
        recheck = "manual"}})
end

--- Writes it once for each effect key. SCAYLE overwrites (contract 2.4), and may call the order by
--- each code that it was given.
---@async
---@param work {job: neap.Job, scayle: table, where: table, order_id: string, key: string|nil}
---@param order_key string
---@param code string
---@param effect_key string
function reference.write(work, order_key, code, effect_key)
    support.call_by(code, order_key)
    local result, err = work.job:effect({
        connection = work.scayle.connection,
        name = "set_reference_key",
        key = effect_key,
        class = "dedupes",
        request = function()
            return scayle_orders.reference_key_request(work.where, work.order_id, code)
        end,
        read = function(answer)
            return scayle_orders.read_reference_key(answer, code)
        end,
    })
    if not result then
        if err.retryable then
            error(err, 0)
        end
        hold_refused(work, code, err)
    end
    work.job:note("acknowledge", "SCAYLE shows " .. code)
end

return reference
