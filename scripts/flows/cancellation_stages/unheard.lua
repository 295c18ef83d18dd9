--- A cancellation that got no answer in time, because the order could not come to rest (an outage).
--- SCAYLE is documented to ask again. Should it have given up, it takes the order for ours while we
--- ended it: then nobody would send it. So we look again; an order that was never posted is
--- cancelled in SCAYLE as the merchant, one that was is a person's. The same goes for a part of it.
local cancellation = require("connectors.scayle.cancellation")
local decide = require("flows.cancellation_stages.decide")
local fulfillment = require("connectors.scayle.fulfillment")
local json = require("neap.json")
local orders = require("connectors.scayle.orders")
local part = require("flows.cancellation_stages.part")
local read = require("flows.orders.read")
local scayle_client = require("connectors.scayle.client")
local support = require("flows.order_stages.support")

local unheard = {}

unheard.EVENT = "cancellation.unheard"

local LOOK_FOR_MS = 7 * 24 * 3600000

-- What the decision is kept under; the second: a part of the order is meant.
local function name_of(settings, asked)
    if part.is_part(settings, asked) then
        return part.name(asked), true
    end
    return asked.order_reference_key, false
end

--- Has it looked after, once per order or part and on a key of its own: repeats must not wait
--- behind it.
---@param job neap.Job
---@param asked scayle.Cancellation
function unheard.watch(job, asked)
    local name = name_of(job.settings, asked)
    job:emit({source = "scayle.cancellation.unheard", id = name,
        key = "cancellation.unheard:" .. name, about = decide.about(asked.order_reference_key),
        name = unheard.EVENT,
        payload = json.encode({orderReferenceKey = asked.order_reference_key,
            fulfillingMerchantKey = asked.merchant, warehouseIds = asked.warehouse_ids})})
end

--- The same, about the whole order.
---@param job neap.Job
---@param asked scayle.Cancellation
function unheard.watch_whole(job, asked)
    unheard.watch(job, {order_reference_key = asked.order_reference_key, merchant = asked.merchant,
        warehouse_ids = json.array({})})
end

local function verdict(reference)
    local _, record = decide.order_of(reference)
    if decide.is_heard(reference) or decide.known(reference) == "refused" then
        return "heard" -- SCAYLE takes the order for ours, as it is
    elseif decide.known(reference) then
        return "decided"
    elseif record and record.order_code then
        return "posted"
    end
    return record and record.ended and "ended" or "open"
end

