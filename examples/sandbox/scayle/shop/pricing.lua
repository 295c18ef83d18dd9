--- The money of a generated order: prices per unit, VAT per unit, fees, totals that tie. Integers
--- only.
---
--- A unit is {variant, gross, rate (thousandths), reductions, key, group}; a basket is {country,
--- units, fees, voucher, gift_card, payment, ...}.

local pricing = {}

---@param n integer not negative
---@param d integer
---@return integer n / d, halves up
function pricing.divide(n, d)
    return (2 * n + d) // (2 * d)
end

---@param gross integer
---@param rate integer thousandths
---@return integer net
function pricing.net(gross, rate)
    return pricing.divide(gross * 1000, 1000 + rate)
end

---@param gross integer
---@param percent integer
---@return integer the reduction
function pricing.percent(gross, percent)
    return pricing.divide(gross * percent, 100)
end

--- Splits an amount by weights; the pennies that are left go to the largest remainders.
---@param amount integer
---@param weights integer[]
---@return integer[]
function pricing.split(amount, weights)
    local sum, parts, left = 0, {}, amount
    for _, weight in ipairs(weights) do
        sum = sum + weight
    end
    local order = {}
    for i, weight in ipairs(weights) do
        parts[i] = amount * weight // sum
        left = left - parts[i]
        order[i] = {index = i, remainder = amount * weight % sum}
    end
    table.sort(order, function(a, b)
        if a.remainder ~= b.remainder then
            return a.remainder > b.remainder
        end
        return a.index < b.index
    end)
    for i = 1, left do
        parts[order[i].index] = parts[order[i].index] + 1
    end
    return parts
end

local function vat(gross, rate)
    return {vat = {amount = gross - pricing.net(gross, rate), rate = rate / 1000}}
end

--- What a unit costs after its reductions.
---@param unit table
---@return integer
function pricing.paid(unit)
    local paid = unit.gross
    for _, reduction in ipairs(unit.reductions or {}) do
        paid = paid - reduction.amount.absoluteWithTax
    end
    return paid
end

local function price_of(unit, basket)
    local paid = pricing.paid(unit)
    local price = {withTax = paid, tax = vat(paid, unit.rate)}
    if basket.external then
        return price
    end
    price.withoutTax = pricing.net(paid, unit.rate)
    price.undiscountedWithTax = unit.gross
    price.undiscountedWithOutTax = pricing.net(unit.gross, unit.rate)
    if unit.reductions and unit.reductions[1] then
        price.appliedReductions = unit.reductions
    end
    if unit.voucher then
        local after = paid - unit.voucher
        price.absoluteVoucherReducedPrice = {
            withTax = after,
            withOutTax = pricing.net(after, unit.rate),
            tax = vat(after, unit.rate),
        }
    end
    return price
end

local function item_of(unit, basket)
    local variant = unit.variant
    return {
        key = unit.key,
        currency = basket.currency,
        merchant = {id = 12, referenceKey = "fellside"},
        price = price_of(unit, basket),
        product = {id = variant.product_id, name = variant.name},
        variant = {id = variant.id, referenceKey = variant.sku},
        warehouseId = 31,
        promotions = unit.promotions,
        itemGroup = unit.group,
        merchantAdditionalData = unit.bundle,
    }
end

local function fee_of(fee)
    return {
        category = fee.category,
        key = fee.key,
        option = fee.option,
        amount = {withTax = fee.gross, withoutTax = pricing.net(fee.gross, fee.rate)},
        tax = vat(fee.gross, fee.rate),
    }
end

--- The rate on shipping: each unit's net share times its rate, in thousandths (contract 8).
---@param units table[]
---@return integer thousandths
function pricing.blended_rate(units)
    local weighted, net = 0, 0
    for _, unit in ipairs(units) do
        local part = pricing.net(pricing.paid(unit), unit.rate)
        weighted = weighted + part * unit.rate
        net = net + part
    end
    return net > 0 and pricing.divide(weighted, net) or 0
end

-- The tax in what is taken off the order as a whole, at the blended rate.
local function tax_off(basket)
    local off = basket.membership or 0
    local is_shown = false
    for _, unit in ipairs(basket.units) do
        is_shown = is_shown or unit.voucher ~= nil
    end
    if basket.voucher and not is_shown then
        off = off + basket.voucher.amount
    end
    return off - pricing.net(off, pricing.blended_rate(basket.units))
end

local function sums_of(basket)
    local items, fees, tax = 0, 0, 0
    for _, unit in ipairs(basket.units) do
        local paid = pricing.paid(unit)
        local taxed = paid - (unit.voucher or 0)
        items = items + paid
        tax = tax + taxed - pricing.net(taxed, unit.rate)
    end
    for _, fee in ipairs(basket.fees) do
        fees = fees + fee.gross
        tax = tax + fee.gross - pricing.net(fee.gross, fee.rate)
    end
    return {items = items, fees = fees, tax = tax - tax_off(basket)}
end

--- cost of the order: items + fees - absolute voucher - membership discount = total.
---@param basket table
---@return table cost
function pricing.cost(basket)
    local sums = sums_of(basket)
    local voucher = basket.voucher and basket.voucher.amount or 0
    local total = sums.items + sums.fees - voucher - (basket.membership or 0)
    local cost = {
        withTax = total,
        tax = {vat = {amount = sums.tax}},
        costCapture = total - (basket.gift_card or 0),
        hasExternalPrices = basket.external == true,
    }
    if basket.external then
        return cost
    end
    cost.withoutTax = total - sums.tax
    cost.withTaxWithMembershipDiscountWithoutServiceCosts = total - sums.fees
    cost.withoutTaxWithMembershipDiscount = total - sums.tax
    cost.appliedFees = {}
    for i, fee in ipairs(basket.fees) do
        cost.appliedFees[i] = fee_of(fee)
    end
    if voucher > 0 then
        cost.appliedReductions = {
            {
                amount = {absoluteWithTax = voucher},
                category = "voucher",
                type = "absolute",
                code = basket.voucher.code,
            },
        }
    end
    return cost
end

---@param basket table
---@return table[] items without ids
function pricing.items(basket)
    local items = {}
    for i, unit in ipairs(basket.units) do
        items[i] = item_of(unit, basket)
    end
    return items
end

return pricing
