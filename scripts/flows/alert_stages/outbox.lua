--- Alerts on their way: one job for each alert, channel and recipient. The id is what the alert is
--- about, so that it is accepted once, for ever, whatever crashes.
local crypto = require("neap.crypto")
local words = require("flows.alert_stages.words")

local outbox = {}

---@param settings table
---@param owner string
---@return {channel: string, to: string}[] empty when its own routes reach nobody
function outbox.own_routes(settings, owner)
    local routes = {}
    for _, route in ipairs(settings.routes[owner] or settings.routes.default) do
        local to = route.to or owner
        local channel = settings.channels[route.channel]
        if channel.kind == "webhook" then
            routes[#routes + 1] = {channel = route.channel, to = ""}
        elseif to:find("@", 1, true) then
            routes[#routes + 1] = {channel = route.channel, to = to}
        end
    end
    return routes
end

--- Where an owner is told; one whom no route reaches is told as nobody's problems are. The schema
--- sees to it that those reach somebody.
---@param settings table
---@param owner string
---@return {channel: string, to: string}[]
function outbox.routes(settings, owner)
    local routes = outbox.own_routes(settings, owner)
    return #routes > 0 and routes or outbox.own_routes(settings, settings.nobody)
end

---@class alerts.Alert
---@field id string what it is about
---@field kind "first"|"digest"|"escalation"|"stuck"
---@field owner string
---@field subject string
---@field text string
---@field data table|nil for webhooks
---@field at_ms integer

--- Sends an alert to every route of its owner.
---@param job neap.Job
---@param alert alerts.Alert
function outbox.send(job, alert)
    for _, route in ipairs(outbox.routes(job.settings, alert.owner)) do
        local about = table.concat({alert.id, route.channel, route.to}, "\n")
        local id = alert.kind .. "-" .. crypto.sha256(about):sub(1, 32)
        job:emit({
            source = "alert", id = id, key = "alert:" .. id, name = "alert.deliver",
            payload = {
                id = id, kind = alert.kind, owner = alert.owner, channel = route.channel,
                to = route.to, subject = words.line(alert.subject), text = alert.text,
                data = alert.data, at_ms = alert.at_ms,
            },
        })
    end
end

return outbox
