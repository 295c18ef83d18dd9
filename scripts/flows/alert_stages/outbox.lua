--- Alerts on their way: one job for each alert, channel and recipient. The id is what the alert is
--- about, so that it is accepted once, for ever, whatever crashes.
local crypto = require("neap.crypto")
local words = require("flows.alert_stages.words")

local outbox = {}

--- Where an owner is told: [{channel, to}], none when nobody can be.
---@param settings table
---@param owner string
---@return {channel: string, to: string}[]
function outbox.routes(settings, owner)
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

---@class alerts.Alert
---@field id string what it is about
---@field kind "first"|"digest"|"escalation"
---@field owner string
---@field subject string
---@field text string
---@field data table|nil for webhooks
---@field at_ms integer

--- Sends an alert to every route of its owner. Returns how many there are.
---@param job neap.Job
---@param alert alerts.Alert
---@return integer
function outbox.send(job, alert)
    local routes = outbox.routes(job.settings, alert.owner)
    for _, route in ipairs(routes) do
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
    if #routes == 0 then
        job:note("alerts", string.format("nobody to tell: %s (owner %s)", alert.subject,
            alert.owner == "" and "nobody" or alert.owner))
    end
    return #routes
end

return outbox
