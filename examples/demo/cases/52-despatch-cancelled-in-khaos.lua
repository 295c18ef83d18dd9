return {
    flow = "despatch",
    name = "order that was cancelled in Khaos",
    why = "Nothing of it will leave: SCAYLE is told as the merchant, less the unit that it "
        .. "cancelled itself before.",
    order = {id = "204419", shop_key = "fo", cancelled = {"8300021"}, lines = {
        {stock_code = "FO-SCK-0007-L", units = {"8300020", "8300021"}, paid = "29.98"},
    }},
    khaos = {
        soap = [[<STATUS_LIST><ORDER_STATUS SORDER_CODE="SO204419" ASSOCIATED_REF="SC204419">
            <ORDER_TYPE TYPE_ID="1">Sales Order</ORDER_TYPE><QTY_SOLD>2</QTY_SOLD>
            <CANCELLED><REASON>No stock</REASON></CANCELLED></ORDER_STATUS></STATUS_LIST>]],
        cloud = [[{"Statuses": [{"OrderCode": "SO204419", "AssociatedRef": "SC204419",
            "Status": "Cancelled"}]}]],
    },
    expect = {told = {{kind = "cancellation", order = "204419", units = {"8300020"}}}},
}
