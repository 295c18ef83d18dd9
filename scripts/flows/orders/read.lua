--- Reading documents that may lack anything: typed access, nil when a field is not there or of
--- another kind.
local read = {}

local EMPTY = {}
local BLANK = 32
local byte, type, math_type = string.byte, type, math.type

--- Text with something in it, trimmed; integers become their digits.
---@param document any
---@param key string
---@return string|nil
function read.text(document, key)
    local value = type(document) == "table" and document[key]
    if not value then
        return nil -- most fields that are asked for are not there
    elseif type(value) ~= "string" then
        return math_type(value) == "integer" and tostring(value) or nil
    end
    local first, last = byte(value, 1), byte(value, -1)
    if not first or first <= BLANK or last <= BLANK then
        value = value:match("^%s*(.-)%s*$")
        return value ~= "" and value or nil
    end
    return value
end

--- A whole number, also when it was written 1499.0.
---@param document any
---@param key string
---@return integer|nil
function read.integer(document, key)
    local value = type(document) == "table" and document[key] or nil
    return type(value) == "number" and math.tointeger(value) or nil
end

---@param document any
---@param key string
---@return number|nil
function read.number(document, key)
    local value = type(document) == "table" and document[key] or nil
    return type(value) == "number" and value or nil
end

--- A table inside the document; an empty one (shared, do not write) when there is none.
---@param document any
---@param key string
---@param deeper string|nil a key inside that
---@return table
function read.table(document, key, deeper)
    local value = type(document) == "table" and document[key] or nil
    if deeper and type(value) == "table" then
        value = value[deeper]
    end
    return type(value) == "table" and value or EMPTY
end

--- A list that has two names on the wire, the plural preferred; a single object counts as a list of
--- one.
---@param document any
---@param plural string
---@param single string
---@return table
function read.either(document, plural, single)
    local list = read.table(document, plural)
    if #list > 0 then
        return list
    end
    local other = read.table(document, single)
    return next(other) ~= nil and #other == 0 and {other} or other
end

--- Whether an item is this merchant's; one that names nobody is.
---@param item table
---@param merchant string reference key
---@return boolean
function read.is_ours(item, merchant)
    local name = read.text(read.table(item, "merchant"), "referenceKey")
    return name == nil or name == merchant
end

--- What the fees of a cost come to, with tax.
---@param cost table
---@return integer
function read.sum_fees(cost)
    local sum = 0
    for _, fee in ipairs(read.table(cost, "appliedFees")) do
        sum = sum + (read.integer(read.table(fee, "amount"), "withTax") or 0)
    end
    return sum
end

--- What was paid, gift cards too.
---@param order table
---@return integer
function read.sum_payments(order)
    local sum = 0
    for _, payment in ipairs(read.table(order, "payment")) do
        sum = sum + (read.integer(payment, "amount") or 0)
    end
    return sum
end

return read
