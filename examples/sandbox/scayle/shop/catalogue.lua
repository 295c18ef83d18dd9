--- What the simulated SCAYLE tenant is: settings, shop countries, merchant, warehouse, carriers,
--- variants.

local json = require("neap.json")

local catalogue = {}

--- Settings with their defaults; POST /_control/settings changes them.
catalogue.SETTINGS = {
    token = "sandbox-token", -- what X-Access-Token must say
    delegation_path = "/scayle/delegation", -- below the connection "merchant"; "": no delegation
    cancellation_path = "/scayle/cancellation",
    webhook_path = "", -- "": no webhook
    delegation_lag_ms = 60000,
    retry_factor = 1, -- multiplies the retry schedule of contract 2.3 (a)
    retry_limit = 25, -- retries after the first attempt, as schedule (a) has
    answer_timeout_ms = 15000,
    force_close_ms = 14 * 24 * 3600000, -- what nothing was sent of counts as sent (contract 2.7)
    duplicate_delegations = false, -- every delegation is sent twice
    duplicate_webhooks = false,
    rate_limits = {}, -- scope -> per minute, over the contract's figures
    rate_limit_status = 429, -- the contract only presumes it
    retry_after = false, -- an undocumented Retry-After header on refusals
    list_bound_to_country = true, -- contract 10.1: unknown
    page_limit = 100,
    page_limit_max = 500,
    reference_key_unique = true, -- contract 10.12: unknown
    refund_webhooks = false, -- refunds are told: corrective invoice and payment-refund
    refund_delivery = false, -- with the last returned unit (contract 3.5: SCAYLE's configuration)
    variants_need_with = false, -- contract 10.14: unknown; on: variants only with=variants
    variant_keys_unique = true, -- off: a second creation is seen
    forget_cursors = false, -- every cursor is refused
    billing_repeat_conflicts = false, -- as is a billing status that the order has (not documented)
    repeat_conflicts = true, -- a repeated report on a unit is a 409 (contract 10.5)
    bulk_offered = true, -- the stock endpoint is new (contract 1.7)
    bulk_chunk_max = 1000, -- operations of one call; unknown
    bulk_running_max = 100000,
    bulk_delay_ms = 100, -- between two turns of a request that is worked
    bulk_turn = 200, -- operations of one turn
    bulk_stuck = false, -- nothing is processed
    bulk_cancel_ignored = false, -- a cancelled request goes on
    bulk_ends = "", -- "failed", "aborted": how requests end half-way
}

--- Calls per minute and scope (contract 1.6).
catalogue.RATE_LIMITS = {
    ordersRead = 1000,
    ordersWrite = 300,
    fulfillmentWrite = 300,
    productRead = 1000,
    productWrite = 300,
    stocksRead = 2500,
    stocksWrite = 2500,
    globalRead = 1000,
    globalWrite = 300,
    bulkWrite = 300, -- contract 10.6: unknown
}

catalogue.COMPANY_ID = 1001
catalogue.MERCHANT = {id = 12, referenceKey = "fellside", name = "Fellside Outdoor Ltd",
    priority = 1}
catalogue.WAREHOUSE = {id = 31, referenceKey = "KC-MAIN"}

catalogue.CARRIERS = {
    {id = 5, key = "DPD_UK", name = "DPD UK", trackingUrl = "https://track.carrier.example/"},
    {id = 6, key = "DHL_DE", name = "DHL", trackingUrl = "https://track.carrier.example/dhl/"},
}

local function country(id, code, language, currency)
    return {
        id = id,
        shopKey = "fo",
        countryCode = code,
        defaultLanguageCode = language,
        supportedLanguageCodes = {language},
        url = "www.fellside-outdoor.example/" .. code:lower(),
        active = true,
        deleted = false,
        currencyCode = currency,
    }
end

--- 1430 belongs to a market that no demonstration client maps.
catalogue.COUNTRIES = {
    country(1412, "GB", "en_GB", "GBP"),
    country(1415, "DE", "de_DE", "EUR"),
    country(1421, "IE", "en_IE", "EUR"),
    country(1430, "CH", "de_CH", "CHF"),
}

--- SKU, variant id, product id, name, price in pence and cents, VAT in thousandths in GB and DE.
local VARIANTS = {
    {"FO-SCK-0007-L", 910733, 455, "Merino Trail Sock L", 1499, 1695, 200, 190},
    {"FO-JKT-1042-M", 910411, 401, "Ridgeline Shell Jacket M", 12999, 14995, 200, 190},
    {"FO-BTL-0750-GRN", 911202, 470, "Steel Bottle 0.75 l Green", 2400, 2795, 200, 190},
    {"FO-MAP-LAKES", 911350, 480, "Lakes Map 1:25,000", 1250, 1490, 0, 70},
    {"FO-CAP-0311", 911410, 484, "Trail Cap", 1999, 2295, 200, 190},
    {"FO-GIL-2201-S", 911560, 488, "Down Gilet S", 8950, 9995, 200, 190},
    {"FO-TNT-0200", 911620, 491, "Ridge Tent 2", 24900, 27900, 200, 190},
    {"FO-BAR-0012", 911700, 495, "Oat Bar box of 12", 1836, 1990, 50, 70},
    {"FO-EMB-NAME", 911790, 499, "Name embroidery", 600, 700, 200, 190},
    {"FO-KIT-DAY", 911850, 503, "Day walk kit", 13900, 15900, 200, 190},
}

---@class shop.Variant
---@field sku string
---@field id integer
---@field product_id integer
---@field name string
---@field gbp integer
---@field eur integer
---@field gb_rate integer thousandths
---@field de_rate integer thousandths

---@return shop.Variant[]
function catalogue.variants()
    local list = {}
    for i, row in ipairs(VARIANTS) do
        list[i] = {
            sku = row[1],
            id = row[2],
            product_id = row[3],
            name = row[4],
            gbp = row[5],
            eur = row[6],
            gb_rate = row[7],
            de_rate = row[8],
        }
    end
    return list
end

---@param sku string
---@return shop.Variant|nil
function catalogue.variant(sku)
    for _, variant in ipairs(catalogue.variants()) do
        if variant.sku == sku then
            return variant
        end
    end
    return nil
end

--- A shop country by country code (either case) or by its id, as paths name it.
---@param shop_key string
---@param code string
---@return table|nil
function catalogue.country(shop_key, code)
    for _, entry in ipairs(catalogue.COUNTRIES) do
        local is_named = entry.countryCode == code:upper() or tostring(entry.id) == code
        if entry.shopKey == shop_key and is_named then
            return entry
        end
    end
    return nil
end

local ALPHA2 = {GBR = "GB", DEU = "DE", IRL = "IE", CHE = "CH", JEY = "JE", AUT = "AT", FRA = "FR"}

--- Alpha-2 of an alpha-3 code; what is not known is passed through.
---@param alpha3 string|nil
---@return string|nil
function catalogue.alpha2(alpha3)
    return ALPHA2[alpha3 or ""] or alpha3
end

---@return table
function catalogue.warehouse_list()
    local countries = {}
    for i, entry in ipairs(catalogue.COUNTRIES) do
        countries[i] = {shopKey = entry.shopKey, countryCode = entry.countryCode, priority = 100}
    end
    local warehouse = {
        id = catalogue.WAREHOUSE.id,
        referenceKey = catalogue.WAREHOUSE.referenceKey,
        isZeosWarehouse = false,
        merchants = {catalogue.MERCHANT},
        shopCountries = countries,
    }
    return json.array({warehouse})
end

---@return table
function catalogue.merchant()
    local carriers = {}
    for i, carrier in ipairs(catalogue.CARRIERS) do
        carriers[i] = {countryCode = i == 1 and "GB" or "DE", carrier = carrier}
    end
    local merchant = {
        orderDelegationUrl = "https://***:***@merchant.example/scayle/delegation",
        cancellationUrl = "https://***:***@merchant.example/scayle/cancellation",
        carriers = carriers,
        warehouses = {catalogue.WAREHOUSE},
    }
    for name, value in pairs(catalogue.MERCHANT) do
        merchant[name] = value
    end
    return merchant
end

return catalogue
