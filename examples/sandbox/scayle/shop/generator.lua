--- Invents orders of many kinds, with random quantities and money that ties, and says what is to
--- become of each: "posted", or "held:" and the cause.

local catalogue = require("shop.catalogue")
local mechanics = require("shop.mechanics")
local people = require("shop.people")
local pricing = require("shop.pricing")
local random = require("lib.sandbox.random")

local generator = {}

local BOGOF = "6630fa11c2d04e7b9a5501d2"
local CAPS = "6630fb77c2d04e7b9a550210"
local SPRING = "6631c0d9c2d04e7b9a550377"
local COMBO = "6640aa02c2d04e7b9a5506f1"
local BANK_HOLIDAY = "6650c100c2d04e7b9a550901"
local BOTTLE_DEAL = "6650c100c2d04e7b9a550911"
local COMBO_PRICE = 13900
local STANDARD_DELIVERY = {GBP = 495, EUR = 590, CHF = 900}
local EXPRESS_DELIVERY = {GBP = 795, EUR = 1190, CHF = 1500}
local MARKETS = {
    GB = {id = "1412", carrier = "DPD_UK"},
    DE = {id = "1415", carrier = "DHL_DE"},
    IE = {id = "1421", carrier = "DPD_UK"},
    CH = {id = "1430", carrier = "DPD_UK"},
}
local PAYMENTS = {"adyen_creditcard", "adyen_creditcard", "paypal", "klarna"}

local function rate_of(variant, country)
    if country == "IE" then
        return 0
    end
    return country == "GB" and variant.gb_rate or variant.de_rate
end

local function new_basket(r, country)
    local market = MARKETS[country]
    local shop_country = catalogue.country("fo", market.id)
    return {
        random = r,
        country = country,
        shop_country = shop_country,
        currency = shop_country.currencyCode,
        carrier = market.carrier,
        policy = "standard",
        units = {},
        fees = {},
        payment = r:pick(PAYMENTS),
        expect = "posted",
    }
end

