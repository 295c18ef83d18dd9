-- neap-test-root: examples/sandbox/scayle
--- The simulated SCAYLE tenant: invented orders whose money ties, the Admin API, delegations.

local admin = require("shop.admin")
local delegation = require("shop.delegation")
local faults = require("lib.sandbox.faults")
local fulfillment = require("shop.fulfillment")
local gate = require("shop.gate")
local generator = require("shop.generator")
local json = require("neap.json")
local ledger = require("shop.ledger")
local orders = require("shop.orders")
local pricing = require("shop.pricing")
local random = require("lib.sandbox.random")
local support = require("sandbox_support")
local world = require("shop.world")

local BASE = "/shops/fo/countries/GB/orders"

local function new_world(settings)
    return world.open({store = support.store(), time = support.time(), settings = settings})
end

local function call(w, operation, parts)
    for _, entry in ipairs(admin.CALLS) do
        if entry.operation == operation then
            local request = {
                method = entry.method,
                path = parts.path or BASE,
                params = parts.params or {shop = "fo", country = "GB"},
                query = parts.query or {},
                headers = {["x-access-token"] = parts.token or "sandbox-token"},
                body = parts.body and json.encode(parts.body) or "",
            }
            local reply = gate.handle(w, request, entry)
            return reply, reply.body and json.decode(reply.body)
        end
    end
    error("no operation " .. operation)
end

local function sum(list, of)
    local total = 0
    for _, entry in ipairs(list or {}) do
        total = total + of(entry)
    end
    return total
end

local function tie_of(order)
    local items = sum(order.items, function(item)
        return item.price.withTax
    end)
    local fees = sum(order.cost.appliedFees, function(fee)
        return fee.amount.withTax
    end)
    local level = sum(order.cost.appliedReductions, function(reduction)
        return reduction.amount.absoluteWithTax
    end)
    return items + fees - level - (order.membershipDiscount or {reductionValue = 0}).reductionValue
end

local function check_unit(t, item, kind)
    local price = item.price
    if price.undiscountedWithTax then
        local off = sum(price.appliedReductions, function(reduction)
            return reduction.amount.absoluteWithTax
        end)
        t.equal(price.undiscountedWithTax - off, price.withTax, kind .. " reductions")
        t.equal(price.withoutTax + price.tax.vat.amount, price.withTax, kind .. " unit VAT")
    end
end

local function check_order(t, order, facts)
    local paid = sum(order.payment, function(payment)
        return payment.amount
    end)
    t.equal(paid, order.cost.withTax, facts.kind .. " payments")
    local ties = tie_of(order) == order.cost.withTax
    t.equal(ties, facts.expect ~= "held:totals_do_not_tie", facts.kind .. " total")
    for _, item in ipairs(order.items) do
        check_unit(t, item, facts.kind)
    end
end

local function invented(t)
    t.case("every kind of order ties, except the one that must not", function()
        local good, held = generator.kinds()
        for _, list in ipairs({good, held}) do
            for _, kind in ipairs(list) do
                for seed = 1, 25 do
                    local order, facts = generator.order(kind, random.new(seed))
                    check_order(t, order, facts)
                    assert((facts.expect == "posted") == (list == good), kind)
                end
            end
        end
    end)
    t.case("the same seed invents the same order, another seed another", function()
        local a = generator.order("multi_unit", random.new(5))
        local b = generator.order("multi_unit", random.new(5))
        local c = generator.order("multi_unit", random.new(6))
        t.equal(json.encode(a), json.encode(b))
        assert(json.encode(a) ~= json.encode(c))
    end)
    t.case("a plan of forty plays every kind and is the same for the same seed", function()
        local plan, seen = generator.plan(1, 40), {}
        for _, kind in ipairs(plan) do
            seen[kind] = true
        end
        local good, held = generator.kinds()
        for _, kind in ipairs(good) do
            assert(seen[kind], kind)
        end
        for _, kind in ipairs(held) do
            assert(seen[kind], kind)
        end
        t.equal(plan, generator.plan(1, 40))
    end)
    t.case("a split leaves no penny behind", function()
        t.equal(pricing.split(1499, {12999, 2400}), {1265, 234})
        t.equal(pricing.split(1999, {1, 1}), {1000, 999})
    end)
end

