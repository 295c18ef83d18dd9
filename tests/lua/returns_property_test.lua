--- Random histories of returns, refunds, goodwill, cancelled units and credit notes on either
--- master, told late, twice and in any order; several charges, parts of them, credits below the
--- refund, credit notes that Khaos cancels, enters anew and issues again; then persons do what they
--- are asked. Judged by sums of its own.
---
---     neap test --lua --set count=5000 --set seed=1 tests/lua/returns_property_test.lua
local baskets = require("baskets")
local json = require("neap.json")
local order_units = require("flows.order_units")
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

-- What SCAYLE does, and the messages of it: some first, some twice. `cancelled`: how much of it is
-- for units that Khaos never invoiced.
local function scayle_refund(sim, fees, amount, units, cancelled)
    sim.refunds, sim.refunded = sim.refunds + 1, sim.refunded + amount - (cancelled or 0)
    local id = "RF" .. sim.refunds
    for _ = 1, 1 + sim.random:up_to(2) do
        table.insert(sim.queue, sim.w:message("scayle.refund", {kind = "refund",
            refund_id = (sim.is_stated or sim.is_named) and id or nil,
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

-- Khaos enters a credit note, or shows one in another state.
local function khaos_note(sim, items, total, more)
    local event, code = sim.w:note(items, total, more)
    sim.notes[code] = {items = items, total = total, delivery = more and more.delivery,
        state = more and more.state or "issued", is_stray = more and more.is_stray}
    return event, code
end

local function show(sim, code, state)
    local note = sim.notes[code]
    return (khaos_note(sim, note.items, note.total, {code = code, state = state,
        delivery = note.delivery, is_stray = note.is_stray}))
end

local function enter_again(sim, code)
    local note = sim.notes[code]
    return (khaos_note(sim, note.items, note.total, {delivery = note.delivery}))
end

-- One of the credit notes in this state.
local function pick_note(sim, state)
    local codes = {}
    for code, note in pairs(sim.notes) do
        codes[#codes + 1] = note.state == state and code or nil
    end
    return #codes > 0 and codes[sim.random:up_to(#codes)] or nil
end

-- A unit that was not sent yet is cancelled on both sides.
local function cancel_one(sim)
    local unit = pick(sim, function(found)
        return found.is_here and sim.w.status[found.id] == nil
    end)
    if unit then
        sim.w.status[unit.id] = "cancelled"
        sim.w.job:with(function()
            order_units.change(returns_world.KEY, function(book)
                unit_book.apply(book, {kind = "cancel", id = "khaos:" .. unit.id, at_ms = 1,
                    origin = "khaos", units = {unit.id}})
            end)
        end)
    end
    return unit
end

local MOVES = {
    function(sim) -- a unit is cancelled; it was paid before, or was not
        local unit = cancel_one(sim)
        if unit and sim.is_prepaid then
            scayle_refund(sim, nil, unit.reduced or unit.price, nil, unit.reduced or unit.price)
        end
    end,
    function(sim) -- one is refunded together with a goodwill
        local unit = sim.is_stated and cancel_one(sim)
        if unit then
            local price = unit.reduced or unit.price
            sim.in_one = sim.in_one + price
            scayle_refund(sim, nil, price + sim.random:up_to(300), nil, price)
        end
    end,
    function(sim) -- Khaos cancels a credit note
        local code = pick_note(sim, "issued")
        if code then
            table.insert(sim.queue, show(sim, code, "cancelled"))
        end
    end,
    function(sim) -- and enters it anew, or issues the old one again
        local code = pick_note(sim, "cancelled")
        if code then
            table.insert(sim.queue, sim.random:up_to(2) == 1 and enter_again(sim, code)
                or show(sim, code, "issued"))
        end
    end,
    function(sim) -- units come back to SCAYLE
        local unit = pick(sim, function(found)
            return not found.is_here and sim.w.status[found.id] == nil
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
        table.insert(sim.queue, (khaos_note(sim, {[unit.sku] = 1}, unit.paid_minor,
            {is_stray = sim.random:up_to(3) == 1})))
    end,
    function(sim) -- goodwill in Khaos, now and then far too much
        local minor = sim.random:up_to(5) == 1 and 100000 or sim.random:up_to(300)
        table.insert(sim.queue, (khaos_note(sim, {}, minor)))
    end,
    function(sim) -- goods of which Khaos credits less, by a penny or by much
        local unit = sim.w.units[sim.random:up_to(#sim.w.units)]
        local less = sim.random:up_to(2) == 1 and 1 or sim.random:up_to(unit.paid_minor)
        table.insert(sim.queue, (khaos_note(sim, {[unit.sku] = 1}, unit.paid_minor - less)))
    end,
    function(sim) -- goods with the delivery
        local unit = sim.w.units[sim.random:up_to(#sim.w.units)]
        table.insert(sim.queue, (khaos_note(sim, {[unit.sku] = 1}, unit.paid_minor + 495,
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
        play(sim, (khaos_note(sim, goods_of(message), named_minor(message,
            table.unpack(ASKED.return_not_in_khaos)))))
    end,
    refund_not_in_khaos = function(sim, message)
        play(sim, (khaos_note(sim, {}, named_minor(message,
            table.unpack(ASKED.refund_not_in_khaos)))))
    end,
    refund_unexplained = function(sim, message)
        local minor = named_minor(message, table.unpack(ASKED.refund_unexplained))
        local due = minor - (message:find("further cancelled", 1, true) and sim.in_one or 0)
        play(sim, (khaos_note(sim, {}, due > 0 and due or minor)))
    end,
    credit_note_changed = function(sim, message)
        local code = message:match("^Credit note (%S+) ")
        if message:find("issued in Khaos again", 1, true) then
            play(sim, show(sim, code, "cancelled"))
        else
            play(sim, sim.random:up_to(2) == 1 and enter_again(sim, code)
                or show(sim, code, "issued"))
        end
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

-- What is asked about changed credit notes is open just while Khaos's do not come to the book.
local function check_notes(sim)
    local book, issued = sim.w:book(), 0
    for code, note in pairs(book.credit_notes or {}) do
        local is_taken = note.told and book.changes["khaos:" .. code]
        issued = issued + (is_taken and sim.notes[code].state == "issued"
            and sim.notes[code].total or 0)
    end
    local is_asked = sim.w:open().credit_note_changed ~= nil
    assert(is_asked == (issued ~= unit_book.credited(book)), string.format(
        "Khaos issued %d, the book has %d, a person is %s", issued, unit_book.credited(book),
        is_asked and "asked" or "not asked"))
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
        units[i].is_here = i > 1 and random:up_to(4) == 1 or nil
    end
    local kind = random:up_to(#CHARGES)
    local w = returns_world.new(units, {returns_master = master,
        tell_goodwill = random:up_to(2) == 1}, CHARGES[kind])
    local sim = {w = w, random = random, queue = {}, refunds = 0, refunded = 0, is_refunded = {},
        notes = {}, in_one = 0, is_stated = random:up_to(2) == 1, is_named = random:up_to(2) == 1,
        is_prepaid = random:up_to(2) == 1, fees = table.move(FEES[kind], 1, #FEES[kind], 1, {})}
    w.fees = FEES[kind]
    for _ = 1, random:up_to(10) do
        MOVES[random:up_to(#MOVES)](sim)
        if random:up_to(3) == 1 then
            deliver(sim)
        end
    end
    deliver(sim)
    echoes(sim)
    check_notes(sim)
    persons(sim)
    check_notes(sim)
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
