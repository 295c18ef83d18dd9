--- Money that Khaos alone gave back, goodwill or a delivery charge without goods, told to SCAYLE as
--- a billing status (contract 3.5): the shop shows it, no money moves. Only where a client asks for
--- it.
local billing = require("connectors.scayle.billing")
local order_units = require("flows.order_units")
local refund_book = require("flows.refund_book")
local scayle_client = require("connectors.scayle.client")
local support = require("flows.order_stages.support")
local time = require("neap.time")
local unit_book = require("flows.unit_book")

local goodwill = {}

local REFUSED = "refused_by_scayle"

-- The state that is true of the order; one that says more than it is never taken back.
local function status_of(book, shown)
    local is_all = unit_book.credited(book) == unit_book.invoiced(book)
        and not unit_book.summary(book).open
    return (is_all or shown == billing.WHOLLY) and billing.WHOLLY or billing.PARTIALLY
end

-- Keeps what is told, and what SCAYLE showed before: a repeat tells the same.
local function planned(job, lines, code, scayle, where)
    local note = order_units.load(lines.key).credit_notes[code]
    if note.status then
        return note
    end
    local shown, trouble = job:step("billing status " .. code, function()
        return billing.code(scayle, where, lines.order_id)
    end)
    support.check({job = job}, "SCAYLE", shown, trouble)
    return order_units.change(lines.key, function(book)
        local own = book.credit_notes[code]
        own.status, own.status_before = status_of(book, shown), shown
        return own
    end)
end

local function record_in_scayle(job, lines, code)
    local scayle = scayle_client.new(job.settings.scayle)
    local where = {shop_key = lines.shop_key, country = lines.country}
    local note = planned(job, lines, code, scayle, where)
    return job:effect({
        connection = scayle.connection, name = "billing_status", class = "lookup",
        key = lines.key .. "/" .. code,
        request = function()
            local reason = job.settings.goodwill_reason:gsub("{credit_note}",
                (code:gsub("%%", "%%%%")))
            return billing.request(where, lines.order_id, note.status, reason)
        end,
        read = billing.read,
        lookup = function()
            return billing.lookup(scayle, where, lines.order_id, note.status, note.status_before)
        end,
    })
end

local function ask_person(job, lines, code, err)
    job:open_exception({cause = REFUSED, subject = lines.order_id .. " goodwill " .. code,
        message = string.format("SCAYLE refused the billing status of order %s (credit note %s): "
            .. "%s", lines.order_id, code, err.message), recheck = "manual",
        remedy = "Note the refund in SCAYLE by hand, then dismiss this."})
end

--- Tells SCAYLE of what a credit note gave back without it, once for each note.
---@async
---@param job neap.Job
---@param lines table
---@param code string of the credit note
---@param note table as planned
function goodwill.tell(job, lines, code, note)
    local minor, id = note.own_minor or 0, "khaos:" .. code
    if minor == 0 or refund_book.of(order_units.load(lines.key)).told[id] then
        return
    elseif not job.settings.tell_goodwill then
        job:note("returns", "SCAYLE is not told of money that Khaos alone gave back")
        return
    end
    local result, err = record_in_scayle(job, lines, code)
    if not result and (err.retryable or err.kind == "cancelled") then
        error(err, 0)
    elseif not result then
        ask_person(job, lines, code, err)
        return
    end
    local status = order_units.change(lines.key, function(book)
        refund_book.told(book, id, minor, time.now_ms())
        return book.credit_notes[code].status
    end)
    job:close_exception(REFUSED, lines.order_id .. " goodwill " .. code, "told to SCAYLE")
    job:note("returns", "told to SCAYLE as " .. status)
end

return goodwill
