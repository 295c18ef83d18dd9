--- The variant that a Khaos item is to become in SCAYLE, or all that is missing for it, in words of
--- what to enter where. Pure.
local money = require("neap.money")

local plan = {}

local EAN_LENGTHS = {[8] = true, [12] = true, [13] = true, [14] = true}
local CODE_MAX = 255 -- bytes that SCAYLE takes as a reference key

-- Digits from the right count three times and once in turn; the last one fills up to tens.
local function is_ean(text)
    if not text:find("^%d+$") or not EAN_LENGTHS[#text] then
        return false
    end
    local sum = 0
    for i = 1, #text - 1 do
        local weight = (#text - i) % 2 == 1 and 3 or 1
        sum = sum + weight * tonumber(text:sub(i, i))
    end
    return (10 - sum % 10) % 10 == tonumber(text:sub(-1))
end

local WORDS = {parent_code = "the parent stock code", code = "the stock code",
    other_ref = "the other reference", barcode = "the barcode", sell_price = "the selling price",
    sell_price_web = "the web selling price"}

local function words_of(field)
    local name = field:match("^user:(.+)$")
    return name and string.format("the user-defined attribute %q", name) or WORDS[field]
end

local function value_of(item, field)
    local name = field:match("^user:(.+)$")
    if name then
        return item.user[name]
    elseif field == "barcode" then
        return item.barcodes[1]
    end
    return item[field]
end

local function check_code(item, rules, say)
    local code = item.code
    if code:find("^%s") or code:find("%s$") or code:find("%c") then
        say("the stock code begins or ends with a blank: correct it in Khaos")
    elseif code:find("#", 1, true) or #code > CODE_MAX then
        say("the stock code cannot be a reference key in SCAYLE: correct it in Khaos")
    elseif rules and not code:find("^" .. rules.pattern .. "$") then
        say("the stock code is not of the form %s: correct it in Khaos", rules.hint)
    end
end

local function ean_of(item, rules, say)
    local ean = rules and value_of(item, rules.field)
    if not ean and rules and rules.required then
        say("enter %s in Khaos (the EAN)", words_of(rules.field))
    elseif ean and not is_ean(ean) then
        say("%s %q is no EAN (8, 12, 13 or 14 digits, the last one a check digit): correct it in "
            .. "Khaos", words_of(rules.field), ean)
    end
    return ean
end

-- Whether a price is net: Khaos says it of its own prices, the mapping of others.
local function is_net(item, rules)
    if rules.field:find("^user:") then
        return rules.is_net == true
    end
    return item.sell_price_is_net
end

local function gross_minor(item, rules, price, tax)
    if is_net(item, rules) then
        price = price * (tax + 100)
        price = price:div(100, money.digits(rules.currency), "half_away")
    end
    return price:to_minor(rules.currency)
end

local function price_of(item, rules, say)
    local where = string.format("%s in %s", rules.country, rules.currency)
    local text = value_of(item, rules.field)
    local price = text and money.decimal(text)
    local tax = money.decimal(rules.tax or item.vat_rate or "")
    if not price or price:sign() <= 0 then
        say("enter %s in Khaos (the price for %s)%s", words_of(rules.field), where,
            text and string.format("; %q is none", text) or "")
    elseif not tax then
        say("enter the VAT rate in Khaos, or `tax` in mappings/products.lua (price for %s)", where)
    else
        local minor, err = gross_minor(item, rules, price, tax)
        if not minor then
            say("%s %s is no amount of %s: %s", words_of(rules.field), text, where, err.message)
            return nil
        end
        local percent = tonumber(tostring(tax:trim()))
        return {price = minor, currencyCode = rules.currency, countryCode = rules.country,
            tax = math.tointeger(percent) or percent}
    end
    return nil
end

--- The variant, and what stands in its way.
---@param item khaos.StockItem
---@param mapping table the client's mappings/products.lua
---@param merchant string
---@return scayle.NewVariant
---@return string[] problems empty: it can be created
function plan.of(item, mapping, merchant)
    local problems = {}
    local function say(text, ...)
        problems[#problems + 1] = string.format(text, ...)
    end
    check_code(item, mapping.sku, say)
    local key = value_of(item, mapping.product.field)
    if not key then
        say("enter %s in Khaos (the product that it belongs to)", words_of(mapping.product.field))
    end
    local variant = {sku = item.code, merchant = merchant, prices = {},
        product = key and mapping.product.prefix .. key or nil,
        ean = ean_of(item, mapping.ean, say)}
    for _, rules in ipairs(mapping.prices) do
        variant.prices[#variant.prices + 1] = price_of(item, rules, say)
    end
    return variant, problems
end

--- "in product TS, EAN 5000000000017, GB 25.00 GBP with 20% tax"
---@param variant scayle.NewVariant
---@return string
function plan.words(variant)
    local parts = {"in product " .. variant.product}
    parts[#parts + 1] = variant.ean and "EAN " .. variant.ean or nil
    for _, price in ipairs(variant.prices) do
        parts[#parts + 1] = string.format("%s %s %s with %s%% tax", price.countryCode,
            money.to_text(price.price, price.currencyCode), price.currencyCode, price.tax)
    end
    return table.concat(parts, ", ")
end

plan.is_ean = is_ean

return plan
