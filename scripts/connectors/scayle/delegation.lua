--- What SCAYLE sends us: order delegations and webhook envelopes, read leniently.
local client = require("connectors.scayle.client")
local errors = require("neap.errors")
local json = require("neap.json")

local delegation = {}

-- Longer is no id or name of theirs, and would not fit the key of an event.
local TEXT_MAX = 200
local CODE_MAX = 150 -- a key of the store holds it beside the order's

--- An id or name as text: integers and texts count, trimmed; anything else is absent, and so is
--- what is too long or holds control characters.
---@param value any
---@return string|nil
local function text_of(value)
    if type(value) ~= "string" then
        local whole = math.tointeger(value)
        return whole and tostring(whole) or nil
    elseif #value > TEXT_MAX then
        return nil
    elseif value ~= "" and not value:find("[%c ]") then
        return value -- as nearly all are
    end
    local trimmed = value:match("^%s*(.-)%s*$")
    return trimmed ~= "" and not trimmed:find("%c") and trimmed or nil
end

delegation.text_of = text_of

local function table_of(value)
    return type(value) == "table" and value or {}
end

local function invalid(message)
    return nil, errors.new({kind = "invalid", message = message})
end

local function decode(body, only)
    local document, err = client.decode(body, only)
    if document == nil then
        return invalid("the body is no JSON: " .. err.message)
    elseif type(document) ~= "table" then
        return invalid("the body is no JSON object")
    end
    return document
end

---@class scayle.Delegation
---@field order_id string
---@field delegation_id string|nil the delegation's own id
---@field order_reference_key string|nil SCAYLE's name of the order in a later cancellation
---@field shop_key string|nil
---@field shop_id string|nil shop country id
---@field country_code string|nil alpha-2, upper case
---@field merchant_key string|nil
---@field carrier_key string|nil
---@field company_id string|nil
---@field cost table
---@field raw table the whole document

-- What accepting a delegation needs: a third of it.
local HEAD = {id = true, orderId = true, orderReferenceKey = true, shopKey = true, shopId = true,
    countryCode = true, fulfillingMerchantKey = true, carrier = {key = true}, companyId = true,
    items = {merchantProductVariantReferenceKey = true, quantity = true}}

local function parse(body, only)
    local document, err = decode(body, only)
    if not document then
        return nil, err
    end
    local order_id = text_of(document.orderId)
    if not order_id then
        return invalid("orderId is missing")
    end
    local country = text_of(document.countryCode)
    return {
        order_id = order_id,
        delegation_id = text_of(document.id),
        order_reference_key = text_of(document.orderReferenceKey),
        shop_key = text_of(document.shopKey),
        shop_id = text_of(document.shopId),
        country_code = country and country:upper(),
        merchant_key = text_of(document.fulfillingMerchantKey),
        carrier_key = text_of(table_of(document.carrier).key),
        company_id = text_of(document.companyId),
        cost = table_of(document.cost),
        raw = document,
    }
end

--- Reads a delegation. The only thing it cannot do without is the order id.
---@param body string
---@return scayle.Delegation|nil
---@return neap.Error|nil kind invalid
function delegation.parse(body)
    return parse(body)
end

--- Reads of a delegation what accepting it needs: no cost, and only codes and quantities of items.
---@param body string
---@return scayle.Delegation|nil
---@return neap.Error|nil kind invalid
function delegation.head(body)
    return parse(body, HEAD)
end

--- How many of each SKU a delegation asks for; nil when not every item of it can be read.
---@param told scayle.Delegation
---@return table<string, integer>|nil
function delegation.units(told)
    local units = {}
    for _, entry in ipairs(table_of(told.raw.items)) do
        local item = table_of(entry)
        local sku = text_of(item.merchantProductVariantReferenceKey)
        local quantity = math.tointeger(tonumber(item.quantity) or 1)
        if not sku or #sku > CODE_MAX or not quantity or quantity < 1 then
            return nil
        end
        units[sku] = (units[sku] or 0) + quantity
    end
    return next(units) and units or nil
end

local function fill(template, accepted)
    if type(template) == "table" then
        local filled = {}
        for key, entry in pairs(template) do
            filled[key] = fill(entry, accepted)
        end
        return filled
    elseif type(template) ~= "string" or not template:find("{", 1, true) then
        return template
    end
    return (template:gsub("{([%w_]+)}", function(name)
        local value = accepted[name]
        return type(value) == "string" and value or nil
    end))
end

--- The answer that accepts a delegation. What SCAYLE checks of it is not documented, so status
--- and body are configuration; "{order_id}" and the other texts of a delegation are filled in.
---@param spec {status: integer, body: table}
---@param accepted scayle.Delegation
---@return neap.Reply
function delegation.answer(spec, accepted)
    return {status = spec.status, headers = {["Content-Type"] = "application/json"},
        body = json.encode(fill(spec.body, accepted))}
end

--- The answer to what cannot be read.
---@param err neap.Error
---@return neap.Reply
function delegation.refusal(err)
    return {status = 400, headers = {["Content-Type"] = "application/json"},
        body = json.encode({statusCode = 400, errorKey = "validation_error",
            message = err.message})}
end

---@class scayle.OrderNotice
---@field id string of the event: drops repeats
---@field type string
---@field order_id string
---@field shop_key string|nil
---@field shop_id string|nil
---@field country_code string|nil
---@field confirmed_at string|nil
---@field merchants string[]
---@field raw table the order as sent; never final
---@field envelope table the whole document

-- Older names lack the "order-".
local function is_of_order(kind)
    for _, start in ipairs({"order", "payment", "item", "package", "corrective"}) do
        if kind:sub(1, #start) == start then
            return true
        end
    end
    return false
end

--- Reads a webhook about an order: admin and older envelope, payload the order or {order, items}.
---@param body string
---@return scayle.OrderNotice|nil nil, nil when it is about something else
---@return neap.Error|nil kind invalid
function delegation.notice(body)
    local document, err = decode(body)
    if not document then
        return nil, err
    end
    local kind = text_of(document.type)
    local id = text_of(document.key)
    if not kind or not id then
        return invalid("no webhook envelope: key or type is missing")
    elseif not is_of_order(kind) then
        return nil
    end
    local payload = table_of(document.payload)
    local order = type(payload.order) == "table" and payload.order or payload
    local shop = table_of(order.shopCountry)
    local order_id = text_of(order.id)
    if not order_id and not kind:find("^order") then
        return nil -- of something else by a name we took for an order's
    elseif not order_id then
        return invalid("the payload holds no order id")
    end
    return {
        id = id,
        type = kind,
        order_id = order_id,
        shop_key = text_of(shop.shopKey),
        shop_id = text_of(shop.id),
        country_code = text_of(shop.countryCode),
        confirmed_at = text_of(order.confirmedAt),
        merchants = require("connectors.scayle.orders").merchants(order),
        items = type(payload.items) == "table" and payload.items or {},
        raw = order,
        envelope = document,
    }
end

return delegation
