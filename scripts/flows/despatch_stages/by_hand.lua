--- Parcels that could not be told, so a person entered them in SCAYLE. Only SCAYLE shows which
--- units they hold: those that it has in a package and no parcel of ours holds.
local compare = require("flows.unit_stages.compare")
local events = require("flows.unit_stages.events")
local fulfillment = require("connectors.scayle.fulfillment")
local order_units = require("flows.order_units")
local time = require("neap.time")
local unit_book = require("flows.unit_book")

local by_hand = {}

local PREFIX = "by_hand:"

-- How many units such parcels hold, math.huge where Khaos does not say; packs leave as other codes,
-- and more of them.
local function expected(book)
    local count = 0
    for _, planned in pairs(book.parcels) do
        for _, item in ipairs(planned.by_hand and planned.items or {}) do
            count = count + item.quantity
        end
        count = planned.by_hand and #planned.items == 0 and math.huge or count
    end
    return count
end

local function found(book)
    local count = 0
    for _, unit in ipairs(book.units) do
        count = count + (unit.shipped and unit.shipped.id:sub(1, #PREFIX) == PREFIX and 1 or 0)
    end
    return count
end

--- Is a unit that is still open perhaps in one of them?
---@param book units.Book
---@return boolean
function by_hand.may_hold(book)
    return expected(book) > found(book)
end

-- Units that can be in a parcel that we did not tell of.
local function free_units(book)
    local units, in_parcels = {}, compare.in_parcels(book)
    for _, unit in ipairs(book.units) do
        if unit_book.state(unit) == "open" and not in_parcels[unit.id] then
            units[#units + 1] = unit.id
        end
    end
    return units
end

--- Books as shipped what SCAYLE shows so.
---@param key string of the order
---@param order table as SCAYLE shows it
---@return integer count of units that no parcel explains, entered by hand or not
function by_hand.learn(key, order)
    return order_units.change(key, function(book)
        local sent = fulfillment.packed(order, free_units(book))
        if #sent > 0 then
            unit_book.apply(book, {kind = "ship", id = PREFIX .. events.name_of(sent),
                origin = "scayle", at_ms = time.now_ms(), units = sent})
        end
        return math.max(0, #sent > 0 and found(book) - expected(book) or 0)
    end)
end

return by_hand
