return {
    flow = "products",
    name = "variant whose code is spelt otherwise in Khaos",
    why = "An order with it would wait: somebody corrects it before.",
    variants = {{code = "CAP-BLUE"}, {code = "cap-red"}},
    stock_codes = {{code = "CAP-BLUE"}, {code = "CAP-RED"}},
    expect = {
        told = {{kind = "spelling", code = "cap-red", near = {"CAP-RED"}}},
        held = {"unknown_stock_code:cap-red"},
    },
}
