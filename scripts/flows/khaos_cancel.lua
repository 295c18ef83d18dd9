--- Has Khaos cancel a whole sales order (the paid CancelOrder), for whichever flow wants it.
local cancel = require("connectors.khaos_soap.cancel")
local support = require("flows.order_stages.support")

--- Asks, and believes only what the order shows then.
---@async
---@param job neap.Job of a flow with the setting cancel_order
---@param khaos khaos.Client
---@param record {reference: string, order_code: string}
---@return {is_cancelled: true, left: integer|nil}|nil done left: units that were sent before
---@return string|nil words why not; raises what may be tried again
return function(job, khaos, record)
    local settings = job.settings.cancel_order
    local result, err = job:effect({
        connection = khaos.connection, name = "cancel_order", key = record.order_code,
        class = "lookup",
        request = function()
            return cancel.request(khaos, settings, record.order_code)
        end,
        read = function(answer)
            return cancel.read(answer, settings)
        end,
        lookup = function()
            return cancel.lookup(khaos, record.reference, record.order_code)
        end,
    })
    if not result then
        if err.retryable or err.kind == "cancelled" then
            error(err, 0)
        end
        return nil, err.message
    end
    local shown, problem = cancel.shown(job, khaos, record)
    shown = support.check({job = job}, "Khaos", shown, problem)
    if not shown.is_cancelled then
        return nil, cancel.NOT_SHOWN
    end
    return shown
end
