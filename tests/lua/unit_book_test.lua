-- The units of an order: single rules, then random histories told late, twice and in any order,
-- judged by a model that shares nothing with the book but the words.
--
--     neap test --lua --set count=20000 --set seed=1 tests/lua/unit_book_test.lua
local baskets = require("baskets")
local json = require("neap.json")
local unit_book = require("flows.unit_book")

local function book_of(...)
    local units = {}
    for i, paid in ipairs({...}) do
        units[i] = {id = "u" .. i, sku = i % 2 == 0 and "EVEN" or "ODD", line = "L" .. i,
            paid_minor = paid}
    end
    return unit_book.new{key = "order:fo:1", currency = "GBP", units = units,
        charges = {{name = "delivery", minor = 495}}}
end

local function change(kind, id, units)
    return {kind = kind, id = id, origin = "khaos", at_ms = 1, units = units}
end

local function credit(id, credits, goodwill_minor)
    return {kind = "credit", id = id, origin = "khaos", at_ms = 1, credits = credits,
        goodwill_minor = goodwill_minor}
end

local function states(book)
    local list = {}
    for i, unit in ipairs(book.units) do
        list[i] = unit_book.state(unit)
    end
    return list
end

local function rules(t)
    t.case("our own message coming back changes nothing", function()
        local book = book_of(1000, 1000)
        t.equal(unit_book.apply(book, change("ship", "I1", {"u1"})).changed, {"u1"})
        local echo = unit_book.apply(book, change("ship", "scayle-9", {"u1", "u2"}))
        t.equal({echo.changed, echo.echoed}, {{"u2"}, {"u1"}})
        t.equal(book.units[1].shipped.id, "I1")
        t.equal(unit_book.apply(book, change("ship", "I1", {"u1"})).is_repeat, true)
    end)
    t.case("an unknown unit refuses the whole change", function()
        local book = book_of(1000)
        local outcome = unit_book.apply(book, change("cancel", "c", {"u1", "u7"}))
        t.equal(outcome.refused, {{subject = "u7", reason = "unknown_unit"}})
        t.equal(states(book), {"open"})
    end)
    t.case("cancelled and sent all the same is a conflict, in either order", function()
        for _, kinds in ipairs({{"cancel", "ship"}, {"ship", "cancel"}}) do
            local book = book_of(1000)
            unit_book.apply(book, change(kinds[1], "a", {"u1"}))
            unit_book.apply(book, change(kinds[2], "b", {"u1"}))
            t.equal(unit_book.conflicts(book), {"u1"})
        end
    end)
    t.case("a credit before the goods were invoiced is refused and may come again", function()
        local book = book_of(1000)
        local early = unit_book.apply(book, credit("cn1", {{unit = "u1", minor = 1000}}))
        t.equal(early.refused, {{subject = "u1", reason = "not_invoiced"}})
        unit_book.apply(book, change("ship", "I1", {"u1"}))
        local late = unit_book.apply(book, credit("cn1", {{unit = "u1", minor = 1000}}))
        t.equal({#late.refused, late.is_repeat}, {0, false})
        t.equal(states(book), {"refunded"})
    end)
    t.case("credits exceed neither a unit, nor a charge, nor the order", function()
        local book = book_of(1000, 500)
        unit_book.apply(book, change("ship", "I1", {"u1"}))
        local function reason(...)
            return (unit_book.apply(book, credit(...)).refused[1] or {}).reason
        end
        t.equal(reason("a", {{unit = "u1", minor = 600}, {unit = "u1", minor = 401}}),
            "exceeds_invoiced")
        t.equal(reason("b", {{charge = "delivery", minor = 496}}), "exceeds_invoiced")
        t.equal(reason("c", {{charge = "wrapping", minor = 1}}), "unknown_charge")
        t.equal(reason("d", {}, 1496), "exceeds_invoiced")
        t.equal(reason("e", {{unit = "u1", minor = 1000}}, 495), nil)
        t.equal(reason("f", {{charge = "delivery", minor = 1}}), "exceeds_invoiced")
    end)
    t.case("units without a line are picked in line order", function()
        local book = book_of(1, 1, 1, 1, 1)
        unit_book.apply(book, change("cancel", "c", {"u1"}))
        t.equal(unit_book.pick(book, "ODD", "open", 9), {"u3", "u5"})
        t.equal(unit_book.pick(book, "ODD", "open", 1), {"u3"})
    end)
    t.case("the book as of an instant is the book that was told nothing later", function()
        local changes = {change("ship", "I1", {"u1"}), change("cancel", "c", {"u2"}),
            credit("cn1", {{unit = "u1", minor = 400}}, 100), change("return", "r", {"u1"}),
            credit("cn2", {{charge = "delivery", minor = 495}, {unit = "u1", minor = 100}})}
        local book = book_of(1000, 1000)
        for i, one in ipairs(changes) do
            one.at_ms = i * 10
            t.equal(#unit_book.apply(book, one).refused, 0)
        end
        for at = 0, #changes do
            local early = book_of(1000, 1000)
            for i = 1, at do
                unit_book.apply(early, changes[i])
            end
            local past = unit_book.as_of(book, at * 10 + 5)
            t.equal(states(past), states(early))
            t.equal({unit_book.credited(past), unit_book.invoiced(past)},
                {unit_book.credited(early), unit_book.invoiced(early)})
        end
    end)
    t.case("a book survives the store", function()
        local book = book_of(1000)
        unit_book.apply(book, change("ship", "I1", {"u1"}))
        local again = json.decode(json.encode(book))
        unit_book.apply(again, change("return", "r", {"u1"}))
        t.equal(states(again), {"returned"})
    end)
end

-- ---- random histories ------------------------------------------------------------------------

local GOODS = {"ship", "cancel", "return"}

local function random_units(random, count)
    local ids = {}
    for i = 1, count do
        if random:chance(40) then
            ids[#ids + 1] = "u" .. i
        end
    end
    return ids
end

local function random_credits(random, count)
    local list = {}
    for i = 1, random:up_to(3) do
        list[i] = random:chance(15) and {charge = "delivery", minor = random:up_to(600) - 1}
            or {unit = "u" .. random:up_to(count), minor = random:up_to(1500) - 1}
    end
    return list
end

local function history(random, count)
    local changes = {}
    for i = 1, random:up_to(8) do
        changes[i] = change(random:pick(GOODS), "g" .. i, random_units(random, count))
    end
    for i = 1, random:up_to(6) do
        changes[#changes + 1] = credit("c" .. i, random_credits(random, count),
            random:chance(20) and random:up_to(300) or nil)
    end
    return changes
end

local function shuffled(random, list)
    local copy = {table.unpack(list)}
    for _ = 1, #list // 2 do
        copy[#copy + 1] = random:pick(list) -- told twice
    end
    for i = #copy, 2, -1 do
        local j = random:up_to(i)
        copy[i], copy[j] = copy[j], copy[i]
    end
    return copy
end

-- Goods as sets: what was told of a unit, whatever the order.
local function expected_goods(changes, count)
    local told = {}
    for i = 1, count do
        told["u" .. i] = {}
    end
    for _, entry in ipairs(changes) do
        for _, id in ipairs(entry.units or {}) do
            told[id][entry.kind] = true
        end
    end
    return told
end

local function check_goods(book, told)
    for _, unit in ipairs(book.units) do
        local facts, state = told[unit.id], unit_book.state(unit)
        local left = facts.ship or facts["return"]
        local full = 0
        for _, minor in pairs(unit.credits) do
            full = full + minor
        end
        local want = facts.cancel and (left and "conflict" or "cancelled")
            or next(unit.credits) and full == unit.paid_minor and "refunded"
            or facts["return"] and "returned" or facts.ship and "shipped" or "open"
        assert(state == want, string.format("%s is %s, not %s", unit.id, state, want))
    end
end

local function check_money(book, told)
    local invoiced, credited, any = 0, 0, false
    for _, unit in ipairs(book.units) do
        local left, own = told[unit.id].ship or told[unit.id]["return"], 0
        for _, minor in pairs(unit.credits) do
            own = own + minor
        end
        assert(own <= (left and unit.paid_minor or 0), "more credited than invoiced: " .. unit.id)
        invoiced, credited = invoiced + (left and unit.paid_minor or 0), credited + own
        any = any or left
    end
    invoiced = invoiced + (any and 495 or 0)
    for _, amounts in ipairs({book.charges[1].credits, book.goodwill}) do
        for _, minor in pairs(amounts) do
            credited = credited + minor
        end
    end
    assert(credited <= invoiced, "more credited than invoiced")
    assert(unit_book.invoiced(book) == invoiced and unit_book.credited(book) == credited)
    local units, paid, all = 0, 0, 0
    for _, entry in pairs(unit_book.summary(book)) do
        units, paid = units + entry.units, paid + entry.paid_minor
    end
    for _, unit in ipairs(book.units) do
        all = all + unit.paid_minor
    end
    assert(units == #book.units and paid == all, "the states are not a partition")
end

local function play(random)
    local count = random:up_to(6)
    local paid = {}
    for i = 1, count do
        paid[i] = random:up_to(1500) - 1
    end
    local changes = history(random, count)
    local books = {book_of(table.unpack(paid)), book_of(table.unpack(paid))}
    for _, book in ipairs(books) do
        local goods = {}
        for _, entry in ipairs(shuffled(random, changes)) do
            local before = json.encode(book)
            local outcome = unit_book.apply(book, entry)
            if outcome.is_repeat or #outcome.refused > 0 then
                assert(json.encode(book) == before, "a refused change changed something")
            end
            goods[#goods + 1] = entry
            local told = expected_goods(goods, count)
            check_goods(book, told)
            check_money(book, told)
        end
    end
    for i, unit in ipairs(books[1].units) do
        local other = books[2].units[i]
        for _, fact in ipairs({"shipped", "cancelled", "returned"}) do
            assert((unit[fact] == nil) == (other[fact] == nil), "the order of telling matters")
        end
    end
end

return function(t)
    rules(t)
    local count, seed = tonumber(t.settings.count) or 2000, tonumber(t.settings.seed) or 1
    t.case("random histories keep goods and money consistent", function()
        local random = baskets.random(seed)
        for i = 1, count do
            local ok, message = pcall(play, random)
            assert(ok, string.format("history %d of seed %d: %s", i, seed, message))
        end
        t.note("%d histories (seed %d)", count, seed)
    end)
end
