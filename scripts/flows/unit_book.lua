--- The units of one order: what became of each, what was credited for it, and where every change
--- came from. Pure: a book is a plain table that neap.store keeps as it is; the flows load it,
--- tell it what they learnt and save it in the same slice.
---
---     local outcome = unit_book.apply(book, {kind = "ship", id = "khaos:I2044", origin = "khaos",
---         at_ms = now_ms, units = {"8300001"}})
---     if #outcome.changed > 0 then ... end
---
--- Goods are facts, and facts only gather: shipped, cancelled and returned may be told late, twice
--- and in any order, and the book ends the same. A unit that was cancelled and left all the same
--- is a conflict, which a person settles; nothing here hides it.
---
---     open -> shipped -> returned -> refunded         refunded: credited in full
---     open -> cancelled                               both ways: conflict
---
--- Money is a ledger beside the goods: never more is credited for a unit, a charge or the whole
--- order than was invoiced for it. What is not shipped is not invoiced.
local unit_book = {}

--- Table of neap.store: key of the order -> its book.
unit_book.TABLE = "order_units"

local FACTS = {ship = "shipped", cancel = "cancelled", ["return"] = "returned"}

---@class units.Fact
---@field id string the change that told it
---@field origin string "khaos", "scayle" or a person's name
---@field at_ms integer

---@class units.Unit
---@field id string SCAYLE item id
---@field sku string
---@field line string import reference of its Khaos line
---@field paid_minor integer gross
---@field reduced_minor integer|nil SCAYLE shows its price higher by this: its share of a reduction
---   of the whole order
---@field moved_minor integer|nil by which its line in Khaos is off what its units cost
---@field shipped units.Fact|nil
---@field cancelled units.Fact|nil
---@field returned units.Fact|nil
---@field credits table<string, integer> by change id

---@class units.Book
---@field key string
---@field currency string
---@field units units.Unit[] in line order
---@field charges {name: string, minor: integer, credits: table<string, integer>,
---   fee: {category: string, key: string}|nil, moved_minor: integer|nil}[] delivery, fees
---@field goodwill table<string, integer> by change id
---@field changes table<string, string> id -> kind: what was told already
---@field credited_ms table<string, integer> id of a credit -> when it was told
---@field credit_nets table<string, integer>|nil id of a credit -> its net, where it is known
---@field versions {until_ms: integer, units: table<string, table>, charges: table[]}[]|nil what
---   units and charges were worth before Khaos's order changed, oldest first

---@class units.Change
---@field kind "ship"|"cancel"|"return"|"credit"
---@field id string unique per order; a repeat changes nothing
---@field origin string
---@field at_ms integer
---@field units string[]|nil unit ids; kinds ship, cancel, return
---@field credits {unit: string|nil, charge: string|nil, minor: integer}[]|nil kind credit
---@field goodwill_minor integer|nil kind credit: money without goods
---@field net_minor integer|nil kind credit: net of the whole

---@class units.Outcome
---@field is_repeat boolean this change was told before
---@field changed string[] units that are different now
---@field echoed string[] units that were so already: our own message coming back
---@field refused {subject: string, reason: string}[] not empty: nothing was changed

local function amount(value, what)
    if math.type(value) ~= "integer" or value < 0 then
        error(string.format("unit_book: %s: minor units expected, got %s", what,
            tostring(value)), 3)
    end
    return value
end

--- A book of an order that was just posted.
---@param order {key: string, currency: string, units: table[], charges: table[]|nil}
---@return units.Book
function unit_book.new(order)
    local book = {version = 1, key = order.key, currency = order.currency, units = {},
        charges = {}, goodwill = {}, changes = {}, credited_ms = {}}
    local seen = {}
    for i, unit in ipairs(order.units) do
        assert(not seen[unit.id], "unit_book: unit twice: " .. tostring(unit.id))
        seen[unit.id] = true
        book.units[i] = {id = unit.id, sku = unit.sku, line = unit.line,
            paid_minor = amount(unit.paid_minor, "unit " .. unit.id), credits = {},
            reduced_minor = unit.reduced_minor, moved_minor = unit.moved_minor}
    end
    for i, charge in ipairs(order.charges or {}) do
        book.charges[i] = {name = charge.name, minor = amount(charge.minor, charge.name),
            credits = {}, fee = charge.fee, moved_minor = charge.moved_minor}
    end
    return book
end

local function by_field(list, field, value)
    for _, entry in ipairs(list) do
        if entry[field] == value then
            return entry
        end
    end
    return nil
end

