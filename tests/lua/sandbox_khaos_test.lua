-- neap-test-root: examples/sandbox/khaos
--- The simulated Khaos: its arithmetic, its strictness, its customer matching, its faults.

local calc = require("erp.calc")
local control = require("lib.sandbox.control")
local data = require("erp.data")
local faults = require("lib.sandbox.faults")
local json = require("neap.json")
local ledger = require("erp.ledger")
local orders = require("erp.orders")
local returns = require("erp.returns")
local service = require("erp.service")
local soap = require("erp.soap")
local stock = require("erp.stock")
local support = require("sandbox_support")
local world = require("erp.world")
local xml = require("neap.xml")

local ORDER = [[<SALES_ORDERS><SALES_ORDER><CUSTOMER_DETAIL><IS_NEW_CUSTOMER>0</IS_NEW_CUSTOMER>
<OTHER_REF>FO-C-50417-GBP</OTHER_REF><COMPANY_CLASS>Web Retail</COMPANY_CLASS>
<ADDRESSES><INVADDR><IADDRESS1>14 Orchard Row</IADDRESS1>
<ITOWN>Leeds</ITOWN><IPOSTCODE>LS7 3QT</IPOSTCODE>
<ICOUNTRY_CODE>GBR</ICOUNTRY_CODE><IFORENAME>Priya</IFORENAME>
<ISURNAME>Hallworth</ISURNAME></INVADDR>
</ADDRESSES></CUSTOMER_DETAIL>
<PAYMENTS><PAYMENT_DETAIL><PAYMENT_AMOUNT>34.93</PAYMENT_AMOUNT><PAYMENT_TYPE>2</PAYMENT_TYPE>
<AUTH_CODE>AUTH</AUTH_CODE><ACCOUNT_NAME>Web Card Clearing</ACCOUNT_NAME>
</PAYMENT_DETAIL></PAYMENTS>
<ORDER_HEADER><ORDER_DATE>2026-05-04T11:02:58</ORDER_DATE><ORDER_AMOUNT>34.93</ORDER_AMOUNT>
<ORDER_CURRENCY_CODE>GBP</ORDER_CURRENCY_CODE><ASSOCIATED_REF>SC204417</ASSOCIATED_REF>
<DELIVERY_GRS>4.95</DELIVERY_GRS><COURIER_CODE>DPD_UK</COURIER_CODE><BRAND>Fellside</BRAND>
<SALES_SOURCE>Web UK</SALES_SOURCE></ORDER_HEADER>
<ORDER_ITEMS><ORDER_ITEM><STOCK_CODE>FO-SCK-0007-L</STOCK_CODE><MAPPING_TYPE>1</MAPPING_TYPE>
<ORDER_QTY>2</ORDER_QTY><PRICE_GRS>14.99</PRICE_GRS><TAX_RATE>1</TAX_RATE>
</ORDER_ITEM></ORDER_ITEMS>
</SALES_ORDER></SALES_ORDERS>]]

local function new_world(settings)
    return world.open({store = support.store(), time = support.time(), settings = settings})
end

-- The document with pieces replaced: {from = to}, plain text.
local function edited(pieces)
    local text = ORDER
    for from, to in pairs(pieces) do
        local first, last = text:find(from, 1, true)
        assert(first, "no such piece: " .. from)
        text = text:sub(1, first - 1) .. to .. text:sub(last + 1)
    end
    return text
end

local function import(w, pieces)
    local outcomes, fault = orders.import(w, edited(pieces or {}))
    return outcomes and outcomes[1], fault
end

