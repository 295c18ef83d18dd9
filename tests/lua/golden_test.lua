-- neap-test-root: examples/demo
-- How golden cases are judged; the demo client's own mappings and cases serve as the example.
local golden = require("lib.golden")
local host = require("neap.test")
local mapping_schema = require("flows.orders.mapping_schema")
local rehearse = require("flows.orders.rehearse")

local FOLDER = "examples/demo/cases"
local MAPPINGS = {
    companies = require("mappings.companies"),
    tax = require("mappings.tax"),
    shipping = require("mappings.shipping"),
    payments = require("mappings.payments"),
    promotions = require("mappings.promotions"),
}
local FLOWS = {
    {name = "orders", flow = {rehearse = rehearse}, settings = {merchant_key = "fellside",
        despatch_promise_hours = 48, mappings = MAPPINGS}},
    {name = "other", flow = {}, settings = {}},
}

local function check(case)
    golden.check(host, FLOWS, case, FOLDER)
end

local function judging_tests(t)
    t.case("what differs is said field by field", function()
        local message = t.raises(check, {order = "order-01-plain-gb.json", expect = {posted = {
            total = "164.93", lines = {{stock_code = "FO-SCK-0007-L", quantity = 2}},
        }}})
        t.matches(message, 'posted%.total: expected "164%.93", got "164%.92"')
        t.matches(message, "posted%.lines%[2%]: expected nothing, got {")
    end)
    t.case("a hold that was not expected is told with its causes", function()
        local message = t.raises(check, {order = "22-unknown-sku.json",
            unknown_stock_codes = {"FO-NEW-0001"}, expect = {posted = {}}})
        t.matches(message, "was held:\n  unknown_stock_code:FO%-NEW%-0001")
    end)
    t.case("a posting that should have been held is told", function()
        local message = t.raises(check, {order = "order-01-plain-gb.json",
            expect = {held = {"unmapped_tax:uk 0.125"}}})
        t.matches(message, "expected to be held, was posted")
    end)
end

local function choosing_tests(t)
    t.case("the flow that can rehearse is taken, another must be able to", function()
        check({flow = "orders", order = "order-01-plain-gb.json", expect = {posted = {}}})
        t.matches(t.raises(check, {flow = "other", expect = {posted = {}}}), "no rehearse")
        t.matches(t.raises(check, {flow = "third", expect = {posted = {}}}), "has no flow third")
    end)
    t.case("a document that is missing is named", function()
        t.matches(t.raises(check, {order = "none.json", expect = {posted = {}}}), "none%.json")
    end)
    t.case("a client's own map stage is rehearsed", function()
        local flows = {{name = "orders", flow = {rehearse = rehearse}, settings = {
            merchant_key = "fellside", mappings = MAPPINGS, stages = {map = "gift_stage"}}}}
        golden.check(host, flows, {order = "order-01-plain-gb.json", expect = {posted = {
            total = "164.92", header = {order_note = "Gift"}}}}, FOLDER)
    end)
end

return function(t)
    t.case("the demo client's mappings pass their schema", function()
        local ok, messages = mapping_schema.check(MAPPINGS, "settings.mappings")
        t.equal(messages, nil)
        t.equal(ok, true)
    end)
    judging_tests(t)
    choosing_tests(t)
end
