-- neap-test-root: examples/sandbox/scayle
-- No interleaving of orders, stock movements, figures on their way, absences and crashes sells what
-- is not there.
--
-- The flow's own modules run against a model of Khaos (levels, imports) and the sandbox's shop with
-- its blockers; other things happen while a reading or a figure is on its way. A shopper buys
-- whatever the shop shows. Sales outside the shop are the declared exposure: nobody can know them
-- before Khaos does, so an oversold unit must be matched by one of them.
--
--     neap test --lua --set count=20000 --set seed=1 tests/lua/stock_race_test.lua
local baskets = require("baskets")
local catalogue = require("shop.catalogue")
local fake_job = require("fake_job")
local http = require("neap.http")
local json = require("neap.json")
local khaos_stock = require("connectors.khaos_soap.stock")
local levels = require("connectors.khaos_soap.levels")
local poll = require("flows.stock_stages.poll")
local send = require("flows.stock_stages.send")
local shop_stocks = require("shop.stocks")
local stock_pending = require("flows.stock_pending")
local store = require("neap.store")
local time = require("neap.time")

local SKUS = {"A", "B"}
local SECOND_MS = 1000
local MINUTE_MS = 60 * SECOND_MS
local START_MS = 1777888980000
local STEPS = 150

local function settings(lag_ms)
    return {
        khaos = {}, scayle = {connection = "scayle"}, merchant_key = "fellside",
        warehouse = catalogue.WAREHOUSE.referenceKey, sites = {1}, zone = "Europe/London",
        policy = {}, batch = 100, at_once = 4, chunk = 100, overlap_ms = 90 * MINUTE_MS,
        full_every_ms = 24 * 60 * MINUTE_MS, order_lag_ms = lag_ms, away_after_ms = 30 * SECOND_MS,
    }
end

-- ---- the model -------------------------------------------------------------------------------

local Model = {}
Model.__index = Model

local function new_model(random, lag_ms, has_other_sales)
    local skew_ms = random:pick({0, 0, 0, -40, 7, 400}) * SECOND_MS
    local model = setmetatable({random = random, settings = settings(lag_ms), now_ms = START_MS,
        skew_ms = skew_ms, far = nil, orders = {}, bought = {}, other = {}, received = {},
        levels = {}, moved_ms = {}, is_up = true, has_other_sales = has_other_sales,
        depth = 0, oversold = 0}, Model)
    for _, sku in ipairs(SKUS) do
        model.levels[sku] = random:up_to(3)
        model.moved_ms[sku] = START_MS
        model.bought[sku], model.other[sku], model.received[sku] = 0, 0, model.levels[sku]
    end
    return model
end

-- SCAYLE's side, by SCAYLE's clock (ours is ahead by the skew).
function Model:shop()
    return {store = self.far, now_ms = self.now_ms - self.skew_ms, time = time}
end

function Model:pass(ms)
    self.now_ms = self.now_ms + ms
end

-- A shopper buys one unit of what is shown, and SCAYLE blocks it at once.
function Model:buy()
    local sku = self.random:pick(SKUS)
    if shop_stocks.visible(self:shop(), sku) < 1 then
        return
    end
    local id = #self.orders + 1
    shop_stocks.block(self:shop(), id, {[sku] = 1})
    self.bought[sku] = self.bought[sku] + 1
    -- Judged at once: a later receipt would hide it. Sales outside the shop excuse as many units.
    if self.bought[sku] > self.received[sku] then
        self.oversold = self.oversold + 1
    end
    local delay = 55 + self.random:up_to(20)
    self.orders[id] = {id = id, sku = sku, confirmed_ms = self.now_ms, state = "confirmed",
        due_ms = self.now_ms + delay * SECOND_MS}
end

-- Delegations that are due; one that finds nobody comes again after three minutes.
function Model:deliver()
    for _, order in ipairs(self.orders) do
        if order.state == "confirmed" and order.due_ms <= self.now_ms then
            if self.is_up then
                order.state = "accepted"
                stock_pending.open("order:" .. order.id, {units = {[order.sku] = 1}})
            else
                order.due_ms = self.now_ms + 3 * MINUTE_MS
            end
        end
    end
end

