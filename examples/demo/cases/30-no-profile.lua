return {
    name = "shop country without a posting profile",
    why = "The silent alternative would be UK VAT on everything.",
    order = "30-no-profile.json",
    expect = {held = {
        "unmapped_market:1499",
    }},
}
