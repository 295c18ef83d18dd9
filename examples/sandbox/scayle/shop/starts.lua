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

local function webhook(w, order_id, what, said)
    local number = world.number(w, what, 1)
    said.order_id = order_id
    return event(("webhook:%d:%s:%d"):format(order_id, what, number), "webhook", "order.webhook",
        said)
end

--- Money went back: a corrective invoice and the payment provider's notice, in this order or the
--- other; some of them late.
---@param w table world
---@param order_id integer
---@param refund table|nil
---@return neap.NewEvent[]
function starts.of_refund(w, order_id, refund)
    local list = {}
    if not refund or w.settings.webhook_path == "" or not w.settings.refund_webhooks then
        return list
    end
    for i, kind in ipairs({"order-corrective-invoiced", "payment-refund"}) do
        local is_late = world.number(w, "refund_late", 1) % 3 == i
        list[i] = webhook(w, order_id, "refund", {type = kind, refund = refund,
            delay_ms = is_late and 700 or nil})
    end
    return list
end

--- Items came back: the shop tells its subscribers, when a webhook is set up.
---@param w table world
---@param by_order table<integer, {items: table<integer, boolean>, refund: table|nil}> by order id
---@return neap.NewEvent[]
function starts.of_return(w, by_order)
    local list = {}
    for order_id, told in pairs(by_order) do
        local ids = json.array({})
        for id in pairs(told.items) do
            ids[#ids + 1] = id
        end
        if w.settings.webhook_path ~= "" then
            list[#list + 1] = webhook(w, order_id, "returned",
                {type = "order-item-returned", items = ids})
        end
        for _, entry in ipairs(starts.of_refund(w, order_id, told.refund)) do
            table.insert(list, 1, entry) -- the provider is often first
        end
    end
    return list
end

--- An agent took units off.
---@param w table world
---@param order_id integer
---@param ids integer[]
---@return neap.NewEvent[]
function starts.of_cancelled_items(w, order_id, ids)
    return w.settings.webhook_path ~= "" and {webhook(w, order_id, "cancelled",
        {type = "order-item-cancelled", items = json.array(ids)})} or {}
end

--- A carrier could not deliver.
---@param w table world
---@param order_id integer
---@param ids integer[]
---@return neap.NewEvent[]
function starts.of_undeliverable(w, order_id, ids)
    return w.settings.webhook_path ~= "" and {webhook(w, order_id, "undeliverable",
        {type = "order-package-undeliverable", items = json.array(ids)})} or {}
end

--- An agent or the shopper cancels while the merchant holds the order.
---@param number integer
---@param order_id integer
---@param warehouse_ids integer[]|nil only what lies there
---@return neap.NewEvent
function starts.cancellation(number, order_id, warehouse_ids)
    local id = ("cancellation:%d"):format(number)
    return event(id, "cancellation", "order.cancel", {order_id = order_id,
        warehouse_ids = warehouse_ids})
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
