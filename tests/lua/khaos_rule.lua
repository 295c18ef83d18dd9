-- Khaos's line rule, written from contract 2.9 for the property test alone: it shares nothing with
-- the mapper or with the sandbox. Every figure is an integer of millionths; 10,000 are a penny.
--
--     local rule = require("khaos_rule")
--     local net, tax, gross = rule.line(line, 200, rule.PRICES[3], "stepwise")
local rule = {}

local PENNY = 10000
local PENNY_PLACES = 2
local PLACES = 6

--- What Khaos may do with PRICE_NET (contract 11.18): how many decimals it keeps, and whether it
--- rounds or cuts to them.
rule.PRICES = {
    {name = "as sent"},
    {name = "4", places = 4},
    {name = "4 cut", places = 4, cuts = true},
    {name = "2", places = 2},
    {name = "2 cut", places = 2, cuts = true},
}

--- Whether the base of a gross line is rounded on the way (contract 11.19).
rule.ROUNDINGS = {"stepwise", "end"}

--- a / b to the nearest whole number, halves away from zero.
function rule.R(a, b)
    if a < 0 then
        return -rule.R(-a, b)
    end
    local whole, rest = a // b, a % b
    return rest * 2 >= b and whole + 1 or whole
end

local R = rule.R

--- Decimal text as millionths, and how many decimals were written.
function rule.figure(text)
    local whole, fraction = text:match("^(%d+)%.(%d+)$")
    assert(whole and #fraction >= PENNY_PLACES and #fraction <= PLACES, "odd figure " .. text)
    local value = whole * 1000000 + math.tointeger(fraction .. ("0"):rep(PLACES - #fraction))
    return value, #fraction
end

--- Text of whole pennies.
function rule.pennies(text)
    if text:sub(1, 1) == "-" then
        return -rule.pennies(text:sub(2)) -- VAT of a line that a discount brings to nothing
    end
    local value = rule.figure(text)
    assert(value % PENNY == 0, "not whole pennies: " .. text)
    return value // PENNY
end

local function kept(price, reading)
    if not reading.places then
        return price
    end
    local step = math.tointeger(10 ^ (PLACES - reading.places))
    return (reading.cuts and price // step or R(price, step)) * step
end

local function net_line(value, percent, rate)
    local discount = R(value * percent, 100 * 1000000)
    local net = R(value - discount * PENNY, PENNY)
    return net, R(net * rate, 1000), discount
end

local function gross_line(value, percent, rate, rounding, off)
    local discount = off or R(value * percent, 100 * 1000000)
    local over = 1000 + rate
    local net
    if rounding == "end" then
        net = R((value - discount * PENNY) * 1000, over * PENNY)
    else
        local base = R(R(value, PENNY) * 1000, over)
        net = R(base * over - discount * 1000, over)
    end
    return net, R(value - (discount + net) * PENNY, PENNY), discount
end

--- Pennies of a written line under one reading of each unknown.
---@param line table with quantity, price_net or price_gross, discount_percent or value_discount
---@param rate integer thousandths
---@param reading table of rule.PRICES
---@param rounding string of rule.ROUNDINGS
---@return integer net
---@return integer tax
---@return integer gross
---@return integer discount
function rule.line(line, rate, reading, rounding)
    local percent = line.discount_percent and rule.pennies(line.discount_percent) or 0
    local net, tax, discount
    if line.price_net then
        local price = kept(rule.figure(line.price_net), reading)
        net, tax, discount = net_line(line.quantity * price, percent, rate)
    else
        local price = rule.pennies(line.price_gross) * PENNY
        net, tax, discount = gross_line(line.quantity * price, percent, rate, rounding,
            line.value_discount and rule.pennies(line.value_discount))
    end
    return net, tax, net + tax, discount
end

--- Whether a line's figures hang on how many decimals are kept.
function rule.is_fine(line)
    return line.price_net ~= nil and select(2, rule.figure(line.price_net)) > PENNY_PLACES
end

return rule
