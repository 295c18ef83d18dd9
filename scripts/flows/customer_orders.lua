--- Which orders of ours a customer of Khaos has: for what Khaos tells without our reference.
local json = require("neap.json")
local store = require("neap.store")

local customer_orders = {}

local TABLE = "customer_orders" -- URN -> {references}: the newest ones
local MAX = 200 -- one customer for all guests would grow for ever, and is ambiguous anyway

---@param urn string|nil
---@param reference string of an order that Khaos took
function customer_orders.add(urn, reference)
    if not urn or urn == "" then
        return
    end
    local entry = store.get(TABLE, urn) or {references = {}}
    for _, known in ipairs(entry.references) do
        if known == reference then
            return
        end
    end
    table.insert(entry.references, reference)
    if #entry.references > MAX then
        table.remove(entry.references, 1)
    end
    entry.references = json.array(entry.references)
    store.put(TABLE, urn, entry)
end

---@param urn string|nil
---@return string[] references
function customer_orders.of(urn)
    local entry = urn and store.get(TABLE, urn)
    return entry and entry.references or {}
end

return customer_orders
