--- Stage "accept": takes in delegations and webhooks, durably and in milliseconds. Never waits,
--- never asks another system, and refuses only what names no order.
local delegation = require("connectors.scayle.delegation")
local identify = require("flows.order_stages.identify")
local json = require("neap.json")
local stock_pending = require("flows.stock_pending")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local time = require("neap.time")

local accept = {}

--- Notes an order that is now known; what is known already stays.
---@param identity orders.Identity
---@param fields table
function accept.remember(identity, fields)
    local record = support.record(identity.key)
    record.order_id = identity.order_id
    record.shop_key = identity.shop_key
    record.country = identity.country
    record.merchant = identity.merchant
    record.accepted_ms = record.accepted_ms or time.now_ms()
    record.ended = nil
    for name, value in pairs(fields) do
        record[name] = record[name] or value
    end
    store.put(support.RECORDS, identity.key, record)
    if record.order_reference_key then
        store.put(support.REFERENCES, record.order_reference_key, {key = identity.key})
    end
    if not record.order_code and not store.get(support.OPEN, identity.key) then
        store.put(support.OPEN, identity.key,
            {order_id = identity.order_id, accepted_ms = record.accepted_ms,
                confirmed_ms = fields.confirmed_ms})
    end
end

-- The second event reaches a job that waits for the delegation (webhook, sweep) or is held, and
-- ends it: the delegation's own job comes next on the same key.
local function delegation_events(identity, read, body)
    local id = string.format("%s:%s:%s", identity.shop_key, identity.order_id, identity.merchant)
    local reference = read.order_reference_key
    return {
        {source = "scayle.delegation", id = id, key = identity.key, name = "order.delegated",
            payload = body, aliases = reference and {"reference:" .. reference} or nil},
        {source = "scayle.delegation.notice", id = id, key = identity.key, name = "delegated",
            class = "overtaking", idle = "keep"},
    }
end

--- POST /scayle/delegation. A repeat of the same delegation gets the first answer.
---@param ctx neap.Context
---@param request neap.ServerRequest
---@return neap.Reply
function accept.delegation(ctx, request)
    local read, err = delegation.parse(request.body)
    if not read then
        return delegation.refusal(err)
    end
    local settings = ctx.settings
    local identity = identify.order(settings, read)
    accept.remember(identity, {delegated_ms = time.now_ms(),
        order_reference_key = read.order_reference_key})
    local is_ours = identity.merchant == settings.merchant_key
    if is_ours and store.get(support.OPEN, identity.key) then
        stock_pending.add(identity.key, delegation.units(read))
    end
    read.merchant_key = identity.merchant
    local reply = delegation.answer(settings.delegation_answer, read)
    reply.events = delegation_events(identity, read, request.body)
    return reply
end

local CONFIRMED = {["order-confirmed"] = true}
local CANCELLED = {["order-cancelled"] = true, ["order-canceled"] = true}

local RETURNED = {["order-item-returned"] = true}

local function is_ours(settings, notice)
    if #notice.merchants == 0 then
        return true
    end
    for _, merchant in ipairs(notice.merchants) do
        if merchant == settings.merchant_key then
            return true
        end
    end
    return false
end

local function notice_event(identity, notice, body)
    local event = {source = "scayle.webhook", id = notice.id, key = identity.key, payload = body}
    if CANCELLED[notice.type] then
        event.name = "cancellation"
        event.class = "overtaking"
        event.idle = "keep"
        return event
    end
    event.name = "order.seen"
    event.at_ms = notice.confirmed_at and time.parse_iso(notice.confirmed_at) or nil
    return event
end

-- Goods came back: the returns flow's, where there is one.
local function returned_event(settings, identity, notice)
    local units = {}
    for _, item in ipairs(notice.items) do
        if type(item) == "table" and item.id ~= nil then
            units[#units + 1] = tostring(item.id)
        end
    end
    return {source = "scayle.webhook", id = notice.id, key = "returns:" .. identity.key,
        name = "scayle.returned", flow = settings.returns_flow,
        payload = {order_key = identity.key, id = notice.id, units = json.array(units)}}
end

local function reply(status, document)
    return {status = status, headers = {["Content-Type"] = "application/json"},
        body = json.encode(document)}
end

--- POST /scayle/webhook: order-confirmed is an early notice, a cancelled order is never posted,
--- everything else is answered and left to other flows.
---@param ctx neap.Context
---@param request neap.ServerRequest
---@return neap.Reply
function accept.webhook(ctx, request)
    local notice, err = delegation.notice(request.body)
    if err then
        return delegation.refusal(err)
    end
    local settings = ctx.settings
    local is_return = notice and RETURNED[notice.type] and settings.returns_flow ~= nil
    local wanted = notice and (CONFIRMED[notice.type] or CANCELLED[notice.type] or is_return)
    if not wanted or not is_ours(settings, notice) then
        return reply(200, {accepted = false})
    end
    local identity = identify.order(settings, notice)
    local event = is_return and returned_event(settings, identity, notice)
        or notice_event(identity, notice, request.body)
    local answer = reply(200, {accepted = true})
    answer.events = {event}
    if event.name == "order.seen" then
        accept.remember(identity, {seen_ms = time.now_ms(), confirmed_ms = event.at_ms})
    end
    return answer
end

return accept
