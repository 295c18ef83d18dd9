return {
    name = "configurable product",
    why = "Jacket and embroidery share an item group: two lines, the text to embroider "
        .. "under its line.",
    order = "order-12-configurable-item-group.json",
    expect = {posted = {
        total = "140.94",
        lines = {
            {stock_code = "FO-JKT-1042-M", quantity = 1, price_gross = "129.99"},
            {stock_code = "FO-EMB-NAME", quantity = 1, price_gross = "6.00", extended = {"PRIYA"}},
        },
        delivery = {gross = "4.95"},
    }},
}
