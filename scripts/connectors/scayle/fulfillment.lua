--- What we tell SCAYLE about units: shipments and cancellations (contract 3.2, 3.3).
---
--- There is no call that reads them back, and what a repeat does is not documented, so these are
--- effects of class "lookup": the order itself shows whether it happened. An answer that refuses
--- (400, 409) leaves the outcome open for the same reason: the refusal may be of a repeat.
local client = require("connectors.scayle.client")
local errors = require("neap.errors")
local json = require("neap.json")
local orders = require("connectors.scayle.orders")
local time = require("neap.time")

local fulfillment = {}

local function path_country(where)
    return {shopKey = where.shop_key, countryCode = where.country}
end

local function body_of(where, order_id, merchant, items)
    local body = path_country(where)
    body.orderId = math.tointeger(tonumber(order_id)) or order_id
    body.merchantReferenceKey = merchant
    body.items = items
    return body
end

local function item_id(unit_id)
    return math.tointeger(tonumber(unit_id)) or unit_id
end

---@class scayle.Shipment
---@field order_id string
---@field merchant string|nil
---@field carrier string
---@field shipment_key string unique; the tracking number where there is one
---@field return_ident string|nil of the return label; SCAYLE shows it with the package
---@field left_at string ISO instant at which the parcel left the warehouse
---@field units string[]

--- One parcel. The return key of a unit is its own id: the only handle for a later return.
---@param where {shop_key: string, country: string}
---@param shipment scayle.Shipment
---@return table request for an effect of class "lookup"
function fulfillment.shipment_request(where, shipment)
    local items = {}
    for i, id in ipairs(shipment.units) do
        items[i] = {orderItemId = item_id(id), returnKey = id}
    end
    local body = body_of(where, shipment.order_id, shipment.merchant, items)
    body.carrier = shipment.carrier
    body.deliveryDate = shipment.left_at
    body.shipmentKey = shipment.shipment_key
    body.returnIdentCode = shipment.return_ident
    return client.request({method = "POST", path = "/fulfillment/shipments", body = body})
end

--- Units that we shall not send.
---@param where {shop_key: string, country: string}
---@param order_id string
---@param merchant string|nil
---@param units string[]
---@return table request for an effect of class "lookup"
function fulfillment.cancellation_request(where, order_id, merchant, units)
    local items = {}
    for i, id in ipairs(units) do
        items[i] = {orderItemId = item_id(id)}
    end
    return client.request({method = "POST", path = "/fulfillment/cancellations",
        body = body_of(where, order_id, merchant, items)})
end

--- Units that came back. The body is a bare list, and their return key (see shipment_request) is
--- all that names them. `received_ms` is written without a zone: the contract takes it for UTC.
---@param merchant string|nil
---@param units string[]
---@param received_ms integer
---@param reason string
---@return table request for an effect of class "lookup"
function fulfillment.return_request(merchant, units, received_ms, reason)
    local entries = json.array({})
    local received = time.format_iso(received_ms):sub(1, 19):gsub("T", " ")
    for i, id in ipairs(units) do
        entries[i] = {received = received, returnKey = id, returnReason = reason,
            merchantReferenceKey = merchant}
    end
    return client.request({method = "POST", path = "/fulfillment/return-items", body = entries})
end

-- Whether anything was done is open when SCAYLE refuses what it may have done before.
local MAY_BE_REPEAT = {[400] = true, [409] = true, [412] = true}

--- What the answer to either request says.
---@param answer neap.http.Answer
---@return {sent: boolean}|nil
---@return neap.Error|nil
function fulfillment.read(answer)
    local body, err = client.read(answer)
    if body then
        return {sent = true}
    end
    if MAY_BE_REPEAT[answer.status] then
        return nil, errors.new({kind = "invalid", message = err.message, status = err.status,
            maybe_sent = true, details = err.details})
    end
    return nil, err
end

local function rows(order, name)
    return type(order[name]) == "table" and order[name] or {}
end

local function items_of(order, units)
    local by_id, list = {}, {}
    for _, item in ipairs(rows(order, "items")) do
        by_id[tostring(item.id)] = item
    end
    for i, id in ipairs(units) do
        list[i] = by_id[id] or {status = "missing"}
    end
    return list
