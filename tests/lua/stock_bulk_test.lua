-- neap-test-root: examples/sandbox/scayle
-- Bulk requests of the stock flow against the sandbox's: lost answers, failures that nobody lists,
-- figures that are ignored, requests that stand still or end half-way. Whatever happens, each
-- figure is in the shop in the end or told again by itself.
local baskets = require("baskets")
local bulk = require("flows.stock_stages.bulk")
local catalogue = require("shop.catalogue")
local fake_job = require("fake_job")
local faults = require("lib.sandbox.faults")
local send = require("flows.stock_stages.send")
local sent = require("flows.stock_stages.sent")
local shop_stocks = require("shop.stocks")
local stock_shop = require("stock_shop")
local store = require("neap.store")
local tables = require("flows.stock_stages.tables")
local time = require("neap.time")

local SECOND_MS = 1000
local START_MS = 1777888980000

local function settings(more)
    local made = {from = 3, size = 10, chunk = 2, wait_ms = 60 * SECOND_MS, check = 2}
    for name, value in pairs(more or {}) do
        made[name] = value
    end
    return {scayle = {connection = "scayle"}, merchant_key = "fellside",
        warehouse = catalogue.WAREHOUSE.referenceKey, zone = "Europe/London", policy = {},
        batch = 4, at_once = 2, order_lag_ms = 0, away_after_ms = 3600 * SECOND_MS, bulk = made}
end

local Scene = {}
Scene.__index = Scene

-- Levels are read: a figure per code is due.
local function scene(count, more)
    local self = setmetatable({now_ms = START_MS, notes = {}, requests = {}, exceptions = {},
        skus = {},
        settings = settings(more)}, Scene)
    for i = 1, count do
        self.skus[i] = string.format("S%02d", i)
    end
    local far = fake_job.world({http = function() end}).store
    self.shop = stock_shop.new(baskets.random(7), far, self.skus, function()
        return self.now_ms
    end)
    self.shop.loss = 0
    for name, value in pairs({bulk_stuck = false, bulk_cancel_ignored = false, bulk_ends = "",
        bulk_offered = true}) do
        self.shop.settings[name] = value
    end
    self.world = fake_job.world({http = function() end, now_ms = START_MS})
    return self
end

