-- neap-test-root: examples/sandbox/khaos
-- Random baskets through the mapper, under every reading of what the contract leaves open: how many
-- decimals of a net price Khaos keeps (11.18) and how it rounds a gross line (11.19).
--
-- What is posted comes to the order's total by Khaos's line rule, worked out from the contract's
-- text (khaos_rule) under every reading, and once more by the simulated Khaos, which plays each
-- reading of 11.18 with what the profile declares of 11.19. What is held is held for what
-- was put in, or because no allowed representation ties (basket_search).
--
--     neap test --lua --set count=100000 --set seed=1 tests/lua/property_mapper_test.lua
local basket_judge = require("basket_judge")
local basket_trail = require("basket_trail")
local baskets = require("baskets")
local calc = require("erp.calc")
local json = require("neap.json")
local map = require("flows.orders.map")
local rule = require("khaos_rule")

-- What the simulated Khaos keeps of a net price. Cutting is left to khaos_rule: it rounds.
local SANDBOX_KEEPS = {{name = "as sent"}, {name = "4", places = 4}, {name = "2", places = 2}}

local function settings_of(mappings)
    return {merchant_key = "us", despatch_promise_hours = 48,
        khaos = {kind = mappings.becomes.is_cloud and "cloud" or "soap"}}
end

-- Of the baskets without a fault. Only a lone unit at a net price can be out of reach (2 to 19% of
-- prices, by rate), and half of the profiles here allow no rounding or a single penny of it; each
-- basket that is held is proved to be out of reach besides.
local MAX_HELD_PERCENT = 3
-- Of the orders whose VAT can be compared: SCAYLE's calculators and Khaos each round in their way.
local MAX_VAT_PERCENT = 1 -- more than two pennies apart

-- ---- the simulated Khaos ---------------------------------------------------------------------

local RATE_OF_CODE = {}
for rate, code in pairs(baskets.codes) do
    RATE_OF_CODE[code] = calc.decimal(rate)
end

local function sandbox_line(line, profile)
    return {
        quantity = calc.decimal(tostring(line.quantity)),
        price = calc.decimal(line.price_net or line.price_gross),
        price_is = line.price_net and "net" or "gross",
        discount = calc.decimal(line.discount_percent or "0"),
        rate = line.tax_code and RATE_OF_CODE[line.tax_code] or calc.decimal(profile.standard_rate),
    }
end

-- What the simulated Khaos comes to under each reading of SANDBOX_KEEPS.
local function sandbox_totals(posting, profile)
    local delivery, totals = posting.header.delivery, {}
    local charge = delivery.gross and rule.pennies(delivery.gross)
        or rule.pennies(delivery.net) + rule.pennies(delivery.tax)
    for i, keeps in ipairs(SANDBOX_KEEPS) do
        totals[i] = charge
        keeps.options = {net_decimals = keeps.places,
            intermediate = profile.gross_rounding == "stepwise"}
    end
    for _, line in ipairs(posting.lines) do
        local parsed = sandbox_line(line, profile)
        for i, keeps in ipairs(SANDBOX_KEEPS) do
            local figures = calc.line(parsed, profile.calc, keeps.options)
            totals[i] = totals[i] + figures.gross
            assert(figures.net == line.predicted.net_minor, "the sandbox has another net")
        end
    end
    return totals
end

-- ---- one basket ------------------------------------------------------------------------------

local function has_stock_code(code)
    return code ~= "GONE"
end

local function count(t, key, by)
    t[key] = (t[key] or 0) + (by or 1)
end

local function judge_posted(tally, entry, result)
    local order, profile = entry.order, entry.mappings.companies["7"]
    local seen = basket_judge.posted(order, entry.mappings, result)
    basket_trail.check(order, result)
    -- The simulated Khaos is the on-premise one, which knows no amounts off.
    local is_cloud = entry.mappings.becomes.is_cloud
    for i, sandbox in ipairs(is_cloud and {} or sandbox_totals(result.posting, profile)) do
        assert(sandbox == order.cost.withTax, string.format("the sandbox comes to %d (keeps %s)",
            sandbox, SANDBOX_KEEPS[i].name))
    end
    for _, reading in ipairs(rule.PRICES) do
        assert(seen.ties[reading.name], "hangs on decimals: " .. reading.name)
        count(tally.ties, reading.name)
    end
    count(tally, "rounded", seen.rounding > 0 and 1 or 0)
    count(tally, "rounding", seen.rounding)
    if seen.vat then
        count(tally, "compared")
        count(tally.vat, math.min(seen.vat, 3))
    end
