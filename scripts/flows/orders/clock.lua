--- What a Khaos server's clock shows: European zones, which change together at 01:00 UTC on the
--- last Sundays of March and October.
local time = require("neap.time")

local clock = {}

local HOUR_MS = 3600000
local DAY_MS = 24 * HOUR_MS

local WINTER_HOURS = {
    ["UTC"] = 0,
    ["Europe/London"] = 0, ["Europe/Dublin"] = 0, ["Europe/Lisbon"] = 0, ["Europe/Jersey"] = 0,
    ["Europe/Guernsey"] = 0, ["Europe/Isle_of_Man"] = 0,
    ["Europe/Amsterdam"] = 1, ["Europe/Berlin"] = 1, ["Europe/Brussels"] = 1,
    ["Europe/Copenhagen"] = 1, ["Europe/Luxembourg"] = 1, ["Europe/Madrid"] = 1,
    ["Europe/Malta"] = 1, ["Europe/Oslo"] = 1, ["Europe/Paris"] = 1, ["Europe/Prague"] = 1,
    ["Europe/Rome"] = 1, ["Europe/Stockholm"] = 1, ["Europe/Vienna"] = 1, ["Europe/Warsaw"] = 1,
    ["Europe/Zurich"] = 1,
    ["Europe/Athens"] = 2, ["Europe/Bucharest"] = 2, ["Europe/Helsinki"] = 2,
}

-- 1970-01-01 was a Thursday; both months have 31 days.
local function last_sunday(year, month)
    local last = assert(time.parse_iso(string.format("%s-%s-31T01:00:00Z", year, month)))
    return last - (last // DAY_MS + 4) % 7 * DAY_MS
end

local function is_summer(ms)
    local year = time.format_iso(ms):sub(1, 4)
    return ms >= last_sunday(year, "03") and ms < last_sunday(year, "10")
end

--- Whether the zone is one this knows.
---@param zone string
---@return boolean
function clock.knows(zone)
    return WINTER_HOURS[zone] ~= nil
end

--- An instant as that zone's clock shows it, without an offset: "2026-05-04T11:02:58".
---@param ms integer UTC
---@param zone string
---@return string
function clock.local_text(ms, zone)
    local hours = assert(WINTER_HOURS[zone], zone)
    if zone ~= "UTC" and is_summer(ms) then
        hours = hours + 1
    end
    return time.format_iso(ms + hours * HOUR_MS):sub(1, 19)
end

return clock
