--- From gross to net, as data: what each line was worth before any discount, what each kind of
--- discount took off, what is left, and the net and VAT of it in Khaos. For margin reports.
---
---     undiscounted - discounts + moved = gross = net + tax
---
--- `moved` are the pennies between what the units of a line cost and what the line comes to: other
--- lines of the same units, or the rounding line, carry them, so over an order they are 0. An
--- amount off the whole order (Cloud) is no part of a line's gross: it is said beside it.
local worth = {}

---@class orders.Worth
---@field undiscounted_minor integer
---@field discounts table<string, integer> by category
---@field moved_minor integer
---@field gross_minor integer
---@field net_minor integer
---@field tax_minor integer
---@field order_discount_minor integer
---@field order_discount_net_minor integer|nil of a line: the net of it
---@field reduced_minor integer|nil SCAYLE shows the units' prices higher by this: their part of
---   reductions of the whole order. Of lines only; nil when there is none

local function add_to(discounts, kind, amount)
    discounts[kind] = (discounts[kind] or 0) + amount
end

local function add_unit(value, unit)
    value.undiscounted_minor = value.undiscounted_minor + unit.listed
    value.cost = value.cost + unit.final
    value.shown = value.shown + (unit.voucher_price or unit.paid or unit.final)
    for _, reduction in ipairs(unit.reductions) do
        add_to(value.discounts, reduction.category, reduction.amount)
    end
    for _, share in ipairs(unit.order_shares or {}) do
        value.order_discount_minor = value.order_discount_minor + share.amount
    end
end

--- The worth of one line; `about.units` are its units, `about.charged` the gross of a fee.
---@param entry table line of the posting
---@param about table
---@return orders.Worth
function worth.of_line(entry, about)
    local p = entry.predicted
    local value = {undiscounted_minor = about.charged or 0, cost = about.charged or 0,
        shown = about.charged or 0,
        discounts = {}, order_discount_minor = 0, gross_minor = p.gross_minor,
        net_minor = p.net_minor, tax_minor = p.tax_minor}
    for _, unit in ipairs(about.units or {}) do
        add_unit(value, unit)
    end
    value.moved_minor = p.gross_minor - value.cost
    local reduced = value.shown - value.cost + value.order_discount_minor
    value.reduced_minor = reduced ~= 0 and reduced or nil
    value.cost, value.shown = nil, nil
    return value
end

--- The worth of the delivery charge.
---@param charge table {predicted, reduced_minor}
---@return orders.Worth
function worth.of_delivery(charge)
    local p, off = charge.predicted, charge.reduced_minor or 0
    return {undiscounted_minor = p.gross_minor + off,
        discounts = off > 0 and {free_shipping = off} or {}, order_discount_minor = 0,
        moved_minor = 0, gross_minor = p.gross_minor, net_minor = p.net_minor,
        tax_minor = p.tax_minor}
end

--- The sum of several.
---@param values orders.Worth[]
---@return orders.Worth
function worth.sum(values)
    local sum = {undiscounted_minor = 0, discounts = {}, moved_minor = 0, gross_minor = 0,
        net_minor = 0, tax_minor = 0, order_discount_minor = 0}
    for _, value in ipairs(values) do
        sum.undiscounted_minor = sum.undiscounted_minor + value.undiscounted_minor
        sum.moved_minor = sum.moved_minor + value.moved_minor
        sum.gross_minor = sum.gross_minor + value.gross_minor
        sum.net_minor = sum.net_minor + value.net_minor
        sum.tax_minor = sum.tax_minor + value.tax_minor
        sum.order_discount_minor = sum.order_discount_minor + value.order_discount_minor
        for kind, amount in pairs(value.discounts) do
            add_to(sum.discounts, kind, amount)
        end
    end
    return sum
end

return worth
