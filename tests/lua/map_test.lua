-- What the mapper decides beyond single parts: market, states, promotions, lines, names, deadlines.
local map = require("flows.orders.map")
local mapping_schema = require("flows.orders.mapping_schema")
local schema = require("lib.schema")
local support = require("order_support")

local function one(more)
    return support.order({support.item(1, "A", 3000, more)})
end

local function reduced(paid, reduction)
    return support.order({support.item(1, "A", paid, {price = {withTax = paid,
        undiscountedWithTax = 3000, tax = {vat = {rate = 0.2}},
        appliedReductions = {reduction}}})})
end

local function market_tests(t)
    t.case("the country that is posted to must be the profile's, whoever names it", function()
        local given = {mappings = support.mappings({delivery_countries = {"GB"}})}
        local order = one()
        order.address = {billing = support.address({countryCode = "FRA"})}
        t.equal(support.causes(support.map(order, given)), {"unmapped_market:1 to FR"})
        order.address = {}
        given.delegation = {addresses = {shipping = support.address({countryCode = "FR"})}}
        t.equal(support.causes(support.map(order, given)), {"unmapped_market:1 to FR"})
    end)
    t.case("another currency than the profile's is held", function()
        local order = one()
        order.currencyCode = "EUR"
        t.equal(support.causes(support.map(order)), {"unmapped_market:1/EUR"})
        order = one({currency = "EUR"})
        t.equal(support.causes(support.map(order)), {"unmapped_market:1/EUR"})
    end)
    t.case("a delivery country the profile does not name is held", function()
        local order = one()
        order.address.shipping = support.address({countryCode = "FRA"})
        t.equal(support.causes(support.map(order, {mappings = support.mappings({
            delivery_countries = {"GB"}})})), {"unmapped_market:1 to FR"})
    end)
    t.case("an order without any item of ours is held", function()
        local result = support.map(one({merchant = {referenceKey = "them"}}))
        assert(support.causes(result)[2] == "unmapped_market:merchant us")
    end)
    t.case("the order date is the Khaos server's clock, in summer and in winter", function()
        t.equal(support.map(one()).posting.order_date, "2026-05-04T11:02:58")
        local order = one()
        order.confirmedAt = "2026-03-29T00:59:59Z"
        t.equal(support.map(order).posting.order_date, "2026-03-29T00:59:59")
        order.confirmedAt = "2026-03-29T01:00:00Z"
        t.equal(support.map(order).posting.order_date, "2026-03-29T02:00:00")
        order.confirmedAt = "2026-10-25T01:00:00Z"
        t.equal(support.map(order).posting.order_date, "2026-10-25T01:00:00")
    end)
end

local function state_tests(t)
    t.case("our own reference, or what we wrote back, is no sign of other hands", function()
        local order = one()
        order.referenceKey = "SC5001"
        t.equal(support.causes(support.map(order)), {})
        order.referenceKey = "SO02075"
        t.equal(support.causes(support.map(order)), {"order_already_processed:5001"})
        t.equal(support.causes(support.map(order, {own_references = {"SO02075"}})), {})
    end)
    t.case("units that were not delegated to us are not posted", function()
        local order = support.order({support.item(1, "A", 3000), support.item(2, "A", 3000)})
        local result = support.map(order, {delegation = {items = {{orderItemId = "1"}}}})
        t.equal(support.causes(result), {"order_already_processed:5001"})
        t.matches(result.causes[1].message, "item 2 was not delegated")
    end)
    t.case("a rate missing on the item is taken from its delegation, in percent", function()
        local order = one()
        order.items[1].price.tax = nil
        t.equal(support.causes(support.map(order)), {"unmapped_tax:item 1"})
        t.equal(support.causes(support.map(order, {delegation = {items = {
            {orderItemId = "1", tax = 20}}}})), {})
    end)
    t.case("a rate that its own tax amount contradicts is held", function()
        local order = one()
        order.items[1].price.tax.vat = {rate = 0.2, amount = 0}
        t.equal(support.causes(support.map(order)), {"unmapped_tax:item 1"})
    end)
end

