--- The values that real orders hold where a mapping decides: how often, in how much money, and how
--- many orders with them would be held. A reduction is read wherever the mapper reads one: on
--- items, on the order, in what was left of the delivery charge, and in how items stand together.
local read = require("flows.orders.read")

local values = {}

---@class audit.Values
local Values = {}
Values.__index = Values

values.DIMENSIONS = {"market", "currency", "tax rate", "payment method", "fee", "shipping policy",
    "sales channel", "reduction"}

---@return audit.Values
function values.new()
    return setmetatable({_by_id = {}}, Values)
end

local function tables_in(document, name)
    local list = type(document) == "table" and document[name]
    return type(list) == "table" and list or {}
end

local function plain(value)
    return (type(value) == "string" or type(value) == "number") and tostring(value) or nil
end

local function vat_rate(document)
    local tax = type(document) == "table" and document.tax
    local vat = type(tax) == "table" and tax.vat
    local rate = type(vat) == "table" and vat.rate
    return type(rate) == "number" and string.format("%.6g%%", rate * 100) or "none"
end

local function reduction_name(reduction)
    local parts = {}
    for _, field in ipairs({"category", "type"}) do
        parts[#parts + 1] = plain(reduction[field])
    end
    -- Codes are often one per customer; promotions have an id.
    local category = reduction.category
    if category == "promotion" or category == "promotionCode" then
        parts[#parts + 1] = plain(reduction.id)
    end
    return #parts > 0 and table.concat(parts, " ") or "unknown"
end

-- What the reductions of a unit do not explain of the way from its listed price. Whether `sale`
-- counts below the listed price is not known: both are accepted, as by the mapper.
local function is_unexplained(price)
    local paid = read.integer(price, "withTax")
    local listed = read.integer(price, "undiscountedWithTax")
    if not paid or not listed then
        return false
    end
    local open, sale = listed - paid, 0
    for _, reduction in ipairs(tables_in(price, "appliedReductions")) do
        local amount = read.integer(read.table(reduction, "amount"), "absoluteWithTax") or 0
        open = open - amount
        sale = sale + (read.text(reduction, "category") == "sale" and amount or 0)
    end
    return open ~= 0 and open ~= -sale
end

local function read_items(order, add)
    for _, item in ipairs(tables_in(order, "items")) do
        local price = read.table(item, "price")
        add("tax rate", vat_rate(price))
        for _, name in ipairs({"appliedReductions", "reductions"}) do
            for _, reduction in ipairs(tables_in(price, name)) do
                add("reduction", reduction_name(reduction))
            end
        end
        add("reduction", is_unexplained(price) and "unexplained" or nil)
        add("reduction", next(read.table(item, "merchantAdditionalData")) ~= nil and "bundle"
            or nil)
        add("reduction", read.table(item, "itemGroup").isMainItem == true and "configurable"
            or nil)
    end
end

local function is_delivery_reduced(order)
    local shipping = read.table(order, "shipping")
    for _, kind in ipairs({"deliveryCosts", "expressDeliveryCosts"}) do
        local full = read.integer(shipping, kind .. "WithoutDiscount")
        local paid = read.integer(shipping, kind)
        if full and paid and full > paid then
            return true
        end
    end
    return false
end

local function named_in(list, promotion)
    for _, reduction in ipairs(list) do
        local id, code = read.text(promotion, "id"), read.text(promotion, "code")
        if id and read.text(reduction, "id") == id or code and read.text(reduction, "code") == code
        then
            return true
        end
    end
    return false
end

local function is_shown_by_item(order, promotion)
    for _, item in ipairs(tables_in(order, "items")) do
        if named_in(tables_in(read.table(item, "price"), "appliedReductions"), promotion) then
            return true
        end
    end
    return false
end

-- Promotions the order names, where no reduction of an item says so. Their effects no order shows.
local function read_promotions(order, add)
    for _, promotion in ipairs(read.either(order, "promotions", "promotion")) do
        local category = read.text(promotion, "code") and "promotionCode" or "promotion"
        local is_named = read.text(promotion, "id") or read.text(promotion, "code")
        if is_named and not is_shown_by_item(order, promotion) then
            add("reduction", reduction_name({category = category, id = promotion.id}))
        end
    end
end

local function read_order_reductions(order, add)
    for _, reduction in ipairs(tables_in(order.cost, "appliedReductions")) do
        add("reduction", reduction_name(reduction))
    end
    local points = read.integer(read.table(order, "membershipDiscount"), "reductionValue") or 0
    add("reduction", points ~= 0 and "membership absolute" or nil)
    add("reduction", is_delivery_reduced(order) and "free_shipping" or nil)
    read_promotions(order, add)
end

local function read_fees(order, add)
    for _, fee in ipairs(tables_in(order.cost, "appliedFees")) do
        add("fee", table.concat({plain(fee.category) or "?", plain(fee.key) or "?",
            plain(fee.option)}, " "))
        add("tax rate", vat_rate(fee))
    end
end

local function read_all(order, add)
    local country = type(order.shopCountry) == "table" and order.shopCountry or {}
    add("market", string.format("%s (%s)", plain(country.id) or "?",
        plain(country.countryCode) or "?"))
    add("currency", plain(order.currencyCode) or "none")
    read_items(order, add)
    read_order_reductions(order, add)
    read_fees(order, add)
    for _, name in ipairs({"payments", "payment"}) do
        for _, payment in ipairs(tables_in(order, name)) do
            add("payment method", payment.isGiftCard == true and "gift card"
                or plain(payment.key) or "none")
        end
    end
    local shipping = type(order.shipping) == "table" and plain(order.shipping.policy)
    local channel = type(order.channel) == "table" and plain(order.channel.key)
    add("shipping policy", shipping or nil)
    add("sales channel", channel or nil)
end

--- Counts the values of one order, each once.
---@param order table as SCAYLE shows it
---@param money {minor: integer|nil, currency: string|nil}
---@param is_held boolean
function Values:add(order, money, is_held)
    local seen = {}
    read_all(order, function(dimension, value)
        local id = value and dimension .. "\0" .. value
        if not id or seen[id] then
            return
        end
        seen[id] = true
        local entry = self._by_id[id]
        if not entry then
            entry = {dimension = dimension, value = value, orders = 0, held = 0, money = {}}
            self._by_id[id] = entry
        end
        entry.orders = entry.orders + 1
        entry.held = entry.held + (is_held and 1 or 0)
        if money.minor and money.currency then
            entry.money[money.currency] = (entry.money[money.currency] or 0) + money.minor
        end
    end)
end

local places = {}
for i, dimension in ipairs(values.DIMENSIONS) do
    places[dimension] = i
end

--- All values in order.
---@return table[]
function Values:list()
    local list = {}
    for _, entry in pairs(self._by_id) do
        list[#list + 1] = entry
    end
    table.sort(list, function(a, b)
        if a.dimension ~= b.dimension then
            return places[a.dimension] < places[b.dimension]
        end
        return a.value < b.value
    end)
    return list
end

return values