-- Ids of our units, or of those of a part, that SCAYLE does not show as cancelled; none when it
-- heard us after all.
local function open_units(job, scayle, where, order_id, merchant, of_part)
    return job:step("open units", function()
        local order, err = orders.get(scayle, where, order_id)
        order = support.check({job = job}, "SCAYLE", order, err)
        local ids = {}
        for _, item in ipairs(orders.is_cancelled(order) and {} or order.items or {}) do
            local id, is_ours = tostring(item.id), not merchant or read.is_ours(item, merchant)
            local is_meant = is_ours and (not of_part or of_part[id])
            ids[#ids + 1] = is_meant and not orders.is_item_cancelled(item) and id or nil
        end
        return {ids = ids}
    end).ids
end

local function cancel_in_scayle(job, asked, record)
    local scayle = scayle_client.new(job.settings.scayle)
    local where = {shop_key = record.shop_key, country = record.country}
    local name, is_part = name_of(job.settings, asked)
    -- A part of which nothing was open has no units: never all of them.
    local merchant = decide.merchant(job, asked)
    local units = open_units(job, scayle, where, record.order_id, merchant,
        is_part and (decide.units_of(name) or {}) or nil)
    if #units == 0 then
        return
    end
    local result, err = job:effect({
        connection = scayle.connection, name = "cancel_units", class = "lookup",
        key = name .. "/unheard",
        request = function()
            return fulfillment.cancellation_request(where, record.order_id, merchant, units)
        end,
        read = fulfillment.read,
        lookup = function()
            return fulfillment.lookup_cancelled(scayle, where, record.order_id, units)
        end,
    })
    if result then
        return
    elseif err.retryable or err.kind == "cancelled" then
        error(err, 0)
    end
    job:hold{{cause = "refused_by_scayle", subject = record.order_id .. " unheard",
        message = string.format("SCAYLE refused the cancellation of %d units of order %s, which "
            .. "the shopper wants and which are not in Khaos: %s", #units, record.order_id,
            err.message),
        remedy = "Cancel them in SCAYLE by hand, then dismiss this; or close it to try again.",
        recheck = "manual"}}
end

-- Khaos has cancelled it, or it was never posted, and SCAYLE still takes it for ours.
local function tell_decided(job, asked, record)
    if record then
        cancel_in_scayle(job, asked, record)
        job:note("cancellation", "SCAYLE was told of the cancellation that it did not hear of")
    end
end

-- The order never came to rest: whoever mends it must know what the shopper wants.
local function give_up(job, asked)
    local _, record = decide.order_of(asked.order_reference_key)
    local id = record and record.order_id or asked.order_reference_key
    local name, is_part = name_of(job.settings, asked)
    job:open_exception({cause = "cancellation_undecided", subject = name,
        message = string.format("The shopper wants %sorder %s cancelled, which is under way since, "
            .. "so nothing is decided", is_part and "a part of " or "", id),
        remedy = string.format("See what the order waits for (neap order %s) and end it; is it in "
            .. "Khaos, cancel it there. Then close this.", id), recheck = "manual"})
end

-- One look at a whole order; true: nothing is left to be done.
local function look_at_order(job, asked, look)
    local reference = asked.order_reference_key
    -- Remembered: once it began to tell SCAYLE, a late repeat does not stop it half way.
    local found = job:step("found " .. look, function()
        return verdict(reference)
    end)
    local key, record = decide.order_of(reference)
    if found == "ended" and decide.is_strange(job, record) then
        decide.tell_strange(job, reference)
        decide.note(job, reference, "refused", "it may be the predecessor's")
    elseif found == "ended" then
        cancel_in_scayle(job, asked, record)
        decide.note(job, reference, "successful", "SCAYLE was told: never posted")
    elseif found == "decided" then
        tell_decided(job, asked, record)
    elseif found == "posted" and decide.known(reference) ~= "refused" then
        if not decide.posted(job, reference, key, record) then
            return false
        elseif decide.known(reference) == "successful" then
            tell_decided(job, asked, record)
        end
    end
    return found ~= "open"
end

local function verdict_of_part(asked, name)
    local known = part.known(asked)
    if decide.is_heard(name) or known == "refused" then
        return "heard"
    end
    return known and "decided" or "open"
end

-- One look at a part; true: nothing is left to be done.
local function look_at_part(job, asked, look)
    local found = job:step("found " .. look, function()
        return verdict_of_part(asked, part.name(asked))
    end)
    if found == "decided" then
        local _, record = decide.order_of(asked.order_reference_key)
        tell_decided(job, asked, record)
    end
    if found ~= "open" then
        return true
    elseif verdict_of_part(asked, part.name(asked)) ~= "open" then
        return false -- it was open then, and the next look sees what became of it
    end
    local is_whole = false
    part.settle(job, asked, {look = "units there " .. look, wait = function(fn)
        fn() -- the next look sees what became of it
    end, whole = function()
        is_whole = true
        unheard.watch_whole(job, asked)
        return true
    end})
    return is_whole
end

--- The job of an event "cancellation.unheard".
---@async
---@param job neap.Job
function unheard.run(job)
    local asked = assert(cancellation.parse(job.event.payload))
    local _, is_part = name_of(job.settings, asked)
    local look_at = is_part and look_at_part or look_at_order
    for look = 1, LOOK_FOR_MS // job.settings.look_after_ms do
        job:sleep("look " .. look, job.settings.look_after_ms)
        if look_at(job, asked, look) then
            return
        end
    end
    give_up(job, asked)
end

return unheard
