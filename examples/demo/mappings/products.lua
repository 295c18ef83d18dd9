--- What of a Khaos item becomes what of a new variant in SCAYLE (docs/flows-products.md).
return {
    -- Variants of one article hang below a parent stock code; the product in SCAYLE is named so.
    product = {field = "parent_code"},
    ean = {field = "other_ref"},
    prices = {
        {country = "GB", currency = "GBP", field = "sell_price"},
        {country = "DE", currency = "EUR", field = "user:Price EUR", tax = "19"},
    },
}
