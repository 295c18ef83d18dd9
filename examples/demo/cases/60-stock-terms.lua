return {
    flow = "stock",
    name = "figure of an item that accepted orders took of",
    why = "Khaos has 12 of it and does not know two that were ordered a moment ago; the field Web "
        .. "Buffer of the item keeps three back.",
    items = {soap = "sock-item.xml", cloud = "sock-item.json"},
    levels = {soap = "sock-level.xml", cloud = "sock-level.json"},
    pending = {["FO-SCK-0007-L"] = 2},
    expect = {told = {{
        kind = "stock", sku = "FO-SCK-0007-L", quantity = 7, warehouse = "KC-MAIN",
        text = "12 available - 2 not yet in Khaos - 3 buffer in Khaos = 7",
        terms = {
            {quantity = 12, words = "available", source = "Khaos, site 1"},
            {quantity = -2, words = "not yet in Khaos", source = "accepted orders"},
            {quantity = -3, words = "buffer in Khaos", source = "item in Khaos"},
        },
    }}},
}
