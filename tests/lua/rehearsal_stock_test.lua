--- Golden cases of the stock flow: the client's own policy makes the figure, and says so.
local flow = require("flows.stock")
local golden = require("lib.golden")
local host = require("neap.test")
local schema = require("lib.schema")

local ITEMS = [[<STOCK_ITEMS>
    <STOCK_ITEM><STOCK_CODE>A</STOCK_CODE><STOCK_TYPE>Socks</STOCK_TYPE></STOCK_ITEM>
    <STOCK_ITEM><STOCK_CODE>KIT</STOCK_CODE><LINKED_ITEMS><LINK_ITEM><STOCK_CODE>A</STOCK_CODE>
    <LINK_TYPE>3</LINK_TYPE><LINK_VALUE>2</LINK_VALUE></LINK_ITEM></LINKED_ITEMS></STOCK_ITEM>
    </STOCK_ITEMS>]]
local LEVELS = [[<STOCK_STATUS><STOCK_ITEM CODE="A"><STATUS>1</STATUS><LEVEL>10</LEVEL></STOCK_ITEM>
    <STOCK_ITEM CODE="KIT"><STATUS>1</STATUS><LEVEL>0</LEVEL>
    <BUILD_POTENTIAL_CHILDREN>5</BUILD_POTENTIAL_CHILDREN></STOCK_ITEM></STOCK_STATUS>]]

local function check(case, more)
    local given = {merchant_key = "fellside", warehouse = "W"}
    for name, value in pairs(more or {}) do
        given[name] = value
    end
    assert(schema.check(flow.schema, given, "settings"))
    case.flow, case.items, case.levels = "stock", case.items or ITEMS, case.levels or LEVELS
    golden.check(host, {{name = "stock", flow = flow,
        settings = schema.with_defaults(flow.schema, given)}}, case, "cases", "cases/x.lua")
end

local function figures(a, kit)
    return {told = {{kind = "stock", sku = "A", quantity = a, text = nil},
        {kind = "stock", sku = "KIT", quantity = kit}}}
end

return function(t)
    t.case("the policy ladder makes the figure", function()
        check({expect = figures(10, 5)})
        check({expect = figures(6, 3)}, {policy = {default = {buffer = 2},
            categories = {Socks = {buffer = 4}}}})
        check({expect = figures(3, 5)}, {policy = {skus = {A = {cap = 3}}}})
    end)
    t.case("what orders take of a component its kit is without", function()
        check({pending = {A = 3}, expect = figures(7, 3)})
        check({pending = {KIT = 2}, expect = figures(6, 3)})
    end)
    t.case("the levels are the first site's, others have none", function()
        check({expect = {told = {{sku = "A", quantity = 10,
            terms = {{source = "Khaos, site 1 + 2"}}}, {sku = "KIT"}}}}, {sites = {1, 2}})
    end)
    t.case("a client that sends by bulk requests has the same figures", function()
        check({expect = figures(10, 5)}, {bulk = {from = 1}, batch = 1})
    end)
    t.case("what kits are made of on Cloud is the client's word, or the case's", function()
        local case = {items = [[{"Items": [
            {"StockID": 1, "StockCode": "A", "Options": {}},
            {"StockID": 2, "StockCode": "KIT", "Options": {}}]}]],
            levels = [[{"Statuses": [
            {"StockID": 1, "StockCode": "A", "SiteID": 1, "Levels": {"Available": 10}},
            {"StockID": 2, "StockCode": "KIT", "SiteID": 1,
                "RelationshipPotential": {"FromChildren": 5}}]}]],
            pending = {A = 3}, kits = {KIT = {A = 2}}, expect = figures(7, 3)}
        check(case, {khaos = {kind = "cloud"}})
        case.kits = nil
        check(case, {khaos = {kind = "cloud"}, kits = {KIT = {A = 2}}})
        case.expect = figures(7, 5)
        check(case, {khaos = {kind = "cloud"}})
    end)
    t.case("a document of another kind is said", function()
        t.matches(t.raises(check, {levels = "<STOCK_ITEMS/>", expect = {told = {}}}),
            "levels: a STOCK_STATUS")
        t.matches(t.raises(check, {levels = {cloud = "{}"}, expect = {told = {}}}),
            "levels: on this")
    end)
end
