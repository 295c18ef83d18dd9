--- Stage "post": the order goes to Khaos by its product line, and is noted once Khaos has it.
local customer_orders = require("flows.customer_orders")
local errors = require("neap.errors")
local history = require("flows.order_history")
local json = require("neap.json")
local money = require("neap.money")
local order_units = require("flows.order_units")
local staged = require("flows.order_stages.staged")
local stock_pending = require("flows.stock_pending")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local time = require("neap.time")

local function lines_of(posting)
    local lines = json.array({})
    for i, line in ipairs(posting.lines) do
        lines[i] = {stock_code = line.stock_code, quantity = line.quantity, kind = line.kind,
            import_ref = line.import_ref, unit_ids = line.unit_ids, pack_link = line.pack_link,
            value = line.value, vat_code = line.vat_code, predicted = line.predicted}
    end
    return lines
end

local ACCOUNT = 3 -- payment type
local HOUR_MS = 3600000
local FORCE_CLOSE_MS = 14 * 24 * HOUR_MS -- SCAYLE counts an order without shipment as shipped

-- How it was paid: sums by Khaos's idea of the payment.
local function paid_of(posting)
    local sums = {}
    for _, payment in ipairs(posting.payments or {}) do
        local kind = payment.type == ACCOUNT and "account"
            or payment.preauth and "preauthorised" or "paid"
        local minor = errors.check(errors.check(money.decimal(payment.amount)):to_minor(
            posting.currency))
        sums[kind] = (sums[kind] or 0) + minor
    end
    return sums
end

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
        posted_ms = time.now_ms(), lines = lines_of(posting),
        delivery = posting.delivery_charge, paid = paid_of(posting), company = company,
        market = market,
    })
    history.add(work.key, "posted", {order_code = posted.order_code})
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
    return nil
end
