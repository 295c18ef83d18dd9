--- Whom a call is about, for the log of calls: the units that a report names, the key of a new
--- variant, and what an order that was read showed of its own units. Read from the request, also
--- of calls that were never handled.

local json = require("neap.json")

local subjects = {}

local function each(list, name)
    local values = json.array({})
    for _, entry in ipairs(type(list) == "table" and list or {}) do
        local value = type(entry) == "table" and entry[name]
        values[#values + 1] = value and tostring(value) or nil
    end
    return values
end

local function of_items(body)
    return each(body.items, "orderItemId")
end

local READERS = {
    cancel = of_items,
    create_variant = function(body)
        return json.array({body.referenceKey and tostring(body.referenceKey)})
    end,
    ship = of_items,
    return_items = function(body)
        return each(body, "returnKey")
    end,
}

--- Units or variants that a call names; none for other calls.
---@param operation string
---@param request neap.ServerRequest
---@return string[]
function subjects.of(operation, request)
    local read = READERS[operation]
    local body = read and json.decode(request.body or "")
    if type(body) ~= "table" then
        return json.array({})
    end
    return read(body)
end

--- The state of each unit of an order.
---@param order table
---@return table<string, string>
function subjects.shown(order)
    local units = {}
    for _, item in ipairs(order.items) do
        units[tostring(item.id)] = item.status
    end
    return units
end

return subjects
