--- Which total the order has, whether its own figures tie, and where order-level reductions go.
---
--- With A the sum of unit prices, F the fees, V the absolute order-level reductions and M the
--- membership discount, the total is A+F, A+F-V or A+F-V-M; which one held is recorded. What is
--- captured is less by M (contract 2.5, costCapture): whether the total that an order shows is so
--- too is told by what was paid.
local amounts = require("flows.orders.amounts")
local money = require("neap.money")
local promotions = require("flows.orders.promotions")
local read = require("flows.orders.read")

local totals = {}

local text = amounts.text

local function untied(work, message, ...)
    work.causes:add("totals_do_not_tie", work.order_id, string.format(message, ...))
end

local function is_total(minor)
    return minor ~= nil and minor >= 0 and minor <= amounts.MAX_MINOR
end

-- The cost this posting ties to: the order's, or with several merchants the delegation's own. It is
-- given even when its total is no good, because its fees and reductions may have causes too.
local function choose_cost(work)
    local delegated = read.table(work.input.delegation, "cost")
    local own = read.integer(delegated, "withTax")
    if work.is_shared then
        if not is_total(own) then
            untied(work, "Other merchants sell on order %s, and no delegation with our own cost "
                .. "is at hand", work.order_id)
            return delegated, nil
        end
        work.trail:say("Other merchants sell on this order: the total is our delegation's cost")
        return delegated, own
    end
    local cost = read.table(work.order, "cost")
    local whole = read.integer(cost, "withTax")
    if not is_total(whole) then
        untied(work, "Order %s has no readable total (cost.withTax)", work.order_id)
        return cost, nil
    elseif own and own ~= whole then
        untied(work, "Order %s is %s, but it was delegated to us with %s", work.order_id,
            text(whole), text(own))
    end
    return cost, whole
end

local function order_reduction(reduction)
    return {
        category = read.text(reduction, "category") or "unknown",
        type = read.text(reduction, "type"),
        code = read.text(reduction, "code"),
        id = read.text(reduction, "id"),
        name = read.text(reduction, "displayName"),
        amount = read.integer(read.table(reduction, "amount"), "absoluteWithTax") or 0,
    }
end

