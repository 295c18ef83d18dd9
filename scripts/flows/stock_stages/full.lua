--- The full reading: every code of Khaos with its details and levels, once in `full_every_ms`,
--- `full_batch` codes at a tick, in the background of the polls. It goes on where it was, whatever
--- ends in between; a million codes are never in memory at once.
local khaos_client = require("connectors.khaos_soap.client")
local khaos_line = require("flows.khaos_line")
local khaos_stock = require("connectors.khaos_soap.stock")
local reading = require("flows.stock_stages.reading")
local stock_pending = require("flows.stock_pending")
local store = require("neap.store")
local tables = require("flows.stock_stages.tables")
local time = require("neap.time")

local PAGE = 2000
local KEY_MAX = 400 -- bytes; a longer code cannot be kept, and no order names it

---@class stock.Full
---@field started_ms integer
---@field completed_ms integer|nil start of the newest complete one
---@field is_under_way boolean|nil
---@field after string|nil code that was read last
---@field read integer
---@field listed integer

-- A piece of the new list. Codes that are listed no more are kept with it: they are read once
-- again, and Khaos says itself that they are gone.
local function replace(rows)
    return store.atomic(function()
        local step = rows:replace(tables.LISTED, PAGE)
        for _, code in ipairs(step.gone) do
            local item = store.get(tables.ITEMS, code)
            if item and not item.is_hidden then
                store.put(tables.GONE, code, true)
            end
        end
        return step.is_over
    end)
end

-- What an earlier listing left, when it was ended before this, is taken along.
local function list_gone()
    repeat
        local page = store.range(tables.GONE, {limit = PAGE})
        store.atomic(function()
            for _, pair in ipairs(page) do
                store.put(tables.LISTED, pair.key, true)
                store.delete(tables.GONE, pair.key)
            end
        end)
    until #page < PAGE
end

-- Which codes there are, in order; an empty list is not believed.
local function list_codes(job, khaos)
    local list, err = khaos_stock.list_since(khaos, khaos_stock.REVISED, khaos_client.NO_DATE)
    list = reading.check(job, list, err)
    local rows, count = store.sorter(), 0
    repeat
        local page = reading.check(job, list:page(PAGE))
        for _, entry in ipairs(page) do
            if #entry.code <= KEY_MAX then
                rows:add(entry.code, entry.parent_code or true)
                count = count + 1
            end
        end
    until #page == 0
    local is_over = count == 0
    while not is_over do
        is_over = replace(rows)
    end
    list_gone()
    return count
end

-- Codes that a poll has read meanwhile are read.
local function is_read(code, state)
    local item = store.get(tables.ITEMS, code)
    return item and item.read_ms and item.read_ms >= state.started_ms
end

local function next_codes(state, limit)
    local codes, parents = {}, {}
    local page = store.range(tables.LISTED, {after = state.after, limit = limit})
    for _, pair in ipairs(page) do
        state.after = pair.key
        codes[#codes + 1] = not is_read(pair.key, state) and pair.key or nil
        parents[pair.key] = type(pair.value) == "string" and pair.value or nil
    end
    state.read = state.read + #page
    return codes, parents, #page < limit
end

local function begin(job, khaos, before, now_ms)
    local listed = list_codes(job, khaos)
    job:note("stock", string.format("full reading of %d codes begins", listed))
    return {is_under_way = true, started_ms = now_ms, completed_ms = before.completed_ms,
        read = 0, listed = listed}
end

local full = {}

--- One tick.
---@async
---@param job neap.Job
function full.run(job)
    local settings, now_ms = job.settings, time.now_ms()
    local state = store.get(tables.STATE, "full") or {}
    local is_due = now_ms - (state.completed_ms or 0) >= settings.full_every_ms
    if not state.is_under_way and not is_due then
        return
    end
    local khaos = khaos_line.new(settings.khaos)
    if not state.is_under_way then
        stock_pending.begin()
        state = begin(job, khaos, state, now_ms)
        store.put(tables.STATE, "full", state)
    end
    local codes, parents, is_over = next_codes(state, settings.full_batch)
    reading.run(job, khaos, {codes = codes, parents = parents, has_changed = function()
        return true
    end})
    if is_over then
        state = {completed_ms = state.started_ms, read = state.read, listed = state.listed}
        job:note("stock", string.format("full reading of %d codes is complete", state.read))
    end
    store.put(tables.STATE, "full", state)
end

return full