end

local function states_of(order, units)
    local list = {}
    for i, item in ipairs(items_of(order, units)) do
        list[i] = tostring(item.status)
    end
    return list
end

-- The keys of its shipments, by the package's id.
local function shipment_keys(order)
    local keys = {}
    for _, package in ipairs(rows(order, "packages")) do
        keys[tostring(package.id)] = package.shipmentKey
    end
    return keys
end

local function has_shipment(order, shipment_key)
    for _, key in pairs(shipment_keys(order)) do
        if tostring(key) == shipment_key then
            return true
        end
    end
    return false
end

-- "found" when all are. Else it is sent again: the flows tell apart what SCAYLE refuses of it, and
-- tell the rest by itself.
local function verdict(states, wanted)
    local done = 0
    for _, state in ipairs(states) do
        done = done + (wanted[state] and 1 or 0)
    end
    if done == #states then
        return "found", {sent = true}
    end
    return "absent"
end

local SENT = {shipped = true, delivered = true}
local SHIPPED = {shipped = true, delivered = true, returned = true}
local RETURNED = {returned = true}
local CANCELLED = {cancelled = true, canceled = true, undeliverable = true, unavailable = true}

--- What of the units a shipment can still be told of: not what SCAYLE shows as cancelled, nor what
--- it shows as shipped already. What it shows as sent in no package it counted as sent by itself
--- (after 14 days, contract 2.7): nobody told it a carrier, a tracking number or a return key.
---@param order table as SCAYLE shows it
---@param units string[]
---@return {open: string[], cancelled: string[], unheard: string[]}
function fulfillment.still_open(order, units)
    local found = {open = json.array({}), cancelled = {}, unheard = json.array({})}
    local keys = shipment_keys(order)
    for i, item in ipairs(items_of(order, units)) do
        local state = tostring(item.status)
        if CANCELLED[state] then
            table.insert(found.cancelled, units[i])
        elseif not SHIPPED[state] then
            table.insert(found.open, units[i])
        elseif SENT[state] and not keys[tostring(item.packageId)] then
            table.insert(found.unheard, units[i])
        end
    end
    return found
end

--- Units that left as SCAYLE knows it: in a package, or back already. What it counted as sent by
--- itself is in none.
---@param order table as SCAYLE shows it
---@param units string[]
---@return string[] those of them
function fulfillment.packed(order, units)
    local list, keys = {}, shipment_keys(order)
    for i, item in ipairs(items_of(order, units)) do
        local state = tostring(item.status)
        if RETURNED[state] or SENT[state] and keys[tostring(item.packageId)] then
            list[#list + 1] = units[i]
        end
    end
    return list
end

local function look_up(scayle, where, order_id, units, wanted)
    local order, err = orders.get(scayle, where, order_id)
    if not order then
        return nil, err
    end
    return verdict(states_of(order, units), wanted)
end

--- Does SCAYLE show these units as shipped, with our shipment? It counts units as sent by itself.
---@async
---@param scayle scayle.Client
---@param where {shop_key: string, country: string}
---@param order_id string
---@param units string[]
---@param shipment_key string
---@return "found"|"absent"|nil
---@return any
function fulfillment.lookup_shipped(scayle, where, order_id, units, shipment_key)
    local order, err = orders.get(scayle, where, order_id)
    if not order then
        return nil, err
    elseif not has_shipment(order, shipment_key) then
        return "absent"
    end
    return verdict(states_of(order, units), SHIPPED)
end

--- Does SCAYLE show these units as cancelled?
---@async
---@param scayle scayle.Client
---@param where {shop_key: string, country: string}
---@param order_id string
---@param units string[]
---@return "found"|"absent"|nil
---@return any
function fulfillment.lookup_cancelled(scayle, where, order_id, units)
    return look_up(scayle, where, order_id, units, CANCELLED)
end

--- Does SCAYLE show these units as returned?
---@async
---@param scayle scayle.Client
---@param where {shop_key: string, country: string}
---@param order_id string
---@param units string[]
---@return "found"|"absent"|nil
---@return any
function fulfillment.lookup_returned(scayle, where, order_id, units)
    return look_up(scayle, where, order_id, units, RETURNED)
end

return fulfillment
