--- The XML forms of the web channel, written apart from the connector on purpose: what the two say
--- to each other is in the contract only.

local json = require("neap.json")
local xml = require("neap.xml")

local cloud_xml = {}

-- List elements of what is read, and entries of the lists that are written.
local READ_LISTS = {Orders = true, Items = true, Payments = true, AlternateMapping = true,
    DiscountCodes = true, ExtendedDescription = true, Returns = true, ReturnedItems = true,
    ExchangeItems = true}
local REPEATED = {MatchCompanyOn = true, MatchAddressOn = true, MatchContactOn = true}
local ROOTS = {StockUpload = "StockItems", StockStatusUpload = "StockStatuses",
    OrderStatusUpload = "OrderStatuses"}
local ENTRY = {
    StockUpload = {Items = "StockItem", UserDefinedFields = "UserDefinedField"},
    StockStatusUpload = {Statuses = "StockStatus"},
    OrderStatusUpload = {Statuses = "SalesOrderStatus", Shipments = "Shipment",
        Items = "ShipmentItem", Packages = "ShipmentPackage"},
}
local DATA_ITEMS = {Courier = true, TaxRate = true, StockType1 = true, StockType2 = true}

local value_of

local function table_of(node)
    local value = {}
    for name, text in pairs(node.attrs) do
        value[name] = text
    end
    for _, child in ipairs(node) do
        if REPEATED[child.name] then
            value[child.name] = value[child.name] or {}
            table.insert(value[child.name], child.text)
        else
            value[child.name] = value_of(child)
        end
    end
    if #node == 0 and next(node.attrs) and node.text ~= "" then
        value.Name = node.text
    end
    return value
end

function value_of(node)
    if READ_LISTS[node.name] then
        local list = json.array({})
        for i, child in ipairs(node) do
            list[i] = value_of(child)
        end
        return list
    elseif #node == 0 and not next(node.attrs) then
        return node.text
    end
    return table_of(node)
end

--- Reads a download; nil when it is no XML.
---@param text string
---@return table|nil
function cloud_xml.read(text)
    local root = xml.parse(text)
    return root and table_of(root)
end

local function text_of(value)
    if type(value) == "boolean" then
        return value and "True" or "False"
    end
    return tostring(value)
end

local function node_of(entries, name, value)
    if type(value) ~= "table" then
        return xml.element(name, nil, text_of(value))
    elseif DATA_ITEMS[name] then
        return xml.element(name, {Code = value.Code, ID = value.ID}, value.Name or "")
    end
    local node = xml.element(name)
    for key, inner in pairs(value) do
        if json.is_array(inner) then
            local list = xml.element(key)
            for i, entry in ipairs(inner) do
                list[i] = node_of(entries, entries[key], entry)
            end
            node[#node + 1] = list
        else
            node[#node + 1] = node_of(entries, key, inner)
        end
    end
    return node
end

--- Writes a push.
---@param block string name of the endpoint
---@param document table
---@return string
function cloud_xml.write(block, document)
    return assert(xml.encode(node_of(ENTRY[block], ROOTS[block], document), {declaration = true}))
end

return cloud_xml
