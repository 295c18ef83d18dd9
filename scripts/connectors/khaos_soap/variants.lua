--- Items of an ExportStock answer (contract 3.4). Variants may come by themselves, or nested under
--- their parent: SCS, up to four levels of STYLE, SCS_ITEM.
local variants = {}

local IS_ITEM = {STOCK_ITEM = true, SCS_ITEM = true}
local IS_GROUP = {SCS = true, STYLE = true}

--- Calls `fn` with every item and, of a nested one, its parent.
---@param nodes table of the answer
---@param fn fun(node: table, parent: table|nil)
---@param parent table|nil
function variants.each(nodes, fn, parent)
    for _, node in ipairs(nodes) do
        if IS_ITEM[node.name] then
            fn(node, parent)
            variants.each(node, fn, node.name == "STOCK_ITEM" and node or parent)
        elseif IS_GROUP[node.name] then
            variants.each(node, fn, parent)
        end
    end
end

return variants
