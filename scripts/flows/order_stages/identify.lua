--- Which order an event is about: its key, and the place of its shop country in SCAYLE's paths.
local identify = {}

-- The configured shop country that fits what the event says.
local function shop_entry(settings, said)
    for _, shop in ipairs(settings.shops) do
        if said.shop_id and shop.shop_country_id == said.shop_id then
            return shop
        end
    end
    for _, shop in ipairs(settings.shops) do
        if shop.shop_key == said.shop_key and said.country_code
            and shop.country:upper() == said.country_code:upper() then
            return shop
        end
    end
    return nil
end

local function only_shop_key(settings)
    local key
    for _, shop in ipairs(settings.shops) do
        if key and key ~= shop.shop_key then
            return nil
        end
        key = shop.shop_key
    end
    return key
end

---@class orders.Identity
---@field key string "order:fo:204417"; the merchant follows when it is not the configured one
---@field order_id string
---@field shop_key string
---@field country string alpha-2 code or shop country id
---@field merchant string

--- Reads {order_id, shop_key, shop_id, country_code, merchant_key} as text.
---@param settings table of the flow
---@param said table
---@return orders.Identity
function identify.order(settings, said)
    local entry = shop_entry(settings, said) or {}
    local shop_key = said.shop_key or entry.shop_key or only_shop_key(settings) or "unknown"
    local merchant = said.merchant_key or settings.merchant_key
    local key = string.format("order:%s:%s", shop_key, said.order_id)
    if merchant ~= settings.merchant_key then
        key = key .. ":" .. merchant
    end
    return {
        key = key,
        order_id = said.order_id,
        shop_key = shop_key,
        country = entry.country or said.shop_id or said.country_code or "unknown",
        merchant = merchant,
    }
end

return identify
