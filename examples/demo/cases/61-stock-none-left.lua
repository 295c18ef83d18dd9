return {
    flow = "stock",
    name = "figures that must be zero, whatever Khaos has",
    why = "Of the jacket more is ordered than Khaos has, and the bottle is discontinued: Khaos "
        .. "would refuse an order of it.",
    items = {
        soap = [[<STOCK_ITEMS>
            <STOCK_ITEM><STOCK_CODE>FO-BTL-0750-GRN</STOCK_CODE></STOCK_ITEM>
            <STOCK_ITEM><STOCK_CODE>FO-JKT-1042-M</STOCK_CODE></STOCK_ITEM></STOCK_ITEMS>]],
        cloud = [[{"Items": [
            {"StockID": 11, "StockCode": "FO-BTL-0750-GRN", "Options": {"Discontinued": true}},
            {"StockID": 12, "StockCode": "FO-JKT-1042-M", "Options": {}}]}]],
    },
    levels = {
        soap = [[<STOCK_STATUS>
            <STOCK_ITEM CODE="FO-BTL-0750-GRN"><STATUS>4</STATUS><LEVEL>20</LEVEL></STOCK_ITEM>
            <STOCK_ITEM CODE="FO-JKT-1042-M"><STATUS>1</STATUS><LEVEL>2</LEVEL></STOCK_ITEM>
            </STOCK_STATUS>]],
        cloud = [[{"Statuses": [
            {"StockID": 11, "StockCode": "FO-BTL-0750-GRN", "Levels": {"Available": 20}},
            {"StockID": 12, "StockCode": "FO-JKT-1042-M", "Levels": {"Available": 2}}]}]],
    },
    pending = {["FO-JKT-1042-M"] = 3},
    expect = {told = {
        {kind = "stock", sku = "FO-BTL-0750-GRN", quantity = 0},
        {kind = "stock", sku = "FO-JKT-1042-M", quantity = 0,
            text = "2 available - 3 not yet in Khaos = 0"},
    }},
}
