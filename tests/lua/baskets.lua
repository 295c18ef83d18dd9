-- Random SCAYLE orders and posting profiles for the property test of the mapper, from a seed. Some
-- orders carry faults on purpose; `expects` then names the causes they must be held for.
local baskets = {}

local RATES = {
    uk = {"0.2", "0.05", "0"},
    de = {"0.19", "0.07", "0"},
    ie = {"0.23", "0.135", "0.09", "0"},
}
local CODES = {["0.2"] = 1, ["0"] = 2, ["0.05"] = 4, ["0.19"] = 5, ["0.07"] = 6, ["0.23"] = 7,
    ["0.135"] = 8, ["0.09"] = 9}

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

local PROMOTIONS = {
    {match = {category = "sale"}, becomes = "price"},
    {match = {category = "campaign"}, becomes = "percent"},
    {match = {category = "promotionCode"}, becomes = "keycode+percent"},
    {match = {category = "promotion", id = "free"}, becomes = "free_line", free_reason = "Promo"},
    {match = {category = "promotion", id = "deal"}, becomes = "price"},
    {match = {category = "voucher", type = "relative"}, becomes = "percent"},
    {match = {category = "voucher", type = "absolute"}, becomes = "price", split = "applicable"},
    {match = {category = "membership"}, becomes = "percent", split = "all"},
}

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

--- Mappings with one random profile for shop country 7.
function baskets.mappings(random)
    local tax = random:pick({"uk", "de", "ie"})
    local rounding = random:pick({0, 1, 5, 20})
    return {
        companies = {["7"] = {
            market = "Testland", currency = "EUR", company_class = "Web", tax = tax,
            calc = random:pick({"gross", "gross", "net"}),
            standard_rate = random:chance(70) and RATES[tax][1] or "0.2",
            non_standard_lines = random:pick({"net", "net", "gross"}),
            net_price_decimals = random:pick({2, 4}),
            gross_rounding = random:pick({"stepwise", "end"}),
            reduced_amounts = random:chance(90) and "percent" or "price",
            rounding_item = rounding > 0 and "ROUNDING" or nil,
            max_rounding_minor = rounding,
            sales_source = "Web", zone = "Europe/London", default_carrier = "POST",
        }},
        tax = tax_tables(),
        shipping = {carriers = {POST = {courier_code = "P"}}, fees = {
            {match = {category = "delivery"}, becomes = "delivery"},
            {match = {category = "payment"}, becomes = "line", stock_code = "FEE"},
        }},
        payments = {methods = {card = {type = 2, status = "paid"}},
            gift_card = {type = 4, status = "paid"}},
        promotions = PROMOTIONS,
    }
end

-- ---- orders ----------------------------------------------------------------------------------

