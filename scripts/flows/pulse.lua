--- How often something happens: told by the flows that see it (beat), learnt per hour of the week.
---
--- Kept small: one counter per hour, until it is learnt or four weeks old, and one record per name
--- with a mean for each of the 168 hours of a week. What matters is not the time of silence but how
--- much should have happened in it: 40 minutes are nothing at night and an alarm at noon.
---
--- Time in which nobody looked (the host was down, the flow paused) says nothing: it is no silence,
--- and no hour that it touches is learnt.
local json = require("neap.json")
local store = require("neap.store")

local pulse = {}

local COUNTS = "pulse_counts" -- "<name> <hour>" -> how often in that hour since 1970
local LEARNT = "pulse" -- name -> {hour, means, seen}: per hour of the week, and how often seen
-- "watch" -> {last_ms, gaps = {{from_ms, to_ms}, ...}}: when somebody looked last, and the time of
-- the last weeks in which nobody did
local PRESENCE = "pulse_presence"

local HOUR_MS = 3600000
local WEEK_HOURS = 168
-- Weight of the newest week: four weeks make three quarters of the mean.
local NEWEST = 0.3
-- An hour is learnt a day later: a silence must not teach that silence is usual while it lasts.
local LAG_HOURS = 24
-- An absence longer than this is not learnt hour by hour.
local FOLD_MAX = 4 * WEEK_HOURS
-- Two looks further apart than this: nobody was there in between. The watch looks every minute.
local ABSENT_MS = 15 * 60000
local GAPS_MAX = 500

---@param name string
---@return table {hour: integer|nil, means: number[], seen: integer[]}
local function learnt(name)
    return store.get(LEARNT, name) or {means = {}, seen = {}}
end

local function count_key(name, hour)
    return string.format("%s %012d", name, hour)
end

-- Nobody need learn of a name: its counters go all the same.
local function forget_old(name, hour)
    for _, old in ipairs(store.range(COUNTS, {prefix = name .. " 0", limit = 24})) do
        if old.key >= count_key(name, hour - FOLD_MAX - LAG_HOURS) then
            return
        end
        store.delete(COUNTS, old.key)
    end
end

--- Something of this name happened now.
---@param name string
---@param now_ms integer
function pulse.beat(name, now_ms)
    local hour = now_ms // HOUR_MS
    if store.increment(COUNTS, count_key(name, hour)) == 1 then
        forget_old(name, hour)
    end
    store.put(COUNTS, name .. " last", now_ms)
end

--- When something of this name happened last.
---@param name string
---@return integer|nil
function pulse.last_ms(name)
    return store.get(COUNTS, name .. " last")
end

--- Somebody looks now. Call it at every look, before the others.
---@param now_ms integer
function pulse.present(now_ms)
    local presence = store.get(PRESENCE, "watch") or {gaps = {}}
    local gaps = {}
    for _, gap in ipairs(presence.gaps) do
        if gap.to_ms > now_ms - (FOLD_MAX + LAG_HOURS) * HOUR_MS then
            gaps[#gaps + 1] = gap
        end
    end
    if presence.last_ms and now_ms - presence.last_ms > ABSENT_MS then
        gaps[#gaps + 1] = {from_ms = presence.last_ms, to_ms = now_ms}
    end
    if #gaps > GAPS_MAX then
        table.remove(gaps, 1)
    end
    store.put(PRESENCE, "watch", {last_ms = now_ms, gaps = json.array(gaps)})
end

local function gaps_known()
    return (store.get(PRESENCE, "watch") or {gaps = {}}).gaps
end

-- Somebody was there for the whole hour.
local function is_whole(gaps, hour)
    for _, gap in ipairs(gaps) do
        if gap.from_ms < (hour + 1) * HOUR_MS and gap.to_ms > hour * HOUR_MS then
            return false
        end
    end
    return true
end

-- How long somebody was there between two instants.
local function attended_ms(gaps, from_ms, to_ms)
    local left_ms = to_ms - from_ms
    for _, gap in ipairs(gaps) do
        left_ms = left_ms
            - math.max(math.min(gap.to_ms, to_ms) - math.max(gap.from_ms, from_ms), 0)
    end
    return left_ms
end

-- 1970-01-01 00:00 UTC is hour 1 of the week: the slots need an order, not a Monday.
local function slot(hour)
    return hour % WEEK_HOURS + 1
end

local function fold(record, name, hour, is_seen)
    local count = store.get(COUNTS, count_key(name, hour)) or 0
    store.delete(COUNTS, count_key(name, hour))
    if not is_seen then
        return
    end
    local i = slot(hour)
    local seen = record.seen[i] or 0
    -- The first weeks are a plain mean, later ones fade.
    local weight = math.max(NEWEST, 1 / (seen + 1))
    record.means[i] = (record.means[i] or 0) * (1 - weight) + count * weight
    record.seen[i] = math.min(seen + 1, 1000)
end

local function fill(record)
    for i = 1, WEEK_HOURS do
        record.means[i] = record.means[i] or 0
        record.seen[i] = record.seen[i] or 0
    end
end

--- Learns the hours of the day before. Call it now and then.
---@param name string
---@param now_ms integer
function pulse.learn(name, now_ms)
    local hour = now_ms // HOUR_MS - LAG_HOURS
    local record = learnt(name)
    if not record.hour then
        fill(record)
        record.hour = now_ms // HOUR_MS
    elseif record.hour >= hour then
        return
    else
        local gaps = gaps_known()
        for done = math.max(record.hour, hour - FOLD_MAX), hour - 1 do
            fold(record, name, done, is_whole(gaps, done))
        end
        record.hour = hour
    end
    store.put(LEARNT, name, record)
end

---@class pulse.Silence
---@field silent_ms integer time in which somebody looked
---@field expected number how many should have come meanwhile
---@field usual_ms integer|nil the usual time between two at these hours

--- How silent it is. Nil while too little is known: nothing ever happened, or an hour of the
--- silence was not seen for `weeks` weeks.
---@param name string
---@param now_ms integer
---@param weeks integer
---@param is_quiet fun(ms: integer): boolean hours in which nothing is expected
---@return pulse.Silence|nil
function pulse.silence(name, now_ms, weeks, is_quiet)
    local last_ms = pulse.last_ms(name)
    local record = learnt(name)
    if not last_ms or not record.hour then
        return nil
    end
    local gaps = gaps_known()
    local expected, counted_ms, at_ms = 0, 0, math.max(last_ms, now_ms - FOLD_MAX * HOUR_MS)
    while at_ms < now_ms do
        local next_ms = math.min((at_ms // HOUR_MS + 1) * HOUR_MS, now_ms)
        local there_ms = attended_ms(gaps, at_ms, next_ms)
        if there_ms > 0 and not is_quiet(at_ms) then
            local i = slot(at_ms // HOUR_MS)
            if (record.seen[i] or 0) < weeks then
                return nil
            end
            expected = expected + record.means[i] * there_ms / HOUR_MS
            counted_ms = counted_ms + there_ms
        end
        at_ms = next_ms
    end
    return {silent_ms = attended_ms(gaps, last_ms, now_ms), expected = expected,
        usual_ms = expected > 0 and math.tointeger(counted_ms / expected // 1) or nil}
end

return pulse
