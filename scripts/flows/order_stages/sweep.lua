--- The sweep: pages through SCAYLE's orders for what no delegation and no webhook told us, and
--- looks for orders that were accepted and are not in Khaos after too long.
---
--- SCAYLE documents no filters, so every order is looked at; at most `sweep_max_pages` pages a
--- run, and the next run goes on where this one stopped.
local accept = require("flows.order_stages.accept")
local identify = require("flows.order_stages.identify")
local orders = require("connectors.scayle.orders")
local scayle_client = require("connectors.scayle.client")
local stock_pending = require("flows.stock_pending")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local time = require("neap.time")

local CURSORS = "orders_sweep" -- "<shop>/<country>" -> {cursor}
-- "sweep" -> {completed_ms}: start of the newest complete sweep; "late" -> {at_ms}: when a sweep
-- last found what should have been told by then
local WATERMARK = "order_watermark"
local HOUR_MS = 3600000
local LATE_MS = 90000 -- a delegation should have come by then

-- What of a page is worth telling: ids and dates, no personal data.
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
                confirmed_ms = confirmed_ms}
        end
    end
    return found
end

local function tell(job, said)
    local identity = identify.order(job.settings, said)
    local record = store.get(support.RECORDS, identity.key)
    if record and not (record.ended and not record.order_code and not record.delegated_ms
        and record.ended == "not confirmed yet") then
        return false
    end
    local is_new = job:emit({source = "scayle.order", id = identity.key, key = identity.key,
        name = "order.found", payload = said, at_ms = said.confirmed_ms})
    local now_ms = time.now_ms()
    if is_new then
        accept.remember(identity, {found_ms = now_ms, confirmed_ms = said.confirmed_ms})
    end
    if is_new and now_ms - said.confirmed_ms > LATE_MS then
        store.put(WATERMARK, "late", {at_ms = now_ms})
    end
    return is_new
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

--- True when the shop country was read to its end.
local function sweep_shop(job, scayle, shop)
    local place = shop.shop_key .. "/" .. shop.country
    local cursor = (store.get(CURSORS, place) or {}).cursor
    local told = 0
    for number = 1, job.settings.sweep_max_pages do
        local page, err = read_page(job, scayle, shop, number, cursor)
        if not page and is_stale_cursor(err, number, cursor) then
            store.delete(CURSORS, place)
            return false, told
        end
        support.check({job = job}, "SCAYLE", page, err)
        for _, said in ipairs(page.found) do
            told = told + (tell(job, said) and 1 or 0)
        end
        cursor = page.next
        if not cursor then
            store.delete(CURSORS, place)
            return true, told
        end
    end
    store.put(CURSORS, place, {cursor = cursor})
    return false, told
end

local function tell_stuck(job, key, entry, now_ms)
    local hours = (now_ms - entry.accepted_ms) // HOUR_MS
    job:open_exception({cause = "stuck_order", subject = entry.order_id,
        message = string.format("Order %s was accepted %d h ago and is not in Khaos",
            entry.order_id, hours),
        remedy = "See what the order waits for (neap order " .. entry.order_id .. ").",
        recheck = "proof"})
    store.atomic(function()
        local open = store.get(support.OPEN, key) -- it may be posted by now
        if open then
            open.is_told = true
            store.put(support.OPEN, key, open)
        end
    end)
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
    local started_ms = time.now_ms()
    local scayle = scayle_client.new(job.settings.scayle)
    find_stuck(job)
    local is_complete, told = true, 0
    for _, shop in ipairs(job.settings.shops) do
        local ended, count = sweep_shop(job, scayle, shop)
        is_complete = is_complete and ended
        told = told + count
    end
    if is_complete then
        store.put(WATERMARK, "sweep", {completed_ms = started_ms})
    end
    if told > 0 then
        job:note("sweep", string.format("%d orders found that nothing had told", told))
    end
end
