--- The sweep: pages through SCAYLE's orders for what no delegation and no webhook told us, and
--- looks for orders that were accepted and are not in Khaos after too long.
---
--- SCAYLE documents no filters, so every order is looked at; at most `sweep_max_pages` pages a
--- run (`sweep_hurry_pages` while the stamps of stock figures wait for it), and the next run goes
--- on where this one stopped. Before that orders that hold those stamps, because nobody said what
--- they take, are asked for one by one.
local accept = require("flows.order_stages.accept")
local identify = require("flows.order_stages.identify")
local orders = require("connectors.scayle.orders")
local remaining = require("flows.orders.remaining")
local scayle_client = require("connectors.scayle.client")
local stock_pending = require("flows.stock_pending")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local time = require("neap.time")
local watermark = require("flows.stock_stages.watermark")

-- "<shop>/<country>" -> {cursor, started_ms}: where the next run goes on, when the first began
local CURSORS = "orders_sweep"
-- "sweep" -> {completed_ms}: start of the newest complete sweep; "late" -> {at_ms, confirmed_ms}:
-- when a sweep last found what should have been told by then, the newest that was found so
local WATERMARK = "order_watermark"
local HOUR_MS = 3600000
local LATE_MS = 90000 -- a delegation should have come by then
local HOLDING_MAX = 100 -- orders that are asked for in one run

-- What of a page is worth telling: ids, dates and stock codes, no personal data.
local function digest(page, settings, live_from_ms)
    local found = {}
    for _, order in ipairs(page.orders) do
        local written = order.confirmedAt
        local confirmed_ms = type(written) == "string" and time.parse_iso(written)
        if orders.is_open(order) and orders.sells(order, settings.merchant_key) and confirmed_ms
            and confirmed_ms >= live_from_ms and order.id ~= nil then
            local shop = type(order.shopCountry) == "table" and order.shopCountry or {}
            found[#found + 1] = {order_id = tostring(order.id), shop_key = shop.shopKey,
                shop_id = shop.id and tostring(shop.id), country_code = shop.countryCode,
                confirmed_ms = confirmed_ms, units = remaining.codes(order,
                settings.merchant_key)}
        end
    end
    return found
end

local function is_to_be_told_again(record)
    return record.ended == "not confirmed yet" and not record.order_code
        and not record.delegated_ms
end

local function note_late(at_ms, confirmed_ms)
    local before = store.get(WATERMARK, "late") or {}
    store.put(WATERMARK, "late", {at_ms = at_ms,
        confirmed_ms = math.max(before.confirmed_ms or 0, confirmed_ms)})
end

-- Had nothing told of an order in time that we know of since this instant?
local function is_late(known_ms, confirmed_ms)
    return watermark.scayle_ms(known_ms) - confirmed_ms > LATE_MS
end

-- A webhook came before: its units may be missing, its delegation too. One that came in time was as
-- good as a delegation.
local function look_again(key, said)
    store.atomic(function()
        stock_pending.listed(key, said.units, time.now_ms())
        local record = support.record(key) -- as it is by now
        local is_waiting = not record.delegated_ms and not record.order_code and not record.ended
        if is_waiting and not record.is_late and is_late(record.accepted_ms, said.confirmed_ms) then
            record.is_late = true
            store.put(support.RECORDS, key, record)
            note_late(time.now_ms(), said.confirmed_ms)
        end
    end)
end

local function tell(job, said)
    local identity, now_ms = identify.order(job.settings, said), time.now_ms()
    local record = store.get(support.RECORDS, identity.key)
    if record and not is_to_be_told_again(record) then
        look_again(identity.key, said)
        return false
    end
    local is_overdue = is_late(now_ms, said.confirmed_ms)
    local is_new = job:emit({source = "scayle.order", id = identity.key, key = identity.key,
        name = "order.found", payload = said, at_ms = said.confirmed_ms})
    if is_new then
        accept.remember(identity, {found_ms = now_ms, confirmed_ms = said.confirmed_ms,
            is_late = is_overdue or nil}, said.units)
    end
    if is_new and is_overdue then
        note_late(now_ms, said.confirmed_ms)
    end
    return is_new
end

-- What SCAYLE says that an order takes: {units}, {is_over} when it has no such order or it is
-- cancelled, {} when that cannot be said now.
local function ask(job, scayle, key, record)
    return job:step("look at " .. key, function()
        local order, err = orders.get(scayle, {shop_key = record.shop_key,
            country = record.country}, record.order_id)
        if not order then
            return {is_over = err.kind == "not_found"}
        elseif tostring(order.id) ~= record.order_id then
            return {}
        elseif orders.is_cancelled(order) then
            return {is_over = true}
        end
        return {units = remaining.codes(order, job.settings.merchant_key)}
    end)
end

