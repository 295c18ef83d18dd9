--- When goods came back: Khaos says the day on which it made the credit note, not the hour.
local khaos_line = require("flows.khaos_line")
local time = require("neap.time")

local NOON_MS = 12 * 3600000

--- Noon of that day; now when it is today, or when Khaos does not say.
---@param settings table of the returns flow
---@param created_on string|nil "DD/MM/YYYY", khaos.Snapshot
---@return integer ms
return function(settings, created_on)
    local zone, now_ms = {zone = khaos_line.new(settings.khaos).zone}, time.now_ms()
    local day, month, year = (created_on or ""):match("^(%d%d)/(%d%d)/(%d%d%d%d)$")
    local date = day and string.format("%s-%s-%s", year, month, day)
    local at_ms = date and time.parse_iso(date, zone)
    if not at_ms or date >= time.format_date(now_ms, zone) then
        return now_ms
    end
    return at_ms + NOON_MS
end
