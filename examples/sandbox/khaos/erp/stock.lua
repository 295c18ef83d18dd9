--- Stock of the simulated Khaos: levels, changes with their dates, the three export operations.

local control = require("lib.sandbox.control")
local data = require("erp.data")
local soap = require("erp.soap")
local world = require("erp.world")

local stock = {}

local TABLE = "erp_stock"

---@param site string site name
---@return string key in an item's levels
function stock.site_key(site)
    local found = data.find(data.SITES, "name", site) or data.SITES[1]
    return tostring(found.id)
end

---@param w table
---@return table[] items in the order of their codes
function stock.all(w)
    local list = {}
    for _, entry in ipairs(w.store.range(TABLE, {limit = 10000})) do
        list[#list + 1] = entry.value
    end
    return list
end

--- A movement: sale, receipt, adjustment. Items that are not stock controlled keep their level.
---@param w table
---@param code string
---@param site string
---@param quantity integer negative: out
function stock.move(w, code, site, quantity)
    local item = w.store.get(TABLE, code)
    if not item or not item.controlled then
        return
    end
    local key = stock.site_key(site)
    item.levels[key] = (item.levels[key] or 0) + quantity
    item.lowest = math.min(item.lowest or 0, item.levels[key])
    item.moved_ms = w.now_ms
    w.store.put(TABLE, code, item)
end

local EDITABLE = {
    description = "string",
    other_ref = "string",
    parent = "string",
    sell_price = "string",
    buy_price = "string",
    tax_code = "number",
    level = "number",
    level_2 = "number",
    received = "number", -- units that came in; negative: written off
    on_order = "number",
    controlled = "boolean",
    run_to_zero = "boolean",
    discontinued = "boolean",
    buffer = "number",
    safe_level = "number",
    max_display = "number",
    kit = "table",
    web = "boolean",
    price_is_net = "boolean",
    user = "table",
}

local function check_words(words)
    if type(words.code) ~= "string" or words.code == "" then
        return "code is missing"
    end
    for name, value in pairs(words) do
        if name ~= "code" and type(value) ~= EDITABLE[name] then
            return ("%s: %s"):format(name, EDITABLE[name] and "wrong type" or "unknown field")
        end
    end
    return nil
end

local function edit(w, item, words)
    for name, value in pairs(words) do
        if name == "level" or name == "level_2" then
            item.levels[name == "level" and "1" or "2"] = math.floor(value)
            item.moved_ms = w.now_ms
        elseif name == "received" then
            item.levels["1"] = (item.levels["1"] or 0) + math.floor(value)
            item.moved_ms = w.now_ms
        elseif name == "tax_code" then
            item.tax_code = tostring(math.floor(value))
            item.revised_ms = w.now_ms
        elseif name ~= "code" then
            item[name] = value
            item.revised_ms = w.now_ms
        end
    end
end

--- Control: creates or changes one code; levels count as movements, the rest as revisions.
---@param w table
---@param words table {code=, level=, discontinued=, ...}
---@return table|nil item
---@return string|nil problem
function stock.change(w, words)
    local problem = check_words(words)
    if problem then
        return nil, problem
    end
    local item = w.store.get(TABLE, words.code)
    if item then
        edit(w, item, words)
    else
        item = data.stock_item(words)
        item.id = ("A%05d"):format(control.next_number(w.store, "stock_id", 88100))
        item.revised_ms, item.moved_ms = w.now_ms, w.now_ms
    end
    w.store.put(TABLE, item.code, item)
    return item
end

local DATE_FIELDS = {["0"] = "revised_ms", ["-1"] = "revised_ms", ["2"] = "moved_ms"}

local function list_entry(w, item, field)
    return {
        type = "TStockInfo",
        fields = {
            {"StockCode", "string", item.code},
            {"OtherRef", "string", item.other_ref},
            {"StockDesc", "string", item.description},
            {"ParentCode", "string", item.parent},
            {"ParentOtherRef", "string", ""},
            {"LastUpdated", "dateTime", world.date_time(w, item[field])},
        },
    }
end

local function list_wanted(item, kind)
    if kind == "2" then
        return item.parent ~= ""
    end
    return kind ~= "1" or item.is_parent == true
end

--- GetStockList(DateType, DateValue, StockItemType). Launch dates are not simulated: type 1 finds
--- nothing with a date.
---@param w table
---@param p table<string, string>
---@return table|nil soap value
---@return string|nil fault
function stock.list(w, p)
    local field = DATE_FIELDS[p.DateType or "0"]
    if not field and p.DateType ~= "1" then
        return nil, "DateType " .. p.DateType .. " is out of range"
    end
    local since = 0
    if (p.DateValue or "") ~= "" then
        local ms, problem = world.parse_date(w, p.DateValue)
        if not ms then
            return nil, problem
        end
        since = ms
    end
    local items = {}
    for _, item in ipairs(stock.all(w)) do
        local changed = field and item[field] or 0
        -- Without a date everything is listed; with one, only what changed at or after it.
        if (since == 0 or changed >= since) and list_wanted(item, p.StockItemType) then
            items[#items + 1] = list_entry(w, item, field or "launch_ms")
        end
    end
    return {
        "struct",
        {
            type = "TStockList",
            fields = {
                {"Count", "int", #items},
                {"List", "array", {item_type = "TStockInfo", items = items}},
            },
        },
    }
end

local MAPPED = {["1"] = "code", ["2"] = "other_ref", ["4"] = "description"}

local function selected(w, p)
    local codes = p.StockCode or ""
    if codes == "" then
        return stock.all(w)
    end
    local wanted, count = {}, 0
    for code in codes:gmatch("[^,]+") do
        count = count + 1
        wanted[code] = true
    end
    if count > w.settings.max_codes then
        return nil, ("Out of memory while exporting %d codes"):format(count)
    end
    local field = MAPPED[(p.MappingType or "") ~= "" and p.MappingType or "1"]
    if not field then
        return nil, "MappingType is out of range"
    end
    local list = {}
    for _, item in ipairs(stock.all(w)) do
        if wanted[item[field]] then
            list[#list + 1] = item
        end
    end
    return list
end

local function status_of(item, level)
    if item.discontinued then
        return 4
    elseif not item.controlled then
        return 5
    elseif level > 0 then
        return 0
    end
    return item.on_order > 0 and 2 or 3
end

local function kit_potential(w, item, key)
    local least
    for _, code in ipairs(item.kit) do
        local child = w.store.get(TABLE, code)
        local level = child and child.levels[key] or 0
        least = math.min(least or level, level)
    end
    return math.max(least or 0, 0)
end

local function tag(name, value)
    return ("<%s>%s</%s>"):format(name, soap.escape(value), name)
end

local function status_item(w, item, key, site)
    local level = item.levels[key] or 0
    local parts = {
        ("<STOCK_ITEM CODE=\"%s\" ID=\"%s\" OTHER_REF=\"%s\" DESC=\"%s\">"):format(
            soap.escape(item.code),
            item.id,
            soap.escape(item.other_ref),
            soap.escape(item.description)
        ),
        site and tag("SITE", site) or "",
        tag("BUY_PRICE", item.buy_price),
        tag("SELL_PRICE", item.sell_price),
        tag("WEBSELL_PRICE", item.sell_price),
        tag("SAFE_LEVEL", item.safe_level),
        tag("MIN_LEVEL", 0),
        tag("LEVEL", level),
        tag("STATUS", status_of(item, level)),
    }
    if item.kit then
        parts[#parts + 1] = tag("BUILD_POTENTIAL_CHILDREN", kit_potential(w, item, key))
    end
    parts[#parts + 1] = tag("ON_ORDER_LEVEL", item.on_order)
    return table.concat(parts) .. "</STOCK_ITEM>"
end

--- ExportStockStatus(StockCode, MappingType, LastUpdated, SiteID, PotentialLeadTime).
---@param w table
---@param p table<string, string>
---@return table|nil soap value
---@return string|nil fault
function stock.status(w, p)
    local items, problem = selected(w, p)
    if not items then
        return nil, problem
    end
    local site_id = (p.SiteID or "") ~= "" and p.SiteID or "1"
    local sites = data.SITES
    if site_id ~= "-1" then
        sites = {data.find(data.SITES, "id", tonumber(site_id))}
        if not sites[1] then
            return nil, "SiteID " .. site_id .. " does not exist"
        end
    end
    local first = soap.escape(sites[1].name)
    local parts = {"<?xml version=\"1.0\"?><STOCK_STATUS SITE=\"" .. first .. "\">"}
    for _, item in ipairs(items) do
        for _, site in ipairs(sites) do
            local name = site_id == "-1" and site.name or nil
            parts[#parts + 1] = status_item(w, item, tostring(site.id), name)
        end
    end
    return {"string", table.concat(parts) .. "</STOCK_STATUS>"}
end

local VAT_PERCENT = {["1"] = "20", ["2"] = "0", ["4"] = "5", ["5"] = "19", ["6"] = "7"}

local function bool(value)
    return value and "-1" or "0"
end

local function user_defined(attributes)
    local parts = {}
    for name, value in pairs(attributes or {}) do
        parts[#parts + 1] = ("<USER_DEFINED NAME=\"%s\" TYPE=\"TEXT\">%s</USER_DEFINED>"):format(
            soap.escape(name), soap.escape(value))
    end
    return table.concat(parts)
end

-- A nested variant inherits whether its price is net (contract 3.4).
local function export_item(item, is_nested)
    return table.concat({
        tag("STOCK_CODE", item.code),
        tag("ASSOCIATED_REF", item.other_ref),
        tag("STOCK_DESC", item.description),
        ("<BUY_PRICE IS_NET=\"-1\">%s</BUY_PRICE>"):format(item.buy_price),
        ("<SELL_PRICE%s>%s</SELL_PRICE>"):format(
            is_nested and "" or (" IS_NET=\"%s\""):format(bool(item.price_is_net)),
            item.sell_price),
        "<SELL_PRICE_WEB/>",
        tag("VAT_RATE", VAT_PERCENT[item.tax_code] or "20"),
        tag("STOCK_ID", item.id),
        tag("DELETED", bool(item.discontinued or item.web == false)),
        tag("WEB", bool(item.web ~= false)),
        tag("DISCONTINUED", bool(item.discontinued)),
        tag("RUN_TO_ZERO", bool(item.run_to_zero)),
        tag("STOCK_CONTROLLED", bool(item.controlled)),
        tag("MAX_DISPLAY_QTY", item.max_display),
        tag("SAFE_LEVEL", item.safe_level),
        ("<USER_DEFINED NAME=\"Web Buffer\" TYPE=\"NUMBER\">%d</USER_DEFINED>"):format(item.buffer),
        user_defined(item.user),
    })
end

local function export_links(item)
    if not item.kit then
        return ""
    end
    local parts = {"<LINKED_ITEMS>"}
    for _, code in ipairs(item.kit) do
        parts[#parts + 1] = "<LINK_ITEM>"
            .. tag("STOCK_CODE", code)
            .. tag("LINK_TYPE", 3)
            .. tag("LINK_VALUE", 1)
            .. "</LINK_ITEM>"
    end
    return table.concat(parts) .. "</LINKED_ITEMS>"
end

local function is_nested(w, item)
    return w.settings.nested_variants and item.parent ~= ""
        and w.store.get(TABLE, item.parent) ~= nil
end

local function export_variants(w, parent)
    local parts = {}
    for _, item in ipairs(w.settings.nested_variants and stock.all(w) or {}) do
        if item.parent == parent.code then
            parts[#parts + 1] = "<SCS_ITEM>" .. export_item(item, true) .. export_links(item)
                .. "</SCS_ITEM>"
        end
    end
    return #parts == 0 and "" or "<SCS><HEADING LEVEL=\"1\">Size</HEADING><STYLE>"
        .. table.concat(parts) .. "</STYLE></SCS>"
end

--- ExportStock(StockCode, MappingType, LastUpdated).
---@param w table
---@param p table<string, string>
---@return table|nil soap value
---@return string|nil fault
function stock.export(w, p)
    local items, problem = selected(w, p)
    if not items then
        return nil, problem
    end
    local parts = {"<?xml version=\"1.0\"?><STOCK_ITEMS>"}
    for _, item in ipairs(items) do
        if not is_nested(w, item) then
            parts[#parts + 1] = "<STOCK_ITEM>" .. export_item(item) .. export_links(item)
                .. export_variants(w, item) .. "</STOCK_ITEM>"
        end
    end
    return {"string", table.concat(parts) .. "</STOCK_ITEMS>"}
end

return stock
