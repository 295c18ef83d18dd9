-- Which total holds, where order-level reductions go, and orders shared with other merchants.
local support = require("order_support")

local VOUCHER = {category = "voucher", type = "absolute"}

local function voucher_order(more)
    local order = support.order({support.item(1, "A", 3000), support.item(2, "B", 1000)}, more)
    order.cost.withTax = 3500
    order.cost.appliedReductions = {{category = "voucher", type = "absolute", code = "FIVE",
        amount = {absoluteWithTax = 500}}}
    order.payment[1].amount = 3500
    return order
end

local function prices(result)
    local list = {}
    for i, line in ipairs(result.posting.lines) do
        list[i] = line.price_gross
    end
    return list
end

local function voucher_tests(t)
    t.case("a voucher sits on the unit that shows its price after it", function()
        local order = voucher_order()
        order.items[2].price.absoluteVoucherReducedPrice = {withTax = 500}
        local result = support.map(order, {mappings = support.mappings(nil,
            {{match = VOUCHER, becomes = "price"}})})
        t.equal(prices(result), {"30.00", "5.00"})
        t.equal(result.trail.data.total_check.form, "A+F-V")
    end)
    t.case("a voucher no unit shows is spread where the rule declares it", function()
        local result = support.map(voucher_order(), {mappings = support.mappings(nil,
            {{match = VOUCHER, becomes = "price", split = "all"}})})
        t.equal(prices(result), {"26.25", "8.75"})
    end)
    t.case("it is spread only over the units it applies to, when it says so", function()
        local order = voucher_order{vouchers = {{code = "FIVE", applicableItems = {
            {key = "bk-A", isApplied = false}, {key = "bk-B", isApplied = true}}}}}
        local result = support.map(order, {mappings = support.mappings(nil,
            {{match = VOUCHER, becomes = "price", split = "applicable"}})})
        t.equal(prices(result), {"30.00", "5.00"})
    end)
end

local function untied_tests(t)
    t.case("an undeclared voucher holds", function()
        t.equal(support.causes(support.map(voucher_order())),
            {"unmapped_promotion:voucher absolute"})
    end)
    t.case("units that show another amount than the order took off do not tie", function()
        local order = voucher_order()
        order.items[2].price.absoluteVoucherReducedPrice = {withTax = 700}
        local result = support.map(order, {mappings = support.mappings(nil,
            {{match = VOUCHER, becomes = "price"}})})
        t.equal(support.causes(result), {"totals_do_not_tie:5001"})
        t.matches(result.causes[1].message, "5%.00.*3%.00")
    end)
    t.case("membership points come off after the voucher, when declared", function()
        local order = voucher_order{membershipDiscount = {reductionValue = 100}}
        order.cost.withTax, order.payment[1].amount = 3400, 3400
        order.items[2].price.absoluteVoucherReducedPrice = {withTax = 500}
        local result = support.map(order, {mappings = support.mappings(nil,
            {{match = VOUCHER, becomes = "price"},
                {match = {category = "membership"}, becomes = "price", split = "all"}})})
        t.equal(result.trail.data.total_check.form, "A+F-V-M")
        t.equal(result.posting.predicted.gross_minor, 3400)
    end)
end

-- A total of 10.00, a membership discount of 2.00 and what was paid.
local function member_order(paid, more)
    local order = support.order({support.item(1, "A", 600), support.item(2, "B", 400)},
        {membershipDiscount = {reductionValue = 200}})
    for key, value in pairs(more or {}) do
        order[key] = value
    end
    order.payment = order.payment[2] and order.payment or {{key = "card", amount = paid}}
    return order
end

