return {
    flow = "cancellations",
    name = "cancellation of an order of which a part has left",
    why = "Only whole orders are cancelled by the call. A person stops the parcel, or leaves it to "
        .. "the return.",
    order = {id = "204422", shop_key = "fo", shipped = {"8300032"}, lines = {
        {stock_code = "FO-SCK-0007-L", units = {"8300032", "8300033"}, paid = "29.98"},
    }},
    expect = {
        told = {{kind = "answer", status = 201, result = "failed"}},
        held = {"cancel_too_late:204422"},
    },
}
