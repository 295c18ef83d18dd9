--- What a credit note means for the units of an order: which came back, and what is credited on
--- what. Pure over the book.
local refund_book = require("flows.refund_book")
local unit_book = require("flows.unit_book")

local plan = {}

local function planned_units(book)
    local taken = {}
    for _, note in pairs(book.credit_notes or {}) do
        for _, id in ipairs(note.units) do
            taken[id] = true
        end
    end
    return taken
end

-- What SCAYLE gives back for a unit, as far as it was invoiced.
local function cost_of(book, id)
    local ledger, paid = refund_book.of(book), unit_book.unit(book, id).paid_minor
    local refund = ledger.units[id]
    return math.min(paid, refund and refund.minor or ledger.prices[id] or paid)
end

-- Units of a code that can come back: those that SCAYLE told of first, then the shipped ones; among
-- either, one that costs what the note credits comes first.
local function candidates(book, taken, sku, minor)
    local list = {}
    for _, state in ipairs({"returned", "shipped"}) do
        local first, last = #list + 1, #list
        for _, id in ipairs(unit_book.pick(book, sku, state, #book.units)) do
            if not taken[id] then
                last = last + 1
                local is_it = cost_of(book, id) == minor
                table.insert(list, is_it and first or last, id)
                first = first + (is_it and 1 or 0)
            end
        end
    end
    return list
end

local function units_of(book, credit, for_goods)
    local taken, units = planned_units(book), {}
    local is_one = #credit.items == 1 and credit.items[1].quantity == 1
    for _, item in ipairs(credit.items) do
        local free = candidates(book, taken, item.stock_code, is_one and for_goods or nil)
        if #free < item.quantity then
            return nil, string.format("it takes back %d x %s, of which %d were sent and are not "
                .. "back yet", item.quantity, item.stock_code, #free)
        end
        for i = 1, item.quantity do
            taken[free[i]] = true
            units[#units + 1] = free[i]
        end
    end
    return units
end

local function sum(amounts)
    local total = 0
    for _, minor in pairs(amounts) do
        total = total + minor
    end
    return total
end

-- What the goods of a note are credited with: what SCAYLE gives back for each, when that is their
-- sum; of less each by its share; more goes to the first ones that cost more.
local function shares(book, units, total)
    local credits, cost, given = {}, 0, 0
    for i, id in ipairs(units) do
        credits[i] = {unit = id, minor = cost_of(book, id)}
        cost = cost + credits[i].minor
    end
    for _, entry in ipairs(credits) do
        entry.minor = total < cost and entry.minor * total // cost or entry.minor
        given = given + entry.minor
    end
    for _, entry in ipairs(credits) do
        local most = total < cost and 1 or total - given -- pennies, or what is more
        local room = unit_book.unit(book, entry.unit).paid_minor - entry.minor
        local more = math.min(most, room, total - given)
        entry.minor, given = entry.minor + more, given + more
    end
    return credits
end

local function target_of(book, entry)
    if entry.unit then
        local unit = unit_book.unit(book, entry.unit)
        return unit, unit.paid_minor
    end
    for _, charge in ipairs(book.charges) do
        if charge.name == entry.charge then
            return charge, charge.minor
        end
    end
    return nil, 0
end

local function given_to(credits, entry)
    local minor = 0
    for _, credit in ipairs(credits) do
        local is_same = credit.unit == entry.unit and credit.charge == entry.charge
        minor = minor + (is_same and credit.minor or 0)
    end
    return minor
end

-- Credits as much of `minor` on a unit or charge as was invoiced for it and is not credited; gives
-- what is left.
local function give(book, credits, entry, minor)
    local target, whole = target_of(book, entry)
    local free = target and whole - sum(target.credits) - given_to(credits, entry) or 0
    local given = math.min(minor, free)
    if given > 0 then
        credits[#credits + 1] = {unit = entry.unit, charge = entry.charge, minor = given}
        return minor - given
    end
    return minor
end

-- What the note lacks of an entry; a doubtful amount comes after what is asked of the same charge.
local function missing(credits, entry, asked)
    local before = 0
    for _, other in ipairs(asked or {}) do
        before = before + (other.charge and other.charge == entry.charge and other.minor or 0)
    end
    return entry.minor - math.max(0, given_to(credits, entry) - before)
end

-- A note that credits a fee and more credits the higher figure, after what else is asked for.
local function give_doubtful(book, credits, open, asked, left)
    local besides = open.unexplained_minor or 0
    for _, entry in ipairs(open.doubtful) do
        if entry.charge and given_to(credits, entry) > 0 then
            local part = math.max(0, math.min(missing(credits, entry, asked), left - besides))
            left = left - part + give(book, credits, entry, part)
        end
    end
    return left
end

-- Money without goods: what Khaos calls delivery is delivery; then what SCAYLE refunded and Khaos
-- has not credited. What is an amount that is asked for to the penny is that. Gives what is left.
local function give_asked(book, credits, minor, delivery)
    local open = refund_book.open(book)
    local asked = open.money
    delivery = math.min(delivery, minor)
    local left = minor - delivery + give(book, credits, {charge = "delivery"}, delivery)
    for _, list in ipairs({asked, open.doubtful}) do
        for _, entry in ipairs(list) do
            if left > 0 and missing(credits, entry, list == open.doubtful and asked) == left then
                return give(book, credits, entry, left)
            end
        end
    end
    if left == open.unexplained_minor then
        return left
    end
    for _, entry in ipairs(asked) do
        local part = math.max(0, math.min(missing(credits, entry), left))
        left = left - part + give(book, credits, entry, part)
    end
    return give_doubtful(book, credits, open, asked, left)
end

--- The units that a credit note takes back and what it credits: {units, credits, goodwill_minor},
--- or nil and why it does not fit.
---@param book units.Book
---@param credit {total_minor: integer|nil, delivery_minor: integer|nil, currency: string|nil,
---   items: table[]}
---@return table|nil
---@return string|nil
function plan.of(book, credit)
    local total = credit.total_minor
    if not total or credit.currency ~= book.currency then
        return nil, "its total cannot be read, or is in another currency"
    end
    local delivery = credit.delivery_minor or 0
    local units, problem = units_of(book, credit, total - delivery)
    if not units then
        return nil, problem
    elseif #units == 0 then
        local credits = {}
        return {units = units, credits = credits,
            goodwill_minor = give_asked(book, credits, total, delivery)}
    end
    local paid = 0
    for _, id in ipairs(units) do
        paid = paid + unit_book.unit(book, id).paid_minor
    end
    local for_goods = math.max(0, math.min(paid, total - delivery))
    local credits = shares(book, units, for_goods)
    local left = give_asked(book, credits, total - for_goods, delivery)
    for _, charge in ipairs(book.charges) do
        left = give(book, credits, {charge = charge.name}, left)
    end
    return {units = units, credits = credits, goodwill_minor = left}
end

return plan
