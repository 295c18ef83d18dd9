-- neap-test-root: examples/sandbox/scayle
-- The stock race on Khaos Control Cloud: levels are pushed, late, twice, again after we were away,
-- and nothing says when they were true. No interleaving sells what is not there.
--
-- The flow's own modules run against a model of Khaos and the sandbox's shop with its blockers. A
-- push under way arrives within push_age_ms of the change, or that much after we are back. Pushes
-- of one code keep their order: that an older one overtakes cannot be told by anybody (contract
-- 8.8).
--
--     neap test --lua --set count=20000 --set seed=1 tests/lua/stock_race_cloud_test.lua
local baskets = require("baskets")
local catalogue = require("shop.catalogue")
local cloud_taking = require("cloud_taking")
local fake_job = require("fake_job")
local http = require("neap.http")
local json = require("neap.json")
local poll_cloud = require("flows.stock_stages.poll_cloud")
local presence = require("flows.cloud_stages.presence")
local pushes = require("flows.cloud_stages.pushes")
local send = require("flows.stock_stages.send")
local shop_stocks = require("shop.stocks")
local stock_pending = require("flows.stock_pending")
local store = require("neap.store")
local time = require("neap.time")

local SKUS = {"A", "B"}
local SECOND_MS = 1000
local MINUTE_MS = 60 * SECOND_MS
local AGE_MS = 10 * MINUTE_MS
local START_MS = 1777888980000
local STEPS = 200
local REST_MINUTES = 60
local SILENT_MINUTES = 2

local function settings(age_ms)
    return {
        khaos = {kind = "cloud", push_age_ms = age_ms}, scayle = {connection = "scayle"},
        merchant_key = "fellside", warehouse = catalogue.WAREHOUSE.referenceKey, sites = {1},
        zone = "Europe/London", policy = {}, batch = 100, at_once = 4,
        order_lag_ms = 90 * SECOND_MS, away_after_ms = 30 * SECOND_MS, kits = {},
    }
end

local Model = {}
Model.__index = Model

local function new_model(random, age_ms)
    local model = setmetatable({random = random, settings = settings(age_ms), now_ms = START_MS,
        orders = {}, bought = {}, received = {}, levels = {}, changed_ms = {}, due_ms = {},
        is_up = true, oversold = 0}, Model)
    for _, sku in ipairs(SKUS) do
        model.levels[sku] = random:up_to(3)
        model.bought[sku], model.received[sku] = 0, model.levels[sku]
    end
    return model
end

function Model:shop()
    return {store = self.far, now_ms = self.now_ms, time = time}
end

function Model:buy()
    local sku = self.random:pick(SKUS)
    if shop_stocks.visible(self:shop(), sku) < 1 then
        return
    end
    local id = #self.orders + 1
    shop_stocks.block(self:shop(), id, {[sku] = 1})
    self.bought[sku] = self.bought[sku] + 1
    if self.bought[sku] > self.received[sku] then
        self.oversold = self.oversold + 1
    end
    self.orders[id] = {id = id, sku = sku, confirmed_ms = self.now_ms, state = "confirmed",
        due_ms = self.now_ms + (55 + self.random:up_to(20)) * SECOND_MS}
end

function Model:deliver()
    for _, order in ipairs(self.orders) do
        if order.state == "confirmed" and order.due_ms <= self.now_ms and self.is_up then
            order.state = "accepted"
            stock_pending.open("order:" .. order.id, {units = {[order.sku] = 1}})
        elseif order.state == "confirmed" and order.due_ms <= self.now_ms then
            order.due_ms = self.now_ms + 3 * MINUTE_MS
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

-- ---- Khaos -----------------------------------------------------------------------------------