--- The unit with this id.
---@param book units.Book
---@param id string
---@return units.Unit|nil
function unit_book.unit(book, id)
    return by_field(book.units, "id", id)
end

local function sum(amounts)
    local total = 0
    for _, minor in pairs(amounts) do
        total = total + minor
    end
    return total
end

local function is_invoiced(unit)
    return unit.shipped ~= nil or unit.returned ~= nil
end

---@param unit units.Unit
---@return "open"|"shipped"|"cancelled"|"returned"|"refunded"|"conflict"
function unit_book.state(unit)
    if unit.cancelled and is_invoiced(unit) then
        return "conflict"
    elseif unit.cancelled then
        return "cancelled"
    elseif next(unit.credits) and sum(unit.credits) == unit.paid_minor then
        return "refunded"
    elseif unit.returned then
        return "returned"
    end
    return unit.shipped and "shipped" or "open"
end

-- ---- goods -----------------------------------------------------------------------------------

local function find_units(book, ids, outcome)
    local found = {}
    for _, id in ipairs(ids) do
        local unit = unit_book.unit(book, id)
        if not unit then
            outcome.refused[#outcome.refused + 1] = {subject = id, reason = "unknown_unit"}
        end
        found[#found + 1] = unit
    end
    return found
end

local function tell_fact(book, change, outcome)
    local name = FACTS[change.kind]
    local units = find_units(book, change.units, outcome)
    if #outcome.refused > 0 then
        return
    end
    for _, unit in ipairs(units) do
        local list = unit[name] and outcome.echoed or outcome.changed
        list[#list + 1] = unit.id
        unit[name] = unit[name] or {id = change.id, origin = change.origin, at_ms = change.at_ms}
    end
end

-- ---- money -----------------------------------------------------------------------------------

--- What was invoiced of the order so far. Charges are invoiced with the first goods.
---@param book units.Book
---@return integer minor
function unit_book.invoiced(book)
    local total, any = 0, false
    for _, unit in ipairs(book.units) do
        if is_invoiced(unit) then
            total, any = total + unit.paid_minor, true
        end
    end
    for _, charge in ipairs(book.charges) do
        total = total + (any and charge.minor or 0)
    end
    return total
end

---@param book units.Book
---@return integer minor
function unit_book.credited(book)
    local total = sum(book.goodwill)
    for _, list in ipairs({book.units, book.charges}) do
        for _, entry in ipairs(list) do
            total = total + sum(entry.credits)
        end
    end
    return total
end

-- What a credit is booked on, and how much of it is still free.
local function target_of(book, credit)
    if credit.unit then
        local unit = unit_book.unit(book, credit.unit)
        local free = unit and (is_invoiced(unit) and unit.paid_minor - sum(unit.credits))
        return unit, free, credit.unit
    end
    local charge = by_field(book.charges, "name", credit.charge)
    local is_open = charge and unit_book.invoiced(book) > 0
    return charge, is_open and charge.minor - sum(charge.credits), credit.charge
end

local function refuse(outcome, subject, reason)
    outcome.refused[#outcome.refused + 1] = {subject = subject, reason = reason}
end

local function check_credits(book, change, outcome)
    local wanted, total = {}, amount(change.goodwill_minor or 0, "goodwill")
    for _, credit in ipairs(change.credits or {}) do
        local target, free, subject = target_of(book, credit)
        total = total + amount(credit.minor, tostring(subject))
        wanted[subject] = (wanted[subject] or 0) + credit.minor
        if not target then
            refuse(outcome, tostring(subject), credit.unit and "unknown_unit" or "unknown_charge")
        elseif not free then
            refuse(outcome, subject, "not_invoiced")
        elseif wanted[subject] > free then
            refuse(outcome, subject, "exceeds_invoiced")
        end
    end
    if #outcome.refused == 0 and unit_book.credited(book) + total > unit_book.invoiced(book) then
        refuse(outcome, book.key, "exceeds_invoiced")
    end
end

local function tell_credit(book, change, outcome)
    check_credits(book, change, outcome)
    if #outcome.refused > 0 then
        return
    end
    for _, credit in ipairs(change.credits or {}) do
        local target = target_of(book, credit)
        target.credits[change.id] = (target.credits[change.id] or 0) + credit.minor
        if credit.unit then
            outcome.changed[#outcome.changed + 1] = credit.unit
        end
    end
    if (change.goodwill_minor or 0) > 0 then
        book.goodwill[change.id] = change.goodwill_minor
    end
    book.credited_ms, book.credit_nets = book.credited_ms or {}, book.credit_nets or {}
    book.credited_ms[change.id], book.credit_nets[change.id] = change.at_ms, change.net_minor
end

-- ---- telling ---------------------------------------------------------------------------------

--- Tells the book. A refused change is not remembered: told again later, when more is known, it
--- may be taken ("not_invoiced" passes, "exceeds_invoiced" is for a person).
---@param book units.Book changed in place
---@param change units.Change
---@return units.Outcome
function unit_book.apply(book, change)
    local outcome = {is_repeat = book.changes[change.id] ~= nil, changed = {}, echoed = {},
        refused = {}}
    if outcome.is_repeat then
        return outcome
    elseif FACTS[change.kind] then
        tell_fact(book, change, outcome)
    elseif change.kind == "credit" then
        tell_credit(book, change, outcome)
    else
        error("unit_book.apply: unknown kind " .. tostring(change.kind), 2)
    end
    if #outcome.refused == 0 then
        book.changes[change.id] = change.kind
    end
    return outcome
end

-- ---- asking ----------------------------------------------------------------------------------

local function credits_until(book, credits, at_ms)
    local kept, told = {}, book.credited_ms or {}
    for id, minor in pairs(credits) do
        if (told[id] or 0) <= at_ms then
            kept[id] = minor
        end
    end
    return kept
end

local WORTH = {"line", "paid_minor", "reduced_minor", "moved_minor"}

--- Keeps what units and charges are worth: from now on they are worth something else.
---@param book units.Book changed in place
---@param now_ms integer
function unit_book.keep_version(book, now_ms)
    local version = {until_ms = now_ms, units = {}, charges = book.charges}
    for _, unit in ipairs(book.units) do
        local worth = {}
        for _, name in ipairs(WORTH) do
            worth[name] = unit[name]
        end
        version.units[unit.id] = worth
    end
    book.versions = book.versions or {}
    table.insert(book.versions, version)
end

local function version_at(book, at_ms)
    for _, version in ipairs(book.versions or {}) do
        if at_ms < version.until_ms then
            return version
        end
    end
    return {units = {}, charges = book.charges}
end

--- The book as it was at an instant: what was told later is left out. A new book; `changes` is not
--- part of it.
---@param book units.Book
---@param at_ms integer
---@return units.Book
function unit_book.as_of(book, at_ms)
    local past = {version = book.version, key = book.key, currency = book.currency, units = {},
        charges = {}, goodwill = credits_until(book, book.goodwill, at_ms),
        credit_nets = credits_until(book, book.credit_nets or {}, at_ms)}
    local version = version_at(book, at_ms)
    for i, unit in ipairs(book.units) do
        local copy = {id = unit.id, sku = unit.sku,
            credits = credits_until(book, unit.credits, at_ms)}
        for _, name in ipairs(WORTH) do
            copy[name] = (version.units[unit.id] or unit)[name]
        end
        for _, name in pairs(FACTS) do
            local fact = unit[name]
            copy[name] = fact and fact.at_ms <= at_ms and fact or nil
        end
        past.units[i] = copy
    end
    for i, charge in ipairs(version.charges) do
        past.charges[i] = {name = charge.name, minor = charge.minor,
            credits = credits_until(book, charge.credits, at_ms)}
    end
    return past
end

--- Units of one stock code in a state, in line order: for messages that name no line.
---@param book units.Book
---@param sku string
---@param state string
---@param count integer
---@return string[] ids at most `count`; fewer when there are no more
function unit_book.pick(book, sku, state, count)
    local ids = {}
    for _, unit in ipairs(book.units) do
        if #ids < count and unit.sku == sku and unit_book.state(unit) == state then
            ids[#ids + 1] = unit.id
        end
    end
    return ids
end

--- How many units and how much of what was paid is in each state; the sums are the order's.
---@param book units.Book
---@return table<string, {units: integer, paid_minor: integer}>
function unit_book.summary(book)
    local found = {}
    for _, unit in ipairs(book.units) do
        local state = unit_book.state(unit)
        found[state] = found[state] or {units = 0, paid_minor = 0}
        found[state].units = found[state].units + 1
        found[state].paid_minor = found[state].paid_minor + unit.paid_minor
    end
    return found
end

--- Ids of the units that were cancelled and left all the same.
---@param book units.Book
---@return string[]
function unit_book.conflicts(book)
    local ids = {}
    for _, unit in ipairs(book.units) do
        if unit_book.state(unit) == "conflict" then
            ids[#ids + 1] = unit.id
        end
    end
    return ids
end

return unit_book
