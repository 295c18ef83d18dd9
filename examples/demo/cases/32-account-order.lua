return {
    name = "order on account",
    why = "Paid on account: type 3, without an authorisation, so Khaos applies the "
        .. "customer's terms.",
    order = "32-account-order.json",
    expect = {posted = {
        total = "52.95",
        lines = {
            {stock_code = "FO-BTL-0750-GRN", quantity = 2, price_gross = "24.00"},
        },
        delivery = {gross = "4.95"},
        payments = {{amount = "52.95", type = 3, preauth = false}},
    }},
}
