--- Stock codes of Khaos Control over SOAP: which changed, and what Khaos says about some.
local errors = require("neap.errors")
local stock_export = require("connectors.khaos_soap.stock_export")
local xml = require("neap.xml")

local stock = {}

--- Which date GetStockList compares.
stock.REVISED = 0
stock.MOVED = 2

local PAGE = 1000

---@class khaos.StockEntry
---@field code string
---@field parent_code string|nil of a variant
---@field other_ref string|nil from the list
---@field last_updated string|nil from the list: server local time
---@field vat_rate string|nil from the export: a percentage
---@field discontinued boolean|nil from the export: an order with it fails
---@field deleted boolean|nil from the export: not shown on the web

local function entry_of(item)
    local function filled(name)
        local value = item[name]
        return value ~= "" and value or nil
    end
    return {
        code = item.StockCode,
        other_ref = filled("OtherRef"),
        description = filled("StockDesc"),
        parent_code = filled("ParentCode"),
        last_updated = filled("LastUpdated"),
    }
end

---@class khaos.StockList
local StockList = {}
StockList.__index = StockList

-- With an item's other names, so that one without a code still counts.
local NAMES = {"StockCode", "Count", "LastUpdated", "StockDesc"}

local function broken(message)
    return errors.new({kind = "remote", retryable = true, message = message})
end

--- The next entries, at most limit; an empty list at the end, when all that Khaos counted came.
---@param limit integer
---@return khaos.StockEntry[]|nil
---@return neap.Error|nil
function StockList:page(limit)
    local entries = {}
    while #entries == 0 do
        local records, err = self.records:read(limit)
        if not records then
            return nil, broken("Khaos's stock list cannot be read: " .. err.message)
        elseif #records == 0 then
            break
        end
        for _, record in ipairs(records) do
            if record.Count then
                self.count = math.tointeger(tonumber(record.Count))
            else
                self.found = self.found + 1
                entries[#entries + 1] = (record.StockCode or "") ~= "" and entry_of(record) or nil
            end
        end
    end
    local is_unknown = self.count == nil and not (self.is_long and self.found == 0)
    if #entries == 0 and self.count ~= self.found and not is_unknown then
        return nil, broken(string.format("Khaos's stock list was cut off: %d of %s codes",
            self.found, self.count or "many"))
    end
    return entries
end

--- Codes whose revision or movement date is at or after `since`, to be read page by page.
---@async
---@param khaos khaos.Client
---@param date_type integer stock.REVISED or stock.MOVED
---@param since string server local time, client.NO_DATE for all
---@return khaos.StockList|nil
---@return neap.Error|nil
function stock.list_since(khaos, date_type, since)
    local records, err, is_long = khaos:records("GetStockList", {{"DateType", "int", date_type},
        {"DateValue", "dateTime", since}, {"StockItemType", "int", 0}}, NAMES)
    if not records then
        return nil, err
    end
    return setmetatable({records = records, found = 0, is_long = is_long}, StockList)
end

--- As list_since, all at once: for short times.
---@async
---@param khaos khaos.Client
---@param date_type integer
---@param since string
---@return khaos.StockEntry[]|nil
---@return neap.Error|nil
function stock.changed_since(khaos, date_type, since)
    local list, err = stock.list_since(khaos, date_type, since)
    local entries = {}
    while list do
        local page, problem = list:page(PAGE)
        if not page then
            return nil, problem
        elseif #page == 0 then
            return entries
        end
        table.move(page, 1, #page, #entries + 1, entries)
    end
    return nil, err
end

local function truth(node, name)
    local text = xml.value(node, name)
    if text == nil or text == "" then
        return nil
    end
    return text == "-1" or text == "1" or text:lower() == "true"
end

local function add_item(found, node, parent_code)
    local code = xml.value(node, "STOCK_CODE")
    if not code or code == "" then
        return
    end
    found[code] = {
        code = code,
        parent_code = parent_code,
        vat_rate = xml.value(node, "VAT_RATE"),
        discontinued = truth(node, "DISCONTINUED") or false,
        deleted = truth(node, "DELETED") or false,
        stock_controlled = truth(node, "STOCK_CONTROLLED"),
    }
end

--- What Khaos says about codes, by exact code; absent ones are absent. A code with a comma cannot
--- be asked for and counts as absent.
---@async
---@param khaos khaos.Client
---@param codes string[]
---@return table<string, khaos.StockEntry>|nil
---@return neap.Error|nil
function stock.export(khaos, codes)
    local found = {}
    local ok, err = stock_export.each(khaos, codes, function(node, parent)
        add_item(found, node, parent and xml.value(parent, "STOCK_CODE"))
    end)
    return ok and found, err
end

--- Version of the service; the cheapest proof that it answers.
---@async
---@param khaos khaos.Client
---@return string|nil
---@return neap.Error|nil
function stock.get_version(khaos)
    return khaos:call("GetVersion", {})
end

return stock
