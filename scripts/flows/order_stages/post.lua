--- Stage "post": the order goes to Khaos by its product line, and is noted once Khaos has it.
local customer_orders = require("flows.customer_orders")
local history = require("flows.order_history")
local order_units = require("flows.order_units")
local posted_lines = require("flows.order_stages.posted_lines")
local pulse = require("flows.pulse")
local staged = require("flows.order_stages.staged")
local stock_pending = require("flows.stock_pending")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local time = require("neap.time")
local unit_events = require("flows.unit_stages.events")

local HOUR_MS = 3600000
local FORCE_CLOSE_MS = 14 * 24 * HOUR_MS -- SCAYLE counts an order without shipment as shipped

-- The product line that cannot be asked for a customer knows it from here.
local function remember_customer(customer, urn)
    if urn and urn ~= "" then
        store.put(support.CUSTOMERS, customer.other_ref, {company_code = urn,
            other_ref = customer.other_ref, class = customer.company_class,
            currency = customer.currency})
    end
end

-- Despatch, cancellation, returns and reconciliation find the lines and their units here.
local function remember(work, posted)
    local posting = work.posting
    local company, market = posting.company, posting.market
    if work.order then
        company, market = support.company(work)
    end
    store.put(support.LINES, posting.reference, {
        key = work.key, order_id = work.order_id, shop_key = work.where.shop_key,
        country = work.where.country, order_code = posted.order_code, currency = posting.currency,
        predicted = posting.predicted, gross_to_net = posting.gross_to_net,
        posted_ms = time.now_ms(), lines = posted_lines.lines(posting),
        delivery = posting.delivery_charge, paid = posted_lines.paid(posting), company = company,
        market = market,
    })
    history.add(work.key, "posted", {order_code = posted.order_code})
    if not work.record.order_reference_key then
        store.put(support.UNNAMED, work.key, {})
    end
    pulse.beat("posted", time.now_ms())
    local promise = work.settings.despatch_promise_hours
    local accepted_ms = work.delegated_ms or work.record.accepted_ms or time.now_ms()
    order_units.begin(work.key, posting, {order_id = work.order_id,
        promise_ms = promise and accepted_ms + promise * HOUR_MS or nil,
        force_close_ms = accepted_ms + FORCE_CLOSE_MS})
    staged.posted(work.key)
    remember_customer(posting.customer, posted.urn)
    customer_orders.add(posted.urn, posting.reference)
    stock_pending.posted(work.key, time.now_ms())
    support.remember(work, {order_code = posted.order_code, urn = posted.urn,
        reference = posting.reference, posted_ms = time.now_ms(), is_shared = work.is_shared})
    work.job:link("khaos_order", posted.order_code)
    work.job:link("khaos_reference", posting.reference)
    if posted.urn and posted.urn ~= "" then
        work.job:link("khaos_company", posted.urn)
    end
    work.job:facts({state = "posted as " .. posted.order_code})
    work.job:note("post", string.format("Khaos took it as %s%s", posted.order_code,
        posted.message and ": " .. posted.message or ""))
    work.job:close_exception("stuck_order", work.order_id, "posted as " .. posted.order_code)
end

--- Sets work.record.order_code.
---@async
---@param work table
---@return string|nil ended
return function(work)
    local posted = work.line.post(work)
    if not posted then
        return support.finish(work, "cancelled before it was posted")
    end
    remember(work, posted)
    work.line.noted(work)
    -- What was cancelled while it was under way was perhaps not seen by the posting.
    if work.record.units_told_ms then
        work.job:emit(unit_events.look("orders.posted", work.key, work.key))
    end
    return nil
end
