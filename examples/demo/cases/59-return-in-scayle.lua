return {
    flow = "returns",
    name = "unit that came back to SCAYLE alone",
    why = "On-premise Khaos takes no returns from outside without ProcessReturn: a person "
        .. "books it, and its credit note is the proof. Khaos Control Cloud fetches it by itself.",
    order = {id = "204426", shop_key = "fo", shipped = {"8300045", "8300046"},
        scayle_returned = {"8300046"}, lines = {
            {stock_code = "FO-SCK-0007-L", units = {"8300045", "8300046"}, paid = "29.98"}}},
    expect = {held = {"return_not_in_khaos:204426"}},
    expect_on = {cloud = {told = {{kind = "khaos_return", reference = "SC204426-R1",
        lines = {{stock_code = "FO-SCK-0007-L", quantity = 1, gross = "14.99", reason = "6"}}}}}},
}
