return {
    name = "sale, campaign, promotion, code and voucher on every unit",
    why = "Everything a unit can carry, free shipping and a gift card: the sale price is the full "
        .. "price, the rest is one percentage, the keycode is a reference, and what each kind took "
        .. "off stays known.",
    order = "40-stacked.json",
    expect = {posted = {
        total = "39.03",
        keycode = "SPRING26",
        lines = {
            {stock_code = "FO-BTL-0750-GRN", quantity = 1, price_gross = "19.20",
                discount_percent = "41.88"},
            {stock_code = "FO-CAP-0311", quantity = 3, price_gross = "15.99",
                discount_percent = "41.90"},
        },
        delivery = {gross = "0.00"},
        payments = {{type = 4, amount = "1.00"}, {type = 2, amount = "38.03"}},
        gross_to_net = {undiscounted_minor = 8892, gross_minor = 3903, net_minor = 3253,
            tax_minor = 650, discounts = {campaign = 672, free_shipping = 495, promotion = 1210,
                promotionCode = 726, sale = 1680, voucher = 206}},
    }},
}
