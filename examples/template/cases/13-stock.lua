return {
    flow = "stock",
    name = "figure of an item that an accepted order took of",
    why = "Until Khaos's own level holds the order, its unit is not sold again.",
    items = "<STOCK_ITEMS><STOCK_ITEM><STOCK_CODE>CAP-BLUE</STOCK_CODE></STOCK_ITEM></STOCK_ITEMS>",
    levels = [[<STOCK_STATUS><STOCK_ITEM CODE="CAP-BLUE"><STATUS>1</STATUS><LEVEL>5</LEVEL>
        </STOCK_ITEM></STOCK_STATUS>]],
    pending = {["CAP-BLUE"] = 1},
    expect = {told = {{kind = "stock", sku = "CAP-BLUE", quantity = 4,
        text = "5 available - 1 not yet in Khaos = 4"}}},
}