-- The level changed: a push will say so. One that is under way already keeps its level and comes
-- first; it was true when it left.
function Model:change(sku, by)
    self.levels[sku] = self.levels[sku] + by
    self.queue = self.queue or {}
    local last = self.last_due and self.last_due[sku] or 0
    local due_ms = math.max(last, self.now_ms + self.random:up_to(AGE_MS // SECOND_MS) * SECOND_MS)
    self.last_due = self.last_due or {}
    self.last_due[sku] = due_ms
    table.insert(self.queue, {sku = sku, level = self.levels[sku], due_ms = due_ms})
end

-- Without a code: a push of no levels.
local function push(model, sku, level)
    cloud_taking.push("stock_status", model.settings, {Statuses = json.array({sku and {
        StockCode = sku, StockID = sku, SiteID = 1, Levels = {Available = level, OnOrder = 0}}})})
end

-- Pushes that are due; while we are away they fail and come again after our return.
function Model:push()
    local left = {}
    for _, entry in ipairs(self.queue or {}) do
        if entry.due_ms > self.now_ms or not self.is_up then
            left[#left + 1] = entry
        else
            for _ = 1, self.random:chance(20) and 2 or 1 do
                push(self, entry.sku, entry.level)
            end
        end
    end
    self.queue = left
end

function Model:import()
    local order = self.is_up and self:one_in("accepted")
    if order then
        order.state = "imported"
        self:change(order.sku, -1)
    end
end

function Model:show()
    local order = self.is_up and self:one_in("imported")
    if order then
        order.state = "posted"
        stock_pending.posted("order:" .. order.id, self.now_ms)
    end
end

function Model:receive()
    local sku = self.random:pick(SKUS)
    self.received[sku] = self.received[sku] + 1
    self:change(sku, 1)
end

function Model:drop(order)
    order.state = "cancelled"
    self.bought[order.sku] = self.bought[order.sku] - 1
    shop_stocks.unblock(self:shop(), order.id, {[order.sku] = 1})
    stock_pending.drop("order:" .. order.id, self.now_ms)
end

function Model:take_back()
    local order = self.is_up and self:one_in("accepted")
    if order and self.random:chance(30) then
        self:drop(order)
    end
end

-- Khaos has no news of any level.
function Model:push_nothing()
    if self.is_up then
        push(self)
    end
end

-- Away: pushes that fell due then come within push_age_ms after the return, in their order.
function Model:crash()
    self.is_up = false
    self.back_ms = self.now_ms + (61 + self.random:up_to(3600)) * SECOND_MS
    local last = {}
    for _, entry in ipairs(self.queue or {}) do
        self:delay(entry, last)
    end
end

function Model:delay(entry, last)
    if entry.due_ms < self.back_ms then
        local again = self.back_ms + self.random:up_to(AGE_MS // SECOND_MS - 1) * SECOND_MS
        entry.due_ms = math.max(again, last[entry.sku] or 0)
        last[entry.sku] = entry.due_ms
        self.last_due[entry.sku] = math.max(self.last_due[entry.sku], entry.due_ms)
    else
        entry.due_ms = math.max(entry.due_ms, last[entry.sku] or 0)
        self.last_due[entry.sku] = math.max(self.last_due[entry.sku], entry.due_ms)
    end
end

-- ---- the flow against it ---------------------------------------------------------------------

function Model:sweep()
    if not self.is_up then
        return
    end
    for _, order in ipairs(self.orders) do
        if order.state == "confirmed" then
            order.state = "accepted"
            stock_pending.open("order:" .. order.id, {units = {[order.sku] = 1}})
            if self.now_ms - order.confirmed_ms > 90 * SECOND_MS then
                store.put("order_watermark", "late", {at_ms = self.now_ms,
                    confirmed_ms = order.confirmed_ms})
            end
        end
    end
    store.put("order_watermark", "sweep", {completed_ms = self.now_ms})
end

local function date_header(model)
    local date = time.format_iso(model.now_ms)
    return {date = "Mon, " .. date:sub(9, 10) .. " May 2026 " .. date:sub(12, 19) .. " GMT"}
end

local function answer(model, request)
    if model.random:chance(8) then
        return {error = {retryable = true, kind = "network", message = "lost before"}}
    end
    local sku = request.path:match("key%%3D(%w+)")
    local stock = assert(shop_stocks.set(model:shop(), {sku = sku}, json.decode(request.body)))
    if model.random:chance(8) then
        return {error = {retryable = true, kind = "network", message = "lost behind"}}
    end
    return {answer = {status = 200, body = json.encode(stock), headers = date_header(model)}}
end

local function tick(model, run)
    local job = {settings = model.settings, note = function() end, open_exception = function() end,
        close_exception = function() end}
    local ok, err = pcall(run, job)
    assert(ok or type(err) == "table", err)
end

local ACTIONS = {"buy", "buy", "buy", "buy", "buy", "import", "import", "show", "show", "receive",
    "take_back", "push_nothing", "push_nothing"}

local function step(model)
    model.now_ms = model.now_ms + model.random:up_to(20) * SECOND_MS
    if not model.is_up and model.now_ms >= model.back_ms then
        model.is_up = true
        send.restarted()
    end
    if model.is_up then
        presence.beat(model.settings.khaos.push_age_ms)
    end
    model:deliver()
    model:push()
    local roll = model.random:up_to(200)
    if not model.is_up then
        model[model.random:pick({"buy", "receive"})](model)
    elseif roll == 1 then
        model:crash()
    elseif roll <= 60 then
        tick(model, poll_cloud.run)
        tick(model, send.run)
    elseif roll <= 68 then
        model:sweep()
    else
        model[model.random:pick(ACTIONS)](model)
    end
end

local function with_fakes(model, fn)
    local near = fake_job.world({http = function() end, now_ms = START_MS})
    model.far = fake_job.world({http = function() end}).store
    local kept = {all = http.all, request = http.request, now = time.now_ms, store = {}}
    for name, fake in pairs(near.store) do
        kept.store[name], store[name] = store[name], fake
    end
    http.request = function()
        return {status = 404, body = "", headers = date_header(model)}
    end
    http.all = function(requests)
        local results = {}
        for i, request in ipairs(requests) do
            results[i] = answer(model, request)
        end
        return results
    end
    time.now_ms = function()
        return model.now_ms
    end
    local ok, err = pcall(fn)
    http.all, http.request, time.now_ms = kept.all, kept.request, kept.now
    for name, real in pairs(kept.store) do
        store[name] = real
    end
    assert(ok, err)
end

-- ---- at rest ---------------------------------------------------------------------------------

-- Nobody buys any more; every order is known. One history in two ends with all of them shown, the
-- others with those dropped that Khaos did not import.
local function end_orders(model, is_dropped)
    model:sweep()
    while model:one_in("accepted") do
        if is_dropped then
            model:drop(model:one_in("accepted"))
        else
            model:import()
        end
    end
    while model:one_in("imported") do
        model:show()
    end
end

local function difference(model)
    for _, sku in ipairs(SKUS) do
        local shown = shop_stocks.visible(model:shop(), sku)
        local wanted = math.max(model.levels[sku], 0)
        if shown ~= wanted then
            return string.format("%s: the shop shows %d, %d is right", sku, shown, wanted)
        end
    end
    return nil
end

-- After some silence Khaos says again that it has no news of levels; what is free by then is in
-- the shop.
local function come_to_rest(model)
    model.now_ms = math.max(model.now_ms, model.back_ms or 0)
    model.is_up = true
    send.restarted()
    local is_dropped = model.random:chance(50)
    local left, wrong = REST_MINUTES, "nothing was looked at"
    while wrong do
        assert(left > 0, wrong)
        left = left - 1
        model.now_ms = model.now_ms + MINUTE_MS
        presence.beat(model.settings.khaos.push_age_ms)
        end_orders(model, is_dropped)
        model:push()
        if left < REST_MINUTES - SILENT_MINUTES then
            model:push_nothing()
        end
        tick(model, poll_cloud.run)
        tick(model, send.run)
        wrong = difference(model)
    end
end

local function play(random, age_ms)
    local model = new_model(random, age_ms)
    with_fakes(model, function()
        send.restarted()
        for _, sku in ipairs(SKUS) do
            model:change(sku, 0)
        end
        model:sweep()
        for _ = 1, STEPS do
            step(model)
        end
        come_to_rest(model)
    end)
    return model
end

local function campaign(seed, count, age_ms)
    local random, bad, bought = baskets.random(seed), 0, 0
    for _ = 1, count do
        local model = play(random, age_ms)
        bad = bad + (model.oversold > 0 and 1 or 0)
        for _, sku in ipairs(SKUS) do
            bought = bought + model.bought[sku]
        end
    end
    return bad, bought
end

-- What orders take of A beyond its pushed level, as the next figure would have it.
local function subtracted()
    local item = store.get("stock_items", "A")
    return stock_pending.sum({code = "A"}, item.read_ms).quantity
end

-- The push of an import fails while we are away: its order is subtracted until that push must be
-- here.
local function absence_tests(t)
    t.case("after an absence posted orders are subtracted until late pushes are in", function()
        local model = new_model(baskets.random(1), AGE_MS)
        local shown = {}
        local function at(ms, name)
            model.now_ms = START_MS + ms
            push(model)
            tick(model, poll_cloud.run)
            shown[#shown + 1] = name .. " " .. subtracted()
        end
        with_fakes(model, function()
            push(model, "A", 5)
            stock_pending.open("order:1", {units = {A = 1}})
            model.now_ms = START_MS + SECOND_MS
            presence.beat(AGE_MS)
            stock_pending.posted("order:1", model.now_ms)
            at(60 * MINUTE_MS, "back")
            at(60 * MINUTE_MS + AGE_MS - 1, "the last moment before")
            at(60 * MINUTE_MS + AGE_MS, "the time is up")
        end)
        t.equal(shown, {"back 1", "the last moment before 1", "the time is up 0"})
    end)
    t.case("without an absence it is until push_age_ms after it was shown", function()
        local model = new_model(baskets.random(1), AGE_MS)
        local shown = {}
        with_fakes(model, function()
            push(model, "A", 5)
            stock_pending.open("order:1", {units = {A = 1}})
            stock_pending.posted("order:1", model.now_ms)
            for minute = 1, 12 do
                model.now_ms = START_MS + minute * MINUTE_MS
                push(model)
                tick(model, poll_cloud.run)
                shown[minute] = subtracted()
            end
        end)
        t.equal(shown, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0})
    end)
    -- Seen: the order was forgotten when Khaos had polled for push_age_ms, and a level from before
    -- it sold again.
    t.case("polls do not say that pushes of levels come through", function()
        local model = new_model(baskets.random(1), AGE_MS)
        local shown = {}
        with_fakes(model, function()
            push(model, "A", 5)
            stock_pending.open("order:1", {units = {A = 1}})
            stock_pending.posted("order:1", model.now_ms)
            for minute = 1, 30 do
                model.now_ms = START_MS + minute * MINUTE_MS
                for _, name in ipairs({"orders", "order_status", "stock"}) do
                    presence.heard(name, AGE_MS)
                end
                tick(model, poll_cloud.run)
                shown[subtracted()] = true
            end
        end)
        t.equal(shown, {true})
    end)
    t.case("levels are not complete beyond now when the clock is put back", function()
        local model = new_model(baskets.random(1), AGE_MS)
        with_fakes(model, function()
            for _, minute in ipairs({0, 60, 65, 70, 75, 1, 6, 12, 18}) do
                model.now_ms = START_MS + minute * MINUTE_MS
                push(model, "A", 5)
                t.equal(presence.complete_ms(AGE_MS) <= model.now_ms - AGE_MS, true, minute)
            end
        end)
    end)
    t.case("levels that could not be read keep orders subtracted until a person closed that",
        function()
            local model = new_model(baskets.random(1), AGE_MS)
            local shown = {}
            with_fakes(model, function()
                push(model, "A", 5)
                stock_pending.open("order:1", {units = {A = 1}})
                stock_pending.posted("order:1", model.now_ms)
                local job = cloud_taking.push("stock_status", model.settings, '{"Statuses":[{"St')
                for minute = 1, 32 do
                    if minute == 16 then
                        t.equal(job.opened["push_unreadable stock_status"].recheck, "manual")
                        job.opened["push_unreadable stock_status"] = nil
                    end
                    model.now_ms = START_MS + minute * MINUTE_MS
                    pushes.watch(job)
                    push(model, "B", 5)
                    tick(model, poll_cloud.run)
                    shown[minute] = subtracted()
                end
            end)
            t.equal({shown[15], shown[16]}, {1, 0})
        end)
    t.case("so do levels of a push that was too large", function()
        local model = new_model(baskets.random(1), AGE_MS)
        local shown = {}
        with_fakes(model, function()
            push(model, "A", 5)
            stock_pending.open("order:1", {units = {A = 1}})
            stock_pending.posted("order:1", model.now_ms)
            local reply = pushes.route("stock_status")({settings = model.settings},
                {body = string.rep("x", pushes.MAX_BYTES + 1)})
            local event = reply.events[1]
            event.payload = json.encode(event.payload)
            local job = cloud_taking.job(event, model.settings)
            pushes.take(job)
            for minute = 1, 32 do
                if minute == 16 then
                    job.opened["push_too_large stock_status"] = nil
                end
                model.now_ms = START_MS + minute * MINUTE_MS
                pushes.watch(job)
                push(model, "B", 5)
                tick(model, poll_cloud.run)
                shown[minute] = subtracted()
            end
        end)
        t.equal({shown[15], shown[16]}, {1, 0})
    end)
end

-- Seen: the poll forgot them when no push of levels had come since, and the shop showed 4 for good.
local function freed_tests(t)
    t.case("units of a dropped order come back also where its level rests", function()
        local model = new_model(baskets.random(1), AGE_MS)
        model.random.chance = function()
            return false
        end
        local function minutes(first, last, code)
            for minute = first, last do
                model.now_ms = START_MS + minute * MINUTE_MS
                presence.beat(AGE_MS)
                store.put("order_watermark", "sweep", {completed_ms = model.now_ms})
                if code then
                    push(model, code, 5)
                end
                tick(model, poll_cloud.run)
                tick(model, send.run)
            end
        end
        with_fakes(model, function()
            send.restarted()
            push(model, "A", 5)
            minutes(1, 4, "B")
            stock_pending.open("order:1", {units = {A = 1}, accepted_ms = model.now_ms})
            minutes(5, 30, "B")
            t.equal(shop_stocks.visible(model:shop(), "A"), 4)
            minutes(31, 31, "A")
            stock_pending.drop("order:1", model.now_ms)
            minutes(32, 40)
            minutes(41, 45, "B")
            t.equal(shop_stocks.visible(model:shop(), "A"), 5)
        end)
    end)
end

return function(t)
    absence_tests(t)
    freed_tests(t)
    local count, seed = tonumber(t.settings.count) or 300, tonumber(t.settings.seed) or 1
    t.case("no interleaving oversells, and at rest the shop shows what there is", function()
        local bad, bought = campaign(seed, count, AGE_MS)
        t.note("%d histories, %d units bought, %d oversold (seed %d)", count, bought, bad, seed)
        t.equal(bad, 0)
        assert(bought > count, "hardly anything was bought")
    end)
    t.case("pushes taken for younger than they are would oversell: it can tell", function()
        local bad = campaign(seed + 1, 200, SECOND_MS)
        t.note("with an age of 1 s %d of 200 histories oversell", bad)
        assert(bad > 0, "an age of a second did no harm: the campaign proves nothing")
    end)
end
