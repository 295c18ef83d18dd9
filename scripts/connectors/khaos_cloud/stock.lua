--- StockStatusUpload, StockUpload and PriceListUpload (contract 8.8, 8.9), read: the entries of a
--- push. What of an entry cannot be read is in its `odd`, in words; `is_lost` when nothing can be
--- taken of it.
local documents = require("connectors.khaos_cloud.documents")

local stock = {}

local id_of, text = documents.id, documents.text
local whole, truth = documents.whole, documents.truth

-- ---- levels ----------------------------------------------------------------------------------

-- `Available` where there are levels, else what can be built; neither: Khaos keeps no level. What
-- is there and cannot be read is none, and why.
local function level_of(entry)
    local levels, potential = entry.Levels, entry.RelationshipPotential
    if levels ~= nil then
        local available = whole(documents.record(levels).Available)
        return {available = available or 0}, not available and "Levels" or nil
    elseif potential ~= nil then
        local made = documents.record(potential).FromChildren
        local is_read = type(potential) == "table" and (made == nil or whole(made) ~= nil)
        return {potential = whole(made) or 0}, not is_read and "RelationshipPotential" or nil
    end
    return {is_uncontrolled = true}
end

local function read_level(entry, words)
    local code = id_of(entry.StockCode)
    local stock_id = id_of(entry.StockID)
    words = string.format("%s (%s)", words, code or "StockID " .. (stock_id or "unknown"))
    if not code then
        return documents.lost(words .. " has no StockCode")
    elseif entry.SiteID ~= nil and not id_of(entry.SiteID) then
        return documents.lost(words .. " has no SiteID that can be read")
    end
    local level, odd = level_of(entry)
    return {code = code, stock_id = stock_id, site = id_of(entry.SiteID) or "1",
        level = level, odd = odd and words .. ": " .. odd .. " cannot be read, so there is none"}
end

---@class khaos.PushedLevel
---@field code string
---@field stock_id string|nil
---@field site string
---@field level khaos.Level

--- Levels per item and site.
---@param body string
---@return khaos.PushedLevel[]|nil
---@return neap.Error|nil
function stock.read_levels(body)
    local document, err = documents.read(body)
    if not document then
        return nil, err
    end
    return documents.entries(document.Statuses, "Statuses", read_level)
end

-- ---- items -----------------------------------------------------------------------------------

-- By their names: every user-defined field that holds a number. Which of them is the buffer is the
-- client's word.
local function numbers_of(item)
    local numbers
    for _, field in ipairs(documents.records(item.UserDefinedFields)) do
        local name, value = text(field.Name), whole(field.Value)
        if name and value then
            numbers = numbers or {}
            numbers[name] = value
        end
    end
    return numbers
end

local function category_of(item)
    local kind = item.StockType1
    return type(kind) == "table" and (text(kind.Name) or text(kind.Code)) or text(kind)
end

