--- The arithmetic of the simulated Khaos: contract 2.9, on integers only. Written apart from the
--- order flow on purpose: the two must agree because both follow the contract, not because they
--- share code.
---
--- A decimal is {n, scale}: n / 10^scale. Amounts are integer minor units (2 decimals).

local calc = {}

local MAX_SCALE = 6
local MAX_PART = 1000000000000
local MINOR_SCALE = 2

local function power(scale)
    local value = 1
    for _ = 1, scale do
        value = value * 10
    end
    return value
end

--- Reads plain digits and a point, as Khaos wants numbers.
---@param text string
---@return {n: integer, scale: integer}|nil nil: not such a number
function calc.decimal(text)
    local sign, whole, fraction = tostring(text):match("^(%-?)(%d+)%.?(%d*)$")
    if not whole or #whole > 12 then
        return nil
    end
    fraction = fraction:gsub("0+$", "")
    if #fraction > MAX_SCALE then
        return nil
    end
    local n = tonumber(whole) * power(#fraction) + (tonumber(fraction) or 0)
    return {n = math.tointeger(sign == "-" and -n or n), scale = #fraction}
end

--- n / d to the nearest integer, halves away from zero.
---@param n integer
---@param d integer above 0
---@return integer
function calc.divide(n, d)
    local half = d // 2
    if n < 0 then
        return -((-n + half) // d)
    end
    -- For odd d a half cannot occur, so adding the rounded-down half is right in both cases.
    return (n + half) // d
end

--- Cuts a decimal to `places`, halves away from zero; nil keeps all places.
---@param value {n: integer, scale: integer}
---@param places integer|nil
---@return {n: integer, scale: integer}
function calc.keep(value, places)
    if not places or value.scale <= places then
        return value
    end
    return {n = calc.divide(value.n, power(value.scale - places)), scale = places}
end

---@param value {n: integer, scale: integer}
---@return integer minor units, halves away from zero
function calc.minor(value)
    if value.scale <= MINOR_SCALE then
        return value.n * power(MINOR_SCALE - value.scale)
    end
    return calc.divide(value.n, power(value.scale - MINOR_SCALE))
end

--- An integer fraction of minor units: {n, d}.
local function product(a, b)
    if math.abs(a.n) > MAX_PART or math.abs(b.n) > MAX_PART then
        error("the number is too large for this simulation")
    end
    local n, scale = a.n * b.n, a.scale + b.scale
    if scale <= MINOR_SCALE then
        return {n = n * power(MINOR_SCALE - scale), d = 1}
    end
    return {n = n, d = power(scale - MINOR_SCALE)}
end

local function discount_of(amount, percent)
    return calc.divide(amount.n * percent.n, amount.d * power(percent.scale) * 100)
end

-- 1 + v as a fraction over `unit`.
local function one_plus(rate)
    local unit = power(rate.scale)
    return unit + rate.n, unit
end

local function gross_line(line, intermediate)
    local amount = product(line.quantity, line.price)
    local disc = line.value_discount or discount_of(amount, line.discount)
    local factor, unit = one_plus(line.rate)
    local net
    if intermediate then
        local base = calc.divide(calc.divide(amount.n, amount.d) * unit, factor)
        net = calc.divide(base * factor - disc * unit, factor)
    else
        net = calc.divide((amount.n - disc * amount.d) * unit, amount.d * factor)
    end
    local tax = calc.divide(amount.n - (disc + net) * amount.d, amount.d)
    return {discount = disc, net = net, tax = tax, gross = net + tax}
end

local function net_line(line)
    local amount = product(line.quantity, line.price)
    local disc = line.value_discount or discount_of(amount, line.discount)
    local net = calc.divide(amount.n - disc * amount.d, amount.d)
    local tax = calc.divide(net * line.rate.n, power(line.rate.scale))
    return {discount = disc, net = net, tax = tax, gross = net + tax}
end

-- A gross price in a net class: Khaos works on the net price it stores, which is where the
-- pennies go.
local function net_price_of(line, places)
    local factor, unit = one_plus(line.rate)
    local kept = places or 4
    local n = calc.divide(line.price.n * unit * power(kept), power(line.price.scale) * factor)
    return {n = n, scale = kept}
end

--- One order line. `class` is the customer's: "gross" or "net"; `price_is` says what was sent. A
--- net price in a gross class is calculated by the net rule.
---@param line table {quantity, price, discount, rate (decimals), price_is}; value_discount
---   (minor units, of the whole line) instead of the percentage, as Khaos Cloud has it
---@param class "gross"|"net"
---@param options table {net_decimals, gross_decimals, intermediate}, all optional
---@return {discount: integer, net: integer, tax: integer, gross: integer}
function calc.line(line, class, options)
    local one = {quantity = line.quantity, discount = line.discount, rate = line.rate,
        value_discount = line.value_discount}
    if line.price_is == "net" then
        one.price = calc.keep(line.price, options.net_decimals)
        return net_line(one)
    end
    one.price = calc.keep(line.price, options.gross_decimals)
    if class == "net" then
        one.price = net_price_of(one, options.net_decimals)
        return net_line(one)
    end
    return gross_line(one, options.intermediate ~= false)
end

--- The part of a gross amount that is tax.
---@param gross integer
---@param rate {n: integer, scale: integer}
---@return integer net
---@return integer tax
function calc.split_gross(gross, rate)
    local factor, unit = one_plus(rate)
    local net = calc.divide(gross * unit, factor)
    return net, gross - net
end

---@param net integer
---@param rate {n: integer, scale: integer}
---@return integer tax
function calc.tax_on(net, rate)
    return calc.divide(net * rate.n, power(rate.scale))
end

---@param minor integer
---@return string "12.34"
function calc.text(minor)
    local sign = minor < 0 and "-" or ""
    local size = math.abs(minor)
    return ("%s%d.%02d"):format(sign, size // 100, size % 100)
end

return calc
