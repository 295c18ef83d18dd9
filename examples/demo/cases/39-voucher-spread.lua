return {
    name = "absolute voucher spread over the lines",
    why = "5.00 off the whole order that no unit shows; Khaos has no amount off an order, so the "
        .. "rule of this code spreads it over what it applies to.",
    order = "39-voucher-spread.json",
    expect = {posted = {
        total = "173.42",
        lines = {
            {stock_code = "FO-BTL-0750-GRN", quantity = 1, price_gross = "23.31"},
            {stock_code = "FO-CAP-0311", quantity = 2, price_gross = "19.41"},
            {stock_code = "FO-CAP-0311", quantity = 1, price_gross = "19.42"},
            {stock_code = "FO-GIL-2201-S", quantity = 1, price_gross = "86.92"},
        },
    }},
}