local function soap_request(operation, parameters)
    local parts = {}
    for _, parameter in ipairs(parameters or {}) do
        parts[#parts + 1] = ("<%s>%s</%s>"):format(parameter[1], soap.escape(parameter[2]),
            parameter[1])
    end
    return {
        method = "POST",
        path = "/soap/IKosWeb",
        headers = {
            ["content-type"] = "text/xml; charset=utf-8",
            ["soapaction"] = "\"urn:IKosWebIntf-IKosWeb#" .. operation .. "\"",
        },
        body = "<E:Envelope xmlns:E=\"http://schemas.xmlsoap.org/soap/envelope/\"><E:Body><n:"
            .. operation
            .. " xmlns:n=\"urn:IKosWebIntf-IKosWeb\">"
            .. table.concat(parts)
            .. "</n:"
            .. operation
            .. "></E:Body></E:Envelope>",
    }
end

-- method, quantity, unit, percent, rate, then discount, net, tax, gross
local VECTORS = {
    {"gross", "2", "25.00", "10", "0.20", "5.00", "37.50", "7.50", "45.00"},
    {"gross", "1", "129.99", "0", "0.20", "0.00", "108.33", "21.66", "129.99"},
    {"gross", "1", "14.50", "0", "0", "0.00", "14.50", "0.00", "14.50"},
    {"gross", "5", "9.99", "0", "0.20", "0.00", "41.63", "8.32", "49.95"},
    {"gross", "3", "0.99", "33.33", "0.20", "0.99", "1.66", "0.32", "1.98"},
    {"gross", "7", "1.05", "12.5", "0.05", "0.92", "6.12", "0.31", "6.43"},
    {"gross", "1", "49.95", "100", "0.20", "49.95", "0.01", "-0.01", "0.00"},
    {"gross", "13", "17.25", "7.5", "0.20", "16.82", "172.86", "34.57", "207.43"},
    {"gross", "3", "2.225", "0", "0.20", "0.00", "5.57", "1.11", "6.68"},
    {"net", "24", "9.85", "5", "0.20", "11.82", "224.58", "44.92", "269.50"},
    {"net", "6", "31.20", "0", "0.20", "0.00", "187.20", "37.44", "224.64"},
    {"net", "12", "4.10", "0", "0", "0.00", "49.20", "0.00", "49.20"},
    {"net", "9", "8.33", "15", "0.20", "11.25", "63.72", "12.74", "76.46"},
    {"net", "1", "0.03", "50", "0.20", "0.02", "0.01", "0.00", "0.01"},
    {"net", "100", "0.125", "0", "0.20", "0.00", "12.50", "2.50", "15.00"},
}

local function calculate(class, row, options)
    return calc.line({
        quantity = calc.decimal(row[2]),
        price = calc.decimal(row[3]),
        discount = calc.decimal(row[4]),
        rate = calc.decimal(row[5]),
        price_is = row[1],
    }, class, options or {})
end

local function arithmetic(t)
    t.case("the line rule gives every vector of the contract", function()
        for _, row in ipairs(VECTORS) do
            local r = calculate(row[1], row)
            local got = {calc.text(r.discount), calc.text(r.net), calc.text(r.tax),
                calc.text(r.gross)}
            t.equal(got, {row[6], row[7], row[8], row[9]}, row[2] .. " x " .. row[3])
        end
    end)
    t.case("how many decimals PRICE_NET keeps moves the total", function()
        local row = {"net", "100", "9.5238", "0", "0.05"}
        t.equal(calc.text(calculate("net", row).gross), "1000.00")
        t.equal(calc.text(calculate("net", row, {net_decimals = 2}).gross), "999.60")
    end)
    t.case("a net price in a gross class follows the net rule", function()
        local r = calculate("gross", {"net", "1", "14.50", "0", "0.07"})
        t.equal(calc.text(r.gross), "15.52")
    end)
    t.case("numbers with currency signs or separators are not numbers", function()
        for _, text in ipairs({"£1.00", "1,000.00", "", "1e3", ".5", "1.2.3"}) do
            t.equal(calc.decimal(text), nil, text)
        end
    end)
end

