--- OrderStatusUpload (contract 8.7): snapshots of orders, in the form that the despatch flow works
--- with. A shipment is a parcel, known by its id: its code may change. Packages are not linked to
--- items, so the first one with a consignment speaks for the shipment.
local documents = require("connectors.khaos_cloud.documents")

local order_status = {}

local LEFT = {issue = true, archived = true} -- shipment statuses
local SENT = {partialship = true, complete = true} -- order statuses

local text = documents.text

local function package_of(shipment)
    local first
    for _, package in ipairs(documents.list(shipment.Packages)) do
        first = first or package
        if text(package.ConsignmentRef) then
            return package
        end
    end
    return first or {}
end

-- Contract 8.7, the careful reading: the shipment itself is done, and something says that it went.
local function has_left(shipment, package, status)
    return LEFT[(text(shipment.Status) or ""):lower()] == true
        and (text(package.ConsignmentRef) ~= nil or text(package.ShipmentDate) ~= nil
            or SENT[status] == true)
end

local function items_of(shipment)
    local items = {}
    for _, item in ipairs(documents.list(shipment.Items)) do
        local quantity = documents.whole(item.Quantity) or 0
        if quantity > 0 and text(item.SKU) then
            items[#items + 1] = {stock_code = text(item.SKU), quantity = quantity,
                import_ref = text(item.ImportRef)}
        end
    end
    return items
end

local function parcels_of(entry, status)
    local parcels = {}
    for _, shipment in ipairs(documents.list(entry.Shipments)) do
        local package, id = package_of(shipment), text(shipment.ID)
        if id and has_left(shipment, package, status) then
            local courier = documents.record(package.Courier)
            parcels[#parcels + 1] = {
                id = id,
                invoice = text(shipment.Code) or id,
                courier = text(courier.Code) or text(courier.Name),
                consignment = text(package.ConsignmentRef),
                sent_at = text(package.ShipmentDate),
                items = items_of(shipment),
            }
        end
    end
    return parcels
end

---@class khaos.CloudStatus
---@field reference string|nil ours, as Khaos stores it
---@field custom string|nil what we sent as CustomData
---@field order_code string|nil
---@field snapshot khaos.Snapshot

local function read_entry(entry)
    local status = (text(entry.Status) or text(entry.OrderStatus) or ""):lower()
    local order_code = text(entry.OrderCode) or text(entry.OrderID)
    return {
        reference = text(entry.AssociatedRef),
        custom = text(entry.CustomData),
        order_code = order_code,
        snapshot = {
            order_code = order_code,
            is_complete = status == "complete" or nil,
            is_cancelled = status == "cancelled" or nil,
            parcels = parcels_of(entry, status),
        },
    }
end

--- Reads a push.
---@param body string
---@return khaos.CloudStatus[]|nil
---@return neap.Error|nil
function order_status.read(body)
    local document, err = documents.read(body)
    if not document then
        return nil, err
    end
    local list = {}
    for _, entry in ipairs(documents.list(document.Statuses)) do
        if type(entry) == "table" then
            list[#list + 1] = read_entry(entry)
        end
    end
    return list
end

return order_status
