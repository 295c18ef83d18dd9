-- neap-test-root: examples/demo
--- Orders of which units were cancelled before they were posted: what is posted, and what is held.
local remaining = require("flows.orders.remaining")
local support = require("order_support")

-- Three units, the second cancelled; `total` is what SCAYLE says the order comes to.
local function order(total, more)
    local given = support.order({support.item(1, "A", 1000), support.item(2, "B", 2000,
        {status = "cancelled", cancelledAt = "2026-05-04T10:02:58+00:00"}),
        support.item(3, "A", 1000)}, more)
    given.cost.withTax = total
    given.payment[1].amount = total
    return given
end

local function ids(posting)
    local list = {}
    for _, line in ipairs(posting.lines) do
        table.move(line.unit_ids, 1, #line.unit_ids, #list + 1, list)
    end
    table.sort(list)
    return list
end

-- Held because nobody can say what is left of its total.
local function is_unknown(given)
    local causes = table.concat(support.causes(support.map(given)), " ")
    return causes:find("totals_do_not_tie:5001 cancelled", 1, true) ~= nil
end

return function(t)
    t.case("what an order takes is known by codes, all of them, or not at all", function()
        local function item(code, more)
            local made = {id = 1, variant = {referenceKey = code}}
            for name, value in pairs(more or {}) do
                made[name] = value
            end
            return made
        end
        local other = {merchant = {referenceKey = "other"}}
        t.equal(remaining.codes({items = {item("A"), item("A"), item("B", {status = "cancelled"}),
            item(nil, other)}}, "fellside"), {A = 2})
        for _, items in ipairs({{}, {item("A"), item(nil)}, {item(("x"):rep(151))}, {item("A\nB")},
            {item("A"), {id = 2}}}) do
            t.equal(remaining.codes({items = items}, "fellside"), nil)
        end
    end)
    t.case("a total that stayed and one that moved post the same: what is left", function()
        for _, total in ipairs({4000, 2000}) do
            local result = support.map(order(total))
            t.equal(result.causes, {})
            t.equal(result.posting.predicted.gross_minor, 2000)
            t.equal(ids(result.posting), {"1", "3"})
            t.equal(result.posting.payments[1].amount, "20.00")
        end
    end)
    t.case("a total that is neither is held and names both figures", function()
        local result = support.map(order(3496))
        t.equal(result.posting, nil)
        local words = ""
        for _, cause in ipairs(result.causes) do
            t.equal(cause.cause, "totals_do_not_tie")
            words = words .. cause.message
        end
        t.equal(words:find("without them", 1, true) ~= nil, true)
    end)
    t.case("a unit that is not plainly cancelled holds the order", function()
        local doubtful = {
            {status = "undeliverable"},
            {status = "unavailable"},
            {status = "available", cancelledAt = "2026-05-04T10:02:58+00:00"},
            {status = "cancelled", shippedAt = "2026-05-04T10:02:58+00:00"},
        }
        for _, state in ipairs(doubtful) do
            local result = support.map(support.order({support.item(1, "A", 1000),
                support.item(2, "B", 2000, state)}))
            t.equal(result.posting, nil)
            t.equal(result.causes[1].cause, "order_already_processed")
        end
    end)
    t.case("a total less a voucher is not taken for one less a unit", function()
        local off = {category = "voucher", type = "absolute", code = "TWENTY",
            amount = {absoluteWithTax = 2000}}
        local given = order(2000)
        given.cost.appliedReductions = {off}
        t.equal(is_unknown(given), true)
        t.equal(is_unknown(order(4000, {membershipDiscount = {reductionValue = 100}})), true)
        given.cost.appliedReductions = {{category = "promotion", type = "relative",
            amount = {absoluteWithTax = 2000}}}
        t.equal(is_unknown(given), false)
    end)
    t.case("payments that still cover all units: one is lowered, several hold the order", function()
        local given = order(4000)
        given.payment = {{key = "card", amount = 3000}, {key = "paypal", amount = 1000}}
        t.equal(support.causes(support.map(given)), {"totals_do_not_tie:5001 payments"})
        given.cost.withTax, given.payment[1].amount = 2000, 1000
        t.equal(support.causes(support.map(given)), {})
    end)
    t.case("on a shared order our delegation's cost counts, others keep their units", function()
        local settings = {merchant_key = "us", merchant_code = "U",
            shared_reference = "SC{order_id}{merchant}", shared_payments = "share"}
        local given = support.order({support.item(1, "A", 1000), support.item(2, "B", 2000,
            {status = "cancelled"}), support.item(3, "C", 5000,
            {merchant = {referenceKey = "them"}, status = "cancelled"})})
        for _, total in ipairs({3000, 1000}) do
            local result = support.map(given, {settings = settings,
                delegation = {cost = {withTax = total, appliedFees = {}}}})
            t.equal(support.causes(result), {})
            t.equal(result.posting.predicted.gross_minor, 1000)
            t.equal(ids(result.posting), {"1"})
        end
    end)
    t.case("when nothing of ours is left, the units say so", function()
        local gone, ours = require("flows.orders.remaining").units(support.order({
            support.item(1, "A", 1000, {status = "cancelled"}),
            support.item(2, "B", 2000, {merchant = {referenceKey = "them"}})}), "us")
        t.equal({gone, ours}, {{"1"}, {"1"}})
    end)
end