end

local function judge(tally, entry, result)
    local is_innocent = next(entry.expects) == nil
    count(tally, is_innocent and "innocent" or "faulty")
    if result.posting then
        assert(#result.causes == 0 and is_innocent, "posted in spite of a fault")
        count(tally, "posted")
        return judge_posted(tally, entry, result)
    end
    assert(#result.causes > 0, "neither posted nor held")
    if is_innocent then
        count(tally, "unreachable")
        return basket_judge.innocent(entry.order, entry.mappings, result)
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

local function play(tally, random, id)
    local mappings = baskets.mappings(random, tally.rounding_rule)
    local order, expects = baskets.order(random, mappings, id)
    local entry = {order = order, mappings = mappings, expects = expects}
    local result = map.map{order = order, delegation = order.delegation, mappings = mappings,
        settings = settings_of(mappings), has_stock_code = has_stock_code}
    count(tally, "units", #order.items)
    local ok, message = pcall(judge, tally, entry, result)
    if not ok then
        error(string.format("basket %s: %s\n%s", order.id, message, words_of(entry, result)), 0)
    end
end

-- ---- the campaign ----------------------------------------------------------------------------

local function new_tally(rounding_rule)
    return {rounding_rule = rounding_rule, posted = 0, unreachable = 0, innocent = 0, faulty = 0,
        units = 0, rounded = 0, rounding = 0, kinds = {}, vat = {}, ties = {}}
end

local function sum_of(tallies)
    local sum = new_tally()
    for _, tally in ipairs(tallies) do
        for key, value in pairs(tally) do
            if type(value) == "number" then
                count(sum, key, value)
            elseif type(value) == "table" then
                for name, number in pairs(value) do
                    count(sum[key], name, number)
                end
            end
        end
    end
    return sum
end

local function tell_readings(t, tallies)
    t.note("gross rule  net prices  baskets  posted and tie  hang  out of reach  with faults")
    for _, tally in ipairs(tallies) do
        for _, reading in ipairs(rule.PRICES) do
            local ties = tally.ties[reading.name]
            t.note("%-10s  %-10s  %7d  %14d  %4d  %12d  %11d", tally.rounding_rule, reading.name,
                tally.innocent + tally.faulty, ties, tally.posted - ties, tally.unreachable,
                tally.faulty)
        end
    end
end

local function tell_shares(t, all)
    t.note("a rounding line on %d, %d pennies in all", all.rounded, all.rounding)
    t.note("VAT against SCAYLE's: same %d, 1 penny %d, 2 pennies %d, more %d", all.vat[0] or 0,
        all.vat[1] or 0, all.vat[2] or 0, all.vat[3] or 0)
    t.note("held though nothing is wrong: %.2f%% (bound %.2f%%)",
        100 * all.unreachable / all.innocent, MAX_HELD_PERCENT)
    for kind, held in pairs(all.kinds) do
        t.note("held for %-24s %6d (%.2f%%), as many as were put in", kind, held,
            100 * held / (all.innocent + all.faulty))
    end
end

return function(t)
    local total, seed = tonumber(t.settings.count) or 2000, tonumber(t.settings.seed) or 1
    t.case("random baskets are posted to the penny or held for what is wrong", function()
        local random, tallies = baskets.random(seed), {}
        for i, rounding_rule in ipairs(rule.ROUNDINGS) do
            tallies[i] = new_tally(rounding_rule)
        end
        for id = 1, total do
            play(tallies[(id - 1) % #tallies + 1], random, id)
        end
        local all = sum_of(tallies)
        t.note("%d baskets of %.1f units, seed %d", total, all.units / total, seed)
        tell_readings(t, tallies)
        tell_shares(t, all)
        assert(100 * all.unreachable <= MAX_HELD_PERCENT * all.innocent, "too many are held")
        assert(100 * (all.vat[3] or 0) <= MAX_VAT_PERCENT * all.compared, "VAT is often far off")
    end)
end
