return {
    flow = "despatch",
    name = "one order in two parcels",
    why = "SCAYLE wants the units of each parcel. Khaos on-premise names stock codes only, so "
        .. "units of a code leave in line order; the parcel's number is the shopper's link.",
    order = {id = "204417", shop_key = "fo", lines = {
        {stock_code = "FO-JKT-1042-M", units = {"8300001"}, paid = "129.99"},
        {stock_code = "FO-SCK-0007-L", units = {"8300002", "8300003"}, paid = "29.98"},
    }},
    khaos = {soap = "204417-two-parcels.xml", cloud = "204417-two-parcels.json"},
    expect = {told = {
        {kind = "shipment", order = "204417", carrier = "DPD_UK", tracking = "15501234567890",
            units = {"8300001", "8300002"}},
        {kind = "shipment", order = "204417", carrier = "DPD_UK", tracking = "15501234567891",
            units = {"8300003"}},
    }},
}
