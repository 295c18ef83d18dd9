local support = require("order_support")

local function order_with(payment)
    local order = support.order({support.item(1, "A", 3000)})
    order.payment = payment
    return order
end

return function(t)
    t.case("a card is pre-authorised or paid as the mapping says", function()
        local p = support.map(order_with{{key = "card", amount = 3000,
            transactionKey = "psp-1"}}).posting.payments[1]
        t.equal(p, {amount = "30.00", type = 2, preauth = true, auth_code = "SCAYLE",
            transaction_id = "psp-1", preauth_ref = "SC5001", account_name = "Cards",
            timestamp = "2026-05-04T11:02:58"})
        p = support.map(order_with{{key = "paypal", amount = 3000,
            transactionKey = "PP1"}}).posting.payments[1]
        t.equal({p.preauth, p.auth_code, p.card_number}, {false, "PAYPAL", "PAYPAL"})
    end)
    t.case("an account payment carries no authorisation", function()
        local p = support.map(order_with{{key = "invoice", amount = 3000}}).posting.payments[1]
        t.equal(p, {amount = "30.00", type = 3, preauth = false,
            timestamp = "2026-05-04T11:02:58"})
    end)
    t.case("a gift card is a voucher payment with its own reference", function()
        local posting = support.map(order_with{
            {key = "whatever", amount = 1000, isGiftCard = true, transactionKey = "gc-9"},
            {key = "card", amount = 2000, transactionKey = "t"}}).posting
        t.equal({posting.payments[1].type, posting.payments[1].card_number,
            posting.payments[1].amount, posting.payments[2].amount},
            {4, "gc-9", "10.00", "20.00"})
    end)
    t.case("unknown methods and short sums are found together", function()
        local result = support.map(order_with{{key = "shells", amount = 2999}})
        t.equal(support.causes(result), {"totals_do_not_tie:5001 payments",
            "unmapped_payment:shells"})
        t.matches(result.causes[2].message, "30%.00.*29%.99.*difference 0%.01")
    end)
    t.case("an order of nothing needs no payment", function()
        local order = support.order({support.item(1, "A", 0)})
        order.payment = {}
        local result = support.map(order)
        t.equal(support.causes(result), {})
        t.equal(result.posting.total, "0.00")
        t.equal(#result.posting.payments, 0)
    end)
end
