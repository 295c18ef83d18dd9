--- What SCAYLE gave back of an order, beside the book of its units. Pure over the book.
---
--- A refund is known by what it is for, never by the message that told it: each unit and each
--- charge is refunded once, however many webhooks, corrective invoices and sweeps say so, in
--- whatever order. Amounts that messages state are added up, each refund's once; what of them no
--- unit and no charge explains is nobody's to guess.
local refund_fees = require("flows.refund_fees")
local refund_rest = require("flows.refund_rest")
local unit_book = require("flows.unit_book")

local refund_book = {}

---@class refunds.Entry
---@field minor integer
---@field at_ms integer

---@class refunds.Ledger book.refunds
---@field units table<string, refunds.Entry> by item id
---@field fees table<string, refunds.Fee> by category, key, amount, number among equal ones, refund
---@field fee_messages table<string, table<string, integer>> by category, key and amount: how many
---   of these each message refunds that names no refund
---@field refund_fees table<string, table<string, table>> by refund's id, then category and key:
---   {category, key, minors}, what the message about it says that says the most
---@field wholes table<string, refunds.Entry[]> by category and key: what SCAYLE charges, and since
---   when that is known
---@field prices table<string, integer> by item id: what SCAYLE gives back if the unit comes back
---@field stated table<string, refunds.Entry> by reference of the refund
---@field undeliverable table<string, integer> item id -> when it was told
---@field gone table<string, integer> item id -> when SCAYLE first showed it as cancelled
---@field late table<string, integer> item id -> when a person was told that it had left before
---@field cancelled table<string, refunds.Entry> by item id: what SCAYLE gives back for it, if it
---   had taken that
---@field billing string|nil
---@field told table<string, refunds.Entry> change id of a credit -> what SCAYLE was told of it

local CANCELLED = {cancelled = true, canceled = true}
local ROUNDING_MINOR = 1 -- of Khaos, which rounds each line of a credit note

-- Of entries, those known by an instant.
local function sum(amounts, at_ms)
    local total = 0
    for _, entry in pairs(amounts) do
        if type(entry) ~= "table" then
            total = total + entry
        elseif entry.at_ms <= (at_ms or math.maxinteger) then
            total = total + entry.minor
        end
    end
    return total
end

local PARTS = {"units", "fees", "fee_messages", "refund_fees", "wholes", "prices", "stated",
    "undeliverable", "gone", "late", "told", "cancelled"}

-- Records of before cancelled units had amounts of their own: their sum counts when it is theirs.
-- What SCAYLE shows at the next look counts anyhow.
local function read_old_cancelled(book, ledger)
    local total, entries = 0, {}
    for id, at_ms in pairs(ledger.gone) do
        entries[id] = {minor = ledger.prices[id] or unit_book.unit(book, id).paid_minor,
            at_ms = at_ms}
        total = total + entries[id].minor
    end
    ledger.cancelled = total == ledger.cancelled_minor and entries or ledger.cancelled
    ledger.cancelled_minor = nil
end

--- The ledger of a book; makes what there is not.
---@param book units.Book
---@return refunds.Ledger
function refund_book.of(book)
    book.refunds = book.refunds or {}
    for _, name in ipairs(PARTS) do
        book.refunds[name] = book.refunds[name] or {}
    end
    if book.refunds.cancelled_minor then
        read_old_cancelled(book, book.refunds)
        refund_fees.read_old(book.refunds)
    end
    return book.refunds
end

--- SCAYLE shows these as cancelled.
---@param book units.Book
---@param ids string[]
---@param at_ms integer
function refund_book.tell_gone(book, ids, at_ms)
    local gone = refund_book.of(book).gone
    for _, id in ipairs(ids) do
        if unit_book.unit(book, id) then
            gone[id] = gone[id] or at_ms
        end
    end
end

--- Does SCAYLE show the unit as cancelled?
---@param book units.Book
---@param id string
---@return boolean
function refund_book.is_gone(book, id)
    return refund_book.of(book).gone[id] ~= nil
end

---@class refunds.News
---@field id string of this look
---@field at_ms integer
---@field message string|nil id of the message, default that of the look
---@field refund_id string|nil that the message names
---@field sale scayle.Aftersale
---@field fees {category: string, key: string, minor: integer}[]|nil
---@field stated {id: string, minor: integer}|nil

