-- neap-test-root: examples/sandbox/khaos
-- Random baskets through the mapper: what is posted comes to the order's total by Khaos's line
-- rule: calculated here from the contract's text over the written figures, and once more by the
-- sandbox's arithmetic under both readings of contract 11.19, neither sharing anything with the
-- mapper. What is held is held for the cause that was put in.
--
--     neap test --lua --set count=100000 --set seed=1 tests/lua/property_mapper_test.lua
local baskets = require("baskets")
local calc = require("erp.calc")
local json = require("neap.json")
local map = require("flows.orders.map")

local TEN_THOUSANDTHS = 10000 -- every figure below is an integer of these

-- ---- the independent calculator --------------------------------------------------------------

local RATE_OF_CODE = {}
for rate, code in pairs(baskets.codes) do
    RATE_OF_CODE[code] = math.floor(tonumber(rate) * 1000 + 0.5) -- thousandths
end

local function read_figure(text)
    local whole, fraction = text:match("^(%d+)%.(%d+)$")
    assert(whole and #fraction >= 2 and #fraction <= 4, "odd figure " .. tostring(text))
    return whole * TEN_THOUSANDTHS + (fraction .. "0000"):sub(1, 4)
end

-- R: a fraction of pennies to whole pennies, halves away from zero.
local function R(numerator, denominator)
    if numerator < 0 then
        return -R(-numerator, denominator)
    end
    local whole, rest = numerator // denominator, numerator % denominator
    return rest * 2 >= denominator and whole + 1 or whole
end

-- Pennies of a line: discount, then the gross or the net column of the sheet. Both readings of the
-- gross rule are calculated; they may not differ in gross.
local function line_gross(line, rate, cut_to_two)
    local price = read_figure(line.price_net or line.price_gross)
    if cut_to_two then
        price = price // 100 * 100
    end
    local percent = line.discount_percent and read_figure(line.discount_percent) or 0
    local value = line.quantity * price -- ten thousandths; 100 of them are a penny
    local discount = R(value * percent // 100, 100 * TEN_THOUSANDTHS)
    if line.price_net then
        local net = R(value - discount * 100, 100)
        return net + R(net * rate, 1000)
    end
    local base = R(R(value, 100) * 1000, 1000 + rate)
    local net = R(base * (1000 + rate) - discount * 1000, 1000 + rate)
    local stepwise = net + R(value - (discount + net) * 100, 100)
    local late = R((value - discount * 100) * 1000, 100 * (1000 + rate))
    local at_end = late + R(value - (discount + late) * 100, 100)
    assert(stepwise == at_end, "the readings of the gross rule differ in gross")
    return stepwise
end

local function pennies(text)
    local figure = read_figure(text)
    assert(figure % 100 == 0, "not whole pennies: " .. text)
    return figure // 100
end

local function khaos_total(posting, standard, cut_to_two)
    local delivery = posting.header.delivery
    local sum = delivery.gross and pennies(delivery.gross)
        or pennies(delivery.net) + pennies(delivery.tax)
    for _, line in ipairs(posting.lines) do
        local rate = line.tax_code and assert(RATE_OF_CODE[line.tax_code]) or standard
        sum = sum + line_gross(line, rate, cut_to_two)
    end
    return sum
end

-- The same by the simulated Khaos; the profile says how many decimals of a net price it keeps.
local function sandbox_total(posting, profile, standard, rounds_between)
    local options = {net_decimals = profile.net_price_decimals, intermediate = rounds_between}
    local delivery = posting.header.delivery
    local sum = delivery.gross and pennies(delivery.gross)
        or pennies(delivery.net) + pennies(delivery.tax)
    for _, line in ipairs(posting.lines) do
        local rate = line.tax_code and assert(RATE_OF_CODE[line.tax_code]) or standard
        sum = sum + calc.line({
            quantity = calc.decimal(tostring(line.quantity)),
            price = calc.decimal(line.price_net or line.price_gross),
            price_is = line.price_net and "net" or "gross",
            discount = calc.decimal(line.discount_percent or "0"),
            rate = {n = rate, scale = 3},
        }, profile.calc, options).gross
    end
    return sum
end

-- ---- what must hold --------------------------------------------------------------------------

local function check_units(order, posting)
    local seen, count = {}, 0
    for _, line in ipairs(posting.lines) do
        assert(line.kind ~= "item" or #line.unit_ids == line.quantity, "units and quantity differ")
        for _, id in ipairs(line.unit_ids) do
            assert(not seen[id], "unit twice: " .. id)
            seen[id] = line
            count = count + 1
        end
    end
    assert(count == #order.items, "units got lost")
    for _, item in ipairs(order.items) do
        local line = assert(seen[tostring(item.id)], "unit missing")
        assert(line.stock_code == item.variant.referenceKey, "unit on the wrong line")
    end
end

local function check_rounding(posting, profile, trail)
    local sum, count = 0, 0
    for _, line in ipairs(posting.lines) do
        if line.kind == "rounding" then
            count = count + 1
            sum = sum + pennies(line.price_net or line.price_gross)
            assert(line.stock_code == "ROUNDING" and line.quantity == 1)
        end
    end
    assert(count <= 1, "more than one rounding line")
    assert(sum <= profile.max_rounding_minor, "more rounding than the profile allows")
    assert((trail.data.rounding_minor or 0) == sum, "rounding that the trail does not name")
    return sum
end

local function check_posting(order, mappings, result)
    local posting, profile = result.posting, mappings.companies["7"]
    local standard = math.floor(profile.standard_rate * 1000 + 0.5)
    local total = khaos_total(posting, standard, false)
    assert(total == order.cost.withTax, string.format("Khaos comes to %d, the order is %d", total,
        order.cost.withTax))
    for _, rounds_between in ipairs({true, false}) do
        local sandbox = sandbox_total(posting, profile, standard, rounds_between)
        assert(sandbox == total, string.format("the sandbox comes to %d, not %d", sandbox, total))
    end
    assert(pennies(posting.total) == total)
    assert(posting.predicted.gross_minor == total)
    local paid = 0
    for _, payment in ipairs(posting.payments) do
        paid = paid + pennies(payment.amount)
    end
    assert(paid == total, "payments do not sum to the total")
    check_units(order, posting)
    local ties_cut = khaos_total(posting, standard, true) == total
    assert(ties_cut or result.trail.data.needs_price_decimals, "hangs on decimals unsaid")
    assert(ties_cut or profile.net_price_decimals > 2)
    return check_rounding(posting, profile, result.trail), ties_cut
end

-- Without a fault, only net prices that cannot reach the gross may hold an order.
local function check_innocent(order, mappings, cause)
    local profile = mappings.companies["7"]
    assert(cause.cause == "totals_do_not_tie" and cause.message:find("net prices cannot reach it"),
        cause.cause .. ": " .. cause.message)
    if order.membershipDiscount or order.cost.appliedReductions then
        return -- the prices that count are not on the order
    end
    local unreachable, seen = 0, {}
    for _, item in ipairs(order.items) do
        local rate = math.floor(item.price.tax.vat.rate * 1000 + 0.5)
        local gross = item.price.withTax
        local net = R(gross * 1000, 1000 + rate)
        local line = item.variant.referenceKey .. gross
        if not seen[line] and net + R(net * rate, 1000) ~= gross then
            unreachable = unreachable + 1
        end
        seen[line] = true
    end
    assert(unreachable + #order.cost.appliedFees - 1 > profile.max_rounding_minor,
        "held although few enough prices are out of reach")
end

local function check_held(order, mappings, expects, result)
    local got = {}
    for _, cause in ipairs(result.causes) do
        assert(cause.message and cause.remedy and cause.recheck and cause.subject)
        got[cause.cause] = true
        if next(expects) == nil then
            check_innocent(order, mappings, cause)
        else
            assert(expects[cause.cause], "held for " .. cause.cause .. ": " .. cause.message)
        end
    end
    for kind in pairs(expects) do
        assert(got[kind], "not held for " .. kind)
    end
    return got
end

-- ---- run -------------------------------------------------------------------------------------

local function has_stock_code(code)
    return code ~= "GONE"
end

local function new_tally()
    return {posted = 0, held = 0, units = 0, rounded = 0, rounding = 0, decimals = 0, kinds = {}}
end

local function judge(tally, entry, result)
    if result.posting then
        assert(#result.causes == 0 and next(entry.expects) == nil, "posted in spite of a fault")
        local rounding, ties_cut = check_posting(entry.order, entry.mappings, result)
        tally.posted = tally.posted + 1
        tally.rounded = tally.rounded + (rounding > 0 and 1 or 0)
        tally.rounding = tally.rounding + rounding
        tally.decimals = tally.decimals + (ties_cut and 0 or 1)
        return
    end
    assert(#result.causes > 0, "neither posted nor held")
    tally.held = tally.held + 1
    for kind in pairs(check_held(entry.order, entry.mappings, entry.expects, result)) do
        local name = next(entry.expects) and kind or kind .. " (net price out of reach)"
        tally.kinds[name] = (tally.kinds[name] or 0) + 1
    end
end

local function words_of(entry, result)
    return string.format("%s\n%s", json.encode(entry):sub(1, 4000),
        table.concat(result.trail.lines, "\n"):sub(1, 8000))
end

local function play(tally, random, id)
    local mappings = baskets.mappings(random)
    local order, expects = baskets.order(random, mappings, id)
    local entry = {order = order, mappings = mappings, expects = expects}
    local settings = {merchant_key = "us", despatch_promise_hours = 48}
    local result = map.map{order = order, mappings = mappings, settings = settings,
        has_stock_code = has_stock_code}
    tally.units = tally.units + #order.items
    local ok, message = pcall(judge, tally, entry, result)
    if not ok then
        error(string.format("basket %s: %s\n%s", order.id, message, words_of(entry, result)), 0)
    end
end

local function tell(t, tally, count, seed)
    t.note("%d baskets of %.1f units (seed %d): %d posted to the penny, %d held", count,
        tally.units / count, seed, tally.posted, tally.held)
    t.note("%d posted with a named rounding (%d pennies in all), %d hang on price decimals",
        tally.rounded, tally.rounding, tally.decimals)
    for kind, held in pairs(tally.kinds) do
        t.note("held for %-50s %5d (%.1f%%)", kind, held, 100 * held / count)
    end
end

return function(t)
    local count, seed = tonumber(t.settings.count) or 2000, tonumber(t.settings.seed) or 1
    t.case("random baskets are posted to the penny or held for what is wrong", function()
        local random, tally = baskets.random(seed), new_tally()
        for id = 1, count do
            play(tally, random, id)
        end
        tell(t, tally, count, seed)
    end)
end
