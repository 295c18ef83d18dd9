return {
    name = "many units, mixed VAT",
    why = "Six equal socks are one line, three zero-rated maps another; 12.50 at 0% is "
        .. "exact at any quantity.",
    order = "13-multi-unit.json",
    expect = {posted = {
        total = "132.39",
        lines = {
            {stock_code = "FO-SCK-0007-L", quantity = 6, price_gross = "14.99"},
            {stock_code = "FO-MAP-LAKES", quantity = 3, price_net = "12.50", tax_code = 2},
        },
        delivery = {gross = "4.95"},
    }},
    -- Khaos Control Cloud calculates by CalcMethod and its own rates: every line goes gross.
    expect_on = {cloud = {posted = {
        total = "132.39",
        lines = {
            {stock_code = "FO-SCK-0007-L", quantity = 6, price_gross = "14.99"},
            {stock_code = "FO-MAP-LAKES", quantity = 3, price_gross = "12.50"},
        },
        delivery = {gross = "4.95"},
    }}},
}
