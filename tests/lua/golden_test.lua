-- neap-test-root: examples/demo
-- How golden cases are judged; the demo client's own mappings and cases serve as the example.
local despatch = require("flows.despatch")
local golden = require("lib.golden")
local host = require("neap.test")
local mapping_schema = require("flows.orders.mapping_schema")
local rehearse = require("flows.orders.rehearse")
local schema = require("lib.schema")

local FOLDER = "examples/demo/cases"
local MAPPINGS = {
    companies = require("mappings.companies"),
    tax = require("mappings.tax"),
    shipping = require("mappings.shipping"),
    payments = require("mappings.payments"),
    promotions = require("mappings.promotions"),
}
local FLOWS = {
    {name = "orders", flow = {name = "orders", rehearse = rehearse}, settings = {
        merchant_key = "fellside", despatch_promise_hours = 48, mappings = MAPPINGS}},
    {name = "despatch", flow = despatch, settings = schema.with_defaults(despatch.schema,
        {merchant_key = "fellside", carriers = {DPD48 = "DPD_UK"}})},
    {name = "other", flow = {}, settings = {}},
}

-- Two socks that left in one parcel.
local function parcel(changed)
    local case = {flow = "despatch", order = {id = "7", lines = {
        {stock_code = "FO-SCK-0007-L", units = {"101", "102"}}}},
        khaos = [[<STATUS_LIST><ORDER_STATUS SORDER_CODE="SO7" ASSOCIATED_REF="SC7">
            <COMPLETE>-1</COMPLETE><QTY_SOLD>2</QTY_SOLD><INVOICES><INVOICE INVOICE_CODE="I1"
            INVOICE_STAGE_ID="70" COURIER="DPD48" CONSIGNMENT_REF="1Z"><INVOICE_ITEMS>
            <INVOICE_ITEM STOCK_CODE="FO-SCK-0007-L" QTY_SENT="2"/></INVOICE_ITEMS></INVOICE>
            </INVOICES></ORDER_STATUS></STATUS_LIST>]],
        expect = {told = {{kind = "shipment", tracking = "1Z", units = {"101", "102"}}}}}
    for name, value in pairs(changed or {}) do
        case[name] = value
    end
    return case
end

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
    t.case("a case without a flow is the orders flow's, and unknown flows are named", function()
        check({order = "order-01-plain-gb.json", expect = {posted = {}}})
        t.matches(t.raises(check, {flow = "dispatch", expect = {held = {}}}),
            'has no flow dispatch; cases may name: "orders", "despatch"')
    end)
    t.case("a flow that the manifest lacks is an error, but where the case permits it", function()
        local case = {flow = "alerts", expect = {held = {}}}
        t.equal(golden.skipped(FLOWS, case), nil)
        case.may_lack_flow = true
        t.equal(golden.skipped(FLOWS, case), "the manifest has no flow alerts")
        case.flow = "despatch"
        t.equal(golden.skipped(FLOWS, case), nil)
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

local function telling_tests(t)
    t.case("what is told is compared field by field, and nothing may be told beside it", function()
        check(parcel())
        t.matches(t.raises(check, parcel({expect = {told = {{carrier = "DHL_DE"}}}})),
            'told%[1%]%.carrier: expected "DHL_DE", got "DPD_UK"')
        t.matches(t.raises(check, parcel({expect = {told = {{units = {"101"}}}}})),
            'told%[1%]%.units%[2%]: expected nothing, got "102"')
        t.matches(t.raises(check, parcel({expect = {held = {}}})),
            'told%[1%]: expected nothing, got {.*"1Z"')
        t.matches(t.raises(check, parcel({expect = {told = {{}, {kind = "shipment"}}}})),
            'told%[2%]: expected {"kind":"shipment"}, got nothing')
    end)
    t.case("what a person is asked must be expected too", function()
        local case = parcel({order = {id = "7", lines = {
            {stock_code = "FO-SCK-0007-L", units = {"101"}}}},
            khaos = parcel().khaos:gsub("<COMPLETE>.*</COMPLETE>", ""), expect = {told = {{}}}})
        t.matches(t.raises(check, case), 'held%[1%]: expected nothing, got "despatch_unmatched:I1"')
        case.expect = {held = {"despatch_unmatched:I1"}}
        check(case)
    end)
    t.case("a case knows nothing of the one before it", function()
        check(parcel())
        check(parcel())
    end)
end

local function mistake_tests(t)
    local function says(case, pattern)
        t.matches(t.raises(golden.check, host, FLOWS, case, FOLDER, "cases/x.lua"), pattern)
    end
    t.case("fields that a flow's cases do not have are said with the file", function()
        says(parcel({oder = {}}), "cases/x%.lua: oder: unknown key.*did you mean \"order\"")
        says(parcel({order = {id = "7", lines = {{stock_code = "A", unit = {}}}}}),
            "cases/x%.lua: order%.lines%[1%]")
        says(parcel({at = "noon"}), "cases/x%.lua: at: an instant expected")
    end)
    t.case("an expectation of another form is told with what is expected", function()
        for _, expect in ipairs({{}, {sent = {}}, {told = "DPD"}, {posted = {}, held = {}}}) do
            says(parcel({expect = expect}), "cases/x%.lua: expect = {posted = {...}}")
        end
        says(parcel({expect_on = {cloud = {hold = {}}}}), "cases/x%.lua: expect_on%.cloud = ")
    end)
    t.case("what Khaos says must be there, readable and of the client's line", function()
        says(parcel({khaos = "none.xml"}), "khaos/none%.xml")
        says(parcel({khaos = "<STATUS_LIST><ORDER"}), "khaos: XML or JSON expected: ")
        says(parcel({khaos = {soap = "{\"Statuses\": "}}), "khaos%.soap: XML or JSON expected: ")
        says(parcel({khaos = {cloud = "{}"}}), "khaos: on this client's line %(soap%)")
        says(parcel({khaos = {clod = "{}"}}), "cases/x%.lua: khaos: .*cloud = ")
    end)
    t.case("a line that there is not, and an amount that is none, are said", function()
        says(parcel({expect_on = {clowd = {held = {}}}}), "expect_on: soap or cloud expected")
        local order = parcel().order
        order.lines[1].paid = "1.234"
        says(parcel({order = order}), 'order: "1.234" is no amount of GBP')
        order.lines[1].paid = "1,20"
        says(parcel({order = order}), "cases/x%.lua: order%.lines%[1%]%.paid")
    end)
    t.case("a unit the order does not have is named", function()
        says(parcel({order = {id = "7", scayle_returned = {"9"}, lines = {
            {stock_code = "A", units = {"101"}}}}}),
            'order%.scayle_returned: the order has no unit "9"')
        says(parcel({order = {id = "7", shipped = {"9"}, lines = {
            {stock_code = "A", units = {"101"}}}}}), 'order%.shipped: the order has no unit "9"')
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
    telling_tests(t)
    mistake_tests(t)
end
