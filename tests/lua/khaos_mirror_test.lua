-- neap-test-root: examples/sandbox/khaos
--- The mirror of Khaos's stock codes: delta, full comparison, near misses, proof.
local khaos_sandbox = require("khaos_sandbox") -- first: it makes the modules a runner lacks
local codes = require("flows.khaos_codes")
local flow = require("flows.khaos_mirror")
local schema = require("lib.schema")

local HOUR_MS = 3600000

local function settings(more)
    assert(schema.check(flow.schema, more or {}, "settings"))
    return schema.with_defaults(flow.schema, more or {})
end

local function refresh(world, more)
    local ended = world:play(flow, {event = {name = "schedule.refresh",
        key = "schedule:khaos_mirror.refresh", source = "schedule", id = "1", payload = ""},
        settings = settings(more)})
    assert(ended.done, tostring(ended.error))
end

local function has(world, code)
    return world:with(function()
        return codes.has(code)
    end)
end

local function near(world, code)
    return world:with(function()
        return codes.near(code)
    end)
end

local function filling(t)
    t.case("the first run reads the whole list, the next ones what changed", function()
        local world, khaos = khaos_sandbox.world()
        refresh(world)
        t.equal({has(world, "FO-SCK-0007-L"), has(world, "fo-sck-0007-l"), has(world, "FO-NOPE")},
            {true, false, false})
        local first = #world.requests
        world.now_ms = world.now_ms + 10 * HOUR_MS
        refresh(world)
        t.equal(#world.requests - first, 2)
        khaos.change_stock({code = "FO-NEW", level = 3})
        world.now_ms = world.now_ms + 60000
        refresh(world)
        t.equal(has(world, "FO-NEW"), true)
    end)
    t.case("asks again by an overlap, in the server's local time", function()
        local world = khaos_sandbox.world()
        refresh(world)
        refresh(world)
        local asked = world:sent("GetStockList")
        t.matches(asked[1].body, "1899%-12%-30T00:00:00")
        -- 10:03 UTC is 11:03 in London; 90 minutes before is 09:33.
        t.matches(asked[2].body, "2026%-05%-04T09:33:00")
    end)
end

local function details(t)
    t.case("a changed code is looked at: a discontinued one is not for orders", function()
        local world, khaos = khaos_sandbox.world()
        refresh(world)
        world.now_ms = world.now_ms + 60000
        khaos.change_stock({code = "FO-SCK-0007-L", discontinued = true})
        refresh(world)
        t.equal(has(world, "FO-SCK-0007-L"), false)
        world.now_ms = world.now_ms + 60000
        khaos.change_stock({code = "FO-SCK-0007-L", discontinued = false})
        refresh(world)
        t.equal(has(world, "FO-SCK-0007-L"), true)
    end)
    t.case("a full comparison forgets what Khaos does not list any more", function()
        local world = khaos_sandbox.world()
        refresh(world)
        world:with(function()
            codes.put({["FO-GONE"] = {}})
        end)
        refresh(world)
        t.equal(has(world, "FO-GONE"), true)
        world.now_ms = world.now_ms + 25 * HOUR_MS
        refresh(world)
        t.equal({has(world, "FO-GONE"), near(world, "fo-gone")}, {false, {}})
    end)
end

local function matching(t)
    t.case("near misses differ in case, spaces and separators only", function()
        local world = khaos_sandbox.world()
        world:with(function()
            codes.put({["TS-RED-L"] = {}, ["TSREDL"] = {}})
        end)
        t.equal(near(world, "ts red l"), {"TS-RED-L", "TSREDL"})
        t.equal(near(world, "TS-RED-L"), {"TSREDL"})
        t.equal(near(world, "TS-RED-XL"), {})
    end)
    t.case("codes that no store key can be are unknown, not an error", function()
        local world = khaos_sandbox.world()
        t.equal({has(world, ("x"):rep(500)), has(world, ""), near(world, "---")},
            {false, false, {}})
    end)
    t.case("an exception closes when Khaos lists its code, and no other", function()
        local world, khaos = khaos_sandbox.world()
        for _, code in ipairs({"FO-NEW", "FO-NOPE"}) do
            world.exceptions["unknown_stock_code " .. code] =
                {cause = "unknown_stock_code", subject = code}
        end
        refresh(world)
        t.equal(next(world.closed), nil)
        world.now_ms = world.now_ms + 60000
        khaos.change_stock({code = "FO-NEW", level = 3})
        refresh(world)
        t.matches(world.closed["unknown_stock_code FO-NEW"], "Khaos lists it since 2026")
        t.equal(world.closed["unknown_stock_code FO-NOPE"], nil)
    end)
end

return function(t)
    filling(t)
    details(t)
    matching(t)
end
