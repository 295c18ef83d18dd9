--- Stage "accept": takes in delegations and webhooks, durably and in milliseconds. Never waits,
--- never asks another system, and refuses only what names no order.
local aftersale_events = require("flows.order_stages.aftersale_events")
local delegation = require("connectors.scayle.delegation")
local identify = require("flows.order_stages.identify")
local json = require("neap.json")
local pulse = require("flows.pulse")
local remaining = require("flows.orders.remaining")
local stock_pending = require("flows.stock_pending")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local time = require("neap.time")
local unit_events = require("flows.unit_stages.events")

local accept = {}

-- The same message again, or an older one of an order whose delegation was here, brings no job that
-- would end the order once more.
local function is_repeat(known, fields)
    local is_told = known.delegated_ms or fields.seen_id and fields.seen_id == known.seen_id
    return known.ended and is_told
end

--- Notes an order that is now known; what is known already stays.
---@param identity orders.Identity
---@param fields table
---@param units table<string, integer>|nil what it takes of the stock, nil when that is not known;
---   of units that were told before, those of its delegation count
---@return boolean is_awaited it was known, but not yet delegated
function accept.remember(identity, fields, units)
    local known = store.get(support.RECORDS, identity.key)
    local is_awaited = known ~= nil and known.delegated_ms == nil
    if known and is_repeat(known, fields) then
        return is_awaited
    end
    local record = known or {is_going = false} -- flows.order_stages.unwanted
    record.order_id = identity.order_id
    record.shop_key = identity.shop_key
    record.country = identity.country
    record.merchant = identity.merchant
    if not record.accepted_ms then
        record.accepted_ms = time.now_ms()
        pulse.beat("orders", record.accepted_ms)
    end
    record.ended = nil
    for name, value in pairs(fields) do
        record[name] = record[name] or value
    end
    record.seen_id = fields.seen_id or record.seen_id
    store.put(support.RECORDS, identity.key, record)
    if record.order_reference_key then
        support.call_by(record.order_reference_key, identity.key)
        store.delete(support.UNNAMED, identity.key)
    end
    if not record.order_code and not (known and store.get(support.OPEN, identity.key)) then
        stock_pending.open(identity.key, {order_id = identity.order_id,
            accepted_ms = record.accepted_ms, confirmed_ms = record.confirmed_ms, units = units})
    elseif units and fields.delegated_ms then
        stock_pending.add(identity.key, units)
    elseif units then
        stock_pending.learn(identity.key, units)
    end
    return is_awaited
end

-- The second event, for an order that was known before, reaches a job that waits for the
-- delegation (webhook, sweep) or is held, and ends it: the delegation's own job comes next on the
-- same key. A job that only begins later finds the delegation in the order's record.
local function delegation_events(identity, read, body, is_awaited)
    local id = string.format("%s:%s:%s", identity.shop_key, identity.order_id, identity.merchant)
    local reference = read.order_reference_key
    return {
        {source = "scayle.delegation", id = id, key = identity.key, name = "order.delegated",
            payload = body, aliases = reference and {"reference:" .. reference} or nil},
        is_awaited and {source = "scayle.delegation.notice", id = id, key = identity.key,
            name = "delegated", class = "overtaking", idle = "keep"} or nil,
    }
end

-- Orders that are delegated to another merchant take nothing of our stock.
local function units_of(settings, identity, read)
    if identity.merchant ~= settings.merchant_key then
        return {}
    end
    return delegation.units(read)
end

--- POST /scayle/delegation. A repeat of the same delegation gets the first answer.
---@param ctx neap.Context
---@param request neap.ServerRequest
---@return neap.Reply
function accept.delegation(ctx, request)
    local read, err = delegation.head(request.body)
    if not read then
        return delegation.refusal(err)
    end
    local settings = ctx.settings
    local identity = identify.order(settings, read)
    local is_awaited = accept.remember(identity, {delegated_ms = time.now_ms(),
        order_reference_key = read.order_reference_key}, units_of(settings, identity, read))
    read.merchant_key = identity.merchant
    local reply = delegation.answer(settings.delegation_answer, read)
    reply.events = delegation_events(identity, read, request.body, is_awaited)
    return reply
end

local CONFIRMED = {["order-confirmed"] = true}
local CANCELLED = {["order-cancelled"] = true, ["order-canceled"] = true}

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

local function reply(status, document)
    return {status = status, headers = {["Content-Type"] = "application/json"},
        body = json.encode(document)}
end

-- SCAYLE itself is asked which units. An order under way is looked at again once it is posted; one
-- that is not known is fetched without them.
local function units_event(identity, notice)
    local record = store.get(support.RECORDS, identity.key)
    if not record then
        return nil
    elseif not record.order_code then
        record.units_told_ms = time.now_ms()
        store.put(support.RECORDS, identity.key, record)
        return nil
    end
    return unit_events.look("scayle.webhook.units", notice.id, identity.key)
end

-- What a notice says of its confirmation is only its word: nothing is known of an order that it
-- claims to be too old to be posted.
local function remember_seen(ctx, identity, notice, confirmed_ms)
    if confirmed_ms and confirmed_ms < ctx.live_from_ms then
        return
    end
    accept.remember(identity, {seen_ms = time.now_ms(), seen_id = notice.id,
        confirmed_ms = confirmed_ms},
        remaining.codes(notice.raw, ctx.settings.merchant_key))
end

local function events_of(ctx, notice, kind, body)
    local settings = ctx.settings
    local identity, events = identify.order(settings, notice), {}
    if kind == "cancelled" then
        events[1] = units_event(identity, notice)
    elseif kind then
        events[1] = aftersale_events.of(settings, identity, notice, kind)
    end
    if CONFIRMED[notice.type] or CANCELLED[notice.type] then
        local event = notice_event(identity, notice, body)
        table.insert(events, event)
        if event.name == "order.seen" then
            remember_seen(ctx, identity, notice, event.at_ms)
        end
    end
    return events
end

--- POST /scayle/webhook: order-confirmed is an early notice, a cancelled order is never posted,
--- cancelled units are taken out of a posted one, what happens after the sale goes to the returns
--- flow, everything else is answered only.
---@param ctx neap.Context
---@param request neap.ServerRequest
---@return neap.Reply
function accept.webhook(ctx, request)
    local notice, err = delegation.notice(request.body)
    if err then
        return delegation.refusal(err)
    end
    local settings = ctx.settings
    local kind = notice and aftersale_events.kind(settings, notice)
    local wanted = notice and (CONFIRMED[notice.type] or CANCELLED[notice.type] or kind)
    if not wanted or not is_ours(settings, notice) then
        return reply(200, {accepted = false})
    end
    local answer = reply(200, {accepted = true})
    answer.events = events_of(ctx, notice, kind, request.body)
    return answer
end

return accept
