--- OrderStatusUpload (contract 8.7): snapshots of orders, in the form that the despatch flow works
--- with. A shipment is a parcel, known by its id: its code may change. Packages are not linked to
--- items: where several have a consignment each is a parcel, and the items are shared out to them
--- in their order, because SCAYLE takes no tracking number without items.
local documents = require("connectors.khaos_cloud.documents")

local order_status = {}

local LEFT = {issue = true, archived = true} -- shipment statuses
local SENT = {partialship = true, complete = true} -- order statuses

local id, records, text = documents.id, documents.records, documents.text

-- The packages that a shopper can follow, one per consignment, in an order that no repeat changes;
-- else the first there is.
local function packages_of(shipment)
    local list, seen, first = {}, {}, nil
    for _, package in ipairs(records(shipment.Packages)) do
        local consignment = text(package.ConsignmentRef)
        first = first or package
        if consignment and not seen[consignment] then
            seen[consignment], list[#list + 1] = true, package
        end
    end
    table.sort(list, function(one, other)
        return text(one.ConsignmentRef) < text(other.ConsignmentRef)
    end)
    return #list > 0 and list or {first or {}}
end

-- Contract 8.7, the careful reading: the shipment itself is done, and something says that it went.
local function has_left(shipment, package, status)
    return LEFT[(text(shipment.Status) or ""):lower()] == true
        and (text(package.ConsignmentRef) ~= nil or text(package.ShipmentDate) ~= nil
            or SENT[status] == true)
end

local function items_of(shipment)
    local items = {}
    for _, item in ipairs(records(shipment.Items)) do
        local quantity = documents.whole(item.Quantity) or 0
        if quantity > 0 and id(item.SKU) then
            items[#items + 1] = {stock_code = id(item.SKU), quantity = quantity,
                import_ref = text(item.ImportRef)}
        end
    end
    return items
end

-- Of all items together, the units from one place to another.
local function part_of(items, from, to)
    local part, place = {}, 0
    for _, item in ipairs(items) do
        local quantity = math.min(to, place + item.quantity) - math.max(from, place)
        if quantity > 0 then
            part[#part + 1] = {stock_code = item.stock_code, quantity = quantity,
                import_ref = item.import_ref}
        end
        place = place + item.quantity
    end
    return part
end

local function parcel(shipment, package, number, items)
    local courier, shipment_id = documents.record(package.Courier), id(shipment.ID)
    return {
        id = number == 1 and shipment_id or shipment_id .. "/" .. number,
        invoice = id(shipment.Code) or shipment_id,
        shipment = shipment_id,
        courier = text(courier.Code) or text(courier.Name),
        consignment = text(package.ConsignmentRef),
        sent_at = text(package.ShipmentDate),
        items = items,
    }
end

-- With fewer units than packages, the last packages cannot be told.
local function add_parcels(parcels, shipment, packages)
    local items, units = items_of(shipment), 0
    for _, item in ipairs(items) do
        units = units + item.quantity
    end
    local count = math.max(1, math.min(#packages, units))
    for i = 1, count do
        parcels[#parcels + 1] = parcel(shipment, packages[i], i,
            part_of(items, (i - 1) * units // count, i * units // count))
    end
end

local function parcels_of(entry, status)
    local parcels = {}
    for _, shipment in ipairs(records(entry.Shipments)) do
        local packages = packages_of(shipment)
        if id(shipment.ID) and has_left(shipment, packages[1], status) then
            add_parcels(parcels, shipment, packages)
        end
    end
    return parcels
end

---@class khaos.CloudStatus
---@field reference string|nil ours, as Khaos stores it
---@field custom string|nil what we sent as CustomData
---@field order_code string|nil
---@field snapshot khaos.Snapshot

local function read_entry(entry, words)
    local status = (text(entry.Status) or text(entry.OrderStatus) or ""):lower()
    local order_code = id(entry.OrderCode) or id(entry.OrderID)
    if not id(entry.AssociatedRef) and not id(entry.CustomData) then
        return documents.lost(string.format("%s (order %s) names no reference", words,
            order_code or "without a code"))
    end
    return {
        reference = id(entry.AssociatedRef),
        custom = id(entry.CustomData),
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
    return documents.entries(document.Statuses, "Statuses", read_entry)
end

return order_status
