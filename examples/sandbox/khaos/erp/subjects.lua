--- Whom a call is about, for the log of calls: the references that an import sends or a look-up
--- asks for, also of calls that were never handled. Read from the request's text, apart from the
--- operations.

local customers = require("erp.customers")
local orders = require("erp.orders")

local subjects = {}

local ORDER_BY_REFERENCE, COMPANY_BY_OTHER_REF = "4", "2"

local function value_of(request, position)
    local parameter = request.parameters[position]
    return parameter and parameter.value or ""
end

local function tags(text, name)
    local list = {}
    for value in text:gmatch(("<%s>([^<]+)</%s>"):format(name, name)) do
        list[#list + 1] = value
    end
    return list
end

local function ids(request, mapping)
    local list = {}
    if value_of(request, 2) == mapping then
        for id in value_of(request, 1):gmatch("[^,]+") do
            list[#list + 1] = id
        end
    end
    return list
end

local READERS = {}

-- Named by Khaos's own code; the log says ours, as look-ups do.
function READERS.CancelOrder(request, w)
    local order = orders.get(w, value_of(request, 1))
    return {order and order.reference or value_of(request, 1)}
end

READERS.AmendOrder = READERS.CancelOrder

function READERS.ImportOrders(request)
    return tags(value_of(request, 1), "ASSOCIATED_REF")
end

function READERS.ImportCompany(request)
    return tags(value_of(request, 1), "OTHER_REF")
end

function READERS.ExportOrderStatusEx(request)
    return ids(request, ORDER_BY_REFERENCE)
end

function READERS.ExportCompany(request)
    return ids(request, COMPANY_BY_OTHER_REF)
end

local FINDERS = {}

function FINDERS.ExportOrderStatusEx(w, reference)
    return #orders.codes_of(w, reference) > 0
end

function FINDERS.ExportCompany(w, other_ref)
    return customers.find(w, "other_ref", other_ref) ~= nil
end

--- References of a call; none for calls about something else.
---@param request {operation: string, parameters: {name: string, value: string}[]}
---@param w table
---@return string[]
function subjects.of(request, w)
    local read = READERS[request.operation]
    return read and read(request, w) or {}
end

--- For a look-up: which of them exist now.
---@param w table
---@param request table
---@param list string[]
---@return table<string, boolean>|nil nil for calls that are no look-up
function subjects.found(w, request, list)
    local find = FINDERS[request.operation]
    if not find or #list == 0 then
        return nil
    end
    local found = {}
    for _, subject in ipairs(list) do
        found[subject] = find(w, subject)
    end
    return found
end

--- For a look-up of orders: which of them are cancelled now.
---@param w table
---@param request table
---@param list string[]
---@return table<string, boolean>|nil nil for calls that do not show it
function subjects.cancelled(w, request, list)
    if request.operation ~= "ExportOrderStatusEx" or #list == 0 then
        return nil
    end
    local cancelled = {}
    for _, reference in ipairs(list) do
        cancelled[reference] = false
        for _, code in ipairs(orders.codes_of(w, reference)) do
            cancelled[reference] = cancelled[reference] or orders.get(w, code).cancelled ~= nil
        end
    end
    return cancelled
end

return subjects
