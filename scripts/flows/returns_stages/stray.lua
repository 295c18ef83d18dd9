--- A credit note of Khaos without our reference: a person booked it, on a sales order or on none.
--- It belongs to an order when it is of that order's customer, fits its units and its money, and
--- fits no other order of the customer. Otherwise a person says to which; nothing is guessed.
local customer_orders = require("flows.customer_orders")
local json = require("neap.json")
local money = require("neap.money")
local order_units = require("flows.order_units")
local plan = require("flows.returns_stages.plan")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local unit_book = require("flows.unit_book")

local stray = {}

stray.CAUSE = "credit_note_unmatched"
--- code of a credit note -> {key} of the order it was taken into
stray.TAKEN = "credit_notes_taken"

--- Whether what a plan credits was invoiced and is not credited yet.
---@param book units.Book
---@param code string
---@param note table
---@return boolean
---@return string|nil subject that is refused
function stray.fits(book, code, note)
    local trial = json.decode(json.encode(book))
    local outcome = unit_book.apply(trial, {kind = "credit", id = "khaos:" .. code,
        origin = "khaos", at_ms = 0, credits = note.credits,
        goodwill_minor = note.goodwill_minor})
    local refused = outcome.refused[1]
    return refused == nil, refused and refused.subject
end

local function candidates(snapshot)
    local list = {}
    for _, reference in ipairs(customer_orders.of(snapshot.urn)) do
        local lines = store.get(support.LINES, reference)
        local book = lines and order_units.load(lines.key)
        local note = book and plan.of(book, snapshot.credit)
        if note and stray.fits(book, snapshot.order_code, note) then
            list[#list + 1] = {reference = reference, lines = lines}
        end
    end
    return list
end

-- The order that the reason of a release names, by any of its names.
local function named(job, snapshot)
    local event = job:overtaken("released." .. stray.CAUSE)
    local reason = event and (json.decode(event.payload) or {}).reason
    local found
    for word in (type(reason) == "string" and reason or ""):gmatch("[%w%-_/]+") do
        local reference = store.get(support.LINES, word) and word
        for _, known in ipairs(customer_orders.of(snapshot.urn)) do
            local lines = store.get(support.LINES, known)
            if lines and (word == lines.order_id or word == lines.order_code) then
                reference = known
            end
        end
        if reference and found and found ~= reference then
            return nil, "the reason names more than one order"
        end
        found = reference or found
    end
    return found, event and not found and "the reason names no order of ours" or nil
end

local function hold(job, snapshot, list, words)
    local names, total = {}, snapshot.credit.total_minor
    for i, entry in ipairs(list) do
        names[i] = string.format("%s (sales order %s)", entry.lines.order_id,
            entry.lines.order_code)
    end
    local about = #names == 0 and "it fits no order of this customer"
        or "it fits " .. table.concat(names, ", ")
    job:hold{{cause = stray.CAUSE, subject = snapshot.order_code, recheck = "proof",
        message = string.format("Credit note %s of customer %s over %s names no order: %s%s",
            snapshot.order_code, snapshot.urn or "?",
            total and money.to_text(total, snapshot.credit.currency) or "?", about,
            words and "; " .. words or ""),
        remedy = "Release this with the order's number as the reason, or enter our reference on "
            .. "the credit note in Khaos. Dismiss it if it belongs to no order of the shop."}}
end

local function pass_on(job, said, snapshot, reference)
    local lines = store.get(support.LINES, reference)
    job:emit({source = "khaos.credit_note.matched",
        id = snapshot.order_code .. ":" .. said.number,
        key = "returns:" .. lines.key, about = lines.key, name = "khaos.credit_note",
        payload = {reference = reference, seen_as = said.seen_as, number = said.number}})
    job:note("returns", string.format("credit note %s belongs to order %s", snapshot.order_code,
        lines.order_id))
end

--- The job of "khaos.stray_credit".
---@async
---@param job neap.Job
---@param said {seen_as: string, number: integer}
---@param seen table its newest snapshot
function stray.run(job, said, seen)
    local snapshot = seen.snapshot
    local taken = store.get(stray.TAKEN, snapshot.order_code)
    if taken then -- the order's job sees what has changed since
        pass_on(job, said, snapshot, support.record(taken.key).reference)
        return
    elseif snapshot.state ~= "issued" or #customer_orders.of(snapshot.urn) == 0 then
        return -- nobody's money yet, or of somebody who never bought through us
    end
    local reference, words = named(job, snapshot)
    local list = candidates(snapshot)
    if reference then
        pass_on(job, said, snapshot, reference)
    elseif #list == 1 and not words then
        pass_on(job, said, snapshot, list[1].reference)
    else
        hold(job, snapshot, list, words)
    end
end

return stray
