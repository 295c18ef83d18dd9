--- Keeps the mirror of Khaos's stock codes fresh, and closes what waited for a code that is there
--- now.
---
--- Each tick asks GetStockList for what was revised and what moved since the last run, minus an
--- overlap: the dates are the server's local time, so an hour is ambiguous once a year, and
--- clocks differ. The whole list is read the first time and then rarely, to forget codes that
--- Khaos dropped.
local client = require("connectors.khaos_soap.client")
local codes = require("flows.khaos_codes")
local khaos_line = require("flows.khaos_line")
local stock = require("connectors.khaos_soap.stock")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local time = require("neap.time")

local TABLE = "khaos_mirror"
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

-- Entries that the mirror does not have like that yet.
local function news_of(revised, moved)
    local news = {}
    for _, entry in ipairs(revised) do
        local known = codes.get(entry.code)
        if not known or known.last_updated ~= entry.last_updated then
            news[entry.code] = entry
        end
    end
    for _, entry in ipairs(moved) do
        if not news[entry.code] and not codes.get(entry.code) then
            news[entry.code] = {code = entry.code, parent_code = entry.parent_code}
        end
    end
    return news
end

local function sorted_codes(entries)
    local list = {}
    for code in pairs(entries) do
        list[#list + 1] = code
    end
    table.sort(list)
    return list
end

-- A variant that is not exported by itself is nested under its parent.
local function parents_of(news, details)
    local parents = {}
    for code, entry in pairs(news) do
        if not details[code] and entry.parent_code then
            parents[entry.parent_code] = true
        end
    end
    return sorted_codes(parents)
end

local function add_details(job, khaos, news)
    local details = check(job, stock.export(khaos, sorted_codes(news)))
    local parents = parents_of(news, details)
    local nested = #parents > 0 and check(job, stock.export(khaos, parents)) or {}
    for code, entry in pairs(news) do
        for name, value in pairs(details[code] or nested[code] or {}) do
            entry[name] = value
        end
    end
end

local function forget_unlisted(revised)
    local listed, gone = {}, {}
    for _, entry in ipairs(revised) do
        listed[entry.code] = true
    end
    codes.each(function(code)
        if not listed[code] then
            gone[#gone + 1] = code
        end
    end)
    for _, code in ipairs(gone) do
        codes.forget(code)
    end
    return #gone
end

-- What changed since the last run; everything when the run is a full one.
local function read_changes(job, khaos, state, is_full)
    local since = is_full and client.NO_DATE or khaos:date_time(state.since_ms)
    local revised = check(job, stock.changed_since(khaos, stock.REVISED, since))
    if is_full then
        return revised, {}
    end
    return revised, check(job, stock.changed_since(khaos, stock.MOVED, since))
end

local function refresh(job)
    local settings = job.settings
    local khaos = khaos_line.new(settings.khaos)
    if not khaos.capabilities.poll_stock then
        return codes.close_proved(job) -- Khaos pushes its codes
    end
    local state = store.get(TABLE, "state") or {}
    local started_ms = time.now_ms()
    local is_full = not state.full_ms or started_ms - state.full_ms >= settings.full_every_ms
    local revised, moved = read_changes(job, khaos, state, is_full)
    local news = news_of(revised, moved)
    local changed = sorted_codes(news)
    if #changed > 0 and #changed <= settings.detail_limit then
        add_details(job, khaos, news)
    end
    codes.put(news)
    local gone = is_full and #revised > 0 and forget_unlisted(revised) or 0
    store.put(TABLE, "state", {since_ms = started_ms - settings.overlap_ms,
        full_ms = is_full and started_ms or state.full_ms, ran_ms = started_ms})
    if #changed > 0 or gone > 0 then
        job:note("mirror", string.format("%d stock codes changed, %d gone", #changed, gone))
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
