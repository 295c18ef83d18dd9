--- StockStatusUpload, taken: absolute levels per item and site that Khaos Control Cloud pushes. A
--- repeat changes nothing.
local khaos_stock = require("connectors.khaos_cloud.stock")
local poll_cloud = require("flows.stock_stages.poll_cloud")
local presence = require("flows.cloud_stages.presence")
local stock_pending = require("flows.stock_pending")
local store = require("neap.store")
local tables = require("flows.stock_stages.tables")
local time = require("neap.time")

local push_levels = {}

local function is_served(settings, site)
    for _, id in ipairs(settings.sites) do
        if tostring(id) == site then
            return true
        end
    end
    return false
end

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

--- Takes the level of one item at one site.
---@param job neap.Job
---@param entry {code: string, stock_id: string|nil, site: string, level: khaos.Level}
function push_levels.take(job, entry)
    if not is_served(job.settings, entry.site) then
        return
    end
    local age_ms = job.settings.khaos.push_age_ms
    local read_ms = presence.level_ms(job.event.received_ms, age_ms)
    local item = store.get(tables.ITEMS, entry.code) or {code = entry.code}
    item.sites = item.sites or {}
    local level = entry.level
    level.stock_id = entry.stock_id
    level.read_ms = math.max(read_ms, (item.sites[entry.site] or level).read_ms or read_ms)
    item.sites[entry.site] = level
    -- The other sites are as they were told: this push may say more of them yet.
    poll_cloud.confirm(item, presence.complete_ms(age_ms) or 0)
    tables.keep(entry.code, item, time.now_ms())
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
