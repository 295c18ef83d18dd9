--- Orders that Khaos is amending for us. It deletes an order and imports it anew (contract 5.1),
--- and may keep the record that it deleted as a cancelled one: what it shows of an order meanwhile
--- is no cancellation. Whoever sees one looks again once the amendment is over. Should Khaos say
--- that it did it, and show no more than that record, the order may be lost: the amendment is not
--- over before Khaos shows the order again (flows.unit_stages.wanted).
---
--- Jobs on other keys have Khaos cancel whole orders. Of an order one is under way at a time, an
--- amendment or that: the amendment would import anew what was cancelled, and of a cancellation
--- nobody could tell whether Khaos shows it.
local store = require("neap.store")
local time = require("neap.time")

local amending = {}

-- key of the order -> {ended_ms = nil while it is under way, is_lost}
local TABLE = "orders_amending"
-- key of the order -> {asked_ms, is_done}: Khaos was asked to cancel all of it, and did
local CANCELLING = "orders_cancelling"

-- A job that asked for that and was dismissed is not waited for longer than this.
local WAIT_MS = 24 * 3600000

--- An amendment is about to leave.
---@param key string of the order
---@return boolean false: it must not, Khaos may be cancelling the whole order
function amending.begin(key)
    return store.atomic(function()
        local whole = store.get(CANCELLING, key)
        if whole and (whole.is_done or time.now_ms() - whole.asked_ms < WAIT_MS) then
            return false
        end
        store.put(TABLE, key, {})
        return true
    end)
end

--- Khaos shows what came of it, or did not do it.
---@param key string of the order
function amending.is_over(key)
    local entry = store.get(TABLE, key)
    if entry and not entry.ended_ms then
        store.put(TABLE, key, {ended_ms = time.now_ms()})
    end
end

--- Khaos says that it did it, and does not show the order.
---@param key string
function amending.lose(key)
    store.put(TABLE, key, {is_lost = true})
end

--- May the order be lost in Khaos?
---@param key string
---@return boolean
function amending.is_lost(key)
    local entry = store.get(TABLE, key)
    return entry ~= nil and entry.is_lost == true
end

--- May what was read since this instant be of the middle of an amendment?
---@param key string of the order
---@param read_ms integer when the reading began
---@return boolean
function amending.covers(key, read_ms)
    local entry = store.get(TABLE, key)
    return entry ~= nil and (entry.ended_ms == nil or entry.ended_ms >= read_ms)
end

--- Khaos is about to be asked, perhaps again, to cancel the whole order.
---@param key string
---@return boolean false: it must not, it may be amending the order
function amending.begin_whole(key)
    return store.atomic(function()
        local now_ms = time.now_ms()
        if amending.covers(key, now_ms) then
            return false
        end
        store.put(CANCELLING, key, {asked_ms = now_ms})
        return true
    end)
end

--- What came of that is known.
---@param key string
---@param is_done boolean it is cancelled: nothing is amended any more
function amending.end_whole(key, is_done)
    if is_done then
        store.put(CANCELLING, key, {asked_ms = time.now_ms(), is_done = true})
    else
        store.delete(CANCELLING, key)
    end
end

--- Did Khaos cancel the whole order, so that there is nothing to be amended?
---@param key string
---@return boolean
function amending.is_cancelled(key)
    local whole = store.get(CANCELLING, key)
    return whole ~= nil and whole.is_done == true
end

return amending
