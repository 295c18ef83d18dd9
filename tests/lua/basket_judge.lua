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
    percent = "percent", deal = "price", combo = "price"}

local function effect_of(reduction, becomes)
    if reduction.id == "amount" then
        return becomes.amount
    elseif reduction.category == "voucher" then
        return reduction.type == "relative" and "percent" or "price"
    end
    return EFFECTS[reduction.id or reduction.category]
end

-- The pack a unit belongs to: all of one promotion, or one item group.
local function set_of(item, becomes)
    local group = item.itemGroup
    for _, reduction in ipairs(item.price.appliedReductions or {}) do
        if reduction.id == "combo" and becomes.combo == "pack" then
            return "combo"
        end
    end
    return group and becomes.configurable and group.id or nil
end

local function take(unit, category, amount)
    unit.discounts[category] = (unit.discounts[category] or 0) + amount
end

local function read_unit(item, becomes)
    local price = item.price
    local unit = {id = tostring(item.id), sku = item.variant.referenceKey, paid = price.withTax,
        left = price.withTax, rate = math.floor(price.tax.vat.rate * 1000 + 0.5), lowered = 0,
        percents = 0, is_free = false, discounts = {}, off_order = 0,
        set = set_of(item, becomes), is_main = item.itemGroup and item.itemGroup.isMainItem}
    local sum, sale = 0, 0
    for _, reduction in ipairs(price.appliedReductions or {}) do
        local amount, effect = reduction.amount.absoluteWithTax, effect_of(reduction, becomes)
        take(unit, reduction.category, amount)
        unit.is_valued = unit.is_valued or effect == "value_discount"
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

-- An amount off the whole order stays off the lines: the header says it.
local function lowering(category, form)
    return function(unit, share)
        if form == "value_discount" then
            unit.off_order = unit.off_order + share
            return
        end
        take(unit, category, share)
        unit.lowered = unit.lowered + (form == "price" and share or 0)
        unit.percents = unit.percents + (form == "percent" and 1 or 0)
    end
end

local function take_order_level(order, units, becomes)
    for _, reduction in ipairs(order.cost.appliedReductions or {}) do
        local lower = lowering("voucher", becomes.voucher)
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
        spread(units, order.membershipDiscount.reductionValue,
            lowering("membership", becomes.membership))
    end
    for _, unit in ipairs(units) do
        unit.left = unit.left + unit.off_order
    end
end

local function is_net(profile, rate)
    return profile.calc == "net" or (profile.non_standard_lines == "net"
        and rate ~= math.floor(profile.standard_rate * 1000 + 0.5))
end

local function full_price(unit, profile)
    local base = unit.listed - unit.lowered
    if unit.is_valued and base > unit.left then
        unit.value_base = not unit.is_net and base or nil
        return nil
    elseif unit.percents == 0 or base <= unit.left or profile.reduced_amounts == "price" then
        return nil
    end
    return unit.is_net and R(base * 1000, 1000 + unit.rate) or base
end

--- The order's units as they are to be posted: left (what each costs once everything is off), and
--- full: the price to write together with a percentage, nil where none is declared.
function judge.units(order, mappings)
    local units, profile = {}, mappings.companies["7"]
    for i, item in ipairs(order.items) do
        units[i] = read_unit(item, mappings.becomes)
    end
    take_order_level(order, units, mappings.becomes)
    for _, unit in ipairs(units) do
        unit.is_net = is_net(profile, unit.rate)
        unit.full = full_price(unit, profile)
        unit.full = unit.left > 0 and unit.full or nil
    end
    return units
end

-- Units that may share lines: of one SKU, rate, price (scayle 6.2) and set. A fee is a pool of its
-- own, and so is a unit with an amount off.
local function pools_of(order, profile, units)
    local pools, by_key = {}, {}
    for _, unit in ipairs(units) do
        local key = table.concat({unit.sku, unit.rate, unit.left, unit.set or "",
            unit.value_base and unit.id or ""}, "\0")
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
    if unit.value_base then
        assert(pennies(line.price_gross) == unit.value_base and line.quantity == 1
            and line.value_discount, "no full price and amount off, of one unit")
    elseif unit.left == 0 then
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

-- ---- from gross to net, and packs ------------------------------------------------------------

-- What a line was worth before discounts, what each kind took off its units, and what is left.
local function check_worth(line, by_id, khaos, sums)
    local listed, cost, off_order, discounts = 0, 0, 0, {}
    for _, id in ipairs(line.unit_ids) do
        local unit = by_id[id]
        listed, cost = listed + unit.listed, cost + unit.left
        off_order = off_order + unit.off_order
        for kind, amount in pairs(unit.discounts) do
            discounts[kind] = (discounts[kind] or 0) + amount
        end
    end
    local value = line.value
    if line.kind == "fee" then
        listed, cost = value.undiscounted_minor, value.undiscounted_minor
    end
    assert(value.undiscounted_minor == listed, "another undiscounted value")
    assert(value.gross_minor == khaos.gross and value.net_minor == khaos.net
        and value.tax_minor == khaos.tax and khaos.net + khaos.tax == khaos.gross)
    assert(value.moved_minor == khaos.gross - cost, "pennies moved that are not named")
    assert(value.order_discount_minor == off_order
        and (line.order_discount_minor or 0) == off_order, "another part of the order's amount")
    local taken = 0
    for kind, amount in pairs(value.discounts) do
        assert(discounts[kind] == amount, "another discount by " .. kind)
        discounts[kind] = nil
        taken = taken + amount
    end
    assert(next(discounts) == nil, "a discount that the line does not name")
    assert(listed - taken + value.moved_minor == khaos.gross, "gross to net does not sum up")
    sums.undiscounted, sums.taken = sums.undiscounted + listed, sums.taken + taken
    sums.moved, sums.off_order = sums.moved + value.moved_minor, sums.off_order + off_order
