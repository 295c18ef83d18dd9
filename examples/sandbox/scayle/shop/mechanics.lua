--- More kinds of invented orders: the price mechanics that stack, spread or make sets (contract 6).

local catalogue = require("shop.catalogue")
local pricing = require("shop.pricing")

local CAP_THREE = "6650c100c2d04e7b9a550931"
local SOCK_HALF = "6650c100c2d04e7b9a550941"
local DAY_KIT = "6650c100c2d04e7b9a550921"
local BANK_HOLIDAY = "6650c100c2d04e7b9a550901"
local BOTTLE_DEAL = "6650c100c2d04e7b9a550911"
local SPRING = "6631c0d9c2d04e7b9a550377"
local DAY_KIT_PRICE = 12900
local TIERS = {{mov = 20000, percent = 15}, {mov = 10000, percent = 10}, {mov = 0, percent = 5}}

local function sum_of(units)
    local sum = 0
    for _, unit in ipairs(units) do
        sum = sum + unit.gross
    end
    return sum
end

---@param tools table new_basket, add, add_some, reduce, standard (codes)
---@return table<string, fun(r: sandbox.Random): table>
return function(tools)
    local add, add_some, reduce = tools.add, tools.add_some, tools.reduce
    local kinds = {}

    -- Percentages count from what is left, amounts come last (contract 6.1).
    local function percent_off(unit, percent, words)
        words.type, words.relative = "relative", percent / 100
        reduce(unit, pricing.percent(pricing.paid(unit), percent), words)
    end

    -- The tier's percentage; no tier is named on the order.
    function kinds.tiered(r)
        local basket = tools.new_basket(r, "GB")
        add_some(basket, tools.standard, 3)
        local sum = sum_of(basket.units)
        for _, tier in ipairs(TIERS) do
            if sum >= tier.mov then
                for _, unit in ipairs(basket.units) do
                    percent_off(unit, tier.percent, {id = SPRING, category = "promotionCode",
                        code = "SPRING26", displayName = "Spend more, save more"})
                end
                break
            end
        end
        return basket
    end

    -- Two pairs of socks, the third at half price: the reduction is on the third alone.
    function kinds.buy_x_get_y_half(r)
        local basket = tools.new_basket(r, "GB")
        local units = add(basket, "FO-SCK-0007-L", 3)
        percent_off(units[3], 50, {id = SOCK_HALF, category = "promotion",
            displayName = "Third pair half price"})
        return basket
    end

    -- Three for two over different products, the cheapest free, spread over all three.
    function kinds.buy_x_get_y_cheapest(r)
        local basket = tools.new_basket(r, "GB")
        local units = {add(basket, "FO-CAP-0311", 1)[1], add(basket, "FO-SCK-0007-L", 1)[1],
            add(basket, "FO-BTL-0750-GRN", 1)[1]}
        local parts = pricing.split(units[2].gross,
            {units[1].gross, units[2].gross, units[3].gross})
        for i, unit in ipairs(units) do
            reduce(unit, parts[i], {id = CAP_THREE, category = "promotion", type = "absolute",
                displayName = "Three for two"})
        end
        return basket
    end

    -- Jacket and bottle for one price, one set or two; a client may show them as a pack.
    function kinds.combo_pack(r)
        local basket = tools.new_basket(r, "GB")
        local sets = r:integer(1, 2)
        local jackets = add(basket, "FO-JKT-1042-M", sets)
        local bottles = add(basket, "FO-BTL-0750-GRN", sets)
        for i = 1, sets do
            local pair = {jackets[i], bottles[i]}
            local weights = {pair[1].gross, pair[2].gross}
            local parts = pricing.split(weights[1] + weights[2] - DAY_KIT_PRICE, weights)
            for j, unit in ipairs(pair) do
                reduce(unit, parts[j], {id = DAY_KIT, category = "promotion", type = "absolute",
                    displayName = "Day walk set for 129.00"})
            end
        end
        return basket
    end

    -- A composite product: the bundle's own SKU, with bundle information.
    function kinds.bundle(r)
        local basket = tools.new_basket(r, "GB")
        for _, unit in ipairs(add(basket, "FO-KIT-DAY", r:integer(1, 2))) do
            unit.bundle = {bundleVariantId = catalogue.variant("FO-KIT-DAY").id}
        end
        return basket
    end

    function kinds.membership(r)
        local basket = tools.new_basket(r, "GB")
        add_some(basket, tools.standard, 2)
        basket.membership = 250 + r:integer(0, 249)
        return basket
    end

    -- An absolute voucher that only the order shows.
    function kinds.voucher_spread(r)
        local basket = tools.new_basket(r, "GB")
        add_some(basket, tools.standard, 3)
        basket.voucher = {amount = 500, code = "SPREAD5"}
        basket.voucher_entry = {id = 7714, voucherId = 3303, code = "SPREAD5", type = "absolute",
            value = 500, applies_to_all = true}
        return basket
    end

    local function sale_and_campaign(unit)
        percent_off(unit, 20, {category = "sale"})
        percent_off(unit, 10, {category = "campaign"})
    end

    -- Everything a unit can carry, and a gift card.
    function kinds.stacked(r)
        local basket = tools.new_basket(r, "GB")
        add_some(basket, tools.standard, 2)
        for _, unit in ipairs(basket.units) do
            sale_and_campaign(unit)
            percent_off(unit, 20, {id = BANK_HOLIDAY, category = "promotion",
                displayName = "Bank holiday"})
            percent_off(unit, 15, {id = SPRING, category = "promotionCode", code = "SPRING26",
                displayName = "Spend more, save more"})
            percent_off(unit, 5, {category = "voucher", code = "WELCOME5"})
        end
        basket.voucher_entry = {id = 7713, voucherId = 3302, code = "WELCOME5", type = "relative",
            value = 500}
        basket.free_shipping = true
        basket.gift_card = 100
        return basket
    end

    -- Amounts on top of percentages, an absolute voucher on one unit, membership, a gift card.
    function kinds.stacked_amounts(r)
        local basket = tools.new_basket(r, "GB")
        for _, unit in ipairs(add(basket, "FO-BTL-0750-GRN", r:integer(2, 3))) do
            sale_and_campaign(unit)
            reduce(unit, 500, {id = BOTTLE_DEAL, category = "promotion", type = "absolute",
                displayName = "5.00 off bottles"})
        end
        basket.units[1].voucher = 1000
        basket.voucher = {amount = 1000, code = "SORRY10"}
        basket.voucher_entry = {id = 7712, voucherId = 3301, code = "SORRY10", type = "absolute",
            value = 1000}
        basket.membership = 300
        basket.gift_card = 500
        return basket
    end

    return kinds
end
