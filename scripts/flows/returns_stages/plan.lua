--- What a credit note means for the units of an order: which came back, and what is credited on
--- what. Pure over the book.
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

-- Less than the units cost: each by its share, the pennies to the first ones.
local function shares(book, units, paid, total)
    local credits, given = {}, 0
    for i, id in ipairs(units) do
        local minor = unit_book.unit(book, id).paid_minor * total // paid
        credits[i], given = {unit = id, minor = minor}, given + minor
    end
    for i = 1, total - given do
        credits[i].minor = credits[i].minor + 1
    end
    return credits
end

-- More than the units cost: delivery and other charges, in their order.
local function add_charges(book, credits, open)
    for _, charge in ipairs(book.charges) do
        local minor = math.min(open, charge.minor - sum(charge.credits))
        if minor > 0 then
            credits[#credits + 1] = {charge = charge.name, minor = minor}
            open = open - minor
        end
    end
    return open
end

--- The units that a credit note takes back and what it credits: {units, credits, goodwill_minor},
--- or nil and why it does not fit.
---@param book units.Book
---@param credit {total_minor: integer|nil, currency: string|nil, items: table[]}
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
    end
    local paid = 0
    for _, id in ipairs(units) do
        paid = paid + unit_book.unit(book, id).paid_minor
    end
    if #units == 0 then
        return {units = units, credits = {}, goodwill_minor = total}
    elseif total <= paid then
        return {units = units, credits = paid > 0 and shares(book, units, paid, total) or {},
            goodwill_minor = 0}
    end
    local credits = shares(book, units, paid > 0 and paid or 1, paid)
    return {units = units, credits = credits,
        goodwill_minor = add_charges(book, credits, total - paid)}
end

return plan
