return {
    name = "absolute voucher that is an amount off the order",
    why = "10.00 off the whole order that no unit shows. On-premise it is spread over the lines; "
        .. "Cloud takes the amount as it is, and the code as a reference.",
    order = "43-voucher-off-the-order.json",
    expect = {posted = {
        total = "168.42",
        lines = {
            {stock_code = "FO-BTL-0750-GRN", quantity = 1, price_gross = "22.61"},
            {stock_code = "FO-CAP-0311", quantity = 3, price_gross = "18.84"},
            {stock_code = "FO-GIL-2201-S", quantity = 1, price_gross = "84.34"},
        },
        gross_to_net = {undiscounted_minor = 17842, discounts = {voucher = 1000},
            order_discount_minor = 0, gross_minor = 16842},
    }},
    expect_on = {cloud = {posted = {
        total = "168.42",
        header = {value_discount = "10.00", discount_codes = {"WELCOME10"}},
        lines = {
            {stock_code = "FO-BTL-0750-GRN", quantity = 1, price_gross = "24.00"},
            {stock_code = "FO-CAP-0311", quantity = 3, price_gross = "19.99"},
            {stock_code = "FO-GIL-2201-S", quantity = 1, price_gross = "89.50"},
        },
        gross_to_net = {undiscounted_minor = 17842, discounts = {},
            order_discount_minor = 1000, gross_minor = 17842},
    }}},
}