-- Adds units of one SKU; they share the basket line's key.
local function add(basket, sku, count)
    local variant = catalogue.variant(sku)
    local key = ("bk%08x"):format(basket.random:integer(0, 0xFFFFFFFF))
    local added = {}
    for i = 1, count do
        local unit = {
            variant = variant,
            gross = basket.currency == "GBP" and variant.gbp or variant.eur,
            rate = rate_of(variant, basket.country),
            key = key,
            reductions = {},
        }
        basket.units[#basket.units + 1] = unit
        added[i] = unit
    end
    return added
end

local function add_some(basket, skus, lines)
    local first = basket.random:integer(1, #skus)
    for i = 0, lines - 1 do
        add(basket, skus[(first + i - 1) % #skus + 1], basket.random:integer(1, 3))
    end
end

local STANDARD = {"FO-SCK-0007-L", "FO-JKT-1042-M", "FO-BTL-0750-GRN", "FO-CAP-0311",
    "FO-GIL-2201-S"}
local MIXED = {"FO-MAP-LAKES", "FO-SCK-0007-L", "FO-BAR-0012", "FO-CAP-0311", "FO-BTL-0750-GRN"}

local function reduce(unit, amount, words)
    words.amount = {absoluteWithTax = amount, relative = words.relative}
    words.relative = nil
    unit.reductions[#unit.reductions + 1] = words
end

local function add_delivery(basket)
    local express = basket.policy == "express"
    local gross = (express and EXPRESS_DELIVERY or STANDARD_DELIVERY)[basket.currency]
    basket.delivery_full = gross
    if basket.free_shipping then
        gross = 0
    end
    table.insert(basket.fees, 1, {
        category = "delivery",
        key = express and "express_shipping_service_cost" or "base_shipping_service_cost",
        option = "deliveryCosts",
        gross = gross,
        rate = pricing.blended_rate(basket.units),
    })
end

local KINDS = {}

function KINDS.plain(r)
    local basket = new_basket(r, "GB")
    add(basket, r:pick(STANDARD), 1)
    return basket
end

function KINDS.multi_unit(r)
    local basket = new_basket(r, "GB")
    add_some(basket, STANDARD, 3)
    return basket
end

function KINDS.express(r)
    local basket = new_basket(r, "GB")
    basket.policy = "express"
    add_some(basket, STANDARD, 2)
    return basket
end

function KINDS.mixed_vat(r)
    local basket = new_basket(r, "GB")
    add(basket, "FO-MAP-LAKES", r:integer(1, 2))
    add(basket, "FO-BAR-0012", r:integer(1, 3))
    add(basket, "FO-SCK-0007-L", r:integer(1, 3))
    return basket
end

function KINDS.sale(r)
    local basket = new_basket(r, "GB")
    add_some(basket, STANDARD, 2)
    for _, unit in ipairs(basket.units) do
        local percent = 20
        reduce(unit, pricing.percent(unit.gross, percent), {
            category = "sale",
            type = "relative",
            relative = percent / 100,
        })
    end
    return basket
end

function KINDS.percentage(r)
    local basket = new_basket(r, "GB")
    add_some(basket, STANDARD, 2)
    local percent = r:pick({5, 10, 15})
    for _, unit in ipairs(basket.units) do
        reduce(unit, pricing.percent(unit.gross, percent), {
            category = "campaign",
            type = "relative",
            relative = percent / 100,
        })
    end
    return basket
end

function KINDS.promotion_code(r)
    local basket = new_basket(r, "GB")
    add_some(basket, STANDARD, 3)
    for _, unit in ipairs(basket.units) do
        reduce(unit, pricing.percent(unit.gross, 15), {
            id = SPRING,
            category = "promotionCode",
            type = "relative",
            relative = 0.15,
            code = "SPRING26",
            displayName = "Spend more, save more",
        })
    end
    return basket
end

local function promote(units, words)
    for _, unit in ipairs(units) do
        local amount = words.off or pricing.percent(unit.gross, words.percent)
        reduce(unit, amount, {
            id = words.id,
            category = "promotion",
            type = words.off and "absolute" or "relative",
            relative = words.percent and words.percent / 100,
            displayName = words.name,
        })
    end
end

function KINDS.promotion_percent(r)
    local basket = new_basket(r, "GB")
    add_some(basket, STANDARD, 2)
    promote(basket.units, {id = BANK_HOLIDAY, percent = 20, name = "Bank holiday"})
    return basket
end

function KINDS.promotion_amount(r)
    local basket = new_basket(r, "GB")
    promote(add(basket, "FO-BTL-0750-GRN", r:integer(1, 3)), {
        id = BOTTLE_DEAL,
        off = 500,
        name = "5.00 off bottles",
    })
    return basket
end

-- Jacket and bottle for a fixed price: the absolute promotion.
function KINDS.absolute(r)
    local basket = new_basket(r, "GB")
    local pair = {add(basket, "FO-JKT-1042-M", 1)[1], add(basket, "FO-BTL-0750-GRN", 1)[1]}
    local weights = {pair[1].gross, pair[2].gross}
    local parts = pricing.split(weights[1] + weights[2] - COMBO_PRICE, weights)
    for i, unit in ipairs(pair) do
        reduce(unit, parts[i], {
            id = COMBO,
            category = "promotion",
            type = "absolute",
            displayName = "Jacket + bottle for 139.00",
        })
    end
    return basket
end

function KINDS.relative_voucher(r)
    local basket = new_basket(r, "GB")
    add_some(basket, STANDARD, 2)
    for _, unit in ipairs(basket.units) do
        reduce(unit, pricing.percent(unit.gross, 5), {
            category = "voucher",
            type = "relative",
            relative = 0.05,
            code = "WELCOME5",
        })
    end
    basket.voucher_entry = {id = 7713, voucherId = 3302, code = "WELCOME5", type = "relative",
        value = 500}
    return basket
end

function KINDS.voucher(r)
    local basket = new_basket(r, "GB")
    add(basket, "FO-JKT-1042-M", 1)
    add_some(basket, {"FO-SCK-0007-L", "FO-CAP-0311"}, 1)
    basket.units[1].voucher = 1000
    basket.voucher = {amount = 1000, code = "SORRY10"}
    basket.voucher_entry = {id = 7712, voucherId = 3301, code = "SORRY10", type = "absolute",
        value = 1000}
    return basket
end

function KINDS.gift_card(r)
    local basket = new_basket(r, "GB")
    add_some(basket, STANDARD, 2)
    basket.gift_card = 1000
    return basket
end

function KINDS.free_shipping(r)
    local basket = new_basket(r, "GB")
    add_some(basket, STANDARD, 3)
    basket.free_shipping = true
    return basket
end

function KINDS.fee(r)
    local basket = new_basket(r, "GB")
    add_some(basket, STANDARD, 1)
    basket.fees[1] = {category = "additional", key = "gift_wrap", gross = 350, rate = 200}
    basket.fees[2] = {category = "payment", key = "base_payment_service_cost", gross = 200,
        rate = 200}
    return basket
end

function KINDS.guest(r)
    local basket = new_basket(r, "GB")
    basket.is_guest = true
    add_some(basket, MIXED, 2)
    return basket
end

function KINDS.collection_point(r)
    local basket = new_basket(r, "DE")
    add_some(basket, STANDARD, 2)
    basket.collection_point = {
        customerKey = ("%09d"):format(r:integer(800000000, 899999999)),
        description = "Packstation 118",
        key = "118",
        type = "dhl_packstation",
    }
    return basket
end

function KINDS.eur(r)
    local basket = new_basket(r, "DE")
    add_some(basket, STANDARD, 2)
    return basket
end

function KINDS.eur_mixed_vat(r)
    local basket = new_basket(r, "DE")
    add(basket, "FO-GIL-2201-S", 1)
    add(basket, "FO-MAP-LAKES", r:integer(1, 2))
    return basket
end

function KINDS.zero_rated_export(r)
    local basket = new_basket(r, "IE")
    add_some(basket, STANDARD, 2)
    return basket
end

function KINDS.bogof(r)
    local basket = new_basket(r, "GB")
    local pair = add(basket, "FO-BTL-0750-GRN", 2)
    local name = "Buy one bottle, get one free"
    reduce(pair[2], pair[2].gross, {
        id = BOGOF,
        category = "promotion",
        type = "relative",
        relative = 1.0,
        displayName = name,
    })
    for _, unit in ipairs(pair) do
        unit.promotions = {{id = BOGOF, name = "BOGOF bottles", displayName = name}}
    end
    add(basket, "FO-MAP-LAKES", r:integer(1, 2))
    return basket
end

function KINDS.bogof_pro_rata(r)
    local basket = new_basket(r, "GB")
    local pair = add(basket, "FO-CAP-0311", 2)
    for i, part in ipairs(pricing.split(pair[1].gross, {1, 1})) do
        reduce(pair[i], part, {
            id = CAPS,
            category = "promotion",
            type = "relative",
            displayName = "2 for 1 caps",
        })
    end
    return basket
end

function KINDS.external_prices(r)
    local basket = new_basket(r, "GB")
    add(basket, "FO-JKT-1042-M", 1)
    basket.units[1].gross = 12000 + r:integer(0, 99) * 5
    basket.external = true
    basket.payment = "adyen_creditcard"
    return basket
end

function KINDS.configurable(r)
    local basket = new_basket(r, "GB")
    local main = add(basket, "FO-JKT-1042-M", 1)[1]
    local part = add(basket, "FO-EMB-NAME", 1)[1]
    local group = ("grp-%x"):format(r:integer(0x100, 0xFFF))
    main.group = {id = group, isMainItem = true, isRequired = true}
    part.group = {id = group, isMainItem = false, isRequired = false}
    return basket
end

for name, make in pairs(mechanics({new_basket = new_basket, add = add, add_some = add_some,
    reduce = reduce, standard = STANDARD})) do
    KINDS[name] = make
end

local HELD = {}

function HELD.unknown_sku(r)
    local basket = KINDS.multi_unit(r)
    local sku = ("FO-NEW-%04d"):format(r:integer(1, 9999))
    basket.units[1].variant = {sku = sku, id = 990001, product_id = 990, name = "New arrival"}
    basket.units[1].key = "bknew" .. sku
    basket.missing_sku = sku
    basket.expect = "held:unknown_stock_code"
    return basket
end

function HELD.unmapped_tax(r)
    local basket = KINDS.plain(r)
    basket.units[1].rate = 130
    basket.expect = "held:unmapped_tax"
    return basket
end

function HELD.undeclared_promotion(r)
    local basket = KINDS.multi_unit(r)
    reduce(basket.units[1], 100, {
        id = "66ffffffc2d04e7b9a55ffff",
        category = "promotion",
        type = "absolute",
        displayName = "Mystery deal",
    })
    basket.expect = "held:unmapped_promotion"
    return basket
end

function HELD.totals_do_not_tie(r)
    local basket = KINDS.multi_unit(r)
    basket.total_error = r:pick({-1, 1, 100})
    basket.expect = "held:totals_do_not_tie"
    return basket
end

function HELD.unmapped_payment(r)
    local basket = KINDS.plain(r)
    basket.payment = "sofort"
    basket.expect = "held:unmapped_payment"
    return basket
end

function HELD.unmapped_carrier(r)
    local basket = KINDS.plain(r)
    basket.carrier = "OWL_POST"
    basket.expect = "held:unmapped_shipping"
    return basket
end

function HELD.unmapped_market(r)
    local basket = new_basket(r, "CH")
    add_some(basket, STANDARD, 1)
    basket.expect = "held:unmapped_market"
    return basket
end

local function names(list)
    local sorted = {}
    for name in pairs(list) do
        sorted[#sorted + 1] = name
    end
    table.sort(sorted)
    return sorted
end

--- All kinds, good ones first.
---@return string[] good
---@return string[] held
function generator.kinds()
    return names(KINDS), names(HELD)
end

local function payments_of(basket, total)
    local number = basket.random:integer(100000, 999999)
    local list = {}
    if basket.gift_card then
        list[1] = {
            amount = basket.gift_card,
            key = "gift_card",
            transactionKey = ("gc-%d"):format(number),
            isGiftCard = true,
        }
    end
    list[#list + 1] = {
        amount = total - (basket.gift_card or 0),
        key = basket.payment,
        transactionKey = ("psp-%d"):format(number),
        isGiftCard = false,
    }
    return list
end

local function shipping_of(basket)
    local shipping = {policy = basket.policy}
    if basket.external then
        return shipping
    end
    local paid = basket.fees[1].gross
    local kind = basket.policy == "express" and "expressDeliveryCosts" or "deliveryCosts"
    local other = basket.policy == "express" and "deliveryCosts" or "expressDeliveryCosts"
    shipping[kind], shipping[kind .. "WithoutDiscount"] = paid, basket.delivery_full
    shipping[other], shipping[other .. "WithoutDiscount"] = 0, 0
    return shipping
end

local function vouchers_of(basket)
    local entry = basket.voucher_entry
    if not entry then
        return nil
    end
    local seen, applicable = {}, {}
    for _, unit in ipairs(basket.units) do
        if not seen[unit.key] then
            seen[unit.key] = true
            local is_applied = entry.type == "relative" or entry.applies_to_all
                or unit.voucher ~= nil
            applicable[#applicable + 1] = {key = unit.key, isApplied = is_applied}
        end
    end
    entry.applicableItems = applicable
    entry.applies_to_all = nil
    return {entry}
end

local function order_of(basket)
    local customer, address = people.pick(basket.random, basket.country, basket.is_guest)
    if basket.collection_point then
        address.shipping.street = "Packstation"
        address.shipping.houseNumber = basket.collection_point.key
        address.shipping.additional = nil
        address.shipping.collectionPoint = basket.collection_point
    end
    local cost = pricing.cost(basket)
    if basket.total_error then
        cost.withTax = cost.withTax + basket.total_error
        cost.costCapture = cost.costCapture + basket.total_error
    end
    local order = {
        currencyCode = basket.currency,
        shopCountry = basket.shop_country,
        customer = customer,
        address = address,
        cost = cost,
        items = pricing.items(basket),
        shipping = shipping_of(basket),
        payment = payments_of(basket, cost.withTax),
        vouchers = vouchers_of(basket),
        membershipDiscount = basket.membership and {membershipCardId = "M-1",
            pointsUsed = basket.membership, reductionValue = basket.membership} or nil,
    }
    if basket.external then
        order.channel = {id = 9, key = "marketplace_uk", name = "UK marketplace",
            type = "marketplace"}
    end
    return order
end

--- One order of a kind; the same kind and random stream give the same order.
---@param kind string
---@param r sandbox.Random
---@return table|nil order without ids and dates
---@return table|string facts {kind, expect, carrier, missing_sku}, or the problem
function generator.order(kind, r)
    local make = KINDS[kind] or HELD[kind]
    if not make then
        return nil, "unknown kind " .. tostring(kind)
    end
    local basket = make(r)
    if not basket.external then
        add_delivery(basket)
    end
    local facts = {
        kind = kind,
        expect = basket.expect,
        carrier = basket.carrier,
        missing_sku = basket.missing_sku,
    }
    return order_of(basket), facts
end

-- Three good kinds, then one that must be held, and so on.
local function interleaved()
    local good, held = generator.kinds()
    local all = {}
    local next_held = 1
    for i, name in ipairs(good) do
        all[#all + 1] = name
        if i % 3 == 0 and held[next_held] then
            all[#all + 1] = held[next_held]
            next_held = next_held + 1
        end
    end
    return all, good
end

--- Which kinds a scenario plays: every kind once before any twice, shuffled.
---@param seed integer
---@param count integer
---@return string[]
function generator.plan(seed, count)
    local r = random.new(seed)
    local all, good = interleaved()
    local list = {}
    for i = 1, count do
        list[i] = i <= #all and all[i] or r:pick(good)
    end
    for i = #list, 2, -1 do
        local j = r:integer(1, i)
        list[i], list[j] = list[j], list[i]
    end
    return list
end

return generator
