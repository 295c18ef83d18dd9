--- A push of Khaos Control Cloud, through its route and taken, for golden cases.
local json = require("neap.json")
local pushes = require("flows.cloud_stages.pushes")
local time = require("neap.time")

local PUSH_AGE_MS = 60000 -- flows.khaos_cloud's own setting, which other flows need not have

-- As the flow khaos_cloud would have them.
local function settings_of(rehearsal)
    local own = {}
    for name, value in pairs(rehearsal.settings.khaos) do
        own[name] = value
    end
    own.despatch_flow = rehearsal.flow.name
    own.push_age_ms = own.push_age_ms or PUSH_AGE_MS
    return {khaos = own, orders_flow = "orders"}
end

---@param rehearsal rehearsal.Run
---@param name string of the route
---@param body string
return function(rehearsal, name, body)
    rehearsal:play_as(function(job)
        local reply = pushes.route(name)({settings = job.settings}, {body = body})
        if reply.status ~= 200 then
            error(name .. ": " .. reply.body, 0)
        end
        local event = reply.events[1]
        event.payload = type(event.payload) == "string" and event.payload
            or assert(json.encode(event.payload))
        event.received_ms = time.now_ms()
        pushes.take(setmetatable({event = event}, {__index = job}))
    end, settings_of(rehearsal))
end