-- what is replaced, by what, words of the refusal
local REFUSED = {
    {"<ORDER_CURRENCY_CODE>GBP</ORDER_CURRENCY_CODE>", "<ORDER_CURRENCY>GBP</ORDER_CURRENCY>",
        "not a known element"},
    {"<ITOWN>Leeds</ITOWN>", "", "ITOWN is missing"},
    {"14 Orchard Row", ("x"):rep(36), "longer than 35"},
    {"<IS_NEW_CUSTOMER>0<", "<IS_NEW_CUSTOMER>1<", "must be -1 or 0"},
    {"2026-05-04T11:02:58", "2026-05-04T11:02:58Z", "not a date-time"},
    {"<PRICE_GRS>14.99", "<PRICE_GRS>£14.99", "plain digits"},
    {"<TAX_RATE>1<", "<TAX_RATE>20<", "not a tax code"},
    {">Web Retail<", ">web retail<", "does not exist"},
    {">Web UK<", ">Web Mars<", "does not exist"},
    {">Fellside<", ">Nobody<", "does not exist"},
    {">DPD_UK<", ">OWL<", "does not exist"},
    {">Web Card Clearing<", ">Pocket<", "does not exist"},
    {">FO-SCK-0007-L<", ">FO-NOPE<", "stock code 'FO-NOPE' not found"},
    {">SC204417<", ">SC20441700000000<", "longer than 15"},
    {"<MAPPING_TYPE>1</MAPPING_TYPE>", "", "MAPPING_TYPE is missing"},
    {"<PRICE_GRS>14.99</PRICE_GRS>", "", "neither PRICE_NET nor PRICE_GRS"},
    {"<PRICE_GRS>14.99", "<PRICE_GRS>-14.99", "negative price"},
    {"<AUTH_CODE>AUTH<", "<CARD_NUMBER>4111 1111 1111 1111</CARD_NUMBER><AUTH_CODE>A<",
        "real card number"},
    {"<ORDER_CURRENCY_CODE>GBP<", "<ORDER_CURRENCY_CODE>CHF<", "does not exist"},
    {"<ORDER_ITEMS>", "<ORDER_ITEMS ID=\"1\"><NOTE/>", "not a known element"},
}

