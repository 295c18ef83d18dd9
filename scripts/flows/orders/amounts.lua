--- Money and rates as integers: minor units, millionths for rates, hundredths for percentages.
---
--- Khaos rounds to two decimals, halves away from zero, so minor units here are always hundredths;
--- profiles with other currencies are refused at load.
local amounts = {}

amounts.MILLION = 1000000

-- Above, twice a millionfold of it no longer fits an integer and a rate would be taken of garbage:
-- forty billion, which nobody sells for.
amounts.MAX_MINOR = 4000000000000

--- a / b rounded to a whole number, halves away from zero; b > 0.
---@param a integer
---@param b integer
---@return integer
function amounts.divide(a, b)
    if a < 0 then
        return -((b - 2 * a) // (2 * b))
    end
    return (2 * a + b) // (2 * b)
end

--- 1499 -> "14.99"
---@param minor integer
---@return string
function amounts.text(minor)
    local size = minor < 0 and -minor or minor
    return string.format("%s%d.%02d", minor < 0 and "-" or "", size // 100, size % 100)
end

--- A price of more decimals: 95238, 4 -> "9.5238"; never fewer than two decimals.
---@param scaled integer
---@param decimals integer
---@return string
function amounts.price_text(scaled, decimals)
    while decimals > 2 and scaled % 10 == 0 do
        scaled = scaled // 10
        decimals = decimals - 1
    end
    local unit = math.tointeger(10 ^ decimals)
    return string.format("%d.%0" .. decimals .. "d", scaled // unit, scaled % unit)
end

--- Plain decimal text as an integer and its number of decimals, at least two: "9.5" -> 950, 2.
---@param text string
---@return integer|nil scaled nil when it is no plain decimal
---@return integer|nil decimals
function amounts.parse(text)
    local sign, whole, fraction = string.match(text, "^(-?)(%d+)%.?(%d*)$")
    if not whole or #whole + #fraction > 15 then
        return nil
    end
    fraction = fraction .. string.rep("0", 2 - #fraction)
    local scaled = math.tointeger(whole .. fraction)
    return sign == "-" and -scaled or scaled, #fraction
end

--- A tax rate of the wire in millionths: 0.19 and 19 both give 190000 (above 1 it is a percentage).
---@param rate number
---@return integer|nil millionths nil when it is not a sensible rate of at most six decimals
function amounts.rate(rate)
    local scaled = rate > 1 and rate * 10000 or rate * amounts.MILLION
    local whole = math.floor(scaled + 0.5)
    if rate < 0 or rate > 100 or math.abs(scaled - whole) > 0.001 then
        return nil
    end
    return math.tointeger(whole)
end

--- 190000 -> "0.19": how mappings write a rate.
---@param millionths integer
---@return string
function amounts.rate_text(millionths)
    local text = string.format("%d.%06d", millionths // amounts.MILLION,
        millionths % amounts.MILLION)
    return (text:gsub("0+$", ""):gsub("%.$", ""))
end

--- 190000 -> "19%"
---@param millionths integer
---@return string
function amounts.percent_text(millionths)
    local text = string.format("%d.%04d", millionths // 10000, millionths % 10000)
    return (text:gsub("0+$", ""):gsub("%.$", "")) .. "%"
end

--- The net of a gross amount at a rate, rounded.
---@param gross integer
---@param millionths integer
---@return integer
function amounts.net_of(gross, millionths)
    return amounts.divide(gross * amounts.MILLION, amounts.MILLION + millionths)
end

return amounts
