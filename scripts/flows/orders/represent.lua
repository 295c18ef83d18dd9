--- How units of one kind are written as Khaos lines: the most informative form that ties exactly.
---
--- A gross price always ties. A net price ties only when some net of whole pennies, with its
--- rounded tax, comes to the gross that was paid; some gross amounts have none (1 in 15 at 7%).
--- Tried in turn: full price and percentage; one net price of two decimals; two lines whose prices
--- differ by pennies or whose taxes round apart; the fewest lines that tie together; a net price of
--- more decimals (ties only where Khaos keeps them); then the nearest amount below, the rest going
--- to the rounding item. Lines of a split go back to full price and percentage where that is exact.
--- Two units and more tie nearly always: only a single unit is ever out of reach.
local amounts = require("flows.orders.amounts")
local predict = require("flows.orders.predict")

local represent = {}

local divide = amounts.divide

local MAX_SPREAD_MINOR = 3 -- how far the two prices of a split line may be apart
local MAX_SPLIT_UNITS = 200 -- the search over all splits is quadratic
local MAX_OFF_MINOR = 5 -- how far a line of such a split may be from what its units cost

---@class orders.Piece
---@field quantity integer
---@field price integer scaled
---@field decimals integer
---@field discount integer|nil hundredths of a percent
---@field predicted orders.Predicted

---@class orders.Want
---@field method "gross"|"net"
---@field quantity integer
---@field paid integer gross unit price to reach
---@field base integer gross unit price the percentage counts from
---@field percent boolean whether a percentage is wanted
---@field relative number|nil fraction that SCAYLE names
---@field rate integer millionths
---@field decimals integer of net prices
---@field gross_rounding string|nil

local function piece(want, quantity, price, extra)
    local line = {
        method = want.method,
        quantity = quantity,
        price = price,
        decimals = extra and extra.decimals or 2,
        discount = extra and extra.discount or nil,
        rate = want.rate,
        gross_rounding = want.gross_rounding,
    }
    line.predicted = predict.line(line)
    return line
end

