return {
    name = "amounts off lines",
    why = "3.00 off the bottle by a code, 2.00 off each cap. On-premise the prices are lowered; "
        .. "Cloud keeps the full price and says the amount, one line a unit.",
    order = "44-amounts-off-lines.json",
    expect = {posted = {
        total = "61.93",
        lines = {
            {stock_code = "FO-BTL-0750-GRN", quantity = 1, price_gross = "21.00"},
            {stock_code = "FO-CAP-0311", quantity = 2, price_gross = "17.99"},
        },
        gross_to_net = {undiscounted_minor = 6893, gross_minor = 6193,
            discounts = {promotion = 400, promotionCode = 300}},
    }},
    expect_on = {cloud = {posted = {
        total = "61.93",
        header = {discount_codes = {"BOTTLE3"}},
        lines = {
            {stock_code = "FO-BTL-0750-GRN", quantity = 1, price_gross = "24.00",
                value_discount = "3.00"},
            {stock_code = "FO-CAP-0311", quantity = 1, price_gross = "19.99",
                value_discount = "2.00"},
            {stock_code = "FO-CAP-0311", quantity = 1, price_gross = "19.99",
                value_discount = "2.00"},
        },
        gross_to_net = {undiscounted_minor = 6893, gross_minor = 6193,
            discounts = {promotion = 400, promotionCode = 300}},
    }}},
}
