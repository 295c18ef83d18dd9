return {
    flow = "returns",
    name = "goodwill without goods",
    why = "Nothing came back, so no unit is refunded; Fellside wants the shop to show that money "
        .. "went back.",
    order = {id = "204424", shop_key = "fo", shipped = {"8300042"}, lines = {
        {stock_code = "FO-JKT-1042-M", units = {"8300042"}, paid = "129.99"}}},
    khaos = "204424-goodwill.xml",
    expect = {told = {{kind = "billing", status = "billing_partially_refunded"}}},
    expect_on = {cloud = {told = {}}},
}
