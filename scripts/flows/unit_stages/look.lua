--- The job of an event "units.cancelled": what SCAYLE shows as cancelled and Khaos still has is
--- taken out of the sales order, by Khaos's add-on where the client has it, else by a person. Each
--- look compares anew, so it does not matter in which order things became known.
---
---     not posted yet                      it is mapped without them
---     nothing of the order is left        CancelOrder, else "cancel_in_khaos"
---     a part is left, nothing has left    AmendOrder, else "amend_in_khaos"
---     a part has left already             "amend_in_khaos"
---     the units themselves have left      "cancel_too_late"
local amending = require("flows.unit_stages.amending")
local compare = require("flows.unit_stages.compare")
local json = require("neap.json")
local open = require("flows.order_stages.open")
local order_units = require("flows.order_units")
local refund_book = require("flows.refund_book")
local support = require("flows.order_stages.support")
local take_out = require("flows.unit_stages.take_out")
local time = require("neap.time")
local wanted = require("flows.unit_stages.wanted")

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

-- Despatch leaves these out while there are others of their code.
local function remember_gone(key, ids)
    order_units.change(key, function(book)
        refund_book.tell_gone(book, ids, time.now_ms())
    end)
end

local function look(job, key)
    local record = support.record(key)
    if not record.order_code or not order_units.load(key) then
        return -- not posted: it is mapped without them, or looked at once it is
    end
    local work = open.of_record(job, record)
    work.key, work.record = key, record
    wanted.prove(work)
    work.order = compare.fetch(work)
    local ids = compare.shown_cancelled(work)
    remember_gone(key, ids)
    -- Remembered: once Khaos was asked, a repeat asks for the same, whatever is known by then.
    local found = job:step("compare", function()
        return compare.of(order_units.load(key), ids)
    end)
    tell_late(job, key, record, found.left)
    if amending.is_lost(key) and wanted.get(key) and found.kept > 0 then
        return -- a person is told of that, and it is judged when Khaos shows the order
    elseif #found.open == 0 then
        wanted.close(job, key, "nothing is to be taken out of " .. record.order_code)
    elseif not wanted.is_for(wanted.get(key), found.open) then
        local entry, is_out, words = take_out(work, found)
        if not is_out then
            wanted.open(work, entry, words)
        end
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
