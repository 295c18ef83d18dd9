--- Makes the work of one order out of a job: what the event says, what is remembered, the two
--- clients.
local delegation = require("connectors.scayle.delegation")
local identify = require("flows.order_stages.identify")
local json = require("neap.json")
local khaos_line = require("flows.khaos_line")
local scayle_client = require("connectors.scayle.client")
local support = require("flows.order_stages.support")

local open = {}

local READERS = {}

READERS["order.delegated"] = function(payload)
    return assert(delegation.parse(payload))
end

READERS["order.seen"] = function(payload)
    return assert(delegation.notice(payload))
end

READERS["order.found"] = function(payload)
    return assert(json.decode(payload))
end

READERS["received"] = READERS["order.found"] -- Khaos shows it, and its job had ended

--- Whether an event of this name starts the way of an order.
---@param name string
---@return boolean
function open.is_order(name)
    return READERS[name] ~= nil
end

--- The work of an order that is known, without what its event said.
---@param job neap.Job
---@param record table of the order, or an identity
---@return table work
function open.of_record(job, record)
    local settings = job.settings
    return {
        job = job,
        settings = settings,
        key = job.key,
        order_id = record.order_id,
        where = {shop_key = record.shop_key, country = record.country},
        merchant = record.merchant,
        record = support.record(job.key),
        causes = {},
        scayle = scayle_client.new(settings.scayle),
        khaos = khaos_line.new(settings.khaos),
        line = khaos_line.of_orders(settings.khaos),
    }
end

---@param job neap.Job
---@return table work
function open.work(job)
    local said = READERS[job.event.name](job.event.payload)
    local work = open.of_record(job, identify.order(job.settings, said))
    local is_delegated = job.event.name == "order.delegated"
    work.is_delegated = is_delegated
    work.delegation = is_delegated and said.raw or nil
    work.delegated_ms = is_delegated and job.event.received_ms or work.record.delegated_ms
    return work
end

return open