-- Absolute reductions of the whole order, no negative ones; relative ones are the items' summary.
local function absolute_reductions(cost, see)
    local list, sum = {}, 0
    for _, entry in ipairs(read.table(cost, "appliedReductions")) do
        local reduction = order_reduction(entry)
        if see then
            see(reduction)
        end
        if reduction.type == "absolute" and reduction.amount >= 0 then
            list[#list + 1] = reduction
            sum = sum + reduction.amount
        end
    end
    return list, sum
end

-- The same, each with its rule.
local function order_level(work, cost)
    return absolute_reductions(cost, function(reduction)
        reduction.rule = promotions.rule(work, reduction, "order")
        if reduction.amount < 0 then
            untied(work, "%s is negative", promotions.describe(reduction))
        end
    end)
end

local function membership(work)
    local amount = read.integer(read.table(work.order, "membershipDiscount"), "reductionValue") or 0
    if amount == 0 or work.is_shared then
        return nil, 0
    end
    local reduction = {category = "membership", type = "absolute", amount = amount}
    if amount < 0 then
        untied(work, "%s is negative", promotions.describe(reduction))
        return nil, 0
    end
    reduction.rule = promotions.rule(work, reduction, "order")
    return reduction, amount
end

local function sum_units(work)
    local sum = 0
    for _, unit in ipairs(work.units) do
        sum = sum + unit.paid
    end
    return sum
end

-- Lowers what a unit costs, or only notes its share of an amount that the order says as a whole.
local function take_off(work, unit, reduction, amount)
    if amount == 0 then
        return
    end
    promotions.count_share(work, reduction, amount)
    local is_whole = promotions.form(reduction.rule) == "value_discount"
    local name = is_whole and "order_shares" or "taken_off"
    unit[name] = unit[name] or {}
    table.insert(unit[name], {
        category = reduction.category, type = reduction.type, code = reduction.code,
        id = reduction.id, name = reduction.name, rule = reduction.rule, amount = amount,
    })
end

local function left_of(unit)
    local left = unit.paid
    for _, name in ipairs({"taken_off", "order_shares"}) do
        for _, taken in ipairs(unit[name] or {}) do
            left = left - taken.amount
        end
    end
    return left
end

-- The units a voucher says it applies to; all when it does not say.
local function applicable_units(work, code)
    for _, voucher in ipairs(read.either(work.order, "vouchers", "voucher")) do
        local applied = {}
        for _, item in ipairs(read.table(voucher, "applicableItems")) do
            if item.isApplied == true and read.text(item, "key") then
                applied[item.key] = true
            end
        end
        if next(applied) and (not code or read.text(voucher, "code") == code) then
            local chosen = {}
            for _, unit in ipairs(work.units) do
                if unit.key and applied[unit.key] then
                    chosen[#chosen + 1] = unit
                end
            end
            return chosen
        end
    end
    return work.units
end

-- Spreads an order-level reduction over units in proportion to their prices (largest remainder).
local function spread(work, reduction)
    local rule = reduction.rule
    local split = rule.split or promotions.form(rule) == "value_discount" and "all"
    if not split then
        work.causes:add("unmapped_promotion", reduction.category .. " without unit", string.format(
            "%s is taken off the whole order and no item says which unit it was taken off; its "
                .. "rule declares no split", promotions.describe(reduction)))
        return
    end
    local chosen = split == "applicable" and applicable_units(work, reduction.code) or work.units
    local weights, sum = {}, 0
    for i, unit in ipairs(chosen) do
        weights[i] = left_of(unit)
        sum = sum + weights[i]
    end
    if sum < reduction.amount then
        untied(work, "%s is more than the %s of the units it applies to",
            promotions.describe(reduction), text(sum))
        return
    end
    for i, share in ipairs(money.split(reduction.amount, weights)) do
        take_off(work, chosen[i], reduction, share)
    end
    work.trail:say("%s spread over %d units in proportion to their prices",
        promotions.describe(reduction), #chosen)
end

local function take_share(work, unit, reduction, share)
    if share ~= 0 then
        take_off(work, unit, reduction, share)
        work.trail:say("%s: unit %s is %s lower, it goes from %s to %s (its price after the "
            .. "voucher)", promotions.describe(reduction), unit.id, text(share), text(unit.paid),
            text(unit.voucher_price))
    end
end

-- Units show what they cost after these reductions, together: each is a part of every difference.
local function take_shown(work, list)
    local left, is_odd = {}, false
    for i, unit in ipairs(work.units) do
        left[i] = unit.voucher_price and unit.paid - unit.voucher_price or 0
        is_odd = is_odd or left[i] < 0
    end
    if is_odd and #list > 1 then
        untied(work, "An item is dearer after the vouchers than before, and the order has %d of "
            .. "them", #list)
        return
    end
    for _, reduction in ipairs(list) do
        local shares = #list > 1 and money.split(reduction.amount, left) or left
        for i, share in ipairs(shares) do
            left[i] = #list > 1 and left[i] - share or left[i]
            take_share(work, work.units[i], reduction, share)
        end
    end
end

local function split_by(list, fits)
    local these, others, sum = {}, {}, 0
    for _, reduction in ipairs(list) do
        if fits(reduction) then
            these[#these + 1] = reduction
            sum = sum + reduction.amount
        else
            others[#others + 1] = reduction
        end
    end
    return these, others, sum
end

local function have_rules(list)
    for _, reduction in ipairs(list) do
        if not reduction.rule then
            return false
        end
    end
    return true
end

-- An absolute voucher sits on one unit, which shows its price after it; what no unit shows is
-- spread if the rule says so.
local function place(work, list, sum)
    local shown = 0
    for _, unit in ipairs(work.units) do
        shown = shown + (unit.voucher_price and unit.paid - unit.voucher_price or 0)
    end
    local placed, others, vouchers = split_by(list, function(reduction)
        return shown ~= 0 and reduction.amount ~= 0
            and (shown == sum or reduction.category == "voucher")
    end)
    if shown ~= vouchers then
        untied(work, "The order has reductions of %s on the whole order, but its items show %s "
            .. "taken off", text(sum), text(shown))
        return
    end
    if have_rules(placed) then
        take_shown(work, placed)
    end
    for _, reduction in ipairs(others) do
        if reduction.rule and reduction.amount ~= 0 then
            spread(work, reduction)
        end
    end
end

local function find_form(work, sums)
    local forms = {
        {name = "A+F", total = sums.units + sums.fees},
        {name = "A+F-V", total = sums.units + sums.fees - sums.level},
        {name = "A+F-V-M", total = sums.units + sums.fees - sums.level - sums.member},
    }
    for _, form in ipairs(forms) do
        if form.total == work.total then
            return form.name
        end
    end
    untied(work, "Order %s: units %s + fees %s = %s%s%s, but the order's total is %s",
        work.order_id, text(sums.units), text(sums.fees), text(forms[1].total),
        sums.level ~= 0 and ", less " .. text(sums.level) .. " off the order" or "",
        sums.member ~= 0 and ", less membership " .. text(sums.member) or "", text(work.total))
    return nil
end

-- The total may be said before the membership discount, and the payments come to what is after it.
local function take_member_off(work, sums)
    work.member_off = 0
    if sums.member > 0 and work.total_form ~= "A+F-V-M"
        and read.sum_payments(work.order) == work.total - sums.member then
        work.member_off, work.total = sums.member, work.total - sums.member
    end
end

local function record(work, sums)
    work.trail.data.total_check = {
        form = work.total_form, units_minor = sums.units, fees_minor = sums.fees,
        order_level_minor = sums.level, membership_minor = sums.member, total_minor = work.total,
        member_off_minor = work.member_off,
    }
    work.trail:say("Order total %s %s: units %s + fees %s%s%s (check %s)", text(work.total),
        work.currency or "?", text(sums.units), text(sums.fees),
        work.total_form ~= "A+F" and " - order reductions " .. text(sums.level) or "",
        (work.total_form == "A+F-V-M" or work.member_off > 0)
            and " - membership " .. text(sums.member) or "", work.total_form)
    if work.member_off > 0 then
        work.trail:say("SCAYLE's total is %s; the payments come to it less the membership discount",
            text(work.total + work.member_off))
    end
end

-- What is taken off the order as a whole: the header says it, no line does.
local function sum_order_shares(work)
    work.value_discount = 0
    for _, unit in ipairs(work.units) do
        for _, share in ipairs(unit.order_shares or {}) do
            work.value_discount = work.value_discount + share.amount
        end
    end
end

-- What items show as taken off by absolute vouchers: ours, and those of other merchants.
local function shown_off(work)
    local ours, others = 0, 0
    for _, unit in ipairs(work.units) do
        ours = ours + (unit.voucher_price and unit.paid - unit.voucher_price or 0)
    end
    for _, item in ipairs(read.table(work.order, "items")) do
        local price = read.table(item, "price")
        local after = read.integer(read.table(price, "absoluteVoucherReducedPrice"), "withTax")
        if after and not read.is_ours(item, work.settings.merchant_key) then
            others = others + (read.integer(price, "withTax") or after) - after
        end
    end
    return ours, others
end

-- An amount off an order on which other merchants sell too is theirs where their items show it, and
-- ours where our delegation's cost shows it. What neither shows is off the whole order in a share
-- that nobody tells: it is held rather than left out.
local function check_shared(work, level)
    local ours, others = shown_off(work)
    local _, whole = absolute_reductions(read.table(work.order, "cost"))
    local is_ours_untold = ours ~= 0 and (level == 0 or work.total_form == "A+F")
    if is_ours_untold or whole ~= level + others then
        untied(work, "Other merchants sell on order %s, which has %s off as a whole; our "
            .. "delegation's cost shows %s of it, our items %s and theirs %s", work.order_id,
            text(whole), text(level), text(ours), text(others))
    end
    local member = read.integer(read.table(work.order, "membershipDiscount"), "reductionValue")
    if (member or 0) ~= 0 then
        untied(work, "Other merchants sell on order %s, which has a membership discount of %s; "
            .. "our part of it is not known", work.order_id, text(member))
    end
end

--- Sets work.cost, work.total, work.total_form, work.value_discount and each unit's share of
--- order-level reductions, or adds the causes.
---@param work table
function totals.check(work)
    local cost, total = choose_cost(work)
    work.cost, work.total = cost, total
    local list, level = order_level(work, cost)
    local member, member_sum = membership(work)
    if not total then
        return
    end
    local sums = {units = sum_units(work), fees = read.sum_fees(cost), level = level,
        member = member_sum}
    work.total_form = find_form(work, sums)
    if not work.total_form then
        return
    end
    take_member_off(work, sums)
    if work.is_shared then
        check_shared(work, level)
    end
    record(work, sums)
    if work.total_form ~= "A+F" and #list > 0 then
        place(work, list, level)
    end
    local is_taken_off = work.total_form == "A+F-V-M" or work.member_off > 0
    if is_taken_off and member and member.rule then
        spread(work, member)
    end
    sum_order_shares(work)
end

return totals
