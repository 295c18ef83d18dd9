return {
    flow = "cancellations",
    name = "cancellation of an order that never went to Khaos",
    why = "Nothing can leave, so SCAYLE may tell the shopper at once.",
    order = {id = "204420", shop_key = "fo", state = "never posted", lines = {
        {stock_code = "FO-SCK-0007-L", units = {"8300030"}},
    }},
    expect = {told = {{kind = "answer", status = 201, result = "successful"}}},
}
