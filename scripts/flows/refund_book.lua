--- What SCAYLE gave back of an order, beside the book of its units. Pure over the book.
---
--- A refund is known by what it is for, never by the message that told it: each unit and each
--- charge is refunded once, however many webhooks, corrective invoices and sweeps say so, in
--- whatever order. Amounts that messages state are added up, each refund's once; what of them no
--- unit and no charge explains is nobody's to guess.
local unit_book = require("flows.unit_book")

local refund_book = {}

---@class refunds.Entry
---@field minor integer
---@field at_ms integer

---@class refunds.Fee: refunds.Entry
---@field charge string|nil name of the charge that it was posted as; nil: it cannot be told

---@class refunds.Ledger book.refunds
---@field units table<string, refunds.Entry> by item id
---@field fees table<string, refunds.Fee> by category, key, amount, and number among equal ones
---@field prices table<string, integer> by item id: what SCAYLE gives back if the unit comes back
---@field stated table<string, refunds.Entry> by reference of the refund
---@field undeliverable table<string, integer> item id -> when it was told
---@field gone table<string, integer> item id -> when SCAYLE first showed it as cancelled
---@field late table<string, integer> item id -> when a person was told that it had left before
---@field cancelled_minor integer what SCAYLE shows of these
---@field billing string|nil
---@field told table<string, refunds.Entry> change id of a credit -> what SCAYLE was told of it

local CANCELLED = {cancelled = true, canceled = true}
local DELIVERY = {delivery = true, shipment = true}
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

--- The ledger of a book; makes it where there is none.
---@param book units.Book
---@return refunds.Ledger
function refund_book.of(book)
    book.refunds = book.refunds or {units = {}, fees = {}, prices = {}, stated = {},
        undeliverable = {}, gone = {}, late = {}, told = {}, cancelled_minor = 0}
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

--- What SCAYLE gave back of a charge, by an instant.
---@param ledger refunds.Ledger
---@param name string
---@param at_ms integer|nil
---@return integer minor
function refund_book.of_charge(ledger, name, at_ms)
    local own = {}
    for id, fee in pairs(ledger.fees) do
        own[id] = fee.charge == name and fee or nil
    end
    return sum(own, at_ms)
end

-- How well a fee goes with a charge; 0 for not at all.
local function likeness(ledger, charge, fee)
    local own = charge.fee
    local has_room = refund_book.of_charge(ledger, charge.name) + fee.minor <= charge.minor
    if own and own.category == fee.category and own.key == fee.key then
        return has_room and 5 or 4
    elseif DELIVERY[fee.category] and charge.name == "delivery" then
        return has_room and 3 or 2
    end
    return charge.minor == fee.minor and has_room and 1 or 0
end

-- The charge a fee was posted as: the fee's own, delivery, or one that costs as much. Of equal ones
-- the first that was not given back: which of them it is makes no difference to the money.
local function charge_of(book, ledger, fee)
    local found, best = nil, 0
    for _, charge in ipairs(book.charges) do
        local value = likeness(ledger, charge, fee)
        if value > best then
            found, best = charge.name, value
        end
    end
    return found
end

---@class refunds.News
---@field id string of the message
---@field at_ms integer
---@field sale scayle.Aftersale
---@field fees {category: string, key: string, minor: integer}[]|nil
---@field stated {id: string, minor: integer}|nil

-- What SCAYLE gives back for a unit: its price now, less its part of reductions of the whole order.
-- What SCAYLE does about these is not documented; Khaos never invoiced them.
local function refund_of(unit, item)
    return item.minor and math.max(0, item.minor - (unit.reduced_minor or 0)) or unit.paid_minor
end

local function tell_items(book, ledger, news)
    local returned, cancelled = {}, 0
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
            cancelled = cancelled + refund_of(unit, item)
            ledger.gone[item.id] = ledger.gone[item.id] or news.at_ms
        end
    end
    ledger.cancelled_minor = cancelled
    return returned
end

-- A fee is told of by several messages, and one may be given back in parts: equal ones of two
-- messages are the same, others, and equal ones of one message, are refunds of their own.
local function tell_fees(book, ledger, news)
    local numbers = {}
    for _, fee in ipairs(news.fees or {}) do
        local id = string.format("%s:%s:%d", fee.category, fee.key, fee.minor)
        numbers[id] = (numbers[id] or 0) + 1
        id = id .. ":" .. numbers[id]
        ledger.fees[id] = ledger.fees[id] or {minor = fee.minor, at_ms = news.at_ms,
            charge = charge_of(book, ledger, fee)}
    end
