--- What SCAYLE tells after the sale: returns, refunds, corrective invoices, undeliverable parcels
--- (contract 3.4 to 3.6, 7.3). Names of events differ between tenants and pages of the
--- documentation, so spellings are data; what a refund's notice holds is not documented.
local delegation = require("connectors.scayle.delegation")

local aftersales = {}

--- Type of a webhook -> what it is about. A client adds its tenant's own names.
aftersales.NAMES = {
    ["order-item-returned"] = "returned", ["item-returned"] = "returned",
    ["payment-refund"] = "refund", ["payment-refunded"] = "refund",
    ["order-payment-refund"] = "refund", ["order-refunded"] = "refund",
    ["order-corrective-invoiced"] = "refund", ["order-corrective-invoice"] = "refund",
    ["corrective-invoiced"] = "refund", ["corrective-invoice"] = "refund",
    ["order-package-undeliverable"] = "undeliverable", ["package-undeliverable"] = "undeliverable",
    ["order-cancelled"] = "cancelled", ["order-canceled"] = "cancelled",
    ["order-item-cancelled"] = "cancelled", ["order-item-canceled"] = "cancelled",
    ["order-item-unshippable"] = "cancelled",
}

local function table_of(value)
    return type(value) == "table" and value or {}
end

local function minor_of(value)
    local minor = math.tointeger(tonumber(value))
    return minor and minor >= 0 and minor or nil
end

--- What a webhook of this type is about, nil when nothing of these.
---@param kind string
---@param more table<string, string>|nil the tenant's own names
---@return "returned"|"refund"|"undeliverable"|"cancelled"|nil
function aftersales.kind(kind, more)
    local name = kind:lower():gsub("[_.]", "-")
    return more and (more[kind] or more[name]) or aftersales.NAMES[name]
end

--- Fees that this event refunds. The flag is the event's own and is not kept (contract 2.5), so
--- it can only be read here.
---@param order table as the event shows it
---@return {category: string, key: string, minor: integer}[]
function aftersales.fees(order)
    local list = {}
    for _, fee in ipairs(table_of(table_of(order.cost).appliedFees)) do
        local minor = minor_of(table_of(table_of(fee).amount).withTax)
        if type(fee) == "table" and fee.refundTriggered == true and minor and minor > 0 then
            list[#list + 1] = {category = delegation.text_of(fee.category) or "",
                key = delegation.text_of(fee.key) or "", minor = minor}
        end
    end
    return list
end

-- What the order charges for each fee, by category and key. A reading shows nothing of refunds.
local function charged(order)
    local wholes = {}
    for _, fee in ipairs(table_of(table_of(order.cost).appliedFees)) do
        local minor = minor_of(table_of(table_of(fee).amount).withTax)
        if type(fee) == "table" and minor then
            local group = (delegation.text_of(fee.category) or "") .. ":"
                .. (delegation.text_of(fee.key) or "")
            wholes[group] = (wholes[group] or 0) + minor
        end
    end
    return wholes
end

--- The amount that an envelope states, where a client knows its place ("payload.refund.amount").
---@param envelope table
---@param path string|nil
---@return integer|nil minor
function aftersales.amount(envelope, path)
    local value = envelope
    for name in (path or ""):gmatch("[^.]+") do
        value = table_of(value)[name]
    end
    return path and minor_of(value) or nil
end

-- What SCAYLE gives back for a unit: an absolute voucher is booked on one item, which then costs
-- less than it says (contract, pitfall 12).
local function refund_minor(item)
    local price = table_of(item.price)
    return minor_of(table_of(price.absoluteVoucherReducedPrice).withTax) or minor_of(price.withTax)
end

---@class scayle.Aftersale what of an order a refund can be told by; no personal data
---@field billing string
---@field total_minor integer|nil
---@field currency string|nil
---@field fees table<string, integer> by category and key, what is charged
---@field items {id: string, status: string, minor: integer|nil}[]

--- Reduces an order.
---@param order table
---@return scayle.Aftersale
function aftersales.digest(order)
    local detailed = table_of(order.detailedStatus)
    local items = {}
    for _, item in ipairs(table_of(order.items)) do
        if type(item) == "table" and item.id ~= nil then
            items[#items + 1] = {id = tostring(item.id), status = tostring(item.status),
                minor = refund_minor(item)}
        end
    end
    return {billing = tostring(table_of(detailed.billing).code or ""), items = items,
        fees = charged(order), total_minor = minor_of(table_of(order.cost).withTax),
        currency = delegation.text_of(order.currencyCode)}
end

return aftersales
