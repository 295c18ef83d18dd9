--- What Khaos Control Cloud pushes, kept in the slice that answers 200: snapshots of orders,
--- levels, items, price lists. A repeat changes nothing.
local codes = require("flows.khaos_codes")
local documents = require("connectors.khaos_cloud.documents")
local khaos_stock = require("connectors.khaos_cloud.stock")
local news = require("flows.despatch_stages.news")
local order_status = require("connectors.khaos_cloud.order_status")
local poll_cloud = require("flows.stock_stages.poll_cloud")
local presence = require("flows.cloud_stages.presence")
local queue = require("flows.cloud_stages.queue")
local stock_pending = require("flows.stock_pending")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local tables = require("flows.stock_stages.tables")
local time = require("neap.time")

local pushes = {}

local CODE_OF_ID = "cloud_stock_ids" -- Khaos's StockID, which stays -> {code}
local PRICES = "cloud_prices" -- "<list id>\n<code>" -> {bands, pushed_ms}
local PRICE_LISTS = "cloud_price_lists" -- list id -> {name, is_net, pushed_ms}
local SEQUENCES = "cloud_sequences"

local function accepted(events)
    return {status = 200, headers = {["Content-Type"] = "text/plain"}, body = "accepted\n",
        events = events and #events > 0 and events or nil}
end

-- ---- orders ----------------------------------------------------------------------------------

-- Ours by its reference, or by what we sent as CustomData: a channel may change references.
local function known(status)
    for _, reference in ipairs({status.reference or "", status.custom or ""}) do
        if reference ~= "" then
            local entry, lines = queue.get("orders", reference), store.get(support.LINES, reference)
            if entry or lines then
                return reference, entry, lines
            end
        end
    end
    return nil
end

local function trouble(reference, entry, order_code)
    return {source = "khaos_cloud.withdrawn", id = reference .. ":" .. entry.seq,
        key = "khaos_cloud:" .. reference, name = "withdrawn.shown",
        payload = {reference = reference, order_code = order_code}}
end

-- Enough for a job of its own, should the order's job have ended without it.
local function identity_of(key)
    local record = support.record(key)
    return {order_id = record.order_id, shop_key = record.shop_key, country_code = record.country,
        merchant_key = record.merchant}
end

local function take_status(ctx, status, events)
    local reference, entry, lines = known(status)
    if not reference or not status.order_code then
        return
    end
    local snapshot = status.snapshot
    snapshot.reference = reference
    if entry and queue.show("orders", reference, status.order_code) then
        events[#events + 1] = {source = "khaos_cloud.received", id = reference .. ":" .. entry.seq,
            key = entry.key, name = "received", class = "overtaking", idle = "job",
            flow = ctx.settings.orders_flow, payload = identity_of(entry.key)}
        if entry.state == "withdrawn" then
            events[#events] = trouble(reference, entry, status.order_code)
        end
    end
    local flow = ctx.settings.khaos.despatch_flow
    if lines and flow ~= "" and lines.order_code == status.order_code then
        events[#events + 1] = news.of(snapshot, lines.key, flow)
    elseif not lines then
        store.put(news.EARLY, reference, snapshot)
    end
end

--- OrderStatusUpload.
---@param ctx neap.Context
---@param request neap.ServerRequest
---@return neap.Reply
function pushes.order_status(ctx, request)
    presence.heard("order_status", ctx.settings.khaos.push_age_ms)
    local list, err = order_status.read(request.body)
    if not list then
        return documents.refusal(err)
    end
    local events = {}
    for _, status in ipairs(list) do
        take_status(ctx, status, events)
    end
    return accepted(events)
end

-- ---- levels ----------------------------------------------------------------------------------

local function is_served(ctx, site)
    for _, id in ipairs(ctx.settings.sites) do
        if tostring(id) == site then
            return true
        end
    end
    return false
end

local function take_level(entry, read_ms, now_ms)
    local item = store.get(tables.ITEMS, entry.code) or {code = entry.code}
    item.sites = item.sites or {}
    local level = entry.level
    level.stock_id = entry.stock_id
    level.read_ms = math.max(read_ms, (item.sites[entry.site] or level).read_ms or read_ms)
    item.sites[entry.site] = level
    poll_cloud.confirm(item, read_ms)
    tables.keep(entry.code, item, now_ms)
end

-- The first push begins the reading: what was posted before it is subtracted until one holds it.
local function begin_reading(read_ms, now_ms)
    stock_pending.begin()
    if not store.get(tables.STATE, "poll") then
        store.put(tables.STATE, "poll", {since_ms = read_ms, ran_ms = now_ms})
    end
end

--- StockStatusUpload: absolute levels per item and site.
---@param ctx neap.Context
---@param request neap.ServerRequest
---@return neap.Reply
function pushes.stock_status(ctx, request)
    presence.heard("stock_status", ctx.settings.khaos.push_age_ms)
    local list, err = khaos_stock.read_levels(request.body)
    if not list then
        return documents.refusal(err)
    end
    local now_ms = time.now_ms()
    local read_ms = presence.complete_ms(ctx.settings.khaos.push_age_ms)
    begin_reading(read_ms, now_ms)
    for _, entry in ipairs(list) do
        if is_served(ctx, entry.site) then
            take_level(entry, read_ms, now_ms)
        end
    end
    return accepted()
end

-- ---- items -----------------------------------------------------------------------------------

local DETAILS = {"stock_id", "is_hidden", "runs_to_zero", "max_display", "category", "buffer",
    "components"}

-- Levels of an item that does not have the code (any more) count as none until Khaos says more.
local function empty_levels(kept, is_wrong)
    for site, level in pairs(kept.sites or {}) do
        if is_wrong(level) then
            kept.sites[site] = {available = 0, read_ms = level.read_ms}
        end
    end
end

-- Keeps what is known of a code. The shop hears of it once there is a level.
local function keep_item(code, kept)
    if kept.read_ms then
        tables.keep(code, kept, time.now_ms())
    else
        store.put(tables.ITEMS, code, kept)
    end
end

-- An item has lost its code: nothing is sold under it, unless it is another item's by now.
local function lose_code(stock_id, code)
    local kept = store.get(tables.ITEMS, code)
    if kept and kept.stock_id and kept.stock_id ~= stock_id then
        return
    end
    codes.forget(code)
    if kept then
        kept.is_hidden = true
        empty_levels(kept, function(level)
            return not level.stock_id or level.stock_id == stock_id
        end)
        keep_item(code, kept)
    end
end

local function take_item(ctx, item)
    local old_code = (store.get(CODE_OF_ID, item.stock_id) or {}).code
    if old_code and old_code ~= item.code then
        lose_code(item.stock_id, old_code)
    end
    store.put(CODE_OF_ID, item.stock_id, {code = item.code})
    codes.put({[item.code] = {discontinued = item.is_discontinued}})
    local kept = store.get(tables.ITEMS, item.code) or {code = item.code}
    item.components = ctx.settings.kits[item.code]
    item.is_hidden = item.is_discontinued or not item.is_published or nil
    stock_pending.set_components(item.code, kept.components, item.components)
    for _, name in ipairs(DETAILS) do
        kept[name] = item[name]
    end
    kept.details_ms = time.now_ms()
    empty_levels(kept, function(level)
        return level.stock_id and level.stock_id ~= item.stock_id
    end)
    keep_item(item.code, kept)
end

local function forget(stock_id)
    local code = (store.get(CODE_OF_ID, stock_id) or {}).code
    store.delete(CODE_OF_ID, stock_id)
    if code then
        lose_code(stock_id, code)
    end
end

--- StockUpload: items, and the ids of deleted ones. Exceptions about codes that are there now
--- close.
---@param ctx neap.Context
---@param request neap.ServerRequest
---@return neap.Reply
function pushes.stock(ctx, request)
    presence.heard("stock", ctx.settings.khaos.push_age_ms)
    local found, err = khaos_stock.read_items(request.body, ctx.settings)
    if not found then
        return documents.refusal(err)
    end
    for _, item in ipairs(found.items) do
        take_item(ctx, item)
    end
    for _, id in ipairs(found.deleted) do
        forget(id)
    end
    if #found.items == 0 then
        return accepted()
    end
    return accepted({{source = "khaos_cloud.stock", name = "stock.pushed",
        id = tostring(store.increment(SEQUENCES, "stock_pushes")), key = "khaos_cloud:stock"}})
end

-- ---- prices ----------------------------------------------------------------------------------

--- PriceListUpload: the bands of a code in a list replace those that were there. Whether a push is
--- the whole list is not said (contract 8.9), so a code that is not in it stays, with the time at
--- which it was.
---@param ctx neap.Context
---@param request neap.ServerRequest
---@return neap.Reply
function pushes.price_lists(ctx, request)
    presence.heard("price_lists", ctx.settings.khaos.push_age_ms)
    local lists, err = khaos_stock.read_price_lists(request.body)
    if not lists then
        return documents.refusal(err)
    end
    local now_ms = time.now_ms()
    for _, list in ipairs(lists) do
        store.put(PRICE_LISTS, list.id, {name = list.name, is_net = list.is_net,
            pushed_ms = now_ms})
        for code, bands in pairs(list.prices) do
            store.put(PRICES, list.id .. "\n" .. code, {bands = bands, pushed_ms = now_ms})
        end
    end
    return accepted()
end

return pushes