local function promotion_tests(t)
    local REDUCTION = {category = "promotion", type = "relative", id = "p1", displayName = "Deal",
        amount = {absoluteWithTax = 300, relative = 0.1}}
    t.case("the first rule that matches counts", function()
        local result = support.map(reduced(2700, REDUCTION), {mappings = support.mappings(nil, {
            {match = {id = "p1"}, becomes = "percent"},
            {match = {category = "promotion"}, becomes = "price"}})})
        t.equal(result.posting.lines[1].discount_percent, "10.00")
    end)
    t.case("what the reductions leave unexplained is a mechanic nobody declared", function()
        local rules = {{match = {id = "p1"}, becomes = "percent"}}
        local result = support.map(reduced(2600, REDUCTION), {mappings = support.mappings(nil,
            rules)})
        t.equal(support.causes(result), {"unmapped_promotion:unexplained"})
        rules[2] = {match = {category = "unexplained"}, becomes = "price"}
        result = support.map(reduced(2600, REDUCTION), {mappings = support.mappings(nil, rules)})
        t.equal(result.posting.total, "26.00")
    end)
    t.case("a sale above the listed price is understood too", function()
        local order = reduced(3000, {category = "sale", type = "relative",
            amount = {absoluteWithTax = 500}})
        local result = support.map(order, {mappings = support.mappings(nil,
            {{match = {category = "sale"}, becomes = "percent"}})})
        t.equal({result.posting.lines[1].price_gross, result.posting.lines[1].discount_percent},
            {"35.00", "14.29"})
    end)
end

local function order_promotion_tests(t)
    t.case("a promotion on the order that no unit shows must be declared too", function()
        local order = one()
        order.promotion = {{id = "gift", displayName = "Gift"}}
        t.equal(support.causes(support.map(order)), {"unmapped_promotion:promotion gift"})
    end)
    t.case("one keycode goes on the order, a second is named as left out", function()
        local order = support.order({support.item(1, "A", 2700), support.item(2, "B", 2700)})
        for i, code in ipairs({"ONE", "TWO"}) do
            order.items[i].price.undiscountedWithTax = 3000
            order.items[i].price.appliedReductions = {{category = "promotionCode", code = code,
                amount = {absoluteWithTax = 300}}}
        end
        local result = support.map(order, {mappings = support.mappings(nil,
            {{match = {category = "promotionCode"}, becomes = "keycode+price"}})})
        t.equal(result.posting.header.keycode, "ONE")
        t.matches(result.trail.data.notes[1], "TWO is left out")
    end)
end

local function line_tests(t)
    t.case("a net class gets net prices with tax codes, and says its rounding", function()
        local order = support.order({support.item(1, "A", 1499), support.item(2, "B", 1000),
            support.item(3, "C", 3)})
        local posting = support.map(order, {mappings = support.mappings({calc = "net"})}).posting
        t.equal({posting.lines[1].price_net, posting.lines[1].tax_code}, {"12.49", 1})
        t.equal({posting.lines[2].price_net, posting.lines[2].predicted.gross_minor},
            {"8.33", 1000})
        t.equal({posting.lines[4].kind, posting.lines[4].price_net}, {"rounding", "0.01"})
        t.equal(posting.header.delivery, {net = "0.00", tax = "0.00"})
    end)
    t.case("more rounding than the profile allows is held with the figures", function()
        local order = support.order({support.item(1, "A", 3)})
        local result = support.map(order, {mappings = support.mappings({calc = "net",
            max_rounding_minor = 0})})
        t.equal(support.causes(result), {"totals_do_not_tie:5001"})
        t.matches(result.causes[1].message, "0%.01 less.*allows 0%.00")
    end)
    t.case("a rounding item that Khaos does not have is a cause", function()
        local result = support.map(support.order({support.item(1, "A", 3)}), {
            mappings = support.mappings({calc = "net"}),
            has_stock_code = function(code)
                return code ~= "ROUNDING"
            end})
        t.equal(support.causes(result), {"unknown_stock_code:ROUNDING"})
    end)
    t.case("units with texts of their own stay apart and carry them", function()
        local order = support.order({
            support.item(1, "A", 600, {legacyCustomData = {text = "PRIYA"}}),
            support.item(2, "A", 600, {legacyCustomData = {text = "TOM"}}),
            support.item(3, "A", 600), support.item(4, "A", 600, {legacyCustomData = {}}),
        })
        local posting = support.map(order, {mappings = support.mappings({
            line_texts = {"text"}})}).posting
        t.equal({posting.lines[1].extended, posting.lines[2].extended}, {{"PRIYA"}, {"TOM"}})
        t.equal({posting.lines[3].quantity, posting.lines[3].unit_ids}, {2, {"3", "4"}})
        t.equal(posting.lines[3].import_ref, "SC-3")
    end)
end

