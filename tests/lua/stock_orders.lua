-- The orders of a stock race: how SCAYLE tells of them (webhook, delegation, list of orders), and
-- the orders flow's own modules that take them in.
local accept = require("flows.order_stages.accept")
local errors = require("neap.errors")
local json = require("neap.json")
local orders_api = require("connectors.scayle.orders")
local shop_stocks = require("shop.stocks")
local stock_pending = require("flows.stock_pending")
local store = require("neap.store")
local sweep = require("flows.order_stages.sweep")
local time = require("neap.time")

local SECOND_MS = 1000
local MINUTE_MS = 60 * SECOND_MS
local MERCHANT = "fellside"

local Orders = {}
Orders.__index = Orders

local stock_orders = {}

-- `world` has random, erp, settings, now_ms, skew_ms, is_up, shop().
function stock_orders.new(world)
    local random = world.random
    return setmetatable({world = world, random = random, list = {}, told = {},
        settings = {shops = {{shop_key = "fo", country = "GB", shop_country_id = "1412"}},
            merchant_key = MERCHANT, delegation_answer = {status = 201, body = {}}, scayle = {},
            sweep_page_size = random:pick({5, 100}), sweep_max_pages = random:pick({1, 50}),
            sweep_hurry_pages = random:pick({1, 2, 50}),
            delegation_grace_ms = 10 * MINUTE_MS, stuck_after_ms = math.maxinteger}}, Orders)
end

function stock_orders.key(order)
    return "order:fo:" .. order.id
end

-- ---- SCAYLE ----------------------------------------------------------------------------------

-- A unit of another merchant takes nothing of ours.
local function items_of(random, units)
    local items = json.array({})
    for sku, quantity in pairs(units) do
        for _ = 1, quantity do
            items[#items + 1] = {id = #items + 1, merchant = {referenceKey = MERCHANT},
                variant = {referenceKey = sku}}
        end
    end
    if random:chance(5) then
        items[#items + 1] = {id = #items + 1, merchant = {referenceKey = "other"},
            variant = {referenceKey = items[1].variant.referenceKey}}
    end
    return items
end

--- An order is confirmed now: SCAYLE blocks its units at once and delegates it a minute later. A
--- delegation can fail though we are there, if a webhook told of the order in time.
function Orders:confirm(units)
    local world, random = self.world, self.random
    local id = #self.list + 1
    shop_stocks.block(world:shop(), id, units)
    local hook = random:pick({"none", "bare", "bare", "full"})
    self.list[id] = {id = id, units = units, items = items_of(random, units), hook = hook,
        confirmed_ms = world.now_ms, state = "confirmed",
        hook_ms = hook ~= "none" and world.now_ms + random:up_to(30) * SECOND_MS or nil,
        due_ms = world.now_ms + (55 + random:up_to(20)) * SECOND_MS}
    return self.list[id]
end

local function document(self, order, has_items)
    local world = self.world
    return {id = order.id, status = order.state == "cancelled" and "cancellation_completed"
            or "payment_reserved",
        detailedStatus = {order = {code = "order_confirmed"}},
        confirmedAt = time.format_iso(order.confirmed_ms - world.skew_ms),
        shopCountry = {id = 1412, shopKey = "fo", countryCode = "GB"},
        items = has_items and order.items or nil}
end

-- What the order takes still.
function Orders:left(order)
    local units = {}
    for _, item in ipairs(order.items) do
        if item.merchant.referenceKey == MERCHANT and item.status ~= "cancelled" then
            local sku = item.variant.referenceKey
            units[sku] = (units[sku] or 0) + 1
        end
    end
    return units
end

