-- What the mechanics of the shop become in Khaos: packs, amounts off, references, and what a
-- product line cannot do. (Prices and percentages: map_test, penny_test, the random baskets.)
local cloud_client = require("connectors.khaos_cloud.client")
local mapping_schema = require("flows.orders.mapping_schema")
local order_document = require("connectors.khaos_cloud.order_document")
local order_units = require("flows.order_units")
local order_xml = require("connectors.khaos_soap.order_xml")
local staging = require("flows.orders.staging")
local support = require("order_support")

local function reduction(category, kind, amount, more)
    local entry = {category = category, type = kind, amount = {absoluteWithTax = amount}}
    for key, value in pairs(more or {}) do
        entry[key] = value
    end
    return entry
end

-- A unit listed at `listed` with these reductions.
local function unit(id, sku, listed, reductions, more)
    local paid = listed
    for _, entry in ipairs(reductions or {}) do
        paid = paid - entry.amount.absoluteWithTax
    end
    local item = support.item(id, sku, paid, more)
    item.price.undiscountedWithTax, item.price.appliedReductions = listed, reductions
    if more and more.rate then
        item.price.tax.vat.rate, item.rate = more.rate, nil
    end
    return item
end

local function map(order, promotions, profile, more)
    local input = {mappings = support.mappings(profile, promotions)}
    for key, value in pairs(more or {}) do
        input[key] = value
    end
    return support.map(order, input)
end

local function shape(result)
    local list = {}
    for i, line in ipairs(result.posting.lines) do
        list[i] = string.format("%s %s x%d %s", line.pack_link or "-", line.stock_code,
            line.quantity, line.price_gross or "net " .. line.price_net)
    end
    return list
end

-- ---- what staging rules see ------------------------------------------------------------------

local function is_staged(result, rule)
    return staging.rule({rules = {rule}}, {mechanics = result.trail.data.mechanics,
        posting = result.posting, market = "1"}) ~= nil
end