local function strictness(t)
    t.case("a good order is imported, calculated and taken from stock", function()
        local w = new_world()
        local outcome = import(w)
        t.equal(outcome.reason, nil)
        t.equal(outcome.order.code, "SO204500")
        t.equal(outcome.order.urn, "HALL002")
        t.equal(outcome.order.totals, {net = 2911, tax = 582, gross = 3493})
        t.equal(outcome.order.amount_differs, false)
        t.equal(outcome.order.message, "")
        t.equal(w.store.get("erp_stock", "FO-SCK-0007-L").levels["1"], 398)
    end)
    t.case("every kind of bad order is refused, in words, and nothing is kept", function()
        for _, row in ipairs(REFUSED) do
            local w = new_world()
            local outcome = import(w, {[row[1]] = row[2]})
            t.equal(outcome.kind, "refused", row[3])
            assert(outcome.reason:find(row[3], 1, true), outcome.reason .. " / " .. row[3])
            t.equal(#orders.all(w), 0)
        end
    end)
    t.case("without strictness a misspelt tag is ignored", function()
        local w = new_world({strict = false})
        local piece = "<ORDER_CURRENCY_CODE>GBP</ORDER_CURRENCY_CODE>"
        t.equal(import(w, {[piece] = "<ORDER_CURRENCY>GBP</ORDER_CURRENCY>"}).kind, "imported")
    end)
    t.case("a discontinued item is a fault, the order is not created", function()
        local w = new_world()
        local _, fault = import(w, {["FO-SCK-0007-L"] = "FO-OLD-0001"})
        assert(fault:find("discontinued", 1, true), fault)
        t.equal(#orders.all(w), 0)
    end)
    t.case("a run-to-zero item cannot be sold below zero", function()
        local w = new_world()
        local pieces = {["FO-SCK-0007-L"] = "FO-TNT-0200", ["<ORDER_QTY>2"] = "<ORDER_QTY>61"}
        t.equal(import(w, pieces).kind, "refused")
        pieces["<ORDER_QTY>2"] = "<ORDER_QTY>60"
        t.equal(import(w, pieces).kind, "imported")
    end)
end

local function money(t)
    t.case("no delivery tag: Khaos adds its own charge and the amounts differ", function()
        local outcome = import(new_world(),
            {["<DELIVERY_GRS>4.95</DELIVERY_GRS>"] = "<DELIVERY_GRS/>"})
        t.equal(outcome.order.delivery.is_own, true)
        outcome = import(new_world({own_delivery = "6.00"}),
            {["<DELIVERY_GRS>4.95<"] = "<DELIVERY_GRS><"})
        t.equal(outcome.order.amount_differs, true)
        assert(outcome.order.message:find("35.98 differs from ORDER_AMOUNT 34.93", 1, true))
    end)
    t.case("delivery 0 is stored as 0", function()
        local outcome = import(new_world(), {["<DELIVERY_GRS>4.95"] = "<DELIVERY_GRS>0.00"})
        t.equal(outcome.order.totals.gross, 2998)
    end)
    t.case("a card payment without AUTH_CODE is not paid", function()
        local outcome = import(new_world(), {["<AUTH_CODE>AUTH</AUTH_CODE>"] = ""})
        t.equal(outcome.order.paid_minor, 0)
        t.equal(outcome.order.stage, 11)
    end)
    t.case("the class of the matched customer decides, not the class sent", function()
        local w = new_world()
        local outcome = import(w, {["FO-C-50417-GBP"] = "SC-B2B-2207"})
        t.equal(outcome.order.calculation, "net")
        t.equal(outcome.order.urn, "HARB001")
    end)
end

local function identity(t)
    t.case("a repeated reference is skipped; with the protection off it is imported again",
        function()
        local w = new_world()
        t.equal(import(w).kind, "imported")
        t.equal(import(w).is_duplicate, true)
        t.equal(ledger.view(w, {}).references.SC204417, 1)
        w.settings.duplicate_protection = false
        t.equal(import(w).kind, "imported")
        t.equal(ledger.view(w, {}).references.SC204417, 2)
        t.equal(ledger.view(w, {}).summary.duplicates, 2)
    end)
    t.case("same surname and postcode merges two people", function()
        local w = new_world()
        local outcome = import(w, {["LS7 3QT"] = "LS6 3QT"})
        t.equal(outcome.order.matched_by, "name")
        t.equal(outcome.order.urn, "HALL001")
        t.equal(outcome.order.sent_other_ref, "FO-C-50417-GBP")
    end)
    t.case("IS_NEW_CUSTOMER -1 always creates", function()
        local w = new_world()
        local pieces = {["LS7 3QT"] = "LS6 3QT", ["<IS_NEW_CUSTOMER>0"] = "<IS_NEW_CUSTOMER>-1"}
        t.equal(import(w, pieces).order.urn, "HALL002")
    end)
    t.case("a customer in another currency refuses the order", function()
        local w = new_world()
        local pieces = {["CODE>GBP"] = "CODE>EUR", ["LS7 3QT"] = "LS6 3QT"}
        local outcome = import(w, pieces)
        t.equal(outcome.kind, "refused")
        assert(outcome.reason:find("currency", 1, true))
    end)
    t.case("an invented company code is refused", function()
        local pieces = {["<OTHER_REF>"] = "<COMPANY_CODE>NOPE001</COMPANY_CODE><OTHER_REF>"}
        t.equal(import(new_world(), pieces).kind, "refused")
    end)
end

local COMPANY = [[<COMPANYS><COMPANY><PASSED_REFERENCE>j1</PASSED_REFERENCE>
<OTHER_REF>FO-C-1-GBP</OTHER_REF>
<COMPANY_CLASS>Web Retail</COMPANY_CLASS><CURRENCY_CODE>GBP</CURRENCY_CODE><ADDRESSES><ADDRESS>
<ADDR1>14 Orchard Row</ADDR1><TOWN>Leeds</TOWN><POSTCODE>LS6 3QT</POSTCODE><ADDRTYPE>1</ADDRTYPE>
<COUNTRY_CODE>GBR</COUNTRY_CODE><CONTACTS><CONTACT><FORENAME>Priya</FORENAME>
<SURNAME>Hallworth</SURNAME>
</CONTACT></CONTACTS></ADDRESS></ADDRESSES></COMPANY></COMPANYS>]]

local function text_of(reply, path)
    return xml.value(assert(xml.parse(reply.body)), path)
end

local function call(w, operation, parameters)
    return service.handle(w, soap_request(operation, parameters))
end

local BY_REFERENCE = {{"IDs", "SC204417"}, {"MappingType", "4"}}

local function log_of_calls(t)
    t.case("the log says whom a call was about and whether a look-up found it", function()
        local w = new_world()
        call(w, "ExportOrderStatusEx", BY_REFERENCE)
        faults.set(w.store, {{operation = "ImportOrders", nth = 1, fault = "reset_before"}})
        call(w, "ImportOrders", {{"Orders", ORDER}})
        call(w, "ImportOrders", {{"Orders", ORDER}})
        call(w, "ExportOrderStatusEx", BY_REFERENCE)
        call(w, "ImportCompany", {{"Customers", COMPANY}, {"Method", "3"}})
        call(w, "ExportCompany", {{"CompanyCode", "FO-C-1-GBP"}, {"MappingType", "2"}})
        local log = control.calls(w.store, {})
        t.equal(#log, 6)
        t.equal(log[1].found.SC204417, false)
        t.equal(log[2].subjects[1], "SC204417")
        t.equal(log[2].rude, "reset")
        t.equal(log[3].rude, nil)
        t.equal(log[4].found.SC204417, true)
        t.equal(log[5].subjects[1], "FO-C-1-GBP")
        t.equal(log[6].found["FO-C-1-GBP"], true)
    end)
    t.case("a late call loses its connection at once and happens afterwards", function()
        local w = new_world()
        faults.set(w.store, {{operation = "ImportOrders", nth = 1, fault = "late", ms = 40}})
        local reply = call(w, "ImportOrders", {{"Orders", ORDER}})
        t.equal(reply.rude, "reset")
        t.equal(reply.delay_ms, nil)
        t.equal(#orders.codes_of(w, "SC204417"), 0)
        local late = json.decode(reply.events[1].payload)
        t.equal(late.ms, 40)
        service.perform_late(w, late.request)
        t.equal(#orders.codes_of(w, "SC204417"), 1)
        local log = control.calls(w.store, {})
        t.equal(log[2].is_late, true)
        t.equal(log[2].subjects[1], "SC204417")
        assert(not faults.set(w.store, {{fault = "late"}}))
    end)
end

local function calls_over_soap(t)
    t.case("ImportOrders answers code, reference and customer, inline or by reference", function()
        local w = new_world()
        local reply = call(w, "ImportOrders", {{"Orders", ORDER}})
        t.equal(reply.status, 200)
        local path = "Body/ImportOrdersResponse/return/OrderImport/item/"
        t.equal(text_of(reply, path .. "SalesOrderCode"), "SO204500")
        t.equal(text_of(reply, path .. "URN"), "HALL002")
        w.settings.multiref = true
        local other = call(w, "ImportOrders", {{"Orders", edited({SC204417 = "SC204418"})}})
        assert(other.body:find("href=\"#1\"", 1, true), other.body)
        t.equal(text_of(other, "Body/TOrderImport/SalesOrderCode"), "SO204501")
    end)
    t.case("ExportOrders finds by reference and says nothing of others", function()
        local w = new_world()
        call(w, "ImportOrders", {{"Orders", ORDER}})
        local parameters = {{"OrderCode", "SC204417"}, {"MappingType", "2"}}
        local inner = text_of(call(w, "ExportOrders", parameters),
            "Body/ExportOrdersResponse/return")
        local header = "SALES_ORDER/ORDER_HEADER/"
        t.equal(xml.value(xml.parse(inner), header .. "INTERNAL_REF"), "SO204500")
        t.equal(xml.value(xml.parse(inner), header .. "ORDER_AMOUNT"), "34.93")
        parameters[1][2] = "SC999"
        inner = text_of(call(w, "ExportOrders", parameters), "Body/ExportOrdersResponse/return")
        t.equal(#xml.parse(inner), 0)
    end)
    t.case("a wrong SOAPAction, an unknown operation and a paid add-on are faults", function()
        local w = new_world()
        local request = soap_request("GetVersion")
        request.headers["soapaction"] = "urn:IKosWebIntf-IKosWeb#ImportOrders"
        t.equal(service.handle(w, request).status, 500)
        t.equal(call(w, "Nonsense").status, 500)
        w.settings.fault_status = 200
        local reply = call(w, "CancelOrder", {{"OrderCode", "SO1"}})
        t.equal(reply.status, 200)
        assert(text_of(reply, "Body/Fault/faultstring"):find("not licensed", 1, true))
    end)
    t.case("force insert creates a customer of its own beside the namesake", function()
        local w = new_world()
        local path = "Body/ImportCompanyResponse/return/CustomerImport/item/"
        local reply = call(w, "ImportCompany", {{"Customers", COMPANY}, {"Method", "0"}})
        t.equal(text_of(reply, path .. "URN"), "HALL001")
        w = new_world()
        reply = call(w, "ImportCompany", {{"Customers", COMPANY}, {"Method", "3"}})
        t.equal(text_of(reply, path .. "Action"), "New")
        t.equal(text_of(reply, path .. "URN"), "HALL002")
        local parameters = {{"CompanyCode", "FO-C-1-GBP"}, {"MappingType", "2"}}
        local inner = text_of(call(w, "ExportCompany", parameters),
            "Body/ExportCompanyResponse/return")
        t.equal(xml.value(xml.parse(inner), "COMPANY/COMPANY_CODE"), "HALL002")
    end)
    t.case("every operation without parameters answers", function()
        local w = new_world()
        for _, name in ipairs({"GetVersion", "GetSiteList", "GetCountryList", "GetSaleSource"}) do
            t.equal(call(w, name).status, 200, name)
        end
        t.equal(call(w, "ExportOrderStatus").status, 200)
        t.equal(call(w, "GetSOPData", {{"Courier", "-1"}}).status, 200)
        t.equal(call(w, "GetCompanyList").status, 200)
    end)
end

local function listed(w, date_type, since)
    local value = assert(stock.list(w, {DateType = date_type, DateValue = since}))
    local codes = {}
    for _, item in ipairs(value[2].fields[2][3].items) do
        codes[#codes + 1] = item.fields[1][3]
    end
    return codes
end

local function stock_feed(t)
    t.case("sales show as movements, edits as revisions", function()
        local w = new_world()
        import(w)
        t.equal(listed(w, "2", "2026-05-04T11:03:00"), {"FO-SCK-0007-L"})
        t.equal(listed(w, "0", "2026-05-04T11:03:00"), {})
        assert(stock.change(w, {code = "FO-CAP-0311", discontinued = true}))
        t.equal(listed(w, "0", "2026-05-04T11:03:00"), {"FO-CAP-0311"})
        t.equal(#listed(w, "0"), #data.stock())
    end)
    t.case("a shipped order shows its invoice", function()
        local w = new_world()
        import(w)
        t.equal(ledger.act(w, {reference = "SC204417", action = "ship"}).status, 200)
        local parameters = {{"IDs", "SC204417"}, {"MappingType", "4"}, {"WebOnly", "0"}}
        local reply = call(w, "ExportOrderStatusEx", parameters)
        local inner = xml.parse(text_of(reply, "Body/ExportOrderStatusExResponse/return"))
        t.equal(xml.value(inner, "ORDER_STATUS/COMPLETE"), "-1")
        t.equal(inner[1].attrs.SORDER_CODE, "SO204500")
    end)
    local ITEM = "</ORDER_ITEM></ORDER_ITEMS>"
    local function line(code, price, place)
        return ([[</ORDER_ITEM><ORDER_ITEM><STOCK_CODE>%s</STOCK_CODE>]]
            .. [[<MAPPING_TYPE>1</MAPPING_TYPE><ORDER_QTY>1</ORDER_QTY>]]
            .. [[<PRICE_GRS>%s</PRICE_GRS>%s]]):format(code, price,
            place and "<PACK_SORT_ORDER>" .. place .. "</PACK_SORT_ORDER>" or "")
    end
    local function jackets(w)
        return w.store.get("erp_stock", "FO-JKT-1042-M").levels["1"]
    end
    t.case("a pack header alone gets its children, at no price; they leave, it does not", function()
        local w = new_world()
        local before = jackets(w)
        local order = import(w, {[ITEM] = line("FO-KIT-DAY", "139.00") .. ITEM}).order
        t.equal({#order.lines, order.lines[3].stock_code, order.lines[3].gross_minor},
            {4, "FO-JKT-1042-M", 0})
        t.equal({order.total, jackets(w)}, {"173.93", before - 1})
        ledger.act(w, {code = order.code, action = "ship"})
        local items = orders.get(w, order.code).invoices[1].items
        t.equal({#items, items[2].stock_code}, {3, "FO-JKT-1042-M"})
    end)
    t.case("linked children are taken as they are sent, and given back when cancelled", function()
        local w = new_world()
        local before = jackets(w)
        local order = import(w, {[ITEM] = line("FO-KIT-DAY", "0.00", "001.001")
            .. line("FO-JKT-1042-M", "110.00", "001.002") .. ITEM}).order
        t.equal({#order.lines, order.total, jackets(w)}, {3, "144.93", before - 1})
        orders.cancel(w, orders.get(w, order.code), "test")
        t.equal(jackets(w), before)
    end)
    t.case("children of one pack have one place over SOAP, and no other", function()
        local function twice(place)
            return import(new_world(), {[ITEM] = line("FO-KIT-DAY", "0.00", "001.001")
                .. line("FO-JKT-1042-M", "110.00", "001.002")
                .. line("FO-BTL-0750-GRN", "20.00", place) .. ITEM})
        end
        t.equal(twice("001.002").kind, "imported")
        t.matches(twice("001.003").reason, "children of pack 001 are 001%.002, not 001%.003")
    end)
    for place, words in pairs({["001.002"] = "which has no header", ["1.1"] = "must be like",
        ["001.001"] = "is not a pack"}) do
        t.case("refused: a jacket at pack place " .. place, function()
            local outcome = import(new_world(), {[ITEM] = line("FO-JKT-1042-M", "110.00", place)
                .. ITEM})
            t.equal(outcome.kind, "refused")
            t.matches(outcome.reason, words)
        end)
    end
    t.case("each unit is credited at its own line's price, each line once", function()
        local w = new_world()
        local order = import(w, {[ITEM] = line("FO-SCK-0007-L", "7.50") .. ITEM}).order
        ledger.act(w, {code = order.code, action = "ship"})
        local function credit(count)
            local code = returns.credit(w, order, {items = {{stock_code = "FO-SCK-0007-L",
                quantity = count}}})
            return orders.credit(w, code).items_minor, code
        end
        t.equal({(credit(1)), (credit(1)), (credit(1)), (credit(1))}, {1499, 1499, 750, 0})
        returns.change(w, order, {credit_note = "CN900101", cancel = "a mistake"})
        t.equal((credit(1)), 1499)
    end)
    t.case("levels and kits come with the status of the item", function()
        local w = new_world()
        local value = stock.status(w, {StockCode = "FO-KIT-DAY,LW-OLD-CAP", MappingType = "1"})
        local root = xml.parse(value[2])
        t.equal(#root, 2)
        t.equal(xml.value(root, "STOCK_ITEM/BUILD_POTENTIAL_CHILDREN"), "300")
    end)
end

local function fault_rules(t)
    t.case("the second import resets after it was committed", function()
        local w = new_world()
        local rules = {{operation = "ImportOrders", nth = 2, fault = "reset_after"}}
        assert(faults.set(w.store, rules, 7))
        t.equal(call(w, "ImportOrders", {{"Orders", ORDER}}).rude, nil)
        local second = edited({SC204417 = "SC204418"})
        t.equal(call(w, "ImportOrders", {{"Orders", second}}).rude, "reset")
        t.equal(#orders.all(w), 2)
        t.equal(call(w, "GetVersion").rude, nil)
    end)
    t.case("a reset before committing keeps nothing", function()
        local w = new_world()
        assert(faults.set(w.store, {{fault = "reset_before", times = 1}}))
        t.equal(call(w, "ImportOrders", {{"Orders", ORDER}}).rude, "reset")
        t.equal(#orders.all(w), 0)
        t.equal(call(w, "ImportOrders", {{"Orders", ORDER}}).rude, nil)
    end)
    t.case("refusals, delays and faults under any status", function()
        local w = new_world()
        assert(faults.set(w.store, {{fault = "429", times = 1}, {fault = "delay", ms = 50}}))
        local reply = call(w, "GetVersion")
        t.equal(reply.status, 429)
        t.equal(reply.headers["Retry-After"], "2")
        t.equal(reply.delay_ms, 50)
        assert(faults.set(w.store, {{fault = "fault_any_status", status = 200}}))
        reply = call(w, "GetVersion")
        t.equal(reply.status, 200)
        assert(reply.body:find("EWebServiceError", 1, true))
    end)
    t.case("chance is seeded: the same seed gives the same run", function()
        local function run(seed)
            local w = new_world()
            assert(faults.set(w.store, {{fault = "503", probability = 0.5}}, seed))
            local text = ""
            for _ = 1, 40 do
                text = text .. (call(w, "GetVersion").status == 503 and "x" or ".")
            end
            return text
        end
        t.equal(run(3), run(3))
        assert(run(3) ~= run(4))
        assert(run(3):find("x", 1, true) and run(3):find(".", 1, true))
    end)
    t.case("bad rules and unknown settings are refused", function()
        local w = new_world()
        t.equal(faults.set(w.store, {{fault = "meteor"}}), nil)
        t.equal(faults.set(w.store, {{fault = "500", oops = 1}}), nil)
        t.equal(control.change(w.store, data.SETTINGS, {nope = true}), nil)
        t.equal(control.change(w.store, data.SETTINGS, {strict = "no"}), nil)
        assert(control.change(w.store, data.SETTINGS, {strict = false}))
        t.equal(control.settings(w.store, data.SETTINGS).strict, false)
    end)
    t.case("reset brings back the first day", function()
        local w = new_world()
        import(w)
        world.reset(w)
        t.equal(#orders.all(w), 0)
        t.equal(w.store.get("erp_stock", "FO-SCK-0007-L").levels["1"], 400)
        t.equal(import(w).order.code, "SO204500")
    end)
end

return function(t)
    arithmetic(t)
    strictness(t)
    money(t)
    identity(t)
    log_of_calls(t)
    calls_over_soap(t)
    stock_feed(t)
    fault_rules(t)
end