--- A unit of it, nil when it has no two. Its units in Khaos stay until somebody takes it out.
function Orders:cancel_unit(order)
    local open = {}
    for _, item in ipairs(order.items) do
        if item.merchant.referenceKey == MERCHANT and item.status ~= "cancelled" then
            open[#open + 1] = item
        end
    end
    if #open < 2 then
        return nil
    end
    local item = self.random:pick(open)
    item.status = "cancelled"
    local sku = item.variant.referenceKey
    shop_stocks.unblock(self.world:shop(), order.id, {[sku] = 1})
    return {[sku] = 1}
end

-- ---- the orders flow -------------------------------------------------------------------------

-- When the flow first knew what the order takes.
local function note_known(self, order)
    local open = store.get(stock_pending.OPEN, stock_orders.key(order))
    if open and open.units then
        order.known_ms = order.known_ms or self.world.now_ms
    end
end

function Orders:call(name, body)
    local context = {settings = self.settings, live_from_ms = 0}
    return accept[name](context, {body = assert(json.encode(body))})
end

-- The order's job begins; without a delegation it waits.
local function begin(self, order, wait_ms)
    order.fetch_ms = math.min(order.fetch_ms or math.maxinteger, self.world.now_ms + wait_ms)
    note_known(self, order)
end

local function webhook(self, order)
    order.hook_ms = nil
    if self.world.is_up then
        local reply = self:call("webhook", {key = "k" .. order.id, type = "order-confirmed",
            payload = document(self, order, order.hook == "full")})
        assert(reply.status == 200)
        begin(self, order, self.settings.delegation_grace_ms)
    end
end

local function delegate(self, order)
    local items = json.array({})
    for i, item in ipairs(order.items) do
        if item.merchant.referenceKey == MERCHANT and item.status ~= "cancelled" then
            items[#items + 1] = {orderItemId = tostring(i), quantity = 1,
                merchantProductVariantReferenceKey = item.variant.referenceKey}
        end
    end
    if self.random:chance(3) then
        items[1].merchantProductVariantReferenceKey = nil
    end
    local reply = self:call("delegation", {orderId = order.id, shopKey = "fo", shopId = 1412,
        countryCode = "GB", fulfillingMerchantKey = MERCHANT, items = items})
    assert(reply.status == 201)
    order.due_ms = nil
    begin(self, order, self.random:up_to(3) * SECOND_MS)
end

-- Reads the order and maps it: from then on it can be posted.
local function fetch(self, order)
    order.fetch_ms, order.state = nil, "mapped"
    order.posting = self:left(order)
    stock_pending.add(stock_orders.key(order), order.posting)
    note_known(self, order)
end

local function is_failing(self, order)
    return not self.world.is_up or order.fetch_ms ~= nil and self.random:chance(50)
end

--- All that is due.
function Orders:deliver()
    local now_ms = self.world.now_ms
    for _, order in ipairs(self.list) do
        if order.state == "confirmed" then
            if order.hook_ms and order.hook_ms <= now_ms then
                webhook(self, order)
            end
            if order.due_ms and order.due_ms <= now_ms and is_failing(self, order) then
                order.due_ms = now_ms + self.random:pick({3, 5, 120}) * MINUTE_MS
            elseif order.due_ms and order.due_ms <= now_ms then
                delegate(self, order)
            end
            if order.fetch_ms and order.fetch_ms <= now_ms and self.world.is_up then
                fetch(self, order)
            end
        end
    end
end

--- The order will never be posted.
function Orders:drop(order)
    order.state = "cancelled"
    stock_pending.drop(stock_orders.key(order), self.world.now_ms)
end

-- Newest first.
local function page_of(self, options)
    local last = tonumber(options.cursor) or #self.list + 1
    local list = {}
    for id = last - 1, math.max(last - options.limit, 1), -1 do
        list[#list + 1] = document(self, self.list[id], true)
    end
    local first = list[#list] and list[#list].id or 1
    return {orders = list, next = first > 1 and tostring(first) or nil}
end

-- Somebody tells of an order that is not there, confirmed at any time.
local function mislead(self)
    local past_ms = self.random:up_to(1000) * MINUTE_MS
    local order = {id = 100000 + self.random:up_to(1000), items = json.array({}),
        confirmed_ms = self.world.now_ms - past_ms}
    self:call("webhook", {key = "lie" .. order.id, type = "order-confirmed",
        payload = document(self, order)})
end

-- The list of orders and single ones; gives what takes that back.
local function serve(self)
    local kept = {list = orders_api.list, get = orders_api.get}
    orders_api.list = function(_, _, options)
        return page_of(self, options)
    end
    orders_api.get = function(_, _, id)
        local order = self.list[tonumber(id)]
        if not order then
            return nil, errors.new({kind = "not_found", message = "no such order"})
        end
        return document(self, order, true)
    end
    return function()
        orders_api.list, orders_api.get = kept.list, kept.get
    end
end

--- A run of the sweep.
function Orders:sweep()
    if self.random:chance(4) then
        mislead(self)
    end
    local take_back = serve(self)
    local job = {settings = self.settings, live_from_ms = 0, note = function() end}
    function job.step(_, _, fn)
        return fn()
    end
    function job.emit(_, event)
        local is_new = not self.told[event.id]
        self.told[event.id] = true
        return is_new
    end
    local ok, err = pcall(sweep, job)
    take_back()
    assert(ok, err)
    for _, order in ipairs(self.list) do
        local is_open = store.get(stock_pending.OPEN, stock_orders.key(order)) ~= nil
        if order.state == "confirmed" and is_open then
            begin(self, order, self.settings.delegation_grace_ms)
        end
    end
end

return stock_orders
