--- Random histories of returns, refunds, goodwill and credit notes on either master, told late,
--- twice and in any order; several charges, parts of them, credits below the refund; then persons
--- do what they are asked. Judged by sums of its own.
---
---     neap test --lua --set count=5000 --set seed=1 tests/lua/returns_property_test.lua
local baskets = require("baskets")
local json = require("neap.json")
local returns_world = require("returns_world")
local unit_book = require("flows.unit_book")

local SKUS = {"TEE", "SOCK"}
-- What a client may have posted: delivery of two fees, equal fees whose names are known or not.
local CHARGES = {
    {{name = "delivery", minor = 495}},
    {{name = "F1", minor = 200}, {name = "F2", minor = 200}, {name = "delivery", minor = 895}},
    {{name = "F1", minor = 200, fee = {category = "additional", key = "gift"}},
        {name = "F2", minor = 200, fee = {category = "payment", key = "p"}},
        {name = "F3", minor = 500, fee = {category = "delivery", key = "express"}},
        {name = "delivery", minor = 395}},
}
local FEES = {
    {{category = "delivery", key = "base", minor = 495}},
    {{category = "payment", key = "p", minor = 200},
        {category = "additional", key = "gift", minor = 200},
        {category = "delivery", key = "base", minor = 395},
        {category = "delivery", key = "express", minor = 500}},
}
FEES[3] = FEES[2]

local function sum(amounts)
    local total = 0
    for _, minor in pairs(amounts) do
        total = total + minor
    end
    return total
end

-- What SCAYLE does, and the messages of it: some first, some twice.
local function scayle_refund(sim, fees, amount, units)
    sim.refunds, sim.refunded = sim.refunds + 1, sim.refunded + amount
    local id = "RF" .. sim.refunds
    for _ = 1, 1 + sim.random:up_to(2) do
        table.insert(sim.queue, sim.w:message("scayle.refund", {kind = "refund", refund_id = id,
            amount = sim.is_stated and amount or nil, fees = fees}))
    end
    if units then
        table.insert(sim.queue, sim.w:message("scayle.returned", {kind = "returned",
            units = units}))
    end
    sim.w.billing = "billing_partially_refunded"
end

local function pick(sim, is_wanted)
    for _, unit in ipairs(sim.w.units) do
        if is_wanted(unit) and sim.random:up_to(2) == 1 then
            return unit
        end
    end
    return nil
end

