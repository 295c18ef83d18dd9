--- Reads what moved or was edited in Khaos since the last poll, and marks what of it must be told.
---
--- The very first poll, and a full one now and then, reads everything: in chunks, each kept before
--- the next is asked for, so that an interrupted one goes on where it was.
local khaos_client = require("connectors.khaos_soap.client")
local khaos_stock = require("connectors.khaos_soap.stock")
local khaos_line = require("flows.khaos_line")
local levels = require("connectors.khaos_soap.levels")
local stock_pending = require("flows.stock_pending")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local tables = require("flows.stock_stages.tables")
local time = require("neap.time")

local function check(job, value, err)
    return support.check({job = job}, "Khaos", value, err)
end

-- code -> whether its details (not only its level) may have changed.
local function changes(job, khaos, state)
    local wanted = {}
    local since = state.since_ms and khaos:date_time(state.since_ms) or khaos_client.NO_DATE
    local revised, err = khaos_stock.changed_since(khaos, khaos_stock.REVISED, since)
    for _, entry in ipairs(check(job, revised, err)) do
        wanted[entry.code] = true
    end
    if state.since_ms then
        local moved, problem = khaos_stock.changed_since(khaos, khaos_stock.MOVED, since)
        for _, entry in ipairs(check(job, moved, problem)) do
            wanted[entry.code] = wanted[entry.code] or false
        end
    end
    return wanted
end

-- What was set free, and kits whose components moved: Khaos dates neither.
local function add_related(wanted)
    local reread = {}
    for _, pair in ipairs(store.range(stock_pending.REREAD, {limit = 10000})) do
        reread[pair.key] = pair.value.since_ms
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
    return reread
end

-- A full poll that was interrupted has read these already.
local function is_read(code, state)
    local item = state.full_started_ms and store.get(tables.ITEMS, code)
    return item and item.read_ms and item.read_ms >= state.full_started_ms
end

local function sorted(wanted, state)
    local list = {}
    for code in pairs(wanted) do
        if not is_read(code, state) then
            list[#list + 1] = code
        end
    end
    table.sort(list)
    return list
end

local function add_details(job, khaos, codes, wanted)
    local asked = {}
    for _, code in ipairs(codes) do
        if wanted[code] or not store.get(tables.ITEMS, code) then
            asked[#asked + 1] = code
        end
    end
    local found, err = levels.details(khaos, asked, job.settings)
    found = check(job, found, err)
    for _, code in ipairs(asked) do
        local old = store.get(tables.ITEMS, code) or {}
        local new = found[code] or {is_hidden = true}
        stock_pending.set_components(code, old.components, new.components)
        new.code, new.sites, new.read_ms = code, old.sites, old.read_ms
        new.available, new.potential = old.available, old.potential
        new.is_uncontrolled = old.is_uncontrolled
        store.put(tables.ITEMS, code, new)
    end
end

local function keep_levels(found, codes, began_ms, site_id)
    for _, code in ipairs(codes) do
        local item = store.get(tables.ITEMS, code) or {code = code}
        local level = found[code] or {}
        level.read_ms = began_ms
        item.sites = item.sites or {}
        item.sites[tostring(site_id)] = level
        tables.keep(code, item, began_ms)
        store.delete(stock_pending.REREAD, code)
    end
end

local function part(list, first, last)
    return table.move(list, first, math.min(last, #list), 1, {})
end

local function read_all(job, khaos, codes, wanted)
    local size = job.settings.chunk
    for first = 1, #codes, size do
        local chunk = part(codes, first, first + size - 1)
        add_details(job, khaos, chunk, wanted)
        for _, site_id in ipairs(job.settings.sites) do
            local ok, err = levels.read(khaos, chunk, site_id, function(found, read, began_ms)
                keep_levels(found, read, began_ms, site_id)
            end)
            check(job, ok, err)
        end
        if #codes > 10 * size then
            job:note("stock", string.format("%d of %d codes read",
                math.min(first + size - 1, #codes), #codes))
        end
    end
end

--- One poll.
---@async
---@param job neap.Job
return function(job)
    local settings = job.settings
    local khaos = khaos_line.new(settings.khaos)
    local state = store.get(tables.STATE, "poll") or {}
    stock_pending.begin()
    local started_ms = time.now_ms()
    local is_full = not state.since_ms or started_ms - (state.full_ms or 0)
        >= settings.full_every_ms
    if is_full then
        state.since_ms = nil
        state.full_started_ms = state.full_started_ms or started_ms
        store.put(tables.STATE, "poll", state)
    end
    local wanted = changes(job, khaos, state)
    add_related(wanted)
    local codes = sorted(wanted, state)
    read_all(job, khaos, codes, wanted)
    local now = store.get(tables.STATE, "poll") or {}
    store.put(tables.STATE, "poll", {since_ms = started_ms - settings.overlap_ms,
        full_ms = is_full and started_ms or now.full_ms or state.full_ms, ran_ms = started_ms})
    stock_pending.settle(started_ms - settings.overlap_ms)
    if #codes > 0 then
        job:note("stock", string.format("%d codes read%s", #codes, is_full and " (all)" or ""))
    end
end
