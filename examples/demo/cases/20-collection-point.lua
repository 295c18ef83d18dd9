return {
    name = "parcel shop",
    why = "The parcel shop is a delivery address: street first, then the shop.",
    order = "20-collection-point.json",
    expect = {posted = {
        total = "28.95",
        lines = {
            {stock_code = "FO-BTL-0750-GRN", quantity = 1, price_gross = "24.00"},
        },
        delivery = {gross = "4.95"},
        delivery_address = {address1 = "12 Otley Road", address2 = "Parcel shop Headingley News"},
    }},
}