-- Orders of which nobody said what they take, though their delegation should be here by now.
local function look_at_holding(job, scayle)
    for _, key in ipairs(watermark.holding(HOLDING_MAX)) do
        local record = support.record(key)
        if record.accepted_ms and time.now_ms() - record.accepted_ms >= LATE_MS then
            local said = ask(job, scayle, key, record)
            store.atomic(function()
                if said.units then
                    stock_pending.learn(key, said.units)
                elseif said.is_over then
                    stock_pending.takes_nothing(key)
                end
            end)
        end
    end
end

local function read_page(job, scayle, shop, number, cursor)
    local name = string.format("page %s/%s %d", shop.shop_key, shop.country, number)
    return job:step(name, function()
        local page, err = orders.list(scayle, shop, {cursor = cursor,
            limit = job.settings.sweep_page_size, query = job.settings.sweep_query})
        if not page then
            return nil, err
        end
        return {found = digest(page, job.settings, job.live_from_ms), next = page.next}
    end)
end

-- A cursor kept from the last run may have expired.
local function is_stale_cursor(err, number, cursor)
    return number == 1 and cursor ~= nil and err.status == 400
end

local function place_of(shop)
    return shop.shop_key .. "/" .. shop.country
end

-- When the job began, where, and how far it goes. A later attempt gets the pages of the first, and
-- so its start.
local function begin(job)
    return job:step("begin", function()
        local settings, cursors, now_ms = job.settings, {}, time.now_ms()
        for _, shop in ipairs(settings.shops) do
            cursors[place_of(shop)] = store.get(CURSORS, place_of(shop))
        end
        local most = settings.sweep_max_pages
        if watermark.awaits_sweep(now_ms) then
            most = math.max(most, settings.sweep_hurry_pages)
        end
        return {at_ms = now_ms, cursors = cursors, max_pages = most}
    end)
end

-- When the reading of all its orders began, once the shop country was read to its end.
local function sweep_shop(job, scayle, shop, began)
    local place = place_of(shop)
    local before = began.cursors[place] or {}
    local cursor, told = before.cursor, 0
    local started_ms = cursor and (before.started_ms or 0) or began.at_ms
    for number = 1, began.max_pages or job.settings.sweep_max_pages do
        local page, err = read_page(job, scayle, shop, number, cursor)
        if not page and is_stale_cursor(err, number, cursor) then
            store.delete(CURSORS, place)
            return nil, told
        end
        support.check({job = job}, "SCAYLE", page, err)
        for _, said in ipairs(page.found) do
            told = told + (tell(job, said) and 1 or 0)
        end
        cursor = page.next
        if not cursor then
            store.delete(CURSORS, place)
            return started_ms, told
        end
    end
    store.put(CURSORS, place, {cursor = cursor, started_ms = started_ms})
    return nil, told
end

local function tell_stuck(job, key, entry, now_ms)
    local is_open = store.atomic(function()
        local open = store.get(support.OPEN, key) -- it may be posted by now
        if open then
            open.is_told = true
            store.put(support.OPEN, key, open)
        end
        return open ~= nil
    end)
    if not is_open then
        return
    end
    local hours = (now_ms - entry.accepted_ms) // HOUR_MS
    job:open_exception({cause = "stuck_order", subject = entry.order_id,
        message = string.format("Order %s was accepted %d h ago, and Khaos has not confirmed it",
            entry.order_id, hours),
        remedy = "See what the order waits for (neap order " .. entry.order_id .. ").",
        recheck = "proof"})
    if not store.get(support.OPEN, key) then -- posted since
        job:close_exception("stuck_order", entry.order_id, "it is in Khaos")
    end
end

--- Opens an exception, once, for every order that waits too long.
---@param job neap.Job
local function find_stuck(job)
    local now_ms, after = time.now_ms(), nil
    repeat
        local page = store.range(support.OPEN, {after = after, limit = 500})
        for _, pair in ipairs(page) do
            after = pair.key
            local age_ms = now_ms - pair.value.accepted_ms
            local confirmed_ms = pair.value.confirmed_ms
            if confirmed_ms and confirmed_ms < job.live_from_ms then
                stock_pending.drop(pair.key, now_ms)
            elseif age_ms >= job.settings.stuck_after_ms and not pair.value.is_told then
                tell_stuck(job, pair.key, pair.value, now_ms)
            end
        end
    until #page < 500
end

--- One tick.
---@async
---@param job neap.Job
return function(job)
    local began = begin(job)
    local scayle = scayle_client.new(job.settings.scayle)
    find_stuck(job)
    look_at_holding(job, scayle)
    local oldest_ms, told = began.at_ms, 0
    for _, shop in ipairs(job.settings.shops) do
        local started_ms, count = sweep_shop(job, scayle, shop, began)
        oldest_ms = started_ms and oldest_ms and math.min(oldest_ms, started_ms)
        told = told + count
    end
    if oldest_ms then
        store.put(WATERMARK, "sweep", {completed_ms = oldest_ms})
        watermark.release_unseen(oldest_ms - LATE_MS)
    end
    if told > 0 then
        job:note("sweep", string.format("%d orders found that nothing had told", told))
    end
end
