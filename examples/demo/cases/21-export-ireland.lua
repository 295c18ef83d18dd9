return {
    name = "zero-rated export in EUR",
    why = "Exported from the UK: every line at 0% goes as a net price with the zero code, "
        .. "delivery as net with no tax, in the customer's currency.",
    order = "21-export-ireland.json",
    expect = {posted = {
        total = "140.00",
        lines = {
            {stock_code = "FO-JKT-1042-M", quantity = 1, price_net = "125.00", tax_code = 2},
        },
        delivery = {net = "15.00", tax = "0.00"},
        other_ref = "S50417-EUR",
        payments = {{amount = "140.00", type = 2, auth_code = "PAYPAL", account_name = "PayPal"}},
    }},
    -- Khaos Control Cloud calculates by CalcMethod and its own rates: every line goes gross.
    expect_on = {cloud = {posted = {
        total = "140.00",
        lines = {
            {stock_code = "FO-JKT-1042-M", quantity = 1, price_gross = "125.00"},
        },
        delivery = {net = "15.00", tax = "0.00"},
    }}},
}
