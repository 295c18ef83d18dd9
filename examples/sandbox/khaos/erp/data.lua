--- What the simulated Khaos installation holds when it is new: reference data, stock, two
--- customers.

local data = {}

data.VERSION = "8.190.36"

--- Settings with their defaults; POST /_control/settings changes them.
data.SETTINGS = {
    strict = true, -- refuse misspelt tags; off: they are ignored, as contract 9.15 infers
    duplicate_protection = true, -- off: a repeated reference is imported again, so that it is seen
    multiref = false, -- replies in multi-reference form
    fault_status = 500, -- HTTP status of SOAP faults: 500 or 200
    refusal_form = "skip", -- how a bad order is refused: "skip" or "fault"
    price_net_decimals = 2, -- decimals kept of PRICE_NET; -1: all (contract 11.18)
    price_gross_decimals = 2, -- the same for PRICE_GRS
    intermediate_rounding = true, -- contract 11.19
    gross_needs_standard = false, -- refuse PRICE_GRS on lines that are not standard rated
    country_switches_tax = false, -- PaysVAT of the country can switch tax off (contract 2.7)
    own_delivery = "4.95", -- gross charge that Khaos adds when none was sent
    reference_length = 15,
    paid_add_ons = false,
    credit_notes_carry_reference = true, -- contract 11.9: not known; off: ours is left blank
    create_missing_stock = false, -- the paid development of contract 1.4.6
    default_class = "Web Retail",
    max_codes = 500, -- codes in one export; above: a fault
    nested_variants = false, -- variants are exported under their parent only (contract 3.4)
    cloud = false, -- the web channel of Khaos Control Cloud is switched on
    cloud_xml = false, -- pushes in XML, whatever the configuration file says
    cloud_duplicate = false, -- every push twice
    cloud_restful = false, -- where no level moved nothing is pushed, else an empty list
    cloud_odd = false, -- in JSON the first record of every push is null
    cloud_reorder = false, -- the pushes of one run in reverse order
    cloud_value_per_unit = false, -- ValueDiscount is of each unit of its line (contract 11.15)
    cloud_forget = false, -- crashes after importing a download: the continuation is not kept
    cloud_silent = false, -- "don't upload order status"
    clock_skew_ms = 0, -- added to every date that leaves
    zone = "Europe/London",
}

--- Company classes: case sensitive; decide gross or net calculation.
data.CLASSES = {
    ["Web Retail"] = {calc = "gross"},
    ["Web Retail EU"] = {calc = "gross"},
    ["Web EU"] = {calc = "gross"},
    ["Web Export"] = {calc = "gross"},
    ["Trade"] = {calc = "net"},
}

data.COMPANY_TYPES = {["Shop"] = true, ["Web"] = true, ["Wholesale"] = true}

--- Tax codes of order lines. There is no operation that lists them.
data.TAX_CODES = {["1"] = "0.2", ["2"] = "0", ["4"] = "0.05", ["5"] = "0.19", ["6"] = "0.07"}

data.SITES = {
    {id = 1, name = "Main Warehouse"},
    {id = 2, name = "Northbridge Store"},
}

data.COURIERS = {
    {code = "STD48", description = "Standard 48"},
    {code = "DPD48", description = "DPD Two Day"},
    {code = "DPDND", description = "DPD Next Day by noon"},
    {code = "DHLINT", description = "DHL International"},
    {code = "EXP24", description = "Express 24"},
    {code = "DPD", description = "DPD Next Day"},
    {code = "DPD_UK", description = "DPD UK"},
    {code = "DHL_DE", description = "DHL Germany"},
    {code = "INTL", description = "International Tracked"},
    {code = "PALLET", description = "Pallet Next Day"},
}

data.BRANDS = {["Larkfield"] = true, ["Fellside"] = true, ["Fellside Outdoor"] = true}

data.SALES_SOURCES = {
    ["Web UK"] = true,
    ["Web DE"] = true,
    ["Web IE"] = true,
    ["Web EU"] = true,
    ["Web Export"] = true,
    ["Web Trade"] = true,
    ["Marketplace UK"] = true,
}

