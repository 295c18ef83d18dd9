--- Keeps what an order was mapped from and what came of it, for `neap replay`.
local json = require("neap.json")
local support = require("flows.order_stages.support")

local recording = {}

--- Name of the document that a job keeps.
recording.NAME = "mapping"

local UNKNOWN = "unknown_stock_code"

--- Before anything is posted, so that only the mapper's own work is in it; causes that are not the
--- mapper's own (of the customer, say) are not.
---@param work table
---@param made {posting: table|nil, causes: neap.Cause[]} what the mapper made of it
function recording.keep(work, made)
    local held, unknown = json.array({}), json.array({})
    for i, cause in ipairs(made.causes) do
        held[i] = cause.cause .. ":" .. (cause.subject or "")
        unknown[#unknown + 1] = cause.cause == UNKNOWN and cause.subject or nil
    end
    local linked = work.job:links().khaos_order
    local cancelled = support.record(work.key).unwanted
    work.job:keep(recording.NAME, {flow = work.job.flow, order = work.order,
        delegation = work.delegation, unknown_stock_codes = unknown,
        own_references = linked and json.array({linked}) or nil, posting = made.posting,
        cancelled = cancelled, held = held})
end

return recording
