return {
    name = "absolute voucher",
    why = "10.00 off the order sits on one unit, which shows its price after it (119.99). "
        .. "The total ties as units + fees - voucher.",
    order = "order-05-absolute-voucher.json",
    expect = {posted = {
        total = "139.93",
        lines = {
            {stock_code = "FO-JKT-1042-M", quantity = 1, price_gross = "119.99"},
            {stock_code = "FO-SCK-0007-L", quantity = 1, price_gross = "14.99"},
        },
        delivery = {gross = "4.95"},
    }},
}
