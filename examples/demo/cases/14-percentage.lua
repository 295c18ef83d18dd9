return {
    name = "percentage promotion",
    why = "10% is exact on the line: R(29.98 x 10%) = 3.00 is twice the 1.50 that SCAYLE "
        .. "took off each sock.",
    order = "14-percentage.json",
    expect = {posted = {
        total = "112.48",
        lines = {
            {stock_code = "FO-GIL-2201-S", quantity = 1, price_gross = "89.50",
                discount_percent = "10.00"},
            {stock_code = "FO-SCK-0007-L", quantity = 2, price_gross = "14.99",
                discount_percent = "10.00"},
        },
        delivery = {gross = "4.95"},
    }},
}
