return {
    name = "German order, two VAT rates, Packstation, guest",
    why = "Both German rates go as net prices with their tax codes. 14.90 at 7% cannot be "
        .. "reached as a net price (13.92 gives 14.89, 13.93 gives 14.91), so one penny goes "
        .. "to the rounding item. The delivery rate is a blend of 17.3% that no code has: "
        .. "net and tax amounts are sent.",
    order = "order-08-de-mixed-vat-collection-point.json",
    expect = {posted = {
        total = "120.75",
        lines = {
            {stock_code = "FO-GIL-2201-S", quantity = 1, price_net = "83.99", tax_code = 5},
            {stock_code = "FO-MAP-LAKES", quantity = 1, price_net = "13.92", tax_code = 6},
            {stock_code = "ROUNDING", quantity = 1, price_net = "0.01", tax_code = 2,
                kind = "rounding"},
        },
        delivery = {net = "5.03", tax = "0.87"},
        delivery_address = {address1 = "Packstation 118", address2 = "812004417"},
    }},
    -- Khaos Control Cloud calculates by CalcMethod and its own rates: every line goes gross.
    expect_on = {cloud = {posted = {
        total = "120.75",
        lines = {
            {stock_code = "FO-GIL-2201-S", quantity = 1, price_gross = "99.95"},
            {stock_code = "FO-MAP-LAKES", quantity = 1, price_gross = "14.90"},
        },
        delivery = {net = "5.03", tax = "0.87"},
    }}},
}
