--- Events that say: SCAYLE may have cancelled units of an order, look. All of them lead to a job of
--- the orders flow on the key "units:<order key>" (flows.unit_stages.look).
local crypto = require("neap.crypto")
local json = require("neap.json")

local events = {}

--- Name of the event.
events.NAME = "units.cancelled"

local PREFIX = "units:"

---@param source string
---@param id string
---@param key string of the order
---@param flow string|nil the orders flow's name, for another flow that tells
---@return neap.NewEvent
function events.look(source, id, key, flow)
    return {source = source, id = id, key = PREFIX .. key, name = events.NAME, flow = flow,
        payload = json.encode({order_key = key})}
end

--- The order's key of a job that looks, nil for any other job.
---@param job_key string
---@return string|nil
function events.order_key(job_key)
    return job_key:sub(1, #PREFIX) == PREFIX and job_key:sub(#PREFIX + 1) or nil
end

--- A name for a set of units: the same for the same set.
---@param units string[]
---@return string
function events.name_of(units)
    local sorted = table.move(units, 1, #units, 1, {})
    table.sort(sorted)
    return crypto.sha256(table.concat(sorted, ",")):sub(1, 16)
end

return events
