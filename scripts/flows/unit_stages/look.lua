--- The job of an event "units.cancelled": what SCAYLE shows as cancelled and Khaos still has is
--- taken out of the sales order, by Khaos's add-on where the client has it, else by a person. Each
--- look compares anew, so it does not matter in which order things became known.
---
---     not posted yet                      it is mapped without them
---     nothing of the order is left        CancelOrder, else "cancel_in_khaos"
---     a part is left, nothing has left    AmendOrder, else "amend_in_khaos"
---     a part has left already             "amend_in_khaos"
---     the units themselves have left      "cancel_too_late"
local json = require("neap.json")
local open = require("flows.order_stages.open")
local order_units = require("flows.order_units")
local orders = require("connectors.scayle.orders")
local read = require("flows.orders.read")
local refund_book = require("flows.refund_book")
local support = require("flows.order_stages.support")
local take_out = require("flows.unit_stages.take_out")
local time = require("neap.time")
local unit_book = require("flows.unit_book")
local wanted = require("flows.unit_stages.wanted")

local function set_of(list)
    local set = {}
    for _, id in ipairs(list or {}) do
        set[id] = true
    end
    return set
end

---@class units.Comparison
---@field open string[] units that SCAYLE cancelled and Khaos still has
---@field left string[] that have left
---@field out table<string, true> cancelled on either side
---@field kept integer units that are here and wanted
---@field shipped integer units that have left
---@field minor integer what the shopper paid for the open ones

-- Units that Khaos itself is cancelling are on their way out: SCAYLE's cancellation is the echo.
local function compare(book, gone)
    local found = {open = json.array({}), left = json.array({}), out = {}, minor = 0, kept = 0,
        shipped = 0}
    local own, leaving = set_of(book.cancelling), {}
    for _, planned in pairs(book.parcels or {}) do
        for _, id in ipairs(planned.units) do
            leaving[id] = true -- SCAYLE is being told
        end
    end
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

-- Told once per unit.
local function tell_late(job, key, record, left)
    local new = order_units.change(key, function(book)
        local late, count = refund_book.of(book).late, 0
        for _, id in ipairs(left) do
            count = count + (late[id] and 0 or 1)
            late[id] = late[id] or time.now_ms()
        end
        return count
    end)
    if new == 0 then
        return
    end
    job:open_exception({cause = "cancel_too_late", subject = record.order_id,
        message = string.format("%d units of order %s were cancelled in SCAYLE, but have left",
            #left, record.order_id),
        remedy = "Stop the parcel, or see that the shopper pays or sends it back; then close this.",
        recheck = "manual"})
end

local function fetch(work)
    local answer, err = work.job:step("fetch", function()
        local order, problem = orders.get(work.scayle, work.where, work.order_id)
        return order and {order = order}, problem
    end)
    return support.check(work, "SCAYLE", answer, err).order
end

-- Despatch leaves these out while there are others of their code.
local function remember_gone(key, ids)
    order_units.change(key, function(book)
        refund_book.tell_gone(book, ids, time.now_ms())
    end)
end

-- Our units that SCAYLE shows as cancelled, also those that had left before.
local function cancelled_units(work)
    local ids = {}
    for _, item in ipairs(read.table(work.order, "items")) do
        if read.is_ours(item, work.settings.merchant_key) and orders.is_item_cancelled(item) then
            ids[#ids + 1] = read.text(item, "id")
        end
    end
    return ids
end

local function look(job, key)
    local record = support.record(key)
    if not record.order_code or not order_units.load(key) then
        return -- not posted: it is mapped without them, or looked at once it is
    end
    local work = open.of_record(job, record)
    work.key, work.record = key, record
    wanted.prove(work)
    work.order = fetch(work)
    local ids = cancelled_units(work)
    remember_gone(key, ids)
    -- Remembered: once Khaos was asked, a repeat asks for the same, whatever is known by then.
    local found = job:step("compare", function()
        return compare(order_units.load(key), set_of(ids))
    end)
    tell_late(job, key, record, found.left)
    if #found.open == 0 then
        wanted.close(job, key, "nothing is to be taken out of " .. record.order_code)
    elseif not wanted.is_for(wanted.get(key), found.open) then
        take_out(work, found)
    end
end

--- One look.
---@async
---@param job neap.Job
return function(job)
    local key = json.decode(job.event.payload).order_key
    look(job, key)
    wanted.looked(job, key)
end
