return {
    name = "two for one spread over both",
    why = "19.99 spread over two caps leaves units of 10.00 and 9.99: they differ by a "
        .. "penny, so they are two lines.",
    order = "order-03-bogof-pro-rata.json",
    expect = {posted = {
        total = "24.94",
        lines = {
            {stock_code = "FO-CAP-0311", quantity = 1, price_gross = "10.00"},
            {stock_code = "FO-CAP-0311", quantity = 1, price_gross = "9.99"},
        },
        delivery = {gross = "4.95"},
    }},
}
