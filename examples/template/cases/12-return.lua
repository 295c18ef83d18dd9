return {
    flow = "returns",
    name = "unit that came back to SCAYLE alone",
    why = "A person books it in Khaos; the credit note closes the worklist.",
    order = {id = "1003", shipped = {"504"}, scayle_returned = {"504"}, lines = {
        {stock_code = "CAP-BLUE", units = {"504"}, paid = "12.00"}}},
    expect = {held = {"return_not_in_khaos:1003"}},
}
