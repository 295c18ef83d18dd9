--- A simulated SCAYLE tenant: its Admin API and the control routes of the simulation.

local admin = require("shop.admin")
local books = require("shop.books")
local catalogue = require("shop.catalogue")
local control = require("lib.sandbox.control")
local faults = require("lib.sandbox.faults")
local fulfillment = require("shop.fulfillment")
local gate = require("shop.gate")
local generator = require("shop.generator")
local json = require("neap.json")
local ledger = require("shop.ledger")
local orders = require("shop.orders")
local products = require("shop.products")
local refunds = require("shop.refunds")
local starts = require("shop.starts")
local stocks = require("shop.stocks")
local store = require("neap.store")
local time = require("neap.time")
local world = require("shop.world")

local MAX_BODY_BYTES = 4 * 1024 * 1024
local MAX_SCENARIO = 2000

local function open(ctx)
    local w = world.open({store = store, time = time, settings = ctx.settings})
    orders.close_unsent(w)
    return w
end

local function admin_route(call)
    return {
        kind = "route",
        name = call.operation,
        method = call.method,
        path = "/api/admin/v1" .. call.path,
        max_body_bytes = MAX_BODY_BYTES,
        handle = function(ctx, request)
            return gate.handle(open(ctx), request, call)
        end,
    }
end

local function lever(method, name, run)
    return {
        kind = "route",
        name = "control_" .. name .. "_" .. method:lower(),
        method = method,
        path = "/_control/" .. name,
        max_body_bytes = MAX_BODY_BYTES,
        handle = function(ctx, request)
            local w = open(ctx)
            local body, problem = control.body(request)
            if not body then
                return control.bad(problem)
            end
            return run(w, body, request)
        end,
    }
end

local function place(w, body)
    local order, record = orders.place_from(w, body)
    if not order then
        return control.bad(record)
    end
    local reply = control.reply(201, {
        order_id = order.id,
        public_key = order.publicKey,
        total_minor = order.cost.withTax,
        currency = order.currencyCode,
        expect = record.expect,
    })
    reply.events = starts.of_order(w, order)
    return reply
end

local function play(w, body)
    local count = body.count or 30
    if math.type(count) ~= "integer" or count < 1 or count > MAX_SCENARIO then
        return control.bad(("count must be 1 to %d"):format(MAX_SCENARIO))
    end
    local number = world.number(w, "scenario", 1)
    local payload = {
        seed = body.seed or 1,
        count = count,
        interval_ms = body.interval_ms or 200,
        kinds = body.kinds,
        only_visible = body.only_visible,
    }
    local reply = control.reply(202, {scenario = number, count = count})
    reply.events = {starts.scenario(number, payload)}
    return reply
end

local function cancel(w, body)
    local order = math.type(body.order_id) == "integer" and orders.get(w, body.order_id)
    if not order then
        return control.reply(404, {error = "no such order"})
    end
    local number = world.number(w, "cancellation", 1)
    local reply = control.reply(202, {order_id = order.id})
    reply.events = {starts.cancellation(number, order.id, body.warehouse_ids)}
    return reply
end

-- An agent takes units off an order: {order_id, items}.
local function cancel_items(w, body)
    local order = math.type(body.order_id) == "integer" and orders.get(w, body.order_id)
    local ids = {}
    for _, id in ipairs(body.items or {}) do
        ids[id] = true
    end
    if not order or not next(ids) then
        return control.bad("no such order, or no items")
    end
    orders.cancel_items(w, order, ids)
    local reply = control.reply(202, {order_id = order.id})
    reply.events = starts.of_cancelled_items(w, order.id, body.items)
    return reply
end

