return {
    name = "membership discount",
    why = "5.00 of membership points are taken off the whole order: spread over its units, as a "
        .. "percentage where that is exact.",
    order = "25-membership-discount.json",
    expect = {posted = {
        total = "129.94",
        lines = {
            {stock_code = "FO-JKT-1042-M", quantity = 1, price_gross = "129.99",
                discount_percent = "3.85"},
        },
        delivery = {gross = "4.95"},
    }},
}
