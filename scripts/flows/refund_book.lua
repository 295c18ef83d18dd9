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

---@class refunds.Ledger book.refunds
---@field units table<string, refunds.Entry> by item id
---@field charges table<string, refunds.Entry> by name
---@field stated table<string, refunds.Entry> by reference of the refund
---@field undeliverable table<string, integer> item id -> when it was told
---@field gone table<string, integer> item id -> when SCAYLE first showed it as cancelled
---@field late table<string, integer> item id -> when a person was told that it had left before
---@field cancelled_minor integer what SCAYLE shows of these
---@field billing string|nil
---@field told table<string, refunds.Entry> change id of a credit -> what SCAYLE was told of it

local CANCELLED = {cancelled = true, canceled = true}
local DELIVERY = {delivery = true, shipment = true}

local function sum(amounts)
    local total = 0
    for _, entry in pairs(amounts) do
        total = total + (type(entry) == "table" and entry.minor or entry)
    end
    return total
end

--- The ledger of a book; makes it where there is none.
---@param book units.Book
---@return refunds.Ledger
function refund_book.of(book)
    book.refunds = book.refunds or {units = {}, charges = {}, stated = {}, undeliverable = {},
        gone = {}, late = {}, told = {}, cancelled_minor = 0}
    return book.refunds
end

--- Does SCAYLE show the unit as cancelled?
---@param book units.Book
---@param id string
---@return boolean
function refund_book.is_gone(book, id)
    return refund_book.of(book).gone[id] ~= nil
end

-- The charge a fee was posted as: delivery by its name, others by their amount; nil when it cannot
-- be told.
local function charge_of(book, ledger, fee)
    local found
    for _, charge in ipairs(book.charges) do
        if DELIVERY[fee.category] and charge.name == "delivery" then
            return charge.name
        elseif charge.minor == fee.minor and not ledger.charges[charge.name] then
            if found then
                return nil
            end
            found = charge.name
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

--- Tells what SCAYLE shows of an order now. Repeats change nothing.
---@param book units.Book changed in place
---@param news refunds.News
---@return string[] new units that came back and that the book did not know of
function refund_book.tell(book, news)
    local ledger = refund_book.of(book)
    local returned = tell_items(book, ledger, news)
    for _, fee in ipairs(news.fees or {}) do
        local name = charge_of(book, ledger, fee)
        if name and not ledger.charges[name] then
            ledger.charges[name] = {minor = fee.minor, at_ms = news.at_ms}
        elseif not name then
            local id = "fee:" .. fee.category .. ":" .. fee.key
            ledger.stated[id] = ledger.stated[id] or {minor = fee.minor, at_ms = news.at_ms}
        end
    end
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
        local own = ledger.charges[charge.name]
        for id, minor in pairs(own and {} or charge.credits) do
            charges = charges + (ledger.told[id] and 0 or minor)
        end
        charges = charges + (own and math.max(0, sum(charge.credits) - own.minor) or 0)
    end
    return goodwill + charges
end

-- A refund that no unit and no charge explains: how much of it, less what Khaos credited as money.
-- Nil: SCAYLE says that there was one and no message says how much.
local function unexplained(book, ledger)
    local explained = sum(ledger.units) + sum(ledger.charges)
    local stated = sum(ledger.stated)
    if next(ledger.stated) then
        local rest = stated - explained
        if rest == ledger.cancelled_minor then
            return 0, explained, stated
        end
        return math.max(0, rest - free_credits(book, ledger)), explained, stated
    end
    local is_silent = REFUNDED[ledger.billing or ""] and explained == 0
        and ledger.cancelled_minor == 0 and unit_book.credited(book) == 0
        and not next(ledger.told)
    return not is_silent and 0 or nil, explained, stated
end

-- Units of credit notes that are on their way into the book.
local function planned_units(book)
    local planned = {}
    for _, note in pairs(book.credit_notes or {}) do
        for _, id in ipairs(note.units) do
            planned[id] = true
        end
    end
    return planned
end

---@class refunds.Open what Khaos lacks
---@field units {id: string, sku: string, minor: integer, invoiced_minor: integer}[]
---@field charges {name: string, minor: integer, invoiced_minor: integer}[]
---@field unexplained_minor integer|nil nil: there is one and nobody knows how much
---@field explained_minor integer
---@field stated_minor integer
---@field undeliverable string[] units, neither back nor credited
---@field cancelled string[] units that SCAYLE shows as cancelled and the book does not, less those
---   that it is told of by ourselves and those that a person knows to have left

--- What SCAYLE refunded and Khaos has no credit of.
---@param book units.Book
---@return refunds.Open
function refund_book.open(book)
    local ledger, planned = refund_book.of(book), planned_units(book)
    local open, is_told = {units = {}, charges = {}, undeliverable = {}, cancelled = {}}, {}
    for _, id in ipairs(book.cancelling or {}) do
        is_told[id] = true -- SCAYLE is told of these by ourselves
    end
    for _, unit in ipairs(book.units) do
        local refund = ledger.units[unit.id]
        if refund and not next(unit.credits) and not planned[unit.id] then
            table.insert(open.units, {id = unit.id, sku = unit.sku, minor = refund.minor,
                invoiced_minor = unit.paid_minor})
        end
        if ledger.undeliverable[unit.id] and not unit.returned and not next(unit.credits) then
            table.insert(open.undeliverable, unit.id)
        end
        if ledger.gone[unit.id] and not unit.cancelled and not is_told[unit.id]
            and not ledger.late[unit.id] and not next(unit.credits) then
            table.insert(open.cancelled, unit.id)
        end
    end
    for _, charge in ipairs(book.charges) do
        local refund = ledger.charges[charge.name]
        local minor = refund and math.min(refund.minor, charge.minor) - sum(charge.credits) or 0
        if minor > 0 then
            table.insert(open.charges, {name = charge.name, minor = minor,
                invoiced_minor = charge.minor, refund_minor = refund.minor})
        end
    end
    open.unexplained_minor, open.explained_minor, open.stated_minor = unexplained(book, ledger)
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
        local refund = ledger.charges[charge.name]
        if refund and refund.minor > charge.minor then
            table.insert(list, {name = charge.name, refund_minor = refund.minor,
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
        if credit.charge and not ledger.charges[credit.charge] then
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