data.ACCOUNTS = {
    ["Web Card Clearing"] = true,
    ["Card EUR"] = true,
    ["PayPal"] = true,
    ["PayPal GBP"] = true,
    ["PayPal EUR"] = true,
    ["Gift Cards"] = true,
    ["Klarna Clearing"] = true,
    ["Marketplace Clearing"] = true,
}

data.KEYCODES = {
    ["SPRING10"] = "10% off spring range",
    ["SPRING26"] = "Spend more, save more",
    ["SORRY10"] = "Goodwill 10 pounds",
    ["WELCOME5"] = "Welcome 5%",
    ["WEBNEW"] = "New web customer",
    ["TEE3FOR2"] = "Three for two",
}

--- Reasons for free items; case does not matter, so the names are kept in lower case.
data.FREE_REASONS = {
    ["promotional gift"] = true,
    ["promotion"] = true,
    ["goodwill"] = true,
    ["bogof"] = true,
}

data.CURRENCIES = {["GBP"] = "Pounds Sterling", ["EUR"] = "Euro"}

data.PRIORITIES = {["Standard"] = true, ["Urgent"] = true}

data.WEBSITES = {["Fellside Outdoor"] = true}

--- Countries: name, alpha-2, alpha-3, EU member, pays VAT, currency, zone.
data.COUNTRIES = {
    {"United Kingdom", "GB", "GBR", false, true, "GBP", "UK Mainland"},
    {"Germany", "DE", "DEU", true, true, "EUR", "Europe"},
    {"Austria", "AT", "AUT", true, true, "EUR", "Europe"},
    {"France", "FR", "FRA", true, true, "EUR", "Europe"},
    {"Ireland", "IE", "IRL", true, true, "EUR", "Europe"},
    {"Switzerland", "CH", "CHE", false, false, "EUR", "Europe"},
    {"Norway", "NO", "NOR", false, false, "EUR", "Europe"},
    {"Isle of Man", "IM", "IMN", false, true, "GBP", "UK Offshore"},
    {"Jersey", "JE", "JEY", false, false, "GBP", "Channel Islands"},
    {"Guernsey", "GG", "GGY", false, false, "GBP", "Channel Islands"},
    {"United States", "US", "USA", false, false, "GBP", "Rest of world"},
}

-- code, description, selling price, tax code, level at site 1, level at site 2, more
local STOCK = {
    {"FO-SCK-0007-L", "Merino Trail Sock L", "14.99", 1, 400, 12, {buffer = 5}},
    {"FO-JKT-1042-M", "Ridgeline Shell Jacket M", "129.99", 1, 300, 3, {buffer = 2}},
    {"FO-BTL-0750-GRN", "Steel Bottle 0.75 l Green", "24.00", 1, 350, 0, {buffer = 3}},
    {"FO-MAP-LAKES", "Lakes Map 1:25,000", "12.50", 2, 200, 8},
    {"FO-CAP-0311", "Trail Cap", "19.99", 1, 250, 0},
    {"FO-GIL-2201-S", "Down Gilet S", "89.50", 1, 260, 2, {buffer = 2}},
    {"FO-EMB-NAME", "Name embroidery", "6.00", 1, 0, 0, {controlled = false}},
    {"FO-TNT-0200", "Ridge Tent 2", "249.00", 1, 60, 0, {run_to_zero = true}},
    {"FO-BAR-0012", "Oat Bar box of 12", "18.36", 4, 500, 0},
    {"FO-OLD-0001", "Canvas Pack (discontinued)", "45.00", 1, 4, 0, {discontinued = true}},
    {"FO-KIT-DAY", "Day walk kit", "139.00", 1, 0, 0, {kit = {"FO-JKT-1042-M", "FO-BTL-0750-GRN"}}},
    {"LW-TEE-NVY-M", "Navy Organic Tee / M", "25.00", 1, 53, 4,
        {other_ref = "5000000000017", parent = "LW-TEE"}},
    {"LW-COAT-CML-12", "Camel Wool Coat / 12", "129.99", 1, 20, 0},
    {"LW-KIDS-HAT-S", "Kids Knit Hat / S", "14.50", 2, 40, 0},
    {"LW-TOTE-GIFT", "Canvas Tote (gift)", "8.00", 1, 200, 0},
    {"LW-SCARF-GRY", "Grey Merino Scarf", "39.00", 1, 30, 0},
    {"LW-GIFTBOX-3", "Gift box of three", "60.00", 1, 0, 0,
        {kit = {"LW-TEE-NVY-M", "LW-TOTE-GIFT"}}},
    {"LW-EGIFT", "E-gift voucher", "0", 2, 0, 0, {controlled = false}},
    {"LW-OLD-CAP", "Discontinued cap", "12.00", 1, 3, 0, {discontinued = true}},
    {"ROUNDING", "Rounding", "0", 2, 0, 0, {controlled = false}},
    {"GIFT-WRAP", "Gift wrap", "3.50", 1, 0, 0, {controlled = false}},
    {"FEE-GIFTWRAP", "Gift wrapping", "3.50", 1, 0, 0, {controlled = false}},
    {"FEE-PAYMENT", "Payment fee", "2.00", 1, 0, 0, {controlled = false}},
    {"FEE-SERVICE", "Service fee", "1.00", 1, 0, 0, {controlled = false}},
}

