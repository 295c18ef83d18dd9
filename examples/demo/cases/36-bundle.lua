return {
    name = "composite product",
    why = "The bundle's own SKU is a pack in Khaos: its header goes alone, and Khaos makes the "
        .. "children.",
    order = "36-bundle.json",
    expect = {posted = {
        total = "282.95",
        lines = {{stock_code = "FO-KIT-DAY", quantity = 2, price_gross = "139.00"}},
    }},
}
