return {
    name = "tier activated by a code",
    why = "15% of each listed price, rounded, is exactly what SCAYLE took off, so full "
        .. "price and percentage are sent, with the keycode as reference. Delivery is free "
        .. "and sent as 0.00, or Khaos would charge its own.",
    order = "order-04-tiered-promotion-code.json",
    expect = {posted = {
        total = "199.30",
        lines = {
            {stock_code = "FO-JKT-1042-M", quantity = 1, price_gross = "129.99",
                discount_percent = "15.00"},
            {stock_code = "FO-GIL-2201-S", quantity = 1, price_gross = "89.50",
                discount_percent = "15.00"},
            {stock_code = "FO-SCK-0007-L", quantity = 1, price_gross = "14.99",
                discount_percent = "15.00"},
        },
        delivery = {gross = "0.00"},
        keycode = "SPRING26",
    }},
}
