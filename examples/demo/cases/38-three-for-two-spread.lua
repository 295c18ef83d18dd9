return {
    name = "three for two, cheapest free, pro rata",
    why = "The price of the cheapest is spread over all three products: reduced prices, declared "
        .. "by the promotion's id.",
    order = "38-buy-x-get-y-cheapest.json",
    expect = {posted = {
        total = "48.94",
        lines = {
            {stock_code = "FO-CAP-0311", quantity = 1, price_gross = "14.91"},
            {stock_code = "FO-SCK-0007-L", quantity = 1, price_gross = "11.18"},
            {stock_code = "FO-BTL-0750-GRN", quantity = 1, price_gross = "17.90"},
        },
    }},
}
