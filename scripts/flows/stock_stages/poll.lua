--- Reads what moved or was edited in Khaos since the last poll, what orders took or set free, and
--- kits of all these. Everything else is the full reading's (flows.stock_stages.full).
local khaos_line = require("flows.khaos_line")
local khaos_stock = require("connectors.khaos_soap.stock")
local reading = require("flows.stock_stages.reading")
local stock_pending = require("flows.stock_pending")
local store = require("neap.store")
local tables = require("flows.stock_stages.tables")
local time = require("neap.time")

local MANY = 1000
local REREAD_MAX = 10000

-- code -> whether its details (not only its level) may have changed.
local function changes(job, khaos, since_ms)
    local wanted, since = {}, khaos:date_time(since_ms)
    local revised, err = khaos_stock.changed_since(khaos, khaos_stock.REVISED, since)
    for _, entry in ipairs(reading.check(job, revised, err)) do
        wanted[entry.code] = true
    end
    local moved, problem = khaos_stock.changed_since(khaos, khaos_stock.MOVED, since)
    for _, entry in ipairs(reading.check(job, moved, problem)) do
        wanted[entry.code] = wanted[entry.code] or false
    end
    return wanted
end

-- What was set free, and kits whose components moved: Khaos dates neither. True when all that is
-- to be read again is in it.
local function add_related(wanted)
    local page = store.range(stock_pending.REREAD, {limit = REREAD_MAX})
    for _, pair in ipairs(page) do
        wanted[pair.key] = wanted[pair.key] or false
    end
    local kits = {}
    for code in pairs(wanted) do
        for _, kit in ipairs(stock_pending.kits_of(code)) do
            kits[kit] = true
        end
    end
    for kit in pairs(kits) do
        wanted[kit] = wanted[kit] or false
    end
    return #page < REREAD_MAX
end

local function sorted(wanted)
    local list = {}
    for code in pairs(wanted) do
        list[#list + 1] = code
    end
    table.sort(list)
    return list
end

--- One poll.
---@async
---@param job neap.Job
return function(job)
    local settings = job.settings
    local khaos = khaos_line.new(settings.khaos)
    local state = store.get(tables.STATE, "poll") or {}
    local started_ms = time.now_ms()
    local since_ms = state.since_ms or started_ms - settings.overlap_ms
    stock_pending.begin()
    local wanted = changes(job, khaos, since_ms)
    local is_all = add_related(wanted)
    local codes = sorted(wanted)
    if #codes >= MANY then
        job:note("stock", string.format("%d codes moved: they are read", #codes))
    end
    reading.run(job, khaos, codes, function(code)
        return wanted[code]
    end)
    store.put(tables.STATE, "poll", {since_ms = started_ms - settings.overlap_ms,
        ran_ms = started_ms})
    if is_all then
        stock_pending.settle(started_ms - settings.overlap_ms)
    end
    if #codes > 0 then
        job:note("stock", string.format("%d codes read", #codes))
    end
end
