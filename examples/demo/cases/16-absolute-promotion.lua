return {
    name = "amount off a product",
    why = "Khaos has no field for an amount off a line: the reduced price is sent, as "
        .. "declared.",
    order = "16-absolute-promotion.json",
    expect = {posted = {
        total = "23.95",
        lines = {
            {stock_code = "FO-BTL-0750-GRN", quantity = 1, price_gross = "19.00"},
        },
        delivery = {gross = "4.95"},
    }},
}
