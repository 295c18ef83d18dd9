--- How units of one kind are written as Khaos lines: the most informative form that ties exactly.
---
--- A gross price always ties. A net price ties only when some net of whole pennies, with its
--- rounded tax, comes to the gross that was paid; some gross amounts have none (1 in 15 at 7%).
--- Tried in turn: full price and percentage; one net price; two lines whose prices differ by
--- pennies or whose taxes round apart; a small third line; then the nearest amount below, the rest
--- going to the rounding item. Lines of a split go back to full price and percentage where that is
--- exact. Three lines do for two units and more, so only a single unit is ever out of reach.
---
--- No price has more than two decimals, because how many of them Khaos keeps is not known (contract
--- 11.18): what is sent comes to the same under every reading.
local amounts = require("flows.orders.amounts")
local predict = require("flows.orders.predict")

local represent = {}

local divide = amounts.divide

local MAX_SPREAD_MINOR = 3 -- how far the two prices of a split line may be apart
local MAX_SMALL_UNITS = 20 -- of the third line, which makes up for the others
local MAX_OFF_MINOR = 5 -- how far that line may be from what its units cost

---@class orders.Piece
---@field quantity integer
---@field price integer scaled
---@field decimals integer always 2
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
---@field gross_rounding string|nil

local function piece(want, quantity, price, discount)
    local line = {
        method = want.method,
        quantity = quantity,
        price = price,
        decimals = 2,
        discount = discount,
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
            local line = piece(want, quantity, price, percent)
            local p = line.predicted
            if p.gross_minor == target and p.net_minor >= 0 and p.tax_minor >= 0 then
                return line
            end
        end
    end
    return nil
end

-- ---- net prices of two decimals, searched as integers ----------------------------------------

-- How far below the target a plan may end: a penny per line, and less than the best so far.
local function is_better(best, open, lines)
    return open >= 0 and open <= lines and (not best or open < best.open)
end

-- What a line of `size` units can be: prices near the even one, and by how many pennies the line
-- then misses what its units cost.
local function line_options(want, size)
    local cost, list = size * want.paid, {}
    local even = amounts.net_of(cost, want.rate) // size
    for price = math.max(even - 1, 0), even + 2 do
        local off = predict.gross_of_net(size * price, want.rate) - cost
        if off >= -MAX_OFF_MINOR and off <= MAX_OFF_MINOR then
            list[#list + 1] = {price = price, off = off}
        end
    end
    return list
end

local function one_price(want, target, near)
    local best
    for net = near, math.max(near - 1, 0), -1 do
        local open = target - predict.gross_of_net(net, want.rate)
        if net % want.quantity == 0 and is_better(best, open, 1) then
            best = {open = open, first = want.quantity, price = net // want.quantity}
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
            for even = near - 1 - rest * spread, near + 1 - rest * spread do
                if even % quantity == 0 and even >= 0 then
                    local price = even // quantity
                    local open = target - predict.gross_of_net(first * price, rate)
                        - predict.gross_of_net(rest * (price + spread), rate)
                    if is_better(best, open, 2) then
                        best = {open = open, first = first, price = price, second = rest,
                            spread = spread}
                    end
                    if open == 0 then
                        return best
                    end
                end
            end
        end
    end
    return best
end

local function one_or_two_prices(want, target)
    local near = amounts.net_of(target, want.rate)
    local best = one_price(want, target, near)
    if want.quantity > 1 and not (best and best.open == 0) then
        best = two_prices(want, target, near, best)
    end
    return best
end

local function pieces_of(want, plan)
    local pieces = {piece(want, plan.first, plan.price)}
    if plan.second then
        pieces[2] = piece(want, plan.second, plan.price + plan.spread)
    end
    return pieces
end

-- A small line off its units' cost, and two for the others that make up for it.
local function three_lines(want, target)
    for size = 1, math.min(MAX_SMALL_UNITS, want.quantity - 1) do
        for _, option in ipairs(line_options(want, size)) do
            local rest = setmetatable({quantity = want.quantity - size}, {__index = want})
            local left = target - size * want.paid - option.off
            local plan = one_or_two_prices(rest, left)
            if plan and plan.open == 0 then
                local pieces = pieces_of(want, plan)
                table.insert(pieces, 1, piece(want, size, option.price))
                return pieces
            end
        end
    end
    return nil
end

local function net_prices(want, target)
    local best = one_or_two_prices(want, target)
    if want.quantity > 2 and not (best and best.open == 0) then
        local pieces = three_lines(want, target)
        if pieces then
            return {pieces = pieces, open = 0}
        end
    end
    return best and {pieces = pieces_of(want, best), open = best.open}
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
    if not best then
        return nil
    end
    for i, line in ipairs(best.pieces) do
        best.pieces[i] = represent.prefer_percent(want, line)
    end
    return best.pieces, best.open
end

return represent
