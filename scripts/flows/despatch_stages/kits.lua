--- Packs leave Khaos as what they are made of, so a parcel may hold codes that the order does not
--- have.
local store = require("neap.store")
local tables = require("flows.stock_stages.tables")

local kits = {}

--- Does the order hold a code that Khaos may send as others? A pack that we posted, or a kit of the
--- stock mirror; without a mirror nobody knows.
---@param lines table the order's record of its lines
---@return boolean
function kits.are_in(lines)
    for _, line in ipairs(lines.lines) do
        local item = store.get(tables.ITEMS, line.stock_code)
        if line.kind == "pack" or not item or item.components or item.potential then
            return true
        end
    end
    return false
end

return kits
