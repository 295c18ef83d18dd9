--- The audit's pieces: what a finding shows, what a page lets through, figures, values.
local findings = require("reports.audit.findings")
local page = require("reports.audit.page")
local sold = require("reports.audit.sold")
local values = require("reports.audit.values")
local words = require("reports.audit.words")

local function finding(list)
    assert(#list == 1, #list .. " findings")
    return list[1]
end

return function(t)
    t.case("findings of one cause and value are one, with their money and owner", function()
        local all = findings.new({default = "operations", unmapped_tax = "finance"})
        local about = {cause = "unmapped_tax", subject = "uk 0.13", kind = "order", message = "m",
            remedy = "r"}
        all:add(about, {name = "10", minor = 100, currency = "GBP", is_open = true})
        all:add(about, {name = "9", minor = 50, currency = "EUR"})
        all:add(about, {name = "11", minor = 1, currency = "GBP"})
        local found = finding(all:list())
        t.equal({found.count, found.open, found.owner}, {3, 1, "finance"})
        t.equal(found.money, {GBP = 101, EUR = 50})
        t.equal({found.objects[1].name, found.objects[2].name, found.objects[3].name},
            {"9", "10", "11"})
    end)

    t.case("the order in which things are found does not show", function()
        local function listed(names)
            local all = findings.new(nil)
            for _, name in ipairs(names) do
                all:add({cause = "c", subject = "s", kind = "order",
                    message = "because of " .. name, remedy = "r"}, {name = name})
            end
            return finding(all:list())
        end
        t.equal(listed({"3", "1", "2"}), listed({"2", "3", "1"}))
    end)

    t.case("orders are listed as numbers, those of one number by what is noted", function()
        local list = findings.new()
        for _, object in ipairs({{name = "100"}, {name = "99", note = "b"}, {name = "9"},
            {name = "99", note = "a"}, {name = "101"}}) do
            list:add({cause = "c", subject = "s", kind = "order", message = "m", remedy = "r"},
                object)
        end
        local found = {}
        for i, object in ipairs(list:list()[1].objects) do
            found[i] = object.name .. (object.note or "")
        end
        t.equal(found, {"9", "99a", "99b", "100", "101"})
    end)
    t.case("what orders sold of a code is its money, in every currency, units and orders apart",
        function()
        local seen = sold.new()
        local function item(code, minor)
            return {variant = {referenceKey = code, id = 7}, price = {withTax = minor}}
        end
        seen:add({items = {item("A", 100), item("A", 150), item("B", 30)}},
            {currency = "GBP", state = "open"})
        seen:add({items = {item("A", 20), item(nil, 5)}}, {currency = "EUR", state = "past"})
        t.equal(seen:of("A"), {money = {GBP = 250, EUR = 20}, orders = 2, open = 1})
        t.equal(seen:of("variant 7"), {money = {EUR = 5}, orders = 1, open = 0})
        t.equal(seen:of("C"), nil)
    end)
    t.case("a subject that names an order or an item is no value of its own", function()
        local function subject(cause, text)
            return findings.subject({cause = cause, subject = text}, "204417")
        end
        t.equal(subject("field_too_long", "204417 billing surname"), "billing surname")
        t.equal(subject("field_too_long", "somebody@example.com"),
            "a field that Khaos does not take")
        t.equal(subject("totals_do_not_tie", "204417 payments"), "orders whose totals do not tie")
        t.equal(subject("customer_conflict", "S50417-GBP"),
            "a customer of another class or currency in Khaos")
        t.equal(subject("unmapped_tax", "item 7300101"),
            "an item whose rate is not there or not what it carries")
        t.equal(subject("unknown_stock_code", "item 7300101"), "an item without one")
        t.equal(subject("unmapped_tax", "uk 0.13"), "uk 0.13")
    end)

    t.case("what is written into a page cannot be markup", function()
        t.equal(page.escape("<b a=\"1\">'&amp;\0\27[31m"),
            "&lt;b a=&quot;1&quot;&gt;&#39;&amp;amp;  [31m")
        local hostile = "</title><script>alert(1)</script>"
        local html = page.make({client = hostile, now_ms = 0, is_complete = false, calls = 1,
            mapped_orders = 1, mapped_money = "-", held_orders = 1, held_money = "-",
            held_open_orders = 0, held_open_money = "-",
            parts = {{name = hostile, looked = 1, stopped = hostile, note = hostile}},
            values = {{dimension = hostile, value = hostile, orders = 1, held = 0, money = {}}},
            findings = {{cause = hostile, subject = hostile, message = hostile, remedy = hostile,
                owner = hostile, count = 1, open = 0, money = {}, objects = {{name = hostile,
                    note = hostile}}}}})
        assert(not html:find("<script", 1, true), "it is markup")
        assert(html:find("not complete", 1, true))
    end)

    t.case("money is said in the currency's own digits", function()
        t.equal(words.amount(16492, "GBP"), "164.92")
        t.equal(words.amount(5, "GBP"), "0.05")
        t.equal(words.amount(-5, "GBP"), "-0.05")
        t.equal(words.amount(1200, "JPY"), "1200")
        t.equal(words.amount(1234, "KWD"), "1.234")
        t.equal(words.money({GBP = 1, EUR = 250}), "EUR 2.50, GBP 0.01")
        t.equal(words.money({}), "-")
    end)

    t.case("a part says what it did not look at, and why", function()
        t.equal(words.part({looked = 3, of = 10, in_all = 50, failed = 1,
            stopped = "the time was up"}),
            "3 of 10 (of 50 in all: the sample asked for); 1 could not be looked at; NOT COMPLETE: "
                .. "the time was up")
        t.equal(words.part({looked = 3}), "3")
        t.equal(words.part({looked = 3, of = 5, ended = 2}),
            "3 of 5; 2 would not be posted: cancelled, unpaid or gone by now")
    end)

    t.case("every mechanic that a mapping decides is a value, wherever it stands", function()
        local seen = values.new()
        local set = {merchantAdditionalData = {set = "7"}, price = {withTax = 900,
            undiscountedWithTax = 1000, appliedReductions = {{category = "promotion",
                type = "relative", id = "p1", amount = {absoluteWithTax = 100}}}}}
        seen:add({
            items = {set, {itemGroup = {id = "g", isMainItem = true}, price = {withTax = 900,
                undiscountedWithTax = 1000}}, {price = {withTax = 900, undiscountedWithTax = 1000,
                appliedReductions = {{category = "sale", amount = {absoluteWithTax = 100}}}}}},
            cost = {appliedReductions = {{category = "voucher", type = "absolute", code = "X",
                amount = {absoluteWithTax = 500}}}},
            membershipDiscount = {reductionValue = 200},
            promotions = {{id = "p1"}, {id = "p2", code = "C"}},
            shipping = {deliveryCosts = 0, deliveryCostsWithoutDiscount = 495},
        }, {minor = 100, currency = "GBP"}, false)
        local found = {}
        for _, entry in ipairs(seen:list()) do
            if entry.dimension == "reduction" then
                found[#found + 1] = entry.value
            end
        end
        t.equal(found, {"bundle", "configurable", "free_shipping", "membership absolute",
            "promotion relative p1", "promotionCode p2", "sale", "unexplained",
            "voucher absolute"})
    end)
    t.case("a value counts once per order, whatever the order's shape", function()
        local seen = values.new()
        local order = {shopCountry = {id = 1412, countryCode = "GB"}, currencyCode = "GBP",
            items = {{price = {tax = {vat = {rate = 0.2}}}},
                {price = {tax = {vat = {rate = 0.2}}}},
                {price = {tax = {vat = {rate = 0.05}}, appliedReductions = {{category = "sale"}}}}},
            payment = {{key = "visa"}, {key = "gift", isGiftCard = true}}}
        seen:add(order, {minor = 100, currency = "GBP"}, true)
        seen:add({items = "none", payment = 1, cost = {}}, {}, false)
        seen:add({items = {1, "x", {price = 1}}}, {}, false)
        local found = {}
        for _, value in ipairs(seen:list()) do
            found[value.dimension .. " " .. value.value] = {value.orders, value.held,
                value.money.GBP}
        end
        t.equal(found["tax rate 20%"], {1, 1, 100})
        t.equal(found["tax rate 5%"], {1, 1, 100})
        t.equal(found["payment method visa"], {1, 1, 100})
        t.equal(found["payment method gift card"], {1, 1, 100})
        t.equal(found["reduction sale"], {1, 1, 100})
        t.equal(found["currency none"], {2, 0})
    end)
end
