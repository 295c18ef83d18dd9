return {
    name = "plain order",
    why = "Two caps agree in everything and become one line of two; the delivery fee is at the "
        .. "standard rate, so it goes gross.",
    order = "plain.json",
    expect = {posted = {
        reference = "SC9001",
        total = "44.93",
        lines = {
            {stock_code = "CAP-GREEN", quantity = 2, price_gross = "19.99"},
        },
        delivery = {gross = "4.95"},
        payments = {{amount = "44.93", type = 2}},
    }},
}