-- In the place of neap.http; `lose(request, number)` says what gets lost: "before", "behind", nil.
function Scene:serve()
    local answer = self.shop.answer
    self.shop.answer = function(shop, request)
        table.insert(self.requests, request)
        local loss = self.lose and self.lose(request, #self.requests)
        if self.refuse and self.refuse(request) then
            return {status = self.refuse(request), body = '{"errors":[]}',
                headers = shop:date_header()}
        end
        local reply, err = nil, nil
        if loss ~= "before" then
            reply, err = answer(shop, request)
        end
        if loss then
            return nil, {retryable = true, kind = "network", message = "lost " .. loss}
        end
        return reply, err
    end
    return self.shop:serve(function() end)
end

-- Everything below runs with the fakes in place.
function Scene:play(fn)
    self.world:with(function()
        local kept = time.now_ms
        time.now_ms = function()
            return self.now_ms
        end
        local unserve = self:serve()
        send.restarted()
        self:read(5)
        local ok, err = pcall(fn)
        unserve()
        time.now_ms = kept
        assert(ok, err)
    end)
end

function Scene:read(quantity)
    for _, sku in ipairs(self.skus) do
        local item = store.get(tables.ITEMS, sku) or {code = sku, sites = {}}
        item.sites["1"] = {available = quantity, read_ms = self.now_ms}
        tables.keep(sku, item, self.now_ms)
    end
    -- Nobody was away: the watermark is now.
    store.put("order_watermark", "sweep", {completed_ms = self.now_ms + 3600 * SECOND_MS})
end

function Scene:tick()
    self.now_ms = self.now_ms + 5 * SECOND_MS
    local job = {settings = self.settings, note = function(_, _, text)
        table.insert(self.notes, text)
    end, open_exception = function(_, open)
        self.exceptions[open.cause] = open.message
    end, close_exception = function(_, cause)
        self.exceptions[cause] = nil
    end}
    local ok, err = pcall(send.run, job)
    assert(ok or type(err) == "table" or tostring(err):find("killed"), err)
    for _ = 1, 5 do
        self.shop:work()
    end
end

function Scene:shown()
    local list = {}
    for i, sku in ipairs(self.skus) do
        local stock = shop_stocks.list(self.shop:world(), {sku = sku})[1]
        list[i] = stock and stock.quantity or -1
    end
    return list
end

function Scene:is_right(quantity)
    for _, shown in ipairs(self:shown()) do
        if shown ~= quantity then
            return false
        end
    end
    return not bulk.is_open() and #store.range(tables.DIRTY, {limit = 1}) == 0
end

function Scene:until_right(quantity)
    for number = 1, 60 do
        self:tick()
        if self:is_right(quantity) then
            return number
        end
    end
    error("never right: " .. table.concat(self:shown(), " ") .. "; " .. table.concat(self.notes,
        "; "))
end

function Scene:count(pattern)
    local count = 0
    for _, request in ipairs(self.requests) do
        count = count + (request.path:find(pattern) and 1 or 0)
    end
    return count
end

local CHUNKS, SINGLE = "^/variants/stocks/bulk", "^/variants/key.*/stocks$"

local function usual_tests(t)
    t.case("many figures go by one request, in chunks, and each is looked up afterwards", function()
        local s = scene(7)
        s:play(function()
            s:until_right(5)
            t.equal(s:count(CHUNKS), 4)
            assert(s:count("/operations/") <= 2, "the next request would have to wait")
            for _ = 1, 4 do
                s:tick()
            end
            t.equal({s:count("/operations/"), s:count(SINGLE), s.shop.begun}, {7, 1, 1},
                "each is looked up once; one question for SCAYLE's time")
        end)
    end)
    t.case("few go singly, and so do all without the setting", function()
        local few, none = scene(2), scene(7)
        none.settings.bulk = nil
        for _, s in ipairs({few, none}) do
            s:play(function()
                s:until_right(5)
                t.equal(s:count(CHUNKS), 0)
            end)
        end
    end)
    t.case("drops go singly, ahead of a request", function()
        local s = scene(7)
        s:play(function()
            s:until_right(5)
            s.now_ms, s.requests = s.now_ms + 60 * SECOND_MS, {}
            s:read(0)
            s:tick()
            t.equal(s:count(SINGLE), 4)
            s:until_right(0)
        end)
    end)
    t.case("what changes under way goes singly, and the later figure stays", function()
        local s = scene(3)
        s.shop.settings.bulk_stuck = true
        s:play(function()
            s:tick()
            assert(bulk.is_open())
            s.now_ms = s.now_ms + 10 * SECOND_MS
            s:read(9)
            s:tick()
            t.equal(s:shown(), {9, 9, 9})
            s.shop.settings.bulk_stuck = false
            s:until_right(9)
        end)
    end)
end

local function peak_tests(t)
    t.case("peak hours may lie over midnight", function()
        for hours, count in pairs({["22:00-12:00"] = 1, ["10:00-12:00"] = 1, ["12:00-22:00"] = 4,
            ["22:00-10:00"] = 4, ["11:30-11:30"] = 4}) do
            local s = scene(6)
            local from, to = hours:match("^(.*)-(.*)$")
            s.settings.bulk, s.settings.peak = nil, {from = from, to = to, batch = 1}
            s:play(function()
                s:tick() -- at 11:03 in London
                t.equal({hours, s:count(SINGLE) - 1}, {hours, count})
            end)
        end
    end)
    -- Seen before: an hour after a buffer was raised the shop still showed the old figure.
    t.case("an edited policy is told of codes of which nothing moves", function()
        local s = scene(3)
        s:play(function()
            s:until_right(5)
            s.now_ms, s.requests = s.now_ms + 60 * SECOND_MS, {}
            s.settings.policy = {default = {buffer = 2}, skus = {S03 = {buffer = 0}}}
            s:tick()
            local reread = {}
            for _, pair in ipairs(store.range("stock_reread", {})) do
                reread[#reread + 1] = pair.key
            end
            t.equal(reread, {"S01", "S02"}, "a newer reading gives the later stamp")
            s:read(5)
            s:tick()
            t.equal({s:shown(), #store.range(tables.DIRTY, {})}, {{3, 3, 5}, 0})
        end)
    end)
    -- Seen before: it raised, and no figure of any code left any more.
    t.case("a code whose figure cannot be worked out holds up no other", function()
        local s = scene(2)
        s:play(function()
            local item = store.get(tables.ITEMS, "S01")
            item.sites["1"].available = 2.5
            tables.keep("S01", item, s.now_ms)
            s:tick()
            t.equal(s:shown(), {-1, 5})
            assert(s.exceptions.stock_figure_unknown:find("1 codes", 1, true))
            s.now_ms = s.now_ms + 10 * SECOND_MS
            s:read(4)
            s:until_right(4)
            t.equal(s.exceptions, {})
        end)
    end)
end

local function trouble_tests(t)
    for _, where in ipairs({"before", "behind"}) do
        t.case("each answer lost in turn, " .. where .. " it was done", function()
            for number = 1, 20 do
                local s = scene(5)
                s.lose = function(_, at)
                    return at == number and where or nil
                end
                s:play(function()
                    s:until_right(5)
                    assert(s.shop.begun <= 1, "a figure went by two requests")
                end)
            end
        end)
    end
    t.case("operations that failed are found and told again", function()
        local s = scene(7)
        faults.set(s.shop.far, {{operation = "bulk_operation", path = "S03", fault = "500",
            times = 1}, {operation = "bulk_operation", path = "S06", fault = "500", times = 1}})
        s:play(function()
            s:until_right(5)
            t.equal({s:count("/operations/"), s:count(SINGLE)}, {7, 3})
        end)
    end)
    -- Seen before: only every so many-th operation was looked up, and the others counted as set.
    t.case("a figure that SCAYLE ignores is found, whichever it is", function()
        for _, sku in ipairs({"S01", "S02", "S03", "S04"}) do
            local s = scene(4)
            s:play(function()
                local body = {quantity = 77, warehouseReferenceKey = s.settings.warehouse,
                    merchantReferenceKey = "fellside", changedAt = time.format_iso(s.now_ms
                        + 20 * SECOND_MS)}
                assert(shop_stocks.set(s.shop:world(), {sku = sku}, body))
                for _ = 1, 6 do
                    s:tick()
                end
                t.equal(store.get(tables.SENT, sku).state, "ignored")
                t.equal(#store.range(tables.UNCHECKED, {}), 0)
                s.now_ms = s.now_ms + 60 * SECOND_MS
                s:read(5)
                s:until_right(5)
            end)
        end
    end)
    -- Seen before: the stamps stood still until a sweep of all orders, as after an absence.
    t.case("a run that takes long is no absence", function()
        local s = scene(12)
        s.settings.away_after_ms, s.settings.batch = 30 * SECOND_MS, 12
        s.settings.bulk = nil
        s:play(function()
            s:tick()
            s:read(4)
            store.put("order_watermark", "sweep", {completed_ms = START_MS})
            s.lose = function()
                s.now_ms = s.now_ms + 3 * SECOND_MS
            end
            s:tick()
            s.lose = nil
            s:tick()
            t.equal(store.get("stock_watermark", "state").frozen_ms or "moves", "moves")
        end)
    end)
    -- Seen before: it was asked for again at every tick, before all others.
    t.case("an operation that cannot be looked up holds up no other, and is told singly", function()
        local s = scene(7, {check = 2})
        s.refuse = function(request)
            return request.path:find("/operations/00000002/", 1, true) and 500
        end
        s:play(function()
            s:until_right(5)
            for _ = 1, 6 do
                s:tick()
            end
            t.equal(#store.range(tables.UNCHECKED, {}), 1)
            s.now_ms = s.now_ms + 60 * SECOND_MS
            s.requests = {}
            for _ = 1, 4 do
                s:tick()
            end
            t.equal({s:count(SINGLE), #store.range(tables.UNCHECKED, {})}, {1, 0})
        end)
    end)
    t.case("what scripts of another day were doing with a request is found out", function()
        local s = scene(5)
        s:play(function()
            s:tick()
            local state = store.get(tables.STATE, "bulk")
            state.phase = "another day's"
            store.put(tables.STATE, "bulk", state)
            s:until_right(5)
        end)
    end)
    t.case("one that changed since is not looked up, and one that failed is told again", function()
        local s = scene(4, {check = 1})
        s:play(function()
            s:until_right(5)
            s.now_ms, s.requests = s.now_ms + 60 * SECOND_MS, {}
            s:read(3) -- drops go singly
            s:tick()
            t.equal({s:count(SINGLE), #store.range(tables.UNCHECKED, {})}, {4, 0})
            store.put(tables.UNCHECKED, "S02", {request = 99, operation = "1", quantity = 3,
                stamp_ms = store.get(tables.SENT, "S02").stamp_ms})
            s.requests = {}
            s:tick()
            s:until_right(3)
            t.equal(s:count(SINGLE), 1, "SCAYLE knows of no such operation")
        end)
    end)
    t.case("one that stands still is cancelled, and its figures go singly", function()
        for _, is_ignored in ipairs({false, true}) do
            local s = scene(5)
            s.shop.settings.bulk_stuck = true
            s.shop.settings.bulk_cancel_ignored = is_ignored
            s:play(function()
                s:until_right(5)
                t.equal({s:count("/cancel$"), s:count(CHUNKS)}, {1, 3})
                s.now_ms = s.now_ms + 30 * SECOND_MS
                s:read(6)
                s:until_right(6)
                t.equal(s:count(CHUNKS), 3, "no other one so soon")
            end)
        end
    end)
    t.case("one that ends half-way: what it did not do goes singly", function()
        for _, word in ipairs({"failed", "aborted"}) do
            local s = scene(6)
            s.shop.settings.bulk_ends = word
            s:play(function()
                s:until_right(5)
            end)
        end
    end)
    t.case("a tenant without bulk requests, and one that takes smaller chunks", function()
        for name, value in pairs({bulk_offered = false, bulk_chunk_max = 1}) do
            local s = scene(5)
            s.shop.settings[name] = value
            s:play(function()
                s:until_right(5)
                t.equal(s.shop.begun, 0)
                assert(s.exceptions.stock_bulk_failed:find("SCAYLE answered 4", 1, true))
                s.shop.settings.bulk_offered, s.shop.settings.bulk_chunk_max = true, 1000
                s.now_ms = s.now_ms + 90 * SECOND_MS
                s:read(6)
                s:until_right(6)
                t.equal({s.shop.begun, s.exceptions}, {1, {}})
            end)
        end
    end)
    t.case("a last chunk that is refused, or fails on and on, ends the request", function()
        for _, status in ipairs({400, 500}) do
            local s = scene(5)
            s.refuse = function(request)
                return request.path:find(CHUNKS) and request.body:find('"complete"', 1, true)
                    and status
            end
            s:play(function()
                s:until_right(5)
                assert(s.exceptions.stock_bulk_failed, "nobody was told")
            end)
        end
    end)
    t.case("bulk is taken out of the settings while a request is under way", function()
        local s = scene(5)
        s.shop.settings.bulk_stuck = true
        s:play(function()
            s:tick()
            s.settings.bulk = nil
            s:until_right(5)
        end)
    end)
    t.case("a figure that SCAYLE never takes holds up nothing", function()
        for status, cause in pairs({[500] = "none", [400] = "stock_refused"}) do
            local s = scene(5)
            s:play(function()
                s:tick()
                assert(bulk.is_open())
                s.now_ms = s.now_ms + 10 * SECOND_MS
                table.insert(s.skus, "S99")
                shop_stocks.add_variant(s.shop:world(), "S99", 1099)
                s.refuse = function(request)
                    return request.path:find("S99") and status
                end
                s:read(5)
                for _ = 1, 30 do
                    s:tick()
                end
                t.equal({bulk.is_open(), s:shown()}, {false, {5, 5, 5, 5, 5, -1}})
                t.equal(s.exceptions[cause] ~= nil, cause ~= "none")
                s.refuse = nil
                s.now_ms = s.now_ms + 10 * SECOND_MS
                s:read(6)
                s:until_right(6)
                t.equal(s.exceptions, {})
            end)
        end
    end)
    t.case("a drop that is read while a figure is under way is told first", function()
        local s = scene(3)
        s.shop.settings.bulk_stuck = true
        s:play(function()
            s:tick()
            s:read(1)
            t.equal(store.get(tables.URGENT, "S01") ~= nil, true)
            local entry = store.get(tables.SENT, "S01")
            entry.sku = "S01"
            sent.settle({settings = s.settings}, entry, "set")
            t.equal({store.get(tables.SENT, "S01").state, store.get(tables.URGENT, "S01") ~= nil},
                {"set", true})
        end)
    end)
    t.case("a crash anywhere: it goes on", function()
        for number = 1, 12 do
            local s = scene(5)
            s.lose = function(_, at)
                assert(at ~= number, "killed")
            end
            s:play(function()
                for _ = 1, 20 do
                    s:tick()
                end
                s.lose = nil
                s:until_right(5)
                assert(s.shop.begun == 1, "the request was not taken up again")
            end)
        end
    end)
end

return function(t)
    usual_tests(t)
    peak_tests(t)
    trouble_tests(t)
end
