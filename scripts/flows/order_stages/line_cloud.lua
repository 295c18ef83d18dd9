--- The orders flow's seam to Khaos Control Cloud: an order is put into the queue that Khaos
--- fetches, and is posted when Khaos shows it in a status push. There is no other answer: an
--- import that failed is silence, so silence is a person's business after `silence_ms`, until a
--- push proves it.
local errors = require("neap.errors")
local json = require("neap.json")
local news = require("flows.despatch_stages.news")
local order_document = require("connectors.khaos_cloud.order_document")
local presence = require("flows.cloud_stages.presence")
local push_orders = require("flows.cloud_stages.push_orders")
local queue = require("flows.cloud_stages.queue")
local staged = require("flows.order_stages.staged")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local time = require("neap.time")
local unwanted = require("flows.order_stages.unwanted")

local line_cloud = {}

-- reference -> what is noted of the posting when Khaos shows the order: nothing of the person, so
-- that an order can be noted that was erased meanwhile
local POSTINGS = "cloud_postings"
local NOTED = {"reference", "company", "market", "currency", "predicted", "gross_to_net",
    "delivery_charge", "total"}
local NOTED_OF_LINE = {"stock_code", "quantity", "kind", "import_ref", "unit_ids", "pack_link",
    "value", "vat_code", "predicted", "order_discount_minor"}
local NOTED_OF_PAYMENT = {"type", "preauth", "amount"}
local NOTED_OF_CUSTOMER = {"other_ref", "company_class", "currency", "company_code"}
local SILENT = "not_shown_by_khaos"
local MINUTE_MS = 60000

local function copy(record)
    local same = {}
    for name, value in pairs(record) do
        same[name] = value
    end
    return same
end

--- Khaos says the rates here, and an order is calculated one way throughout: a gross profile has
--- gross prices only.
---@param mappings table
---@return table
function line_cloud.mappings(mappings)
    local changed = copy(mappings)
    changed.companies = copy(mappings.companies)
    for id, profile in pairs(mappings.companies) do
        if profile.calc == "gross" then
            changed.companies[id] = copy(profile)
            changed.companies[id].non_standard_lines = "gross"
        end
    end
    return changed
end

--- Khaos cannot be asked: customers are those of orders it has shown.
---@param other_ref string
---@return table[]
function line_cloud.find_customer(_, other_ref)
    return {store.get(support.CUSTOMERS, other_ref)}
end

--- Khaos pushes its stock codes; there is nobody to ask.
---@return boolean
function line_cloud.ask_codes()
    return false
end

-- ---- posting ---------------------------------------------------------------------------------

local function company_code(work)
    if work.customer then
        return work.customer.company_code
    end
    local other_ref = work.posting.customer.other_ref
    return (work.khaos.urn:gsub("{other_ref}", {["{other_ref}"] = other_ref}))
end

--- What is sent in the posting's place.
---@param work table
---@param posting table
---@return table a SalesOrder
function line_cloud.document(work, posting)
    return order_document.build(work.khaos, posting)
end

local function only(names, record)
    local part = {}
    for _, name in ipairs(names) do
        part[name] = record[name]
    end
    return part
end

local function each_only(names, list)
    local parts = json.array({})
    for i, record in ipairs(list or {}) do
        parts[i] = only(names, record)
    end
    return parts
end

local function noted_of(posting)
    local noted = only(NOTED, posting)
    noted.customer = only(NOTED_OF_CUSTOMER, posting.customer)
    noted.lines = each_only(NOTED_OF_LINE, posting.lines)
    noted.payments = each_only(NOTED_OF_PAYMENT, posting.payments)
    return noted
end

-- In one piece, the look at the tombstone of a cancellation too: cut short, it was not offered.
local function put_in_queue(work)
    if work.job:overtaken("cancellation") then
        return false
    end
    unwanted.leave(work)
    local posting = work.posting
    queue.put("orders", posting.reference, work.key, order_document.build(work.khaos, posting))
    store.put(POSTINGS, posting.reference, noted_of(posting))
    -- The run that notes the order is another one, without the order at hand.
    staged.going(work.key)
    support.remember(work, {offered = posting.reference, is_shared = work.is_shared})
    return true
end

local function offer(work)
    local posting = work.posting
    posting.customer.company_code = company_code(work)
    posting.company, posting.market = support.company(work)
    local is_offered = store.atomic(function()
        return put_in_queue(work)
    end)
    if is_offered then
        work.job:facts({state = "waiting for Khaos to fetch it"})
        work.job:note("post", "offered to Khaos as " .. posting.reference)
    end
    return is_offered
end

-- What Khaos shows of it and was not believed (flows.cloud_stages.push_orders).
local function shown_wrongly(reference)
    local wrong = store.get(push_orders.WRONG, reference)
    return wrong and string.format(". It shows what was not believed, though: %s. Settle that "
        .. "before you release this", wrong.problem) or ""
end

local function silence(reference, entry, is_cancelled)
    local words
    if entry.state == "queued" then
        local called_ms = presence.calls().orders
        words = string.format("Khaos has not fetched it%s", called_ms and string.format(
            "; it last asked for orders at %s", time.format_iso(called_ms))
            or ", and never asked for orders at all")
    else
        words = string.format("Khaos fetched it (%d times, last at %s) and has not shown it since",
            entry.times, time.format_iso(entry.served_ms))
    end
    return words .. shown_wrongly(reference)
        .. (is_cancelled and ". The shopper wants it cancelled" or "")
