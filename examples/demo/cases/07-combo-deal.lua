return {
    name = "combo deal",
    why = "On the wire a combo deal is just an absolute promotion on each unit; it posts as "
        .. "reduced prices only because the demo client declares this promotion id. Without "
        .. "that rule it would be held.",
    order = "order-07-combo-deal.json",
    expect = {posted = {
        total = "143.95",
        lines = {
            {stock_code = "FO-JKT-1042-M", quantity = 1, price_gross = "117.34"},
            {stock_code = "FO-BTL-0750-GRN", quantity = 1, price_gross = "21.66"},
        },
        delivery = {gross = "4.95"},
    }},
}
