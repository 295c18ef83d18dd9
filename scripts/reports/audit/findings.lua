--- What the audit found: one finding per cause and value, with the orders (or stock codes) it is
--- about, their money and their owner. Sorted by what is written, so that the same findings are the
--- same bytes.
local findings = {}

local KEPT = 100000 -- objects of one finding; beyond they are counted

---@class audit.Findings
local Findings = {}
Findings.__index = Findings

--- What of a cause of the orders flow may be shown: its subject often names an order, or a person.
local PER_ORDER = {
    totals_do_not_tie = "orders whose totals do not tie",
    field_too_long = "a field that Khaos does not take",
    customer_conflict = "a customer of another class or currency in Khaos",
    order_already_processed = "somebody worked on the order already",
}

---@param owners table<string, string>|nil of the manifest
---@return audit.Findings
function findings.new(owners)
    return setmetatable({_owners = owners or {}, _by_id = {}}, Findings)
end

-- An item's number is no value either.
local PER_ITEM = {
    unknown_stock_code = "an item without one",
    unmapped_tax = "an item whose rate is not there or not what it carries",
}

--- The subject of a cause for a list that shows no person.
---@param cause {cause: string, subject: string|nil}
---@param order_id string
---@return string
function findings.subject(cause, order_id)
    local subject = cause.subject or ""
    if cause.cause == "field_too_long" then
        local at = subject:find(order_id .. " ", 1, true)
        return at == 1 and subject:sub(#order_id + 2) or PER_ORDER.field_too_long
    elseif PER_ORDER[cause.cause] then
        return PER_ORDER[cause.cause]
    elseif subject:find("^item ") then
        return PER_ITEM[cause.cause] or "an item"
    end
    return subject
end

---@class audit.Object
---@field name string order number or stock code
---@field minor integer|nil
---@field currency string|nil
---@field sums table<string, integer>|nil instead of both: of several currencies
---@field is_open boolean|nil the order, or an order with the code, is open now
---@field note string|nil

--- The money of an object, by currency.
---@param object audit.Object
---@return table<string, integer>
function findings.sums(object)
    if object.sums then
        return object.sums
    end
    return object.minor and object.currency and {[object.currency] = object.minor} or {}
end

--- Adds an object to a finding, which is made when it is not there yet.
---@param about {cause: string, subject: string, kind: "order"|"code"|"value", message: string,
---   remedy: string}
---@param object audit.Object|nil nil: the finding itself is all
function Findings:add(about, object)
    local id = about.cause .. "\0" .. about.subject
    local entry = self._by_id[id]
    if not entry then
        entry = {cause = about.cause, subject = about.subject, kind = about.kind,
            message = about.message, remedy = about.remedy, count = 0, open = 0, money = {},
            objects = {}, owner = self._owners[about.cause] or self._owners.default or ""}
        self._by_id[id] = entry
    end
    if not object then
        return
    end
    entry.message = math.min(#about.message, #entry.message) == #about.message
        and about.message < entry.message and about.message or entry.message
    entry.count = entry.count + 1
    entry.open = entry.open + (object.is_open and 1 or 0)
    for currency, minor in pairs(findings.sums(object)) do
        entry.money[currency] = (entry.money[currency] or 0) + minor
    end
    if #entry.objects < KEPT then
        entry.objects[#entry.objects + 1] = object
    end
end

local function before(a, b)
    if a.cause ~= b.cause then
        return a.cause < b.cause
    end
    return a.subject < b.subject
end

-- Order numbers as numbers where they are some.
local function object_before(a, b)
    if #a.name ~= #b.name then
        return #a.name < #b.name
    elseif a.name ~= b.name then
        return a.name < b.name
    end
    return (a.note or "") < (b.note or "")
end

--- All of them in order, their objects too.
---@return table[]
function Findings:list()
    local list = {}
    for _, entry in pairs(self._by_id) do
        table.sort(entry.objects, object_before)
        list[#list + 1] = entry
    end
    table.sort(list, before)
    return list
end

return findings