end

local function is_told(work, reference)
    for _, open in ipairs(work.job:exceptions(SILENT)) do
        if open.subject == reference then
            return true
        end
    end
    return false
end

-- The import's failure is seen in Khaos only; a retry there ends in the push that proves it. A
-- person who closes the exception says that Khaos does not have the order.
local function hold_silent(work, reference, entry)
    entry.is_told = true
    queue.keep("orders", reference, entry)
    local is_cancelled = work.job:overtaken("cancellation") ~= nil
    support.hold(work, {{cause = SILENT, subject = reference, recheck = "proof",
        message = string.format("Order %s was offered to Khaos %d min ago. %s", work.order_id,
            (time.now_ms() - entry.put_ms) // MINUTE_MS, silence(reference, entry, is_cancelled)),
        remedy = is_cancelled and "Look in the channel's imported orders. If Khaos has the order, "
            .. "cancel it there; if not, set it to ignore there and release this: it is taken back."
            or "Look in the channel's imported orders why it failed (a stock code, a customer), "
            .. "correct that and retry it there: this closes by itself when Khaos shows the order. "
            .. "Release this only when Khaos does not have it: it is offered once more."}})
end

local function posted_of(work, reference, entry)
    -- Noted with the order, in this slice.
    work.posting = assert(store.get(POSTINGS, reference), "the posting of a shown order is gone")
    store.delete(POSTINGS, reference)
    work.job:close_exception(SILENT, reference, "Khaos shows it as " .. entry.order_code)
    return {order_code = entry.order_code, message = string.format("shown after %d s",
        (entry.shown_ms - entry.put_ms) // 1000),
        urn = work.khaos.send_urn and work.posting.customer.company_code or nil}
end

local function taken_back(work, reference, words)
    store.delete(POSTINGS, reference)
    support.remember(work, {offered = false})
    work.job:close_exception(SILENT, reference, words)
    work.job:note("post", words)
end

-- A person says that Khaos does not have it. True when it is taken back then.
local function believe(work, reference)
    if work.job:overtaken("cancellation") then
        queue.withdraw("orders", reference, true)
        taken_back(work, reference, "taken back: somebody looked, and Khaos does not have it")
        return true
    end
    queue.offer_again("orders", reference)
    work.job:note("post", "offered to Khaos once more: somebody looked, and it does not have it")
    return false
end

-- Nothing more to do here until a push: true when the order was taken back instead.
local function wait(work, reference, entry)
    local job = work.job
    local is_cancelled = job:overtaken("cancellation") ~= nil
    if is_cancelled and queue.withdraw("orders", reference) then
        taken_back(work, reference, "taken out of the queue: Khaos had not fetched it")
        return true
    elseif entry.is_told and not is_told(work, reference) and believe(work, reference) then
        return true
    end
    entry = queue.get("orders", reference)
    job:facts({state = is_cancelled and "cancelled while Khaos may have it: in doubt"
        or entry.state == "queued" and "waiting for Khaos to fetch it"
        or "fetched by Khaos, not shown yet"})
    local alarm_ms = entry.put_ms + work.khaos.silence_ms
    if time.now_ms() >= alarm_ms then
        hold_silent(work, reference, entry)
    end
    job:await({name = string.format("Khaos shows offer %d", entry.seq), events = {"received"},
        until_ms = alarm_ms})
    return false
end

--- Offers work.posting, or goes on waiting for what was offered; nil when it was cancelled before
--- Khaos could have seen it.
---@async
---@param work table
---@return {order_code: string, urn: string|nil, message: string|nil}|nil
function line_cloud.post(work)
    if not work.record.offered and not offer(work) then
        return nil
    end
    local reference = work.record.offered
    for _ = 1, 2 do -- the wait, and what came of it
        local entry = queue.get("orders", reference)
        if entry.state == "shown" then
            return posted_of(work, reference, entry)
        elseif wait(work, reference, entry) then
            return nil
        end
    end
    error(errors.new({kind = "remote", retryable = true,
        message = "Khaos's push woke the order and is not there"}), 0)
end

-- What it shows may be further on by now. A cancellation that came in between is a person's.
function line_cloud.noted(work)
    local reference = work.record.reference
    local snapshot = store.get(news.EARLY, reference)
    local event = snapshot and work.khaos.despatch_flow ~= ""
        and news.of(snapshot, work.key, work.khaos.despatch_flow)
    store.delete(news.EARLY, reference)
    if event then
        work.job:emit(event)
    end
    if work.job:overtaken("cancellation") and not (snapshot and snapshot.is_cancelled) then
        work.job:open_exception({cause = "cancel_in_khaos", subject = work.order_id,
            message = string.format("Order %s was cancelled while Khaos fetched it; Khaos has it "
                .. "as %s", work.order_id, work.record.order_code),
            remedy = string.format("Cancel sales order %s in Khaos before it is sent. If it must "
                .. "be sent, dismiss this.", work.record.order_code), recheck = "proof"})
    end
end

--- Khaos Cloud tells no totals: the order carries its GrossTotal, and there is nothing to compare.
---@param work table
function line_cloud.confirm(work)
    work.job:note("confirm", "Khaos Control Cloud tells no totals; GrossTotal went with the order")
end

return line_cloud
