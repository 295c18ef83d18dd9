-- neap-test-root: examples/sandbox/khaos examples/demo
--- Every golden order of the demo on the other product line: mapped by the same mappings, written
--- as an OrderDownload in JSON and in XML, imported by the simulated web channel's own arithmetic.
--- It comes to the same total, or is held for the same causes.
local cloud_channel = require("erp.cloud_channel")
local cloud_client = require("connectors.khaos_cloud.client")
local cloud_xml = require("erp.cloud_xml")
local documents = require("connectors.khaos_cloud.documents")
local golden = require("lib.golden")
local host = require("neap.test")
local json = require("neap.json")
local money = require("neap.money")
local order_document = require("connectors.khaos_cloud.order_document")
local orders = require("erp.orders")
local rehearse = require("flows.orders.rehearse")
local stock = require("erp.stock")
local support = require("sandbox_support")
local world = require("erp.world")

local FOLDER = "examples/demo/cases"
local CONFIG = {MatchCompanyOn = json.array({"CompanyCode"}),
    MatchAddressOn = json.array({"Address1", "Postcode"}), MatchContactOn = json.array({"Surname"})}

local function settings(khaos)
    local mappings = {}
    for _, name in ipairs({"companies", "tax", "shipping", "payments"}) do
        mappings[name] = require("mappings." .. name)
    end
    mappings.promotions = require("mappings.promotions_cloud")
    khaos.kind = "cloud"
    return {merchant_key = "fellside", despatch_promise_hours = 48, mappings = mappings,
        khaos = khaos, staging = {rules = {{name = "day walk sets", approval = "rule",
            mechanic = {id = "6650c100c2d04e7b9a550921"}}}}}
end

local function load(file)
    local case = require("cases." .. file:gsub("%.lua$", ""))
    for _, name in ipairs({"order", "delegation"}) do
        if type(case[name]) == "string" then
            case[name] = json.decode(host.read_file(FOLDER .. "/orders/" .. case[name]))
        end
    end
    return case
end

local function new_world(posting, is_per_unit)
    local w = world.open({store = support.store(), time = support.time(),
        settings = {cloud_value_per_unit = is_per_unit}})
    for _, line in ipairs(posting.lines) do
        if not w.store.get("erp_stock", line.stock_code) then
            assert(stock.change(w, {code = line.stock_code, level = 100}))
        end
    end
    return w
end

-- As it goes over the wire and comes out on the other side.
local function through(format, posting, khaos)
    posting.customer.company_code = posting.customer.other_ref
    local reply = documents.reply(format, "SalesOrderImport", {
        Orders = json.array({order_document.build(cloud_client.new(khaos), posting)}),
        ApiVersion = documents.API_VERSION, Config = CONFIG})
    return format == "XML" and cloud_xml.read(reply.body) or json.decode(reply.body)
end

local function minor(text)
    return (assert(money.decimal(text)):to_minor(2))
end

local function imported_total(posting, khaos, is_per_unit)
    local w = new_world(posting, is_per_unit)
    cloud_channel.import(w, through("JSON", posting, khaos))
    return orders.get(w, orders.codes_of(w, posting.reference)[1]).totals.gross
end

local function check_imported(t, format, posting, khaos)
    local w = new_world(posting)
    local outcomes, problem = cloud_channel.import(w, through(format, posting, khaos))
    t.equal(problem, nil)
    t.equal(outcomes[1].reason, nil)
    local saved = orders.get(w, orders.codes_of(w, posting.reference)[1])
    t.equal(saved.totals.gross, minor(posting.total))
    t.equal(saved.order_amount_minor, minor(posting.total))
    t.equal(saved.message, posting.payments[1].type == 3
        and ("Payments of 0.00 do not cover the order exactly") or "")
    t.equal({saved.urn, saved.currency}, {posting.customer.other_ref, posting.currency})
    for i, line in ipairs(posting.lines) do
        t.equal(saved.lines[i].gross_minor, line.predicted.gross_minor, line.stock_code)
        t.equal(saved.lines[i].import_ref, line.import_ref)
    end
end

local function play(t, case, khaos)
    local flows = {{name = "orders", flow = {rehearse = rehearse}, settings = settings(khaos)}}
    golden.check(host, flows, case, FOLDER)
    local posting = rehearse(settings(khaos), case).posted
    if posting then
        local options = {value_discount = khaos.value_discount}
        check_imported(t, "JSON", posting, options)
        check_imported(t, "XML", posting, options)
        t.equal(imported_total(posting, options, true), minor(posting.total), "per unit")
    end
end

return function(t)
    local count = 0
    for _, file in ipairs(host.list(FOLDER)) do
        local case = file:find("%.lua$") and load(file)
        if case and not case.flow then -- an order
            count = count + 1
            t.case("the Cloud gets it to the same penny: " .. file:gsub("%.lua$", ""), function()
                play(t, case, {})
                play(t, case, {value_discount = "percent"})
            end)
        end
    end
    t.case("there are golden cases", function()
        t.equal(count > 30, true)
    end)
    t.case("where an amount off a line of several units counts for each, it can tell", function()
        local posting = rehearse(settings({}), load("14-percentage.lua")).posted
        t.equal(imported_total(posting, {value_discount = "line"}, false), minor(posting.total))
        t.equal(imported_total(posting, {value_discount = "line"}, true) < minor(posting.total),
            true)
    end)
    t.case("on a line of one unit the full price stays, with a value discount", function()
        local posting = rehearse(settings({}), load("04-tiered-promotion-code.lua")).posted
        local found = 0
        for i, item in ipairs(order_document.build(cloud_client.new({}), posting).Items) do
            if item.ValueDiscount then
                found = found + 1
                local line = posting.lines[i]
                local full = item.UnitPrice.Gross:to_minor(2)
                t.equal(line.quantity, 1)
                t.equal(full - item.ValueDiscount:to_minor(2), line.predicted.gross_minor)
            end
        end
        t.equal(found > 0, true)
    end)
end
