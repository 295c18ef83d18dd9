--- The stock flow's poll where Khaos pushes levels: nothing is asked for; what was pushed grows
--- newer while Khaos is heard and says nothing else.
---
--- Up to which instant the levels are complete is presence.lua's knowledge; orders posted after it
--- are subtracted. (Contract 8.8: an older push that overtakes a newer one cannot be told; the next
--- one mends it.)
local cloud_items = require("flows.stock_stages.cloud_items")
local presence = require("flows.cloud_stages.presence")
local stock_pending = require("flows.stock_pending")
local store = require("neap.store")
local tables = require("flows.stock_stages.tables")
local time = require("neap.time")

local WISHES = 10000 -- looked at in one run

local poll_cloud = {}

--- Takes all sites of an item as read at this instant, if they are not newer.
---@param item table
---@param read_ms integer
function poll_cloud.confirm(item, read_ms)
    for _, site in pairs(item.sites or {}) do
        site.read_ms = math.max(site.read_ms, read_ms)
    end
end

-- In one piece: a push may come at any time. The wish stays until the levels are complete beyond
-- it: what it is of may be part of kits, whose levels are of other instants.
local function refresh(code, read_ms, now_ms)
    store.atomic(function()
        local item = store.get(tables.ITEMS, code)
        if item and item.read_ms and item.read_ms < read_ms then
            poll_cloud.confirm(item, read_ms)
            tables.keep(code, item, now_ms)
        end
        local wish = store.get(stock_pending.REREAD, code)
        if wish and wish.since_ms < read_ms then
            store.delete(stock_pending.REREAD, code)
        end
    end)
end

-- Codes whose figure waits for a newer reading: set free, ignored as stale, or taken by orders. Of
-- very many wishes the next ones, and where to go on.
local function waiting_codes(read_ms, after)
    local codes = stock_pending.posted_before(read_ms)
    local page = store.range(stock_pending.REREAD, {after = after, limit = WISHES})
    for _, pair in ipairs(page) do
        codes[pair.key] = true
    end
    return stock_pending.related(codes), #page == WISHES and page[#page].key or nil
end

--- One tick.
---@param job neap.Job
function poll_cloud.run(job)
    local now_ms = time.now_ms()
    cloud_items.tell(job)
    local read_ms = presence.complete_ms(job.settings.khaos.push_age_ms)
    if not read_ms then
        return
    end
    stock_pending.begin()
    local known = store.get(tables.STATE, "poll") or {}
    local codes, after = waiting_codes(read_ms, known.after)
    for code in pairs(codes) do
        refresh(code, read_ms, now_ms)
    end
    store.put(tables.STATE, "poll", {since_ms = read_ms, ran_ms = now_ms, after = after})
    stock_pending.settle(read_ms)
end

return poll_cloud
