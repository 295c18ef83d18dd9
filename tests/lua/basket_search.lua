-- Brute force for the property test: how near can Khaos lines come to what some units cost?
--
-- What a posting profile allows, from the contracts and not from the mapper:
--   * units of one SKU, VAT rate and price may share lines (scayle 6.2), and any number of lines
--     may share them: every split of n units into lines of 1..n is tried;
--   * a line is a net price, of as many decimals as any reading of khaos 11.18 lets Khaos keep
--     (six: more than the mapper may use, so that what it holds would tie nowhere), or, where the
--     reduction is declared as a percentage, the full net price (two decimals) less a percentage
--     of two decimals;
--   * no line is further than WINDOW pennies per unit, MAX_WINDOW in all, from what its units cost
--     (beyond that it would not be their price), and all lines together never come to more than
--     the units cost;
--   * what is then open goes to the rounding item, up to its cap per order: it is sold, so it can
--     only be positive, and no penny of one price is carried by another.
-- A gross price always ties (gross = q*g - disc), so only lines at net prices are searched. All
-- rates are thousandths, all amounts pennies.
local rule = require("khaos_rule")

local search = {}

local R = rule.R
local WINDOW, MAX_WINDOW = 4, 40
local ALL_PERCENT = 10000 -- hundredths
local PRICES_PER_PENNY = 10000
local MAX_UNITS = 60 -- above, three lines must do: a search over all splits is cubic

-- Whether `count` units at some price come to this net.
local function has_price(count, net)
    local near = net * PRICES_PER_PENNY // count
    for price = math.max(near - 1, 0), near + 1 do
        if R(count * price, PRICES_PER_PENNY) == net then
            return true
        end
    end
    return false
end

--- The percentage (hundredths) by which `full` pennies come down to `left`, or nil.
function search.percent(full, left)
    local off = full - left
    if full <= 0 or off <= 0 or left < 0 then
        return nil
    end
    local near = off * ALL_PERCENT // full
    for percent = math.max(near - 2, 1), math.min(near + 2, ALL_PERCENT) do
        if R(full * percent, ALL_PERCENT) == off then
            return percent
        end
    end
    return nil
end

-- How far from what they cost the lines of `count` units can be: a list of distances in pennies.
local function distances(pool, count)
    pool.lists = pool.lists or {}
    local list = pool.lists[count]
    if list then
        return list
    end
    list = {}
    pool.lists[count] = list
    local cost = count * pool.price
    local window = math.min(WINDOW * count, MAX_WINDOW)
    local near = R(cost * 1000, 1000 + pool.rate)
    local full = pool.full and count * pool.full
    for net = math.max(near - window, 0), near + window do
        local distance = net + R(net * pool.rate, 1000) - cost
        if math.abs(distance) <= window and (has_price(count, net)
            or (full and search.percent(full, net))) then
            list[#list + 1] = distance
        end
    end
    return list
end

local function add(into, base, list)
    for _, distance in ipairs(list) do
        local sum = base + distance
        if sum >= -MAX_WINDOW and sum <= MAX_WINDOW then
            into[sum] = true
        end
    end
end

local function nearest_below(set)
    local best
    for distance in pairs(set) do
        if distance <= 0 and (not best or distance > best) then
            best = distance
        end
    end
    return best
end

-- One line, then two lines of every split: they nearly always do.
local function few_lines(pool, count)
    local whole = {}
    for _, distance in ipairs(distances(pool, count)) do
        whole[distance] = true
    end
    for first = 1, count // 2 do
        if whole[0] then
            break
        end
        local rest = distances(pool, count - first)
        for _, one in ipairs(distances(pool, first)) do
            add(whole, one, rest)
        end
    end
    return whole
end

-- For very many units: a line of some, and two of the others.
local function three_lines(pool)
    for first = 1, MAX_UNITS do
        local others = few_lines(pool, pool.count - first)
        for _, distance in ipairs(distances(pool, first)) do
            if others[-distance] then
                return 0
            end
        end
    end
    error("too many units to search every split")
end

local function all_splits(pool)
    local reach = {[0] = {[0] = true}}
    for count = 1, pool.count do
        reach[count] = {}
        for size = 1, count do
            for base in pairs(reach[count - size]) do
                add(reach[count], base, distances(pool, size))
            end
        end
    end
    return nearest_below(reach[pool.count])
end

--- The pennies that stay open for these units whatever lines they are written as.
---@param pool table price, rate, count, and full (net price less a percentage) or nil
---@return integer|nil open nil when no line comes near at all
function search.open(pool)
    local nearest = nearest_below(few_lines(pool, pool.count))
    if nearest ~= 0 and pool.count > 2 then
        nearest = pool.count > MAX_UNITS and three_lines(pool) or all_splits(pool)
    end
    return nearest and -nearest
end

return search
