return {
    name = "everything wrong at once",
    why = "All causes are found in one go, so that one visit clears them all.",
    order = "28-several-causes.json",
    delegation = {carrier = {key = "YODEL"}},
    unknown_stock_codes = {"FO-NEW-0001"},
    expect = {held = {
        "field_too_long:204528 delivery town",
        "unknown_stock_code:FO-NEW-0001",
        "unmapped_payment:shells",
        "unmapped_shipping:YODEL",
        "unmapped_tax:uk 0.125",
    }},
}
