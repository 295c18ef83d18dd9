return {
    name = "gift wrap and payment fee",
    why = "Fees that are no delivery charge become lines with the stock codes the mapping "
        .. "names.",
    order = "17-fees.json",
    expect = {posted = {
        total = "139.94",
        lines = {
            {stock_code = "FO-JKT-1042-M", quantity = 1, price_gross = "129.99"},
            {stock_code = "GIFT-WRAP", quantity = 1, price_gross = "3.50", kind = "fee"},
            {stock_code = "FEE-PAYMENT", quantity = 1, price_gross = "1.50", kind = "fee"},
        },
        delivery = {gross = "4.95"},
    }},
}
