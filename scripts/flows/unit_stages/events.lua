--- Events about units of posted orders that are cancelled in SCAYLE, or are to be: each is a job of
--- the orders flow on the key "units:<order key>", one after the other.
---
---     units.cancelled    SCAYLE may have cancelled some: look (flows.unit_stages.look)
---     units.asked        SCAYLE asks whether these can be (flows.unit_stages.asked)
local crypto = require("neap.crypto")
local json = require("neap.json")

local events = {}

events.NAME = "units.cancelled"
events.ASKED = "units.asked"

local PREFIX = "units:"

---@param source string
---@param id string
---@param key string of the order
---@param flow string|nil the orders flow's name, for another flow that tells
---@return neap.NewEvent
function events.look(source, id, key, flow)
    return {source = source, id = id, key = PREFIX .. key, about = key, name = events.NAME,
        flow = flow,
        payload = json.encode({order_key = key})}
end

---@class units.Asked
---@field name string of the decision (flows.cancellation_stages.part)
---@field units string[] ids
---@field place string the warehouses, for the exception's subject
---@field text string "1 x TS-RED-L"

---@param id string
---@param key string of the order
---@param flow string the orders flow's name
---@param asked units.Asked
---@return neap.NewEvent
function events.asked(id, key, flow, asked)
    return {source = "scayle.cancellation.part", id = id, key = PREFIX .. key, about = key,
        flow = flow,
        name = events.ASKED, payload = json.encode({order_key = key, asked = asked})}
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
