--- Keeps the mirror of Khaos's stock codes fresh, and closes what waited for a code that is there
--- now.
---
--- Each tick asks GetStockList for what was revised and what moved since the last run, minus an
--- overlap: the dates are the server's local time, so an hour is ambiguous once a year, and
--- clocks differ. The whole list is read the first time and then rarely, to forget codes that
--- Khaos dropped. GetStockList knows no pages and no end date, so a million codes come as one
--- answer of some hundred megabytes: it goes to a file, is read page by page, sorted outside of
--- memory, and then walked beside the mirror.
local client = require("connectors.khaos_soap.client")
local codes = require("flows.khaos_codes")
local khaos_line = require("flows.khaos_line")
local stock = require("connectors.khaos_soap.stock")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local time = require("neap.time")

local TABLE = "khaos_mirror"
local LAYOUT = 3 -- of the mirror; another one: read the whole list again
local PAGE = 2000
local MINUTE_MS = 60000

local schema = {type = "record", fields = {
    khaos = khaos_line.schema(),
    overlap_ms = {type = "integer", min = 0, default = 90 * MINUTE_MS,
        help = "asked again on every run; above an hour because of the end of summer time"},
    full_every_ms = {type = "integer", min = MINUTE_MS, default = 24 * 60 * MINUTE_MS,
        help = "how often the whole list is read"},
    detail_limit = {type = "integer", min = 0, default = 150,
        help = "changed codes of one run that ExportStock is asked about (discontinued, VAT rate)"},
}}

local function check(job, value, err)
    return support.check({job = job}, "Khaos", value, err)
end

local function add_details(job, khaos, news)
    check(job, codes.add_details(khaos, news))
end

-- Whether the mirror does not have the entry like that yet. What only moved is news when unknown.
local function is_news(entry, is_revised)
    local known = codes.get(entry.code)
    return not known or (is_revised and known.last_updated ~= entry.last_updated)
end

-- The first changes wait for their details, so that no discontinued code is taken for a good one
-- meanwhile; when there are more than can be asked about, all are written as they come.
local function take(changes, news)
    for code, entry in pairs(news) do
        changes.count = changes.count + (changes.held[code] and 0 or 1)
        changes.held[code] = changes.held[code] or entry
    end
    if changes.count > changes.limit then
        codes.put(changes.held)
        changes.held = {}
    end
end

local function each_page(job, list, fn)
    repeat
        local page = check(job, list:page(PAGE))
        fn(page)
    until #page == 0
end

local function take_list(job, list, changes, is_revised)
    each_page(job, list, function(page)
        local news = {}
        for _, entry in ipairs(page) do
            if is_news(entry, is_revised) then
                news[entry.code] = is_revised and entry
                    or {code = entry.code, parent_code = entry.parent_code}
            end
        end
        take(changes, news)
    end)
end

local function read_changes(job, khaos, since)
    local changes = {count = 0, held = {}, limit = job.settings.detail_limit}
    take_list(job, check(job, stock.list_since(khaos, stock.REVISED, since)), changes, true)
    take_list(job, check(job, stock.list_since(khaos, stock.MOVED, since)), changes, false)
    if next(changes.held) then
        add_details(job, khaos, changes.held)
        codes.put(changes.held)
    end
    return changes.count, 0
end

-- An empty list is not believed: it would forget everything.
local function read_all(job, khaos)
    local list, changed, count = codes.new_list(), {}, 0
    local read = check(job, stock.list_since(khaos, stock.REVISED, client.NO_DATE))
    each_page(job, read, function(page)
        for _, entry in ipairs(page) do
            list:add(entry)
        end
    end)
    local gone = list.count > 0 and list:replace(function(code)
        count = count + 1
        changed[code] = count <= job.settings.detail_limit and codes.get(code) or nil
    end) or 0
    if count > 0 and count <= job.settings.detail_limit then
        add_details(job, khaos, changed)
        codes.put(changed)
    end
    return count, gone
end

local function refresh(job)
    local settings = job.settings
    local khaos = khaos_line.new(settings.khaos)
    if not khaos.capabilities.poll_stock then
        return codes.close_proved(job) -- Khaos pushes its codes
    end
    local state = store.get(TABLE, "state") or {}
    local started_ms = time.now_ms()
    local is_full = not state.full_ms or state.layout ~= LAYOUT
        or started_ms - state.full_ms >= settings.full_every_ms
    local changed, gone
    if is_full then
        changed, gone = read_all(job, khaos)
    else
        changed, gone = read_changes(job, khaos, khaos:date_time(state.since_ms))
    end
    store.put(TABLE, "state", {since_ms = started_ms - settings.overlap_ms, layout = LAYOUT,
        full_ms = is_full and started_ms or state.full_ms, ran_ms = started_ms})
    if changed > 0 or gone > 0 then
        job:note("mirror", string.format("%d stock codes changed, %d gone", changed, gone))
    end
    codes.close_proved(job)
end

return {
    name = "khaos_mirror",
    version = 1,
    schema = schema,
    triggers = {{kind = "schedule", name = "refresh", every_ms = MINUTE_MS}},
    run = refresh,
}
