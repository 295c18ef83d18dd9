--- Money that Khaos alone gave back, goodwill or a delivery charge without goods, told to SCAYLE as
--- a billing status (contract 3.5): the shop shows it, no money moves. Only where a client asks for
--- it.
local billing = require("connectors.scayle.billing")
local json = require("neap.json")
local order_units = require("flows.order_units")
local refund_book = require("flows.refund_book")
local scayle_client = require("connectors.scayle.client")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local time = require("neap.time")
local unit_book = require("flows.unit_book")

local goodwill = {}

goodwill.EVENT = "khaos.goodwill_refused"
goodwill.KEY = "goodwill:" -- and the order's key, and the credit note's code

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

local function subject_of(lines, code)
    return lines.order_id .. " goodwill " .. code
end

-- Gives what SCAYLE refused for good; nil when it is told.
local function try(job, lines, code, minor)
    local result, err = record_in_scayle(job, lines, code)
    if not result and (err.retryable or err.kind == "cancelled") then
        error(err, 0)
    elseif not result then
        return err
    end
    local status = order_units.change(lines.key, function(book)
        refund_book.told(book, "khaos:" .. code, minor, time.now_ms())
        return book.credit_notes[code].status
    end)
    job:close_exception(REFUSED, subject_of(lines, code), "told to SCAYLE")
    job:note("returns", "told to SCAYLE as " .. status)
    return nil
end

-- What is left to be told of a note; nil when nothing is.
local function untold(lines, note, code)
    local minor = note.own_minor or 0
    local is_told = refund_book.of(order_units.load(lines.key)).told["khaos:" .. code] ~= nil
    return minor ~= 0 and not is_told and minor or nil
end

--- Tells SCAYLE of what a credit note gave back without it, once for each note. What it refuses
--- waits for a person with a job of its own: later notes of the order go on.
---@async
---@param job neap.Job
---@param lines table
---@param code string of the credit note
---@param note table as planned
function goodwill.tell(job, lines, code, note)
    local minor = untold(lines, note, code)
    if not minor then
        return
    elseif not job.settings.tell_goodwill then
        job:note("returns", "SCAYLE is not told of money that Khaos alone gave back")
    elseif try(job, lines, code, minor) then
        job:emit({source = "khaos.goodwill", name = goodwill.EVENT, id = lines.key .. "/" .. code,
            key = goodwill.KEY .. lines.key .. "/" .. code, about = lines.key, payload = {}})
    end
end

-- What a person said of what was refused: noted in SCAYLE by hand.
local function dismissed(job, subject)
    local event = job.event.name == "dismissed." .. REFUSED and job.event
        or job:overtaken("dismissed." .. REFUSED)
    local said = event and json.decode(event.payload)
    return said and said.subject == subject and said or nil
end

--- The job on a key of goodwill.KEY: tells what was refused again, or waits for a person.
---@async
---@param job neap.Job
---@return string|nil order_key of an order whose book knows it as told now
function goodwill.run(job)
    local order_key, code = job.key:match("^" .. goodwill.KEY .. "([^/]*)/(.*)$")
    local lines = store.get(support.LINES, support.record(order_key).reference)
    local book = order_units.load(order_key)
    local minor = untold(lines, book.credit_notes[code] or {}, code)
    if not minor then
        return nil
    end
    local said = dismissed(job, subject_of(lines, code))
    if said then
        order_units.change(order_key, function(own)
            refund_book.told(own, "khaos:" .. code, minor, time.now_ms())
        end)
        job:note("returns", string.format("noted in SCAYLE by %s: %s", said.by, said.reason))
        return order_key
    end
    local err = try(job, lines, code, minor)
    if err then
        job:hold{{cause = REFUSED, subject = subject_of(lines, code), recheck = "manual",
            message = string.format("SCAYLE refused the billing status of order %s (credit note "
                .. "%s): %s", lines.order_id, code, err.message),
            remedy = "Note the refund in SCAYLE by hand, then dismiss this: it counts as told. "
                .. "Released, it is told again."}}
    end
    return order_key
end

return goodwill
