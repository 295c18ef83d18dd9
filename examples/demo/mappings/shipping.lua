-- Carriers become courier codes; fees become the delivery charge or an order line.
return {
    carriers = {
        DPD_UK = {policies = {
            standard = {courier_code = "DPD48"},
            express = {courier_code = "DPDND"},
        }},
        DHL_DE = {courier_code = "DHLINT"},
    },
    fees = {
        {match = {category = "delivery"}, becomes = "delivery"},
        {match = {category = "shipment"}, becomes = "delivery"},
        {match = {category = "payment"}, becomes = "line", stock_code = "FEE-PAYMENT",
            description = "Payment fee"},
        {match = {category = "additional", key = "gift_wrap"}, becomes = "line",
            stock_code = "GIFT-WRAP", description = "Gift wrap"},
    },
}
