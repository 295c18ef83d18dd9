--- StockStatusUpload, StockUpload and PriceListUpload (contract 8.8, 8.9), read.
local documents = require("connectors.khaos_cloud.documents")

local stock = {}

local id, records, text = documents.id, documents.records, documents.text
local whole, truth = documents.whole, documents.truth

-- `Available` where there are levels, else what can be built; neither: Khaos keeps no level.
local function level_of(entry)
    local levels = entry.Levels
    local potential = documents.record(entry.RelationshipPotential)
    if type(levels) == "table" then
        return {available = whole(levels.Available) or 0}
    elseif type(entry.RelationshipPotential) == "table" then
        return {potential = whole(potential.FromChildren) or 0}
    end
    return {is_uncontrolled = true}
end

--- Levels per item and site.
---@param body string
---@return {code: string, stock_id: string|nil, site: string, level: khaos.Level}[]|nil
---@return neap.Error|nil
function stock.read_levels(body)
    local document, err = documents.read(body)
    if not document then
        return nil, err
    end
    local list = {}
    for _, entry in ipairs(records(document.Statuses)) do
        local code = id(entry.StockCode)
        if code then
            list[#list + 1] = {code = code, stock_id = id(entry.StockID),
                site = id(entry.SiteID) or "1", level = level_of(entry)}
        end
    end
    return list
end

local function user_defined(item, name)
    for _, field in ipairs(records(item.UserDefinedFields)) do
        if text(field.Name) == name then
            return whole(field.Value)
        end
    end
    return nil
end

local function category_of(item)
    local kind = item.StockType1
    return type(kind) == "table" and (text(kind.Name) or text(kind.Code)) or text(kind)
end

local function flag(value)
    if value == nil then
        return nil -- not known
    end
    return truth(value)
end

local function item_of(item, fields)
    local options = documents.record(item.Options)
    local web = documents.record(item.WebProperties)
    local buffer = fields.buffer_field
    return {
        code = id(item.StockCode),
        stock_id = id(item.StockID),
        is_discontinued = truth(options.Discontinued),
        is_published = options.PublishOnWeb == nil or truth(options.PublishOnWeb),
        runs_to_zero = flag(options.RunToZero),
        max_display = whole(web.MetaDisplayQty),
        category = category_of(item),
        buffer = buffer == "SAFE_LEVEL" and whole(item.SafeLevel)
            or buffer and user_defined(item, buffer) or nil,
    }
end

--- Items, and the ids of deleted ones.
---@param body string
---@param fields {buffer_field: string|nil}
---@return {items: table[], deleted: string[]}|nil
---@return neap.Error|nil
function stock.read_items(body, fields)
    local document, err = documents.read(body)
    if not document then
        return nil, err
    end
    local found = {items = {}, deleted = {}}
    for _, entry in ipairs(records(document.Items)) do
        local item = item_of(entry, fields)
        if item.code and item.stock_id then
            found.items[#found.items + 1] = item
        end
    end
    for _, deleted in ipairs(documents.list(document.Deleted)) do
        found.deleted[#found.deleted + 1] = id(deleted)
    end
    return found
end

local function band_of(row)
    return {from = documents.number(row.QtyStart), to = documents.number(row.QtyEnd),
        price = documents.number(row.PriceValue), type = whole(row.PriceType)}
end

--- Price lists: bands per stock code.
---@param body string
---@return {id: string, name: string|nil, is_net: boolean|nil, prices: table<string, table[]>}[]|nil
---@return neap.Error|nil
function stock.read_price_lists(body)
    local document, err = documents.read(body)
    if not document then
        return nil, err
    end
    local lists = {}
    for _, entry in ipairs(records(document.UploadPriceLists)) do
        local list = {id = id(entry.PriceListID), name = text(entry.PriceListName), prices = {}}
        list.is_net = entry.PriceListNet ~= nil and truth(entry.PriceListNet) or nil
        for _, row in ipairs(records(entry.StockPrices)) do
            local code = id(row.StockCode)
            if code then
                list.prices[code] = list.prices[code] or {}
                table.insert(list.prices[code], band_of(row))
            end
        end
        if list.id then
            lists[#lists + 1] = list
        end
    end
    return lists
end

return stock
