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

-- Units of a code that can come back: those that SCAYLE told of first, then the shipped ones.
local function candidates(book, taken, sku)
    local list = {}
    for _, state in ipairs({"returned", "shipped"}) do
        for _, id in ipairs(unit_book.pick(book, sku, state, #book.units)) do
            if not taken[id] then
                list[#list + 1] = id
            end
        end
    end
    return list
end

local function units_of(book, credit)
    local taken, units = planned_units(book), {}
    for _, item in ipairs(credit.items) do
        local free = candidates(book, taken, item.stock_code)
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

-- What SCAYLE gave back for each of the units, when that is what the credit note says too.
local function as_refunded(book, units, total)
    local ledger, credits, given = refund_book.of(book), {}, 0
    for i, id in ipairs(units) do
        local refund = ledger.units[id]
        if not refund or refund.minor > unit_book.unit(book, id).paid_minor then
            return nil
        end
        credits[i], given = {unit = id, minor = refund.minor}, given + refund.minor
    end
    return given == total and credits or nil
end

-- Less than the units cost: each by its share, the pennies to the first ones that cost as much.
local function shares(book, units, paid, total)
    local credits, given = {}, 0
    for i, id in ipairs(units) do
        local minor = unit_book.unit(book, id).paid_minor * total // math.max(1, paid)
        credits[i], given = {unit = id, minor = minor}, given + minor
    end
    for _, entry in ipairs(credits) do
        if given < total and entry.minor < unit_book.unit(book, entry.unit).paid_minor then
            entry.minor, given = entry.minor + 1, given + 1
        end
    end
    return credits
end

local function free_of(charge, credits)
    local free = charge.minor - sum(charge.credits)
    for _, credit in ipairs(credits) do
        free = free - (credit.charge == charge.name and credit.minor or 0)
    end
    return free
end

local function add_charge(charge, credits, open)
    local minor = math.min(open, free_of(charge, credits))
    if minor > 0 then
        credits[#credits + 1] = {charge = charge.name, minor = minor}
        return open - minor
    end
    return open
end

-- More than the units cost: delivery and other charges, in their order.
local function add_charges(book, credits, open)
    for _, charge in ipairs(book.charges) do
        open = add_charge(charge, credits, open)
    end
    return open
end

-- Money without goods: the charges that SCAYLE refunded, when it is their sum to the penny; else
-- what Khaos calls delivery is delivery, and the rest is goodwill.
local function money_only(book, credit)
    local wanted, credits = 0, {}
    for i, charge in ipairs(refund_book.open(book).charges) do
        credits[i], wanted = {charge = charge.name, minor = charge.minor}, wanted + charge.minor
    end
    if wanted > 0 and wanted == credit.total_minor then
        return credits, 0
    end
    credits = {}
    local delivery = credit.delivery_minor or 0
    local open = delivery
    for _, charge in ipairs(book.charges) do
        open = charge.name == "delivery" and add_charge(charge, credits, open) or open
    end
    return credits, credit.total_minor - delivery + open
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
    local units, problem = units_of(book, credit)
    if not units then
        return nil, problem
    elseif #units == 0 then
        local credits, goodwill_minor = money_only(book, credit)
        return {units = units, credits = credits, goodwill_minor = goodwill_minor}
    end
    local paid, for_goods = 0, total - (credit.delivery_minor or 0)
    for _, id in ipairs(units) do
        paid = paid + unit_book.unit(book, id).paid_minor
    end
    local credits = as_refunded(book, units, for_goods)
        or shares(book, units, paid, math.min(paid, for_goods))
    return {units = units, credits = credits,
        goodwill_minor = add_charges(book, credits, total - math.min(paid, for_goods))}
end

return plan
