--- Sends a webhook: not blocking, in no order, sometimes twice, with a key to drop duplicates by.

local crypto = require("neap.crypto")
local faults = require("lib.sandbox.faults")
local json = require("neap.json")
local orders = require("shop.orders")
local refunds = require("shop.refunds")
local sender = require("shop.sender")
local store = require("neap.store")
local time = require("neap.time")
local world = require("shop.world")

local TRIES = 3
local RETRY_MS = 2000

local function open(job)
    return world.open({store = store, time = time, settings = job.settings})
end

-- A key that looks like a UUID and is the same in every copy.
local function key_of(id)
    local hex = crypto.sha256(id)
    return ("%s-%s-4%s-9%s-%s"):format(
        hex:sub(1, 8),
        hex:sub(9, 12),
        hex:sub(14, 16),
        hex:sub(18, 20),
        hex:sub(21, 32)
    )
end

-- Order events carry the order, item events the order and the items (contract 7.2).
local function payload_of(said, order)
    if said.refund then
        return refunds.payload(order, said.refund)
    elseif not said.items then
        return order
    end
    local wanted, items = {}, json.array({})
    for _, id in ipairs(said.items) do
        wanted[id] = true
    end
    for _, item in ipairs(order.items) do
        if wanted[item.id] then
            items[#items + 1] = item
        end
    end
    return {order = order, items = items}
end

local function envelope(w, event, order)
    local said = json.decode(event.payload)
    return {
        key = key_of(event.id),
        meta = {tenantKey = "fellside", xRequestId = "req-" .. key_of(event.id):sub(1, 8)},
        occurredAt = order.confirmedAt or world.instant(w, w.now_ms),
        type = said.type,
        version = 2,
        payload = payload_of(said, order),
    }
end

local function send(job, order_id, number)
    return job:step("send " .. number, function()
        local w = open(job)
        local order = orders.get(w, order_id)
        if not order then
            return {is_over = true}
        end
        local body = envelope(w, job.event, order)
        local result = sender.post(w.settings.webhook_path, body, w.settings.answer_timeout_ms)
        local after = open(job)
        local record = orders.record(after, order_id)
        if record then
            record.webhooks[#record.webhooks + 1] = {number = number, status = result.status}
            orders.save_record(after, record)
        end
        return {is_over = result.status ~= nil and result.status < 300}
    end)
end

local function run(job)
    local said = json.decode(job.event.payload)
    local order_id = said.order_id
    local plan = job:step("plan", function()
        local w = open(job)
        local faulty = faults.plan(w.store, {operation = "webhook", path = w.settings.webhook_path})
        local is_twice = faulty.duplicate ~= nil or w.settings.duplicate_webhooks
        return {delay_ms = faulty.delay_ms or (faulty.reorder and 1500) or said.delay_ms or 0,
            is_twice = is_twice}
    end)
    if plan.delay_ms > 0 then
        job:sleep("delay", plan.delay_ms)
    end
    for number = 1, TRIES do
        if send(job, order_id, tostring(number)).is_over then
            break
        end
        job:sleep("retry " .. number, RETRY_MS * number)
    end
    if plan.is_twice then
        send(job, order_id, "again")
    end
end

return {name = "webhook", version = 1, run = run}
