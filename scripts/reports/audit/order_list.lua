--- The audit's first part: all orders of the shops, page by page as the sweep does, kept as digests
--- in the run's own store, newest first; and what the list alone tells: orders that lie open too
--- long or from before the start, and orders that look like the same one twice.
local asking = require("reports.audit.asking")
local orders = require("connectors.scayle.orders")
local report = require("neap.report")
local scayle_client = require("connectors.scayle.client")
local store = require("neap.store")
local time = require("neap.time")

local order_list = {}

order_list.TABLE = "audit_orders" -- newest first: place -> digest
-- flow, shop and order id -> true: a list that moves shows an order twice
local SEEN = "audit_orders_seen"
local SAME = "audit_orders_same" -- what makes orders look alike -> their digests
local SHARE = 50 -- percent of the calls, for paging
local LAST_MS = 999999999999999
local HOUR_MS = 3600000
local DAY_MS = 24 * HOUR_MS
local FORCE_CLOSE_MS = 14 * DAY_MS -- then SCAYLE counts an order as shipped
local NEAR_MS = 3 * DAY_MS -- of its end
local OLD_MS = 3 * DAY_MS -- where the client makes no despatch promise
local MINUTE = 16 -- characters of an instant, down to its minute

local FINISHED_ITEMS = {cancelled = true, canceled = true, returned = true, unavailable = true,
    undeliverable = true}

-- What the audit may make of it: "open" and "past" are mapped, the rest is counted.
local function state_of(order)
    if orders.is_cancelled(order) then
        return "cancelled"
    elseif orders.is_unconfirmed(order) then
        return "unconfirmed"
    elseif orders.is_open(order) then
        return "open"
    end
    for _, item in ipairs(type(order.items) == "table" and order.items or {}) do
        if FINISHED_ITEMS[item.status] or item.returnedAt or item.cancelledAt then
            return "changed"
        end
    end
    return "past"
end

local function text(value)
    return (type(value) == "string" and value ~= "" or math.type(value) == "integer")
        and tostring(value) or nil
end

