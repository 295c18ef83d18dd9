--- Stage "post": the customer first, then the order, each once for ever by the effect ledger.
local customers = require("connectors.khaos_soap.customers")
local errors = require("neap.errors")
local history = require("flows.order_history")
local json = require("neap.json")
local khaos_orders = require("connectors.khaos_soap.orders")
local money = require("neap.money")
local order_units = require("flows.order_units")
local staged = require("flows.order_stages.staged")
local stock_pending = require("flows.stock_pending")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local time = require("neap.time")

-- An answer of the web server before Khaos: it refuses our requests, not this order.
local function is_web_server(err)
    return err.status ~= nil and err.status >= 400 and not err.maybe_sent
end

-- Khaos's faults do not say whether they will pass, so a faulted import is tried again a few
-- times before a person is asked; a skip is a decision of Khaos and is not.
local function retry_fault(work, name, err)
    if err.kind ~= "remote" or is_web_server(err) then
        return
    end
    for i = 1, work.settings.fault_retries do
        work.job:sleep(string.format("%s: fault %d", name, i), work.settings.fault_wait_ms)
    end
end

local function refuse(work, what, err)
    local words = err.message
    staged.came_back(work.key)
    if is_web_server(err) then
        support.check(work, "Khaos", nil, err)
    end
    support.hold(work, {{
        cause = "refused_by_khaos",
        subject = work.posting.reference,
        message = string.format("Khaos refused %s: %s", what, words),
        remedy = "Correct what Khaos names, in Khaos or in the mapping, then close this: the order "
            .. "is mapped and posted again.",
        recheck = "manual",
    }})
end

-- Runs an effect; nil when an overtaking cancellation stopped it.
local function effect(work, what, spec)
    local result, err = work.job:effect(spec)
    if result then
        return result
    elseif err.kind == "cancelled" and work.job:overtaken(spec.unless_event) then
        return nil
    elseif err.retryable or err.kind == "cancelled" then
        error(err, 0)
    end
    retry_fault(work, spec.name, err)
    refuse(work, what, err)
end

local function ensure_customer(work)
    local customer = work.posting.customer
    if work.customer then
        return work.customer.company_code
    end
    local made = effect(work, "customer " .. customer.other_ref, {
        connection = work.khaos.connection,
        name = "import_company",
        key = customer.other_ref,
        class = "lookup",
        unless_event = "cancellation",
        request = function()
            return customers.import_request(work.khaos, customer, work.settings.customer_import)
        end,
        read = customers.read_import,
        lookup = function(other_ref)
            return customers.lookup(work.khaos, other_ref)
        end,
    })
    return made and made.company_code
end

local function import(work)
    local posting = work.posting
    return effect(work, "order " .. posting.reference, {
        connection = work.khaos.connection,
        name = "import_order",
        key = posting.reference,
        class = "lookup",
        fingerprint = khaos_orders.fingerprint(posting.predicted.gross_minor, posting.currency),
        unless_event = "cancellation",
        request = function()
            staged.going(work.key)
            return khaos_orders.import_request(work.khaos, posting)
        end,
        read = khaos_orders.read_import,
        lookup = function(reference)
            return khaos_orders.lookup(work.khaos, reference)
        end,
    })
end

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

-- Despatch, cancellation, returns and reconciliation find the lines and their units here.
local function remember(work, posted)
    local posting = work.posting
    local company, market = support.company(work)
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
    local company_code = ensure_customer(work)
    if not company_code then
        return support.finish(work, "cancelled before it was posted")
    end
    work.posting.customer.company_code = company_code
    local posted = import(work)
    if not posted then
        return support.finish(work, "cancelled before it was posted")
    end
    remember(work, posted)
    return nil
end
