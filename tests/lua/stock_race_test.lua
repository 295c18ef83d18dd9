-- neap-test-root: examples/sandbox/scayle
-- No interleaving of orders, stock movements, figures on their way, absences and crashes sells what
-- is not there.
--
-- The stock flow's and the orders flow's own modules run against a model of Khaos (stock_erp) and
-- the sandbox's shop with its blockers; other things happen while a reading or a figure is on its
-- way. A shopper buys whatever the shop shows. Orders come by webhook, delegation or sweep, early
-- or late, with their units or without; single units are cancelled before and after the import.
--
-- What nobody can know is the declared exposure: sales outside the shop, and an order of another
-- code that shares a component with the one bought, until a figure that knows the order is in the
-- shop (SCAYLE blocks the code that was bought, not its components).
--
--     neap test --lua --set count=20000 --set seed=1 tests/lua/stock_race_test.lua
local baskets = require("baskets")
local bulk = require("flows.stock_stages.bulk")
local catalogue = require("shop.catalogue")
local fake_job = require("fake_job")
local full = require("flows.stock_stages.full")
local poll = require("flows.stock_stages.poll")
local remaining = require("flows.orders.remaining")
local send = require("flows.stock_stages.send")
local sent = require("flows.stock_stages.sent")
local shop_stocks = require("shop.stocks")
local stock_erp = require("stock_erp")
local stock_orders = require("stock_orders")
local stock_pending = require("flows.stock_pending")
local stock_shop = require("stock_shop")
local store = require("neap.store")
local time = require("neap.time")
local watermark = require("flows.stock_stages.watermark")

local SECOND_MS = 1000
local MINUTE_MS = 60 * SECOND_MS
local START_MS = 1777888980000
local STEPS = 150

local POLICIES = {{}, {}, {default = {buffer = 1}}, {default = {buffer_percent = 30}}}

local function settings(random, sites, lag_ms)
    return {
        bulk = stock_shop.bulk_settings(random),
        khaos = {}, scayle = {connection = "scayle"}, merchant_key = "fellside",
        warehouse = catalogue.WAREHOUSE.referenceKey, sites = sites, zone = "Europe/London",
        policy = random:pick(POLICIES), batch = 100, at_once = 4, chunk = random:pick({1, 100}),
        overlap_ms = random:pick({1, 90}) * MINUTE_MS, full_every_ms = 5 * MINUTE_MS,
        full_batch = random:up_to(2), order_lag_ms = lag_ms, away_after_ms = 30 * SECOND_MS,
    }
end

-- ---- the model -------------------------------------------------------------------------------

local Model = {}
Model.__index = Model

local function new_model(random, lag_ms, has_other_sales)
    local skew_ms = random:pick({0, 0, 0, -40, 7, 400}) * SECOND_MS
    local model = setmetatable({random = random, now_ms = START_MS, skew_ms = skew_ms, bought = {},
        units_bought = 0, figured = {}, is_up = true, has_other_sales = has_other_sales,
        depth = 0, oversold = 0}, Model)
    model.erp = stock_erp.new(random, function()
        return model.now_ms
    end)
    for _, part in ipairs(model.erp.parts) do
        model.bought[part] = 0
    end
    model.settings = settings(random, model.erp.sites, lag_ms)
    model.orders = stock_orders.new(model)
    return model
end

-- SCAYLE's side, by SCAYLE's clock (ours is ahead by the skew).
function Model:shop()
    return self.scayle:world()
end

function Model:pass(ms)
    self.now_ms = self.now_ms + ms
end

-- When the figure that is in force in the shop was worked out.
function Model:figured_ms(sku)
    local current = shop_stocks.list(self:shop(), {sku = sku})[1]
    local stamp_ms = current and time.parse_iso(current.changedAt)
    return stamp_ms and self.figured[sku .. "\n" .. stamp_ms] or 0
end

local function has_other(self, units, sku, part)
    for code in pairs(units) do
        if code ~= sku and self.erp.made_of[code][part] then
            return true
        end
    end
    return false
end

