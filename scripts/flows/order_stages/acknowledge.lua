--- Stage "acknowledge": writes the Khaos order code back to SCAYLE.
local reference = require("flows.order_stages.reference")
local support = require("flows.order_stages.support")

local function is_wanted(work)
    local rule = work.settings.write_reference
    return rule == "always" or (rule == "unless_shared" and not work.record.is_shared)
end

--- Remembered in the order's record; on orders with several merchants the reference is nobody's
--- own.
---@async
---@param work table
---@return string|nil ended
return function(work)
    local record = work.record
    if record.acknowledged or not is_wanted(work) then
        return nil
    end
    reference.write(work, work.key, record.order_code, work.key)
    support.remember(work, {acknowledged = true})
    return nil
end
