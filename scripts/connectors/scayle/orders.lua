--- Orders of the SCAYLE Admin API.
local client = require("connectors.scayle.client")
local errors = require("neap.errors")

local orders = {}

local PAGE_SIZE = 100 -- the example of the documentation; the maximum is not documented

local function order_path(where, id, rest)
    return client.shop_path(where) .. "/orders/" .. client.identifier(id) .. (rest or "")
end

local WITH = "legacyCustomData,items.legacyCustomData,customer.legacyCustomData"

--- One order with its custom data.
---@async
---@param scayle scayle.Client
---@param where {shop_key: string, country: string}
---@param id string|integer|{key: string}
---@return table|nil
---@return neap.Error|nil
function orders.get(scayle, where, id)
    return scayle:call({path = order_path(where, id), query = {with = WITH}})
end

--- {status, detailedStatus}.
---@async
---@param scayle scayle.Client
---@param where {shop_key: string, country: string}
---@param id string|integer|{key: string}
---@return table|nil
---@return neap.Error|nil
function orders.status(scayle, where, id)
    return scayle:call({path = order_path(where, id, "/status")})
end

local function kept(entities, filter)
    local list = {}
    for _, order in ipairs(type(entities) == "table" and entities or {}) do
        if not filter or filter(order) then
            list[#list + 1] = order
        end
    end
    return list
end

--- One page. SCAYLE documents no filters, so `filter` is applied here; `query` is for what a
--- tenant's own API description offers.
---@async
---@param scayle scayle.Client
---@param where {shop_key: string, country: string}
---@param options {cursor: string|nil, limit: integer|nil, query: table|nil, filter: any}|nil
---@return {orders: table[], next: string|nil}|nil
---@return neap.Error|nil
function orders.list(scayle, where, options)
    options = options or {}
    local query = {limit = options.limit or PAGE_SIZE, cursor = options.cursor}
    for name, value in pairs(options.query or {}) do
        query[name] = value
    end
    local page, err = scayle:call({path = client.shop_path(where) .. "/orders", query = query})
    if not page then
        return nil, err
    end
    local cursor = type(page.cursor) == "table" and page.cursor.next or nil
    return {
        orders = kept(page.entities, options.filter),
        next = (type(cursor) == "string" and cursor ~= "" or type(cursor) == "number")
            and tostring(cursor) or nil,
    }
end

--- Request that stores the ERP's order number on the order. SCAYLE overwrites, so a repeat is
--- harmless.
---@param where {shop_key: string, country: string}
---@param order_id string
---@param reference string
---@return table request for an effect of class "dedupes"
function orders.reference_key_request(where, order_id, reference)
    return client.request({method = "PUT", path = order_path(where, order_id, "/reference-key"),
        body = {referenceKey = reference}})
end

--- What the answer to reference_key_request says; an order that shows another reference is an
--- error.
---@param answer neap.http.Answer
---@param reference string
---@return {reference: string}|nil
---@return neap.Error|nil
function orders.read_reference_key(answer, reference)
    local order, err = client.read(answer)
    if not order then
        return nil, err
    end
    local stored = order.referenceKey
    if stored ~= nil and tostring(stored) ~= reference then
        return nil, errors.new({kind = "remote", message = string.format(
            "SCAYLE kept the reference %s instead of %s", tostring(stored), reference)})
    end
    return {reference = reference}
end

-- ---- what an order says ----------------------------------------------------------------------

local function code_of(order)
    local detailed = type(order.detailedStatus) == "table" and order.detailedStatus.order
    return type(detailed) == "table" and type(detailed.code) == "string" and detailed.code or ""
end

local CANCELLED = {cancellation_pending = true, cancellation_completed = true}
local CONFIRMED = {order_confirmed = true, order_delegated = true}
local UNPAID = {order_open = true, payment_pending = true}

--- Whether the whole order is cancelled or on its way to be.
---@param order table
---@return boolean
function orders.is_cancelled(order)
    local code = code_of(order)
    return CANCELLED[order.status] == true or code:find("cancel", 1, true) ~= nil
        or code:find("abort", 1, true) ~= nil
end

--- Whether SCAYLE shows a unit as cancelled.
---@param item table of an order
---@return boolean
function orders.is_item_cancelled(item)
    return item.status == "cancelled" or item.status == "canceled"
end

--- Whether it is confirmed or delegated and nothing more: the state in which it is worth importing.
---@param order table
---@return boolean
function orders.is_open(order)
    return CONFIRMED[code_of(order)] == true and not UNPAID[order.status]
        and not orders.is_cancelled(order)
end

--- Whether it has not got as far as that yet.
---@param order table
---@return boolean
function orders.is_unconfirmed(order)
    local code = code_of(order)
    return UNPAID[order.status] == true or code == "order_created" or code == "order_open"
        or code == "order_pended"
end

--- Reference keys of the merchants that sell on it, sorted, each once.
---@param order table
---@return string[]
function orders.merchants(order)
    local seen, list = {}, {}
    for _, item in ipairs(type(order.items) == "table" and order.items or {}) do
        local owner = type(item) == "table" and item.merchant
        local merchant = type(owner) == "table" and owner.referenceKey
        if type(merchant) == "string" and not seen[merchant] then
            seen[merchant] = true
            list[#list + 1] = merchant
        end
    end
    table.sort(list)
    return list
end

--- Whether a merchant sells on an order; one that names no merchant is everybody's.
---@param order table
---@param merchant string
---@return boolean
function orders.sells(order, merchant)
    local merchants = orders.merchants(order)
    for _, name in ipairs(merchants) do
        if name == merchant then
            return true
        end
    end
    return #merchants == 0
end

return orders
