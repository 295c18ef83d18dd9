--- ExportStock (contract 3.4): all that Khaos says of some stock codes. Variants may come by
--- themselves, or nested under their parent: SCS, up to four levels of STYLE, SCS_ITEM.
local chunks = require("connectors.khaos_soap.chunks")
local client = require("connectors.khaos_soap.client")

local stock_export = {}

local CHUNK = 15 -- contract 1.8: integrators use 15 codes per ExportStock
local BY_CODE = 1 -- MappingType

local IS_ITEM = {STOCK_ITEM = true, SCS_ITEM = true}
local IS_GROUP = {SCS = true, STYLE = true}

local function each_item(nodes, fn, parent)
    for _, node in ipairs(nodes) do
        if IS_ITEM[node.name] then
            fn(node, parent)
            each_item(node, fn, node.name == "STOCK_ITEM" and node or parent)
        elseif IS_GROUP[node.name] then
            each_item(node, fn, parent)
        end
    end
end

--- Calls `fn` with every item that Khaos exports for these codes and, of a nested one, its parent;
--- of a parent that is asked for, with its variants too. A code with a comma cannot be asked for.
---@async
---@param khaos khaos.Client
---@param codes string[]
---@param fn fun(node: table, parent: table|nil)
---@param refused nil|fun(code: string, err: neap.Error): any, neap.Error|nil as chunks.each has it
---@return true|nil
---@return neap.Error|nil
function stock_export.each(khaos, codes, fn, refused)
    return chunks.each(codes, CHUNK, function(chunk)
        local text, err = khaos:call("ExportStock", {{"StockCode", "string",
            table.concat(chunk, ",")}, {"MappingType", "int", BY_CODE}})
        if not text then
            return nil, err
        end
        local root, problem = client.document(text, "STOCK_ITEMS")
        if problem then
            return nil, problem
        end
        each_item(root or {}, fn)
        return true
    end, refused)
end

return stock_export
