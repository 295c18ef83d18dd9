-- SCAYLE's carriers as courier codes of Khaos; fees as the delivery charge or an order line.
return {
    carriers = {
        STANDARD = {courier_code = "DPD48"},
    },
    fees = {
        {match = {category = "delivery"}, becomes = "delivery"},
        {match = {category = "payment"}, becomes = "line", stock_code = "FEE-PAYMENT",
            description = "Payment fee"},
    },
}
