--- The values that real orders hold where a mapping decides: how often, in how much money, and how
--- many orders with them would be held.
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

local function read_items(order, add)
    for _, item in ipairs(tables_in(order, "items")) do
        local price = type(item) == "table" and item.price
        add("tax rate", vat_rate(price))
        for _, name in ipairs({"appliedReductions", "reductions"}) do
            for _, reduction in ipairs(tables_in(price, name)) do
                add("reduction", reduction_name(reduction))
            end
        end
    end
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
