--- Quiet hours of a client, in its zone: "20:00" to "07:00" on every day, and whole days.
local time = require("neap.time")

local quiet = {}

local MINUTE_MS = 60000
local DAY_MS = 24 * 60 * MINUTE_MS
local DAYS = {"thu", "fri", "sat", "sun", "mon", "tue", "wed"} -- 1970-01-01 was a Thursday

quiet.SCHEMA = {type = "record", fields = {
    from = {type = "string", pattern = "^[0-2]%d:[0-5]%d$", hint = "20:00"},
    to = {type = "string", pattern = "^[0-2]%d:[0-5]%d$", hint = "07:00"},
    days = {type = "list", items = {type = "string",
        enum = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"}},
        help = "days that are quiet as a whole"},
    zone = {type = "string", default = "Europe/London"},
    except = {type = "list", items = {type = "string"}, default = {},
        help = "causes that are told all the same"},
}}

local function minutes(text)
    return tonumber(text:sub(1, 2)) * 60 + tonumber(text:sub(4, 5))
end

-- Minute of the day and name of the day where the client is.
local function local_time(ms, zone)
    local text = assert(time.format_iso(ms, {zone = zone}))
    local midnight_ms = assert(time.parse_iso(text:sub(1, 10), {zone = "UTC"}))
    return minutes(text:sub(12, 16)), DAYS[midnight_ms // DAY_MS % 7 + 1]
end

local function is_within(minute, from, to)
    if from <= to then
        return minute >= from and minute < to
    end
    return minute >= from or minute < to
end

---@param setting table|nil
---@param ms integer
---@return boolean
function quiet.is_quiet(setting, ms)
    if not setting then
        return false
    end
    local minute, day = local_time(ms, setting.zone)
    for _, name in ipairs(setting.days or {}) do
        if name == day then
            return true
        end
    end
    return setting.from ~= nil and setting.to ~= nil
        and is_within(minute, minutes(setting.from), minutes(setting.to))
end

--- The end of the quiet time that ms lies in, to the quarter of an hour; at most a week away.
---@param setting table
---@param ms integer
---@return integer
function quiet.end_ms(setting, ms)
    local at_ms = ms
    local step = 15 * MINUTE_MS
    for _ = 1, 7 * 24 * 4 do
        if not quiet.is_quiet(setting, at_ms) then
            return at_ms
        end
        at_ms = (at_ms // step + 1) * step
    end
    return at_ms
end

--- Whether a cause is told in quiet hours too.
---@param setting table
---@param cause string
---@return boolean
function quiet.is_exempt(setting, cause)
    for _, name in ipairs(setting.except) do
        if name == cause then
            return true
        end
    end
    return false
end

return quiet
