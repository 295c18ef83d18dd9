--- Reads what moved or was edited in Khaos since the last poll, what orders took or set free, kits
--- of all these and what they are made of. Everything else is the full reading's
--- (flows.stock_stages.full).
local khaos_line = require("flows.khaos_line")
local khaos_stock = require("connectors.khaos_soap.stock")
local reading = require("flows.stock_stages.reading")
local stock_pending = require("flows.stock_pending")
local store = require("neap.store")
local tables = require("flows.stock_stages.tables")
local time = require("neap.time")
local unread = require("flows.stock_stages.unread")

local MANY = 1000
local REREAD_MAX = 10000

-- code -> whether its details (not only its level) may have changed; code -> parent.
local function changes(job, khaos, since_ms)
    local wanted, parents, since = {}, {}, khaos:date_time(since_ms)
    for _, date_type in ipairs({khaos_stock.REVISED, khaos_stock.MOVED}) do
        local list, err = khaos_stock.changed_since(khaos, date_type, since)
        for _, entry in ipairs(reading.check(job, list, err)) do
            wanted[entry.code] = wanted[entry.code] or date_type == khaos_stock.REVISED
            parents[entry.code] = entry.parent_code
        end
    end
    return wanted, parents
end

-- What orders took or set free, of that what shares components with it: Khaos need not move them.
-- The wishes stay until each of these was read.
local function add_wishes(wanted)
    local page = store.range(stock_pending.REREAD, {limit = REREAD_MAX})
    local wished, since_ms = {}, 0
    for _, pair in ipairs(page) do
        wanted[pair.key] = wanted[pair.key] or false
        wished[pair.key], since_ms = true, math.max(since_ms, pair.value.since_ms)
    end
    -- All at once: many kits may share a component.
    for code in pairs(stock_pending.related(wished)) do
        stock_pending.wish(code, since_ms)
    end
    return #page < REREAD_MAX
end

-- Kits of what moved do not move in Khaos. True when all that is to be read again is in it.
local function add_related(wanted)
    local is_all = add_wishes(wanted)
    for _, code in ipairs(unread.codes()) do
        wanted[code] = true
    end
    for code in pairs(stock_pending.related(wanted)) do
        wanted[code] = wanted[code] or false
    end
    return is_all
end

local function sorted(wanted)
    local list = {}
    for code in pairs(wanted) do
        list[#list + 1] = code
    end
    table.sort(list)
    return list
end

-- What was posted of these is in no reading yet.
local function still_unread()
    local set = {}
    for _, code in ipairs(unread.codes()) do
        set[code] = true
    end
    return stock_pending.related(set)
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
    local wanted, parents = changes(job, khaos, since_ms)
    local is_all = add_related(wanted)
    local codes = sorted(wanted)
    if #codes >= MANY then
        job:note("stock", string.format("%d codes moved: they are read", #codes))
    end
    reading.run(job, khaos, {codes = codes, parents = parents, has_changed = function(code)
        return wanted[code]
    end})
    store.put(tables.STATE, "poll", {since_ms = started_ms - settings.overlap_ms,
        ran_ms = started_ms})
    if is_all then
        stock_pending.settle(started_ms - settings.overlap_ms, still_unread())
    end
    if #codes > 0 then
        job:note("stock", string.format("%d codes read", #codes))
    end
end
