--- Variant stocks: the last `changedAt` wins, an older one is ignored without a word.
---
--- Blockers: when an order is confirmed the shop takes its units away by itself. A figure that is
--- stamped later than the blocker gives them back, whether it knows the order or not; so does a
--- cancellation (contract 4).

local catalogue = require("shop.catalogue")
local json = require("neap.json")

local stocks = {}

local VARIANTS = "shop_variants"
local STOCKS = "shop_stocks"
local BLOCKERS = "shop_blockers" -- "<sku>\n<order id>" -> {quantity, at_ms}

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

local function blockers_of(w, sku)
    return w.store.range(BLOCKERS, {prefix = sku .. "\n", limit = 10000})
end

--- An order was confirmed: its units are taken.
---@param w table
---@param order_id integer
---@param units table<string, integer> by SKU
function stocks.block(w, order_id, units)
    for sku, quantity in pairs(units) do
        w.store.put(BLOCKERS, sku .. "\n" .. order_id, {quantity = quantity, at_ms = w.now_ms})
    end
end

--- Units were cancelled: what is still blocked of them is free again.
---@param w table
---@param order_id integer
---@param units table<string, integer>
function stocks.unblock(w, order_id, units)
    for sku, quantity in pairs(units) do
        local key = sku .. "\n" .. order_id
        local blocker = w.store.get(BLOCKERS, key)
        if blocker and blocker.quantity > quantity then
            blocker.quantity = blocker.quantity - quantity
            w.store.put(BLOCKERS, key, blocker)
        elseif blocker then
            w.store.delete(BLOCKERS, key)
        end
    end
end

local function release(w, sku, changed_ms)
    for _, entry in ipairs(blockers_of(w, sku)) do
        if changed_ms > entry.value.at_ms then
            w.store.delete(BLOCKERS, entry.key)
        end
    end
end

--- What a shopper could buy now: the figure less its blockers.
---@param w table
---@param sku string
---@return integer
function stocks.visible(w, sku)
    local current = w.store.get(STOCKS, sku .. "\n" .. catalogue.WAREHOUSE.referenceKey)
    local quantity = current and current.stock.quantity or 0
    for _, entry in ipairs(blockers_of(w, sku)) do
        quantity = quantity - entry.value.quantity
    end
    return quantity
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
    release(w, variant.sku, changed)
    return stock
end

return stocks
