return {
    name = "tiered promotion, middle tier",
    why = "The order names no tier, only the resulting 10%; three units want the percentage, which "
        .. "is exact for each line.",
    order = "34-tiered.json",
    expect = {posted = {
        total = "161.07",
        keycode = "SPRING26",
        lines = {
            {stock_code = "FO-BTL-0750-GRN", quantity = 1, price_gross = "24.00",
                discount_percent = "10.00"},
            {stock_code = "FO-CAP-0311", quantity = 3, price_gross = "19.99",
                discount_percent = "10.00"},
            {stock_code = "FO-GIL-2201-S", quantity = 1, price_gross = "89.50",
                discount_percent = "10.00"},
        },
    }},
}