-- Has an order of another code, or this one, taken some of the part, and the shop's figure of the
-- code does not know it?
function Model:is_exposed(units, sku, part)
    local figured_ms, is_exposed = self:figured_ms(sku), has_other(self, units, sku, part)
    for _, order in ipairs(self.orders.list) do
        local is_known = order.known_ms and order.known_ms <= figured_ms
        is_exposed = is_exposed or order.state ~= "cancelled" and not is_known
            and has_other(self, order.units, sku, part)
    end
    return is_exposed
end

-- Judged at once: a later receipt would hide it. Sales outside the shop excuse as many units.
function Model:judge(units)
    for sku in pairs(units) do
        for part in pairs(self.erp.made_of[sku]) do
            if self.bought[part] > self.erp.received[part]
                and not self:is_exposed(units, sku, part) then
                self.oversold = self.oversold + 1
                return
            end
        end
    end
end

function Model:count(units, by)
    for part, quantity in pairs(self.erp:explode(units)) do
        self.bought[part] = self.bought[part] + by * quantity
    end
end

-- A shopper buys a unit or two of what is shown.
function Model:buy()
    local units = {}
    for _ = 1, self.random:chance(25) and 2 or 1 do
        local sku = self.random:pick(self.erp.codes)
        if shop_stocks.visible(self:shop(), sku) > (units[sku] or 0) then
            units[sku] = (units[sku] or 0) + 1
        end
    end
    if next(units) == nil then
        return
    end
    self:count(units, 1)
    self:judge(units)
    self.units_bought = self.units_bought + 1
    self.orders:confirm(units)
end

function Model:deliver()
    self.scayle:work()
    self.orders:deliver()
end

function Model:one_in(state, accepts)
    local list = {}
    for _, order in ipairs(self.orders.list) do
        if order.state == state and (not accepts or accepts(order)) then
            list[#list + 1] = order
        end
    end
    return #list > 0 and self.random:pick(list) or nil
end

-- Khaos takes an order now; we hear of it later.
function Model:import()
    local order = self.is_up and self:one_in("mapped")
    if order then
        order.state = "imported"
        self.erp:import(order.id, order.posting)
    end
end

function Model:hear_reply()
    local order = self.is_up and self:one_in("imported")
    if order then
        order.state = "posted"
        stock_pending.posted(stock_orders.key(order), self.now_ms)
    end
end

function Model:cancel()
    local order = self.is_up and self:one_in("mapped")
    if order and self.random:chance(30) then
        local left = self.orders:left(order)
        self:count(left, -1)
        shop_stocks.unblock(self:shop(), order.id, left)
        self.orders:drop(order)
    end
end

-- One unit, before or after the import. Before it the order may be looked at again in time.
function Model:cancel_unit()
    local order = self:one_in(self.random:pick({"mapped", "posted"}))
    local units = order and self.orders:cancel_unit(order)
    if units then
        self:count(units, -1)
        if order.state == "mapped" and self.is_up and self.random:chance(50) then
            order.posting = self.orders:left(order)
            stock_pending.add(stock_orders.key(order), order.posting)
        end
    end
end

-- Khaos has units of the order that were cancelled since.
local function is_too_large(model, order)
    for sku, quantity in pairs(order.posting) do
        if quantity > (model.orders:left(order)[sku] or 0) then
            return true
        end
    end
    return false
end

-- The order is deleted in Khaos and imported anew, one step at a time; or Khaos refuses.
local AMEND = {}

function AMEND.none(model, order, key)
    order.wanted = model.orders:left(order)
    stock_pending.amending(key, order.wanted)
    return "asked"
end

function AMEND.asked(model, order, key)
    if model.random:chance(20) then
        stock_pending.not_amended(key, model.now_ms)
        return "none"
    end
    model.erp:delete(order.id)
    return "deleted"
end

function AMEND.deleted(model, order)
    model.erp:import(order.id, order.wanted)
    return "imported"
end

function AMEND.imported(model, order, key)
    local skus = {}
    for sku, quantity in pairs(order.posting) do
        skus[sku] = quantity ~= order.wanted[sku] or nil
    end
    order.posting = order.wanted
    stock_pending.amended(key, skus, model.now_ms)
    return "none"
end

function Model:amend()
    local order = self.is_up and self:one_in("posted", function(order)
        return order.amend and order.amend ~= "none" or is_too_large(self, order)
    end)
    if order then
        order.amend = AMEND[order.amend or "none"](self, order, stock_orders.key(order))
    end
end

function Model:move()
    local part = self.random:pick(self.erp.parts)
    if self.random:chance(60) then
        self.erp:receive(part)
    elseif self.has_other_sales then
        self.erp:sell(part)
    end
end

function Model:sweep()
    if self.is_up then
        self.orders:sweep()
    end
end

function Model:crash()
    self.is_up = false
    self.back_ms = self.now_ms + self.random:up_to(600) * SECOND_MS
end

local EVENTS = {"buy", "buy", "buy", "import", "import", "hear_reply", "hear_reply", "move",
    "cancel", "cancel_unit", "amend", "deliver", "deliver"}

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
    "hear_reply", "move", "move", "cancel", "cancel_unit", "amend"}

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
    elseif roll <= 1 then
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
    for _, what in ipairs({"send", "sweep", "full", "full", "poll", "send"}) do
        model:pass(2 * SECOND_MS)
        if what == "sweep" then
            model:sweep()
        else
            model:tick(what)
        end
    end
    model.depth = 0
