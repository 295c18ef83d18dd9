--- When Khaos Control Cloud called, when we could not be reached, and up to which instant the
--- levels it pushed are complete.
---
--- Khaos pushes what changed, without a time, and sends again what was not answered with 200. The
--- client declares how long such a push may be under way, retries and a minute's outage included
--- (`push_age_ms`). So what has changed until `push_age_ms` before Khaos was last heard is here.
--- Not so after an absence, ours or the line's: what failed meanwhile may come as late as that much
--- after the return, and until then only what changed well before the absence is sure.
local store = require("neap.store")
local time = require("neap.time")

local presence = {}

-- "calls" -> {heard_ms, <route> = ms}; "presence" -> {alive_ms, here_ms, away}
local STATE = "cloud_state"
local AWAY_MS = 60000
local MAX_ABSENCES = 20

-- Absences {from_ms, to_ms} that matter still; too many become one.
local function add_absence(state, from_ms, to_ms, age_ms)
    local kept = {}
    for _, absence in ipairs(state.away or {}) do
        if absence.to_ms + age_ms > to_ms then
            kept[#kept + 1] = absence
        end
    end
    if #kept == MAX_ABSENCES then
        kept = {{from_ms = kept[1].from_ms, to_ms = kept[#kept].to_ms}}
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

--- Khaos called: any call says that its agent lives. A silence longer than a push may take was an
--- absence of the line.
---@param name string of the route
---@param age_ms integer push_age_ms
function presence.heard(name, age_ms)
    presence.beat(age_ms)
    local now_ms, calls = time.now_ms(), presence.calls()
    if calls.heard_ms and now_ms - calls.heard_ms > age_ms then
        local state = store.get(STATE, "presence")
        add_absence(state, calls.heard_ms, now_ms, age_ms)
        store.put(STATE, "presence", state)
    end
    calls[name], calls.heard_ms = now_ms, now_ms
    store.put(STATE, "calls", calls)
end

--- Since when we are here without an absence.
---@return integer
function presence.here_ms()
    local state = store.get(STATE, "presence") or {}
    return state.here_ms or state.alive_ms or time.now_ms()
end

---@return table<string, integer> by route, and heard_ms
function presence.calls()
    return store.get(STATE, "calls") or {}
end

--- The instant up to which every change of a level has been pushed; nil when Khaos was never heard.
---@param age_ms integer push_age_ms
---@return integer|nil
function presence.complete_ms(age_ms)
    local heard_ms = presence.calls().heard_ms
    if not heard_ms then
        return nil
    end
    local complete_ms = heard_ms - age_ms
    for _, absence in ipairs((store.get(STATE, "presence") or {}).away or {}) do
        if heard_ms < absence.to_ms + age_ms then
            complete_ms = math.min(complete_ms, absence.from_ms - age_ms)
        end
    end
    return complete_ms
end

return presence
