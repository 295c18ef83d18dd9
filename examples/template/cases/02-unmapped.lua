return {
    name = "carrier nobody declared, stock code that Khaos does not have",
    why = "All causes are found at once, before anything is posted.",
    order = "plain.json",
    delegation = {carrier = {key = "DRONE"}},
    unknown_stock_codes = {"CAP-GREEN"},
    expect = {held = {
        "unknown_stock_code:CAP-GREEN",
        "unmapped_shipping:DRONE",
    }},
}