-- What SCAYLE gives back for a unit: its price now, less its part of reductions of the whole order.
-- What SCAYLE does about these is not documented; Khaos never invoiced them.
local function refund_of(unit, item)
    return item.minor and math.max(0, item.minor - (unit.reduced_minor or 0)) or unit.paid_minor
end

local function tell_items(book, ledger, news)
    local returned = {}
    for _, item in ipairs(news.sale.items) do
        local unit = unit_book.unit(book, item.id)
        ledger.prices[item.id] = unit and refund_of(unit, item)
        if unit and item.status == "returned" then
            returned[#returned + 1] = not unit.returned and item.id or nil
            ledger.units[item.id] = ledger.units[item.id]
                or {minor = refund_of(unit, item), at_ms = news.at_ms}
        elseif unit and item.status == "undeliverable" and unit.shipped then
            ledger.undeliverable[item.id] = ledger.undeliverable[item.id] or news.at_ms
        elseif unit and CANCELLED[item.status] then
            ledger.cancelled[item.id] = ledger.cancelled[item.id]
                or {minor = refund_of(unit, item), at_ms = news.at_ms}
            ledger.gone[item.id] = ledger.gone[item.id] or news.at_ms
        end
    end
    for group, minor in pairs(news.sale.fees or {}) do
        refund_fees.tell_whole(ledger, group, minor, news.at_ms)
    end
    return returned
end

--- Tells what SCAYLE shows of an order now. Repeats change nothing.
---@param book units.Book changed in place
---@param news refunds.News
---@return string[] new units that came back and that the book did not know of
function refund_book.tell(book, news)
    local ledger = refund_book.of(book)
    local returned = tell_items(book, ledger, news)
    if news.stated and not ledger.stated[news.stated.id] then
        ledger.stated[news.stated.id] = {minor = news.stated.minor, at_ms = news.at_ms}
    end
    refund_fees.tell(book, ledger, news)
    ledger.billing, ledger.billing_ms = news.sale.billing, ledger.billing == news.sale.billing
        and ledger.billing_ms or news.at_ms
    if #returned > 0 then -- the same message may show more when it is looked at again
        unit_book.apply(book, {kind = "return", origin = "scayle", at_ms = news.at_ms,
            id = "scayle:" .. news.id .. ":" .. table.concat(returned, ","), units = returned})
    end
    return returned
end

local REFUNDED = {billing_partially_refunded = true, billing_refunded = true}

-- What SCAYLE was told of each credit, by an instant: left of it, and when.
local function told_by(ledger, at_ms)
    local told = {}
    for id, entry in pairs(ledger.told) do
        if entry.at_ms <= (at_ms or math.maxinteger) then
            told[id] = {minor = entry.minor, at_ms = entry.at_ms}
        end
    end
    return told
end

-- Takes off as much of a credit as SCAYLE was told of.
local function less_told(minor, told)
    local part = told and math.min(minor, told.minor) or 0
    if told then
        told.minor = told.minor - part
    end
    return minor - part
end

local function was_refunded(ledger, charge, at_ms)
    local known, doubtful = refund_fees.of_charge(ledger, charge, at_ms)
    return known + doubtful > 0
end

-- Credits of money, by an instant, that belong to no unit and answer no refund of a charge, less
-- what SCAYLE was told of: goodwill, and charges that it had not refunded when it was told. A
-- charge that was told of may be refunded by SCAYLE later: then it is explained. The book is that
-- of the instant.
local function free_credits(book, ledger, at_ms)
    local told, free = told_by(ledger, at_ms), 0
    for _, charge in ipairs(book.charges) do
        local over = -refund_fees.of_charge(ledger, charge, at_ms)
        for id, minor in pairs(charge.credits) do
            local is_told = told[id] and not was_refunded(ledger, charge, told[id].at_ms)
            over = over + less_told(minor, is_told and told[id] or nil)
        end
        free = free + math.max(0, over)
    end
    for id, minor in pairs(book.goodwill) do
        free = free + less_told(minor, told[id])
    end
    return free
end

local function amounts(entries, at_ms)
    local list = {}
    for _, entry in pairs(entries) do
        local is_known = entry.at_ms <= (at_ms or math.maxinteger)
        list[#list + 1] = is_known and entry.minor or nil
    end
    return list
end

--- What SCAYLE gave back by an instant that no unit and no charge explains, what those do, and what
--- Khaos credited as money: amounts that messages state, and fees that are no charge of the book.
---@param book units.Book of that instant
---@param ledger refunds.Ledger
---@param at_ms integer|nil
---@return refunds.Rest
---@return integer explained by units, charges and cancelled units
function refund_book.rest(book, ledger, at_ms)
    local explained = sum(ledger.units, at_ms)
    for _, charge in ipairs(book.charges) do
        explained = explained + refund_fees.of_charge(ledger, charge, at_ms)
    end
    local loose, doubtful = refund_fees.loose(ledger, at_ms)
    local parts = amounts(ledger.units, at_ms)
    for _, fee in pairs(ledger.fees) do
        parts[#parts + 1] = refund_fees.is_known(fee, at_ms) and fee.minor or nil
    end
    local rest = refund_rest.of{stated = amounts(ledger.stated, at_ms), explained = explained,
        parts = parts, loose = loose, doubtful = doubtful,
        cancelled = amounts(ledger.cancelled, at_ms), credited = free_credits(book, ledger, at_ms)}
    return rest, explained + rest.cancelled_minor
end

-- SCAYLE says that there was a refund, no message says how much, and nothing explains it.
local function is_silent(book, ledger, explained)
    return REFUNDED[ledger.billing or ""] and explained == 0 and not next(ledger.stated)
        and not next(ledger.cancelled) and unit_book.credited(book) == 0
        and not next(ledger.told)
end

-- What credit notes that are on their way into the book credit, by unit and by charge.
local function planned_credits(book)
    local planned = {}
    for code, note in pairs(book.credit_notes or {}) do
        if not book.changes["khaos:" .. code] then
            for _, id in ipairs(note.units) do
                planned[id] = planned[id] or 0
            end
            for _, credit in ipairs(note.credits) do
                local name = credit.unit or credit.charge
                planned[name] = (planned[name] or 0) + credit.minor
            end
        end
    end
    return planned
end

---@class refunds.Open what Khaos lacks
---@field units {id: string, sku: string, minor: integer, invoiced_minor: integer}[] of which
---   nothing is credited
---@field money {charge: string|nil, unit: string|nil, name: string, minor: integer,
---   refund_minor: integer, credited_minor: integer}[] charges, and what the credit of a unit lacks
---@field unexplained_minor integer|nil nil: there is one and nobody knows how much
---@field explained_minor integer
---@field refunded_minor integer
---@field possible_minor integer that cancelled units may explain of it
---@field doubtful {charge: string|nil, name: string, minor: integer, known_minor: integer}[] fees
---   that two messages refund, which may be one refund or two
---@field undeliverable string[] units, neither back nor credited
---@field cancelled string[] units that SCAYLE shows as cancelled and the book does not, less those
---   that it is told of by ourselves and those that a person knows to have left

-- What a credit lacks of a refund, as far as it was invoiced. A line of Khaos may be pennies off
-- what its units cost, and its credit note rounds anew: that is no shortfall.
local function add_money(open, entry, refund_minor, credited_minor, target)
    local minor = math.min(refund_minor, entry.minor or entry.paid_minor) - credited_minor
    local slack = credited_minor > 0 and ROUNDING_MINOR + math.abs(entry.moved_minor or 0) or 0
    if minor > slack then
        target.minor, target.refund_minor, target.credited_minor = minor, refund_minor,
            credited_minor
        table.insert(open.money, target)
    end
end

local function add_unit(open, ledger, unit, planned, is_told)
    local refund = ledger.units[unit.id]
    local is_credited = next(unit.credits) ~= nil or planned[unit.id] ~= nil
    if refund and not is_credited then
        table.insert(open.units, {id = unit.id, sku = unit.sku, minor = refund.minor,
            invoiced_minor = unit.paid_minor})
    elseif refund then
        add_money(open, unit, refund.minor, sum(unit.credits) + (planned[unit.id] or 0),
            {unit = unit.id, name = unit.sku})
    end
    if ledger.undeliverable[unit.id] and not unit.returned and not next(unit.credits) then
        table.insert(open.undeliverable, unit.id)
    end
    if ledger.gone[unit.id] and not unit.cancelled and not is_told[unit.id]
        and not ledger.late[unit.id] and not next(unit.credits) then
        table.insert(open.cancelled, unit.id)
    end
end

--- Was nothing of the order sent, and is nothing going to be? Then its charges are never invoiced.
---@param book units.Book
---@param ledger refunds.Ledger
---@param at_ms integer|nil
---@return boolean
function refund_book.is_void(book, ledger, at_ms)
    for _, unit in ipairs(book.units) do
        local gone_ms = ledger.gone[unit.id]
        local is_gone = unit.cancelled or gone_ms and gone_ms <= (at_ms or math.maxinteger)
        if unit.shipped or unit.returned or not is_gone then
            return false
        end
    end
    return true
end

local function add_doubt(open, minor, known_minor, charge_name)
    if minor > 0 then
        table.insert(open.doubtful, {charge = charge_name, name = charge_name or "a fee",
            minor = minor, known_minor = known_minor})
    end
end

local function add_charges(open, book, ledger, planned)
    if refund_book.is_void(book, ledger) then
        return
    end
    for _, charge in ipairs(book.charges) do
        local refunded, doubtful = refund_fees.of_charge(ledger, charge)
        add_money(open, charge, refunded, sum(charge.credits) + (planned[charge.name] or 0),
            {charge = charge.name, name = charge.name})
        add_doubt(open, doubtful, refunded, charge.name)
    end
end

--- What SCAYLE refunded and Khaos has no credit of.
---@param book units.Book
---@return refunds.Open
function refund_book.open(book)
    local ledger, planned, is_told = refund_book.of(book), planned_credits(book), {}
    local open = {units = {}, money = {}, undeliverable = {}, cancelled = {}, doubtful = {}}
    for _, id in ipairs(book.cancelling or {}) do
        is_told[id] = true -- SCAYLE is told of these by ourselves
    end
    add_charges(open, book, ledger, planned)
    for _, unit in ipairs(book.units) do
        add_unit(open, ledger, unit, planned, is_told)
    end
    local rest, explained = refund_book.rest(book, ledger)
    open.explained_minor, open.refunded_minor = explained, explained + rest.asked_minor
    open.possible_minor = rest.possible_minor
    add_doubt(open, rest.doubtful_minor, (refund_fees.loose(ledger)))
    if rest.asked_minor > 0 or not is_silent(book, ledger, explained) then
        open.unexplained_minor = rest.left_minor
    end
    return open
end

--- Units and charges for which SCAYLE gave back more than was invoiced.
---@param book units.Book
---@return {name: string, refund_minor: integer, invoiced_minor: integer}[]
function refund_book.exceeding(book)
    local ledger, list = refund_book.of(book), {}
    for _, unit in ipairs(book.units) do
        local refund = ledger.units[unit.id]
        if refund and refund.minor > unit.paid_minor then
            table.insert(list, {name = "unit " .. unit.id .. " (" .. unit.sku .. ")",
                refund_minor = refund.minor, invoiced_minor = unit.paid_minor})
        end
    end
    for _, charge in ipairs(book.charges) do
        local refund_minor = refund_fees.of_charge(ledger, charge)
        if refund_minor > charge.minor then
            table.insert(list, {name = charge.name, refund_minor = refund_minor,
                invoiced_minor = charge.minor})
        end
    end
    return list
end

--- What a credit note credits that SCAYLE knows nothing of: money without goods, less what answers
--- a refund of SCAYLE's own. Asked before the credit is told to the book.
---@param book units.Book
---@param note {credits: table[], goodwill_minor: integer}
---@return integer minor
function refund_book.own_money(book, note)
    local minor, open, ledger = note.goodwill_minor or 0, refund_book.open(book),
        refund_book.of(book)
    local refunded = {}
    for _, charge in ipairs(book.charges) do
        local known, doubtful = refund_fees.of_charge(ledger, charge)
        refunded[charge.name] = known + doubtful
    end
    for _, credit in ipairs(note.credits) do
        minor = minor + (credit.charge and refunded[credit.charge] == 0 and credit.minor or 0)
    end
    if open.unexplained_minor == nil then
        return 0
    end
    return math.max(0, minor - open.unexplained_minor)
end

--- SCAYLE was told of money that Khaos alone gave back.
---@param book units.Book
---@param id string change id of the credit
---@param minor integer
---@param at_ms integer
function refund_book.told(book, id, minor, at_ms)
    local ledger = refund_book.of(book)
    ledger.told[id] = ledger.told[id] or {minor = minor, at_ms = at_ms}
end

return refund_book
