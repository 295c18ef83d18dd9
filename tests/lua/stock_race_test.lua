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
local bulk = require("flows.stock_stages.bulk")
local catalogue = require("shop.catalogue")
local fake_job = require("fake_job")
local full = require("flows.stock_stages.full")
local khaos_stock = require("connectors.khaos_soap.stock")
local levels = require("connectors.khaos_soap.levels")
local poll = require("flows.stock_stages.poll")
local send = require("flows.stock_stages.send")
local shop_stocks = require("shop.stocks")
local stock_pending = require("flows.stock_pending")
local stock_shop = require("stock_shop")
local store = require("neap.store")
local time = require("neap.time")

local SKUS = {"A", "B"}
local SECOND_MS = 1000
local MINUTE_MS = 60 * SECOND_MS
local START_MS = 1777888980000
local STEPS = 150

local function settings(random, lag_ms)
    return {
        bulk = stock_shop.bulk_settings(random),
        khaos = {}, scayle = {connection = "scayle"}, merchant_key = "fellside",
        warehouse = catalogue.WAREHOUSE.referenceKey, sites = {1}, zone = "Europe/London",
        policy = {}, batch = 100, at_once = 4, chunk = 100, overlap_ms = 90 * MINUTE_MS,
        full_every_ms = 5 * MINUTE_MS,
        full_batch = random:up_to(2), order_lag_ms = lag_ms, away_after_ms = 30 * SECOND_MS,
    }
end

-- ---- the model -------------------------------------------------------------------------------

local Model = {}
Model.__index = Model

local function new_model(random, lag_ms, has_other_sales)
    local skew_ms = random:pick({0, 0, 0, -40, 7, 400}) * SECOND_MS
    local model = setmetatable({random = random, settings = settings(random, lag_ms),
        now_ms = START_MS,
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
    return self.scayle:world()
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
    self.scayle:work()
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

-- The flow's other schedules do not wait for the one that runs.
function Model:run_beside()
    local name = self.random:pick({"poll", "full", "send"})
    if name ~= self.running then
        self:tick(name)
    end
end

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
    if self.is_up and self.random:chance(20) then
        self:run_beside()
    end
    self.depth = 0
end

-- ---- the flow against it ---------------------------------------------------------------------

local function changed_since(model, _, date_type)
    model:meanwhile()
    local list = {}
    for _, sku in ipairs(SKUS) do
        if date_type == khaos_stock.MOVED or model.random:chance(20) then
            list[#list + 1] = {code = sku}
        end
    end
    return list
end

-- The whole list, in one page.
local function list_all(model)
    model:meanwhile()
    local pages = {{{code = "A"}, {code = "B"}}, {}}
    return {page = function()
        return table.remove(pages, 1)
    end}
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

local RUNS = {poll = poll, full = full.run, send = send.run}

function Model:tick(name)
    local outer = self.running
    self.running = outer or name
    local job = {settings = self.settings, event = {name = name}, note = function() end,
        open_exception = function() end,
        close_exception = function() end, hold = function()
            error("held")
        end}
    local ok, err = pcall(RUNS[name], job)
    self.running = outer
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
        model:tick(model.random:chance(20) and "full" or "poll")
        model:tick("send")
    elseif roll <= 35 then
        model:tick("send")
    elseif roll <= 38 then
        model:sweep()
    else
        model[model.random:pick(ACTIONS)](model)
    end
end

-- The first figures are in the shop.
local function begin(model)
    model.depth = 1
    for _, what in ipairs({"send", "sweep", "full", "poll", "send"}) do
        model:pass(2 * SECOND_MS)
        if what == "sweep" then
            model:sweep()
        else
            model:tick(what)
        end
    end
    model.depth = 0
end

local function post_all(model)
    for _, order in ipairs(model.orders) do
        if order.state == "accepted" then
            order.state = "imported"
            model.levels[order.sku] = model.levels[order.sku] - 1
        end
        if order.state == "imported" then
            order.state = "posted"
            stock_pending.posted("order:" .. order.id, model.now_ms)
        end
    end
end

-- What the shop shows wrongly, nil when it shows what Khaos has.
local function difference(model)
    for _, sku in ipairs(SKUS) do
        local shown = shop_stocks.visible(model:shop(), sku)
        if shown ~= math.max(model.levels[sku], 0) then
            return string.format("%s: the shop shows %d, Khaos has %d", sku, shown,
                model.levels[sku])
        end
    end
    return nil
end

-- Nothing is lost any more, every order is in Khaos: then the shop shows what Khaos has, and no
-- bulk request stays open.
local function come_to_rest(model)
    model.depth, model.is_up, model.scayle.loss = 1, true, 0
    local left = 150
    repeat
        left = left - 1
        model:pass(20 * SECOND_MS)
        model:deliver()
        post_all(model)
        model:sweep()
        model:tick("poll")
        model:tick("send")
        local wrong = difference(model) or bulk.is_open() and "a bulk request is open"
        assert(left > 0 or not wrong, wrong)
    until not wrong
end

-- One history; the fakes are in place while it runs.
local function play(random, lag_ms, has_other_sales)
    local model = new_model(random, lag_ms, has_other_sales)
    local near = fake_job.world({http = function() end, now_ms = START_MS})
    model.scayle = stock_shop.new(random, fake_job.world({http = function() end}).store, SKUS,
        function()
            return model.now_ms - model.skew_ms
        end)
    send.restarted()
    local kept = {now = time.now_ms, store = {}, levels = levels.read, details = levels.details,
        changed = khaos_stock.changed_since, list = khaos_stock.list_since}
    for name, fn in pairs(near.store) do
        kept.store[name], store[name] = store[name], fn
    end
    local unserve = model.scayle:serve(function()
        model:meanwhile()
    end)
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
    khaos_stock.list_since = function()
        return list_all(model)
    end
    local ok, err = pcall(function()
        begin(model)
        for _ = 1, STEPS do
            step(model)
        end
        come_to_rest(model)
    end)
    unserve()
    time.now_ms = kept.now
    levels.read = kept.levels
    levels.details, khaos_stock.changed_since = kept.details, kept.changed
    khaos_stock.list_since = kept.list
    for name, fn in pairs(kept.store) do
        store[name] = fn
    end
    assert(ok, err)
    return model.oversold, model
end

local function campaign(seed, count, lag_ms, has_other_sales)
    local random, bad, bought, requests = baskets.random(seed), 0, 0, 0
    for _ = 1, count do
        local over, model = play(random, lag_ms, has_other_sales)
        bad = bad + (over > 0 and 1 or 0)
        requests = requests + model.scayle.begun
        for _, sku in ipairs(SKUS) do
            bought = bought + model.bought[sku]
        end
    end
    return bad, bought, requests
end

return function(t)
    local count, seed = tonumber(t.settings.count) or 400, tonumber(t.settings.seed) or 1
    t.case("no interleaving oversells", function()
        local bad, bought, requests = campaign(seed, count, 90 * SECOND_MS, false)
        t.note("%d histories, %d units bought, %d bulk requests, %d oversold (seed %d)", count,
            bought, requests, bad, seed)
        t.equal(bad, 0)
        assert(bought > count, "hardly anything was bought")
        assert(requests > count, "hardly any figure went by a bulk request")
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
