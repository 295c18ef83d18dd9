return {
    name = "guest customer",
    why = "A guest has an id of its own in SCAYLE and gets a customer reference of its own "
        .. "in Khaos, so that nobody is merged by surname and postcode.",
    order = "19-guest.json",
    expect = {posted = {
        total = "28.95",
        lines = {
            {stock_code = "FO-BTL-0750-GRN", quantity = 1, price_gross = "24.00"},
        },
        delivery = {gross = "4.95"},
        other_ref = "S60001-GBP",
    }},
}
