--- Takes a credit note of Khaos into the order's book, tells SCAYLE which units came back and,
--- where a client asks for it, what money Khaos alone gave back.
local cancelled = require("flows.returns_stages.cancelled")
local changed = require("flows.returns_stages.changed")
local goodwill = require("flows.returns_stages.goodwill")
local json = require("neap.json")
local money = require("neap.money")
local order_units = require("flows.order_units")
local parcels = require("flows.despatch_stages.parcels")
local plan = require("flows.returns_stages.plan")
local process = require("flows.returns_stages.process")
local refund = require("flows.returns_stages.refund")
local refund_book = require("flows.refund_book")
local store = require("neap.store")
local stray = require("flows.returns_stages.stray")
local support = require("flows.order_stages.support")
local tell_units = require("flows.returns_stages.tell_units")
local time = require("neap.time")
local unit_book = require("flows.unit_book")
local worklist = require("flows.returns_stages.worklist")

local take = {}

local SEEN = "despatch_seen"
local DISMISSED = "dismissed.refused_by_scayle"
local FIRST_WAIT_MS = 500
local LONGEST_WAIT_MS = 300000

local function hold(job, cause, subject, message, remedy)
    job:hold{{cause = cause, subject = subject, message = message, remedy = remedy,
        recheck = "manual"}}
end

local function hold_exceeding(job, lines, book, seen, subject)
    local function text(minor)
        return money.to_text(minor, book.currency)
    end
    hold(job, "credit_exceeds_invoice", seen.snapshot.order_code, string.format(
        "Credit note %s of order %s over %s %s credits more than was invoiced (%s): invoiced %s, "
            .. "credited before %s", seen.snapshot.order_code, lines.order_id,
        text(seen.snapshot.credit.total_minor), book.currency, subject,
        text(unit_book.invoiced(book)), text(unit_book.credited(book))),
        "Correct the credit note in Khaos, then release this.")
end

-- Parcels that Khaos shows and SCAYLE is not told of yet.
local function has_untold_parcels(lines, reference)
    local seen, book = store.get(SEEN, reference), order_units.load(lines.key)
    return seen ~= nil and book ~= nil and parcels.are_open(book, seen.snapshot)
end

-- Goods come back after they were sent, but the feed tells of both at once: despatch comes first.
local function await_parcels(job, lines, reference, code)
    local number, waited_ms, wait_ms = 0, 0, FIRST_WAIT_MS
    while waited_ms < job.settings.parcel_wait_ms and has_untold_parcels(lines, reference) do
        number = number + 1
        job:sleep(string.format("parcels before %s %d", code, number), wait_ms)
        waited_ms, wait_ms = waited_ms + wait_ms, math.min(wait_ms * 2, LONGEST_WAIT_MS)
    end
end

-- The note that SCAYLE was told of, or that the book holds.
local function taken_note(book, code)
    local note = book and book.credit_notes and book.credit_notes[code]
    return note and (note.told or book.changes["khaos:" .. code]) and note or nil
end

local function note_of(job, lines, seen, book)
    local code, credit = seen.snapshot.order_code, seen.snapshot.credit
    local replaced = book and changed.replaced_by(job, book, credit)
    if replaced then
        return changed.replacement(replaced)
    end
    local note, problem = nil, "the order has no book of units"
    if book then
        note, problem = plan.of(book, credit)
    end
    if not note then
        hold(job, "return_unmatched", code, string.format(
            "Credit note %s does not fit order %s: %s", code, lines.order_id, problem),
            "Correct it in Khaos and close this, or enter the return in SCAYLE by hand and "
                .. "dismiss it.")
    end
    local fits, subject = stray.fits(book, code, note)
    if not fits then
        hold_exceeding(job, lines, book, seen, subject)
    end
    note.units, note.own_minor = json.array(note.units), refund_book.own_money(book, note)
    return note
end

-- What the credit note means. It is thought out anew until something of it was told, so that a
-- note that was corrected in Khaos is read as it is now.
local function planned(job, lines, seen)
    local book = order_units.load(lines.key)
    local code = seen.snapshot.order_code
    if taken_note(book, code) then
        return
    elseif book and book.credit_notes then
        book.credit_notes[code] = nil
    end
    local note = note_of(job, lines, seen, book)
    note.credit, note.created_on = seen.snapshot.credit, seen.snapshot.created_on
    order_units.change(lines.key, function(own)
        own.credit_notes = own.credit_notes or {}
        own.credit_notes[code] = note
        if note.replaces then
            changed.take_place(own, code, note.replaces)
        end
    end)
    store.put(stray.TAKEN, code, {key = lines.key})
