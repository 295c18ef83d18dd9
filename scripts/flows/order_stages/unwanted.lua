--- Units that a cancellation took off an order before it was posted, and that SCAYLE may not show
--- as cancelled yet: no posting holds them, ever. From the moment a posting may have left, none is
--- taken off this way any more (flows.cancellation_stages.part). A record says from its beginning
--- whether one may have (`is_going`); one of older scripts that does not may be on its way.
local errors = require("neap.errors")
local json = require("neap.json")
local store = require("neap.store")
local support = require("flows.order_stages.support")

local unwanted = {}

--- Their ids, for the mapper; nil when there are none.
---@param key string of the order
---@return table<string, true>|nil
function unwanted.of(key)
    local set
    for _, id in ipairs(support.record(key).unwanted or {}) do
        set = set or {}
        set[id] = true
    end
    return set
end

--- Takes units off an order that is known. False: it may be on its way to Khaos, or is there.
---@param key string of the order
---@param ids string[]
---@return boolean
function unwanted.take_off(key, ids)
    return store.atomic(function()
        local record, set = support.record(key), unwanted.of(key) or {}
        if record.is_going ~= false or record.offered or record.order_code then
            return false
        end
        local list = json.array(record.unwanted or {})
        for _, id in ipairs(ids) do
            list[#list + 1] = not set[id] and id or nil
            set[id] = true
        end
        record.unwanted = list
        store.put(support.RECORDS, key, record)
        return true
    end)
end

local function check(work)
    local set = unwanted.of(work.key) or {}
    for _, line in ipairs(work.posting.lines) do
        for _, id in ipairs(line.unit_ids) do
            if set[id] then
                error(errors.new({kind = "exists", retryable = true,
                    message = "units were cancelled meanwhile: the order is mapped anew"}), 0)
            end
        end
    end
end

--- The posting is about to leave. One that was mapped before units were taken off the order does
--- not: the order is mapped anew.
---@param work table
function unwanted.leave(work)
    store.atomic(function()
        check(work)
        support.remember(work, {is_going = true})
    end)
end

--- It was refused: nothing of it is in Khaos.
---@param work table
function unwanted.came_back(work)
    support.remember(work, {is_going = false})
end

return unwanted