-- The options that can be read, and the names of those that cannot.
local function options_of(item)
    if type(item.Options) ~= "table" then
        return {}, "Options"
    end
    local options, odd = {}, {}
    for _, name in ipairs({"Discontinued", "PublishOnWeb", "RunToZero"}) do
        options[name] = truth(item.Options[name])
        if options[name] == nil and item.Options[name] ~= nil then
            odd[#odd + 1] = name
        end
    end
    if item.Options.Discontinued == nil then
        options.Discontinued = false
    end
    if item.Options.PublishOnWeb == nil then
        options.PublishOnWeb = true
    end
    return options, #odd > 0 and table.concat(odd, ", ") or nil
end

local function read_item(item, words)
    local code, stock_id = id_of(item.StockCode), id_of(item.StockID)
    words = string.format("%s (%s)", words, code or "StockID " .. (stock_id or "unknown"))
    if not code or not stock_id then
        return documents.lost(words .. " has no " .. (code and "StockID" or "StockCode"))
    end
    local options, odd = options_of(item)
    return {
        code = code,
        stock_id = stock_id,
        is_discontinued = options.Discontinued,
        is_published = options.PublishOnWeb,
        runs_to_zero = options.RunToZero,
        max_display = whole(documents.record(item.WebProperties).MetaDisplayQty),
        category = category_of(item),
        safe_level = whole(item.SafeLevel),
        numbers = numbers_of(item),
        odd = odd and words .. ": " .. odd .. " cannot be read, so what was known stays",
    }
end

---@class khaos.PushedItem
---@field deleted string|nil the StockID of a deleted one; then there is nothing else
---@field code string
---@field stock_id string
---@field is_discontinued boolean|nil nil: cannot be read
---@field is_published boolean|nil nil: cannot be read
---@field runs_to_zero boolean|nil
---@field max_display integer|nil
---@field category string|nil
---@field safe_level integer|nil
---@field numbers table<string, integer>|nil user-defined fields

local function add_deleted(list, value)
    for i, id in ipairs(documents.list(value)) do
        list[#list + 1] = id_of(id) and {deleted = id_of(id)}
            or documents.lost(string.format("entry %d of Deleted is no StockID", i))
    end
    return list
end

-- Texts and pictures make a push of items large.
local NEEDED = {Deleted = true, Items = {StockID = true, StockCode = true, StockType1 = true,
    SafeLevel = true, Options = true, WebProperties = true, UserDefinedFields = true}}

--- Items, and then the ids of deleted ones.
---@param body string
---@return khaos.PushedItem[]|nil
---@return neap.Error|nil
function stock.read_items(body)
    local document, err = documents.read(body, NEEDED)
    local list
    if document then
        list, err = documents.entries(document.Items, "Items", read_item)
    end
    if not list then
        return nil, err
    end
    return add_deleted(list, document.Deleted)
end

-- ---- prices ----------------------------------------------------------------------------------

local function band_of(row)
    return {from = documents.number(row.QtyStart), to = documents.number(row.QtyEnd),
        price = documents.number(row.PriceValue), type = whole(row.PriceType)}
end

-- One entry for each code, or one for the empty list.
local function add_prices(entries, list, rows, words)
    local by_code = {}
    for i, row in ipairs(documents.list(rows)) do
        local code = type(row) == "table" and id_of(row.StockCode)
        if not code then
            entries[#entries + 1] = documents.lost(string.format(
                "%s: price %d has no StockCode", words, i))
        elseif by_code[code] then
            table.insert(by_code[code], band_of(row))
        else
            by_code[code] = {band_of(row)}
            entries[#entries + 1] = {list = list, code = code, bands = by_code[code]}
        end
    end
    if next(by_code) == nil then
        entries[#entries + 1] = {list = list}
    end
end

local function read_list(entry, words)
    local id = id_of(entry.PriceListID)
    if not id then
        return documents.lost(words .. " has no PriceListID")
    end
    local list = {id = id, name = text(entry.PriceListName),
        is_net = truth(entry.PriceListNet) or nil}
    return {list = list, rows = entry.StockPrices, words = words}
end

---@class khaos.PushedPrices
---@field list {id: string, name: string|nil, is_net: boolean|nil}
---@field code string|nil nil: the list has none
---@field bands table[]|nil

--- Price lists: bands per list and stock code.
---@param body string
---@return khaos.PushedPrices[]|nil
---@return neap.Error|nil
function stock.read_price_lists(body)
    local document, err = documents.read(body)
    local lists
    if document then
        lists, err = documents.entries(document.UploadPriceLists, "UploadPriceLists", read_list)
    end
    if not lists then
        return nil, err
    end
    local entries = {}
    for _, read in ipairs(lists) do
        if read.is_lost then
            entries[#entries + 1] = read
        else
            add_prices(entries, read.list, read.rows, read.words)
        end
    end
    return entries
end

return stock
