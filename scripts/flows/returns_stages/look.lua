--- What SCAYLE shows of an order now, reduced to what returns and refunds need.
local aftersales = require("connectors.scayle.aftersales")
local scayle_client = require("connectors.scayle.client")
local scayle_orders = require("connectors.scayle.orders")
local support = require("flows.order_stages.support")

--- Asks, once per name and run.
---@async
---@param job neap.Job
---@param order_key string
---@param name string of the step
---@return scayle.Aftersale
return function(job, order_key, name)
    local record = support.record(order_key)
    local scayle = scayle_client.new(job.settings.scayle)
    local where = {shop_key = record.shop_key, country = record.country}
    local sale, err = job:step(name, function()
        local order, problem = scayle_orders.get(scayle, where, record.order_id)
        if not order then
            return nil, problem
        end
        return aftersales.digest(order)
    end)
    return support.check({job = job}, "SCAYLE", sale, err)
end
