--- Looks through SCAYLE's orders for returns, refunds and cancelled units that no webhook told.
--- There are no filters, so every order is looked at, and those of ours whose state differs from
--- what the book remembers get the same job that a webhook would have started.
local aftersales = require("connectors.scayle.aftersales")
local cancelled = require("flows.returns_stages.cancelled")
local identify = require("flows.order_stages.identify")
local order_units = require("flows.order_units")
local refund_book = require("flows.refund_book")
local scayle_client = require("connectors.scayle.client")
local scayle_orders = require("connectors.scayle.orders")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local unit_events = require("flows.unit_stages.events")

local CURSORS = "returns_sweep" -- "<shop>/<country>" -> {cursor}

-- What differs, as text that names this difference and no other; empty when nothing does.
local function difference(book, sale)
    local ledger, words, gone = refund_book.of(book), {}, {}
    for _, item in ipairs(sale.items) do
        if item.status == "returned" and not ledger.units[item.id] then
            words[#words + 1] = "r" .. item.id
        elseif item.status == "undeliverable" and not ledger.undeliverable[item.id] then
            words[#words + 1] = "u" .. item.id
        elseif scayle_orders.is_item_cancelled(item) and cancelled.is_news(book, item.id) then
            gone[#gone + 1] = item.id
        end
    end
    local is_refund = sale.billing:find("refunded", 1, true)
    if is_refund and sale.billing ~= ledger.billing then
        words[#words + 1] = sale.billing
    end
    return table.concat(words, ","), table.concat(gone, ",")
end

local function digest(page, settings)
    local found = {}
    for _, order in ipairs(page.orders) do
        local shop = type(order.shopCountry) == "table" and order.shopCountry or {}
        local identity = order.id ~= nil and identify.order(settings, {
            order_id = tostring(order.id), shop_key = shop.shopKey,
            shop_id = shop.id and tostring(shop.id), country_code = shop.countryCode})
        local book = identity and order_units.load(identity.key)
        local words, gone = "", ""
        if book then
            words, gone = difference(book, aftersales.digest(order))
        end
        if words ~= "" or gone ~= "" then
            found[#found + 1] = {key = identity.key, words = words, gone = gone}
        end
    end
    return found
end

local function tell(job, entry)
    if entry.words ~= "" then
        local id = "sweep:" .. entry.words
        job:emit({source = "scayle.sweep", id = entry.key .. ":" .. entry.words,
            key = "refund:" .. entry.key, about = entry.key, name = "scayle.refund",
            payload = {order_key = entry.key, id = id, kind = "refund"}})
    end
    if entry.gone ~= "" then
        job:emit(unit_events.look("scayle.sweep.units", entry.key .. ":" .. entry.gone, entry.key,
            job.settings.orders_flow))
    end
end

local function sweep_shop(job, scayle, shop)
    local place = shop.shop_key .. "/" .. shop.country
    local cursor = (store.get(CURSORS, place) or {}).cursor
    for number = 1, job.settings.sweep_max_pages do
        local page, err = job:step(string.format("page %s %d", place, number), function()
            local read, problem = scayle_orders.list(scayle, shop, {cursor = cursor})
            if not read then
                return nil, problem
            end
            return {found = digest(read, job.settings), next = read.next}
        end)
        if not page and number == 1 and cursor and err.status == 400 then
            store.delete(CURSORS, place) -- the cursor has expired
            return
        end
        support.check({job = job}, "SCAYLE", page, err)
        for _, entry in ipairs(page.found) do
            tell(job, entry)
        end
        cursor = page.next
        if not cursor then
            store.delete(CURSORS, place)
            return
        end
    end
    store.put(CURSORS, place, {cursor = cursor})
end

--- One tick.
---@async
---@param job neap.Job
return function(job)
    local scayle = scayle_client.new(job.settings.scayle)
    for _, shop in ipairs(job.settings.shops) do
        sweep_shop(job, scayle, shop)
    end
end