end

-- The whole order's picture is that of its lines and its delivery.
local function check_whole_worth(order, posting, sums, delivery)
    local whole, shipping, off = posting.gross_to_net, order.shipping, 0
    if shipping then
        off = shipping.deliveryCostsWithoutDiscount - shipping.deliveryCosts
    end
    local taken = 0
    for _, amount in pairs(whole.discounts) do
        taken = taken + amount
    end
    assert(sums.moved == 0 and whole.moved_minor == 0, "pennies that no line carries")
    assert(taken == sums.taken + off and (whole.discounts.free_shipping or 0) == off)
    assert(whole.undiscounted_minor == sums.undiscounted + delivery + off)
    assert(whole.order_discount_minor == sums.off_order)
    assert(whole.undiscounted_minor - taken - sums.off_order == order.cost.withTax,
        "the order's gross-to-net picture does not come to what was paid")
    assert(whole.net_minor + whole.tax_minor == whole.gross_minor)
end

local function gcd(a, b)
    return b == 0 and a or gcd(b, a % b)
end

-- How many sets the units of one set's promotion make, by their codes.
local function sets_of(units, set)
    local counts, sets = {}, 0
    for _, unit in ipairs(units) do
        if unit.set == set then
            counts[unit.sku] = (counts[unit.sku] or 0) + 1
        end
    end
    for _, count in pairs(counts) do
        sets = gcd(sets, count)
    end
    return sets
end

-- The lines of a set stand together under one number, header first; no other line has one. The
-- others have one place over SOAP, places of their own in Cloud.
local function check_packs(posting, units, by_id, is_cloud)
    local number_of, last = {}, nil
    for _, line in ipairs(posting.lines) do
        local unit = by_id[line.unit_ids[1]]
        local set = line.kind == "pack" and "combo" or unit and unit.set
        assert((line.pack_link ~= nil) == (set ~= nil), "a pack place too many or too few")
        if set then
            local number, index = line.pack_link:match("^(%d%d%d)%.(%d%d%d)$")
            local is_first = number_of[set] == nil
            number_of[set] = number_of[set] or number
            assert(number_of[set] == number, "one set under two numbers")
            assert(is_first == (index == "001"), "a header that is not first")
            local place = is_cloud and last and last.index + 1 or 2
            assert(is_first or (last.set == set and tonumber(index) == place),
                "the lines of a set do not stand together")
            assert(not is_first or line.kind == "pack" or unit.is_main, "no main item first")
            assert(line.kind ~= "pack" or line.quantity == sets_of(units, set), "how many sets")
            last = {set = set, index = tonumber(index)}
        end
    end
    local seen = {}
    for set, number in pairs(number_of) do
        assert(not seen[number], "two sets under one number: " .. set)
        seen[number] = true
    end
end

local function check_lines(posting, profile, pools, by_id)
    local seen, rounding = {}, 0
    local sums = {gross = 0, lines = #posting.lines, grosses = {}, tax_at = {},
        undiscounted = 0, taken = 0, moved = 0, off_order = 0}
    for i, line in ipairs(posting.lines) do
        local rate = rate_of(line, profile)
        local net, tax, gross = figures(line, rate, profile)
        check_vat(sums, line, rate, tax, gross)
        sums.gross, sums.grosses[i] = sums.gross + gross, gross
        local pool
        check_worth(line, by_id, {net = net, tax = tax, gross = gross}, sums)
        if line.kind == "pack" then
            assert(gross == 0 and #line.unit_ids == 0 and line.stock_code == "SET")
        elseif line.kind == "rounding" then
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
function judge.posted(order, mappings, result)
    local posting, total = result.posting, order.cost.withTax
    local profile = mappings.companies["7"]
    local units, by_id = judge.units(order, mappings), {}
    for _, unit in ipairs(units) do
        by_id[unit.id] = unit
    end
    local pools = pools_of(order, profile, units)
    local sums, rounding = check_lines(posting, profile, pools, by_id)
    check_pools(pools, rounding, profile, result.trail)
    check_codes(pools, sums)
    local delivery = delivery_of(posting)
    local off = posting.header.value_discount and pennies(posting.header.value_discount) or 0
    assert(off == sums.off_order, "the header says another amount than its lines")
    assert(sums.gross + delivery - off == total, string.format(
        "Khaos comes to %d, the order is %d", sums.gross + delivery - off, total))
    check_whole_worth(order, posting, sums, delivery)
    check_packs(posting, units, by_id, mappings.becomes.is_cloud)
    check_payments(posting, total)
    return {
        rounding = rounding, vat = vat_difference(order, posting, sums),
        ties = ties(posting, profile, total + off, delivery, sums.grosses),
    }
end

-- ---- a held basket ---------------------------------------------------------------------------

--- A basket without a fault may be held only where no allowed representation ties.
function judge.innocent(order, mappings, result)
    local profile = mappings.companies["7"]
    assert(#result.causes == 1, "more than one cause")
    local cause = result.causes[1]
    assert(cause.cause == "totals_do_not_tie" and cause.message:find("net prices cannot reach it"),
        cause.cause .. ": " .. cause.message)
    local pools = pools_of(order, profile, judge.units(order, mappings))
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
