return {
    name = "free shipping",
    why = "Delivery was reduced from 4.95 to nothing, which is declared; 0.00 is sent "
        .. "explicitly.",
    order = "18-free-shipping.json",
    expect = {posted = {
        total = "219.49",
        lines = {
            {stock_code = "FO-JKT-1042-M", quantity = 1, price_gross = "129.99"},
            {stock_code = "FO-GIL-2201-S", quantity = 1, price_gross = "89.50"},
        },
        delivery = {gross = "0.00"},
    }},
}
