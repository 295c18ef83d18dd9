return {
    name = "net price that ties only as two lines",
    why = "Three units of 2.00 at 5% are 6.00; no single net price comes to that (1.90 "
        .. "gives 5.99, 1.91 gives 6.02), but 2 x 1.90 and 1 x 1.91 give 3.99 + 2.01.",
    order = "31-reduced-rate-split.json",
    expect = {posted = {
        total = "10.95",
        lines = {
            {stock_code = "FO-HWM-0002", quantity = 2, price_net = "1.90", tax_code = 4},
            {stock_code = "FO-HWM-0002", quantity = 1, price_net = "1.91", tax_code = 4},
        },
        delivery = {gross = "4.95"},
    }},
    -- Khaos Control Cloud calculates by CalcMethod and its own rates: every line goes gross.
    expect_on = {cloud = {posted = {
        total = "10.95",
        lines = {
            {stock_code = "FO-HWM-0002", quantity = 3, price_gross = "2.00"},
        },
        delivery = {gross = "4.95"},
    }}},
}
