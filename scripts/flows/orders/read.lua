--- Reading documents that may lack anything: typed access, nil when a field is not there or of
--- another kind.
local read = {}

local EMPTY = {}

--- Text with something in it, trimmed; integers become their digits.
---@param document any
---@param key string
---@return string|nil
function read.text(document, key)
    local value = type(document) == "table" and document[key] or nil
    if math.type(value) == "integer" then
        return tostring(value)
    elseif type(value) ~= "string" then
        return nil
    end
    value = value:match("^%s*(.-)%s*$")
    return value ~= "" and value or nil
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
---@param ... string the path
---@return table
function read.table(document, ...)
    local value = document
    for i = 1, select("#", ...) do
        value = type(value) == "table" and value[(select(i, ...))] or nil
    end
    return type(value) == "table" and value or EMPTY
end

return read
