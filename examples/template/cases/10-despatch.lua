return {
    flow = "despatch",
    name = "order that left in one parcel",
    why = "SCAYLE is told once, with the carrier's key and the number the shopper follows.",
    order = {id = "1001", lines = {{stock_code = "CAP-BLUE", units = {"501", "502"}}}},
    khaos = [[<STATUS_LIST><ORDER_STATUS SORDER_CODE="SO1001" ASSOCIATED_REF="SC1001">
        <ORDER_TYPE TYPE_ID="1">Sales Order</ORDER_TYPE>
        <COMPLETE>-1</COMPLETE><QTY_SOLD>2</QTY_SOLD>
        <INVOICES><INVOICE INVOICE_CODE="I1" INVOICE_STAGE_ID="70" COURIER="COURIER"
            SHIP_DATE="04/05/2026" CONSIGNMENT_REF="TRACK1"><INVOICE_ITEMS>
            <INVOICE_ITEM STOCK_CODE="CAP-BLUE" QTY_SENT="2"/></INVOICE_ITEMS></INVOICE></INVOICES>
        </ORDER_STATUS></STATUS_LIST>]],
    expect = {told = {
        {kind = "shipment", carrier = "carrier", tracking = "TRACK1", units = {"501", "502"}},
    }},
}
