--- The alerts flow: problems reach the people who own them, by e-mail and signed webhooks.
---
--- The first of a kind (cause) is told at once to the cause's owner, more of the same kind by the
--- next digest; what stays open is escalated; silence is a problem too. "watch" looks and decides,
--- every delivery is a job of its own. docs/flows-alerts.md tells the rules.
local deliver = require("flows.alert_stages.deliver")
local digest = require("flows.alert_stages.digest")
local heartbeat = require("flows.alert_stages.heartbeat")
local outbox = require("flows.alert_stages.outbox")
local quiet = require("flows.alert_stages.quiet")
local reach = require("flows.alert_stages.reach")
local rehearse = require("flows.alert_stages.rehearse")
local stuck = require("flows.alert_stages.stuck")
local watch = require("flows.alert_stages.watch")

local MINUTE_MS = 60000
local HOUR_MS = 60 * MINUTE_MS
local NOBODY = "default"

local CHANNEL = {type = "record", fields = {
    kind = {type = "string", required = true, enum = {"mail", "webhook"}},
    connection = {type = "string", required = true},
    from = {type = "string", pattern = "^[^%s@<>]+@[^%s@<>]+$", hint = "neap@example.com"},
    from_name = {type = "string"},
    path = {type = "string", default = "", help = "of a webhook, below the connection's base URL"},
}, check = function(channel)
    if channel.kind == "mail" and not channel.from then
        return "a mail channel needs `from`"
    end
end}

local ROUTES = {type = "list", min = 1, items = {type = "record", fields = {
    channel = {type = "string", required = true},
    to = {type = "string", help = "an address; default: the owner's name, when it is one"},
}}}

local function routes_problem(settings)
    for owner, routes in pairs(settings.routes) do
        for _, route in ipairs(routes) do
            if not settings.channels[route.channel] then
                return string.format("routes.%s: there is no channel %q", owner, route.channel)
            end
        end
    end
    if not settings.routes.default then
        return "routes: `default` is missing"
    end
    for owner in pairs(settings.routes) do
        if owner ~= "default" and #outbox.own_routes(settings, owner) == 0 then
            return string.format("routes.%s: a mail needs `to`, because %q is no address", owner,
                owner)
        end
    end
    return nil
end

-- Whoever the flow itself names must be reached: an alert that goes nowhere is none.
local function reach_problem(settings)
    local nobody = settings.nobody or NOBODY
    if #outbox.own_routes(settings, nobody) == 0 then
        return string.format("nobody: no route reaches %q: give an address, or `to` in its routes",
            nobody)
    end
    for i, level in ipairs(settings.escalation or {}) do
        if #outbox.own_routes(settings, level.owner) == 0 then
            return string.format("escalation[%d]: no route reaches the owner %q", i, level.owner)
        end
    end
    return nil
end

local schema = {type = "record", check = function(settings)
    return routes_problem(settings) or reach_problem(settings)
end, fields = {
    channels = {type = "map", values = CHANNEL, required = true},
    routes = {type = "map", values = ROUTES, required = true,
        help = "owner -> where; `default` for owners that are not named"},
    nobody = {type = "string", default = NOBODY,
        help = "who is told of causes that nobody owns, and of owners that no route reaches"},
    zone = {type = "string", default = "Europe/London"},
    window_ms = {type = "integer", min = MINUTE_MS, default = 4 * HOUR_MS,
        help = "within this time after the first of a kind, more of it wait for the digest"},
    quiet = quiet.SCHEMA,
    remind = {type = "boolean", default = true,
        help = "a digest is sent also when nothing is new and nothing was closed"},
    escalation = {type = "list", default = {}, items = {type = "record", fields = {
        after_ms = {type = "integer", min = MINUTE_MS, required = true},
        owner = {type = "string", required = true},
        causes = {type = "list", items = {type = "string"}},
    }}},
    heartbeats = {type = "list", items = heartbeat.SCHEMA, default = {}},
}}

local flow = {
    name = "alerts",
    version = 1,
    schema = schema,
    cases = rehearse.CASES,
    triggers = {
        {kind = "schedule", name = "watch", every_ms = MINUTE_MS, on_exception = true},
        {kind = "schedule", name = "digest", cron = "0 8,13,17 * * *"},
        {kind = "schedule", name = "stuck", cron = "30 7 * * *"},
    },
    run = function(job)
        if job.event.name == "schedule.watch" then
            watch.run(job)
        elseif job.event.name == "schedule.digest" then
            digest.run(job)
        elseif job.event.name == "schedule.stuck" then
            stuck.run(job)
        elseif job.event.name == "alert.deliver" then
            deliver(job)
        end
    end,
    report = reach.report,
}

flow.rehearse = rehearse.of(flow)

return flow
