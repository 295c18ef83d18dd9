--- The part of the Admin API that the sandbox speaks. Every entry: operation, method, path,
--- scope, run.

local bulk = require("shop.bulk")
local catalogue = require("shop.catalogue")
local control = require("lib.sandbox.control")
local fulfillment = require("shop.fulfillment")
local gate = require("shop.gate")
local json = require("neap.json")
local orders = require("shop.orders")
local products = require("shop.products")
local refunds = require("shop.refunds")
local starts = require("shop.starts")
local stocks = require("shop.stocks")
local subjects = require("shop.subjects")

local admin = {}

local REFERENCE_MAX = 255

local function not_found(what)
    return gate.error(404, what .. "_NOT_FOUND", "Nothing for the given identifier.")
end

local function with_country(run)
    return function(w, request)
        local country = orders.country(request.params)
        if not country then
            return not_found("SHOP_COUNTRY")
        end
        return run(w, request, country)
    end
end

-- GET one order is not filtered by the shop country of the path (contract 2.1).
local function with_order(run)
    return with_country(function(w, request)
        local order = orders.find(w, request.params.order)
        if not order then
            return not_found("ORDER")
        end
        return run(w, request, order)
    end)
end

local function page_size(w, request)
    local text = request.query.limit
    if text == nil then
        return w.settings.page_limit
    end
    local limit = text:match("^%d+$") and math.tointeger(tonumber(text))
    if not limit or limit < 1 or limit > w.settings.page_limit_max then
        return nil
    end
    return limit
end

local function list_orders(w, request, country)
    local limit = page_size(w, request)
    if not limit then
        return gate.error(400, "VALIDATION_ERROR", "limit is out of range", {field = "limit"})
    end
    local after = 0
    if request.query.cursor then
        after = math.tointeger(tonumber(request.query.cursor:match("^o(%d+)$")))
        if not after then
            return gate.error(400, "VALIDATION_ERROR", "cursor is not valid", {field = "cursor"})
        end
    end
    local bound = w.settings.list_bound_to_country and country or nil
    local list, last = orders.page(w, after, limit, bound)
    return gate.list(list, last and ("o%012d"):format(last))
end

local function set_reference(w, request, _)
    local id = request.params.order:match("^%d+$")
    local order = id and orders.find(w, id)
    if not order then
        return not_found("ORDER")
    end
    local body, refusal = gate.body(request)
    if not body then
        return refusal
    end
    local reference = body.referenceKey
    if type(reference) ~= "string" or reference == "" or #reference > REFERENCE_MAX then
        local context = {field = "referenceKey"}
        return gate.error(400, "VALIDATION_ERROR", "referenceKey must be a short text", context)
    end
    local saved, problem = orders.set_reference(w, order, reference)
    if not saved then
        return gate.error(409, "CONFLICT", problem)
    end
    return control.reply(200, saved)
end

local function report(run)
    return function(w, request)
        local body, refusal = gate.body(request)
        if not body then
            return refusal
        end
        local ok, err = run(w, body)
        if not ok then
            return gate.error(err.status, err.key, err.message)
        end
        return {status = 204, headers = {}}
    end
end

local function return_items(w, request)
    local body, refusal = gate.body(request)
    if not body then
        return refusal
    end
    local by_order, err = fulfillment.take_back(w, body)
    if not by_order then
        return gate.error(err.status, err.key, err.message)
    end
    return {status = 204, headers = {}, events = starts.of_return(w, by_order)}
end

local function billing_status(w, request, order)
    local body, refusal = gate.body(request)
    if not body then
        return refusal
    end
    local ok, err = refunds.set_status(w, order, body)
    if not ok then
        return gate.error(err.status, err.key, err.message)
    end
    return control.reply(200, order)
end

local function with_variant(run)
    return function(w, request)
        local variant = stocks.variant(w, request.params.variant)
        if not variant then
            return gate.error(404, "VARIANT_NOT_FOUND", "No variant for the given identifier.")
        end
        return run(w, request, variant)
    end
end

local function set_stock(w, request, variant)
    local body, refusal = gate.body(request)
    if not body then
        return refusal
    end
    local stock, problem, field = stocks.set(w, variant, body)
    if not stock then
        return gate.error(400, "VALIDATION_ERROR", problem, {field = field})
    end
    return control.reply(200, stock)
