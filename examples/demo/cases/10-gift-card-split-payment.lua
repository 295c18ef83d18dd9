return {
    name = "gift card and card",
    why = "A gift card is a payment of type 4, not a discount; the captured amount is less "
        .. "than the total, the sum of payments is not.",
    order = "order-10-gift-card-split-payment.json",
    expect = {posted = {
        total = "94.45",
        lines = {
            {stock_code = "FO-GIL-2201-S", quantity = 1, price_gross = "89.50"},
        },
        delivery = {gross = "4.95"},
        payments = {{amount = "25.00", type = 4}, {amount = "69.45", type = 2}},
    }},
}
