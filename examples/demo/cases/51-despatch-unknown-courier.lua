return {
    flow = "despatch",
    name = "parcel by a courier that no carrier of SCAYLE stands for",
    why = "A wrong carrier gives the shopper a dead link. The parcel waits for `carriers`; the "
        .. "next reload goes on.",
    order = {id = "204418", shop_key = "fo", lines = {
        {stock_code = "FO-BTL-0750-GRN", units = {"8300010"}, paid = "24.50"},
    }},
    khaos = {soap = "204418-unknown-courier.xml", cloud = "204418-unknown-courier.json"},
    expect = {held = {"unmapped_carrier:HERMES"}},
}
