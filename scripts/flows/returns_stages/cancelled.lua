--- Units that SCAYLE shows as cancelled: the orders flow takes them out of the sales order
--- (flows.unit_stages.look). Its webhooks tell it; here is what they missed.
local events = require("flows.unit_stages.events")
local order_units = require("flows.order_units")
local refund_book = require("flows.refund_book")
local unit_book = require("flows.unit_book")
local wanted = require("flows.unit_stages.wanted")

local cancelled = {}

local function is_listed(order_key, ids)
    local known, entry = {}, wanted.get(order_key)
    for _, id in ipairs(entry and entry.units or {}) do
        known[id] = true
    end
    for _, id in ipairs(ids) do
        if not known[id] then
            return false
        end
    end
    return true
end

--- Tells of what an order's book says, unless a person is asked for it already.
---@param job neap.Job
---@param order_key string
---@param id string of the message that showed it
function cancelled.tell(job, order_key, id)
    if not is_listed(order_key, refund_book.open(order_units.load(order_key)).cancelled) then
        job:emit(events.look("returns.cancelled", order_key .. ":" .. id, order_key,
            job.settings.orders_flow))
    end
end

--- Is this unit, which SCAYLE shows as cancelled, news?
---@param book units.Book
---@param id string
---@return boolean
function cancelled.is_news(book, id)
    local unit = unit_book.unit(book, id)
    for _, told in ipairs(book.cancelling or {}) do
        if told == id then
            return false -- we tell SCAYLE of it ourselves
        end
    end
    return unit ~= nil and not unit.cancelled and not next(unit.credits)
        and not refund_book.of(book).late[id] and not is_listed(book.key, {id})
end

return cancelled
