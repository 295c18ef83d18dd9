--- OrderStatusUpload, taken: snapshots of orders that Khaos Control Cloud pushes. A repeat changes
--- nothing. What cannot be (an order that Khaos never fetched, one code for two of ours) is not
--- believed and told to a person; it closes when Khaos shows the order in a way that can be.
local news = require("flows.despatch_stages.news")
local order_status = require("connectors.khaos_cloud.order_status")
local queue = require("flows.cloud_stages.queue")
local second = require("flows.despatch_stages.second")
local store = require("neap.store")
local support = require("flows.order_stages.support")

local push_orders = {}

push_orders.MISMATCH = "shown_wrongly" -- cause; the subject is our reference

local CODES = "cloud_order_codes" -- Khaos's order code -> {reference}: shown as it
--- reference -> {problem}: what Khaos shows of it and was not believed
push_orders.WRONG = "cloud_shown_wrongly"

local function known_as(reference)
    if not reference or reference == "" then
        return nil
    end
    local entry, lines = queue.get("orders", reference), store.get(support.LINES, reference)
    return (entry or lines) and {reference = reference, entry = entry, lines = lines}
end

-- Ours by its reference, or by what we sent as CustomData: a channel may change references.
local function known(status)
    local named = known_as(status.reference)
    local custom = status.custom ~= status.reference and known_as(status.custom) or nil
    return named or custom, named and custom
end

local function code_of(order)
    return order.lines and order.lines.order_code or order.entry and order.entry.order_code
end

-- The other reference of ours that has this code still; a person may have put it right in Khaos.
local function owner_of(code)
    local used = store.get(CODES, code)
    local order = used and known_as(used.reference)
    return order and code_of(order) == code and used.reference or nil
end

-- Why it cannot be what it says, nil when it can.
local function contradiction(status, order, other)
    local code = status.order_code
    if other then
        return string.format("Khaos shows order %s as %s, with what we sent with %s", code,
            order.reference, other.reference)
    end
    local entry, owner = order.entry, owner_of(code)
    if entry and entry.state == "queued" and entry.times == 0 then
        return string.format("Khaos shows %s as its order %s, and has never fetched it",
            order.reference, code)
    elseif owner and owner ~= order.reference then
        return string.format("Khaos shows %s as its order %s, which it has shown as %s",
            order.reference, code, owner)
    end
    return nil
end

local function tell(job, order, problem)
    store.put(push_orders.WRONG, order.reference, {problem = problem})
    job:open_exception({cause = push_orders.MISMATCH, subject = order.reference, recheck = "proof",
        message = problem .. ": nothing of it is believed",
        remedy = "Look in Khaos what the order really is, and correct its associated reference. "
            .. "Ours is offered as before. This closes when Khaos shows the order rightly; where "
            .. "its code was believed of another order of ours, that one must be shown, and "
            .. "followed, under its own code first."})
end

-- By the queue's rule it cannot be, unless a person was wrong; then somebody must know.
local function tell_withdrawn(job, reference, order_code)
    job:open_exception({cause = "cancel_in_khaos", subject = reference, recheck = "manual",
        message = string.format("Khaos has order %s as %s, which was cancelled and taken back",
            reference, order_code),
        remedy = "Cancel it in Khaos, then close this."})
end

-- Enough for a job of its own, should the order's job have ended without it.
local function identity_of(key)
    local record = support.record(key)
    return {order_id = record.order_id, shop_key = record.shop_key, country_code = record.country,
        merchant_key = record.merchant}
end

local function received(job, reference, entry)
    return {source = "khaos_cloud.received", id = reference .. ":" .. entry.seq, key = entry.key,
        name = "received", class = "overtaking", idle = "job", flow = job.settings.orders_flow,
        payload = identity_of(entry.key)}
end

local function show(job, order, order_code)
    local reference, entry = order.reference, order.entry
    if not entry or not queue.show("orders", reference, order_code) then
        return
    elseif entry.state == "withdrawn" then
        tell_withdrawn(job, reference, order_code)
    else
        job:emit(received(job, reference, entry))
    end
    entry.order_code = order_code
end

push_orders.read = order_status.read

--- Takes one order's snapshot.
---@param job neap.Job
---@param status khaos.CloudStatus
function push_orders.take(job, status)
    local order, other = known(status)
    local code = status.order_code
    if not order then
        return
    elseif not code then
        error(string.format("the status of %s names no order code", order.reference), 0)
    end
    local problem = contradiction(status, order, other)
    if problem then
        return tell(job, order, problem)
    end
    store.put(CODES, code, {reference = order.reference})
    if store.delete(push_orders.WRONG, order.reference) then
        job:close_exception(push_orders.MISMATCH, order.reference, "Khaos shows it as " .. code)
    end
    show(job, order, code)
    local snapshot, lines = status.snapshot, order.lines
    snapshot.reference = order.reference
    local own = code_of(order)
    local flow = job.settings.khaos.despatch_flow
    if own ~= code then
        if flow ~= "" then
            second.see(job, {order_code = own or "?", key = (lines or order.entry).key}, snapshot,
                flow)
        end
    elseif not lines then
        store.put(news.EARLY, order.reference, snapshot)
    elseif flow ~= "" and not second.holds_back(job, lines, snapshot) then
        local event = news.of(snapshot, lines.key, flow)
        if event then
            job:emit(event)
        end
    end
end

return push_orders
