--- Stock levels of Khaos Control over SOAP (contract 3): what is available to sell, and what a
--- stock item says about how it may be sold.
---
--- `LEVEL` is net of allocation already and may be negative. A kit has no stock of its own: it can
--- be made BUILD_POTENTIAL_CHILDREN times. Status 5 means that Khaos keeps no level at all, status
--- 4 that it refuses orders.
local chunks = require("connectors.khaos_soap.chunks")
local client = require("connectors.khaos_soap.client")
local errors = require("neap.errors")
local stock_export = require("connectors.khaos_soap.stock_export")
local time = require("neap.time")
local xml = require("neap.xml")

local levels = {}

local BY_CODE = 1 -- MappingType
local DISCONTINUED, NOT_CONTROLLED = "4", "5" -- STATUS
local PACK = "3" -- LINK_TYPE of what a kit is made of
local LEVEL_CHUNK = 200 -- integrators ask for up to 500 codes at once

local function whole(text)
    local number = tonumber(text or "")
    return number and math.tointeger(number // 1) or nil
end

local function level_of(node)
    local status = xml.value(node, "STATUS")
    local controlled = status ~= NOT_CONTROLLED
    local potential = whole(xml.value(node, "BUILD_POTENTIAL_CHILDREN"))
    return {
        available = controlled and whole(xml.value(node, "LEVEL")) or nil,
        potential = controlled and potential or nil,
        is_uncontrolled = not controlled or nil,
        is_discontinued = status == DISCONTINUED or nil,
    }
end

---@class khaos.Level
---@field available integer|nil absent when not controlled
---@field potential integer|nil of a kit
---@field is_uncontrolled boolean|nil
---@field is_discontinued boolean|nil

--- Levels of codes at one site, by exact code; what Khaos does not know is absent. `each` is called
--- with what was read of a chunk, its codes and the instant at which its read began, before the
--- next chunk is asked for.
---@async
---@param khaos khaos.Client
---@param codes string[]
---@param site_id integer
---@param each fun(found: table<string, khaos.Level>, codes: string[], began_ms: integer)
---@param refused nil|fun(code: string, err: neap.Error): any, neap.Error|nil as chunks.each has it
---@return true|nil
---@return neap.Error|nil
function levels.read(khaos, codes, site_id, each, refused)
    return chunks.each(codes, LEVEL_CHUNK, function(chunk)
        local began_ms = time.now_ms()
        local text, err = khaos:call("ExportStockStatus", {
            {"StockCode", "string", table.concat(chunk, ",")}, {"MappingType", "int", BY_CODE},
            {"LastUpdated", "dateTime", client.NO_DATE}, {"SiteID", "int", site_id},
        })
        if not text then
            return nil, err
        end
        local root, problem = client.document(text, "STOCK_STATUS")
        if problem then
            return nil, problem
        end
        local found = {}
        for _, node in ipairs(root and xml.children(root, "STOCK_ITEM") or {}) do
            local code = node.attrs.CODE
            if found[code or ""] then
                return nil, errors.new({kind = "remote", retryable = true,
                    details = {is_unreadable = true}, message = string.format(
                        "Khaos lists the level of %s twice for one site", code)})
            end
            found[code or ""] = level_of(node)
        end
        each(found, chunk, began_ms)
        return true
    end, refused)
end

local function truth(text)
    return text == "-1" or text == "1"
end

local function components_of(node)
    local links = xml.child(node, "LINKED_ITEMS")
    local components
    for _, link in ipairs(links and xml.children(links, "LINK_ITEM") or {}) do
        local code = xml.value(link, "STOCK_CODE")
        if xml.value(link, "LINK_TYPE") == PACK and code and code ~= "" then
            components = components or {}
            components[code] = (components[code] or 0)
                + math.max(whole(xml.value(link, "LINK_VALUE")) or 1, 1)
        end
    end
    return components
end

local function user_defined(node, name)
    for _, child in ipairs(xml.children(node, "USER_DEFINED")) do
        if child.attrs.NAME == name then
            return whole(child.text)
        end
    end
    return nil
end

local function value(node, name)
    local text = node and xml.value(node, name)
    return text ~= "" and text or nil
end

local function buffer_of(node, field)
    if not node or not field then
        return nil
    end
    return field == "SAFE_LEVEL" and whole(xml.value(node, field)) or user_defined(node, field)
end

-- What a nested variant does not say of itself its parent says.
local function detail_of(node, parent, fields)
    local function either(name)
        return value(node, name) or value(parent, name)
    end
    local field, runs_to_zero = fields.buffer_field, either("RUN_TO_ZERO")
    return {
        is_hidden = truth(either("DELETED")) or nil,
        runs_to_zero = runs_to_zero and truth(runs_to_zero),
        max_display = whole(either("MAX_DISPLAY_QTY")),
        category = fields.category_field and either(fields.category_field) or nil,
        buffer = buffer_of(node, field) or buffer_of(parent, field),
        components = components_of(node),
    }
end

-- Adds what Khaos exports when it is asked for these codes.
local function export(khaos, codes, fields, found, refused)
    return stock_export.each(khaos, codes, function(node, parent)
        local code = value(node, "STOCK_CODE")
        if code and not (parent and found[code]) then
            found[code] = detail_of(node, parent, fields)
        end
    end, refused)
end

-- Parents of codes that Khaos does not export by themselves -> these codes.
local function parents_of(codes, found, parent_of)
    local variants, list = {}, {}
    for _, code in ipairs(codes) do
        local parent = not found[code] and parent_of(code)
        if parent and not variants[parent] then
            variants[parent] = {}
            list[#list + 1] = parent
        end
        if parent then
            table.insert(variants[parent], code)
        end
    end
    return list, variants
end

-- A parent that Khaos does not answer for is one for each of its variants.
local function refused_variants(variants, refused)
    return refused and function(parent, err)
        local ok, problem = true, nil
        for _, code in ipairs(variants[parent]) do
            if ok then
                ok, problem = refused(code, err)
            end
        end
        return ok, problem
    end
end

--- How items may be sold, by exact code, of others too. `fields` names what the client keeps where:
--- the user defined attribute that holds the web buffer (or SAFE_LEVEL), the element that is the
--- category. A variant that Khaos exports only under its parent is asked for by that.
---@async
---@param khaos khaos.Client
---@param codes string[]
---@param fields {buffer_field: string|nil, category_field: string|nil}
---@param parent_of fun(code: string): string|nil
---@param refused nil|fun(code: string, err: neap.Error): any, neap.Error|nil as chunks.each has it
---@return table<string, table>|nil
---@return neap.Error|nil
function levels.details(khaos, codes, fields, parent_of, refused)
    local found = {}
    local ok, err = export(khaos, codes, fields, found, refused)
    if ok then
        local list, variants = parents_of(codes, found, parent_of)
        ok, err = export(khaos, list, fields, found, refused_variants(variants, refused))
    end
    return ok and found, err
end

return levels
