--- Stage "confirm": what Khaos made of the posting, as far as the product line tells it.
local support = require("flows.order_stages.support")
local time = require("neap.time")

--- Compares once; remembered in the order's record.
---@async
---@param work table
---@return string|nil ended
return function(work)
    if work.record.read_back_ms then
        return nil
    end
    work.line.confirm(work)
    support.remember(work, {read_back_ms = time.now_ms()})
    return nil
end
