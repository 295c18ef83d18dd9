-- What the units of one basket line cost under each of SCAYLE's price mechanics (scayle 6, 6.2).
-- A mechanic gives a list of {paid, reductions, listed}; the units of the line take them in turn.
local mechanics = {}

local function reduction(category, kind, amount, more)
    local entry = {category = category, type = kind, amount = {absoluteWithTax = amount}}
    for key, value in pairs(more or {}) do
        entry[key] = value
    end
    return entry
end

mechanics.reduction = reduction

local function percent_of(amount, percent)
    return (amount * percent + 50) // 100
end

mechanics.percent_of = percent_of

-- Takes reductions off one after the other, as SCAYLE does when they are combined.
local function stack(random, listed, steps)
    local paid, list = listed, {}
    for _, step in ipairs(steps) do
        local off = percent_of(paid, step.percent)
        if step.absolute then
            off = math.min(paid, step.absolute)
        end
        if off > 0 then
            local entry = reduction(step.category, step.absolute and "absolute" or "relative", off,
                {id = step.id, code = step.code})
            if not step.absolute and random:chance(50) then
                entry.amount.relative = step.percent / 100
            end
            list[#list + 1] = entry
            paid = paid - off
        end
    end
    return {paid, list}
end

local function sale(random)
    return {category = "sale", percent = random:up_to(60)}
end

local function campaign(random)
    return {category = "campaign", percent = random:pick({5, 10, 15, 20, 33})}
end

local function promotion(random)
    return {category = "promotion", id = "percent", percent = random:pick({10, 12, 25, 50})}
end

local function amount_off(random)
    return {category = "promotion", id = "amount", percent = 0, absolute = random:up_to(900)}
end

local function code(random)
    return {category = "promotionCode", code = "SPRING", percent = random:pick({5, 10, 12})}
end

local function one(...)
    local makers = {...}
    return function(random, listed)
        local steps = {}
        for i, maker in ipairs(makers) do
            steps[i] = maker(random)
        end
        return {stack(random, listed, steps)}
    end
end

-- The listed price may already be the sale price: scayle 6.2 leaves it open.
local function sale_not_counted(random, listed)
    local off = percent_of(listed, random:up_to(40))
    return {{listed - off, {reduction("sale", "relative", off)}, listed - off}}
end

local function buy_one_get_one(_, listed)
    return {{listed}, {0, {reduction("promotion", "relative", listed, {id = "free"})}}}
end

local function buy_two_get_half(_, listed)
    local off = percent_of(listed, 50)
    return {{listed}, {listed},
        {listed - off, {reduction("promotion", "relative", off, {id = "percent"})}}}
end

-- The reduction of a group spread over its units: odd pennies differ between them.
local function pro_rata(random, listed)
    local count, list = random:up_to(3) + 1, {}
    local off = random:up_to(listed * (count - 1))
    for i = 1, count do
        local part = off // count + (i <= off % count and 1 or 0)
        list[i] = {listed - part, part > 0
            and {reduction("promotion", "absolute", part, {id = "deal"})} or nil}
    end
    return list
end

local function tiered(random, listed)
    local percent = listed > 5000 and 15 or listed > 2000 and 10 or 5
    return {stack(random, listed, {{category = "promotionCode", code = "TIERS",
        percent = percent}})}
end

local function plain(_, listed)
    return {{listed}}
end

mechanics.list = {
    plain, plain, one(sale), one(campaign), one(promotion), one(amount_off), one(code),
    sale_not_counted, buy_one_get_one, buy_two_get_half, pro_rata, tiered,
    one(sale, code), one(sale, campaign, promotion, amount_off),
}

--- Several SKUs, brought down to one price for the set (combo deal), in proportion.
function mechanics.combo(random, listed)
    local sum, prices = 0, {}
    for _, price in ipairs(listed) do
        sum = sum + price
    end
    local deal = random:up_to(sum)
    local rest = deal
    for i, price in ipairs(listed) do
        prices[i] = deal * price // sum
        rest = rest - prices[i]
    end
    for i, price in ipairs(listed) do
        local more = math.min(rest, price - prices[i])
        rest = rest - more
        local off = price - prices[i] - more
        prices[i] = {price - off, off > 0
            and {reduction("promotion", "absolute", off, {id = "combo"})} or nil}
    end
    return prices
end

return mechanics
