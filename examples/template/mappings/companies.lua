-- Which Khaos posting profile each SCAYLE shop country belongs to, by shop country id.
return {
    ["1001"] = {
        market = "United Kingdom",
        currency = "GBP",
        company_class = "Web Retail", -- exactly as in Khaos
        calc = "gross", -- how Khaos calculates this class: "gross" or "net"
        tax = "uk", -- a table of mappings/tax.lua
        standard_rate = "0.2",
        -- A stock item at zero rate that takes the pennies which some rates leave over; without
        -- one, orders that cannot tie exactly are held.
        rounding_item = "ROUNDING",
        max_rounding_minor = 5,
        sales_source = "Web UK", -- exactly as in Khaos
        zone = "Europe/London", -- of the Khaos server's clock
        default_carrier = "STANDARD", -- when the delegation names none
        delivery_countries = {"GB"},
    },
}
