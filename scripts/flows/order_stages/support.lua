--- What the stages of the orders flow share: the record of an order, holds, ends.
local errors = require("neap.errors")
local history = require("flows.order_history")
local market = require("flows.orders.market")
local stock_pending = require("flows.stock_pending")
local store = require("neap.store")
local time = require("neap.time")

local support = {}

support.RECORDS = "orders" -- key -> what is known of an order, kept
support.OPEN = stock_pending.OPEN -- key -> accepted and not posted: {order_id, accepted_ms, units}
-- Names that a cancellation may call an order by -> {key}: SCAYLE's orderReferenceKey, and the code
-- that we wrote back (contract 2.4: store both)
support.REFERENCES = "order_references"
support.UNNAMED = "orders_unnamed" -- key -> {}: posted, and no delegation told SCAYLE's name of it
support.CUSTOMERS = "khaos_customers" -- our reference -> {company_code, other_ref, class, currency}
support.DISMISSED = "dismissed by " -- how the state of what a person ended begins
support.LINES = "order_lines" -- reference -> lines of the posting with their unit ids

--- The order's record; an empty one when there is none.
---@param key string
---@return table
function support.record(key)
    return store.get(support.RECORDS, key) or {}
end

--- Adds fields to the order's record.
---@param work table
---@param fields table
function support.remember(work, fields)
    work.record = store.atomic(function() -- jobs on other keys take units off it
        local record = support.record(work.key)
        for name, value in pairs(fields) do
            record[name] = value
        end
        store.put(support.RECORDS, work.key, record)
        return record
    end)
end

--- The posting profile of the order: its shop country's id, and its name for people.
---@param work table with order
---@return string|nil id
---@return string|nil market
function support.company(work)
    local id = market.id(work.order, work.delegation)
    local profile = id and work.settings.mappings.companies[id]
    return id, profile and profile.market or nil
end

--- A cancellation may call the order by this name. Another order's name stays.
---@param name string
---@param key string of the order
function support.call_by(name, key)
    if not store.get(support.REFERENCES, name) then
        store.put(support.REFERENCES, name, {key = key})
    end
end

--- Ends the order's way without a posting. What it returns ends the run of the stages.
---@param work table
---@param state string business words
---@return string
function support.finish(work, state)
    stock_pending.drop(work.key, time.now_ms())
    work.job:facts({state = state})
    work.job:note("orders", state)
    work.job:close_exception("stuck_order", work.order_id, state)
    support.remember(work, {ended = state, is_begun = false})
    history.add(work.key, "ended", {state = state})
    return state
end

--- Holds the order on causes; does not return.
---@param work table
---@param causes neap.Cause[]
function support.hold(work, causes)
    work.job:facts({state = "held: " .. causes[1].message})
    if work.key then
        history.held(work.key, causes)
    end
    work.job:hold(causes)
end

--- Gives the value; raises what may be tried again; holds on what a system refuses for good.
---@async
---@param work table
---@param system "SCAYLE"|"Khaos"
---@param value any
---@param err neap.Error|nil
---@return any
function support.check(work, system, value, err)
    if value ~= nil then
        return value
    elseif not errors.is(err) or err.retryable or err.kind == "cancelled" then
        error(err, 0)
    end
    support.hold(work, {{
        cause = "connection_refused",
        subject = string.format("%s %s", system, err.status or err.kind),
        message = string.format("%s refuses our requests: %s", system, err.message),
        remedy = "Check credentials, rights and address of the connection, then close this.",
        recheck = "manual",
    }})
end

return support
