-- neap-test-root: examples/sandbox/khaos
--- The Khaos SOAP connector against the simulated service and against replies that are odd, cut
--- off or faults.
local fake_job = require("fake_job") -- first: it makes the modules a runner lacks
local client = require("connectors.khaos_soap.client")
local customers = require("connectors.khaos_soap.customers")
local khaos_sandbox = require("khaos_sandbox")
local orders = require("connectors.khaos_soap.orders")
local stock = require("connectors.khaos_soap.stock")
local xml = require("neap.xml")

local HEAD = [[<E:Envelope xmlns:E="http://schemas.xmlsoap.org/soap/envelope/"]]
    .. [[ xmlns:S="http://schemas.xmlsoap.org/soap/encoding/"]]
    .. [[ xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><E:Body>]]
local TAIL = "</E:Body></E:Envelope>"

local function answer(status, body)
    return {status = status, body = body, headers = {}, elapsed_ms = 1}
end

local function envelope(body)
    return HEAD .. body .. TAIL
end

local INLINE = envelope([[<n:ImportOrdersResponse xmlns:n="u"><return>
<ImportedCount>1</ImportedCount><OrderImport i:type="S:Array"><item>
<SalesOrderCode>SO1</SalesOrderCode>
<AssociatedRef>SC1</AssociatedRef><Msg/><URN>FENN003</URN></item></OrderImport>
<OrderSkipped i:type="S:Array"/></return></n:ImportOrdersResponse>]])
local MULTIREF = envelope([[<n:ImportOrdersResponse xmlns:n="u"><return href="#1"/>
</n:ImportOrdersResponse><T id="1"><ImportedCount>1</ImportedCount><OrderImport i:type="S:Array">
<item href="#2"/></OrderImport></T>
<T id="2"><SalesOrderCode>SO1</SalesOrderCode><URN>FENN003</URN></T>]])
local SKIPPED = envelope([[<n:ImportOrdersResponse xmlns:n="u"><return>
<ImportedCount>0</ImportedCount><OrderImport i:type="S:Array"/><OrderSkipped i:type="S:Array">
<item><OrderRef>SC1</OrderRef>
<SkipReason>no such courier</SkipReason></item></OrderSkipped></return></n:ImportOrdersResponse>]])
local FAULT = envelope([[<E:Fault><faultcode>E:Client</faultcode>
<faultstring>no database</faultstring><faultactor>EDatabaseError</faultactor>
<detail><n:EWebServiceError xmlns:n="urn:WebServiceP">
<ExceptionClassName>EDatabaseError</ExceptionClassName></n:EWebServiceError></detail></E:Fault>]])
local LOOP = envelope([[<n:ImportOrdersResponse xmlns:n="u"><return href="#1"/>
</n:ImportOrdersResponse><T id="1"><OrderImport href="#1"/></T>]])

local function imports(t)
    t.case("an import is read inline and in multi-reference form", function()
        for _, body in ipairs({INLINE, MULTIREF}) do
            t.equal(orders.read_import(answer(200, body)), {order_code = "SO1", urn = "FENN003"})
        end
    end)
    t.case("a skip leaves the outcome open and keeps the words", function()
        local result, err = orders.read_import(answer(200, SKIPPED))
        t.equal({result or "nil", err.maybe_sent, err.retryable, err.kind, err.message},
            {"nil", true, false, "invalid", "no such courier"})
    end)
    t.case("a fault on a write leaves the outcome open, under any HTTP status", function()
        for _, status in ipairs({200, 400, 500}) do
            local _, err = orders.read_import(answer(status, FAULT))
            t.equal({err.maybe_sent, err.retryable, err.message, err.details.fault.class},
                {true, false, "no database", "EDatabaseError"})
        end
    end)
    t.case("a fault on a read is asked again", function()
        local _, err = client.read(answer(500, FAULT), "GetVersion")
        t.equal({err.retryable, err.maybe_sent or false}, {true, false})
    end)
end

-- status, body, retryable and maybe_sent of a write
local BROKEN = {
    {200, INLINE:sub(1, 200), true, true},
    {200, "", true, true},
    {200, "<html/>", true, true},
    {200, envelope("<n:OtherResponse xmlns:n=\"u\"/>"), true, true},
    {200, LOOP, true, true},
    {500, "", true, true},
    {503, "<html>busy</html>", true, true},
    {404, "<html>no such path</html>", false, false},
    {401, "", false, false},
    {429, "", true, false},
}