end

-- ---- at rest ---------------------------------------------------------------------------------

local function buffer_of(model, available)
    local policy = model.settings.policy.default or {}
    return policy.buffer or (math.max(available, 0) * (policy.buffer_percent or 0) + 99) // 100
end

-- What is left of a code when all orders are imported.
local function left_of(model, sku)
    local least
    for part, each in pairs(model.erp.made_of[sku]) do
        local sum = model.erp:sum(part)
        for _, order in ipairs(model.orders.list) do
            if order.state == "mapped" then
                sum = sum - (model.erp:explode(order.posting)[part] or 0)
            end
        end
        least = math.min(least or sum // each, sum // each)
    end
    return math.max(least, 0)
end

local function some(model, differs)
    for _, sku in ipairs(model.erp.codes) do
        local shown = shop_stocks.visible(model:shop(), sku)
        local wanted = differs(model, sku, shown)
        if wanted then
            return string.format("%s: the shop shows %d, %d is right", sku, shown, wanted)
        end
    end
    return nil
end

-- Every order is known, none more is imported: the shop shows no more than what they leave.
local function too_much(model)
    if model:one_in("confirmed") then
        return "an order is not known"
    end
    return some(model, function(_, sku, shown)
        local left = left_of(model, sku)
        return shown > left and left
    end)
end

-- Every order is in Khaos without its cancelled units: the shop shows what Khaos has.
local function difference(model)
    if model:one_in("posted", function(order)
        return is_too_large(model, order) or order.amend and order.amend ~= "none"
    end) then
        return "an order is to be made smaller"
    elseif bulk.is_open() then
        return "a bulk request is open"
    end
    return some(model, function(_, sku, shown)
        local available = model.erp:available(sku)
        local wanted = math.max(available - buffer_of(model, available), 0)
        return shown ~= wanted and wanted
    end)
end

local function rest_until(model, wrong_of, each)
    local left, wrong = 150, "nothing was looked at"
    while wrong do
        left = left - 1
        model:pass(20 * SECOND_MS)
        model:deliver()
        each()
        model:sweep()
        model:tick("full")
        model:tick("poll")
        model:tick("send")
        wrong = wrong_of(model)
        assert(left > 0 or not wrong, wrong)
    end
end

-- Nothing is lost any more, and nobody buys; a full reading that was begun is the last one.
local function come_to_rest(model)
    model.settings.full_every_ms = math.maxinteger
    model.depth, model.is_up, model.scayle.loss, model.erp.is_at_rest = 1, true, 0, true
    rest_until(model, too_much, function()
        model:hear_reply()
    end)
    rest_until(model, difference, function()
        for _ = 1, #model.orders.list do
            model:import()
            model:hear_reply()
            model:amend()
        end
    end)
end

-- ---- a history -------------------------------------------------------------------------------

-- Remembers when each figure was worked out; gives what takes that back.
local function note_figures(model)
    local write_down = sent.write_down
    sent.write_down = function(list, now_ms)
        for _, entry in ipairs(list) do
            model.figured[entry.sku .. "\n" .. entry.stamp_ms] = now_ms
        end
        write_down(list, now_ms)
    end
    return function()
        sent.write_down = write_down
    end
end

-- The fakes are in place while it runs.
local function play(random, lag_ms, has_other_sales)
    local near = fake_job.world({http = function() end, now_ms = START_MS})
    local kept = {now = time.now_ms, store = {}}
    local model = new_model(random, lag_ms, has_other_sales)
    model.scayle = stock_shop.new(random, fake_job.world({http = function() end}).store,
        model.erp.codes, function()
            return model.now_ms - model.skew_ms
        end)
    send.restarted()
    for name, fn in pairs(near.store) do
        kept.store[name], store[name] = store[name], fn
    end
    local function meanwhile()
        model:meanwhile()
    end
    local undo = {model.scayle:serve(meanwhile), model.erp:serve(meanwhile), note_figures(model)}
    time.now_ms = function()
        return model.now_ms
    end
    local ok, err = pcall(function()
        begin(model)
        for _ = 1, STEPS do
            step(model)
        end
        come_to_rest(model)
    end)
    for _, fn in ipairs(undo) do
        fn()
    end
    time.now_ms = kept.now
    for name, fn in pairs(kept.store) do
        store[name] = fn
    end
    assert(ok, err)
    return model
end

local function campaign(seed, count, lag_ms, has_other_sales)
    local random, bad, bought, requests = baskets.random(seed), 0, 0, 0
    for _ = 1, count do
        local model = play(random, lag_ms, has_other_sales)
        bad = bad + (model.oversold > 0 and 1 or 0)
        requests = requests + model.scayle.begun
        bought = bought + model.units_bought
    end
    return bad, bought, requests
end

-- Histories with something broken; the first that comes out wrong is enough.
local function finds(seed, lag_ms, patches)
    local kept, random = {}, baskets.random(seed)
    for i, patch in ipairs(patches) do
        kept[i] = patch[1][patch[2]]
        patch[1][patch[2]] = patch[3]
    end
    local found
    for number = 1, 1000 do
        local ok, model = pcall(play, random, lag_ms, false)
        if not ok or model.oversold > 0 then
            found = number
            break
        end
    end
    for i, patch in ipairs(patches) do
        patch[1][patch[2]] = kept[i]
    end
    return found
end

return function(t)
    local count, seed = tonumber(t.settings.count) or 200, tonumber(t.settings.seed) or 1
    t.case("no interleaving oversells", function()
        local bad, bought, requests = campaign(seed, count, 90 * SECOND_MS, false)
        t.note("%d histories, %d orders, %d bulk requests, %d oversold (seed %d)", count,
            bought, requests, bad, seed)
        t.equal(bad, 0)
        assert(bought > count, "hardly anything was bought")
        assert(requests > count, "hardly any figure went by a bulk request")
    end)
    t.case("sales outside the shop are all that can be oversold", function()
        local bad = campaign(seed + 1, count, 90 * SECOND_MS, true)
        t.equal(bad, 0)
    end)
    local nothing = function() end
    local BROKEN = {
        {"a stamp ahead of the orders", 0, {}},
        {"orders whose units are not known and hold nothing", 90 * SECOND_MS,
            {{watermark, "held_by", nothing}, {remaining, "codes", nothing}}},
        {"kits that know nothing of each other", 90 * SECOND_MS,
            {{stock_pending, "set_components", nothing}}},
        {"figures that are not looked at again", 90 * SECOND_MS,
            {{stock_pending, "related", function(codes)
                return codes
            end}}},
    }
    for _, broken in ipairs(BROKEN) do
        t.case("the campaign can tell " .. broken[1], function()
            local number = finds(seed + 2, broken[2], broken[3])
            t.note("found by history %s", tostring(number))
            assert(number, "it did no harm: the campaign proves nothing")
        end)
    end
end
