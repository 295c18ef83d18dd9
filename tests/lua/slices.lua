-- Where the slice of one job can be cut, and another's come in: anywhere but in an atomic piece.
local store = require("neap.store")

local slices = {}

--- Has `other` come in once: after the first reading of this table, or before an atomic piece that
--- comes sooner. Gives what takes that back.
---@param name string
---@param other fun()
---@return fun()
function slices.cut(name, other)
    local get, atomic, is_cut = store.get, store.atomic, false
    local function come_in()
        if not is_cut then
            is_cut = true
            other()
        end
    end
    store.get = function(table_name, key)
        local value = get(table_name, key)
        if table_name == name then
            come_in()
        end
        return value
    end
    store.atomic = function(fn)
        come_in()
        return atomic(fn)
    end
    return function()
        store.get, store.atomic = get, atomic
    end
end

return slices
