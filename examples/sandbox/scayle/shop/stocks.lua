--- Variant stocks: the last `changedAt` wins, an older one is ignored without a word.

local catalogue = require("shop.catalogue")
local json = require("neap.json")

local stocks = {}

local VARIANTS = "shop_variants"
local STOCKS = "shop_stocks"

---@param w table
---@param sku string
---@param id integer
function stocks.add_variant(w, sku, id)
    w.store.put(VARIANTS, sku, {sku = sku, id = id})
end

--- The variant that a path names: "910411" or "key=FO-JKT-1042-M".
---@param w table
---@param identifier string
---@return table|nil
function stocks.variant(w, identifier)
    local sku = identifier:match("^key=(.+)$")
    if sku then
        return w.store.get(VARIANTS, sku)
    end
    for _, entry in ipairs(w.store.range(VARIANTS, {limit = 10000})) do
        if tostring(entry.value.id) == identifier then
            return entry.value
        end
    end
    return nil
end

local function key_of(variant, warehouse)
    return variant.sku .. "\n" .. warehouse
end

---@param w table
---@param variant table
---@return table[] entities
function stocks.list(w, variant)
    local list = json.array({})
    for _, entry in ipairs(w.store.range(STOCKS, {prefix = variant.sku .. "\n", limit = 100})) do
        list[#list + 1] = entry.value.stock
    end
    return list
end

local function check(w, body)
    if math.type(body.quantity) ~= "integer" then
        return nil, "quantity must be an integer", "quantity"
    end
    if body.warehouseReferenceKey ~= catalogue.WAREHOUSE.referenceKey then
        return nil, "warehouse is unknown or not tied to the merchant", "warehouseReferenceKey"
    end
    local merchant = body.merchantReferenceKey
    if merchant ~= nil and merchant ~= json.null
        and merchant ~= catalogue.MERCHANT.referenceKey then
        return nil, "merchant is unknown", "merchantReferenceKey"
    end
    local changed = type(body.changedAt) == "string" and w.time.parse_iso(body.changedAt)
    if not changed then
        return nil, "changedAt must be a timestamp with offset", "changedAt"
    end
    return changed
end

--- Sets a stock. The answer is what is in force afterwards.
---@param w table
---@param variant table
---@param body table
---@return table|nil stock
---@return string|nil problem
---@return string|nil field
function stocks.set(w, variant, body)
    local changed, problem, field = check(w, body)
    if not changed then
        return nil, problem, field
    end
    local key = key_of(variant, body.warehouseReferenceKey)
    local current = w.store.get(STOCKS, key)
    if current and current.changed_ms >= changed then
        return current.stock
    end
    local stock = {
        quantity = body.quantity,
        warehouseReferenceKey = body.warehouseReferenceKey,
        merchantReferenceKey = catalogue.MERCHANT.referenceKey,
        changedAt = body.changedAt,
        sellableWithoutStock = body.sellableWithoutStock == true,
        expectedAvailabilityAt = body.expectedAvailabilityAt or json.null,
    }
    w.store.put(STOCKS, key, {stock = stock, changed_ms = changed})
    return stock
end

return stocks