-- The shop takes units back by itself (a carrier's scan, an agent): the first `count` shipped ones.
local function take_back(w, body)
    local order = math.type(body.order_id) == "integer" and orders.get(w, body.order_id)
    if not order then
        return control.reply(404, {error = "no such order"})
    end
    local items, left = {}, body.count or 1
    for _, item in ipairs(order.items) do
        if item.status == "shipped" and left > 0 then
            items[item.id], left = true, left - 1
        end
    end
    local refund = fulfillment.mark_returned(w, order.id, items)
    local reply = control.reply(202, {order_id = order.id})
    reply.events = starts.of_return(w, {[order.id] = {items = items, refund = refund}})
    return reply
end

-- An agent gives money back: {order_id, delivery = true} or {order_id, amount_minor}.
local function give_back(w, body)
    local order = math.type(body.order_id) == "integer" and orders.get(w, body.order_id)
    local refund = order and refunds.by_agent(w, order, body)
    if not refund then
        return control.bad("no such order, or nothing to refund")
    end
    local reply = control.reply(202, refund)
    reply.events = starts.of_refund(w, order.id, refund)
    return reply
end

-- The carrier could not deliver: the first `count` shipped units.
local function not_delivered(w, body)
    local order = math.type(body.order_id) == "integer" and orders.get(w, body.order_id)
    if not order then
        return control.reply(404, {error = "no such order"})
    end
    local ids, left = {}, body.count or 1
    for _, item in ipairs(order.items) do
        if item.status == "shipped" and left > 0 then
            item.status, ids[#ids + 1], left = "undeliverable", item.id, left - 1
        end
    end
    orders.save(w, order)
    local reply = control.reply(202, {order_id = order.id})
    reply.events = starts.of_undeliverable(w, order.id, ids)
    return reply
end

local function add_variants(w, body)
    for _, sku in ipairs(body.skus or {}) do
        products.add(w, sku, world.number(w, "variant", 990001))
    end
    return control.reply(200, {added = #(body.skus or {})})
end

local function set_settings(w, body)
    local ok, problem = control.change(w.store, catalogue.SETTINGS, body)
    if not ok then
        return control.bad(problem)
    end
    return control.reply(200, {changed = true})
end

local function kinds()
    local good, held = generator.kinds()
    return control.reply(200, {good = good, held = held, templates = orders.TEMPLATES})
end

local TRIGGERS = {
    lever("POST", "reset", function(w)
        world.reset(w)
        return control.reply(200, {reset = true})
    end),
    lever("POST", "orders", place),
    lever("POST", "play", play),
    lever("POST", "cancel", cancel),
    lever("POST", "cancel_items", cancel_items),
    lever("POST", "return", take_back),
    lever("POST", "refund", give_back),
    lever("POST", "undeliverable", not_delivered),
    lever("POST", "variants", add_variants),
    lever("POST", "products", products.change),
    lever("GET", "products", products.view),
    lever("GET", "sellable", function(w, _, request)
        return control.reply(200, {sku = request.query.sku,
            visible = stocks.visible(w, request.query.sku or "")})
    end),
    lever("GET", "kinds", kinds),
    lever("GET", "ledger", function(w, _, request)
        return control.reply(200, ledger.view(w, request.query))
    end),
    lever("GET", "books", function(w, _, request)
        return control.reply(200, books.page(w, request.query))
    end),
    lever("GET", "expectations", function(w)
        return control.reply(200, ledger.expectations(w))
    end),
    lever("GET", "calls", function(w, _, request)
        return control.reply(200, ledger.calls(w, request.query))
    end),
    lever("POST", "faults", function(w, body)
        return control.set_faults(w.store, body)
    end),
    lever("GET", "faults", function(w)
        return control.reply(200, {rules = json.array(faults.list(w.store))})
    end),
    lever("POST", "settings", set_settings),
    lever("GET", "settings", function(w)
        return control.reply(200, w.settings)
    end),
}

for _, call in ipairs(admin.CALLS) do
    TRIGGERS[#TRIGGERS + 1] = admin_route(call)
end

return {name = "shop", version = 1, triggers = TRIGGERS}
