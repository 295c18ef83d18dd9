-- Random SCAYLE orders and posting profiles for the property test of the mapper, from a seed. Some
-- orders carry faults on purpose; `expects` then names the causes they must be held for.
local faults = require("basket_faults")
local mechanics = require("basket_mechanics")

local baskets = {}

local RATES = { -- the standard rate first
    uk = {"0.2", "0.05", "0"},
    de = {"0.19", "0.07", "0"},
    ie = {"0.23", "0.135", "0.09", "0"},
    fr = {"0.2", "0.1", "0.055", "0.021", "0"},
}
local CODES = {["0.2"] = 1, ["0"] = 2, ["0.05"] = 4, ["0.19"] = 5, ["0.07"] = 6, ["0.23"] = 7,
    ["0.135"] = 8, ["0.09"] = 9, ["0.1"] = 10, ["0.055"] = 11, ["0.021"] = 12}
local CURRENCIES = {"EUR", "GBP", "USD", "SEK", "CHF", "PLN"} -- all of hundredths, like Khaos

baskets.codes = CODES

-- ---- a small generator of its own: the same seed gives the same orders everywhere ------------

local Random = {}
Random.__index = Random

function baskets.random(seed)
    return setmetatable({state = (seed * 2654435761 + 1) % 4294967296}, Random)
end

function Random:up_to(n)
    self.state = (self.state * 1664525 + 1013904223) % 4294967296
    return (self.state >> 8) % n + 1
end

function Random:chance(percent)
    return self:up_to(100) <= percent
end

