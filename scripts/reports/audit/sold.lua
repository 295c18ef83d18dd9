--- What the orders that were looked at sold of a stock code, or of a variant without one: the money
--- that a gap of the catalogues concerns. Units' prices, so that an order with several gaps counts
--- each once.
local read = require("flows.orders.read")

local sold = {}

---@class audit.Sold
local Sold = {}
Sold.__index = Sold

---@return audit.Sold
function sold.new()
    return setmetatable({_by_name = {}}, Sold)
end

-- A variant without a code is told apart by its id.
local function name_of(item)
    local variant = read.table(item, "variant")
    local id = read.text(variant, "id")
    return read.text(variant, "referenceKey") or id and "variant " .. id or nil
end

---@param order table as SCAYLE shows it
---@param entry {currency: string|nil, state: string}
function Sold:add(order, entry)
    local seen = {}
    for _, item in ipairs(read.table(order, "items")) do
        local name = name_of(item)
        local minor = read.integer(read.table(item, "price"), "withTax") or 0
        if name and entry.currency then
            local sums = self._by_name[name] or {money = {}, orders = 0, open = 0}
            self._by_name[name] = sums
            sums.money[entry.currency] = (sums.money[entry.currency] or 0) + minor
            if not seen[name] then
                seen[name] = true
                sums.orders = sums.orders + 1
                sums.open = sums.open + (entry.state == "open" and 1 or 0)
            end
        end
    end
end

--- What is known of a code, or of "variant <id>"; nil: no order looked at has it.
---@param name string
---@return {money: table<string, integer>, orders: integer, open: integer}|nil
function Sold:of(name)
    return self._by_name[name]
end

return sold
