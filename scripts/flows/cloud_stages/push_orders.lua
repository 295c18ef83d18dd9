--- OrderStatusUpload, taken: snapshots of orders that Khaos Control Cloud pushes. A repeat changes
--- nothing.
local news = require("flows.despatch_stages.news")
local order_status = require("connectors.khaos_cloud.order_status")
local queue = require("flows.cloud_stages.queue")
local store = require("neap.store")
local support = require("flows.order_stages.support")

local push_orders = {}

-- Ours by its reference, or by what we sent as CustomData: a channel may change references.
local function known(status)
    for _, reference in ipairs({status.reference or "", status.custom or ""}) do
        if reference ~= "" then
            local entry, lines = queue.get("orders", reference), store.get(support.LINES, reference)
            if entry or lines then
                return reference, entry, lines
            end
        end
    end
    return nil
end

local function trouble(reference, entry, order_code)
    return {source = "khaos_cloud.withdrawn", id = reference .. ":" .. entry.seq,
        key = "khaos_cloud:" .. reference, name = "withdrawn.shown",
        payload = {reference = reference, order_code = order_code}}
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

push_orders.read = order_status.read

--- Takes one order's snapshot.
---@param job neap.Job
---@param status khaos.CloudStatus
function push_orders.take(job, status)
    local reference, entry, lines = known(status)
    if not reference or not status.order_code then
        return
    end
    local snapshot = status.snapshot
    snapshot.reference = reference
    if entry and queue.show("orders", reference, status.order_code) then
        job:emit(entry.state == "withdrawn" and trouble(reference, entry, status.order_code)
            or received(job, reference, entry))
    end
    local flow = job.settings.khaos.despatch_flow
    if lines and flow ~= "" and lines.order_code == status.order_code then
        local event = news.of(snapshot, lines.key, flow)
        if event then
            job:emit(event)
        end
    elseif not lines then
        store.put(news.EARLY, reference, snapshot)
    end
end

return push_orders
