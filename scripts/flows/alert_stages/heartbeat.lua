--- "No order for 40 minutes; usual is one every 11." Silence is an exception like any other: opened
--- here, told to its owner, closed when something comes again.
local pulse = require("flows.pulse")
local quiet = require("flows.alert_stages.quiet")
local words = require("flows.alert_stages.words")

local heartbeat = {}

local CAUSE = "silence"
local MINUTE_MS = 60000

heartbeat.SCHEMA = {type = "record", fields = {
    of = {type = "string", required = true, enum = {"orders"}},
    one = {type = "string", default = "order", help = "what one of them is called"},
    factor = {type = "number", min = 1, default = 4,
        help = "how many should have come, at the usual pace, before silence is a problem"},
    min_ms = {type = "integer", min = MINUTE_MS, default = 20 * MINUTE_MS,
        help = "a shorter silence is none"},
    min_weeks = {type = "integer", min = 1, default = 2,
        help = "weeks to learn from before anything is said"},
    quiet = quiet.SCHEMA,
}}

local function open(job, rule, silence)
    job:open_exception({
        cause = CAUSE, subject = rule.of, recheck = "proof",
        message = string.format("No %s for %s; usual is one every %s", rule.one,
            words.span(silence.silent_ms), words.span(silence.usual_ms)),
        remedy = "Look at the shop's front end, its webhooks and the connection to it.",
    })
end

-- Silence that is over, and silence of what nobody listens to any more.
local function close(job)
    local has_rule = {}
    for _, rule in ipairs(job.settings.heartbeats) do
        has_rule[rule.of] = rule
    end
    for _, e in ipairs(job:exceptions(CAUSE)) do
        local rule = has_rule[e.subject]
        if not rule then
            job:close_exception(CAUSE, e.subject, "the client has no heartbeat of it any more")
        elseif (pulse.last_ms(rule.of) or 0) >= e.opened_ms then
            job:close_exception(CAUSE, e.subject, "the next " .. rule.one .. " came")
        end
    end
end

---@param job neap.Job
---@param now_ms integer
function heartbeat.check(job, now_ms)
    close(job)
    if #job.settings.heartbeats > 0 then
        pulse.present(now_ms)
    end
    for _, rule in ipairs(job.settings.heartbeats) do
        pulse.learn(rule.of, now_ms)
        local setting = rule.quiet or job.settings.quiet
        local silence = pulse.silence(rule.of, now_ms, rule.min_weeks, function(ms)
            return quiet.is_quiet(setting, ms)
        end)
        local is_silent = silence and silence.usual_ms and silence.silent_ms >= rule.min_ms
            and silence.expected >= rule.factor
        if is_silent and not quiet.is_quiet(setting, now_ms) then
            open(job, rule, silence)
        end
    end
end

return heartbeat
