return {
    name = "plain order",
    why = "Nothing reduced: two socks agree in everything and become one line of two, the "
        .. "jacket another; the delivery fee is at the standard rate, so it goes gross.",
    order = "order-01-plain-gb.json",
    expect = {posted = {
        total = "164.92",
        lines = {
            {stock_code = "FO-SCK-0007-L", quantity = 2, price_gross = "14.99"},
            {stock_code = "FO-JKT-1042-M", quantity = 1, price_gross = "129.99"},
        },
        delivery = {gross = "4.95"},
        payments = {{amount = "164.92", type = 2}},
    }},
}
