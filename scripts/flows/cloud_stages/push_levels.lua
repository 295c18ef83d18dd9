--- StockStatusUpload, taken: absolute levels per item and site that Khaos Control Cloud pushes. A
--- repeat changes nothing.
local cloud_items = require("flows.stock_stages.cloud_items")
local khaos_stock = require("connectors.khaos_cloud.stock")
local poll_cloud = require("flows.stock_stages.poll_cloud")
local presence = require("flows.cloud_stages.presence")
local stock_pending = require("flows.stock_pending")
local store = require("neap.store")
local tables = require("flows.stock_stages.tables")
local time = require("neap.time")

local push_levels = {}

push_levels.read = khaos_stock.read_levels

--- A push's turn has come. The first one begins the reading: what was posted before it is
--- subtracted until one holds it.
---@param job neap.Job
function push_levels.begin(job)
    local received_ms, age_ms = job.event.received_ms, job.settings.khaos.push_age_ms
    presence.levels_came(received_ms, age_ms)
    stock_pending.begin()
    if not store.get(tables.STATE, "poll") then
        store.put(tables.STATE, "poll", {since_ms = received_ms - age_ms,
            ran_ms = time.now_ms()})
    end
end

-- Levels may tell a new code before its item does: the same goods are not sold under both.
local function leave_former_code(entry, now_ms)
    local known = store.get(cloud_items.CODE_OF_ID, entry.stock_id) or {}
    local former = known.level_code or known.code
    if former and former ~= entry.code then
        local item = cloud_items.get(former)
        cloud_items.empty(item, function(level)
            return level.stock_id == entry.stock_id
        end)
        cloud_items.keep(item, now_ms)
    end
    if known.level_code ~= entry.code then
        known.level_code = entry.code
        store.put(cloud_items.CODE_OF_ID, entry.stock_id, known)
    end
end

--- Takes the level of one item at one site.
---@param job neap.Job
---@param entry khaos.PushedLevel
function push_levels.take(job, entry)
    local age_ms, now_ms = job.settings.khaos.push_age_ms, time.now_ms()
    if entry.stock_id then
        leave_former_code(entry, now_ms)
    end
    local item, level = cloud_items.get(entry.code), entry.level
    level.stock_id = entry.stock_id
    level.read_ms = presence.level_ms(job.event.received_ms, age_ms)
    cloud_items.put_level(item, entry.site, level)
    -- The other sites are as they were told: this push may say more of them yet.
    poll_cloud.confirm(item, presence.complete_ms(age_ms) or 0)
    cloud_items.keep(item, now_ms)
end

--- All of a push is taken: levels are complete up to what it says, but for what could not be read.
---@param job neap.Job
---@param found {lost: integer}
function push_levels.finish(job, found)
    if found.lost > 0 then
        presence.lost(job.event.received_ms)
    end
    presence.levels_taken(job.event.received_ms)
end

return push_levels