local function broken_answers(t)
    t.case("what is no SOAP reply is judged by what may have happened", function()
        for _, row in ipairs(BROKEN) do
            local result, err = orders.read_import(answer(row[1], row[2]))
            t.equal({result or "nil", err.retryable, err.maybe_sent or false},
                {"nil", row[3], row[4]}, row[1] .. " " .. row[2]:sub(1, 40))
        end
    end)
    t.case("an import that names the order nowhere leaves the outcome open", function()
        for _, inner in ipairs({"<return/>", "",
            "<return><ImportedCount>0</ImportedCount></return>"}) do
            local _, err = orders.read_import(answer(200, envelope(
                "<n:ImportOrdersResponse xmlns:n=\"u\">" .. inner .. "</n:ImportOrdersResponse>")))
            t.equal(err.maybe_sent, true, inner)
        end
    end)
    t.case("a stock list that was cut off is not taken for the whole", function()
        local world = fake_job.world({http = function()
            return answer(200, envelope([[<n:GetStockListResponse xmlns:n="u"><return>
<Count>2</Count><List i:type="S:Array"><item><StockCode>A</StockCode></item></List>
</return></n:GetStockListResponse>]]))
        end})
        local _, err = world:with(function()
            return stock.changed_since(client.new(), stock.REVISED, client.NO_DATE)
        end)
        t.matches(err.message, "1 of 2 codes")
    end)
end

local function posting(more)
    local made = {
        reference = "SC204417", currency = "GBP", order_date = "2026-05-04T11:02:58",
        total = "34.93",
        header = {sales_source = "Web UK", courier_code = "DPD_UK", delivery = {gross = "4.95"}},
        customer = {other_ref = "S77-GBP", company_class = "Web Retail", currency = "GBP",
            invoice_address = {address1 = "14 Orchard Row", town = "Leeds", postcode = "LS6 3QT",
                country_code = "GBR", forename = "Priya", surname = "Hall & <Worth>"}},
        payments = {{amount = "34.93", type = 2, preauth = true, auth_code = "AUTH"}},
        lines = {{stock_code = "FO-SCK-0007-L", quantity = 2, price_gross = "14.99",
            extended = {"To Priya", "a ]]> b"}, import_ref = "L1"}},
    }
    for name, value in pairs(more or {}) do
        made[name] = value
    end
    return made
end

local function documents(t)
    t.case("the blocks come in the vendor's order, booleans as -1 and 0", function()
        local order = xml.parse(orders.build_xml(posting()))[1]
        local names = {}
        for i, block in ipairs(order) do
            names[i] = block.name
        end
        t.equal(names, {"CUSTOMER_DETAIL", "PAYMENTS", "ORDER_HEADER", "ORDER_ITEMS"})
        t.equal(xml.value(order, "CUSTOMER_DETAIL/IS_NEW_CUSTOMER"), "0")
        t.equal(xml.value(order, "PAYMENTS/PAYMENT_DETAIL/PREAUTH"), "-1")
    end)
    t.case("text survives two rounds of escaping", function()
        local request = client.new():request("ImportOrders",
            {{"Orders", "string", orders.build_xml(posting())}})
        local outer = xml.parse(request.body)
        local inner = xml.parse(xml.value(outer, "Body/ImportOrders/Orders"))
        t.equal(xml.value(inner[1], "CUSTOMER_DETAIL/ADDRESSES/INVADDR/ISURNAME"), "Hall & <Worth>")
        t.equal(xml.value(inner[1], "ORDER_ITEMS/ORDER_ITEM/EXTENDED_DESC"), "To Priya\na ]]> b")
    end)
    t.case("characters that XML cannot hold are left out", function()
        local text = orders.build_xml(posting({currency = "G\1BP"}))
        t.equal(xml.value(xml.parse(text)[1], "ORDER_HEADER/ORDER_CURRENCY_CODE"), "GBP")
    end)
    t.case("what a posting does not say has no element; free delivery is said", function()
        local made = posting({payments = {}})
        made.header.delivery = {net = "0.00", tax = "0.00"}
        local order = xml.parse(orders.build_xml(made))[1]
        t.equal({xml.child(order, "PAYMENTS") or "none",
            xml.value(order, "ORDER_HEADER/SITE") or "none",
            xml.value(order, "ORDER_HEADER/DELIVERY_NET")}, {"none", "none", "0.00"})
    end)
    t.case("namespace, action and path are settings", function()
        local request = client.new({namespace = "urn:x", action = "urn:x/{operation}",
            path = "/y"}):request("GetVersion", {})
        t.equal({request.path, request.headers.SOAPAction}, {"/y", "\"urn:x/GetVersion\""})
        t.matches(request.body, "xmlns:NS1=\"urn:x\"")
    end)