function Model:one_in(state)
    local list = {}
    for _, order in ipairs(self.orders) do
        if order.state == state then
            list[#list + 1] = order
        end
    end
    return #list > 0 and self.random:pick(list) or nil
end

-- Khaos takes an order now; we hear of it later.
function Model:import()
    local order = self.is_up and self:one_in("accepted")
    if order then
        order.state = "imported"
        self.levels[order.sku] = self.levels[order.sku] - 1
        self.moved_ms[order.sku] = self.now_ms
    end
end

function Model:hear_reply()
    local order = self.is_up and self:one_in("imported")
    if order then
        order.state = "posted"
        stock_pending.posted("order:" .. order.id, self.now_ms)
    end
end

function Model:cancel()
    local order = self.is_up and self:one_in("accepted")
    if order and self.random:chance(30) then
        order.state = "cancelled"
        self.bought[order.sku] = self.bought[order.sku] - 1
        shop_stocks.unblock(self:shop(), order.id, {[order.sku] = 1})
        stock_pending.drop("order:" .. order.id, self.now_ms)
    end
end

function Model:move()
    local sku = self.random:pick(SKUS)
    if self.random:chance(60) then
        self.levels[sku] = self.levels[sku] + 1
        self.received[sku] = self.received[sku] + 1
    elseif self.has_other_sales and self.levels[sku] > 0 then
        self.levels[sku] = self.levels[sku] - 1
        self.other[sku] = self.other[sku] + 1
    end
    self.moved_ms[sku] = self.now_ms
end

-- The sweep sees every confirmed order; it began now.
function Model:sweep()
    if not self.is_up then
        return
    end
    local began_ms = self.now_ms
    for _, order in ipairs(self.orders) do
        if order.state == "confirmed" then
            order.state = "accepted"
            stock_pending.open("order:" .. order.id, {units = {[order.sku] = 1}})
            if self.now_ms - order.confirmed_ms > 90 * SECOND_MS then
                store.put("order_watermark", "late", {at_ms = self.now_ms})
            end
        end
    end
    store.put("order_watermark", "sweep", {completed_ms = began_ms})
end

function Model:crash()
    self.is_up = false
    self.back_ms = self.now_ms + self.random:up_to(600) * SECOND_MS
end

local EVENTS = {"buy", "buy", "buy", "import", "import", "hear_reply", "hear_reply", "move",
    "cancel", "deliver", "deliver"}

-- While something is on its way, the world goes on.
function Model:meanwhile()
    if self.depth > 0 then
        return
    end
    self.depth = 1
    for _ = 1, self.random:up_to(3) - 1 do
        self:pass(self.random:up_to(6) * SECOND_MS)
        self:deliver()
        self[self.random:pick(EVENTS)](self)
    end
    self.depth = 0
end

-- ---- the flow against it ---------------------------------------------------------------------

local function changed_since(model, _, date_type)
    model:meanwhile()
    local list = {}
    for _, sku in ipairs(SKUS) do
        if date_type == khaos_stock.MOVED or model.random:chance(20) or not model.has_polled then
            list[#list + 1] = {code = sku}
        end
    end
    model.has_polled = true
    return list
end

local function read_levels(model, codes, each)
    local began_ms = model.now_ms
    model:meanwhile()
    local found = {}
    for _, code in ipairs(codes) do
        found[code] = {available = model.levels[code]}
    end
    model:meanwhile()
    each(found, codes, began_ms)
    return true
end

local function date_header(model)
    local date = time.format_iso(model.now_ms - model.skew_ms)
    return {date = "Mon, " .. date:sub(9, 10) .. " May 2026 " .. date:sub(12, 19) .. " GMT"}
end

local function answer(model, request)
    local sku = request.path:match("key%%3D(%w+)")
    if model.random:chance(8) then
        return {error = {retryable = true, kind = "network", message = "lost before"}}
    end
    local shop = model:shop()
    local stock = assert(shop_stocks.set(shop, {sku = sku}, json.decode(request.body)))
    if model.random:chance(8) then
        return {error = {retryable = true, kind = "network", message = "lost behind"}}
    end
    return {answer = {status = 200, body = json.encode(stock), headers = date_header(model)}}
end

local function all(model, requests)
    local results = {}
    for i, request in ipairs(requests) do
        model:meanwhile()
        results[i] = answer(model, request)
    end
    return results
end

local function tick(model, name)
    local job = {settings = model.settings, event = {name = name}, note = function() end,
        open_exception = function() end, hold = function()
            error("held")
        end}
    local ok, err = pcall(name == "poll" and poll or send.run, job)
    assert(ok or type(err) == "table", err)
end

local ACTIONS = {"buy", "buy", "buy", "buy", "buy", "buy", "import", "import", "hear_reply",
    "hear_reply", "move", "move", "cancel"}

local function step(model)
    model:pass(model.random:up_to(8) * SECOND_MS)
    model:deliver()
    local roll = model.random:up_to(200) / 2
    if not model.is_up then
        if model.now_ms >= model.back_ms then
            model.is_up = true
            send.restarted()
        end
        model[model.random:pick({"buy", "move"})](model)
    elseif roll <= 0.5 then
        model:crash()
    elseif roll <= 20 then
        tick(model, "poll")
        tick(model, "send")
    elseif roll <= 35 then
        tick(model, "send")
    elseif roll <= 38 then
        model:sweep()
    else
        model[model.random:pick(ACTIONS)](model)
    end
end

-- The first figures are in the shop.
local function begin(model)
    model.depth = 1
    for _, what in ipairs({"send", "sweep", "poll", "send"}) do
        model:pass(2 * SECOND_MS)
        if what == "sweep" then
            model:sweep()
        else
            tick(model, what)
        end
    end
    model.depth = 0
end

-- One history; the fakes are in place while it runs.
local function play(random, lag_ms, has_other_sales)
    local model = new_model(random, lag_ms, has_other_sales)
    local near = fake_job.world({http = function() end, now_ms = START_MS})
    model.far = fake_job.world({http = function() end}).store
    send.restarted()
    local kept = {all = http.all, request = http.request, now = time.now_ms, store = {},
        levels = levels.read, details = levels.details, changed = khaos_stock.changed_since}
    for name, fn in pairs(near.store) do
        kept.store[name], store[name] = store[name], fn
    end
    http.request = function()
        model:meanwhile()
        return {status = 404, body = "", headers = date_header(model)}
    end
    http.all = function(requests)
        return all(model, requests)
    end
    time.now_ms = function()
        return model.now_ms
    end
    levels.read = function(_, codes, _, each)
        return read_levels(model, codes, each)
    end
    levels.details = function()
        return {A = {}, B = {}}
    end
    khaos_stock.changed_since = function(...)
        return changed_since(model, ...)
    end
    local ok, err = pcall(function()
        begin(model)
        for _ = 1, STEPS do
            step(model)
        end
    end)
    http.all, http.request, time.now_ms = kept.all, kept.request, kept.now
    levels.read = kept.levels
    levels.details, khaos_stock.changed_since = kept.details, kept.changed
    for name, fn in pairs(kept.store) do
        store[name] = fn
    end
    assert(ok, err)
    return model.oversold, model
end

local function campaign(seed, count, lag_ms, has_other_sales)
    local random, bad, bought = baskets.random(seed), 0, 0
    for _ = 1, count do
        local over, model = play(random, lag_ms, has_other_sales)
        bad = bad + (over > 0 and 1 or 0)
        for _, sku in ipairs(SKUS) do
            bought = bought + model.bought[sku]
        end
    end
    return bad, bought
end

return function(t)
    local count, seed = tonumber(t.settings.count) or 400, tonumber(t.settings.seed) or 1
    t.case("no interleaving oversells", function()
        local bad, bought = campaign(seed, count, 90 * SECOND_MS, false)
        t.note("%d histories, %d units bought, %d oversold (seed %d)", count, bought, bad, seed)
        t.equal(bad, 0)
        assert(bought > count, "hardly anything was bought")
    end)
    t.case("sales outside the shop are all that can be oversold", function()
        local bad = campaign(seed + 1, count, 90 * SECOND_MS, true)
        t.equal(bad, 0)
    end)
    t.case("a stamp ahead of the orders would oversell: the campaign can tell", function()
        local bad = campaign(seed + 2, 200, 0, false)
        t.note("with no lag %d of 200 histories oversell", bad)
        assert(bad > 0, "a lag of 0 did no harm: the campaign proves nothing")
    end)
end
