return {
    name = "buy one get one free, free unit",
    why = "The free bottle is its own line at 0.00 with a free-item reason; the map book is "
        .. "zero-rated and goes as a net price with its tax code.",
    order = "order-02-bogof-free-unit.json",
    expect = {posted = {
        total = "41.45",
        lines = {
            {stock_code = "FO-BTL-0750-GRN", quantity = 1, price_gross = "24.00"},
            {stock_code = "FO-BTL-0750-GRN", quantity = 1, price_gross = "0.00",
                free_reason = "Promotion"},
            {stock_code = "FO-MAP-LAKES", quantity = 1, price_net = "12.50", tax_code = 2},
        },
        delivery = {gross = "4.95"},
    }},
    -- Khaos Control Cloud calculates by CalcMethod and its own rates: every line goes gross.
    expect_on = {cloud = {posted = {
        total = "41.45",
        lines = {
            {stock_code = "FO-BTL-0750-GRN", quantity = 1, price_gross = "24.00"},
            {stock_code = "FO-BTL-0750-GRN", quantity = 1, price_gross = "0.00",
                free_reason = "Promotion"},
            {stock_code = "FO-MAP-LAKES", quantity = 1, price_gross = "12.50"},
        },
        delivery = {gross = "4.95"},
    }}},
}
