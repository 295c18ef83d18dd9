--- Stage "validate": what ends an order's way before any mapping, and who its customer is in Khaos.
local causes = require("flows.orders.causes")
local identity = require("flows.orders.identity")
local market = require("flows.orders.market")
local orders = require("connectors.scayle.orders")
local remaining = require("flows.orders.remaining")
local support = require("flows.order_stages.support")
local time = require("neap.time")
local unwanted = require("flows.order_stages.unwanted")

local function before_live_from(work)
    local written = work.order.confirmedAt or work.order.createdAt
    local confirmed_ms = type(written) == "string" and time.parse_iso(written)
    if not confirmed_ms or confirmed_ms >= work.job.live_from_ms then
        return nil
    end
    if work.is_delegated then
        work.job:open_exception({cause = "before_live_from", subject = work.order_id,
            message = string.format("Order %s was confirmed before this integration went live and "
                .. "is delegated to us now; it is not posted", work.order_id),
            remedy = "Handle the order by hand in Khaos and SCAYLE, then close this.",
            recheck = "manual"})
    end
    return "confirmed before live_from: never posted"
end

-- Why the order goes no further, nil when it does.
local function reason_to_end(work)
    if work.job:overtaken("cancellation") then
        return "cancelled before it was posted"
    elseif orders.is_cancelled(work.order) then
        return "cancelled in SCAYLE: never posted"
    end
    local gone, ours = remaining.units(work.order, work.settings.merchant_key,
        unwanted.of(work.key))
    if #gone > 0 and #gone == #ours then
        return "every unit is cancelled: never posted"
    end
    return before_live_from(work)
end

local function add(work, kind, subject, message)
    work.causes[#work.causes + 1] = {cause = kind, subject = subject, message = message,
        recheck = "manual", remedy = "Correct the customer in Khaos, or its reference in the "
            .. "client's settings, then close this."}
end

local function check_merchant(work)
    local ours = work.settings.merchant_key
    if work.merchant ~= ours then
        work.causes[#work.causes + 1] = {cause = "unmapped_market",
            subject = "merchant " .. work.merchant, recheck = "reload",
            message = string.format("Order %s is delegated to merchant %s, this flow posts for %s",
                work.order_id, work.merchant, ours),
            remedy = "Give the merchant a flow of its own, or correct merchant_key."}
    end
    work.is_shared = false
    for _, merchant in ipairs(orders.merchants(work.order)) do
        work.is_shared = work.is_shared or merchant ~= ours
    end
end

local function compare(work, record, profile, currency)
    local who = string.format("Khaos customer %s (%s)", record.company_code, record.other_ref)
    if record.class and profile.company_class ~= record.class then
        add(work, "customer_conflict", record.other_ref, string.format(
            "%s has class %s, orders of this market are posted for class %s, and the class decides "
                .. "how Khaos calculates", who, record.class, profile.company_class))
    elseif record.currency and record.currency ~= currency then
        add(work, "customer_conflict", record.other_ref, string.format(
            "%s has currency %s, the order is in %s", who, record.currency, currency))
    end
end

-- The mapper says what is wrong with a customer reference that cannot be made; here it is skipped.
local function find_customer(work)
    local id = market.id(work.order, work.delegation)
    local profile = id and work.settings.mappings.companies[id]
    local currency = work.order.currencyCode
    local collected = causes.new()
    local other_ref = identity.other_ref({order = work.order, settings = work.settings,
        currency = currency, causes = collected})
    if not profile or not other_ref or collected:has() then
        return
    end
    local found = work.line.find_customer(work, other_ref)
    if #found > 1 then
        add(work, "customer_conflict", other_ref, string.format(
            "%d Khaos customers carry the reference %s", #found, other_ref))
    elseif found[1] then
        compare(work, found[1], profile, currency)
        work.customer = found[1]
    end
end

--- Adds to work.causes; sets work.customer (nil: unknown to Khaos) and work.is_shared.
---@async
---@param work table
---@return string|nil ended
return function(work)
    local ended = reason_to_end(work)
    if ended then
        return support.finish(work, ended)
    end
    if not work.is_delegated and orders.is_unconfirmed(work.order) then
        return support.finish(work, "not confirmed yet")
    end
    check_merchant(work)
    find_customer(work)
    return nil
end