local function mechanic_tests(t)
    t.case("two campaigns are two mechanics, each with its rule", function()
        local result = map(support.order({
            unit(1, "A", 3000, {reduction("campaign", "relative", 300)}, {campaignKey = "SPRING"}),
            unit(2, "B", 1000, {reduction("campaign", "relative", 100)}, {campaignKey = "STAFF"}),
        }), {{match = {campaign = "SPRING"}, becomes = "percent"},
            {match = {campaign = "STAFF"}, becomes = "price"}})
        local mechanics = result.trail.data.mechanics
        t.equal({#mechanics, mechanics[1].amount_minor, mechanics[2].amount_minor}, {2, 300, 100})
        t.equal({is_staged(result, {mechanic = {campaign = "STAFF"}}),
            is_staged(result, {becomes = "price"})}, {true, true})
    end)
    t.case("what order and units both say is one mechanic, counted once", function()
        local order = support.order({
            unit(1, "A", 3000, {reduction("voucher", "relative", 300)}, {campaignKey = "SPRING"})})
        order.cost.appliedReductions = {reduction("voucher", "relative", 300)}
        local mechanics = map(order, {{match = {category = "voucher"}, becomes = "price"}})
            .trail.data.mechanics
        t.equal({#mechanics, mechanics[1].amount_minor, mechanics[1].campaign},
            {1, 300, "SPRING"})
    end)
    t.case("a configurable product that becomes a pack is a mechanic", function()
        local result = map(support.order({
            unit(1, "A", 3000, nil, {itemGroup = {id = "g", isMainItem = true}}),
            unit(2, "B", 1000, nil, {itemGroup = {id = "g", isMainItem = false}})}),
            {{match = {category = "configurable"}, becomes = "pack"}})
        t.equal({is_staged(result, {mechanic = {category = "configurable"}}),
            is_staged(result, {becomes = "pack"})}, {true, true})
    end)
end

-- ---- packs -----------------------------------------------------------------------------------

local DEAL = {{match = {id = "deal"}, becomes = "pack", pack_code = "SET"}}

local function deal_order(sets)
    local items = {}
    for i = 1, sets do
        items[#items + 1] = unit(10 * i, "COAT", 9000, {reduction("promotion", "absolute", 1500,
            {id = "deal"})})
        items[#items + 1] = unit(10 * i + 1, "BOOK", 1000, {reduction("promotion", "absolute", 500,
            {id = "deal"})}, {rate = 0.0})
    end
    items[#items + 1] = unit(99, "OTHER", 700)
    return support.order(items)
end

local CLOUD = {settings = {merchant_key = "us", despatch_promise_hours = 24,
    khaos = {kind = "cloud"}}}

-- Units that one deal reduced, by stock code, in order.
local function chosen(codes)
    local items = {}
    for i, code in ipairs(codes) do
        items[i] = unit(i, code, 1000, {reduction("promotion", "absolute", 100, {id = "deal"})})
    end
    return support.order(items)
end

local function pack_tests(t)
    t.case("a combo deal stands under its pack header, money and VAT on the units", function()
        local result = map(deal_order(1), DEAL)
        t.equal(shape(result), {"001.001 SET x1 0.00", "001.002 COAT x1 75.00",
            "001.002 BOOK x1 net 5.00", "- OTHER x1 7.00"})
        t.equal({result.posting.lines[1].kind, #result.posting.lines[1].unit_ids}, {"pack", 0})
    end)
    t.case("two sets are a header of two, and its children follow it wherever they were", function()
        local order = deal_order(2)
        table.insert(order.items, 1, table.remove(order.items))
        t.equal(shape(map(order, DEAL)), {"- OTHER x1 7.00", "001.001 SET x2 0.00",
            "001.002 COAT x2 75.00", "001.002 BOOK x2 net 5.00"})
    end)
    t.case("in Cloud each child has a place of its own", function()
        t.equal(shape(map(deal_order(1), DEAL, nil, CLOUD)), {"001.001 SET x1 0.00",
            "001.002 COAT x1 75.00", "001.003 BOOK x1 net 5.00", "- OTHER x1 7.00"})
    end)
    t.case("sets that differ are as many as their size says, or held without it", function()
        local codes = {"COAT", "HAT-RED", "COAT", "HAT-BLUE"}
        t.equal(support.causes(map(chosen(codes), DEAL)),
            {"unmapped_promotion:sets of promotion deal"})
        local rules = {{match = {id = "deal"}, becomes = "pack", pack_code = "SET",
            pack_units = 2}}
        t.equal(shape(map(chosen(codes), rules)), {"001.001 SET x2 0.00", "001.002 COAT x2 9.00",
            "001.002 HAT-RED x1 9.00", "001.002 HAT-BLUE x1 9.00"})
        codes[5] = "COAT"
        t.equal(support.causes(map(chosen(codes), rules)),
            {"unmapped_promotion:sets of promotion deal"})
    end)
    t.case("units of one code are no sets of one, unless it is a single one", function()
        t.equal({support.causes(map(chosen({"A", "A", "A"}), DEAL)),
            support.causes(map(chosen({"A"}), DEAL))},
            {{"unmapped_promotion:sets of promotion deal"}, {}})
    end)
    -- Seen before: such an order was held, and nothing but dropping the rule let it go.
    t.case("what is left of sets of which units were cancelled are lines of their own", function()
        local sized = {{match = {id = "deal"}, becomes = "pack", pack_code = "SET",
            pack_units = 2}}
        local order = deal_order(1)
        order.items[2].status = "cancelled"
        for _, rules in ipairs({DEAL, sized}) do
            t.equal(shape(map(order, rules)), {"- COAT x1 75.00", "- OTHER x1 7.00"})
        end
        order = deal_order(2)
        order.items[4].status = "cancelled"
        t.equal(shape(map(order, DEAL)), {"- COAT x2 75.00", "- BOOK x1 net 5.00",
            "- OTHER x1 7.00"})
        order.items[3].status = "cancelled" -- one whole set went
        t.equal(shape(map(order, DEAL)), {"001.001 SET x1 0.00", "001.002 COAT x1 75.00",
            "001.002 BOOK x1 net 5.00", "- OTHER x1 7.00"})
        order = deal_order(2)
        t.equal(shape(map(order, DEAL, nil, {cancelled = {["11"] = true}}))[1], "- COAT x2 75.00")
        order.items[5].status = "cancelled" -- none of the sets
        t.equal(shape(map(order, DEAL))[1], "001.001 SET x2 0.00")
    end)
    t.case("more packs than Khaos can number hold the order", function()
        local items = {}
        for i = 1, 1000 do
            items[i] = unit(i, "COAT", 100, nil, {itemGroup = {id = "g" .. i, isMainItem = true}})
        end
        local rules = {{match = {category = "configurable"}, becomes = "pack"}}
        t.equal(support.causes(map(support.order(items), rules)),
            {"unmapped_promotion:packs of order 5001"})
        table.remove(items)
        t.equal(support.causes(map(support.order(items), rules)), {})
    end)
    t.case("each pack has its own number, also on the wire", function()
        local order = support.order({
            unit(1, "A", 900, {reduction("promotion", "absolute", 100, {id = "deal"})}),
            unit(2, "B", 900, {reduction("promotion", "absolute", 100, {id = "other"})})})
        local result = map(order, {DEAL[1],
            {match = {id = "other"}, becomes = "pack", pack_code = "SET-2"}})
        t.equal(shape(result), {"001.001 SET x1 0.00", "001.002 A x1 8.00",
            "002.001 SET-2 x1 0.00", "002.002 B x1 8.00"})
        t.matches(order_xml.build(result.posting),
            "<STOCK_CODE>B</STOCK_CODE>.*<PACK_SORT_ORDER>002%.002</PACK_SORT_ORDER>")
    end)
    t.case("a pack header that Khaos does not have holds the order", function()
        t.equal(support.causes(map(deal_order(1), DEAL, nil, {has_stock_code = function(code)
            return code ~= "SET"
        end})), {"unknown_stock_code:SET"})
    end)
end

local function group(id, is_main)
    return {itemGroup = {id = id, isMainItem = is_main}}
end

local function set_tests(t)
    t.case("a configurable product is lines, or its main item is the header", function()
        local order = support.order({unit(1, "NAME", 600, nil, group("g1", false)),
            unit(2, "COAT", 9000, nil, group("g1", true)), unit(3, "COAT", 9000)})
        t.equal(shape(map(order, {})), {"- NAME x1 6.00", "- COAT x1 90.00", "- COAT x1 90.00"})
        t.equal(shape(map(order, {{match = {category = "configurable"}, becomes = "pack"}})),
            {"001.001 COAT x1 90.00", "001.002 NAME x1 6.00", "- COAT x1 90.00"})
    end)
    local function part(id, sku, set)
        return unit(id, sku, 500, nil, {merchantAdditionalData = {bundle = set}})
    end
    t.case("parts of composite products are told apart by the key that the rule names", function()
        local rules = {{match = {category = "bundle"}, becomes = "pack", pack_key = "bundle"}}
        local order = support.order({part(1, "A", "KIT-1"), part(2, "B", "KIT-2"),
            part(3, "B", "KIT-1")})
        t.equal(shape(map(order, rules)), {"001.001 KIT-1 x1 0.00", "001.002 A x1 5.00",
            "001.002 B x1 5.00", "002.001 KIT-2 x1 0.00", "002.002 B x1 5.00"})
        order.items[1].merchantAdditionalData = {other = "x"}
        t.equal(support.causes(map(order, rules)), {"unmapped_promotion:bundle without bundle"})
    end)
    t.case("two equal parts may be one set or two: held, unless the rule says how many one has",
        function()
            local rules = {{match = {category = "bundle"}, becomes = "pack", pack_key = "bundle"}}
            local order = support.order({part(1, "A", "PAIR"), part(2, "A", "PAIR"),
                part(3, "A", "TRIO"), part(4, "B", "TRIO"), part(5, "A", "TRIO")})
            t.equal(support.causes(map(order, rules)),
                {"unmapped_promotion:sets of bundle PAIR"})
            for size, sets in pairs({2, 1}) do
                rules[1].pack_sizes = {PAIR = size}
                t.equal(shape(map(order, rules)), {
                    string.format("001.001 PAIR x%d 0.00", sets), "001.002 A x2 5.00",
                    "002.001 TRIO x1 0.00", "002.002 A x2 5.00", "002.002 B x1 5.00"})
            end
            for i = 6, 8 do
                order.items[i] = part(i, i == 6 and "B" or "A", "TRIO")
                order.cost.withTax = order.cost.withTax + 500
                order.payment[1].amount = order.cost.withTax
            end
            t.equal(support.causes(map(order, rules)),
                {"unmapped_promotion:sets of bundle TRIO"})
        end)
    t.case("a composite product that nobody declared is held; as a pack it goes alone", function()
        local order = support.order({part(1, "KIT", "x")})
        t.equal(support.causes(map(order, {})), {"unmapped_promotion:bundle"})
        t.equal(shape(map(order, {{match = {category = "bundle"}, becomes = "pack"}})),
            {"- KIT x1 5.00"})
    end)
end

-- ---- amounts off (Cloud) ---------------------------------------------------------------------

local function value_tests(t)
    local rules = {{match = {category = "promotion"}, becomes = "value_discount"},
        {match = {category = "voucher"}, becomes = "discount_code+value_discount"}}
    t.case("an amount off a unit: full price and the amount, one line per unit", function()
        local off = {reduction("promotion", "absolute", 333, {id = "p"})}
        local result = map(support.order({unit(1, "A", 1000, off), unit(2, "A", 1000, off)}), rules)
        local line = result.posting.lines[1]
        t.equal({#result.posting.lines, line.price_gross, line.value_discount, line.quantity},
            {2, "10.00", "3.33", 1})
        t.equal(line.predicted, {discount_minor = 333, net_minor = 556, tax_minor = 111,
            gross_minor = 667})
    end)
    t.case("an amount off the order is the header's; lines keep what they cost", function()
        local order = support.order({unit(1, "A", 1000), unit(2, "B", 3000, nil, {rate = 0.0})})
        order.cost.withTax = 3500
        order.payment[1].amount = 3500
        order.cost.appliedReductions = {reduction("voucher", "absolute", 500, {code = "TEN"})}
        local result = map(order, rules)
        local posting = result.posting
        t.equal({posting.header.value_discount, posting.header.discount_codes, posting.total},
            {"5.00", {"TEN"}, "35.00"})
        t.equal({posting.lines[1].price_gross, posting.lines[1].order_discount_minor,
            posting.lines[2].order_discount_minor}, {"10.00", 125, 375})
        t.equal({posting.predicted.gross_minor, posting.gross_to_net.undiscounted_minor,
            posting.gross_to_net.order_discount_minor}, {3500, 4000, 500})
        local book = order_units.of_posting("order:x", posting)
        t.equal({book.units[1].paid_minor, book.units[2].paid_minor, #book.charges},
            {875, 2625, 0}, "the book of units is what was paid")
    end)
end

-- ---- from gross to net -----------------------------------------------------------------------

local function net_tests(t)
    t.case("every line says what it was worth, what each kind took off, net and VAT", function()
        local rules = {{match = {category = "sale"}, becomes = "price"},
            {match = {category = "voucher"}, becomes = "percent"}}
        local order = support.order({unit(1, "A", 2000, {reduction("sale", "relative", 500),
            reduction("voucher", "relative", 150, {code = "W"})})})
        local result = map(order, rules)
        t.equal(result.posting.lines[1].value, {undiscounted_minor = 2000,
            discounts = {sale = 500, voucher = 150}, moved_minor = 0, gross_minor = 1350,
            net_minor = 1125, tax_minor = 225, order_discount_minor = 0})
        t.equal(result.trail.data.lines[1].value, result.posting.lines[1].value)
        t.equal(result.trail.data.mechanics[2].becomes, "percent")
    end)
    t.case("free shipping counts as a discount on delivery", function()
        local order = support.order({unit(1, "A", 2000)})
        order.shipping = {deliveryCosts = 0, deliveryCostsWithoutDiscount = 495}
        local result = map(order, {{match = {category = "free_shipping"}, becomes = "delivery"}})
        local whole = result.posting.gross_to_net
        t.equal({whole.undiscounted_minor, whole.discounts.free_shipping, whole.gross_minor},
            {2495, 495, 2000})
    end)
    local function off(policy, standard, express, fees)
        local order = support.order({unit(1, "A", 2000)})
        order.shipping = {policy = policy, deliveryCosts = standard[1],
            deliveryCostsWithoutDiscount = standard[2], expressDeliveryCosts = express[1],
            expressDeliveryCostsWithoutDiscount = express[2]}
        order.cost.appliedFees = {}
        for i, minor in ipairs(fees or {}) do
            order.cost.appliedFees[i] = {category = "delivery", key = "f" .. i,
                amount = {withTax = minor, withoutTax = minor}, tax = {vat = {rate = 0.0}}}
            order.cost.withTax = order.cost.withTax + minor
            order.payment[1].amount = order.cost.withTax
        end
        local result = map(order, {{match = {category = "free_shipping"}, becomes = "delivery"}})
        t.equal(support.causes(result), {})
        return result.posting.gross_to_net.discounts.free_shipping or 0
    end
    t.case("of two ways of delivery the one counts that the shopper had", function()
        t.equal({off("standard", {0, 495}, {0, 995}), off("express", {0, 495}, {0, 995}),
            off("home_express", {0, 495}, {0, 995}), off(nil, {0, 495}, {0, 995})},
            {495, 995, 995, 495})
        t.equal({off(nil, {495, 495}, {0, 995}), off("standard", {495, 495}, {0, 995}, {495}),
            off(nil, {495, 495}, {500, 995}, {500})}, {995, 0, 495})
    end)
    t.case("both count where both were charged", function()
        t.equal(off("express", {395, 495}, {400, 500}, {395, 400}), 200)
    end)
end

-- ---- declarations ----------------------------------------------------------------------------

local REFUSED = {
    {{match = {id = "x"}, becomes = "value_discount"},
        "becomes: \"value_discount\" needs Khaos Control Cloud.* kind \"soap\": use \"price\""},
    {{match = {id = "x"}, becomes = "discount_code+price"},
        "\"discount_code\" needs Khaos Control Cloud.*keycode"},
    {{match = {id = "x"}, becomes = "pack"}, "needs the pack_code of its header"},
    {{match = {category = "configurable"}, becomes = "pack", pack_code = "S"},
        "main item of a configurable product is its header"},
    {{match = {category = "configurable"}, becomes = "price"}, "lines without a rule"},
    {{match = {id = "x"}, becomes = "price", pack_code = "S"}, "belong to becomes \"pack\""},
    {{match = {id = "x"}, becomes = "pack", pack_code = "S", pack_key = "k"},
        "only bundles have bundle information"},
    {{match = {id = "x"}, becomes = "keycode+pak"}, "did you mean \"keycode%+pack\""},
}

local function declaration_tests(t)
    for i, row in ipairs(REFUSED) do
        t.case("refused: " .. row[2], function()
            local ok, messages = mapping_schema.check(support.mappings(nil, {row[1]}), "m")
            t.equal(ok, nil, "row " .. i)
            t.matches(messages[1], "^m%.promotions%[1%].*" .. row[2])
        end)
    end
    t.case("what only Cloud can do passes for Cloud", function()
        local mappings = support.mappings(nil, {REFUSED[1][1], REFUSED[2][1]})
        t.equal({mapping_schema.check(mappings, "m", "cloud")}, {true})
    end)
    t.case("a rule may go by the effect that is declared for a promotion's id or code", function()
        local order = support.order({unit(1, "A", 1000, {reduction("promotion", "absolute", 100,
            {id = "p7"})}), unit(2, "A", 1000, {reduction("promotionCode", "absolute", 100,
            {code = "SET"})})})
        local rules = {{match = {effect = "combo_deal"}, becomes = "price"},
            {match = {category = "promotion"}, becomes = "percent"}}
        local function causes(effects)
            local mappings = support.mappings(nil, rules)
            mappings.effects = effects
            return support.causes(support.map(order, {mappings = mappings}))
        end
        t.equal(causes({p7 = "combo_deal", SET = "combo_deal"}), {})
        t.equal(causes({p7 = "automatic_discount", SET = "combo_deal"}), {})
        -- One that nobody declared may be what an earlier rule is about: no later one gets it.
        t.equal(causes({SET = "combo_deal"}), {"unmapped_promotion:promotion p7"})
        t.equal(causes({p7 = "combo_deal"}), {"unmapped_promotion:promotionCode SET"})
    end)
    t.case("free shipping has its effect by itself, other categories have none", function()
        local order = support.order({unit(1, "A", 1000, {reduction("sale", "absolute", 100)})})
        order.shipping = {deliveryCosts = 0, deliveryCostsWithoutDiscount = 495}
        local rules = {{match = {effect = "combo_deal"}, becomes = "price"},
            {match = {effect = "free_shipping"}, becomes = "delivery"},
            {match = {category = "sale"}, becomes = "price"}}
        t.equal(support.causes(map(order, rules)), {})
    end)
    t.case("a rule by an effect needs the table that declares effects", function()
        local mappings = support.mappings(nil, {{match = {effect = "combo_deal"},
            becomes = "price"}})
        local _, messages = mapping_schema.check(mappings, "m")
        t.matches(messages[1], "promotions%[1%]%.match%.effect: orders do not show it")
        mappings.effects = {p7 = "combo_deal"}
        t.equal({mapping_schema.check(mappings, "m")}, {true})
    end)
end

-- ---- what is counted -------------------------------------------------------------------------

local function mechanics(result)
    local list = {}
    for i, entry in ipairs(result.trail.data.mechanics) do
        list[i] = entry.category .. " " .. entry.amount_minor
    end
    return list
end

local function counting_tests(t)
    -- Seen before: 4.00.
    t.case("a voucher that units show and the order sums up counts once", function()
        for _, kind in ipairs({"relative", "absolute"}) do
            local function ten(amount)
                return reduction("voucher", kind, amount, {code = "TEN"})
            end
            local order = support.order({unit(1, "A", 1000, {ten(100)}),
                unit(2, "B", 1000, {ten(100)})})
            order.cost.appliedReductions = {ten(200)}
            t.equal(mechanics(map(order, {{match = {category = "voucher"}, becomes = "price"}})),
                {"voucher 200"})
        end
    end)
    t.case("one that only the order says counts by its shares", function()
        local order = support.order({unit(1, "A", 1000), unit(2, "B", 1000)})
        order.cost.withTax, order.payment[1].amount = 1500, 1500
        order.cost.appliedReductions = {reduction("voucher", "absolute", 500, {code = "FIVE"})}
        local result = map(order, {{match = {category = "voucher"}, becomes = "price",
            split = "all"}})
        t.equal({mechanics(result), result.posting.gross_to_net.discounts},
            {{"voucher 500"}, {voucher = 500}})
    end)
    -- Seen before: all of it was called the voucher's.
    t.case("what units show of two reductions of the order is each one's part", function()
        local order = support.order({unit(1, "A", 1000), unit(2, "B", 1000)})
        order.cost.withTax, order.payment[1].amount = 1200, 1200
        order.cost.appliedReductions = {reduction("promotion", "absolute", 300, {id = "p3"}),
            reduction("voucher", "absolute", 500, {code = "FIVE"})}
        order.items[1].price.absoluteVoucherReducedPrice = {withTax = 200}
        local rules = {{match = {category = "voucher"}, becomes = "price"},
            {match = {category = "promotion"}, becomes = "price"}}
        local result = map(order, rules)
        t.equal({shape(result), result.posting.gross_to_net.discounts}, {{"- A x1 2.00",
            "- B x1 10.00"}, {voucher = 500, promotion = 300}})
        order.items[1].price.absoluteVoucherReducedPrice = {withTax = 600}
        order.items[2].price.absoluteVoucherReducedPrice = {withTax = 600}
        result = map(order, rules)
        t.equal({shape(result), result.posting.gross_to_net.discounts}, {{"- A x1 6.00",
            "- B x1 6.00"}, {voucher = 500, promotion = 300}})
    end)
    t.case("reductions of nothing and prices that a voucher raises are no error", function()
        local rules = {{match = {category = "voucher"}, becomes = "price"},
            {match = {category = "promotion"}, becomes = "price"}}
        local function order(list, after_a, after_b)
            local made = support.order({unit(1, "A", 1000), unit(2, "B", 1000)})
            made.cost.withTax, made.payment[1].amount = 1500, 1500
            made.cost.appliedReductions = list
            made.items[1].price.absoluteVoucherReducedPrice = {withTax = after_a}
            made.items[2].price.absoluteVoucherReducedPrice = {withTax = after_b}
            return made
        end
        local five = reduction("voucher", "absolute", 500, {code = "FIVE"})
        for _, category in ipairs({"voucher", "promotion"}) do
            for _, list in ipairs({{five, reduction(category, "absolute", 0, {code = "NIL"})},
                {reduction(category, "absolute", 0, {code = "NIL"}), five}}) do
                t.equal(shape(map(order(list, 500, 1000), rules)), {"- A x1 5.00", "- B x1 10.00"})
            end
        end
        t.equal(shape(map(order({five}, 499, 1001), rules)), {"- A x1 4.99", "- B x1 10.01"})
        t.equal(support.causes(map(order({reduction("voucher", "absolute", 200, {code = "TWO"}),
            reduction("voucher", "absolute", 300, {code = "THREE"})}, 499, 1001), rules)),
            {"totals_do_not_tie:5001"})
    end)
    -- Seen before: the older form was not read, and B got cheaper too.
    t.case("the older form of the order's voucher says what it applies to as well", function()
        local voucher = {id = 1, code = "FIVE", applicableItems = {{key = "bk-A",
            isApplied = true}, {key = "bk-B", isApplied = false}}}
        for name, value in pairs({vouchers = {voucher}, voucher = voucher}) do
            local order = support.order({unit(1, "A", 1000), unit(2, "B", 1000)})
            order.cost.withTax, order.payment[1].amount = 1500, 1500
            order.cost.appliedReductions = {reduction("voucher", "absolute", 500,
                {code = "FIVE"})}
            order[name] = value
            t.equal(shape(map(order, {{match = {category = "voucher"}, becomes = "price",
                split = "applicable"}})), {"- A x1 5.00", "- B x1 10.00"})
        end
    end)
    -- Seen before: Khaos refused the whole order.
    t.case("a code that is too long for a keycode is held with the remedy", function()
        local function order(code)
            return support.order({unit(1, "A", 1000, {reduction("voucher", "relative", 100,
                {code = code})})})
        end
        local rules = {{match = {category = "voucher"}, becomes = "keycode+price"}}
        t.equal(map(order(("é"):rep(30)), rules).posting.header.keycode, ("é"):rep(30))
        local causes = map(order(("x"):rep(31)), rules).causes
        t.equal(causes[1].cause, "unmapped_promotion")
        t.matches(causes[1].message, "31 characters where Khaos takes 30")
        rules[1].keycode = "SUMMER"
        t.equal(map(order(("x"):rep(31)), rules).posting.header.keycode, "SUMMER")
    end)
    t.case("an amount off a line of a net order lowers its price, and the trail says so", function()
        local order = support.order({unit(1, "A", 1200, {reduction("promotion", "absolute", 240,
            {id = "p"})})})
        local result = map(order, {{match = {category = "promotion"}, becomes = "value_discount"}},
            {calc = "net"}, CLOUD)
        t.equal(shape(result), {"- A x1 net 8.00"})
        t.matches(table.concat(result.trail.lines, "\n"), "would count net")
    end)
    -- Seen before: "less 33.43%" and no code were shown, and an amount and a code were sent.
    t.case("what staging shows is what the document says, with its codes", function()
        local order = support.order({unit(1, "A", 999, {reduction("promotion", "absolute", 334,
            {id = "p", code = "CODE1"})})})
        local posting = map(order, {{match = {category = "promotion"},
            becomes = "discount_code+percent"}}, nil, CLOUD).posting
        for setting, off in pairs({single = "3.34", percent = "33.43%"}) do
            local document = order_document.build(cloud_client.new({value_discount = setting}),
                posting)
            local lines = staging.lines(posting, document)
            t.equal({lines[1], lines[2]}, {"  1. A x 1 at 9.99 gross, less " .. off,
                "  delivery 0.00, discount codes CODE1"})
        end
    end)
    t.case("free shipping lowers the charge and nothing else", function()
        for _, match in ipairs({{category = "free_shipping"}, {effect = "free_shipping"}}) do
            for becomes, expected in pairs({delivery = true, price = true, pack = false,
                value_discount = false}) do
                local rule = {match = match, becomes = becomes,
                    pack_code = becomes == "pack" and "SET" or nil}
                local ok = mapping_schema.check(support.mappings(nil, {rule}), "m", "cloud")
                t.equal({becomes, ok ~= nil}, {becomes, expected})
            end
        end
    end)
end

return function(t)
    mechanic_tests(t)
    pack_tests(t)
    counting_tests(t)
    set_tests(t)
    value_tests(t)
    net_tests(t)
    declaration_tests(t)
end
