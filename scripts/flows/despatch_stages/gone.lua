--- Units that SCAYLE cancelled, as Khaos sends the rest: SCAYLE is never told that one left, the
--- book is, and the orders flow asks a person (flows.unit_stages.look).
local events = require("flows.unit_stages.events")
local json = require("neap.json")
local order_units = require("flows.order_units")
local refund_book = require("flows.refund_book")
local time = require("neap.time")
local unit_book = require("flows.unit_book")

local gone = {}

--- Those of the units that SCAYLE can be told of.
---@param book units.Book
---@param units string[]
---@return string[]
function gone.without(book, units)
    local told = json.array({})
    for _, id in ipairs(units) do
        told[#told + 1] = not refund_book.is_gone(book, id) and id or nil
    end
    return told
end

local function look(job, key, id)
    job:emit(events.look("khaos.units", key .. ":" .. id, key, job.settings.orders_flow))
end

--- A parcel held units that SCAYLE had cancelled.
---@param job neap.Job
---@param key string of the order
---@param parcel_id string
function gone.have_left(job, key, parcel_id)
    look(job, key, parcel_id)
    job:note("despatch", "parcel " .. parcel_id .. " holds units that were cancelled in SCAYLE")
end

--- Everything of the order has left Khaos: what SCAYLE cancelled and no parcel held never will.
---@param job neap.Job
---@param key string of the order
function gone.never_left(job, key)
    local count = order_units.change(key, function(book)
        local units = {}
        for _, unit in ipairs(book.units) do
            local is_out = unit_book.state(unit) == "open" and refund_book.is_gone(book, unit.id)
            units[#units + 1] = is_out and unit.id or nil
        end
        if #units > 0 then
            unit_book.apply(book, {kind = "cancel", origin = "scayle", at_ms = time.now_ms(),
                id = "khaos:complete:" .. events.name_of(units), units = units})
        end
        return #units
    end)
    if count > 0 then
        look(job, key, "complete")
    end
end

return gone
