--- A cancellation that got no answer in time, because the order could not come to rest (an outage).
--- SCAYLE is documented to ask again. Should it have given up, it takes the order for ours while we
--- ended it: then nobody would send it. So we look again; an order that was never posted is
--- cancelled in SCAYLE as the merchant, one that was is a person's.
local cancellation = require("connectors.scayle.cancellation")
local decide = require("flows.cancellation_stages.decide")
local fulfillment = require("connectors.scayle.fulfillment")
local orders = require("connectors.scayle.orders")
local scayle_client = require("connectors.scayle.client")
local support = require("flows.order_stages.support")

local unheard = {}

unheard.EVENT = "cancellation.unheard"

local LOOK_FOR_MS = 7 * 24 * 3600000

--- Has it looked after, once per order and on a key of its own: repeats must not wait behind it.
---@param job neap.Job
---@param reference string
function unheard.watch(job, reference)
    job:emit({source = "scayle.cancellation.unheard", id = reference,
        key = "cancellation.unheard:" .. reference, name = unheard.EVENT,
        payload = job.event.payload})
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

-- Ids of our units that SCAYLE does not show as cancelled; none when it heard us after all.
local function open_units(job, scayle, where, order_id, merchant)
    return job:step("open units", function()
        local order, err = orders.get(scayle, where, order_id)
        order = support.check({job = job}, "SCAYLE", order, err)
        local ids = {}
        for _, item in ipairs(orders.is_cancelled(order) and {} or order.items or {}) do
            local owner = type(item.merchant) == "table" and item.merchant.referenceKey
            if not orders.is_item_cancelled(item) and (not merchant or owner == merchant) then
                ids[#ids + 1] = tostring(item.id)
            end
        end
        return {ids = ids}
    end).ids
end

local function cancel_in_scayle(job, asked, record)
    local scayle = scayle_client.new(job.settings.scayle)
    local where = {shop_key = record.shop_key, country = record.country}
    local units = open_units(job, scayle, where, record.order_id, asked.merchant)
    if #units == 0 then
        return
    end
    local result, err = job:effect({
        connection = scayle.connection, name = "cancel_units", class = "lookup",
        key = asked.order_reference_key .. "/unheard",
        request = function()
            return fulfillment.cancellation_request(where, record.order_id, asked.merchant, units)
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
        message = string.format("SCAYLE refused the cancellation of order %s, which the shopper "
            .. "wants and which is not in Khaos: %s", record.order_id, err.message),
        remedy = "Cancel its items in SCAYLE by hand, then dismiss this; or close it to try again.",
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
local function give_up(job, reference, record)
    local id = record and record.order_id or reference
    job:open_exception({cause = "cancellation_undecided", subject = reference,
        message = string.format("The shopper wants order %s cancelled, which is under way since, "
            .. "so nothing is decided", id),
        remedy = string.format("See what the order waits for (neap order %s) and end it; is it in "
            .. "Khaos, cancel it there. Then close this.", id), recheck = "manual"})
end

--- The job of an event "cancellation.unheard".
---@async
---@param job neap.Job
function unheard.run(job)
    local asked = assert(cancellation.parse(job.event.payload))
    local reference = asked.order_reference_key
    for look = 1, LOOK_FOR_MS // job.settings.look_after_ms do
        job:sleep("look " .. look, job.settings.look_after_ms)
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
        elseif found == "posted" then
            decide.posted(job, reference, key, record)
            if decide.known(reference) == "successful" then
                tell_decided(job, asked, record)
            end
        end
        if found ~= "open" then
            return
        end
    end
    local _, record = decide.order_of(reference)
    give_up(job, reference, record)
end

return unheard
