--- Figures in words, the same on the terminal, in the page and in rows.
local money = require("neap.money")

local words = {}

--- "1,234.50" without the currency; the amount's own digits.
---@param minor integer
---@param currency string
---@return string
function words.amount(minor, currency)
    local digits = money.digits(currency) or 2
    local scale = 10 ^ digits // 1 | 0
    local sign = minor < 0 and "-" or ""
    local whole, rest = math.abs(minor) // scale, math.abs(minor) % scale
    return digits == 0 and sign .. whole or string.format("%s%d.%0" .. digits .. "d", sign, whole,
        rest)
end

---@param sums table<string, any>
---@return string[] keys
function words.sorted(sums)
    local names = {}
    for name in pairs(sums) do
        names[#names + 1] = name
    end
    table.sort(names)
    return names
end

--- "GBP 164.92, EUR 20.00" of {GBP = 16492, EUR = 2000}; "-" of nothing.
---@param sums table<string, integer>
---@return string
function words.money(sums)
    local parts = {}
    for _, currency in ipairs(words.sorted(sums)) do
        parts[#parts + 1] = currency .. " " .. words.amount(sums[currency], currency)
    end
    return #parts > 0 and table.concat(parts, ", ") or "-"
end

--- "3 (GBP 164.92)" of {GBP = {orders = 3, minor = 16492}}.
---@param sums table<string, {orders: integer, minor: integer}>
---@return integer orders
---@return string money
function words.sum(sums)
    local orders, amounts = 0, {}
    for currency, sum in pairs(sums) do
        orders = orders + sum.orders
        amounts[currency] = sum.minor
    end
    return orders, words.money(amounts)
end

--- "stock drift" of "stock_drift".
---@param name string
---@return string
function words.title(name)
    return (name:gsub("_", " "))
end

--- What of a part was looked at, and why not more.
---@param part table
---@return string
function words.part(part)
    local text = part.of and string.format("%d of %d", part.looked, part.of)
        or tostring(part.looked)
    if part.in_all and part.of and part.in_all > part.of then
        text = text .. string.format(" (of %d in all: the sample asked for)", part.in_all)
    end
    if (part.ended or 0) > 0 then
        text = text .. string.format("; %d would not be posted: cancelled, unpaid or gone by now",
            part.ended)
    end
    if (part.failed or 0) > 0 then
        text = text .. string.format("; %d could not be looked at", part.failed)
    end
    return text .. (part.stopped and "; NOT COMPLETE: " .. part.stopped or "")
        .. (part.note and "; " .. part.note or "")
end

return words