function Random:pick(list)
    return list[self:up_to(#list)]
end

-- ---- profiles --------------------------------------------------------------------------------

-- What reductions become; the test reads the same words by itself (`becomes` of the mappings).
-- Amounts off are Cloud's alone.
local function choices(random)
    local is_cloud = random:chance(25)
    return {
        is_cloud = is_cloud,
        amount = is_cloud and random:pick({"value_discount", "price"}) or "price",
        voucher = is_cloud and random:pick({"value_discount", "price"}) or "price",
        membership = is_cloud and random:pick({"value_discount", "percent"}) or "percent",
        combo = random:pick({"pack", "price"}),
        configurable = random:chance(50) and "pack" or nil,
        bundle = random:pick({"pack", "price"}),
    }
end

local function promotions(becomes)
    local list = {
        {match = {category = "sale"}, becomes = "price"},
        {match = {category = "campaign"}, becomes = "percent"},
        {match = {category = "promotionCode"}, becomes = "keycode+percent"},
        {match = {category = "promotion", id = "free"}, becomes = "free_line",
            free_reason = "Promo"},
        {match = {category = "promotion", id = "percent"}, becomes = "percent"},
        {match = {category = "promotion", id = "amount"}, becomes = becomes.amount},
        {match = {category = "promotion", id = "deal"}, becomes = "price"},
        {match = {category = "promotion", id = "combo"}, becomes = becomes.combo,
            pack_code = becomes.combo == "pack" and "SET" or nil},
        {match = {category = "voucher", type = "relative"}, becomes = "percent"},
        {match = {category = "voucher", type = "absolute"}, becomes = becomes.voucher,
            split = "applicable"},
        {match = {category = "membership"}, becomes = becomes.membership, split = "all"},
        {match = {category = "free_shipping"}, becomes = "delivery"},
        {match = {category = "bundle"}, becomes = becomes.bundle},
    }
    if becomes.configurable then
        list[#list + 1] = {match = {category = "configurable"}, becomes = "pack"}
    end
    return list
end

local function tax_tables()
    local tables = {}
    for name, rates in pairs(RATES) do
        tables[name] = {}
        for _, rate in ipairs(rates) do
            tables[name][rate] = {code = CODES[rate]}
        end
    end
    return tables
end

local TAX = tax_tables()
local SHIPPING = {carriers = {POST = {courier_code = "P"}, VAN = {courier_code = "V"}}, fees = {
    {match = {category = "delivery"}, becomes = "delivery"},
    {match = {category = "payment"}, becomes = "line", stock_code = "FEE"},
}}
local PAYMENTS = {
    methods = {card = {type = 2, status = "paid"}, invoice = {type = 3, status = "account"}},
    gift_card = {type = 4, status = "paid"},
}

--- Mappings with one random profile for shop country 7.
---@param gross_rounding string what it declares of khaos 11.19
function baskets.mappings(random, gross_rounding)
    local tax = random:pick({"uk", "de", "ie", "fr"})
    local rounding = random:pick({0, 1, 5, 20})
    local becomes = choices(random)
    return {
        becomes = becomes,
        companies = {["7"] = {
            market = "Testland", currency = random:pick(CURRENCIES), company_class = "Web",
            tax = tax,
            calc = random:pick({"gross", "gross", "net"}),
            standard_rate = random:chance(70) and RATES[tax][1] or "0.2",
            non_standard_lines = random:pick({"net", "net", "gross"}),
            gross_rounding = gross_rounding,
            reduced_amounts = random:chance(90) and "percent" or "price",
            rounding_item = rounding > 0 and "ROUNDING" or nil,
            max_rounding_minor = rounding,
            sales_source = "Web", zone = "Europe/London", default_carrier = "POST",
        }},
        tax = TAX, shipping = SHIPPING, payments = PAYMENTS,
        promotions = promotions(becomes),
    }
end

-- ---- items -----------------------------------------------------------------------------------

local function vat_of(gross, rate)
    local thousandths = math.floor(rate * 1000 + 0.5)
    return gross - (gross * 2000 // (1000 + thousandths) + 1) // 2
end

local function price_of(paid, listed, rate, reductions)
    local vat = vat_of(paid, rate)
    return {
        withTax = paid, withoutTax = paid - vat, undiscountedWithTax = listed,
        tax = {vat = {amount = vat, rate = rate}}, appliedReductions = reductions,
    }
end

-- A relative voucher comes last, on every unit that costs something.
local function take_voucher(order, paid, reductions)
    local off = order.voucher_percent and mechanics.percent_of(paid, order.voucher_percent) or 0
    if off == 0 then
        return paid, reductions
    end
    local list = {table.unpack(reductions or {})}
    list[#list + 1] = mechanics.reduction("voucher", "relative", off, {code = "W5"})
    return paid - off, list
end

local function add_unit(order, about, unit)
    local paid, reductions = take_voucher(order, unit[1], unit[2])
    local item = {
        id = 900000 + #order.items, key = about.key, currency = order.currencyCode,
        status = "delegated", merchant = {referenceKey = "us"},
        variant = {referenceKey = about.sku}, product = {name = "Thing"},
        price = price_of(paid, unit[3] or about.listed, about.rate, reductions),
        itemGroup = about.group and {id = about.group, isMainItem = about.is_main} or nil,
    }
    order.items[#order.items + 1] = item
    return item
end

local function listed_price(random)
    local kind = random:up_to(100)
    if kind <= 48 then
        return random:up_to(200) * 100 - random:pick({1, 5, 0})
    elseif kind <= 96 then
        return random:up_to(20000)
    end
    return kind <= 98 and random:up_to(4) or random:up_to(900000)
end

local function quantity(random)
    local kind = random:up_to(2000)
    if kind <= 1840 then
        return random:up_to(3)
    end
    return kind < 2000 and random:up_to(40) or random:pick({100, 250, 1000})
end

local function add_line(random, order, rates)
    local line = #order.items
    local about = {sku = "SKU-" .. line, key = "bk" .. line, rate = tonumber(random:pick(rates)),
        listed = listed_price(random)}
    local units = random:pick(mechanics.list)(random, about.listed)
    for i = 1, math.max(quantity(random), random:chance(50) and #units or 1) do
        add_unit(order, about, units[(i - 1) % #units + 1])
    end
    if random:chance(3) then
        order.items[#order.items].merchantAdditionalData = {bundle = "B1"}
    end
end

-- Some sets of a product and its additions (configurable product): one item group each.
local function add_groups(random, order, rates)
    local line, rate = #order.items, tonumber(random:pick(rates))
    local main, more = listed_price(random), random:up_to(900)
    for set = 1, random:up_to(3) do
        local group = "grp-" .. line .. "-" .. set
        add_unit(order, {sku = "MAIN-" .. line, key = "bk" .. line .. set, rate = rate,
            listed = main, group = group, is_main = true}, {main})
        add_unit(order, {sku = "ADD-" .. line, key = "bx" .. line .. set, rate = rate,
            listed = more, group = group, is_main = false}, {more})
    end
end

-- One set or some of the same; one deal has sets of one size.
local function add_combo(random, order, rates)
    local line, listed = #order.items, {}
    for i = 1, random:up_to(2) + 1 do
        listed[i] = listed_price(random)
    end
    local units, about = mechanics.combo(random, listed), {}
    order.set_units = 0
    for i in ipairs(units) do
        order.set_units = order.set_units + (units[i][2] and 1 or 0)
        about[i] = {sku = "SET-" .. line .. i, key = "bk" .. line .. i, listed = listed[i],
            rate = tonumber(random:pick(rates))}
    end
    for _ = 1, random:pick({1, 1, 2, 3}) do
        for i, unit in ipairs(units) do
            add_unit(order, about[i], unit)
        end
    end
end

-- Prices from outside: no listed price, no reductions, no amount of tax.
local function add_external(random, order, rates)
    local line = #order.items
    local paid = listed_price(random)
    local item = add_unit(order, {sku = "EXT-" .. line, key = "bk" .. line, listed = paid,
        rate = tonumber(random:pick(rates))}, {paid})
    item.has_external_price = item.price.appliedReductions == nil
    if item.has_external_price then
        item.price = {withTax = paid, tax = {vat = {rate = item.price.tax.vat.rate}}}
    end
end

local function add_free(_, order, rates)
    local line = #order.items
    add_unit(order, {sku = "FREE-" .. line, key = "bk" .. line, rate = tonumber(rates[1]),
        listed = 990}, {0, {mechanics.reduction("promotion", "relative", 990, {id = "free"})}})
end

local function add_items(random, order, rates)
    if random:chance(1) then
        return add_free(random, order, rates)
    end
    for _ = 1, random:up_to(4) do
        local kind = random:up_to(100)
        if kind <= 6 then
            add_groups(random, order, rates)
        elseif kind <= 12 and not order.set_units then
            add_combo(random, order, rates)
        elseif kind <= 16 then
            add_external(random, order, rates)
        else
            add_line(random, order, rates)
        end
    end
end

-- ---- fees, reductions of the whole order, payments --------------------------------------------

local function fee(category, key, gross, rate, has_net)
    local vat = vat_of(gross, rate)
    return {category = category, key = key,
        amount = {withTax = gross, withoutTax = has_net and gross - vat or nil},
        tax = {vat = {amount = has_net and vat or nil, rate = rate}}}
end

local function add_fees(random, order, rates)
    local fees = order.cost.appliedFees
    local delivery = random:pick({0, 395, 495, 590, random:up_to(2000)})
    local rate = random:chance(60) and tonumber(rates[1]) or 0.173 -- blended of mixed baskets
    fees[1] = fee("delivery", "base", delivery, rate, true)
    if random:chance(10) then
        fees[#fees + 1] = fee("delivery", "express", random:up_to(900), rate, random:chance(50))
    end
    for _ = 1, random:chance(20) and random:up_to(2) or 0 do
        fees[#fees + 1] = fee("payment", "cod", random:up_to(300), tonumber(random:pick(rates)))
    end
    if random:chance(10) then
        order.shipping = {deliveryCosts = delivery, deliveryCostsWithoutDiscount = delivery + 495}
    end
end

local function sum_of(order)
    local sum = 0
    for _, item in ipairs(order.items) do
        sum = sum + item.price.withTax
    end
    return sum
end

-- Some basket lines of an absolute voucher that no unit shows, when they are worth it.
local function limit_voucher(random, order, off)
    local applied, items, sum = {}, {}, 0
    for _, item in ipairs(order.items) do
        if applied[item.key] == nil then
            applied[item.key] = random:chance(60)
            items[#items + 1] = {key = item.key, isApplied = applied[item.key]}
        end
        sum = sum + (applied[item.key] and item.price.withTax or 0)
    end
    if sum >= off then
        order.vouchers = {{code = "TEN", applicableItems = items}}
    end
end

-- An absolute voucher, on one unit or on the whole order; a membership discount on top sometimes.
-- Each is worth more than the pennies a fault shifts a total by, or another total check would hold.
local function add_order_level(random, order)
    local units, off = sum_of(order), 0
    if not order.voucher_percent and random:chance(20) and units > 20 then
        local item = random:pick(order.items)
        local is_shown = random:chance(60) and item.price.withTax > 20
        off = 9 + random:up_to((is_shown and item.price.withTax or units) - 9)
        order.cost.appliedReductions = {mechanics.reduction("voucher", "absolute", off,
            {code = "TEN"})}
        if is_shown then
            item.price.absoluteVoucherReducedPrice = {withTax = item.price.withTax - off}
        elseif random:chance(40) then
            limit_voucher(random, order, off)
        end
    end
    if random:chance(8) and units - off > 100 then
        local points = 9 + random:up_to(90)
        order.membershipDiscount = {reductionValue = points}
        off = off + points
    end
    return off
end

-- Up to three payments: gift card, on account, card.
local function add_payments(random, order, total)
    local left = total
    local function pay(key, amount, is_gift_card)
        if amount > 0 then
            order.payment[#order.payment + 1] = {key = key, amount = amount,
                isGiftCard = is_gift_card, transactionKey = "t" .. #order.payment}
            left = left - amount
        end
    end
    if random:chance(25) and left > 1 then
        pay("gc", random:up_to(left), true)
    end
    if random:chance(10) and left > 1 then
        pay("invoice", random:up_to(left), false)
    end
    pay("card", left, false)
end

local function add_delegation(random, order)
    local items = {}
    for i, item in ipairs(order.items) do
        items[i] = {orderItemId = item.id, tax = item.price.tax.vat.rate}
    end
    order.delegation = {orderId = order.id, items = items, cost = {withTax = order.cost.withTax},
        carrier = {key = random:pick({"POST", "VAN"})}}
end

-- VAT of the whole order by one of SCAYLE's two calculators (scayle 6.3).
local function order_vat(random, order)
    local by_line, exact = {}, 0
    for _, item in ipairs(order.items) do
        local rate = item.price.tax.vat.rate
        local key = item.key .. "/" .. rate
        by_line[key] = by_line[key] or {gross = 0, rate = rate}
        by_line[key].gross = by_line[key].gross + item.price.withTax
    end
    local rounded = 0
    for _, line in pairs(by_line) do
        exact = exact + line.gross * line.rate / (1 + line.rate)
        rounded = rounded + vat_of(line.gross, line.rate)
    end
    for _, entry in ipairs(order.cost.appliedFees) do
        local gross, rate = entry.amount.withTax, entry.tax.vat.rate
        exact = exact + gross * rate / (1 + rate)
        rounded = rounded + vat_of(gross, rate)
    end
    return random:chance(50) and rounded or math.floor(exact + 0.5)
end

local function place()
    return {street = "Row", houseNumber = "1", zipCode = "1", city = "Town", countryCode = "IRL",
        recipient = {firstName = "A", lastName = "B"}}
end

--- A random order for these mappings, and the causes it must be held for (empty: none), each with
--- its subjects. order.delegation is SCAYLE's delegation where there is one.
function baskets.order(random, mappings, id)
    local profile = mappings.companies["7"]
    local rates = RATES[profile.tax]
    local order = {
        id = id, publicKey = "P" .. id, currencyCode = profile.currency,
        status = "payment_reserved",
        confirmedAt = "2026-05-04T10:02:58+00:00", shopCountry = {id = 7, countryCode = "IE"},
        customer = {id = 5, email = "a@example.com"},
        address = {billing = place(), shipping = place()},
        cost = {appliedFees = {}}, items = {}, payment = {},
        voucher_percent = random:chance(12) and random:pick({5, 10, 15}) or nil,
    }
    add_items(random, order, rates)
    for _, rule in ipairs(mappings.promotions) do
        rule.pack_units = rule.becomes == "pack" and rule.pack_code and order.set_units or nil
    end
    add_fees(random, order, rates)
    local off = add_order_level(random, order)
    local total = sum_of(order) - off
    for _, entry in ipairs(order.cost.appliedFees) do
        total = total + entry.amount.withTax
    end
    order.cost.withTax = total
    order.cost.tax = {vat = {amount = order_vat(random, order)}}
    add_payments(random, order, total)
    if random:chance(30) then
        add_delegation(random, order)
    end
    return order, faults.add(random, order, mappings)
end

return baskets
