return {
    name = "percentage that does not tie as such",
    why = "33% of three socks is 14.84 for Khaos, but SCAYLE rounded each unit and took off "
        .. "14.85; 33.02% is exact, so that is sent.",
    order = "15-percentage-odd-pennies.json",
    expect = {posted = {
        total = "35.07",
        lines = {
            {stock_code = "FO-SCK-0007-L", quantity = 3, price_gross = "14.99",
                discount_percent = "33.02"},
        },
        delivery = {gross = "4.95"},
    }},
}
