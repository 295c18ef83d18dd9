return {
    name = "sale, campaign and voucher on one unit",
    why = "The sale lowers the price (declared), campaign and voucher together are one "
        .. "percentage: 10.88 of 75.00 is 14.51% and 1.88 of 12.99 is 14.47%, which come to "
        .. "the paid prices exactly.",
    order = "order-06-sale-campaign-relative-voucher.json",
    expect = {posted = {
        total = "80.18",
        lines = {
            {stock_code = "FO-GIL-2201-S", quantity = 1, price_gross = "75.00",
                discount_percent = "14.51"},
            {stock_code = "FO-SCK-0007-L", quantity = 1, price_gross = "12.99",
                discount_percent = "14.47"},
        },
        delivery = {gross = "4.95"},
    }},
}