-- SCAYLE's own percentage first, then the one that the amounts come to.
local function percent_candidates(want, full, off)
    local exact = divide(off * 10000, full)
    local candidates = {}
    if want.relative then
        candidates[1] = math.floor(want.relative * 10000 + 0.5)
    end
    for _, shift in ipairs({0, 1, -1}) do
        candidates[#candidates + 1] = exact + shift
    end
    return candidates
end

-- `quantity` units at the full price, less the percentage that comes to `target` exactly.
local function as_percent(want, quantity, target)
    local price, left = want.base, target
    if want.method == "net" then
        price, left = amounts.net_of(want.base, want.rate), amounts.net_of(target, want.rate)
    end
    local off = quantity * price - left
    if price <= 0 or off <= 0 then
        return nil
    end
    for _, percent in ipairs(percent_candidates(want, quantity * price, off)) do
        if percent > 0 and percent <= 10000 then
            local line = piece(want, quantity, price, {discount = percent})
            local p = line.predicted
            if p.gross_minor == target and p.net_minor >= 0 and p.tax_minor >= 0 then
                return line
            end
        end
    end
    return nil
end

-- ---- net prices of two decimals, searched as integers ----------------------------------------

local function keep_better(best, plan, target)
    local open = target - plan.gross
    if open < 0 or open > (plan.second and 2 or 1) or (best and best.open <= open) then
        return best
    end
    plan.open = open
    return plan
end

-- What lines of 1, 2, ... units can be: prices near the even one, and by how many pennies each line
-- then misses what its units cost.
local function line_options(want)
    local options = {}
    for size = 1, want.quantity do
        local cost, list = size * want.paid, {}
        local even = amounts.net_of(cost, want.rate) // size
        for price = math.max(even - 1, 0), even + 2 do
            local off = predict.gross_of_net(size * price, want.rate) - cost
            if off >= -MAX_OFF_MINOR and off <= MAX_OFF_MINOR then
                list[#list + 1] = {size = size, price = price, off = off}
            end
        end
        options[size] = list
    end
    return options
end

-- All that one more line leads to from the places in `front`; `seen[units][off]` keeps the last
-- line of the shortest way there.
local function one_more_line(want, options, seen, front)
    local reached = {}
    for _, place in ipairs(front) do
        for size = 1, want.quantity - place.units do
            local units = place.units + size
            for _, option in ipairs(options[size]) do
                local off = place.off + option.off
                if off >= -MAX_OFF_MINOR and off <= MAX_OFF_MINOR and not seen[units][off] then
                    seen[units][off] = option
                    reached[#reached + 1] = {units = units, off = off}
                end
            end
        end
    end
    return reached
end

-- The fewest lines of any sizes that together come to what all units cost; the pennies by which
-- some are short are made up by others. With two units or more there nearly always are some.
local function fewest_lines(want)
    local options, seen = line_options(want), {}
    for units = 0, want.quantity do
        seen[units] = {}
    end
    local front = {{units = 0, off = 0}}
    while #front > 0 and not seen[want.quantity][0] do
        front = one_more_line(want, options, seen, front)
    end
    local units, off, pieces = want.quantity, 0, {}
    while units > 0 do
        local line = seen[units][off]
        if not line then
            return nil
        end
        pieces[#pieces + 1] = piece(want, line.size, line.price)
        units, off = units - line.size, off - line.off
    end
    return pieces
end

local function one_price(want, target, near)
    local best
    for net = near, math.max(near - 1, 0), -1 do
        if net % want.quantity == 0 then
            best = keep_better(best, {
                gross = predict.gross_of_net(net, want.rate),
                first = want.quantity, price = net // want.quantity,
            }, target)
        end
    end
    return best
end

-- Two lines: `first` units at a price, the others `spread` pennies dearer, of a net near the one
-- wanted.
local function two_prices(want, target, near, best)
    local quantity, rate = want.quantity, want.rate
    for spread = 0, MAX_SPREAD_MINOR do
        for first = 1, quantity - 1 do
            local rest = quantity - first
            for net = near - 1, near + 1 do
                local even = net - rest * spread
                local price = even // quantity
                if even % quantity == 0 and price >= 0 then
                    local gross = predict.gross_of_net(first * price, rate)
                        + predict.gross_of_net(rest * (price + spread), rate)
                    best = keep_better(best, {gross = gross, first = first, price = price,
                        second = rest, spread = spread}, target)
                    if best and best.open == 0 then
                        return best
                    end
                end
            end
        end
    end
    return best
end

local function net_prices(want, target)
    local near = amounts.net_of(target, want.rate)
    local best = one_price(want, target, near)
    if want.quantity > 1 and not (best and best.open == 0) then
        best = two_prices(want, target, near, best)
    end
    if want.quantity > 1 and want.quantity <= MAX_SPLIT_UNITS and not (best and best.open == 0) then
        local pieces = fewest_lines(want)
        if pieces then
            return {pieces = pieces, open = 0}
        end
    end
    if not best then
        return nil
    end
    local pieces = {piece(want, best.first, best.price)}
    if best.second then
        pieces[2] = piece(want, best.second, best.price + best.spread)
    end
    return {pieces = pieces, open = best.open}
end

-- One line at a price of more decimals, when the profile says that Khaos keeps them.
local function fine_price(want, target)
    if want.decimals <= 2 then
        return nil
    end
    local net = amounts.net_of(target, want.rate)
    local unit = math.tointeger(10 ^ (want.decimals - 2))
    local line = piece(want, want.quantity, divide(net * unit, want.quantity),
        {decimals = want.decimals})
    return line.predicted.gross_minor == target and line or nil
end

--- The same line as full price and percentage, where the units want one and it comes to exactly as
--- much; else the line itself.
---@param want orders.Want of the units on the line
---@param line orders.Piece
---@return orders.Piece
function represent.prefer_percent(want, line)
    if not want.percent or want.paid == 0 or line.discount then
        return line
    end
    return as_percent(want, line.quantity, line.predicted.gross_minor) or line
end

--- The lines for these units, and what is left open to the rounding item (0 when they tie).
---@param want orders.Want
---@return orders.Piece[]|nil pieces nil when nothing comes within a penny per line
---@return integer|nil open
function represent.lines(want)
    local target = want.quantity * want.paid
    local percent = want.percent and want.paid > 0 and as_percent(want, want.quantity, target)
    if percent then
        return {percent}, 0
    end
    if want.method == "gross" then
        return {piece(want, want.quantity, want.paid)}, 0
    end
    local best = net_prices(want, target)
    if not best or best.open > 0 then
        local fine = fine_price(want, target)
        if fine then
            return {fine}, 0
        end
    end
    if not best then
        return nil
    end
    for i, line in ipairs(best.pieces) do
        best.pieces[i] = represent.prefer_percent(want, line)
    end
    return best.pieces, best.open
end

return represent