end

local function mark(lines, code, note)
    local now_ms = time.now_ms()
    local outcome = order_units.change(lines.key, function(book)
        unit_book.apply(book, {kind = "return", id = "khaos:goods:" .. code, origin = "khaos",
            at_ms = now_ms, units = note.units})
        return unit_book.apply(book, {kind = "credit", id = "khaos:" .. code, origin = "khaos",
            at_ms = now_ms, credits = note.credits, goodwill_minor = note.goodwill_minor,
            net_minor = note.credit.net_minor})
    end)
    return outcome.refused[1], order_units.load(lines.key)
end

local function take_credit_note(job, said)
    local seen = store.get(SEEN, said.seen_as)
    local lines = store.get(support.LINES, said.reference)
    local snapshot, code = seen.snapshot, seen.snapshot.order_code
    if snapshot.state ~= "issued" and not taken_note(order_units.load(lines.key), code) then
        job:note("returns", string.format("credit note %s is %s in Khaos: nothing is told", code,
            snapshot.state == "draft" and "not issued" or "cancelled"))
        return
    end
    await_parcels(job, lines, said.reference, code)
    if order_units.load(lines.key) then
        tell_units.take_in_returns(job, lines, "order before " .. code)
    end
    planned(job, lines, seen)
    local note = tell_units.run(job, lines, code)
    local refused, book = mark(lines, code, note)
    if refused then -- another credit came while SCAYLE was told
        hold_exceeding(job, lines, book, seen, refused.subject)
    end
    job:close_exception(stray.CAUSE, code, "it belongs to order " .. lines.order_id)
    goodwill.tell(job, lines, code, note)
    worklist.settle(job, lines.key, "credited by " .. code)
    cancelled.tell(job, lines.key, "after " .. code)
    process.close(job, order_units.load(lines.key), lines.order_id, "credited by " .. code)
    changed.settle(job, lines, code)
    job:note("returns", string.format("credit note %s: %d units back, %s %s credited", code,
        #note.units, money.to_text(note.credit.total_minor, lines.currency), lines.currency))
end

-- A person has dealt with what SCAYLE refused: it is not told any more, but Khaos's credit counts.
-- Gives what the credit note is seen as, when it is taken here.
local function take_dismissed(job, said)
    local order_key, seen_as = job.key:match("^returns:(.*)$"), "credit:" .. said.subject
    if not order_key or not store.get(SEEN, seen_as)
        or not tell_units.leave_to_person(order_key, said.subject) then
        return nil
    end
    job:note("returns", string.format("credit note %s: %s has dealt with what SCAYLE refused: %s",
        said.subject, said.by, said.reason))
    take_credit_note(job, {seen_as = seen_as,
        reference = support.record(order_key).reference})
    return seen_as
end

local RUNS = {
    [DISMISSED] = take_dismissed,
    ["khaos.credit_note"] = take_credit_note,
    ["khaos.stray_credit"] = function(job, said)
        stray.run(job, said, store.get(SEEN, said.seen_as))
    end,
    [process.EVENT] = process.run,
}
for _, name in ipairs({"scayle.returned", "scayle.refund"}) do
    RUNS[name] = refund.run
end

--- The job of one event.
---@async
---@param job neap.Job
function take.run(job)
    if job.event.name == "schedule.sweep" then
        require("flows.returns_stages.sweep")(job)
        return
    elseif job.key:find(goodwill.KEY, 1, true) == 1 then
        local order_key = goodwill.run(job)
        if order_key then
            worklist.settle(job, order_key, "SCAYLE knows of a goodwill")
        end
        return
    end
    local run, dismissal, taken = RUNS[job.event.name], job:overtaken(DISMISSED), nil
    if dismissal then -- jobs behind the dismissed one hear of it first
        taken = take_dismissed(job, assert(json.decode(dismissal.payload)))
    end
    local said = run and assert(json.decode(job.event.payload))
    if run and (not taken or said.seen_as ~= taken) then
        run(job, said)
    end
end

return take
