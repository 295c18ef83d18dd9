--- A credit note that is changed or cancelled in Khaos after it was taken. What SCAYLE was told of
--- cannot be taken back, and the book keeps what was credited then: a person is told, with both
--- figures, until Khaos shows again what was taken, or a credit note for the same takes its place.
local json = require("neap.json")
local money = require("neap.money")
local order_units = require("flows.order_units")
local store = require("neap.store")

local changed = {}

changed.CAUSE = "credit_note_changed"

local SEEN = "despatch_seen"
local STATES = {draft = "it is not issued any more", cancelled = "it is cancelled"}

-- "1 x SOCK, 2 x TEE and 20.00 GBP": the same for every order of the same items.
local function figures(credit)
    local by_code, words = {}, {}
    for _, item in ipairs(credit.items) do
        by_code[item.stock_code] = (by_code[item.stock_code] or 0) + item.quantity
    end
    for code, quantity in pairs(by_code) do
        words[#words + 1] = string.format("%d x %s", quantity, code)
    end
    table.sort(words)
    local total = credit.total_minor and money.to_text(credit.total_minor, credit.currency) or "?"
    return string.format("%s and %s %s", #words > 0 and table.concat(words, ", ") or "no goods",
        total, credit.currency or "?")
end

--- A draft may be issued again.
local function is_cancelled(code)
    local seen = store.get(SEEN, "credit:" .. code)
    return seen ~= nil and seen.snapshot.state == "cancelled"
end

--- The taken credit note of the book that this one is entered instead of: cancelled since, for the
--- same goods and the same money, and no person has settled that another way.
---@param job neap.Job
---@param book units.Book
---@param credit table of a snapshot
---@return string|nil code
function changed.replaced_by(job, book, credit)
    for code, note in pairs(book.credit_notes or {}) do
        local is_settled = note.changed and not job:exception(changed.CAUSE, code)
        if note.told and not note.replaced_by and not is_settled and is_cancelled(code)
            and figures(note.credit) == figures(credit) then
            return code
        end
    end
    return nil
end

---@param book units.Book changed in place
---@param code string
---@param replaced string
function changed.take_place(book, code, replaced)
    local old = book.credit_notes[replaced]
    old.replaced_by, old.changed = code, nil
end

--- What a credit note means that takes another's place: nothing is new.
---@param replaced string
---@return table note
function changed.replacement(replaced)
    return {units = json.array({}), told = json.array({}), credits = {}, goodwill_minor = 0,
        own_minor = 0, replaces = replaced}
end

local function message_of(lines, code, note, snapshot)
    local taken, shown = figures(note.credit), figures(snapshot.credit)
    local is_issued = snapshot.state == "issued"
    if note.replaced_by then
        return is_issued and string.format("Credit note %s of order %s over %s is issued in Khaos "
            .. "again, beside %s, which took its place", code, lines.order_id, shown,
            note.replaced_by) or nil
    elseif is_issued and taken == shown then
        return nil
    end
    return string.format("Credit note %s of order %s was taken with %s; in Khaos %s", code,
        lines.order_id, taken, STATES[snapshot.state] or "it is over " .. shown .. " now")
end

--- Opens, rewords or closes what a person is told of a taken credit note.
---@param job neap.Job
---@param lines table
---@param code string
---@param snapshot khaos.Snapshot
function changed.settle(job, lines, code, snapshot)
    local book = order_units.load(lines.key)
    local note = book.credit_notes[code]
    local message = message_of(lines, code, note, snapshot)
    if note.replaces then
        job:close_exception(changed.CAUSE, note.replaces, "replaced by " .. code)
        job:note("returns", string.format("credit note %s takes the place of %s, which is "
            .. "cancelled", code, note.replaces))
    end
    if message and message ~= note.changed then
        job:open_exception({cause = changed.CAUSE, subject = code, message = message,
            recheck = "manual", remedy = string.format("SCAYLE was told of what was taken, and the "
                .. "shopper has that money. Make Khaos's credit notes of sales order %s come to "
                .. "it again: a new credit note for the same as the cancelled one closes this; "
                .. "otherwise settle the difference with the shopper, then dismiss this.",
                lines.order_code or "?")})
    elseif not message and note.changed then
        job:close_exception(changed.CAUSE, code, "Khaos shows what was taken")
    end
    if message ~= note.changed then
        order_units.change(lines.key, function(own)
            own.credit_notes[code].changed = message
        end)
    end
end

return changed
