--- A person dismissed an order's job: the order is not waited for any more. One whose approval was
--- refused is cancelled in SCAYLE; all others somebody deals with by hand.
local amending = require("flows.unit_stages.amending")
local json = require("neap.json")
local open = require("flows.order_stages.open")
local stage = require("flows.order_stages.stage")
local stock_pending = require("flows.stock_pending")
local support = require("flows.order_stages.support")
local time = require("neap.time")
local unit_events = require("flows.unit_stages.events")

-- Whether Khaos has the order is not known: it stays as it is.
local IN_DOUBT = {outcome_unknown = true, unfinished_effect = true, fingerprint_mismatch = true}

--- The job of an event "dismissed.<cause>".
---@async
---@param job neap.Job
return function(job)
    local order_key = unit_events.order_key(job.key)
    if order_key then
        -- Whether Khaos amended it is not known: its next reading says what is there.
        stock_pending.not_amended(order_key, time.now_ms())
        amending.is_over(order_key)
        return
    end
    local said = assert(json.decode(job.event.payload))
    local record = support.record(job.key)
    if not record.order_id or record.order_code or record.ended or IN_DOUBT[said.cause] then
        return
    end
    local work = open.of_record(job, record)
    if not stage.after_dismissal(work, said) then
        support.finish(work, string.format("%s%s: %s", support.DISMISSED, said.by, said.reason))
    end
end
