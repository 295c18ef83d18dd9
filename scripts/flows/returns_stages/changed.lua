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

-- What Khaos shows of a credit note now.
local function shown(code)
    local seen = store.get(SEEN, "credit:" .. code)
    return seen and seen.snapshot
end

-- A credit note and those that took its place one after the other, oldest first.
local function family(book, code)
    local notes, list = book.credit_notes, {}
    while notes[code].replaces do
        code = notes[code].replaces
    end
    while code do
        list[#list + 1] = code
        code = notes[code].replaced_by
    end
    return list
end

-- The one of a family that is issued in Khaos over what was taken: the money is there once.
local function standing(book, codes)
    for i = #codes, 1, -1 do
        local snapshot = shown(codes[i])
        if snapshot and snapshot.state == "issued"
            and figures(snapshot.credit) == figures(book.credit_notes[codes[i]].credit) then
            return codes[i]
        end
    end
    return nil
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
        local snapshot = shown(code)
        -- A draft may be issued again.
        if note.told and not note.replaced_by and not is_settled and snapshot
            and snapshot.state == "cancelled" and figures(note.credit) == figures(credit)
            and not standing(book, family(book, code)) then
            return code
        end
    end
    return nil
end

---@param book units.Book changed in place
---@param code string
---@param replaced string
function changed.take_place(book, code, replaced)
    book.credit_notes[replaced].replaced_by = code
end

--- What a credit note means that takes another's place: nothing is new.
---@param replaced string
---@return table note
function changed.replacement(replaced)
    return {units = json.array({}), told = json.array({}), credits = {}, goodwill_minor = 0,
        own_minor = 0, replaces = replaced}
end

-- What a person is told of a member of a family: that money is there twice, or not as it was taken.
-- Where none is issued the newest says it for all.
local function message_of(lines, book, codes, code)
    local snapshot, note = shown(code), book.credit_notes[code]
    if not snapshot then
        return note.changed -- it was erased
    end
    local stands, is_issued = standing(book, codes), snapshot.state == "issued"
    if stands == code or not is_issued and (stands or code ~= codes[#codes]) then
        return nil
    elseif stands then
        return string.format("Credit note %s of order %s over %s is issued in Khaos again, beside "
            .. "%s, which took its place", code, lines.order_id, figures(snapshot.credit), stands)
    end
    return string.format("Credit note %s of order %s was taken with %s; in Khaos %s", code,
        lines.order_id, figures(note.credit),
        STATES[snapshot.state] or "it is over " .. figures(snapshot.credit) .. " now")
end

local function ask(job, lines, code, message)
    job:open_exception({cause = changed.CAUSE, subject = code, message = message,
        recheck = "manual", remedy = string.format("SCAYLE was told of what was taken, and the "
            .. "shopper has that money. Make Khaos's credit notes of sales order %s come to "
            .. "it again: a new credit note for the same as the cancelled one closes this; "
            .. "otherwise settle the difference with the shopper, then dismiss this.",
            lines.order_code or "?")})
end

--- Opens, rewords or closes what a person is told of a taken credit note and those in its place.
---@param job neap.Job
---@param lines table
---@param code string
function changed.settle(job, lines, code)
    local book = order_units.load(lines.key)
    local codes, messages = family(book, code), {}
    for _, member in ipairs(codes) do
        local message, before = message_of(lines, book, codes, member),
            book.credit_notes[member].changed
        messages[member] = message
        if message and message ~= before then
            ask(job, lines, member, message)
        elseif before and not message then
            job:close_exception(changed.CAUSE, member, "Khaos shows what was taken, as "
                .. (standing(book, codes) or codes[#codes]))
        end
    end
    order_units.change(lines.key, function(own)
        for _, member in ipairs(codes) do
            own.credit_notes[member].changed = messages[member]
        end
    end)
end

return changed
