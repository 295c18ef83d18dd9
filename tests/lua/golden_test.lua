-- The demo client's golden cases, straight through the mapper.
local json = require("neap.json")
local map = require("flows.orders.map")
local mapping_schema = require("flows.orders.mapping_schema")

local FOLDER = "examples/demo/cases/"
local CASES = {
    "01-plain-gb", "02-bogof-free-unit", "03-bogof-pro-rata", "04-tiered-promotion-code",
    "05-absolute-voucher", "06-sale-campaign-relative-voucher", "07-combo-deal",
    "08-de-mixed-vat-collection-point", "09-mixed-fulfilment-states",
    "10-gift-card-split-payment", "11-external-prices-minimal", "12-configurable-item-group",
    "13-multi-unit", "14-percentage", "15-percentage-odd-pennies", "16-absolute-promotion",
    "17-fees", "18-free-shipping", "19-guest", "20-collection-point", "21-export-ireland",
    "22-unknown-sku", "23-unmapped-tax", "24-undeclared-mechanic", "25-membership-discount",
    "26-over-long-address", "27-totals-do-not-tie", "28-several-causes", "29-payments-short",
    "30-no-profile", "31-reduced-rate-split", "32-account-order", "33-voucher-without-unit",
}
local SETTINGS = {merchant_key = "fellside", despatch_promise_hours = 48}

local function mappings()
    local all = {}
    for _, name in ipairs({"companies", "tax", "shipping", "payments", "promotions"}) do
        all[name] = dofile("examples/demo/mappings/" .. name .. ".lua")
    end
    return all
end

local function read_order(t, case)
    if type(case.order) == "table" then
        return case.order
    end
    local text = assert(t.read_file(FOLDER .. "orders/" .. case.order), "no order " .. case.order)
    return assert(json.decode(text))
end

local function run(t, case, all)
    local unknown = {}
    for _, code in ipairs(case.unknown_stock_codes or {}) do
        unknown[code] = true
    end
    return map.map{
        order = read_order(t, case), delegation = case.delegation, mappings = all,
        settings = SETTINGS, has_stock_code = function(code)
            return not unknown[code]
        end,
    }
end

-- Every field that the case names; lists as long as the case's.
local function check_part(t, actual, expected, path)
    if type(expected) ~= "table" then
        t.equal(actual, expected, path)
        return
    end
    t.equal(type(actual), "table", path)
    if #expected > 0 then
        t.equal(#actual, #expected, path .. " count")
    end
    for key, value in pairs(expected) do
        check_part(t, actual[key], value, path .. "." .. tostring(key))
    end
end

local function view(posting)
    return {
        total = posting.total, lines = posting.lines, payments = posting.payments,
        delivery = posting.header.delivery, keycode = posting.header.keycode,
        sales_source = posting.header.sales_source, other_ref = posting.customer.other_ref,
        delivery_address = posting.customer.delivery_address,
    }
end

local function held_for(result)
    local list = {}
    for i, cause in ipairs(result.causes) do
        list[i] = cause.cause .. ":" .. cause.subject
    end
    table.sort(list)
    return list
end

local function check(t, case, result)
    if case.expect.held then
        t.equal(held_for(result), case.expect.held, "causes")
        t.equal(result.posting, nil, "posting")
        return
    end
    t.equal(held_for(result), {}, "causes")
    check_part(t, view(result.posting), case.expect.posted, "posting")
    t.equal(result.posting.predicted.gross_minor, result.facts.amount.minor, "predicted total")
end

return function(t)
    local all = mappings()
    t.case("the demo client's mappings pass their schema", function()
        local ok, messages = mapping_schema.check(all, "settings.mappings")
        t.equal(messages, nil)
        t.equal(ok, true)
    end)
    for _, name in ipairs(CASES) do
        local case = dofile(FOLDER .. name .. ".lua")
        t.case(string.format("%s: %s is %s", name, case.name,
            case.expect.held and "held" or "posted to the penny"), function()
            check(t, case, run(t, case, all))
        end)
    end
end