local function member_tests(t)
    local function mapped(order)
        return support.map(order, {mappings = support.mappings(nil, {{becomes = "price",
            match = {category = "membership"}, split = "all"}})})
    end
    t.case("a total said before the membership discount is told by what was paid", function()
        local result = mapped(member_order(800))
        t.equal({result.posting.total, prices(result), result.posting.payments[1].amount},
            {"8.00", {"4.80", "3.20"}, "8.00"})
        t.equal({result.trail.data.total_check.form, result.trail.data.total_check.member_off_minor,
            result.facts.amount.minor}, {"A+F", 200, 800})
    end)
    t.case("gift cards pay too", function()
        local result = mapped(member_order(nil, {payment = {{key = "card", amount = 500},
            {key = "gc", amount = 300, isGiftCard = true}}}))
        t.equal({result.posting.total, #result.posting.payments}, {"8.00", 2})
    end)
    t.case("a total that was paid in full has it taken off already, or not at all", function()
        t.equal(mapped(member_order(1000)).posting.total, "10.00")
    end)
    t.case("any other sum is no proof, and holds", function()
        t.equal(support.causes(mapped(member_order(900))), {"totals_do_not_tie:5001 payments"})
    end)
    t.case("a membership discount that nobody declared holds in this reading too", function()
        t.equal(support.causes(support.map(member_order(800))),
            {"unmapped_promotion:membership absolute"})
    end)
end

local function shared_order()
    local order = support.order({support.item(1, "A", 3000),
        support.item(2, "X", 1000, {merchant = {referenceKey = "them"}})})
    order.payment = {{key = "card", amount = 3000, transactionKey = "t1"},
        {key = "gc", amount = 1000, isGiftCard = true, transactionKey = "g1"}}
    return order
end

local SHARED = {merchant_key = "us", merchant_code = "U", shared_payments = "share",
    shared_reference = "SC{order_id}{merchant}"}

local function shared_tests(t)
    t.case("with several merchants the delegation's cost is the total", function()
        local result = support.map(shared_order(), {settings = SHARED,
            delegation = {cost = {withTax = 3000}}})
        t.equal(support.causes(result), {})
        t.equal(result.posting.total, "30.00")
        t.equal(result.posting.reference, "SC5001U")
        t.equal(result.posting.payments[1].amount, "22.50")
        t.equal(result.posting.payments[2].amount, "7.50")
        t.equal(#result.posting.lines, 1)
    end)
    t.case("without that cost, the reference and the payment rule it is held", function()
        local result = support.map(shared_order())
        t.equal(support.causes(result), {"totals_do_not_tie:5001",
            "unmapped_market:shared_reference"})
        result = support.map(shared_order(), {delegation = {cost = {withTax = 3000}},
            settings = {merchant_key = "us", shared_reference = "S{order_id}{merchant}"}})
        t.equal(support.causes(result), {"unmapped_payment:shared order"})
    end)
end

-- Seen: a voucher that only the order's cost showed was left out, and the order posted and paid in
-- full. Whether a delegation's cost is after such amounts is not documented (contract 2.2, 2.3).
local OFF_WHOLE = {category = "voucher", type = "absolute", code = "V",
    amount = {absoluteWithTax = 1000}}
local OFF_RULES = {{match = {category = "voucher"}, becomes = "price"},
    {match = {category = "membership"}, becomes = "price", split = "all"}}

local function voucher_on(order, i)
    local price = order.items[i].price
    price.absoluteVoucherReducedPrice = {withTax = price.withTax - 1000}
    order.cost.appliedReductions = {OFF_WHOLE}
    order.cost.withTax = 3000
    order.payment = {{key = "card", amount = 3000, transactionKey = "t1"}}
    return order
end

local function map_shared(order, cost)
    return support.map(order, {settings = SHARED, delegation = {cost = cost},
        mappings = support.mappings(nil, OFF_RULES)})
end

local UNTIED = {"totals_do_not_tie:5001"}

local function shared_reduction_tests(t)
    t.case("a voucher on our unit that our delegation does not show is held", function()
        local result = map_shared(voucher_on(shared_order(), 1), {withTax = 3000})
        t.equal(support.causes(result), UNTIED)
    end)
    t.case("so is one that no item shows", function()
        local order = voucher_on(shared_order(), 1)
        order.items[1].price.absoluteVoucherReducedPrice = nil
        t.equal(support.causes(map_shared(order, {withTax = 3000})), UNTIED)
    end)
    t.case("one on another merchant's unit is not ours", function()
        local result = map_shared(voucher_on(shared_order(), 2), {withTax = 3000})
        t.equal(support.causes(result), {})
        t.equal(result.posting.total, "30.00")
    end)
    t.case("one that our delegation shows is taken off", function()
        local result = map_shared(voucher_on(shared_order(), 1),
            {withTax = 2000, appliedReductions = {OFF_WHOLE}})
        t.equal(support.causes(result), {})
        t.equal({result.posting.total, result.posting.payments[1].amount}, {"20.00", "20.00"})
    end)
    t.case("a membership discount of a shared order is held", function()
        local order = shared_order()
        order.membershipDiscount = {reductionValue = 400}
        order.cost.withTax = 3600
        order.payment = {{key = "card", amount = 3600, transactionKey = "t1"}}
        t.equal(support.causes(map_shared(order, {withTax = 3000})), UNTIED)
    end)
end

return function(t)
    shared_reduction_tests(t)
    member_tests(t)
    voucher_tests(t)
    untied_tests(t)
    shared_tests(t)
    t.case("a delegation of another amount than the order is held", function()
        local result = support.map(support.order({support.item(1, "A", 3000)}),
            {delegation = {cost = {withTax = 2999}}})
        t.equal(support.causes(result), {"totals_do_not_tie:5001"})
    end)
    t.case("a price that is no whole number of pennies is held", function()
        local order = support.order({support.item(1, "A", 3000)})
        order.items[1].price.withTax = 3000.5
        t.equal(support.causes(support.map(order))[1], "totals_do_not_tie:5001")
    end)
end
