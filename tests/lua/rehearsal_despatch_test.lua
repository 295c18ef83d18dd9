--- Golden cases of the despatch flow: parcels of both lines, clocks, what cannot be told.
local flow = require("flows.despatch")
local golden = require("lib.golden")
local host = require("neap.test")
local schema = require("lib.schema")

local function check(case, khaos)
    local given = {merchant_key = "fellside", carriers = {DPD = "dpd"}, khaos = khaos}
    assert(schema.check(flow.schema, given, "settings"))
    case.flow = "despatch"
    golden.check(host, {{name = "despatch", flow = flow,
        settings = schema.with_defaults(flow.schema, given)}}, case, "cases", "cases/x.lua")
end

local function order(fields)
    local made = {id = "7", lines = {{stock_code = "A", units = {"101"}, import_ref = "P1"},
        {stock_code = "A", units = {"102"}, import_ref = "P2"}}}
    for name, value in pairs(fields or {}) do
        made[name] = value
    end
    return made
end

local function push(item)
    return string.format([[{"Statuses": [{"OrderCode": "SO7", "AssociatedRef": "SC7",
        "Status": "PartialShip", "Shipments": [{"ID": "1", "Code": "S1", "Status": "Issue",
        "Items": [%s], "Packages": [{"ConsignmentRef": "1Z", "Courier": {"Code": "DPD"}}]}]}]}]],
        item)
end

local function shown(attributes)
    return string.format([[<STATUS_LIST><ORDER_STATUS SORDER_CODE="SO7" ASSOCIATED_REF="SC7">
        <QTY_SOLD>2</QTY_SOLD><INVOICES><INVOICE INVOICE_CODE="I1" INVOICE_STAGE_ID="70"
        COURIER="DPD" %s><INVOICE_ITEMS><INVOICE_ITEM STOCK_CODE="A" QTY_SENT="1"/>
        </INVOICE_ITEMS></INVOICE></INVOICES></ORDER_STATUS></STATUS_LIST>]], attributes)
end

return function(t)
    local CLOUD = {kind = "cloud"}
    t.case("a push that names the line has that line's units", function()
        check({order = order(), khaos = push('{"SKU": "A", "Quantity": 1, "ImportRef": "P2"}'),
            expect = {told = {{carrier = "dpd", units = {"102"}}}}}, CLOUD)
    end)
    t.case("over SOAP the first unit that SCAYLE has not cancelled leaves", function()
        check({order = order({cancelled = {"101"}}), khaos = shown('CONSIGNMENT_REF="1Z"'),
            expect = {told = {{tracking = "1Z", units = {"102"}}}}})
    end)
    t.case("a parcel without a number is told with its invoice when the wait is over", function()
        check({order = order(), khaos = shown(""),
            expect = {told = {{tracking = "I1", units = {"101"}}}}})
    end)
    t.case("units that left in another parcel are not in this one", function()
        check({order = order({shipped = {"101"}}), khaos = shown('CONSIGNMENT_REF="1Z"'),
            expect = {told = {{units = {"102"}}}}})
        check({order = order({shipped = {"101", "102"}}), khaos = shown('CONSIGNMENT_REF="1Z"'),
            expect = {held = {"despatch_unmatched:I1"}}})
    end)
    t.case("Khaos may say nothing, and the clocks go on, on both lines", function()
        for _, khaos in ipairs({{}, CLOUD}) do
            check({order = order({promised_at = "2026-05-03T00:00:00Z"}),
                expect = {held = {"despatch_late:7"}}}, khaos)
            check({order = order({promised_at = "2026-06-03T00:00:00Z"}),
                expect = {told = {}}}, khaos)
        end
    end)
    t.case("a second order under our reference is told of, and nothing of it to SCAYLE", function()
        check({order = order({khaos_code = "SO8"}), khaos = shown('CONSIGNMENT_REF="1Z"'),
            expect = {told = {}, held = {"duplicate_in_khaos:SC7"}}})
    end)
end