end

--- Tells what SCAYLE shows of an order now. Repeats change nothing.
---@param book units.Book changed in place
---@param news refunds.News
---@return string[] new units that came back and that the book did not know of
function refund_book.tell(book, news)
    local ledger = refund_book.of(book)
    local returned = tell_items(book, ledger, news)
    tell_fees(book, ledger, news)
    if news.stated and not ledger.stated[news.stated.id] then
        ledger.stated[news.stated.id] = {minor = news.stated.minor, at_ms = news.at_ms}
    end
    ledger.billing, ledger.billing_ms = news.sale.billing, ledger.billing == news.sale.billing
        and ledger.billing_ms or news.at_ms
    if #returned > 0 then -- the same message may show more when it is looked at again
        unit_book.apply(book, {kind = "return", origin = "scayle", at_ms = news.at_ms,
            id = "scayle:" .. news.id .. ":" .. table.concat(returned, ","), units = returned})
    end
    return returned
end

local REFUNDED = {billing_partially_refunded = true, billing_refunded = true}

-- Credits of money that belong to no unit and no charge that SCAYLE refunded, less what SCAYLE was
-- told of. A charge that was told of may be refunded by SCAYLE later: then it is explained.
local function free_credits(book, ledger)
    local goodwill, charges = 0, 0
    for id, minor in pairs(book.goodwill) do
        local told = ledger.told[id]
        goodwill = goodwill + minor - math.min(minor, told and told.minor or 0)
    end
    for _, charge in ipairs(book.charges) do
        local refunded = refund_book.of_charge(ledger, charge.name)
        for id, minor in pairs(refunded == 0 and charge.credits or {}) do
            charges = charges + (ledger.told[id] and 0 or minor)
        end
        charges = charges + (refunded > 0 and math.max(0, sum(charge.credits) - refunded) or 0)
    end
    return goodwill + charges
end

--- What SCAYLE gave back by an instant that no unit and no charge explains, and what those do: the
--- amounts that messages state beyond that, and fees that are no charge of the book.
---@param book units.Book
---@param ledger refunds.Ledger
---@param at_ms integer|nil
---@return integer minor
---@return integer explained
function refund_book.rest(book, ledger, at_ms)
    local placed, loose = 0, sum(ledger.fees, at_ms)
    for _, charge in ipairs(book.charges) do
        placed = placed + refund_book.of_charge(ledger, charge.name, at_ms)
    end
    loose = loose - placed
    local explained = sum(ledger.units, at_ms) + placed
    local rest = sum(ledger.stated, at_ms) - explained
    if rest == ledger.cancelled_minor then
        rest = 0
    end
    return math.max(rest, loose), explained
end

-- The same, less what Khaos credited as money. Nil: SCAYLE says that there was a refund and no
-- message says how much.
local function unexplained(book, ledger)
    local rest, explained = refund_book.rest(book, ledger)
    if rest > 0 then
        return math.max(0, rest - free_credits(book, ledger)), explained, explained + rest
    end
    local is_silent = REFUNDED[ledger.billing or ""] and explained == 0
        and not next(ledger.stated) and ledger.cancelled_minor == 0
        and unit_book.credited(book) == 0 and not next(ledger.told)
    return not is_silent and 0 or nil, explained, explained
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

--- What SCAYLE refunded and Khaos has no credit of.
---@param book units.Book
---@return refunds.Open
function refund_book.open(book)
    local ledger, planned, is_told = refund_book.of(book), planned_credits(book), {}
    local open = {units = {}, money = {}, undeliverable = {}, cancelled = {}}
    for _, id in ipairs(book.cancelling or {}) do
        is_told[id] = true -- SCAYLE is told of these by ourselves
    end
    for _, charge in ipairs(book.charges) do
        add_money(open, charge, refund_book.of_charge(ledger, charge.name),
            sum(charge.credits) + (planned[charge.name] or 0),
            {charge = charge.name, name = charge.name})
    end
    for _, unit in ipairs(book.units) do
        add_unit(open, ledger, unit, planned, is_told)
    end
    open.unexplained_minor, open.explained_minor, open.refunded_minor = unexplained(book, ledger)
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
        local refund_minor = refund_book.of_charge(ledger, charge.name)
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
    local ledger = refund_book.of(book)
    local minor, open = note.goodwill_minor or 0, refund_book.open(book)
    for _, credit in ipairs(note.credits) do
        if credit.charge and refund_book.of_charge(ledger, credit.charge) == 0 then
            minor = minor + credit.minor
        end
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
