-- What the client says of very many items that Khaos Control Cloud pushed: another word of it
-- counts for every figure that leaves, and no run goes through all of them.
local fake_job = require("fake_job")
local http = require("neap.http")
local stock = require("flows.stock")
local stock_pending = require("flows.stock_pending")
local store = require("neap.store")
local tables = require("flows.stock_stages.tables")

local NOW_MS = 1777888980000
local COUNT, PAGE = 12000, 5000

local function code_of(i)
    return string.format("T%05d", i)
end

-- One run of the schedule "send"; SCAYLE cannot be reached.
local function run(sites, kits)
    local job = {flow = "stock", event = {name = "schedule.send"}, note = function() end,
        open_exception = function() end, close_exception = function() end}
    job.settings = {khaos = {kind = "cloud", push_age_ms = 60000}, sites = sites, kits = kits,
        scayle = {connection = "scayle"}, merchant_key = "m", warehouse = "w", zone = "UTC",
        policy = {}, batch = PAGE + 100, at_once = 4, order_lag_ms = 90000, away_after_ms = 30000}
    local ok, err = pcall(stock.run, job)
    assert(ok or type(err) == "table" and err.message == "away", err)
end

local function in_world(fn)
    local world = fake_job.world({http = function() end, now_ms = NOW_MS})
    local kept = http.all
    http.all = function(requests)
        local results = {}
        for i = 1, #requests do
            results[i] = {error = {retryable = true, kind = "network", message = "away"}}
        end
        return results
    end
    local ok, err = pcall(world.with, world, function()
        store.put("stock_watermark", "state", {alive_ms = NOW_MS, back_ms = NOW_MS - 1,
            skew_ms = 0})
        run({1, 2}, {})
        for i = 1, COUNT do
            store.put(tables.ITEMS, code_of(i), {code = code_of(i), read_ms = NOW_MS - 60000,
                available = 45, sites = {["1"] = {available = 5, read_ms = NOW_MS - 60000},
                    ["2"] = {available = 40, read_ms = NOW_MS - 60000}}})
        end
        fn()
    end)
    http.all = kept
    assert(ok, err)
end

local function count_of(available)
    local count = 0
    for i = 1, COUNT do
        count = count + (store.get(tables.ITEMS, code_of(i)).available == available and 1 or 0)
    end
    return count
end

return function(t)
    -- Seen: with 1,000,000 codes the run needed more than its minute, each time.
    t.case("another list of sites goes through all codes a page a run", function()
        in_world(function()
            local counts = {}
            for i = 1, 3 do
                run({1}, {})
                counts[i] = count_of(5)
            end
            t.equal(counts, {PAGE, 2 * PAGE, COUNT})
            run({1, 2}, {})
            for _ = 1, 3 do
                run({1}, {})
            end
            t.equal(count_of(5), COUNT, "changed back before all were gone through")
        end)
    end)
    t.case("no figure leaves by what the client said before", function()
        in_world(function()
            local last = code_of(COUNT)
            stock_pending.begin()
            stock_pending.open("order:1", {units = {BOX = 1}, accepted_ms = NOW_MS})
            tables.mark(last, NOW_MS)
            tables.mark(code_of(COUNT - 1), NOW_MS)
            run({1}, {BOX = {[last] = 2}})
            t.equal({store.get(tables.SENT, last).quantity,
                store.get(tables.SENT, code_of(COUNT - 1)).quantity}, {3, 5})
        end)
    end)
    t.case("a kit is made of what its components have at the sites named now", function()
        in_world(function()
            local kit, part = code_of(COUNT - 1), code_of(COUNT)
            local item = store.get(tables.ITEMS, kit)
            item.sites["1"] = {potential = 30, read_ms = NOW_MS - 60000}
            tables.keep(kit, item, NOW_MS)
            run({1}, {[kit] = {[part] = 2}})
            t.equal(store.get(tables.SENT, kit).quantity, 2)
        end)
    end)
end
