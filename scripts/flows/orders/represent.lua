--- How units of one kind are written as Khaos lines: the most informative form that ties exactly.
---
--- A gross price always ties. A net price ties only when some net of whole pennies, with its
--- rounded tax, comes to the gross that was paid; some gross amounts have none (1 in 15 at 7%).
--- Tried in turn: full price and percentage; one net price of two decimals; two lines whose prices
--- differ by a penny or whose taxes round apart; a net price of more decimals (ties only where
--- Khaos keeps them); then the nearest amount below, the rest going to the rounding item.
local amounts = require("flows.orders.amounts")
local predict = require("flows.orders.predict")

local represent = {}

local divide = amounts.divide

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

local function as_percent(want, target)
    local price, off = want.base, want.quantity * (want.base - want.paid)
    if want.method == "net" then
        price = amounts.net_of(want.base, want.rate)
        off = want.quantity * price - amounts.net_of(target, want.rate)
    end
    if price <= 0 or off <= 0 then
        return nil
    end
    for _, percent in ipairs(percent_candidates(want, want.quantity * price, off)) do
        if percent > 0 and percent <= 10000 then
            local line = piece(want, want.quantity, price, {discount = percent})
            local p = line.predicted
            if p.gross_minor == target and p.net_minor >= 0 and p.tax_minor >= 0 then
                return line
            end
        end
    end
    return nil
end

local function sum_gross(pieces)
    local sum = 0
    for _, line in ipairs(pieces) do
        sum = sum + line.predicted.gross_minor
    end
    return sum
end

-- Two lines of a net sum: r units a penny dearer, or one price cut in two at every place.
local function two_lines(want, net)
    local quantity = want.quantity
    local price, dearer = net // quantity, net % quantity
    if dearer > 0 then
        return {{piece(want, quantity - dearer, price), piece(want, dearer, price + 1)}}
    end
    local cuts = {}
    for first = 1, quantity // 2 do
        cuts[first] = {piece(want, first, price), piece(want, quantity - first, price)}
    end
    return cuts
end

local function keep_better(best, pieces, target)
    local open = target - sum_gross(pieces)
    if open < 0 or open > #pieces then
        return best
    elseif not best or open < best.open
        or (open == best.open and #pieces < #best.pieces) then
        return {pieces = pieces, open = open}
    end
    return best
end

-- The best of two-decimal net prices, over the nets that can come near the target.
local function net_prices(want, target)
    local near = amounts.net_of(target, want.rate)
    local best
    if near % want.quantity == 0 then
        best = keep_better(nil, {piece(want, want.quantity, near // want.quantity)}, target)
    end
    for shift = 0, 2 do
        for _, sign in ipairs({1, -1}) do
            local net = near + sign * shift
            if best and best.open == 0 then
                return best
            elseif net >= 0 and net % want.quantity == 0 then
                best = keep_better(best, {piece(want, want.quantity, net // want.quantity)}, target)
            end
            if net >= 0 and want.quantity > 1 then
                for _, pieces in ipairs(two_lines(want, net)) do
                    best = keep_better(best, pieces, target)
                end
            end
        end
    end
    return best
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

--- The lines for these units, and what is left open to the rounding item (0 when they tie).
---@param want orders.Want
---@return orders.Piece[]|nil pieces nil when nothing comes within a penny per line
---@return integer|nil open
function represent.lines(want)
    local target = want.quantity * want.paid
    local percent = want.percent and want.paid > 0 and as_percent(want, target)
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
    return best.pieces, best.open
end

return represent
