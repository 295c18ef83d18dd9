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

local function code_of(book)
    local is_all = unit_book.credited(book) == unit_book.invoiced(book)
        and not unit_book.summary(book).open
    return is_all and billing.WHOLLY or billing.PARTIALLY
end

-- Keeps what is told: a repeat tells the same.
local function planned(lines, code, note)
    note.status = note.status or order_units.change(lines.key, function(book)
        book.credit_notes[code].status = code_of(book)
        return book.credit_notes[code].status
    end)
    return note.status
end

local function record_in_scayle(job, lines, code, status)
    local scayle = scayle_client.new(job.settings.scayle)
    local where = {shop_key = lines.shop_key, country = lines.country}
    local reason = job.settings.goodwill_reason:gsub("{credit_note}", (code:gsub("%%", "%%%%")))
    local shown, trouble = job:step("billing status", function()
        return billing.code(scayle, where, lines.order_id)
    end)
    support.check({job = job}, "SCAYLE", shown, trouble)
    if billing.is_reached(shown, status) then
        return "SCAYLE shows it already"
    end
    local result, err = job:effect({
        connection = scayle.connection, name = "billing_status", class = "lookup",
        key = lines.key .. "/" .. code,
        request = function()
            return billing.request(where, lines.order_id, status, reason)
        end,
        read = billing.read,
        lookup = function()
            return billing.lookup(scayle, where, lines.order_id, status)
        end,
    })
    if result then
        return "told to SCAYLE as " .. status
    elseif err.retryable or err.kind == "cancelled" then
        error(err, 0)
    end
    job:open_exception({cause = "refused_by_scayle", subject = lines.order_id .. " goodwill",
        message = string.format("SCAYLE refused the billing status of order %s (credit note %s): "
            .. "%s", lines.order_id, code, err.message), recheck = "manual",
        remedy = "Note the refund in SCAYLE by hand, then dismiss this."})
    return nil
end

--- Tells SCAYLE of `minor` that a credit note gave back without it.
---@async
---@param job neap.Job
---@param lines table
---@param code string of the credit note
---@param note table as planned
function goodwill.tell(job, lines, code, note)
    local minor = note.own_minor or 0
    if minor == 0 then
        return
    elseif not job.settings.tell_goodwill then
        job:note("returns", "SCAYLE is not told of money that Khaos alone gave back")
        return
    end
    local words = record_in_scayle(job, lines, code, planned(lines, code, note))
    if words then
        order_units.change(lines.key, function(book)
            refund_book.told(book, "khaos:" .. code, minor, time.now_ms())
        end)
        job:note("returns", words)
    end
end

return goodwill
