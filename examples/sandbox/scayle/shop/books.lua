--- GET _control/books: the shop's orders, short and page by page, for whoever checks them at the
--- end of a day with thousands.

local json = require("neap.json")
local orders = require("shop.orders")

local books = {}

local PAGE = 500

local function units_of(order)
    local units = json.array({})
    for i, item in ipairs(order.items) do
        units[i] = {
            id = item.id,
            sku = item.variant.referenceKey,
            status = item.status,
            minor = item.price.withTax,
        }
    end
    return units
end

-- What is charged beside the units, and what is taken off the order as a whole.
local function sums_of(order)
    local fees, off = 0, 0
    for _, fee in ipairs(order.cost.appliedFees or {}) do
        fees = fees + fee.amount.withTax
    end
    for _, reduction in ipairs(order.cost.appliedReductions or {}) do
        off = off + reduction.amount.absoluteWithTax
    end
    local points = order.membershipDiscount
    return fees, off + (points and points.reductionValue or 0)
end

local function entry_of(w, order)
    local record = orders.record(w, order.id)
    local fees, off = sums_of(order)
    return {
        id = order.id,
        kind = record.kind,
        expect = record.expect,
        missing_sku = record.missing_sku,
        shop_country = order.shopCountry.id,
        currency = order.currencyCode,
        total_minor = order.cost.withTax,
        fees_minor = fees,
        off_minor = off,
        status = order.status,
        reference_key = order.referenceKey,
        placed_ms = record.placed_ms,
        answered = (record.accepted or 0) > 0,
        repeat_differs = record.repeat_differs,
        given_up = record.given_up,
        packages = order.packages and #order.packages or 0,
        units = units_of(order),
    }
end

---@param w table
---@param query table<string, string> after: the last id of the page before; limit
---@return table {orders, next}
function books.page(w, query)
    local list, last = orders.page(w, math.tointeger(tonumber(query.after)) or 0,
        math.tointeger(tonumber(query.limit)) or PAGE)
    local entries = json.array({})
    for i, order in ipairs(list) do
        entries[i] = entry_of(w, order)
    end
    return {orders = entries, next = last}
end

return books
