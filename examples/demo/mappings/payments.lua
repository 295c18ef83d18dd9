-- Payment methods of SCAYLE as Khaos payments. "preauthorised" leaves the order cancellable in
-- Khaos; "paid" does not.
return {
    methods = {
        adyen_creditcard = {type = 2, status = "preauthorised", account_name = "Web Card Clearing",
            auth_code = "ADYEN"},
        paypal = {type = 2, status = "paid", account_name = "PayPal", card_number = "PAYPAL",
            auth_code = "PAYPAL"},
        klarna = {type = 2, status = "paid", account_name = "Klarna Clearing",
            auth_code = "KLARNA"},
        invoice = {type = 3, status = "account"},
    },
    gift_card = {type = 4, status = "paid", account_name = "Gift Cards"},
}
