--- Khaos Control Cloud that does not call: somebody is told, and it closes by itself when Khaos
--- calls again. While we were away nobody could hear it, so the time counts from our return.
local presence = require("flows.cloud_stages.presence")
local store = require("neap.store")
local time = require("neap.time")

local silence = {}

silence.CAUSE = "khaos_silent"

local STATE = "cloud_state" -- "silence" -> {<subject> = when it was last heard before it was told}
local MINUTE_MS = 60000
local POLLS = 4 -- that may be missed, where the client does not say how long is too long

-- How long each may rest; 0: for ever.
local LIMITS = {}

function LIMITS.orders(settings)
    return settings.poll_silence_ms or POLLS * settings.frequency_minutes * MINUTE_MS
end

function LIMITS.stock_status(settings)
    return settings.stock_silence_ms
end

local WATCHED = {
    {subject = "orders", what = "has not asked for orders",
        remedy = "See in Khaos whether the channel and its agent run, and whether \"don't import "
            .. "orders\" is off."},
    {subject = "stock_status", what = "has not pushed stock levels",
        remedy = "See in Khaos whether the channel and its agent run; until then the shop may "
            .. "show what is not there."},
}

local function tell(job, watched, heard_ms, silent_ms)
    job:open_exception({cause = silence.CAUSE, subject = watched.subject, recheck = "proof",
        message = string.format("Khaos Control Cloud %s for %d min; %s", watched.what,
            silent_ms // MINUTE_MS, heard_ms and "the last time was " .. time.format_iso(heard_ms)
            or "it never did"),
        remedy = watched.remedy .. " This closes by itself when Khaos does it again."})
end

local function check(job, watched, told)
    local heard_ms = presence.calls()[watched.subject]
    local told_of = told[watched.subject]
    if told_of and told_of ~= (heard_ms or 0) then
        job:close_exception(silence.CAUSE, watched.subject, "Khaos called again")
        told[watched.subject] = nil
    end
    local limit_ms = LIMITS[watched.subject](job.settings)
    local silent_ms = time.now_ms() - math.max(heard_ms or 0, presence.here_ms())
    if limit_ms > 0 and silent_ms >= limit_ms and not told[watched.subject] then
        tell(job, watched, heard_ms, silent_ms)
        told[watched.subject] = heard_ms or 0
    end
end

--- Tells of silence, once, and of its end.
---@param job neap.Job
function silence.watch(job)
    local told = store.get(STATE, "silence") or {}
    for _, watched in ipairs(WATCHED) do
        check(job, watched, told)
    end
    store.put(STATE, "silence", told)
end

return silence