local function templates(t)
    t.case("every template can be placed, with new ids and its money untouched", function()
        local w = new_world()
        for _, name in ipairs(orders.TEMPLATES) do
            local order, record = orders.place_from(w, {template = name})
            assert(order, record)
            t.equal(record.kind, "template." .. name)
            t.equal(order.cost.withTax, require("shop.templates." .. name).cost.withTax)
            assert(order.id >= 300001)
        end
        t.equal(#orders.records(w), 12)
        t.equal(orders.place_from(w, {template = "nope"}), nil)
        t.equal(orders.place_from(w, {items = {}}), nil)
    end)
end

local function place(w, kind)
    local order = assert(orders.place_from(w, {kind = kind or "plain", seed = 3}))
    return order
end

local function admin_api(t)
    t.case("a wrong token is 401, an unknown shop country 404", function()
        local w = new_world()
        t.equal(call(w, "list_orders", {token = "no"}).status, 401)
        t.equal(call(w, "list_orders", {params = {shop = "fo", country = "XX"}}).status, 404)
    end)
    t.case("pages hold every order once and the last has no cursor", function()
        local w = new_world()
        for _ = 1, 5 do
            place(w)
        end
        place(w, "eur")
        local seen, cursor = 0, nil
        repeat
            local _, page = call(w, "list_orders", {query = {limit = "2", cursor = cursor}})
            seen = seen + #page.entities
            cursor = page.cursor.next ~= json.null and page.cursor.next or nil
        until not cursor
        t.equal(seen, 5)
        t.equal(call(w, "list_orders", {query = {cursor = "junk"}}).status, 400)
        t.equal(call(w, "list_orders", {query = {limit = "0"}}).status, 400)
    end)
    t.case("an order is read by id and, once set, by our reference", function()
        local w = new_world()
        local id = tostring(place(w).id)
        local params = {shop = "fo", country = "GB", order = id}
        t.equal(call(w, "get_order", {params = params}).status, 200)
        local reply = call(w, "set_reference", {params = params, body = {referenceKey = "SO1"}})
        t.equal(reply.status, 200)
        params.order = "key=SO1"
        local _, order = call(w, "get_order", {params = params})
        t.equal(tostring(order.id), id)
        t.equal(call(w, "set_reference", {params = params,
            body = {referenceKey = "SO2"}}).status, 404)
        params.order = tostring(place(w).id)
        t.equal(call(w, "set_reference", {params = params,
            body = {referenceKey = "SO1"}}).status, 409)
        t.equal(call(w, "set_reference", {params = params, body = {referenceKey = 5}}).status, 400)
    end)
    t.case("the scope's quota is counted per minute and told in headers", function()
        local w = new_world({rate_limits = {ordersRead = 2}})
        t.equal(call(w, "list_orders", {}).headers["X-RateLimit-Remaining"], "1")
        call(w, "list_orders", {})
        local reply, body = call(w, "list_orders", {})
        t.equal(reply.status, 429)
        t.equal(body.errors[1].errorKey, "RATE_LIMIT_EXCEED")
        t.equal(reply.headers["X-RateLimit-Reset"], "60")
        t.equal(call(w, "list_carriers", {}).status, 200)
        w.now_ms = w.now_ms + 60000
        t.equal(call(w, "list_orders", {}).status, 200)
    end)
end

local function units_of(order, first, last)
    local items = {}
    for i = first, last do
        items[#items + 1] = {orderItemId = order.items[i].id}
    end
    return {shopKey = "fo", countryCode = "GB", orderId = order.id, items = items}
end

local function reports(t)
    t.case("cancelling the last unit cancels the order; a repeat is a conflict", function()
        local w = new_world()
        local order = orders.place_from(w, {template = "plain"})
        assert(fulfillment.cancel(w, units_of(order, 1, 2)))
        t.equal(orders.get(w, order.id).status, "payment_reserved")
        local _, err = fulfillment.cancel(w, units_of(order, 1, 1))
        t.equal(err.status, 409)
        assert(fulfillment.cancel(w, units_of(order, 3, 3)))
        t.equal(orders.get(w, order.id).status, "cancellation_completed")
        t.equal(#orders.record(w, order.id).cancellations, 2)
    end)
    t.case("an older stock change is ignored and the answer shows what is in force", function()
        local w = new_world()
        local params = {variant = "key=FO-JKT-1042-M"}
        local body = {
            quantity = 5,
            warehouseReferenceKey = "KC-MAIN",
            changedAt = "2026-05-05T16:00:31+00:00",
        }
        t.equal(call(w, "set_stock", {params = params, body = body}).status, 200)
        body.quantity, body.changedAt = 9, "2026-05-05T16:00:07+00:00"
        local _, stock = call(w, "set_stock", {params = params, body = body})
        t.equal(stock.quantity, 5)
        params.variant = "key=NOPE"
        t.equal(call(w, "set_stock", {params = params, body = body}).status, 404)
    end)
end

local ACKNOWLEDGED = [[{"referenceKey":"1","statusCode":201,]]
    .. [["orderDelegationResult":"acknowledged"}]]

local function delegations(t)
    t.case("the delegation says alpha-2, whole percents and ids as text", function()
        local w = new_world()
        local order, record = orders.place_from(w, {template = "de_mixed_vat_collection_point"})
        local body = delegation.body(order, record)
        t.equal(body.addresses.shipping.countryCode, "DE")
        t.equal(body.items[1].tax, 19)
        t.equal(body.items[2].orderItemId, tostring(order.items[2].id))
        t.equal(body.carrier.key, "DHL_DE")
        t.equal(orders.by_delegation_key(w, body.orderReferenceKey).id, order.id)
        assert(json.encode(body))
    end)
    t.case("only a 201 with the body of the contract is an answer", function()
        t.equal(delegation.is_accepted({status = 201, body = ACKNOWLEDGED}), true)
        t.equal(delegation.is_accepted({status = 200, body = ACKNOWLEDGED}), false)
        t.equal(delegation.is_accepted({status = 201, body = ""}), false)
        t.equal(delegation.is_accepted({status = 201, body = [[{"statusCode":201}]]}), false)
    end)
    t.case("the retry schedule is 3 min, 5 min, then every 2 h, 25 in all", function()
        local settings = {retry_factor = 1, retry_limit = 25}
        t.equal(delegation.retry_delay(1, settings), 180000)
        t.equal(delegation.retry_delay(2, settings), 300000)
        t.equal(delegation.retry_delay(25, settings), 7200000)
        t.equal(delegation.retry_delay(26, settings), nil)
        t.equal(delegation.retry_delay(1, {retry_factor = 0.001, retry_limit = 1}), 180)
    end)
    t.case("a repeat that is answered differently is noticed", function()
        local w = new_world()
        local order = place(w)
        delegation.note(w, order.id, {is_accepted = true, body = ACKNOWLEDGED})
        t.equal(orders.get(w, order.id).items[1].status, "delegated")
        delegation.note(w, order.id, {is_accepted = true, body = ACKNOWLEDGED})
        t.equal(orders.record(w, order.id).repeat_differs, nil)
        delegation.note(w, order.id, {is_accepted = true, body = "{}"})
        t.equal(ledger.view(w, {}).summary.repeat_differs, 1)
    end)
    t.case("nobody answered: the order is cancelled", function()
        local w = new_world()
        local order = place(w)
        delegation.give_up(w, order.id)
        t.equal(orders.get(w, order.id).detailedStatus.order.code, "order_cancelled")
    end)
    t.case("expectations name what must be held and what is missing", function()
        local w = new_world()
        place(w, "unknown_sku")
        place(w)
        local view = ledger.expectations(w)
        t.equal(view.counts, {["held:unknown_stock_code"] = 1, posted = 1})
        t.equal(#view.missing_skus, 1)
    end)
    t.case("a fault rule refuses an Admin API call and is used up", function()
        local w = new_world()
        assert(faults.set(w.store, {{operation = "get_order", fault = "503", times = 1}}))
        local params = {shop = "fo", country = "GB", order = tostring(place(w).id)}
        t.equal(call(w, "get_order", {params = params}).status, 503)
        t.equal(call(w, "get_order", {params = params}).status, 200)
    end)
    t.case("a reset goes on with the order numbers", function()
        local w = new_world()
        local id = place(w).id
        world.reset(w)
        t.equal(orders.get(w, id), nil)
        t.equal(place(w).id, id + 1)
    end)
end

return function(t)
    invented(t)
    templates(t)
    admin_api(t)
    reports(t)
    delegations(t)
end
