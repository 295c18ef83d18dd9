-- Judges what the mapper made of a random basket. What the units cost, what may be written for
-- them and what it comes to are worked out here from the order and the contracts (khaos 2.9, scayle
-- 6.2), sharing nothing with the mapper; basket_search says what could have been reached.
local baskets = require("baskets")
local rule = require("khaos_rule")
local search = require("basket_search")

local judge = {}

local R, pennies = rule.R, rule.pennies

local RATE_OF_CODE = {}
for rate, code in pairs(baskets.codes) do
    RATE_OF_CODE[code] = math.floor(tonumber(rate) * 1000 + 0.5) -- thousandths
end

-- ---- what the units cost ---------------------------------------------------------------------

-- What the profile declares each reduction to become; promotions go by their id.
local EFFECTS = {sale = "price", campaign = "percent", promotionCode = "percent", free = "free",
    percent = "percent", amount = "price", deal = "price", combo = "price"}

local function effect_of(reduction)
    if reduction.category == "voucher" then
        return reduction.type == "relative" and "percent" or "price"
    end
    return EFFECTS[reduction.id or reduction.category]
end

local function read_unit(item)
    local price = item.price
    local unit = {id = tostring(item.id), sku = item.variant.referenceKey, paid = price.withTax,
        left = price.withTax, rate = math.floor(price.tax.vat.rate * 1000 + 0.5), lowered = 0,
        percents = 0, is_free = false}
    local sum, sale = 0, 0
    for _, reduction in ipairs(price.appliedReductions or {}) do
        local amount, effect = reduction.amount.absoluteWithTax, effect_of(reduction)
        sum = sum + amount
        sale = sale + (reduction.category == "sale" and amount or 0)
        unit.lowered = unit.lowered + (effect == "price" and amount or 0)
        unit.percents = unit.percents + (effect == "percent" and 1 or 0)
        unit.is_free = unit.is_free or effect == "free"
    end
    unit.listed = price.undiscountedWithTax or unit.paid + sum
    if unit.listed - unit.paid - sum == -sale then
        unit.listed = unit.listed + sale
    end
    return unit
end

-- In proportion to what is left of each price: whole pennies first, the rest by largest remainder.
local function spread(units, amount, apply)
    local sum, rest, order = 0, amount, {}
    for _, unit in ipairs(units) do
        sum = sum + unit.left
    end
    for i, unit in ipairs(units) do
        unit.share = amount * unit.left // sum
        rest = rest - unit.share
        order[i] = {unit = unit, at = i, remainder = amount * unit.left % sum}
    end
    table.sort(order, function(a, b)
        if a.remainder ~= b.remainder then
            return a.remainder > b.remainder
        end
        return a.at < b.at
    end)
    for i, entry in ipairs(order) do
        local share = entry.unit.share + (i <= rest and 1 or 0)
        entry.unit.left = entry.unit.left - share
        if share > 0 then
            apply(entry.unit, share)
        end
    end
end

