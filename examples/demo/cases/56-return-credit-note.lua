return {
    flow = "returns",
    name = "one unit of two came back to the warehouse",
    why = "Khaos booked it as a credit note: SCAYLE is told of the unit once and refunds it. Khaos "
        .. "Control Cloud shows no credit notes, so there the return begins in SCAYLE.",
    order = {id = "204423", shop_key = "fo", delivery = "4.95", shipped = {"8300040", "8300041"},
        lines = {{stock_code = "FO-SCK-0007-L", units = {"8300040", "8300041"}, paid = "29.98"}}},
    khaos = "204423-credit-note.xml",
    expect = {told = {{kind = "return", units = {"8300040"}}}},
    expect_on = {cloud = {told = {}}},
}
