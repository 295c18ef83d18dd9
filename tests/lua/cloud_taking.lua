--- Pushes of Khaos Control Cloud in tests: through their route, and taken by the job that waits for
--- them. To be called while fake_job's fakes are in place.
local json = require("neap.json")
local pushes = require("flows.cloud_stages.pushes")
local time = require("neap.time")

local cloud_taking = {}

--- A job that takes one kept push.
---@param event neap.NewEvent as the route gave it
---@param settings table
---@param world table|nil FakeWorld, whose exceptions and events are the job's
---@return table job
function cloud_taking.job(event, settings, world)
    local events, exceptions = {}, world and world.exceptions or {}
    return {
        settings = settings, emitted = events, opened = exceptions,
        event = {name = event.name, source = event.source, id = event.id,
            payload = event.payload, received_ms = time.now_ms()},
        step = function(_, _, fn)
            return json.decode(json.encode(fn()))
        end,
        emit = function(_, made)
            events[#events + 1] = made
            return true
        end,
        note = function() end,
        sleep = function() end,
        exceptions = function()
            return {}
        end,
        open_exception = function(_, cause)
            exceptions[cause.cause .. " " .. cause.subject] = cause
        end,
        exception = function(_, cause, subject)
            return exceptions[cause .. " " .. subject]
        end,
        close_exception = function(_, cause, subject)
            exceptions[cause .. " " .. subject] = nil
        end,
    }
end

--- Pushes and takes.
---@param name string of the route
---@param settings table
---@param body string|table
---@param world table|nil FakeWorld
---@return table job with `emitted` and `opened`
function cloud_taking.push(name, settings, body, world)
    local text = type(body) == "string" and body or json.encode(body)
    local reply = pushes.route(name)({settings = settings}, {body = text})
    assert(reply.status == 200 and #reply.events == 1)
    local job = cloud_taking.job(reply.events[1], settings, world)
    pushes.take(job)
    return job
end

return cloud_taking
