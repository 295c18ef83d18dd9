--- What the merchant reports: cancellations, shipments, returns.

local catalogue = require("shop.catalogue")
local orders = require("shop.orders")
local refunds = require("shop.refunds")
local world = require("shop.world")

local fulfillment = {}

local RETURN_KEYS = "shop_return_keys" -- return key of a shipped unit -> {order_id, item_id}

local function problem(status, key, message)
    return nil, {status = status, key = key, message = message}
end

local function check_body(w, body)
    local country = catalogue.country(tostring(body.shopKey or ""),
        tostring(body.countryCode or ""))
    if not country then
        return problem(400, "VALIDATION_ERROR", "shopKey and countryCode name no shop country")
    end
    if math.type(body.orderId) ~= "integer" then
        return problem(400, "VALIDATION_ERROR", "orderId must be an integer")
    end
    local order = orders.get(w, body.orderId)
    if not order or order.shopCountry.id ~= country.id then
        return problem(404, "ORDER_NOT_FOUND", "No order for the given identifier.")
    end
    local merchant = body.merchantReferenceKey
    if type(merchant) == "string" and merchant ~= catalogue.MERCHANT.referenceKey then
        return problem(400, "VALIDATION_ERROR", "merchantReferenceKey is unknown")
    end
    if type(body.items) ~= "table" or #body.items == 0 then
        return problem(400, "VALIDATION_ERROR", "items is missing")
    end
    return order
end

-- The named units; all must exist and be in a state that allows the report.
local function named_items(w, order, body, refused)
    local by_id, list = {}, {}
    for _, item in ipairs(order.items) do
        by_id[item.id] = item
    end
    for _, entry in ipairs(body.items) do
        local item = by_id[type(entry) == "table" and entry.orderItemId or 0]
        if not item then
            return problem(400, "VALIDATION_ERROR", "orderItemId is not an item of this order")
        elseif refused[item.status] and w.settings.repeat_conflicts then
            local text = ("item %d is already %s"):format(item.id, item.status)
            return problem(409, "CONFLICT", text)
        end
        list[#list + 1] = {item = item, entry = entry}
    end
    return list
end

local function note(w, order, name, body)
    local record = orders.record(w, order.id)
    local list = record[name]
    list[#list + 1] = {at_ms = w.now_ms, body = body}
    orders.save_record(w, record)
end

--- POST /fulfillment/cancellations.
---@param w table
---@param body table
---@return boolean|nil
---@return table|nil error {status, key, message}
function fulfillment.cancel(w, body)
    local order, err = check_body(w, body)
    if not order then
        return nil, err
    end
    local named, refusal = named_items(w, order, body, {cancelled = true, returned = true})
    if not named then
        return nil, refusal
    end
    local ids = {}
    for _, pair in ipairs(named) do
        ids[pair.item.id] = true
    end
    orders.cancel_items(w, order, ids)
    note(w, order, "cancellations", body)
    return true
end

--- POST /fulfillment/shipments: one package.
---@param w table
---@param body table
---@return boolean|nil
---@return table|nil error
function fulfillment.ship(w, body)
    local order, err = check_body(w, body)
    if not order then
        return nil, err
    end
    for _, name in ipairs({"carrier", "shipmentKey", "deliveryDate", "returnIdentCode"}) do
        if type(body[name]) ~= "string" or body[name] == "" then
            return problem(400, "VALIDATION_ERROR", name .. " is missing")
        end
    end
    local named, refusal = named_items(w, order, body,
        {shipped = true, cancelled = true, returned = true})
    if not named then
        return nil, refusal
    end
    local package = {id = world.number(w, "package", 61201), shipmentKey = body.shipmentKey}
    package.carrierKey, package.shippedAt = body.carrier, body.deliveryDate
    package.returnIdentCode = body.returnIdentCode
    order.packages = order.packages or {}
    order.packages[#order.packages + 1] = package
    local open = 0
    for _, pair in ipairs(named) do
        pair.item.status, pair.item.packageId = "shipped", package.id
        pair.item.shippedAt = body.deliveryDate
        if type(pair.entry.returnKey) == "string" and pair.entry.returnKey ~= "" then
            w.store.put(RETURN_KEYS, pair.entry.returnKey,
                {order_id = order.id, item_id = pair.item.id})
        end
    end
    for _, item in ipairs(order.items) do
        open = open + ((item.status == "delegated" or item.status == "confirmed") and 1 or 0)
    end
    order.status = open == 0 and "invoice_completed" or "invoice_partially_completed"
    orders.save(w, order)
    note(w, order, "shipments", body)
    return true
end

local function returned_item(w, entry)
    local key = type(entry) == "table" and entry.returnKey
    local place = type(key) == "string" and w.store.get(RETURN_KEYS, key)
    if not place then
        return problem(404, "RETURN_KEY_NOT_FOUND", "No shipped item has this return key.")
    elseif type(entry.received) ~= "string"
        or not entry.received:find("^%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d$") then
        return problem(400, "VALIDATION_ERROR", "received must be YYYY-MM-DD HH:MM:SS")
    elseif entry.merchantReferenceKey ~= catalogue.MERCHANT.referenceKey then
        return problem(400, "VALIDATION_ERROR", "merchantReferenceKey is unknown")
    end
    local order = orders.get(w, place.order_id)
    for _, item in ipairs(order.items) do
        if item.id == place.item_id then
            if item.status == "returned" and w.settings.repeat_conflicts then
                return problem(409, "CONFLICT", ("item %d is already returned"):format(item.id))
            end
            return place
        end
    end
end

--- POST /fulfillment/return-items: a bare list; all of it or nothing.
---@param w table
---@param body table
---@return table|nil returned order id -> {items, refund}
---@return table|nil error
function fulfillment.take_back(w, body)
    if #body == 0 then
        return problem(400, "VALIDATION_ERROR", "the list is empty")
    end
    local by_order = {}
    for _, entry in ipairs(body) do
        local place, err = returned_item(w, entry)
        if not place then
            return nil, err
        end
        by_order[place.order_id] = by_order[place.order_id] or {}
        by_order[place.order_id][place.item_id] = true
    end
    for order_id, items in pairs(by_order) do
        by_order[order_id] = {items = items, refund = fulfillment.mark_returned(w, order_id, items)}
        note(w, orders.get(w, order_id), "returns", body)
    end
    return by_order
end

--- Items came back: their state, and what the shop refunds.
---@param w table
---@param order_id integer
---@param items table<integer, boolean>
---@return table|nil refund
function fulfillment.mark_returned(w, order_id, items)
    local order, new = orders.get(w, order_id), {}
    for _, item in ipairs(order.items) do
        if items[item.id] then
            new[item.id] = item.status ~= "returned" or nil
            item.status, item.returnedAt = "returned", world.instant(w, w.now_ms)
        end
    end
    orders.save(w, order)
    return refunds.of_return(w, order, new)
end

return fulfillment
