--- Takes a credit note of Khaos, or a return that SCAYLE tells of, into the order's book.
local fulfillment = require("connectors.scayle.fulfillment")
local json = require("neap.json")
local khaos_line = require("flows.khaos_line")
local money = require("neap.money")
local offer = require("flows.returns_stages.offer")
local order_units = require("flows.order_units")
local plan = require("flows.returns_stages.plan")
local scayle_client = require("connectors.scayle.client")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local time = require("neap.time")
local unit_book = require("flows.unit_book")

local take = {}

local SEEN = "despatch_seen"
local WORKLIST = "return_not_in_khaos"

local function hold(job, cause, subject, message, remedy)
    job:hold{{cause = cause, subject = subject, message = message, remedy = remedy,
        recheck = "manual"}}
end

-- ---- a credit note of Khaos ------------------------------------------------------------------

local function planned(job, lines, snapshot)
    local book = order_units.load(lines.key)
    local code = snapshot.order_code
    local note = book and book.credit_notes and book.credit_notes[code]
    if note then
        return note
    end
    local problem = "the order has no book of units"
    if book then
        note, problem = plan.of(book, snapshot.credit)
    end
    if not note then
        hold(job, "return_unmatched", code, string.format(
            "Credit note %s does not fit order %s: %s", code, lines.order_id, problem),
            "Correct it in Khaos and close this, or enter the return in SCAYLE by hand and "
                .. "dismiss it.")
    end
    note.units = json.array(note.units)
    book.credit_notes = book.credit_notes or {}
    book.credit_notes[code] = note
    order_units.save(book)
    return note
end

local function credit(job, lines, code, note)
    local book = order_units.load(lines.key)
    local outcome = unit_book.apply(book, {kind = "credit", id = "khaos:" .. code,
        origin = "khaos", at_ms = time.now_ms(), credits = note.credits,
        goodwill_minor = note.goodwill_minor})
    local refused = outcome.refused[1]
    if refused then
        hold(job, "credit_exceeds_invoice", code, string.format(
            "Credit note %s of order %s credits more than was invoiced (%s)", code,
            lines.order_id, refused.subject),
            "Correct the credit note in Khaos, then close this.")
    end
    order_units.save(book)
end

-- Units that SCAYLE does not know of yet; those it told of itself are left out.
local function untold(book, note)
    local units = {}
    for _, id in ipairs(note.units) do
        if not unit_book.unit(book, id).returned then
            units[#units + 1] = id
        end
    end
    return units
end

local function tell_scayle(job, lines, code, note)
    local book = order_units.load(lines.key)
    if note.told then
        return
    end
    note.told = json.array(untold(book, note))
    book.credit_notes[code].told = note.told
    order_units.save(book)
end

local function send(job, lines, code, units)
    local scayle = scayle_client.new(job.settings.scayle)
    local where = {shop_key = lines.shop_key, country = lines.country}
    local result, err = job:effect({
        connection = scayle.connection, name = "return_units", class = "lookup",
        key = lines.key .. "/" .. code,
        request = function()
            return fulfillment.return_request(job.settings.merchant_key, units, time.now_ms(),
                job.settings.return_reason)
        end,
        read = fulfillment.read,
        lookup = function()
            return fulfillment.lookup_returned(scayle, where, lines.order_id, units)
        end,
    })
    if not result and (err.retryable or err.kind == "cancelled") then
        error(err, 0)
    elseif not result then
        hold(job, "refused_by_scayle", code, string.format(
            "SCAYLE refused the return of order %s (credit note %s): %s", lines.order_id, code,
            err.message), "Compare the order in SCAYLE and Khaos, correct what differs, then "
            .. "close this.")
    end
end

local function mark_returned(lines, code, units)
    local book = order_units.load(lines.key)
    unit_book.apply(book, {kind = "return", id = "khaos:goods:" .. code, origin = "khaos",
        at_ms = time.now_ms(), units = units})
    order_units.save(book)
end

local function take_credit_note(job, said)
    local seen = store.get(SEEN, said.seen_as)
    local lines = store.get(support.LINES, said.reference)
    local code, currency = seen.snapshot.order_code, lines.currency
    local note = planned(job, lines, seen.snapshot)
    tell_scayle(job, lines, code, note)
    if #note.told > 0 then
        send(job, lines, code, note.told)
    end
    mark_returned(lines, code, note.units)
    credit(job, lines, code, note)
    job:note("returns", string.format("credit note %s: %d units back, %s %s credited", code,
        #note.units, money.to_text(seen.snapshot.credit.total_minor, currency), currency))
    if take.open_units(order_units.load(lines.key)) == 0 then
        job:close_exception(WORKLIST, lines.order_id, "credited by " .. code)
    end
end

-- ---- a return that SCAYLE tells of -----------------------------------------------------------

--- Units that came back and are not credited yet.
---@param book units.Book
---@return integer count
---@return table<string, integer> by stock code
---@return integer minor what they cost
function take.open_units(book)
    local count, by_sku, minor = 0, {}, 0
    for _, unit in ipairs(book.units) do
        if unit.returned and unit.returned.origin == "scayle" and not next(unit.credits) then
            count = count + 1
            by_sku[unit.sku] = (by_sku[unit.sku] or 0) + 1
            minor = minor + unit.paid_minor
        end
    end
    return count, by_sku, minor
end

local function worklist(job, book, order_id, order_code)
    local count, by_sku, minor = take.open_units(book)
    if count == 0 then
        return
    end
    local words = {}
    for sku, quantity in pairs(by_sku) do
        words[#words + 1] = string.format("%d x %s", quantity, sku)
    end
    table.sort(words)
    job:open_exception({cause = WORKLIST, subject = order_id, recheck = "proof",
        message = string.format("SCAYLE took back %s of order %s and refunds %s %s",
            table.concat(words, ", "), order_id, money.to_text(minor, book.currency),
            book.currency),
        remedy = string.format("Book the return of %s on sales order %s in Khaos: its credit note "
            .. "closes this.", table.concat(words, ", "), order_code or "?")})
end

local function known_units(book, ids)
    local units = {}
    for _, id in ipairs(ids) do
        if unit_book.unit(book, id) then
            units[#units + 1] = id
        end
    end
    return units
end

local function take_scayle_return(job, said)
    local book = order_units.load(said.order_key)
    local record = support.record(said.order_key)
    if not book then
        job:note("returns", "a return of an order that we did not post")
        return
    end
    local outcome = unit_book.apply(book, {kind = "return", id = "scayle:" .. said.id,
        origin = "scayle", at_ms = job.event.received_ms, units = known_units(book, said.units)})
    order_units.save(book)
    if #outcome.changed == 0 then
        job:note("returns", "the echo of what we told SCAYLE")
        return
    end
    if khaos_line.new(job.settings.khaos).capabilities.create_return then
        local ok, problem = offer.units(job, said.order_key, "scayle:" .. said.id, outcome.changed)
        if ok then
            return
        end
        job:note("returns", "not offered to Khaos: " .. problem)
    end
    worklist(job, book, record.order_id, record.order_code)
end

--- The job of one event.
---@async
---@param job neap.Job
function take.run(job)
    local said = assert(json.decode(job.event.payload))
    if job.event.name == "khaos.credit_note" then
        take_credit_note(job, said)
    elseif job.event.name == "scayle.returned" then
        take_scayle_return(job, said)
    end
end

return take
