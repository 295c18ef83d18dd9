--- A Khaos item as a variant of SCAYLE, or all that is missing for it.
local mapping = require("flows.product_stages.mapping")
local plan = require("flows.product_stages.plan")
local schema = require("lib.schema")

local RULES = {
    sku = {pattern = "%u[%u%d%-]+", hint = "capital letters, digits and hyphens"},
    product = {field = "parent_code", prefix = "P-"},
    ean = {field = "barcode", required = true},
    prices = {
        {country = "GB", currency = "GBP", field = "sell_price"},
        {country = "DE", currency = "EUR", field = "user:Price EUR", tax = "19"},
        {country = "CH", currency = "CHF", field = "user:Price CHF", tax = "8.1", is_net = true},
    },
}

local function rules()
    assert(schema.check(mapping.schema, RULES, "mapping"))
    return schema.with_defaults(mapping.schema, RULES)
end

local function item(words)
    local made = {code = "TS-RED-L", parent_code = "TS", barcodes = {"5000000000012"},
        sell_price = "25.00", sell_price_is_net = false, vat_rate = "20.00",
        user = {["Price EUR"] = "29.95", ["Price CHF"] = "30.00"}}
    for name, value in pairs(words or {}) do
        made[name] = value or nil
    end
    return made
end

local function problems(words)
    local _, list = plan.of(item(words), rules(), "fellside")
    return list
end

return function(t)
    t.case("an item that has everything", function()
        local variant, list = plan.of(item(), rules(), "fellside")
        t.equal(list, {})
        t.equal(variant, {sku = "TS-RED-L", product = "P-TS", ean = "5000000000012",
            merchant = "fellside", prices = {
                {price = 2500, currencyCode = "GBP", countryCode = "GB", tax = 20},
                {price = 2995, currencyCode = "EUR", countryCode = "DE", tax = 19},
                {price = 3243, currencyCode = "CHF", countryCode = "CH", tax = 8.1}}})
        t.equal(plan.words(variant), "in product P-TS, EAN 5000000000012, GB 25.00 GBP with 20% "
            .. "tax, DE 29.95 EUR with 19% tax, CH 32.43 CHF with 8.1% tax")
    end)
    t.case("a net price becomes gross, half a penny goes up", function()
        local variant = plan.of(item({sell_price = "20.8333", sell_price_is_net = true}), rules(),
            "fellside")
        t.equal(variant.prices[1].price, 2500)
        variant = plan.of(item({sell_price = "0.0125", sell_price_is_net = true}), rules(),
            "fellside")
        t.equal(variant.prices[1].price, 2)
    end)
    t.case("a gross price with parts of a penny is none", function()
        t.matches(problems({sell_price = "25.001"})[1], "is no amount of GB in GBP")
    end)
    t.case("everything that is missing is said at once, with where to enter it", function()
        local list = problems({code = " ts", parent_code = false, barcodes = {}, user = {},
            sell_price = "0.00"})
        t.equal(list, {
            "the stock code begins or ends with a blank: correct it in Khaos",
            "enter the parent stock code in Khaos (the product that it belongs to)",
            "enter the barcode in Khaos (the EAN)",
            "enter the selling price in Khaos (the price for GB in GBP); \"0.00\" is none",
            "enter the user-defined attribute \"Price EUR\" in Khaos (the price for DE in EUR)",
            "enter the user-defined attribute \"Price CHF\" in Khaos (the price for CH in CHF)"})
        t.equal(problems({vat_rate = false}), {"enter the VAT rate in Khaos, or `tax` in "
            .. "mappings/products.lua (price for GB in GBP)"})
        t.equal(problems({code = "ts-red-l"}), {"the stock code is not of the form capital "
            .. "letters, digits and hyphens: correct it in Khaos"})
    end)
    t.case("the check digit of an EAN", function()
        for _, good in ipairs({"5000000000012", "96385074", "036000291452", "10036000291459"}) do
            t.equal(plan.is_ean(good), true)
        end
        for _, bad in ipairs({"5000000000017", "96385075", "", "123", "500000000001X",
            "50000000000120000"}) do
            t.equal(plan.is_ean(bad), false)
        end
    end)
    t.case("the mapping is checked in words", function()
        local ok, messages = schema.check(mapping.schema, {product = {field = "description"},
            prices = {}}, "mapping")
        t.equal(ok or false, false)
        t.equal(#messages >= 2, true)
    end)
end