-- The units of the basket lines that a voucher says it applies to.
local function applicable(order, units)
    local applied, chosen = {}, {}
    for _, entry in ipairs(order.vouchers and order.vouchers[1].applicableItems or {}) do
        applied[entry.key] = entry.isApplied
    end
    for i, item in ipairs(order.items) do
        if applied[item.key] then
            chosen[#chosen + 1] = units[i]
        end
    end
    return #chosen > 0 and chosen or units
end

local function take_order_level(order, units)
    for _, reduction in ipairs(order.cost.appliedReductions or {}) do
        local function lower(unit, share)
            unit.lowered = unit.lowered + share
        end
        local is_shown = false
        for i, item in ipairs(order.items) do
            local after = item.price.absoluteVoucherReducedPrice
            if after then
                is_shown = true
                units[i].left = after.withTax
                lower(units[i], units[i].paid - after.withTax)
            end
        end
        if not is_shown then
            spread(applicable(order, units), reduction.amount.absoluteWithTax, lower)
        end
    end
    if order.membershipDiscount then
        spread(units, order.membershipDiscount.reductionValue, function(unit)
            unit.percents = unit.percents + 1
        end)
    end
end

local function is_net(profile, rate)
    return profile.calc == "net" or (profile.non_standard_lines == "net"
        and rate ~= math.floor(profile.standard_rate * 1000 + 0.5))
end

local function full_price(unit, profile)
    local base = unit.listed - unit.lowered
    if unit.percents == 0 or base <= unit.left or profile.reduced_amounts == "price" then
        return nil
    end
    return unit.is_net and R(base * 1000, 1000 + unit.rate) or base
end

--- The order's units as they are to be posted: left (what each costs once everything is off), and
--- full: the price to write together with a percentage, nil where none is declared.
function judge.units(order, profile)
    local units = {}
    for i, item in ipairs(order.items) do
        units[i] = read_unit(item)
    end
    take_order_level(order, units)
    for _, unit in ipairs(units) do
        unit.is_net = is_net(profile, unit.rate)
        unit.full = unit.left > 0 and full_price(unit, profile) or nil
    end
    return units
end

-- Units that may share lines: of one SKU, rate and price (scayle 6.2). A fee is a pool of its own.
local function pools_of(order, profile, units)
    local pools, by_key = {}, {}
    for _, unit in ipairs(units) do
        local key = unit.sku .. "\0" .. unit.rate .. "\0" .. unit.left
        local pool = by_key[key]
        if not pool then
            pool = {price = unit.left, rate = unit.rate, count = 0, full = unit.full,
                is_net = unit.is_net, written = 0, lines = 0}
            by_key[key] = pool
            pools[#pools + 1] = pool
        end
        pool.count = pool.count + 1
        pool.full = pool.full == unit.full and pool.full or nil
        unit.pool = pool
    end
    for i, fee in ipairs(order.cost.appliedFees) do
        if fee.category == "payment" then
            local rate = math.floor(fee.tax.vat.rate * 1000 + 0.5)
            pools[#pools + 1] = {price = fee.amount.withTax, rate = rate, count = 1, written = 0,
                is_net = is_net(profile, rate), lines = 0,
                fee = i}
        end
    end
    return pools
end

-- Pennies that no allowed representation reaches.
local function least_open(pools)
    local open = 0
    for _, pool in ipairs(pools) do
        if pool.is_net then
            open = open + assert(search.open(pool), "no line comes near")
        end
    end
    return open
end

-- ---- a posted basket -------------------------------------------------------------------------

local function rate_of(line, profile)
    return line.tax_code and assert(RATE_OF_CODE[line.tax_code])
        or math.floor(profile.standard_rate * 1000 + 0.5)
end

-- The most informative form: no reduced price where full price and percentage come to the same.
-- `full` is the price that all units on the line are reduced from.
local function check_form(line, unit, full, gross, net)
    if unit.left == 0 then
        assert(not unit.is_free or line.free_reason == "Promo", "a free unit without its reason")
    elseif line.discount_percent then
        assert(full == pennies(line.price_net or line.price_gross),
            "the percentage does not count from the full price")
    elseif full then
        local percent = search.percent(line.quantity * full, line.price_net and net or gross)
        if percent then
            local text = string.format("%d.%02d", full // 100, full % 100)
            local n, tax = rule.line({quantity = line.quantity, price_net = line.price_net and text,
                price_gross = line.price_gross and text,
                discount_percent = string.format("%d.%02d", percent // 100, percent % 100)},
                unit.rate, rule.PRICES[1], "stepwise")
            assert(n < 0 or tax < 0, "a reduced price where a percentage ties exactly")
        end
    end
end

local function check_units(line, by_id, seen)
    assert(#line.unit_ids == line.quantity, "units and quantity differ")
    local first = by_id[line.unit_ids[1]]
    local full = first.full
    for _, id in ipairs(line.unit_ids) do
        local unit = assert(by_id[id], "a unit that is not on the order")
        assert(not seen[id], "unit twice: " .. id)
        seen[id] = true
        assert(unit.sku == line.stock_code, "unit on the wrong line")
        assert(unit.pool == first.pool, "units of different prices or rates on one line")
        full = full == unit.full and full or nil
    end
    return first, full
end

local function pool_of_fee(line, pools)
    for _, pool in ipairs(pools) do
        if pool.fee and not pool.is_written then
            pool.is_written = true
            assert(line.stock_code == "FEE" and line.quantity == 1)
            return pool
        end
    end
    error("a fee line without a fee")
end

-- Khaos's figures of one line by the declared readings: those the mapper predicted.
local function figures(line, rate, profile)
    local net, tax, gross, discount = rule.line(line, rate, rule.PRICES[1],
        profile.gross_rounding)
    local p = line.predicted
    assert(p.net_minor == net and p.tax_minor == tax and p.gross_minor == gross
        and p.discount_minor == discount, "the mapper predicts other figures")
    return net, tax, gross
end

-- Khaos's VAT of a line is the exact VAT of its gross, rounded once or twice: within a penny.
local function check_vat(sums, line, rate, tax, gross)
    local off = math.abs(tax * (1000 + rate) - gross * rate) -- 1000 + rate of them are a penny
    assert(off <= 1000 + rate, "VAT of a line is more than a penny off: " .. line.stock_code)
    sums.tax_at[rate] = (sums.tax_at[rate] or 0) + tax
end

-- At each tax code Khaos's VAT is that of what SCAYLE charged at the rate: a penny per line at most
-- (scayle 6.3), and the tax of pennies that went to the rounding line.
local function check_codes(pools, sums)
    local at = {}
    for _, pool in ipairs(pools) do
        local code = at[pool.rate] or {gross = 0, lines = 0, open = 0}
        at[pool.rate] = code
        code.gross = code.gross + pool.count * pool.price
        code.open = code.open + pool.count * pool.price - pool.written
        code.lines = code.lines + pool.lines
    end
    for rate, code in pairs(at) do
        local off = math.abs(sums.tax_at[rate] * (1000 + rate) - code.gross * rate)
        assert(off <= code.lines * (1000 + rate) + code.open * rate,
            "VAT of a tax code is more than a penny per line off")
    end
end

local function check_lines(posting, profile, pools, by_id)
    local seen, rounding = {}, 0
    local sums = {gross = 0, lines = #posting.lines, grosses = {}, tax_at = {}}
    for i, line in ipairs(posting.lines) do
        local rate = rate_of(line, profile)
        local net, tax, gross = figures(line, rate, profile)
        check_vat(sums, line, rate, tax, gross)
        sums.gross, sums.grosses[i] = sums.gross + gross, gross
        local pool
        if line.kind == "rounding" then
            assert(rounding == 0 and line.stock_code == "ROUNDING" and line.quantity == 1)
            assert(rate == 0 and gross > 0)
            rounding = gross
        elseif line.kind == "fee" then
            pool = pool_of_fee(line, pools)
        else
            local unit, full = check_units(line, by_id, seen)
            check_form(line, unit, full, gross, net)
            pool = unit.pool
        end
        if pool then
            assert(rate == pool.rate, "another rate than the unit's")
            assert((line.price_net ~= nil) == pool.is_net, "net price and gross price mixed up")
            pool.written, pool.lines = pool.written + gross, pool.lines + 1
        end
    end
    for id in pairs(by_id) do
        assert(seen[id], "unit lost: " .. id)
    end
    return sums, rounding
end

-- Every penny between what units cost and what their lines come to is in the rounding line, which
-- takes no more than what nothing else could carry.
local function check_pools(pools, rounding, profile, trail)
    local open = 0
    for _, pool in ipairs(pools) do
        local missing = pool.count * pool.price - pool.written
        assert(missing >= 0 and missing <= pool.lines, "a line takes more than its units cost")
        open = open + missing
    end
    assert(open == rounding, string.format("%d pennies are unexplained", open - rounding))
    assert((trail.data.rounding_minor or 0) == rounding, "rounding that the trail does not name")
    assert(rounding <= profile.max_rounding_minor, "more rounding than the profile allows")
    if rounding > 0 then
        local least = least_open(pools)
        assert(rounding == least, string.format("rounding of %d where %d would do", rounding,
            least))
    end
end

local function delivery_of(posting)
    local delivery = posting.header.delivery
    if delivery.gross then
        return pennies(delivery.gross)
    end
    return pennies(delivery.net) + pennies(delivery.tax)
end

local function check_payments(posting, total)
    local paid = 0
    for _, payment in ipairs(posting.payments) do
        paid = paid + pennies(payment.amount)
    end
    assert(paid == total, "payments do not sum to the total")
    assert(pennies(posting.total) == total and posting.predicted.gross_minor == total)
end

-- VAT of the whole order: each line is within a penny of exact, SCAYLE rounds each line or the sum,
-- and delivery is handed over as SCAYLE has it. Not comparable once order-level reductions are off.
local function vat_difference(order, posting, sums)
    if order.cost.appliedReductions or order.membershipDiscount then
        return nil
    end
    local off = math.abs(posting.predicted.tax_minor - order.cost.tax.vat.amount)
    assert(off <= 2 + sums.lines + #order.cost.appliedFees, "VAT of the order is far off")
    return off
end

-- Which readings of 11.18 the posting ties under, by name, whatever Khaos does of 11.19: `grosses`
-- are the lines as sent and by the declared rounding, which only gross prices can hang on.
local function ties(posting, profile, total, delivery, grosses)
    local result = {}
    local other = profile.gross_rounding == "end" and "stepwise" or "end"
    local coarse, rounded_other, fine = delivery, delivery, {}
    for i, line in ipairs(posting.lines) do
        if line.price_gross then
            coarse = coarse + grosses[i]
            rounded_other = rounded_other + select(3, rule.line(line, rate_of(line, profile),
                rule.PRICES[1], other))
        elseif rule.is_fine(line) then
            fine[#fine + 1] = line
        else
            coarse, rounded_other = coarse + grosses[i], rounded_other + grosses[i]
        end
    end
    assert(coarse == rounded_other, "hangs on how gross lines are rounded")
    for _, reading in ipairs(rule.PRICES) do
        local sum = coarse
        for _, line in ipairs(fine) do
            sum = sum + select(3, rule.line(line, rate_of(line, profile), reading, other))
        end
        result[reading.name] = sum == total
    end
    return result
end

--- A posted basket. Raises what is wrong; says what is worth counting.
---@return table {rounding, ties, vat}
function judge.posted(order, profile, result)
    local posting, total = result.posting, order.cost.withTax
    local units, by_id = judge.units(order, profile), {}
    for _, unit in ipairs(units) do
        by_id[unit.id] = unit
    end
    local pools = pools_of(order, profile, units)
    local sums, rounding = check_lines(posting, profile, pools, by_id)
    check_pools(pools, rounding, profile, result.trail)
    check_codes(pools, sums)
    local delivery = delivery_of(posting)
    assert(sums.gross + delivery == total, string.format("Khaos comes to %d, the order is %d",
        sums.gross + delivery, total))
    check_payments(posting, total)
    return {
        rounding = rounding, vat = vat_difference(order, posting, sums),
        ties = ties(posting, profile, total, delivery, sums.grosses),
    }
end

-- ---- a held basket ---------------------------------------------------------------------------

--- A basket without a fault may be held only where no allowed representation ties.
function judge.innocent(order, profile, result)
    assert(#result.causes == 1, "more than one cause")
    local cause = result.causes[1]
    assert(cause.cause == "totals_do_not_tie" and cause.message:find("net prices cannot reach it"),
        cause.cause .. ": " .. cause.message)
    local pools = pools_of(order, profile, judge.units(order, profile))
    local open = least_open(pools)
    assert(open > profile.max_rounding_minor, string.format(
        "held, although lines can be found that leave only %d open", open))
end

--- A basket with faults must be held for all of them and for nothing else.
function judge.faulty(expects, result)
    local found = {}
    for _, cause in ipairs(result.causes) do
        assert(cause.message and cause.remedy and cause.recheck)
        local subjects = expects[cause.cause]
        assert(subjects and subjects[cause.subject], string.format("held for %s (%s): %s",
            cause.cause, cause.subject, cause.message))
        found[cause.cause .. "\0" .. cause.subject] = true
    end
    for kind, subjects in pairs(expects) do
        for subject in pairs(subjects) do
            assert(found[kind .. "\0" .. subject], "not held for " .. kind .. " " .. subject)
        end
    end
end

return judge
