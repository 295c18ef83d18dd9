--- Many calls of SCAYLE in one run of the sender, a few at a time: in between the run says that it
--- is there, because a silence longer than `away_after_ms` counts as an absence.
local http = require("neap.http")
local time = require("neap.time")
local watermark = require("flows.stock_stages.watermark")

local ROUNDS = 4 -- answers waited for one after the other between two signs of life

---@async
---@param settings table
---@param requests table[] without their connection
---@return {answer: neap.http.Answer|nil, error: neap.Error|nil}[] one for each
return function(settings, requests)
    local results, size = {}, settings.at_once * ROUNDS
    for first = 1, #requests, size do
        local group = table.move(requests, first, math.min(first + size - 1, #requests), 1, {})
        for _, request in ipairs(group) do
            request.connection = settings.scayle.connection
        end
        for _, result in ipairs(http.all(group, {limit = settings.at_once})) do
            results[#results + 1] = result
        end
        watermark.beat(time.now_ms(), settings, false)
    end
    return results
end
