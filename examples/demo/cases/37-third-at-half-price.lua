return {
    name = "buy two, third at half price",
    why = "Distribution none: the reduction is on the third unit alone, as a line percentage.",
    order = "37-buy-x-get-y-half.json",
    expect = {posted = {
        total = "42.42",
        lines = {
            {stock_code = "FO-SCK-0007-L", quantity = 2, price_gross = "14.99"},
            {stock_code = "FO-SCK-0007-L", quantity = 1, price_gross = "14.99",
                discount_percent = "50.00"},
        },
    }},
}
