-- The full reading of the stock flow: in pieces, across errors, beside polls; and what Khaos lists
-- no more.
local fake_job = require("fake_job")
local full = require("flows.stock_stages.full")
local khaos_stock = require("connectors.khaos_soap.stock")
local levels = require("connectors.khaos_soap.levels")
local store = require("neap.store")
local tables = require("flows.stock_stages.tables")

local DAY_MS = 24 * 3600000

local Scene = {}
Scene.__index = Scene

local function scene(codes)
    local self = setmetatable({codes = codes, known = {}, read = {}, lists = 0, notes = {}}, Scene)
    for _, code in ipairs(codes) do
        self.known[code] = {available = 5}
    end
    self.settings = {khaos = {}, sites = {1}, chunk = 10, full_every_ms = DAY_MS, full_batch = 3}
    self.world = fake_job.world({http = function() end})
    return self
end

-- Two codes a page.
function Scene:list()
    self.lists = self.lists + 1
    local at = 0
    return {page = function()
        local page = {}
        while #page < 2 and at < #self.codes do
            at = at + 1
            page[#page + 1] = {code = self.codes[at]}
        end
        return page
    end}
end

function Scene:play(fn)
    local kept = {list = khaos_stock.list_since, read = levels.read, details = levels.details}
    khaos_stock.list_since = function()
        return self:list()
    end
    levels.details = function(_, codes)
        local found = {}
        for _, code in ipairs(codes) do
            found[code] = self.known[code] and {} or nil
        end
        return found
    end
    levels.read = function(_, codes, site_id, each)
        if self.is_down or self.is_down_at == site_id then
            return nil, {retryable = true, kind = "network", message = "down"}
        end
        local found = {}
        for _, code in ipairs(codes) do
            table.insert(self.read, code)
            local level = self.known[code]
            found[code] = level and {available = level.available}
        end
        each(found, codes, self.world.now_ms)
        return true
    end
    local ok, err = pcall(self.world.with, self.world, fn)
    khaos_stock.list_since, levels.read, levels.details = kept.list, kept.read, kept.details
    assert(ok, err)
end

function Scene:tick()
    self.world.now_ms = self.world.now_ms + 10000
    local job = {settings = self.settings, note = function(_, _, text)
        table.insert(self.notes, text)
    end}
    return pcall(full.run, job)
end

local function state()
    return store.get(tables.STATE, "full")
end

return function(t)
    t.case("so many codes a tick, in order, and then nothing until it is due again", function()
        local s = scene({"D", "A", "C", "B", "E", "G", "F"})
        s:play(function()
            assert(s:tick())
            t.equal({s.read, state().is_under_way, state().listed}, {{"A", "B", "C"}, true, 7})
            for _ = 1, 5 do
                assert(s:tick())
            end
            t.equal({s.read, s.lists, state().is_under_way}, {{"A", "B", "C", "D", "E", "F", "G"},
                1, nil})
            s.world.now_ms = s.world.now_ms + DAY_MS
            assert(s:tick())
            t.equal({#s.read, s.lists}, {10, 2})
        end)
    end)
    t.case("what a poll has read meanwhile is not read again", function()
        local s = scene({"A", "B", "C", "D"})
        s:play(function()
            assert(s:tick())
            store.put(tables.ITEMS, "D", {code = "D", read_ms = s.world.now_ms, sites = {}})
            assert(s:tick())
            t.equal(s.read, {"A", "B", "C"})
        end)
    end)
    t.case("Khaos goes away in the middle: it goes on where it was", function()
        local s = scene({"A", "B", "C", "D", "E"})
        s:play(function()
            assert(s:tick())
            s.is_down = true
            assert(not s:tick())
            s.is_down = false
            assert(s:tick())
            t.equal({s.read, s.lists, state().is_under_way}, {{"A", "B", "C", "D", "E"}, 1, nil})
        end)
    end)
    t.case("what is listed no more is asked for: gone from Khaos it shows none", function()
        local s = scene({"A", "B", "C"})
        s:play(function()
            assert(s:tick())
            assert(s:tick())
            s.codes, s.known.B = {"A"}, nil
            s.world.now_ms = s.world.now_ms + DAY_MS
            assert(s:tick())
            t.equal({store.get(tables.ITEMS, "A").is_hidden, store.get(tables.ITEMS, "B").is_hidden,
                store.get(tables.ITEMS, "C").is_hidden}, {nil, true, nil})
            assert(store.get(tables.URGENT, "B"), "a code that is gone is told first")
        end)
    end)
    t.case("a figure needs every site, and a site that is named no more does not count", function()
        local s = scene({"A"})
        s.settings.sites = {1, 2}
        s:play(function()
            s.is_down_at = 2
            assert(not s:tick())
            t.equal({store.get(tables.ITEMS, "A").read_ms, store.get(tables.DIRTY, "A")}, {})
            s.is_down_at = nil
            assert(s:tick())
            t.equal(store.get(tables.ITEMS, "A").available, 10)
            s.settings.sites = {1}
            s.world.now_ms = s.world.now_ms + DAY_MS
            assert(s:tick())
            local item = store.get(tables.ITEMS, "A")
            t.equal({item.available, item.read_ms}, {5, s.world.now_ms})
        end)
    end)
    t.case("an empty list is not believed", function()
        local s = scene({"A", "B"})
        s:play(function()
            assert(s:tick())
            s.codes, s.read = {}, {}
            s.world.now_ms = s.world.now_ms + DAY_MS
            assert(s:tick())
            t.equal(s.read, {"A", "B"})
        end)
    end)
end
