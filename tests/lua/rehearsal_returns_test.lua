--- Golden cases of the returns flow: what of a credit note or of SCAYLE's returns is told to whom.
local flow = require("flows.returns")
local golden = require("lib.golden")
local host = require("neap.test")
local schema = require("lib.schema")

local function check(case, more)
    local given = {merchant_key = "fellside"}
    for name, value in pairs(more or {}) do
        given[name] = value
    end
    assert(schema.check(flow.schema, given, "settings"))
    case.flow = "returns"
    golden.check(host, {{name = "returns", flow = flow,
        settings = schema.with_defaults(flow.schema, given)}}, case, "cases", "cases/x.lua")
end

local function order(fields)
    local made = {id = "7", shipped = {"101", "102"}, delivery = "4.95",
        lines = {{stock_code = "A", units = {"101", "102"}, paid = "29.99"}}}
    for name, value in pairs(fields or {}) do
        made[name] = value
    end
    return made
end

local function note(total, items, reference)
    return string.format([[<STATUS_LIST><ORDER_STATUS SORDER_CODE="CN1" %s>
        <ORDER_TYPE>Credit Note</ORDER_TYPE><COMPANY_NAME COMPANY_CODE="U1"/>
        <CURRENCY_CODE>GBP</CURRENCY_CODE><COMPLETE>-1</COMPLETE><ITEMS_TOTAL>-%s</ITEMS_TOTAL>
        <INVOICES><INVOICE INVOICE_CODE="C1" INVOICE_STAGE_ID="70"><INVOICE_ITEMS>%s
        </INVOICE_ITEMS></INVOICE></INVOICES></ORDER_STATUS></STATUS_LIST>]],
        reference or 'ASSOCIATED_REF="SC7"', total, items)
end

local ONE = '<INVOICE_ITEM STOCK_CODE="A" QTY_SENT="-1"/>'

return function(t)
    t.case("a unit that both sides took back is told to nobody", function()
        check({order = order({scayle_returned = {"101"}}), khaos = note("15.00", ONE),
            expect = {told = {}}})
    end)
    t.case("a credit note without our reference is the customer's order's", function()
        check({order = order(), khaos = note("15.00", ONE, ""),
            expect = {told = {{kind = "return", units = {"101"}}}}})
        check({order = order({urn = "U2"}), khaos = note("15.00", ONE, ""), expect = {told = {}}})
    end)
    t.case("one that takes back more than was sent is a person's", function()
        check({order = order({shipped = {}}), khaos = note("15.00", ONE),
            expect = {held = {"return_unmatched:CN1"}}})
    end)
    t.case("with SCAYLE as the master of returns a person enters it there", function()
        check({order = order(), khaos = note("15.00", ONE),
            expect = {held = {"return_not_in_scayle:7"}}}, {returns_master = "scayle"})
    end)
    t.case("a reason of another client, or none that Khaos Cloud can have, shows", function()
        local case = {order = order({scayle_returned = {"102"}}), expect = {told = {
            {kind = "khaos_return", lines = {{gross = "14.99", quantity = 1, reason = "9"}}}}}}
        check(case, {khaos = {kind = "cloud"}, khaos_return_reason = "9"})
        case.expect = {held = {"return_not_in_khaos:7"}}
        check(case, {khaos = {kind = "cloud"}})
    end)
end
