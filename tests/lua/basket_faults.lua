-- Faults put into random baskets, with the cause and subject that each must be held for.
local faults = {}

local ABSURD = 9007199254740991

local function id_of(order, more)
    return order.id .. (more or "")
end

local function first_price(order)
    return order.items[1].price
end

local function more_paid(order, amount)
    order.payment[#order.payment + 1] = {key = "card", amount = amount}
end

local function has_payment(order)
    return #order.payment > 0
end

local function has_more_items(order)
    return #order.items > 1
end

-- cause, what is done to the order (it returns the subjects), what it touches (each thing is broken
-- in one way only, or one fault would hide the other), whether it can be
local LIST = {
    {"unknown_stock_code", "first sku", function(order)
        order.items[1].variant.referenceKey = "GONE"
        return "GONE"
    end},
    {"unknown_stock_code", "last sku", function(order)
        local item = order.items[#order.items]
        item.variant.referenceKey = nil
        return "item " .. item.id
    end, has_more_items},
    {"unmapped_tax", "first rate", function(order, mappings)
        first_price(order).tax.vat = {rate = 0.31}
        return mappings.companies["7"].tax .. " 0.31"
    end},
    {"unmapped_tax", "first rate", function(order)
        first_price(order).tax = {vat = {}}
        return "item " .. order.items[1].id
    end, function(order)
        return order.delegation == nil
    end},
    {"unmapped_tax", "last vat", function(order)
        local item = order.items[#order.items]
        local vat = item.price.tax.vat
        vat.amount = (vat.amount or 0) + item.price.withTax + 3
        return "item " .. item.id
    end, has_more_items},
    {"unmapped_promotion", "first price", function(order)
        local price = first_price(order)
        price.undiscountedWithTax = (price.undiscountedWithTax or price.withTax) + 5
        return "unexplained"
    end, function(order)
        return not order.items[1].has_external_price
    end},
    {"unmapped_promotion", "promotion", function(order)
        order.promotion = {{id = "secret", displayName = "Nobody declared this"}}
        return "promotion secret"
    end},
    {"totals_do_not_tie", "total", function(order)
        order.cost.withTax = order.cost.withTax + 1
        more_paid(order, 1)
        return id_of(order)
    end},
    {"totals_do_not_tie", "total", function(order)
        order.cost.withTax = ABSURD
        return id_of(order), id_of(order, " payments")
    end},
    {"totals_do_not_tie", "payments", function(order)
        order.payment[1].amount = ABSURD
        return id_of(order, " payments")
    end, has_payment},
    {"totals_do_not_tie", "reductions", function(order)
        order.cost.appliedReductions = order.cost.appliedReductions or {}
        table.insert(order.cost.appliedReductions, {category = "voucher", type = "absolute",
            code = "ODD", amount = {absoluteWithTax = -700}})
        return id_of(order)
    end},
    {"totals_do_not_tie", "membership", function(order)
        order.membershipDiscount = {reductionValue = -700}
        return id_of(order)
    end},
    {"unmapped_fee", "negative fee", function(order)
        for _, amount in ipairs({100, -100}) do
            table.insert(order.cost.appliedFees, {category = "delivery", key = "odd" .. amount,
                amount = {withTax = amount, withoutTax = amount}})
        end
        return "delivery/odd-100"
    end},
    {"totals_do_not_tie", "payments", function(order)
        more_paid(order, 1)
        return id_of(order, " payments")
    end},
    {"totals_do_not_tie", "payments", function(order)
        order.payment[1].amount = -order.payment[1].amount
        return id_of(order, " payments")
    end, has_payment},
    {"totals_do_not_tie", "first price", function(order)
        first_price(order).withTax = -500
        return id_of(order)
    end},
    {"totals_do_not_tie", "first price", function(order)
        first_price(order).withTax = first_price(order).withTax + 0.5
        return id_of(order)
    end},
    {"totals_do_not_tie", "first price", function(order)
        first_price(order).withTax = ABSURD
        return id_of(order)
    end},
    {"totals_do_not_tie", "date", function(order)
        order.confirmedAt = "yesterday"
        return id_of(order, " date")
    end},
    {"unmapped_payment", "payments", function(order)
        order.payment[#order.payment].key = "shells"
        order.payment[#order.payment].isGiftCard = false
        return "shells"
    end, function(order)
        return #order.payment > 0 and order.payment[#order.payment].amount > 0
    end},
    {"unmapped_fee", "fees", function(order)
        table.insert(order.cost.appliedFees, {category = "odd", key = "x",
            amount = {withTax = 100}})
        order.cost.withTax = order.cost.withTax + 100
        if order.delegation then
            order.delegation.cost.withTax = order.cost.withTax
        end
        more_paid(order, 100)
        return "odd/x"
    end},
    {"unmapped_shipping", "carrier", function(order)
        order.delegation.carrier.key = "PIGEON"
        return "PIGEON"
    end, function(order)
        return order.delegation ~= nil
    end},
    {"field_too_long", "town", function(order)
        order.address.shipping.city = string.rep("x", 36)
        return id_of(order, " delivery town")
    end},
    {"order_already_processed", "status", function(order)
        order.items[#order.items].status = "shipped"
        return id_of(order)
    end},
    {"unmapped_market", "currency", function(order)
        order.currencyCode = "JPY"
        return "7/JPY"
    end},
}

--- Puts faults into some orders; all causes they must be held for, as cause -> set of subjects.
function faults.add(random, order, mappings)
    local expects, touched = {}, {}
    for _ = 1, random:chance(85) and 0 or random:up_to(4) do
        local cause, touches, spoil, can = table.unpack(random:pick(LIST))
        if not touched[touches] and (not can or can(order)) then
            touched[touches] = true
            expects[cause] = expects[cause] or {}
            for _, subject in ipairs({spoil(order, mappings)}) do
                expects[cause][subject] = true
            end
        end
    end
    return expects
end

return faults
