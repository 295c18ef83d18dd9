-- neap-test-root: examples/sandbox/khaos
-- Random baskets through the mapper, under every reading of what the contract leaves open: how many
-- decimals of a net price Khaos keeps (11.18) and how it rounds a gross line (11.19).
--
-- What is posted comes to the order's total by Khaos's line rule, worked out from the contract's
-- text (khaos_rule) and once more by the simulated Khaos under the profile's own readings. Under
-- the other readings it ties too, or the trail says that it hangs on decimals. What is held is held
-- for what was put in, or because no allowed representation ties (basket_search).
--
--     neap test --lua --set count=100000 --set seed=1 tests/lua/property_mapper_test.lua
local basket_judge = require("basket_judge")
local basket_trail = require("basket_trail")
local baskets = require("baskets")
local calc = require("erp.calc")
local json = require("neap.json")
local map = require("flows.orders.map")
local rule = require("khaos_rule")

-- What a profile may declare. Two decimals stand for rounded and for cut: nothing finer is sent.
local PROFILES = {}
for _, decimals in ipairs({2, 4}) do
    for _, rounding in ipairs(rule.ROUNDINGS) do
        PROFILES[#PROFILES + 1] = {decimals = decimals, rounding = rounding}
    end
end

local SETTINGS = {merchant_key = "us", despatch_promise_hours = 48}

-- Bounds of what may be held without a fault, in percent of the baskets without one.
local MAX_HELD_PERCENT = 5

-- ---- the simulated Khaos ---------------------------------------------------------------------

local function sandbox_total(posting, profile)
    local options = {net_decimals = profile.net_price_decimals,
        intermediate = profile.gross_rounding == "stepwise"}
    local delivery = posting.header.delivery
    local sum = delivery.gross and rule.pennies(delivery.gross)
        or rule.pennies(delivery.net) + rule.pennies(delivery.tax)
    for _, line in ipairs(posting.lines) do
        local rate = tostring(profile.standard_rate)
        for text, code in pairs(baskets.codes) do
            rate = code == line.tax_code and text or rate
        end
        sum = sum + calc.line({
            quantity = calc.decimal(tostring(line.quantity)),
            price = calc.decimal(line.price_net or line.price_gross),
            price_is = line.price_net and "net" or "gross",
            discount = calc.decimal(line.discount_percent or "0"),
            rate = calc.decimal(rate),
        }, profile.calc, options).gross
    end
    return sum
end

-- ---- one basket ------------------------------------------------------------------------------

local function has_stock_code(code)
    return code ~= "GONE"
end

local function count(t, key, by)
    t[key] = (t[key] or 0) + (by or 1)
end

local function judge_posted(tally, order, profile, result)
    local seen = basket_judge.posted(order, profile, result)
    basket_trail.check(order, result)
    local sandbox = sandbox_total(result.posting, profile)
    assert(sandbox == order.cost.withTax, "the sandbox comes to " .. sandbox)
    local hangs = result.trail.data.needs_price_decimals
    for _, reading in ipairs(rule.PRICES) do
        local ties = seen.ties[reading.name]
        assert(ties or hangs, "hangs on decimals, and the trail does not say so")
        assert(ties or (reading.places and reading.places < profile.net_price_decimals),
            "does not tie where Khaos keeps what the profile says: " .. reading.name)
        count(tally.ties, reading.name, ties and 1 or 0)
    end
    count(tally, "hangs", hangs and 1 or 0)
    count(tally, "rounded", seen.rounding > 0 and 1 or 0)
    count(tally, "rounding", seen.rounding)
    if seen.vat then
        count(tally.vat, math.min(seen.vat, 3))
    end
end

local function judge(tally, entry, result)
    local is_innocent = next(entry.expects) == nil
    local profile = entry.mappings.companies["7"]
    count(tally, is_innocent and "innocent" or "faulty")
    if result.posting then
        assert(#result.causes == 0 and is_innocent, "posted in spite of a fault")
        count(tally, "posted")
        return judge_posted(tally, entry.order, profile, result)
    end
    assert(#result.causes > 0, "neither posted nor held")
    if is_innocent then
        count(tally, "unreachable")
        return basket_judge.innocent(entry.order, profile, result)
    end
    basket_judge.faulty(entry.expects, result)
    for kind in pairs(entry.expects) do
        count(tally.kinds, kind)
    end
end

local function words_of(entry, result)
    return string.format("%s\n%s", json.encode(entry):sub(1, 4000),
        table.concat(result.trail.lines, "\n"):sub(1, 8000))
end

local function play(tally, random, id, reading)
    local mappings = baskets.mappings(random, reading)
    local order, expects = baskets.order(random, mappings, id)
    local entry = {order = order, mappings = mappings, expects = expects}
    local result = map.map{order = order, delegation = order.delegation, mappings = mappings,
        settings = SETTINGS, has_stock_code = has_stock_code}
    count(tally, "units", #order.items)
    local ok, message = pcall(judge, tally, entry, result)
    if not ok then
        error(string.format("basket %s: %s\n%s", order.id, message, words_of(entry, result)), 0)
    end
end

-- ---- the campaign ----------------------------------------------------------------------------

local function new_tally()
    return {posted = 0, unreachable = 0, innocent = 0, faulty = 0, units = 0, hangs = 0,
        rounded = 0, rounding = 0, kinds = {}, ties = {}, vat = {}}
end

local function tell_profile(t, profile, tally)
    t.note("profile: %d decimals, %s", profile.decimals, profile.rounding)
    t.note("  posted %d, out of reach %d (%.2f%% of %d without a fault), with faults %d",
        tally.posted, tally.unreachable, 100 * tally.unreachable / tally.innocent, tally.innocent,
        tally.faulty)
    t.note("  rounding line on %d (%d pennies), %d say that they hang on price decimals",
        tally.rounded, tally.rounding, tally.hangs)
    for _, reading in ipairs(rule.PRICES) do
        t.note("  tie where Khaos keeps %-8s %6d of %d", reading.name, tally.ties[reading.name],
            tally.posted)
    end
end

return function(t)
    local total, seed = tonumber(t.settings.count) or 2000, tonumber(t.settings.seed) or 1
    t.case("random baskets are posted to the penny or held for what is wrong", function()
        local random, tallies = baskets.random(seed), {}
        for i in ipairs(PROFILES) do
            tallies[i] = new_tally()
        end
        for id = 1, total do
            local i = (id - 1) % #PROFILES + 1
            play(tallies[i], random, id, PROFILES[i])
        end
        t.note("%d baskets, seed %d", total, seed)
        for i, profile in ipairs(PROFILES) do
            tell_profile(t, profile, tallies[i])
            assert(100 * tallies[i].unreachable <= MAX_HELD_PERCENT * tallies[i].innocent)
        end
    end)
end