local function digest(order, shop)
    local country = type(order.shopCountry) == "table" and order.shopCountry or {}
    local cost = type(order.cost) == "table" and order.cost or {}
    local customer = type(order.customer) == "table" and order.customer or {}
    local written = text(order.confirmedAt) or text(order.createdAt)
    return {order_id = text(order.id), shop_key = text(country.shopKey) or shop.shop_key,
        shop_id = text(country.id), country_code = text(country.countryCode) or shop.country,
        confirmed_ms = written and time.parse_iso(written) or nil, state = state_of(order),
        minor = math.type(cost.withTax) == "integer" and cost.withTax or nil,
        currency = text(order.currencyCode), reference = text(order.referenceKey),
        public_key = text(order.publicKey), customer = text(customer.id),
        is_shared = #orders.merchants(order) > 1}
end

-- ---- duplicates ------------------------------------------------------------------------------

local DUPLICATES = {
    public_key = "orders with the same public number",
    reference = "orders with the same ERP reference",
    basket = "orders of one customer, alike in total, currency and minute",
}

-- The customer only counts, in a store that is gone afterwards.
local function likenesses(entry)
    local list = {}
    if entry.public_key then
        list[#list + 1] = {"public_key", entry.shop_key .. " " .. entry.public_key}
    end
    if entry.reference then
        list[#list + 1] = {"reference", entry.reference}
    end
    if entry.customer and entry.minor and entry.confirmed_ms then
        list[#list + 1] = {"basket", string.format("%s %s %s %d %s", entry.shop_key,
            entry.customer, entry.currency or "?", entry.minor,
            time.format_iso(entry.confirmed_ms):sub(1, MINUTE))}
    end
    return list
end

local function add_duplicate(run, kind, object)
    run.findings:add({cause = "duplicate_order", subject = DUPLICATES[kind], kind = "order",
        message = "Orders that look like one order placed or sent twice: "
            .. DUPLICATES[kind],
        remedy = "Compare them in SCAYLE; cancel what the shopper did not mean before the start, "
            .. "or each is posted."}, object)
end

local function look_alike(run, entry)
    local object = {name = entry.order_id, minor = entry.minor, currency = entry.currency,
        is_open = entry.state == "open"}
    for _, pair in ipairs(likenesses(entry)) do
        local key = string.format("%d %s %s", entry.flow, pair[1], pair[2])
        local first = store.get(SAME, key)
        if not first then
            store.put(SAME, key, object)
        else
            if not first.is_told then
                add_duplicate(run, pair[1], first)
                first.is_told = true
                store.put(SAME, key, first)
            end
            add_duplicate(run, pair[1], object)
        end
    end
end

-- ---- open orders -----------------------------------------------------------------------------

local function add_open(run, cause, message, remedy, entry)
    run.findings:add({cause = cause, subject = entry.market, kind = "order", message = message,
        remedy = remedy}, {name = entry.order_id, minor = entry.minor, currency = entry.currency,
            is_open = true, note = "confirmed " .. time.format_iso(entry.confirmed_ms)})
end

local function look_at_age(run, settings, entry)
    local age_ms = run.now_ms - entry.confirmed_ms
    local promise_ms = (settings.despatch_promise_hours or OLD_MS // HOUR_MS) * HOUR_MS
    if entry.confirmed_ms < run.live_from_ms then
        add_open(run, "before_live_from", "Open orders that were confirmed before live_from: the "
            .. "integration never posts them", "Enter or finish them by hand, or set live_from "
            .. "before them.", entry)
    end
    if age_ms >= FORCE_CLOSE_MS - NEAR_MS then
        add_open(run, "near_force_close", "Open orders that SCAYLE counts as shipped 14 days after "
            .. "their delegation, shipped or not, in less than 3 days or already",
            "Ship or cancel them now.", entry)
    elseif age_ms >= promise_ms then
        add_open(run, "open_too_long", string.format("Orders open for more than %d hours, neither "
            .. "shipped nor cancelled", promise_ms // HOUR_MS),
            "See in Khaos what they wait for; ship or cancel them before the start.", entry)
    end
end

-- ---- the list --------------------------------------------------------------------------------

local function take(run, part, flow, shop, order)
    if not orders.sells(order, flow.settings.merchant_key) then
        return
    end
    local entry = digest(order, shop)
    -- Each flow posts its part of an order that several merchants sell on.
    local seen = entry.order_id and string.format("%d %s %s", flow.index, entry.shop_key,
        entry.order_id)
    if not seen or store.get(SEEN, seen) then
        return
    end
    store.put(SEEN, seen, true)
    part.looked = part.looked + 1
    part.states[entry.state] = (part.states[entry.state] or 0) + 1
    entry.market = "shop country " .. (entry.shop_id or entry.country_code)
    entry.flow = flow.index
    look_alike(run, entry)
    if entry.state == "open" and entry.confirmed_ms then
        look_at_age(run, flow.settings, entry)
    end
    local placed_ms = entry.confirmed_ms or run.now_ms -- nobody says when: among the newest
    if placed_ms >= run.options.since_ms then
        store.put(order_list.TABLE, string.format("%015d %s", LAST_MS - placed_ms, seen), entry)
    end
end

-- Nil at the end of the list, or a reason why it was not read to its end.
local function read_shop(run, part, flow, shop)
    local scayle = scayle_client.new(flow.settings.scayle)
    local cursor
    repeat
        local reason = asking.over_share(SHARE)
        if reason then
            return reason
        end
        local page, err = asking.again(run, function()
            return orders.list(scayle, shop, {cursor = cursor,
                limit = flow.settings.sweep_page_size, query = flow.settings.sweep_query})
        end)
        if not page then
            return asking.why("SCAYLE", err)
        elseif page.next ~= nil and page.next == cursor then
            return "SCAYLE's list of orders goes round in a circle"
        end
        for _, order in ipairs(page.orders) do
            take(run, part, flow, shop, type(order) == "table" and order or {})
        end
        report.progress(string.format("orders listed: %d", part.looked))
        cursor = page.next
    until not cursor
    return nil
end

--- Reads the lists of every orders flow.
---@async
---@param run table
function order_list.read(run)
    local part = {name = "Orders listed in SCAYLE", looked = 0, states = {}}
    run.parts[#run.parts + 1] = part
    for _, flow in ipairs(run.orders_flows) do
        for _, shop in ipairs(flow.settings.shops) do
            local reason = read_shop(run, part, flow, shop)
            if reason then
                part.stopped = part.stopped or string.format("%s/%s: %s", shop.shop_key,
                    shop.country, reason)
            end
        end
    end
end

--- The newest digests that can be mapped, at most `limit`, in pages, to fn until it gives false.
---@param limit integer
---@param fn fun(entries: table[]): boolean
---@return integer count of all that can be mapped
function order_list.each(limit, fn)
    local after, total, is_on = nil, 0, true
    repeat
        local page = store.range(order_list.TABLE, {after = after, limit = 50})
        local wanted = {}
        for _, pair in ipairs(page) do
            after = pair.key
            local state = pair.value.state
            if state == "open" or state == "past" then
                total = total + 1
                wanted[#wanted + 1] = total <= limit and pair.value or nil
            end
        end
        is_on = is_on and (#wanted == 0 or fn(wanted))
    until #page < 50
    return total
end

return order_list