--- One stock item from a few words, everything else as Khaos has it by default.
---@param words table {code=, ...}
---@return table item
function data.stock_item(words)
    local item = {
        code = words.code,
        other_ref = words.other_ref or "",
        description = words.description or words.code,
        parent = words.parent or "",
        sell_price = words.sell_price or "10.00",
        buy_price = words.buy_price or "1.00",
        tax_code = tostring(words.tax_code or 1),
        levels = {["1"] = words.level or 0, ["2"] = words.level_2 or 0},
        on_order = words.on_order or 0,
        controlled = words.controlled ~= false,
        run_to_zero = words.run_to_zero == true,
        discontinued = words.discontinued == true,
        buffer = words.buffer or 0,
        safe_level = words.safe_level or 0,
        max_display = words.max_display or 0,
        kit = words.kit,
        web = words.web,
        price_is_net = words.price_is_net,
        user = words.user,
    }
    return item
end

---@return table[] items
function data.stock()
    local items = {}
    for _, row in ipairs(STOCK) do
        local words = {code = row[1], description = row[2], sell_price = row[3]}
        words.tax_code, words.level, words.level_2 = row[4], row[5], row[6]
        for name, value in pairs(row[7] or {}) do
            words[name] = value
        end
        items[#items + 1] = data.stock_item(words)
    end
    return items
end

--- Customers that are there from the start. HALL001 shares surname and postcode with the shopper
--- of the sample orders: an order that leaves Khaos to match by name is booked on the wrong
--- person.
---@return table[]
function data.customers()
    return {
        {
            urn = "HARB001",
            other_ref = "SC-B2B-2207",
            class = "Trade",
            currency = "GBP",
            name = "Harbourside Outfitters",
            web_user = "accounts@harbourside.example",
            tax_reference = "GB000000000",
            address = {
                address1 = "9 Quay Parade",
                town = "Saltmere",
                postcode = "ZZ4 1HB",
                country = "GBR",
                forename = "Idris",
                surname = "Pellow",
                email = "accounts@harbourside.example",
            },
        },
        {
            urn = "HALL001",
            other_ref = "",
            class = "Web Retail",
            currency = "GBP",
            name = "Mr Dev Hallworth",
            web_user = "",
            address = {
                address1 = "3 Chapel Yard",
                town = "Leeds",
                postcode = "LS6 3QT",
                country = "GBR",
                forename = "Dev",
                surname = "Hallworth",
                email = "dev.hallworth@example.com",
            },
        },
    }
end

--- The country by alpha-2 or alpha-3 code.
---@param code string
---@return table|nil row of data.COUNTRIES
function data.country(code)
    for _, row in ipairs(data.COUNTRIES) do
        if row[2] == code or row[3] == code then
            return row
        end
    end
    return nil
end

---@param list table[]
---@param field string
---@param value any
---@return table|nil
function data.find(list, field, value)
    for _, entry in ipairs(list) do
        if entry[field] == value then
            return entry
        end
    end
    return nil
end

return data
