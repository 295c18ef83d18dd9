--- When Khaos Control Cloud called, when we could not be reached, and up to which instant the
--- levels it pushed are complete.
---
--- Khaos pushes what changed, without a time, and sends again what was not answered with 200. The
--- client declares how long such a push may be under way, retries and a minute's outage included
--- (`push_age_ms`). So what has changed until `push_age_ms` before Khaos last pushed levels is
--- here: no other call proves that its pushes of levels come through. Not so after an absence, ours
--- or the pushes': what failed meanwhile may come as late as that much after the return, and until
--- then only what changed well before the absence is sure. A push that could not be read is an
--- absence that lasts until a person says that its levels came anew.
local store = require("neap.store")
local time = require("neap.time")

local presence = {}

-- "calls" -> {<route> = ms}; "presence" -> {alive_ms, here_ms, away}; "levels" -> {came_ms,
-- taken_ms, lost_ms}: when the newest push of levels came whose turn it was, the newest that is
-- taken, and the oldest that could not be read
local STATE = "cloud_state"
local AWAY_MS = 60000
local MAX_ABSENCES = 20

local function united(absences)
    local one = {from_ms = absences[1].from_ms, to_ms = absences[1].to_ms}
    for _, absence in ipairs(absences) do
        one.from_ms = math.min(one.from_ms, absence.from_ms)
        one.to_ms = math.max(one.to_ms, absence.to_ms)
    end
    return one
end

-- Absences {from_ms, to_ms} that matter still; too many become one.
local function add_absence(state, from_ms, to_ms, age_ms)
    local kept = {}
    for _, absence in ipairs(state.away or {}) do
        if absence.to_ms + age_ms > to_ms then
            kept[#kept + 1] = absence
        end
    end
    if #kept == MAX_ABSENCES then
        kept = {united(kept)}
    end
    kept[#kept + 1] = {from_ms = from_ms, to_ms = to_ms}
    state.away = kept
end

--- We are here. A longer silence before this was an absence.
---@param age_ms integer push_age_ms
function presence.beat(age_ms)
    local now_ms = time.now_ms()
    local state = store.get(STATE, "presence") or {alive_ms = now_ms, here_ms = now_ms}
    if now_ms - state.alive_ms > AWAY_MS or now_ms < state.alive_ms then
        add_absence(state, math.min(state.alive_ms, now_ms), now_ms, age_ms)
        state.here_ms = now_ms
    end
    state.alive_ms = now_ms
    store.put(STATE, "presence", state)
end

--- Khaos called.
---@param name string of the route
---@param age_ms integer push_age_ms
function presence.heard(name, age_ms)
    presence.beat(age_ms)
    local calls = presence.calls()
    calls[name] = time.now_ms()
    store.put(STATE, "calls", calls)
end

--- Since when we are here without an absence.
---@return integer
function presence.here_ms()
    local state = store.get(STATE, "presence") or {}
    return state.here_ms or state.alive_ms or time.now_ms()
end

---@return table<string, integer> by route
function presence.calls()
    return store.get(STATE, "calls") or {}
end

-- ---- levels ----------------------------------------------------------------------------------

local function levels()
    return store.get(STATE, "levels") or {}
end

--- A push of levels that came at this instant begins to be taken, in its turn. A silence before it
--- that is longer than a push may take was an absence.
---@param received_ms integer
---@param age_ms integer push_age_ms
function presence.levels_came(received_ms, age_ms)
    local known = levels()
    local before_ms = known.came_ms
    if before_ms and received_ms - before_ms > age_ms then
        local state = store.get(STATE, "presence")
        add_absence(state, before_ms, received_ms, age_ms)
        store.put(STATE, "presence", state)
    end
    known.came_ms = received_ms
    store.put(STATE, "levels", known)
end

--- The same push is taken, and all that came before it.
---@param received_ms integer
function presence.levels_taken(received_ms)
    local known = levels()
    known.taken_ms = received_ms -- be it less: the clock was put back
    store.put(STATE, "levels", known)
end

--- Levels that came at this instant could not be read.
---@param received_ms integer
function presence.lost(received_ms)
    local known = levels()
    known.lost_ms = math.min(known.lost_ms or received_ms, received_ms)
    store.put(STATE, "levels", known)
end

---@return boolean
function presence.is_lost()
    return levels().lost_ms ~= nil
end

--- What was lost came anew.
function presence.found()
    local known = levels()
    known.lost_ms = nil
    store.put(STATE, "levels", known)
end

--- The instant at which a level was true that came at another: it may have been under way as long
--- as a push may, and longer when it could not come in time.
---@param received_ms integer
---@param age_ms integer push_age_ms
---@return integer
function presence.level_ms(received_ms, age_ms)
    local true_ms = received_ms - age_ms
    for _, absence in ipairs((store.get(STATE, "presence") or {}).away or {}) do
        if received_ms < absence.to_ms + age_ms then
            true_ms = math.min(true_ms, absence.from_ms - age_ms)
        end
    end
    return true_ms
end

--- The instant up to which every change of a level is here; nil when no levels were ever pushed.
---@param age_ms integer push_age_ms
---@return integer|nil
function presence.complete_ms(age_ms)
    local known = levels()
    if not known.taken_ms then
        return nil
    end
    local complete_ms = presence.level_ms(known.taken_ms, age_ms)
    return known.lost_ms and math.min(complete_ms, known.lost_ms - age_ms) or complete_ms
end

return presence