end

local function service(t)
    t.case("the simulated Khaos takes an order, finds it and reads it back", function()
        for _, form in ipairs({false, true}) do
            local world, sandbox = khaos_sandbox.world({multiref = form})
            world:with(function()
                local khaos = client.new()
                t.equal(orders.lookup(khaos, "SC204417"), "absent")
                local request = orders.import_request(khaos, posting())
                request.connection = "khaos"
                local posted = assert(orders.read_import(sandbox.answer(request)))
                local found = orders.find(khaos, "SC204417")
                t.equal({found[1].order_code, found[1].total_minor, found[1].currency},
                    {posted.order_code, 3493, "GBP"})
                local state, result, fingerprint = orders.lookup(khaos, "SC204417")
                t.equal({state, result.order_code, fingerprint},
                    {"found", posted.order_code, "3493 GBP"})
                t.equal(xml.value(orders.export(khaos, "SC204417"), "ORDER_HEADER/ASSOCIATED_REF"),
                    "SC204417")
            end)
        end
    end)
    t.case("a customer is made once, and found by its reference alone", function()
        local world, sandbox = khaos_sandbox.world()
        world:with(function()
            local khaos = client.new()
            t.equal(customers.lookup(khaos, "S77-GBP"), "absent")
            local request = customers.import_request(khaos, posting().customer, "force")
            local made = assert(customers.read_import(sandbox.answer(request)))
            local found = customers.export_by_other_ref(khaos, "S77-GBP")
            t.equal({#found, found[1].company_code, found[1].class, found[1].currency},
                {1, made.company_code, "Web Retail", "GBP"})
            request = customers.import_request(khaos, posting().customer, "insert")
            local _, err = customers.read_import(sandbox.answer(request))
            t.equal(err.maybe_sent, true)
        end)
    end)
end

local function stock_service(t)
    t.case("stock codes are listed and exported, unknown ones are absent", function()
        local world = khaos_sandbox.world()
        world:with(function()
            local khaos = client.new()
            assert(#assert(stock.changed_since(khaos, stock.REVISED, client.NO_DATE)) > 3)
            local found = stock.export(khaos, {"FO-SCK-0007-L", "FO-NOPE", "A,B"})
            t.equal({found["FO-SCK-0007-L"].discontinued, found["FO-NOPE"] or "none"},
                {false, "none"})
            t.matches(stock.get_version(khaos), "^%d")
        end)
    end)
end

local NESTED = [[<STOCK_ITEMS><STOCK_ITEM><STOCK_CODE>TEE</STOCK_CODE>
<DISCONTINUED>0</DISCONTINUED><SCS><STYLE><STYLE>
<SCS_ITEM><STOCK_CODE>TEE-M</STOCK_CODE><VAT_RATE>20</VAT_RATE></SCS_ITEM></STYLE>
<SCS_ITEM><STOCK_CODE>TEE-L</STOCK_CODE><DISCONTINUED>-1</DISCONTINUED></SCS_ITEM></STYLE></SCS>
</STOCK_ITEM></STOCK_ITEMS>]]

local function nested_stock(t)
    t.case("variants are found nested under their parent, codes asked in chunks", function()
        local world = fake_job.world({http = function()
            return answer(200, envelope("<n:ExportStockResponse xmlns:n=\"u\"><return>"
                .. xml.escape(NESTED) .. "</return></n:ExportStockResponse>"))
        end})
        local codes = {}
        for i = 1, 16 do
            codes[i] = "C" .. i
        end
        local found = world:with(function()
            return stock.export(client.new(), codes)
        end)
        t.equal({found["TEE-M"].parent_code, found["TEE-M"].vat_rate, found["TEE-L"].discontinued},
            {"TEE", "20", true})
        t.equal(#world.requests, 2)
    end)
end

return function(t)
    imports(t)
    broken_answers(t)
    documents(t)
    service(t)
    stock_service(t)
    nested_stock(t)
    t.case("the connector says what only a person or an add-on can do", function()
        local able = client.new({add_ons = {"cancel_order"}}).capabilities
        t.equal({able.import_order, able.cancel_order, able.amend_order, able.create_return},
            {true, true, false, false})
    end)
end
