return {
    name = "a part cancelled before the posting",
    why = "SCAYLE asked for one warehouse and was told yes: two socks and all maps are in no "
        .. "posting, though SCAYLE still shows them; the total is that of the rest.",
    order = "13-multi-unit.json",
    cancelled = {"7401301", "7401302", "7401307", "7401308", "7401309"},
    expect = {posted = {
        total = "64.91",
        lines = {{stock_code = "FO-SCK-0007-L", quantity = 4, price_gross = "14.99"}},
        delivery = {gross = "4.95"},
    }},
}
