--- Golden cases of the products flow: every kind of difference between two small catalogues.
local flow = require("flows.products")
local golden = require("lib.golden")
local host = require("neap.test")
local schema = require("lib.schema")

local function check(case, more)
    local given = {merchant_key = "fellside"}
    for name, value in pairs(more or {}) do
        given[name] = value
    end
    assert(schema.check(flow.schema, given, "settings"))
    case.flow = "products"
    golden.check(host, {{name = "products", flow = flow,
        settings = schema.with_defaults(flow.schema, given)}}, case, "cases", "cases/x.lua")
end

return function(t)
    t.case("a variant that no order can name is told with what was perhaps meant", function()
        local case = {variants = {{code = "TEE-RDE-L"}, {}, {code = "OLD", product = "p"}},
            stock_codes = {{code = "TEE-RED-L"}, {code = "OLD", discontinued = true}},
            expect = {told = {
                {kind = "no_code", ids = {"2"}},
                {kind = "discontinued", code = "OLD", product = "p"},
                {kind = "missing_in_khaos", code = "TEE-RDE-L", message = "Stock code TEE-RDE-L "
                    .. "does not exist in Khaos, and SCAYLE has a variant with it (product id 1)"
                    .. " (did you mean TEE-RED-L?)"},
                {kind = "missing_in_scayle", code = "TEE-RED-L"}},
                held = {"catalogues_differ:missing in SCAYLE", "unknown_stock_code:OLD",
                    "unknown_stock_code:TEE-RDE-L", "variant_without_code:variant 2"}}}
        check(case)
    end)
    t.case("codes that are not for the web are no difference, where Khaos says so", function()
        local case = {variants = {{code = "A"}}, stock_codes = {{code = "A"},
            {code = "HID", deleted = true}, {code = "FEE-1"}, {code = "GROUP"},
            {code = "A-1", parent_code = "GROUP", deleted = true}}, expect = {told = {}}}
        check(case, {not_for_web = {"FEE-*"}})
        case.expect = {told = {{kind = "missing_in_scayle", code = "A-1"},
            {kind = "missing_in_scayle", code = "HID"}},
            held = {"catalogues_differ:missing in SCAYLE"}}
        check(case, {not_for_web = {"FEE-*"}, khaos = {kind = "cloud"}})
    end)
    t.case("another merchant's variants are left alone", function()
        check({variants = {{code = "X", merchants = {"other"}}, {code = "A"}},
            stock_codes = {{code = "A"}}, expect = {told = {}}})
    end)
    t.case("many of them are one exception", function()
        check({variants = {{code = "X1"}, {code = "X2"}}, stock_codes = {{code = "A"}},
            expect = {told = {{code = "A"}, {code = "X1"}, {code = "X2"}},
                held = {"catalogues_differ:variants without a stock code"}}},
            {exceptions_max = 1, tell = {missing_in_scayle = false}})
    end)
end
