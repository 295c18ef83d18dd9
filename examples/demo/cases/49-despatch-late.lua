return {
    flow = "despatch",
    name = "order that should have left and has not",
    why = "The shopper was promised two days, and SCAYLE would close the order as if it had been "
        .. "sent. Somebody hears of both in time.",
    at = "2026-05-17T09:00:00Z",
    order = {id = "204427", shop_key = "fo", promised_at = "2026-05-06T10:00:00Z",
        closes_at = "2026-05-18T10:00:00Z", lines = {
            {stock_code = "FO-JKT-1042-M", units = {"8300050"}, paid = "129.99"}}},
    expect = {held = {"despatch_late:204427", "force_close_near:204427"}},
}