end

local EVENTS = {"order-confirmed", "order-delegated", "order-cancelled", "order-item-cancelled",
    "order-item-returned", "order-package-undeliverable", "order-corrective-invoiced",
    "payment-refund"}

local function webhook_events()
    local list = {}
    for i, name in ipairs(EVENTS) do
        list[i] = {
            event = name,
            version = 2,
            description = name,
            isDeprecated = false,
            isBlocking = false,
            supportedFilters = {merchants = true},
        }
    end
    return control.reply(200, {entities = list})
end

local ORDERS = "/shops/{shop}/countries/{country}/orders"

local function entry(operation, method, path, scope, run)
    return {operation = operation, method = method, path = path, scope = scope, run = run}
end

admin.CALLS = {
    entry("list_orders", "GET", ORDERS, "ordersRead", with_country(list_orders)),
    entry(
        "get_order",
        "GET",
        ORDERS .. "/{order}",
        "ordersRead",
        with_order(function(_, _, order)
            local reply = control.reply(200, order)
            reply.shown = subjects.shown(order)
            return reply
        end)
    ),
    entry(
        "get_status",
        "GET",
        ORDERS .. "/{order}/status",
        "ordersRead",
        with_order(function(_, _, order)
            return control.reply(200, {status = order.status,
                detailedStatus = order.detailedStatus})
        end)
    ),
    entry("set_reference", "PUT", ORDERS .. "/{order}/reference-key", "ordersWrite",
        with_country(set_reference)),
    entry("billing_status", "PATCH", ORDERS .. "/{order}/billing-status", "ordersWrite",
        with_order(billing_status)),
    entry("cancel", "POST", "/fulfillment/cancellations", "fulfillmentWrite",
        report(fulfillment.cancel)),
    entry("ship", "POST", "/fulfillment/shipments", "fulfillmentWrite", report(fulfillment.ship)),
    entry("return_items", "POST", "/fulfillment/return-items", "fulfillmentWrite", return_items),
    entry("list_carriers", "GET", "/carriers", "globalRead", function()
        return gate.list(catalogue.CARRIERS)
    end),
    entry("list_warehouses", "GET", "/warehouses", "globalRead", function()
        return gate.list(catalogue.warehouse_list())
    end),
    entry("list_merchants", "GET", "/merchants", "globalRead", function()
        return gate.list({catalogue.merchant()})
    end),
    entry("get_merchant", "GET", "/merchants/{merchant}", "globalRead", function(_, request)
        local id, own = request.params.merchant, catalogue.MERCHANT
        if id ~= tostring(own.id) and id ~= "key=" .. own.referenceKey then
            return not_found("MERCHANT")
        end
        return control.reply(200, catalogue.merchant())
    end),
    entry("list_shops", "GET", "/shops", "globalRead", function()
        return gate.list({{shopKey = "fo", name = "Fellside Outdoor"}})
    end),
    entry("list_countries", "GET", "/shops/{shop}/countries", "globalRead", function(_, request)
        if request.params.shop ~= "fo" then
            return not_found("SHOP")
        end
        return gate.list(catalogue.COUNTRIES)
    end),
    entry(
        "get_country",
        "GET",
        "/shops/{shop}/countries/{country}",
        "globalRead",
        with_country(function(_, _, country)
            return control.reply(200, country)
        end)
    ),
    -- Without cursor, as the examples show it.
    entry(
        "list_stocks",
        "GET",
        "/variants/{variant}/stocks",
        "stocksRead",
        with_variant(function(w, _, variant)
            return control.reply(200, {entities = json.array(stocks.list(w, variant))})
        end)
    ),
    entry("set_stock", "POST", "/variants/{variant}/stocks", "stocksWrite",
        with_variant(set_stock)),
    entry("list_webhook_events", "GET", "/webhooks/events", "globalRead", webhook_events),
}

for _, call in ipairs(bulk.calls(gate, control, starts)) do
    admin.CALLS[#admin.CALLS + 1] = call
end

table.move(products.CALLS, 1, #products.CALLS, #admin.CALLS + 1, admin.CALLS)

return admin
