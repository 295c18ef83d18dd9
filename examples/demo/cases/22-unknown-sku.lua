return {
    name = "stock code that Khaos does not have",
    why = "Held before posting; released by proof once the code exists.",
    order = "22-unknown-sku.json",
    unknown_stock_codes = {"FO-NEW-0001"},
    expect = {held = {
        "unknown_stock_code:FO-NEW-0001",
    }},
}
