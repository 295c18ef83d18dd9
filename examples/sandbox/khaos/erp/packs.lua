--- Packs in an order: which line is the header, which its children, for both product lines.

local reader = require("erp.reader")

local packs = {}

local SOAP_CHILD = "002"

--- Pack headers and their children (contract 2.5, 8.5, 10): 001.001 is a header, which must be a
--- pack in Khaos; its children are all 001.002 over SOAP, and 001.002, 001.003 and on in Cloud.
--- Children without their header are refused.
---@param r table {problems}
---@param lines table[]
---@param is_cloud boolean
function packs.check(r, lines, is_cloud)
    local headers, seen = {}, {}
    for _, line in ipairs(lines) do
        local place = line.values.PACK_SORT_ORDER
        local pack, index = (place or ""):match("^(%d%d%d)%.(%d%d%d)$")
        if place and (not pack or pack == "000" or index == "000") then
            reader.problem(r, "%s/pack place must be like 001.001, not %s", line.label, place)
        elseif place and not is_cloud and index ~= "001" and index ~= SOAP_CHILD then
            reader.problem(r, "%s/children of pack %s are %s.%s, not %s", line.label, pack, pack,
                SOAP_CHILD, place)
        elseif place and seen[place] and (is_cloud or index == "001") then
            reader.problem(r, "%s/pack place %s appears twice", line.label, place)
        elseif place and index == "001" then
            headers[pack] = line
            line.is_header = true
            if line.item and not line.item.kit then
                reader.problem(r, "%s: stock item %s is not a pack", line.label, line.item.code)
            end
        elseif place then
            line.is_child_of = pack
        end
        seen[place or ""] = true
    end
    for _, line in ipairs(lines) do
        local header = headers[line.is_child_of]
        if header then
            header.has_children = true
        elseif line.is_child_of then
            reader.problem(r, "%s is a child of pack %s, which has no header", line.label,
                line.is_child_of)
        end
    end
end

return packs
