--- Reads codes in Khaos, details and levels per site, and keeps what it read chunk by chunk. Codes
--- that Khaos does not answer for are left as they are (unread.lua).
local levels = require("connectors.khaos_soap.levels")
local stock_pending = require("flows.stock_pending")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local tables = require("flows.stock_stages.tables")
local time = require("neap.time")
local unread = require("flows.stock_stages.unread")

local reading = {}

--- What Khaos answered; raises what may be tried again.
---@param job neap.Job
---@param value any
---@param err neap.Error|nil
---@return any
function reading.check(job, value, err)
    return support.check({job = job}, "Khaos", value, err)
end

-- As a list just said, or one before.
local function parents(listed)
    return function(code)
        local item, row = store.get(tables.ITEMS, code), store.get(tables.LISTED, code)
        return listed[code] or item and item.parent or type(row) == "string" and row or nil
    end
end

-- The level stays as it is by now. Another reading may have begun later and be kept already.
local function keep_details(code, new, parent, began_ms)
    local old = store.get(tables.ITEMS, code) or {}
    if old.details_ms and old.details_ms > began_ms then
        return
    end
    stock_pending.set_components(code, old.components, new.components)
    new.code, new.sites, new.read_ms = code, old.sites, old.read_ms
    new.available, new.potential = old.available, old.potential
    new.is_uncontrolled, new.is_discontinued = old.is_uncontrolled, old.is_discontinued
    new.parent, new.details_ms = parent, began_ms
    store.put(tables.ITEMS, code, new)
end

-- Gives why some were refused, by code.
local function add_details(job, khaos, codes, parent_of)
    local began_ms = time.now_ms()
    local function ask(wanted, refused)
        return levels.details(khaos, wanted, job.settings, parent_of, refused)
    end
    local refusals = unread.refusals(ask)
    local found, err = ask(codes, refusals:taker())
    found = reading.check(job, found, err)
    for _, code in ipairs(codes) do
        refusals.words[code] = not found[code] and refusals.words[code] or nil
        if not refusals.words[code] then
            store.atomic(function()
                keep_details(code, found[code] or {is_hidden = true}, parent_of(code), began_ms)
            end)
        end
    end
    return refusals.words
end

-- Sites that the settings name no more do not count; true when all that they name are there.
local function settle_sites(item, sites)
    local kept, is_whole = {}, true
    for _, id in ipairs(sites) do
        kept[tostring(id)] = item.sites[tostring(id)]
        is_whole = is_whole and kept[tostring(id)] ~= nil
    end
    item.sites = kept
    return is_whole
end

local function is_reread(code, item)
    local wish = store.get(stock_pending.REREAD, code)
    return wish ~= nil and wish.since_ms < item.read_ms
end

-- Another reading may have begun later and be kept already. A figure needs all sites.
local function keep_level(code, level, began_ms, site_id, sites)
    local item = store.get(tables.ITEMS, code) or {code = code}
    item.sites = item.sites or {}
    local known = item.sites[tostring(site_id)]
    if known and known.read_ms > began_ms then
        return
    end
    level.read_ms = began_ms
    item.sites[tostring(site_id)] = level
    if not settle_sites(item, sites) then
        store.put(tables.ITEMS, code, item)
        return
    end
    tables.keep(code, item, began_ms)
    if is_reread(code, item) then
        store.delete(stock_pending.REREAD, code)
    end
end

local function keep_levels(found, codes, began_ms, site_id, sites)
    for _, code in ipairs(codes) do
        store.atomic(function()
            keep_level(code, found[code] or {}, began_ms, site_id, sites)
        end)
    end
end

-- Gives why some were refused, by code.
local function add_levels(job, khaos, codes, site_id)
    local function ask(wanted, refused)
        return levels.read(khaos, wanted, site_id, function(found, read, began_ms)
            keep_levels(found, read, began_ms, site_id, job.settings.sites)
        end, refused)
    end
    local refusals = unread.refusals(ask)
    local ok, err = ask(codes, refusals:taker())
    reading.check(job, ok, err)
    return refusals.words
end

local function part(list, first, last)
    return table.move(list, first, math.min(last, #list), 1, {})
end

local function without_details(codes, has_changed)
    local list = {}
    for _, code in ipairs(codes) do
        if has_changed(code) or not store.get(tables.ITEMS, code) then
            list[#list + 1] = code
        end
    end
    return list
end

-- Without those of which nothing but their level would be known.
local function with_details(codes, refused)
    local list = {}
    for _, code in ipairs(codes) do
        if not refused[code] or store.get(tables.ITEMS, code) then
            list[#list + 1] = code
        end
    end
    return list
end

local function read_chunk(job, khaos, chunk, wanted)
    local parent_of = parents(wanted.parents)
    local words = add_details(job, khaos, without_details(chunk, wanted.has_changed), parent_of)
    local codes = with_details(chunk, words)
    for _, site_id in ipairs(job.settings.sites) do
        for code, why in pairs(add_levels(job, khaos, codes, site_id)) do
            words[code] = why
        end
    end
    unread.keep(chunk, words)
end

---@class stock.Wanted
---@field codes string[]
---@field has_changed fun(code: string): boolean its details are asked for, as are unknown codes'
---@field parents table<string, string> of variants, as a list just said

--- Reads codes.
---@async
---@param job neap.Job
---@param khaos khaos.Client
---@param wanted stock.Wanted
function reading.run(job, khaos, wanted)
    local size = job.settings.chunk
    for first = 1, #wanted.codes, size do
        read_chunk(job, khaos, part(wanted.codes, first, first + size - 1), wanted)
    end
    unread.tell(job)
end

return reading
