--- The events that start the tenant's own work: delegations, webhooks, cancellations, scenarios.

local json = require("neap.json")
local world = require("shop.world")

local starts = {}

local SOURCE = "tenant"

local function event(id, flow, name, payload)
    return {
        source = SOURCE,
        id = id,
        key = id,
        name = name,
        flow = flow,
        payload = payload,
    }
end

--- What a confirmed order starts: its delegation, and the webhook when one is set up.
---@param w table world
---@param order table
---@return neap.NewEvent[]
function starts.of_order(w, order)
    local list = {}
    local payload = {order_id = order.id}
    if w.settings.delegation_path ~= "" then
        list[#list + 1] = event(("delegation:%d"):format(order.id), "delegation",
            "order.confirmed", payload)
    end
    if w.settings.webhook_path ~= "" then
        local webhook = {order_id = order.id, type = "order-confirmed"}
        list[#list + 1] = event(("webhook:%d:confirmed"):format(order.id), "webhook",
            "order.webhook", webhook)
    end
    return list
end

--- Items came back: the shop tells its subscribers, when a webhook is set up.
---@param w table world
---@param by_order table<integer, table<integer, boolean>> order id -> item ids
---@return neap.NewEvent[]
function starts.of_return(w, by_order)
    local list = {}
    for order_id, items in pairs(by_order) do
        local ids = json.array({})
        for id in pairs(items) do
            ids[#ids + 1] = id
        end
        if w.settings.webhook_path ~= "" then
            local number = world.number(w, "returned", 1)
            list[#list + 1] = event(("webhook:%d:returned:%d"):format(order_id, number), "webhook",
                "order.webhook", {order_id = order_id, type = "order-item-returned", items = ids})
        end
    end
    return list
end

--- An agent or the shopper cancels while the merchant holds the order.
---@param number integer
---@param order_id integer
---@return neap.NewEvent
function starts.cancellation(number, order_id)
    local id = ("cancellation:%d"):format(number)
    return event(id, "cancellation", "order.cancel", {order_id = order_id})
end

--- A bulk request that is complete is worked.
---@param key integer
---@return neap.NewEvent
function starts.bulk(key)
    return event(("bulk:%d"):format(key), "bulk", "bulk.work", {key = key})
end

---@param number integer
---@param payload table {seed, count, interval_ms, kinds}
---@return neap.NewEvent
function starts.scenario(number, payload)
    return event(("scenario:%d"):format(number), "scenario", "scenario.play", payload)
end

return starts
