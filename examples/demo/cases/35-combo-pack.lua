-- Over SOAP all children of a header have the same place, in Cloud each has its own.
local function posted(last_place)
    return {
        total = "262.95",
        staged = "day walk sets",
        lines = {
            {stock_code = "FO-KIT-DAY", quantity = 2, price_gross = "0.00",
                pack_link = "001.001", kind = "pack"},
            {stock_code = "FO-JKT-1042-M", quantity = 2, price_gross = "108.89",
                pack_link = "001.002"},
            {stock_code = "FO-BTL-0750-GRN", quantity = 2, price_gross = "20.11",
                pack_link = last_place},
        },
        gross_to_net = {undiscounted_minor = 31293, discounts = {promotion = 4998},
            gross_minor = 26295, net_minor = 21913, tax_minor = 4382},
    }
end

return {
    name = "combo deal as a pack",
    why = "Two sets of jacket and bottle for 129.00 each: a header of two packs at 0.00, linked "
        .. "with its children, which keep the money and so their VAT.",
    order = "35-combo-pack.json",
    expect = {posted = posted("001.002")},
    expect_on = {cloud = {posted = posted("001.003")}},
}
