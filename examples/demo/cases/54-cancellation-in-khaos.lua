return {
    flow = "cancellations",
    name = "cancellation of an order that Khaos has",
    why = "Fellside has not bought CancelOrder, so a person cancels in Khaos; until that is done "
        .. "the honest answer is no.",
    order = {id = "204421", shop_key = "fo", lines = {
        {stock_code = "FO-JKT-1042-M", units = {"8300031"}, paid = "129.99"},
    }},
    expect = {
        told = {{kind = "answer", status = 201, result = "failed"}},
        held = {"cancel_in_khaos:204421"},
    },
}
