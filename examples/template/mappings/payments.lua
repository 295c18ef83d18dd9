-- SCAYLE's payment methods as Khaos payments. The status decides whether Khaos can cancel later:
-- "preauthorised" and "account" yes, "paid" no. `neap check` says it per method.
return {
    methods = {
        creditcard = {type = 2, status = "preauthorised", account_name = "Web Card Clearing"},
        paypal = {type = 2, status = "paid", account_name = "PayPal", card_number = "PAYPAL",
            auth_code = "PAYPAL"},
        invoice = {type = 3, status = "account"},
    },
    gift_card = {type = 4, status = "paid", account_name = "Gift Cards"},
}
