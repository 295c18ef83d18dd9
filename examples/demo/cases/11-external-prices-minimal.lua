return {
    name = "marketplace order",
    why = "Prices came from outside: no reductions, no fees, no delivery costs. The channel "
        .. "has its own sales source; delivery is sent as 0.00.",
    order = "order-11-external-prices-minimal.json",
    expect = {posted = {
        total = "125.00",
        lines = {
            {stock_code = "FO-JKT-1042-M", quantity = 1, price_gross = "125.00"},
        },
        delivery = {gross = "0.00"},
        sales_source = "Marketplace UK",
    }},
}