local function name_tests(t)
    t.case("the reference follows its template and its fifteen characters", function()
        t.equal(support.map(one(), {settings = {merchant_key = "us",
            reference = "W-{public_key}"}}).posting.reference, "W-FO-5001")
        t.equal(support.causes(support.map(one(), {settings = {merchant_key = "us",
            reference = "WEBSHOP-{order_id}-XYZ"}})), {"field_too_long:5001 ASSOCIATED_REF"})
        t.matches(t.raises(support.map, one(), {settings = {merchant_key = "us",
            reference = "{nope}"}}), "unknown placeholder {nope}")
    end)
    t.case("a customer has one reference per currency", function()
        t.equal(support.map(one()).posting.customer.other_ref, "S77-GBP")
    end)
end

local function fact_tests(t)
    local confirmed = 1777888978000
    t.case("an answered delegation has the force close, others SCAYLE's own patience", function()
        local day = 24 * 3600000
        t.equal(support.map(one(), {delegated_ms = confirmed + 60000}).facts, {
            title = "SCAYLE order 5001", amount = {minor = 3000, currency = "GBP"},
            deadlines = {{name = "despatch promise", at_ms = confirmed + day},
                {name = "SCAYLE force close", at_ms = confirmed + 60000 + 14 * day}}})
        t.equal(support.map(one()).facts.deadlines[2],
            {name = "SCAYLE cancels an unanswered delegation",
                at_ms = confirmed + 46 * 3600000})
    end)
    t.case("documents of the wrong shape hold an order, they do not raise", function()
        for _, order in ipairs({{}, {id = 1, items = "x", cost = 5, payment = true},
            {id = 1, items = {{price = {}}}, address = {billing = "x"}, customer = {}}}) do
            local result = support.map(order)
            assert(result.posting == nil and #result.causes > 0)
        end
    end)
    t.case("an unknown input is a mistake of the caller", function()
        t.matches(t.raises(map.map, {ordr = {}}), "unknown input ordr")
    end)
end

local function schema_tests(t)
    local WRONG = {
        {{company = {tax = "fr"}}, 'tax: there is no table "fr"'},
        {{company = {standard_rate = "20"}}, "standard_rate: expected a rate as a fraction"},
        {{company = {standard_rate = "0.20"}}, "without needless zeros: 0.2"},
        {{company = {default_carrier = "PSOT"}}, 'did you mean "POST"'},
        {{company = {currency = "JPY"}}, "JPY has no hundredths"},
        {{company = {zone = "Europe/Leeds"}}, "no IANA time zone"},
        {{company = {calc = "grss"}}, 'did you mean "gross"'},
        {{promotions = {{match = {}, becomes = "price"}}}, "matches every reduction"},
        {{promotions = {{match = {category = "sale"}, becomes = "free_line"}}},
            "needs a free_reason"},
    }
    t.case("the mappings of these tests are sound", function()
        t.equal({mapping_schema.check(support.mappings())}, {true})
    end)
    for _, row in ipairs(WRONG) do
        t.case("mappings are refused: " .. row[2], function()
            local _, messages = mapping_schema.check(support.mappings(row[1].company,
                row[1].promotions))
            t.equal(#messages, 1)
            assert(messages[1]:find(row[2], 1, true), messages[1])
        end)
    end
end

-- Seen: "WEB-{merchant}" was accepted, so that two shared orders had one reference and the second
-- was taken for the first; "WEB-{currency}" made one customer of all shoppers.
local function template_tests(t)
    for _, row in ipairs({
        {"reference", "WEB-{public_key}", "needs {order_id}"},
        {"reference", "SC{order_id}{shop}", "unknown placeholder {shop}"},
        {"shared_reference", "WEB-{merchant}", "needs {order_id}"},
        {"shared_reference", "SC{order_id}", "needs {merchant}"},
        {"customer_ref", "WEB-{currency}", "needs {customer_id} or {public_key}"},
        {"customer_ref", "S{customer_id}", "needs {currency}"},
        {"shared_reference", "W{order_id}{merchant}"}, {"customer_ref", "S{public_key}.{currency}"},
    }) do
        t.case(row[1] .. " " .. row[2] .. (row[3] and " is refused" or " is accepted"), function()
            local _, messages = schema.check({type = "record",
                fields = {[row[1]] = mapping_schema.settings_fields[row[1]]}}, {[row[1]] = row[2]},
                "settings")
            t.equal(messages or {}, row[3] and {"settings." .. row[1] .. ": " .. row[3]} or {})
        end)
    end
end

return function(t)
    market_tests(t)
    state_tests(t)
    promotion_tests(t)
    order_promotion_tests(t)
    line_tests(t)
    name_tests(t)
    fact_tests(t)
    schema_tests(t)
    template_tests(t)
end
