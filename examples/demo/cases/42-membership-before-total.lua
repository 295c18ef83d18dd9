return {
    name = "membership discount that the total does not have",
    why = "SCAYLE's total is 134.94 and 129.94 was paid: the 5.00 of membership points come off "
        .. "the order, as in the case where its total has them off already.",
    order = "42-membership-before-total.json",
    expect = {posted = {
        total = "129.94",
        lines = {
            {stock_code = "FO-JKT-1042-M", quantity = 1, price_gross = "129.99",
                discount_percent = "3.85"},
        },
        payments = {{type = 2, amount = "129.94"}},
        gross_to_net = {undiscounted_minor = 13494, discounts = {membership = 500},
            gross_minor = 12994},
    }},
}
