return {
    name = "amounts on percentages, a voucher on one unit, membership",
    why = "The total ties only as units + fees - voucher - membership; the unit that shows the "
        .. "voucher is a line of its own.",
    order = "41-stacked-amounts.json",
    expect = {posted = {
        total = "16.51",
        lines = {
            {stock_code = "FO-BTL-0750-GRN", quantity = 1, price_gross = "4.20",
                discount_percent = "56.90"},
            {stock_code = "FO-BTL-0750-GRN", quantity = 1, price_gross = "14.20",
                discount_percent = "31.34"},
        },
        payments = {{type = 4, amount = "5.00"}, {type = 2, amount = "11.51"}},
        gross_to_net = {undiscounted_minor = 5295, gross_minor = 1651, moved_minor = 0,
            discounts = {campaign = 384, membership = 300, promotion = 1000, sale = 960,
                voucher = 1000}},
    }},
}