local MOVES = {
    function(sim) -- units come back to SCAYLE
        local unit = pick(sim, function(found)
            return sim.w.status[found.id] == nil
        end)
        if unit then
            sim.w.status[unit.id], sim.is_refunded[unit.id] = "returned", true
            scayle_refund(sim, nil, unit.reduced or unit.price, {unit.id})
        end
    end,
    function(sim) -- one or two fees are refunded, or a part of one and then the rest
        local first = table.remove(sim.fees, 1)
        local second = sim.random:up_to(2) == 1 and table.remove(sim.fees, 1) or nil
        if first and not second and sim.random:up_to(2) == 1 then
            local part = {category = first.category, key = first.key,
                minor = first.minor // 3}
            scayle_refund(sim, {part}, part.minor)
            first = {category = first.category, key = first.key,
                minor = first.minor - part.minor}
        end
        if first then
            scayle_refund(sim, {first, second}, first.minor + (second and second.minor or 0))
        end
    end,
    function(sim) -- an agent's goodwill in SCAYLE
        if sim.is_stated then
            scayle_refund(sim, nil, sim.random:up_to(300))
        end
    end,
    function(sim) -- goods come back to Khaos
        local unit = sim.w.units[sim.random:up_to(#sim.w.units)]
        table.insert(sim.queue, (sim.w:note({[unit.sku] = 1}, unit.paid_minor,
            {is_stray = sim.random:up_to(3) == 1})))
    end,
    function(sim) -- goodwill in Khaos, now and then far too much
        local minor = sim.random:up_to(5) == 1 and 100000 or sim.random:up_to(300)
        table.insert(sim.queue, (sim.w:note({}, minor)))
    end,
    function(sim) -- goods of which Khaos credits less, by a penny or by much
        local unit = sim.w.units[sim.random:up_to(#sim.w.units)]
        local less = sim.random:up_to(2) == 1 and 1 or sim.random:up_to(unit.paid_minor)
        table.insert(sim.queue, (sim.w:note({[unit.sku] = 1}, unit.paid_minor - less)))
    end,
    function(sim) -- goods with the delivery
        local unit = sim.w.units[sim.random:up_to(#sim.w.units)]
        table.insert(sim.queue, (sim.w:note({[unit.sku] = 1}, unit.paid_minor + 495,
            {delivery = 495})))
    end,
}

local function check(sim)
    local book, credited, invoiced, taken = sim.w:book(), 0, 0, {}
    for _, note in pairs(book.credit_notes or {}) do
        for _, id in ipairs(note.units) do
            assert(not taken[id], "two credit notes took one unit back: " .. id)
            taken[id] = true
        end
    end
    for _, list in ipairs({book.units, book.charges}) do
        for _, entry in ipairs(list) do
            local own, whole = sum(entry.credits), entry.paid_minor or entry.minor
            assert(own <= whole, "more credited than invoiced: " .. (entry.id or entry.name))
            credited, invoiced = credited + own, invoiced + whole
        end
    end
    assert(credited + sum(book.goodwill) <= invoiced, "more credited than invoiced")
end

local function play(sim, event)
    local ended = sim.w:play(event)
    assert(ended.done or ended.held, tostring(ended.error))
    sim.w:settle()
    check(sim)
end

-- Every message, in any order, some of them again.
local function deliver(sim)
    while #sim.queue > 0 do
        local event = table.remove(sim.queue, sim.random:up_to(#sim.queue))
        if sim.random:up_to(4) == 1 then
            table.insert(sim.queue, event)
        end
        play(sim, event)
    end
end

-- SCAYLE refunds what we told it came back, and says so.
local function echoes(sim)
    for _, unit in ipairs(sim.w.units) do
        if sim.w.status[unit.id] == "returned" and not sim.is_refunded[unit.id] then
            sim.is_refunded[unit.id] = true
            scayle_refund(sim, nil, unit.reduced or unit.price, {unit.id})
        end
    end
    deliver(sim)
end

-- Persons credit what the lists ask for, to the penny that the list names.
local function named_minor(message, before, after)
    local whole, part = message:match(before .. "(%d+)%.(%d%d) GBP" .. after)
    return tonumber(whole) * 100 + tonumber(part)
end

local function goods_of(message)
    local items = {}
    for quantity, sku in message:match("took back (.-) of order"):gmatch("(%d+) x (%u+)") do
        items[sku] = tonumber(quantity)
    end
    return items
end

local ASKED = {return_not_in_khaos = {"refunds ", "$"}, refund_not_in_khaos = {"refunds ", " of"},
    refund_unexplained = {": ", " is left"}}

local PERSONS = {
    return_not_in_khaos = function(sim, message)
        play(sim, (sim.w:note(goods_of(message), named_minor(message,
            table.unpack(ASKED.return_not_in_khaos)))))
    end,
    refund_not_in_khaos = function(sim, message)
        play(sim, (sim.w:note({}, named_minor(message,
            table.unpack(ASKED.refund_not_in_khaos)))))
    end,
    refund_unexplained = function(sim, message)
        play(sim, (sim.w:note({}, named_minor(message,
            table.unpack(ASKED.refund_unexplained)))))
    end,
    return_not_in_scayle = function(sim, message)
        for sku, quantity in pairs(goods_of(message)) do
            for _, unit in ipairs(sim.w:book().units) do
                if unit.sku == sku and quantity > 0 and unit.returned
                    and sim.w.status[unit.id] ~= "returned" then
                    sim.w.status[unit.id], quantity = "returned", quantity - 1
                    echoes(sim)
                end
            end
        end
    end,
}

local function persons(sim)
    for _ = 1, 12 do
        for cause, message in pairs(sim.w:open()) do
            if PERSONS[cause] then
                PERSONS[cause](sim, message)
            end
        end
    end
end

-- All that SCAYLE gave back, by its own sums: Khaos credited it, as far as it was invoiced, or a
-- person is asked for it. A penny for each unit may be Khaos's rounding.
local function check_money(sim, book)
    local due = math.min(sim.refunded, unit_book.invoiced(book)) - #sim.w.units
    local asked = 0
    for cause, message in pairs(sim.w:open()) do
        asked = asked + (ASKED[cause] and named_minor(message, table.unpack(ASKED[cause])) or 0)
    end
    assert(unit_book.credited(book) + asked >= due, string.format(
        "%d refunded, %d credited and %d asked for", sim.refunded, unit_book.credited(book), asked))
end

local function check_end(sim)
    local book = sim.w:book()
    check_money(sim, book)
    for _, unit in ipairs(book.units) do
        if sim.w.status[unit.id] == "returned" then
            assert(next(unit.credits) or sim.w:open().return_not_in_khaos,
                "refunded in SCAYLE, never credited, and nobody asked: " .. unit.id
                .. json.encode(book) .. json.encode(sim.w:open()))
        elseif next(unit.credits) then
            error("credited in Khaos, SCAYLE never heard: " .. unit.id)
        end
    end
    local left, free = {}, unit_book.invoiced(book) - unit_book.credited(book)
    for cause, message in pairs(sim.w:open()) do
        -- What was given back beyond the invoice stays with a person.
        local minor = ASKED[cause] and named_minor(message, table.unpack(ASKED[cause])) or 0
        if cause ~= "refund_exceeds_invoice" and minor <= free then
            left[#left + 1] = cause .. ": " .. message
        end
    end
    assert(#left == 0, table.concat(left, "; "))
end

local function history(random, master)
    local units = {}
    for i = 1, 1 + random:up_to(4) do
        units[i] = {SKUS[random:up_to(2)], 500 + random:up_to(1000)}
        if random:up_to(5) == 1 then
            units[i].price, units[i].reduced = units[i][2], units[i][2] - random:up_to(300)
        end
    end
    local kind = random:up_to(#CHARGES)
    local w = returns_world.new(units, {returns_master = master,
        tell_goodwill = random:up_to(2) == 1}, CHARGES[kind])
    local sim = {w = w, random = random, queue = {}, refunds = 0, refunded = 0, is_refunded = {},
        is_stated = random:up_to(2) == 1, fees = table.move(FEES[kind], 1, #FEES[kind], 1, {})}
    for _ = 1, random:up_to(8) do
        MOVES[random:up_to(#MOVES)](sim)
        if random:up_to(3) == 1 then
            deliver(sim)
        end
    end
    deliver(sim)
    echoes(sim)
    persons(sim)
    check_end(sim)
    return json.encode(w.told)
end

return function(t)
    local count, seed = tonumber(t.settings.count) or 300, tonumber(t.settings.seed) or 1
    for _, master in ipairs({"khaos", "scayle"}) do
        t.case("random histories with " .. master .. " as master of returns agree", function()
            local random = baskets.random(seed)
            for i = 1, count do
                local ok, message = pcall(history, random, master)
                assert(ok, string.format("history %d of seed %d: %s", i, seed, message))
            end
            t.note("%d histories (seed %d)", count, seed)
        end)
    end
end
