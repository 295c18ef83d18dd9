return {
    flow = "returns",
    name = "credit note over more than was invoiced",
    why = "Money never goes back twice, or beyond the invoice: the note is a person's, and SCAYLE "
        .. "is told nothing until it is right.",
    order = {id = "204425", shop_key = "fo", shipped = {"8300043", "8300044"}, lines = {
        {stock_code = "FO-SCK-0007-L", units = {"8300043", "8300044"}, paid = "29.98"}}},
    khaos = "204425-too-much.xml",
    expect = {held = {"credit_exceeds_invoice:CN902"}},
    expect_on = {cloud = {told = {}}},
}
