--- What an order in Khaos comes to by right once units were taken off it: the posting less what was
--- posted for units that are cancelled by now, until its lines follow (flows.unit_stages.smaller).
local history = require("flows.order_history")
local order_units = require("flows.order_units")
local refund_book = require("flows.refund_book")
local unit_book = require("flows.unit_book")

local lowered = {}

---@class orders.Lowered
---@field minor integer posted for units that are cancelled
---@field count integer of them

-- Cancelled units that the lines still hold.
local function cancelled_units(book, posted)
    local units = {}
    for _, line in ipairs(posted.lines) do
        for _, id in ipairs(line.unit_ids or {}) do
            local unit = unit_book.unit(book, id)
            local is_out = unit and unit_book.state(unit) == "cancelled"
            units[#units + 1] = is_out and unit or nil
        end
    end
    return units
end

---@param key string of the order
---@param posted table of support.LINES
---@return orders.Lowered
function lowered.of(key, posted)
    local book, sum = order_units.load(key), {minor = 0, count = 0}
    for _, unit in ipairs(book and cancelled_units(book, posted) or {}) do
        sum.minor, sum.count = sum.minor + unit.paid_minor, sum.count + 1
    end
    return sum
end

--- Are units of it on their way out of Khaos or SCAYLE, so that its total is not settled? Taken off
--- by a person in Khaos, the book follows when the order is complete.
---@param key string
---@param posted table of support.LINES
---@param off orders.Lowered
---@param found table as khaos_soap.orders.find gives it
---@return boolean
function lowered.is_open(key, posted, off, found)
    local book, last = order_units.load(key), history.newest(key, "read_back") or {}
    if not book then
        return false
    end
    local taken_off = last.quantity and found.quantity and last.quantity - found.quantity or 0
    for _, unit in ipairs(book.units) do
        local is_here = unit_book.state(unit) == "open"
        if is_here and (taken_off > off.count or refund_book.is_gone(book, unit.id)) then
            return true
        end
    end
    local id = "khaos:cancelled:" .. (posted.order_code or "")
    return book.cancelling ~= nil and #book.cancelling > 0 and not book.changes[id]
end

--- What Khaos should show: the posting, or it less these units. Khaos calculates their lines anew,
--- so each may be a penny off, and what of it is net only Khaos knows.
---@param posted table of support.LINES
---@param off orders.Lowered
---@param found table|nil the order as khaos_soap.orders.find gives it
---@return table as far as differing.problem needs it
function lowered.expected(posted, off, found)
    local total, gross = found and found.total_minor, posted.predicted.gross_minor
    if off.count == 0 or not total or total == gross then
        return posted
    end
    local rest = gross - off.minor
    rest = math.abs(total - rest) <= off.count and total or rest
    return {currency = posted.currency, predicted = {gross_minor = rest,
        net_minor = found.net_minor}}
end

return lowered
