-- neap-test-root: examples/sandbox/khaos examples/sandbox/scayle examples/demo
--- Invented orders all the way: simulated SCAYLE, mapper, connector, simulated Khaos. What is
--- posted is imported by the strict Khaos and comes, by its own arithmetic, to what the shopper
--- paid; what must be held is held for its cause.
---
--- Settings: --set seeds=5 (how many per kind).

local companies = require("erp.companies")
local delegation = require("shop.delegation")
local erp_customers = require("erp.customers")
local erp_orders = require("erp.orders")
local erp_world = require("erp.world")
local generator = require("shop.generator")
local json = require("neap.json")
local map = require("flows.orders.map")
local order_xml = require("connectors.khaos_soap.order_xml")
local random = require("lib.sandbox.random")
local shop_orders = require("shop.orders")
local shop_world = require("shop.world")
local support = require("sandbox_support")

local MAPPINGS = {
    companies = require("mappings.companies"),
    tax = require("mappings.tax"),
    shipping = require("mappings.shipping"),
    payments = require("mappings.payments"),
    promotions = require("mappings.promotions"),
}
local SETTINGS = {
    merchant_key = "fellside",
    reference = "SC{order_id}",
    customer_ref = "S{customer_id}-{currency}",
}

local function new_circle()
    local time = support.time()
    return {
        shop = shop_world.open({store = support.store(), time = time}),
        erp = erp_world.open({store = support.store(), time = time}),
    }
end

local function mapped(circle, order, record)
    local wire = json.decode(json.encode(order))
    return map.map({
        order = wire,
        delegation = json.decode(json.encode(delegation.body(wire, record))),
        mappings = MAPPINGS,
        settings = SETTINGS,
        has_stock_code = function(code)
            return circle.erp.store.get("erp_stock", code) ~= nil
        end,
    })
end

-- A customer of its own per shopper and currency, as the flow makes it before it posts.
local function company_code(circle, customer)
    local found = erp_customers.find(circle.erp, "other_ref", customer.other_ref)
    if found then
        return found.urn
    end
    local customers = require("connectors.khaos_soap.customers")
    local document = customers.build_xml(customer)
    local value = assert(companies.import(circle.erp, {Customers = document, Method = "3"}))
    local imported = value[2].fields[2][3].items[1]
    local skipped = value[2].fields[3][3].items[1]
    assert(imported, skipped and skipped.fields[2][3])
    return imported.fields[1][3]
end

local function post(circle, posting)
    posting.customer.company_code = company_code(circle, posting.customer)
    local outcomes, fault = erp_orders.import(circle.erp, order_xml.build(posting))
    assert(not fault, fault)
    return outcomes[1]
end

local function check_posted(t, circle, order, posting)
    local outcome = post(circle, posting)
    t.equal(outcome.reason, nil)
    local saved = outcome.order
    t.equal(saved.totals.gross, order.cost.withTax, "total of " .. saved.reference)
    t.equal(saved.amount_differs, false)
    t.equal(saved.message, "")
    t.equal(saved.matched_by, "code")
    t.equal(saved.currency, order.currencyCode)
end

local function first_cause(result)
    return result.causes[1] and ("held:" .. result.causes[1].cause) or "posted"
end

local function play(t, circle, order, record)
    local result = mapped(circle, order, record)
    local messages = {}
    for i, cause in ipairs(result.causes) do
        messages[i] = cause.message
    end
    t.equal(first_cause(result), record.expect, record.kind .. " " .. table.concat(messages, "; "))
    if result.posting then
        check_posted(t, circle, order, result.posting)
    end
end

return function(t)
    local seeds = tonumber(t.settings and t.settings.seeds) or 5
    local good, held = generator.kinds()
    for _, list in ipairs({good, held}) do
        for _, kind in ipairs(list) do
            t.case("an invented order goes the way it must: " .. kind, function()
                local circle = new_circle()
                for seed = 1, seeds do
                    local order, facts = generator.order(kind, random.new(seed * 7919))
                    order, facts = shop_orders.place(circle.shop, order, facts)
                    play(t, circle, order, facts)
                end
            end)
        end
    end
    t.case("every sample order goes the way it must", function()
        local circle = new_circle()
        for _, name in ipairs(shop_orders.TEMPLATES) do
            local order, record = shop_orders.place_from(circle.shop, {template = name})
            play(t, circle, order, record)
        end
    end)
end
