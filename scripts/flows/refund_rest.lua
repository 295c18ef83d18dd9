--- What of the refunds that SCAYLE states nothing explains, to the penny. Pure arithmetic.
---
--- Returned units and refunded charges explain their money for certain. Cancelled units may: SCAYLE
--- gives back for them only what it had taken before. So they explain something only where whole
--- refunds, or what Khaos has not credited of them, come to some of these units exactly.
local refund_rest = {}

local MOST_SUMS = 4096 -- beyond it some sum fits nearly anything and proves nothing

local function total(amounts)
    local minor = 0
    for _, one in ipairs(amounts) do
        minor = minor + one
    end
    return minor
end

-- The sums of some of the amounts, up to a limit; of too many only none and all.
local function sums(amounts, limit)
    local list, has = {0}, {[0] = true}
    for _, minor in ipairs(amounts) do
        for i = 1, #list do
            local one = list[i] + minor
            if one <= limit and not has[one] then
                has[one], list[#list + 1] = true, one
            end
        end
        if #list > MOST_SUMS then
            local all = total(amounts)
            return {list = {0, all}, has = {[0] = true, [all] = true}, is_cut = true}
        end
    end
    return {list = list, has = has}
end

-- Refunds that can be of units and fees alone: each comes to some of them.
local function whole_refunds(case)
    local parts = table.move(case.cancelled, 1, #case.cancelled, 1, {})
    table.move(case.parts, 1, #case.parts, #parts + 1, parts)
    local possible, list = sums(parts, total(parts)), {}
    for _, minor in ipairs(case.stated) do
        list[#list + 1] = (possible.has[minor] or possible.is_cut) and minor or nil
    end
    return list
end

-- The most of the cancelled units that whole refunds come to, beside what is explained.
local function by_whole_refunds(case, known, cancelled)
    local whole, most = whole_refunds(case), 0
    local refunds = sums(whole, total(whole))
    for _, minor in ipairs(cancelled.list) do
        most = refunds.has[known + minor] and math.max(most, minor) or most
    end
    return most
end

---@class refunds.Rest
---@field asked_minor integer given back, and explained by nothing
---@field left_minor integer of that, what Khaos has not credited
---@field over_minor integer credited, and in answer to no refund
---@field doubtful_minor integer of fees, that nothing settles; what is credited too much settles it
---@field cancelled_minor integer explained by cancelled units
---@field possible_minor integer of what is left, that further cancelled units may explain

---@param case {stated: integer[], explained: integer, parts: integer[], loose: integer,
---   doubtful: integer, cancelled: integer[], credited: integer} refunds; what units and charges
---   explain, and each of these and of the fees; refunds that are neither, known and doubtful; what
---   cancelled units are worth; money that Khaos credited for none of these
---@return refunds.Rest
function refund_rest.of(case)
    local known = case.explained + case.loose
    local rest = math.max(0, total(case.stated) - known)
    local gone = 0
    local cancelled = rest > 0 and sums(case.cancelled, rest) or nil
    if cancelled then
        gone = by_whole_refunds(case, known, cancelled)
    end
    local asked = case.loose + rest - gone
    local is_proved = cancelled and case.credited > case.loose and case.credited < asked
        and cancelled.has[rest + case.loose - case.credited]
    if is_proved then
        gone, asked = rest + case.loose - case.credited, case.credited
    end
    local settled = math.min(case.doubtful, math.max(0, case.credited - asked))
    asked = asked + settled
    local left = math.max(0, asked - case.credited)
    local possible = math.min(total(case.cancelled) - gone, asked - case.loose - settled, left)
    return {asked_minor = asked, doubtful_minor = case.doubtful - settled, left_minor = left,
        over_minor = math.max(0, case.credited - asked), cancelled_minor = gone,
        possible_minor = math.max(0, possible)}
end

return refund_rest
