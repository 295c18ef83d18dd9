return {
    name = "amounts off lines and off the order",
    why = "The same order with 10.00 off the whole of it besides: both amounts stay what they are "
        .. "in Cloud, and come off the prices on-premise.",
    order = "45-amounts-off-lines-and-order.json",
    expect = {posted = {
        total = "51.93",
        lines = {
            {stock_code = "FO-BTL-0750-GRN", quantity = 1, price_gross = "17.32"},
            {stock_code = "FO-CAP-0311", quantity = 2, price_gross = "14.83"},
        },
        gross_to_net = {undiscounted_minor = 6893, gross_minor = 5193,
            discounts = {promotion = 400, promotionCode = 300, voucher = 1000}},
    }},
    expect_on = {cloud = {posted = {
        total = "51.93",
        header = {value_discount = "10.00", discount_codes = {"WELCOME10", "BOTTLE3"}},
        lines = {
            {stock_code = "FO-BTL-0750-GRN", quantity = 1, price_gross = "24.00",
                value_discount = "3.00"},
            {stock_code = "FO-CAP-0311", quantity = 1, price_gross = "19.99",
                value_discount = "2.00"},
            {stock_code = "FO-CAP-0311", quantity = 1, price_gross = "19.99",
                value_discount = "2.00"},
        },
        gross_to_net = {undiscounted_minor = 6893, gross_minor = 6193,
            discounts = {promotion = 400, promotionCode = 300}, order_discount_minor = 1000},
    }}},
}
