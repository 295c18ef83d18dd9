--- Orders that Khaos is amending for us. It deletes an order and imports it anew (contract 5.1),
--- and may keep the record that it deleted as a cancelled one: what it shows of an order meanwhile
--- is no cancellation. Whoever sees one looks again once the amendment is over.
local store = require("neap.store")
local time = require("neap.time")

local amending = {}

local TABLE = "orders_amending" -- key of the order -> {ended_ms = nil while it is under way}

--- An amendment is about to leave.
---@param key string of the order
function amending.begin(key)
    store.put(TABLE, key, {})
end

--- Khaos shows what came of it, or did not do it.
---@param key string of the order
function amending.is_over(key)
    if store.get(TABLE, key) then
        store.put(TABLE, key, {ended_ms = time.now_ms()})
    end
end

--- May what was read since this instant be of the middle of an amendment?
---@param key string of the order
---@param read_ms integer when the reading began
---@return boolean
function amending.covers(key, read_ms)
    local entry = store.get(TABLE, key)
    return entry ~= nil and (entry.ended_ms == nil or entry.ended_ms >= read_ms)
end

return amending