local function vat_of(gross, rate)
    return gross - (gross * 2 * 1000 // (1000 + rate * 1000 // 1) + 1) // 2
end

local function price_of(paid, listed, rate, reductions)
    local vat = math.tointeger(vat_of(paid, rate))
    return {
        withTax = paid, withoutTax = paid - vat, undiscountedWithTax = listed,
        tax = {vat = {amount = vat, rate = rate}}, appliedReductions = reductions,
    }
end

local function reduction(category, kind, amount, more)
    local entry = {category = category, type = kind, amount = {absoluteWithTax = amount}}
    for key, value in pairs(more or {}) do
        entry[key] = value
    end
    return entry
end

-- What the units of one basket line cost: a list of {paid, reductions}.
local MECHANICS = {
    function(_, listed)
        return {{listed}}
    end,
    function(random, listed)
        local off = listed * random:up_to(60) // 100
        return {{listed - off, {reduction("sale", "relative", off)}}}
    end,
    function(random, listed)
        local percent = random:pick({5, 10, 15, 20, 33})
        local off = (listed * percent + 50) // 100
        return {{listed - off, {reduction("campaign", "relative", off)}}}
    end,
    function(random, listed)
        local sale = listed * random:up_to(30) // 100
        local percent = random:pick({5, 10, 12})
        local off = ((listed - sale) * percent + 50) // 100
        local code = reduction("promotionCode", "relative", off, {code = "SPRING"})
        code.amount.relative = percent / 100
        return {{listed - sale - off, {reduction("sale", "relative", sale), code}}}
    end,
    function(_, listed)
        return {{listed}, {0, {reduction("promotion", "relative", listed, {id = "free"})}}}
    end,
    function(random, listed)
        local off = random:up_to(listed) - 1
        local half = off // 2
        return {
            {listed - half, {reduction("promotion", "absolute", half, {id = "deal"})}},
            {listed - off + half, {reduction("promotion", "absolute", off - half, {id = "deal"})}},
        }
    end,
    function(random, listed)
        local off = (listed * random:up_to(50) + 50) // 100
        return {{listed - off, {reduction("voucher", "relative", off, {code = "W5"})}}}
    end,
}

local function add_line(random, order, rates)
    local rate = tonumber(random:pick(rates))
    local listed = random:chance(50) and random:up_to(200) * 100 - random:pick({1, 5, 0})
        or random:up_to(20000)
    local quantity = random:chance(92) and random:up_to(3) or random:up_to(40)
    local units = random:pick(MECHANICS)(random, listed)
    local line = #order.items
    for i = 1, quantity do
        local unit = units[(i - 1) % #units + 1]
        order.items[#order.items + 1] = {
            id = 900000 + #order.items, key = "bk" .. line, currency = "EUR", status = "delegated",
            merchant = {referenceKey = "us"}, variant = {referenceKey = "SKU-" .. line},
            product = {name = "Thing " .. line},
            price = price_of(unit[1], listed, rate, unit[2]),
        }
    end
end

local function add_fees(random, order, rates)
    local fees = order.cost.appliedFees
    local delivery = random:pick({0, 395, 495, 590, random:up_to(2000)})
    local rate = random:chance(60) and tonumber(rates[1]) or 0.173
    local vat = math.tointeger(vat_of(delivery, rate))
    fees[1] = {category = "delivery", key = "base", amount = {withTax = delivery,
        withoutTax = delivery - vat}, tax = {vat = {amount = vat, rate = rate}}}
    if random:chance(20) then
        local amount = random:up_to(300)
        fees[2] = {category = "payment", key = "cod", amount = {withTax = amount},
            tax = {vat = {rate = tonumber(random:pick(rates))}}}
    end
end

local function sum_of(order)
    local sum = 0
    for _, item in ipairs(order.items) do
        sum = sum + item.price.withTax
    end
    return sum
end

-- An absolute voucher, on one unit or on the whole order; a membership discount on top sometimes.
-- Each is worth more than the pennies a fault shifts a total by, or another total check would hold.
local function add_order_level(random, order)
    local units, off = sum_of(order), 0
    if random:chance(20) and units > 20 then
        local item = random:pick(order.items)
        local is_shown = random:chance(60) and item.price.withTax > 20
        off = 9 + random:up_to((is_shown and item.price.withTax or units) - 9)
        order.cost.appliedReductions = {reduction("voucher", "absolute", off, {code = "TEN"})}
        if is_shown then
            item.price.absoluteVoucherReducedPrice = {withTax = item.price.withTax - off}
        end
    end
    if random:chance(8) and units - off > 100 then
        local points = 9 + random:up_to(90)
        order.membershipDiscount = {reductionValue = points}
        off = off + points
    end
    return off
end

local function add_payments(random, order, total)
    if total == 0 then
        return
    end
    local gift = random:chance(25) and random:up_to(total) - 1 or 0
    if gift > 0 then
        order.payment[1] = {key = "gc", amount = gift, isGiftCard = true, transactionKey = "g"}
    end
    order.payment[#order.payment + 1] = {key = "card", amount = total - gift, isGiftCard = false,
        transactionKey = "t"}
end

local function place()
    return {street = "Row", houseNumber = "1", zipCode = "1", city = "Town", countryCode = "IRL",
        recipient = {firstName = "A", lastName = "B"}}
end

-- Each fault, and the cause it must bring.
local FAULTS = {
    {"unknown_stock_code", function(order)
        order.items[1].variant.referenceKey = "GONE"
    end},
    {"unmapped_tax", function(order)
        order.items[1].price.tax.vat = {rate = 0.31}
    end},
    {"unmapped_promotion", function(order)
        order.items[1].price.undiscountedWithTax = order.items[1].price.undiscountedWithTax + 5
    end},
    {"totals_do_not_tie", function(order)
        order.cost.withTax = order.cost.withTax + 1
        order.payment[#order.payment + 1] = {key = "card", amount = 1}
    end},
    {"totals_do_not_tie", function(order)
        order.payment[#order.payment + 1] = {key = "card", amount = 1}
    end},
    {"unmapped_payment", function(order)
        order.payment[#order.payment].key = "shells"
        order.payment[#order.payment].isGiftCard = false
    end, function(order)
        return #order.payment > 0
    end},
    {"unmapped_fee", function(order)
        table.insert(order.cost.appliedFees, {category = "odd", key = "x",
            amount = {withTax = 100}})
        order.cost.withTax = order.cost.withTax + 100
        order.payment[#order.payment + 1] = {key = "card", amount = 100}
    end},
    {"field_too_long", function(order)
        order.address.shipping.city = string.rep("x", 36)
    end},
    {"order_already_processed", function(order)
        order.items[#order.items].status = "shipped"
    end},
    {"unmapped_market", function(order)
        order.currencyCode = "USD"
    end},
}

local function add_faults(random, order)
    local expects = {}
    for _ = 1, random:chance(85) and 0 or random:up_to(3) do
        local fault = random:pick(FAULTS)
        if not fault[3] or fault[3](order) then
            fault[2](order)
            expects[fault[1]] = true
        end
    end
    return expects
end

--- A random order for these mappings, and the set of causes it must be held for (empty: none).
function baskets.order(random, mappings, id)
    local rates = RATES[mappings.companies["7"].tax]
    local order = {
        id = id, publicKey = "P" .. id, currencyCode = "EUR", status = "payment_reserved",
        confirmedAt = "2026-05-04T10:02:58+00:00", shopCountry = {id = 7, countryCode = "IE"},
        customer = {id = 5, email = "a@example.com"},
        address = {billing = place(), shipping = place()},
        cost = {appliedFees = {}}, items = {}, payment = {},
    }
    for _ = 1, random:up_to(4) do
        add_line(random, order, rates)
    end
    add_fees(random, order, rates)
    local off = add_order_level(random, order)
    local total = sum_of(order) - off
    for _, fee in ipairs(order.cost.appliedFees) do
        total = total + fee.amount.withTax
    end
    order.cost.withTax = total
    add_payments(random, order, total)
    return order, add_faults(random, order)
end

return baskets
