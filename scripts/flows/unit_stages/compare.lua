--- What is to be cancelled of an order, and what the order's book says of it.
local json = require("neap.json")
local orders = require("connectors.scayle.orders")
local read = require("flows.orders.read")
local support = require("flows.order_stages.support")
local unit_book = require("flows.unit_book")

local compare = {}

local function set_of(list)
    local set = {}
    for _, id in ipairs(list or {}) do
        set[id] = true
    end
    return set
end

---@class units.Comparison
---@field open string[] units that are to be cancelled and Khaos still has
---@field left string[] that have left
---@field out table<string, true> cancelled on either side
---@field kept integer units that are here and wanted
---@field shipped integer units that have left
---@field minor integer what the shopper paid for the open ones

--- Units of parcels that Khaos has sent, also while SCAYLE is being told of them.
---@param book units.Book
---@return table<string, true> ids
function compare.in_parcels(book)
    local ids = {}
    for _, planned in pairs(book.parcels or {}) do
        for _, id in ipairs(planned.units) do
            ids[id] = true
        end
    end
    return ids
end

--- Units that Khaos itself is cancelling are on their way out: SCAYLE's cancellation is the echo.
---@param book units.Book
---@param ids string[] units that are to be cancelled
---@return units.Comparison
function compare.of(book, ids)
    local gone = set_of(ids)
    local found = {open = json.array({}), left = json.array({}), out = {}, minor = 0, kept = 0,
        shipped = 0}
    local own, leaving = set_of(book.cancelling), compare.in_parcels(book)
    for _, unit in ipairs(book.units) do
        local state = unit_book.state(unit)
        local has_left = unit.shipped ~= nil or unit.returned ~= nil or leaving[unit.id] == true
        local is_open = state == "open" and not own[unit.id] and not has_left
        found.shipped = found.shipped + (has_left and 1 or 0)
        if state == "cancelled" or gone[unit.id] then
            found.out[unit.id] = true
        elseif is_open then
            found.kept = found.kept + 1
        end
        if gone[unit.id] and is_open then
            table.insert(found.open, unit.id)
            found.minor = found.minor + unit.paid_minor
        elseif gone[unit.id] and has_left then
            table.insert(found.left, unit.id)
        end
    end
    return found
end

--- The order as SCAYLE shows it.
---@async
---@param work table of the look
---@return table
function compare.fetch(work)
    local answer, err = work.job:step("fetch", function()
        local order, problem = orders.get(work.scayle, work.where, work.order_id)
        return order and {order = order}, problem
    end)
    return support.check(work, "SCAYLE", answer, err).order
end

--- Our units that SCAYLE shows as cancelled, also those that had left before.
---@param work table of the look
---@return string[] ids
function compare.shown_cancelled(work)
    local ids = {}
    for _, item in ipairs(read.table(work.order, "items")) do
        if read.is_ours(item, work.settings.merchant_key) and orders.is_item_cancelled(item) then
            ids[#ids + 1] = read.text(item, "id")
        end
    end
    return ids
end

return compare
