-- What Khaos Control Cloud pushes of its stock, kept: codes by their ids, levels of served sites,
-- repeats that change nothing.
local codes = require("flows.khaos_codes")
local fake_job = require("fake_job")
local figure = require("flows.stock_stages.figure")
local json = require("neap.json")
local poll_cloud = require("flows.stock_stages.poll_cloud")
local pushes = require("flows.cloud_stages.pushes")
local slices = require("slices")
local stock_pending = require("flows.stock_pending")
local store = require("neap.store")

local CTX = {settings = {khaos = {push_age_ms = 60000, despatch_flow = "despatch"}, sites = {1, 2},
    kits = {BOX = {TEE = 2}}, buffer_field = "Web Buffer", orders_flow = "orders"}}

local function item(id, code, more)
    local made = {StockID = id, StockCode = code, Options = {Discontinued = false,
        PublishOnWeb = true}}
    for name, value in pairs(more or {}) do
        made[name] = value
    end
    return made
end

local function upload(items, deleted)
    return pushes.stock(CTX, {body = json.encode({Items = json.array(items),
        Deleted = json.array(deleted or {})})})
end

local function levels(list)
    return pushes.stock_status(CTX, {body = json.encode({Statuses = json.array(list)})})
end

local function level(code, site, available, id)
    return {StockCode = code, StockID = id or "1", SiteID = site, Levels = {Available = available}}
end

-- {whether an order may name it, whether it is hidden, what it has, whether the shop will hear}
local function sold(code)
    local kept = store.get("stock_items", code) or {}
    return {codes.has(code), kept.is_hidden or false, kept.available or "no level",
        store.get("stock_dirty", code) ~= nil}
end

local function in_world(fn)
    local world = fake_job.world({http = function() end})
    world:with(function()
        fn(world)
    end)
end

local function code_tests(t)
    t.case("pushed codes can be ordered, discontinued and deleted ones cannot", function()
        in_world(function()
            upload({item("1", "TEE"), item("2", "OLD", {Options = {Discontinued = true}})})
            t.equal({codes.has("TEE"), codes.has("OLD")}, {true, false})
            upload({}, {"1", "77"})
            t.equal(codes.has("TEE"), false)
        end)
    end)
    t.case("a code that was renamed is known by its new name only", function()
        in_world(function()
            upload({item("1", "TEE")})
            upload({item("1", "TEE-NEW")})
            t.equal({codes.has("TEE"), codes.has("TEE-NEW")}, {false, true})
        end)
    end)
    t.case("nothing is sold any more under the old code of a renamed item, or a deleted one's",
        function()
            in_world(function()
                levels({level("TEE", 1, 5), level("HAT", 1, 6, "2")})
                upload({item("1", "TEE"), item("2", "HAT")})
                store.delete("stock_dirty", "TEE")
                store.delete("stock_dirty", "HAT")
                upload({item("1", "TEE-NEW")}, {"2"})
                t.equal(sold("TEE"), {false, true, 0, true})
                t.equal(sold("HAT"), {false, true, 0, true})
                t.equal(sold("TEE-NEW"), {true, false, "no level", false})
                upload({item("1", "TEE")})
                t.equal(sold("TEE"), {true, false, 0, true}, "an old level is not believed")
                levels({level("TEE", 1, 7)})
                t.equal(sold("TEE"), {true, false, 7, true})
            end)
        end)
    -- Seen: the rename came after the reuse, and took the code from the item that has it now.
    for _, order in ipairs({{1, 2}, {2, 1}}) do
        t.case("a code that another item has now stays known, with its own level: rename is number "
            .. order[1], function()
            in_world(function()
                levels({level("TEE", 1, 5)})
                upload({item("1", "TEE")})
                local pushed = {item("1", "TEE-OLD"), item("2", "TEE")}
                upload({pushed[order[1]], pushed[order[2]]})
                t.equal(sold("TEE"), {true, false, 0, true})
                t.equal(sold("TEE-OLD"), {true, false, "no level", false})
                levels({level("TEE", 1, 9, "2"), level("TEE-OLD", 1, 4, "1")})
                t.equal({sold("TEE")[3], sold("TEE-OLD")[3]}, {9, 4})
                upload({}, {"1"})
                t.equal({sold("TEE")[1], sold("TEE-OLD")[1]}, {true, false})
            end)
        end)
        t.case("a level that came before its item's new code is kept: rename is number "
            .. order[1], function()
            in_world(function()
                levels({level("TEE", 1, 5)})
                upload({item("1", "TEE")})
                levels({level("TEE", 1, 9, "2")})
                local pushed = {item("1", "TEE-OLD"), item("2", "TEE")}
                upload({pushed[order[1]], pushed[order[2]]})
                t.equal(sold("TEE"), {true, false, 9, true})
            end)
        end)
    end
    t.case("an upload wakes what waits for its codes, one of deletions only does not", function()
        in_world(function()
            t.equal(upload({item("1", "TEE")}).events[1].name, "stock.pushed")
            t.equal(upload({}, {"1"}).events, nil)
        end)
    end)
end

local function level_tests(t)
    t.case("levels of the served sites are summed, others are not looked at", function()
        in_world(function()
            levels({level("TEE", 1, 5), level("TEE", 2, 3), level("TEE", 9, 100)})
            t.equal(store.get("stock_items", "TEE").available, 8)
        end)
    end)
    -- Seen: 3, what the second site makes, instead of 8.
    t.case("a site that makes an item and one that has it are summed", function()
        in_world(function()
            local made = level("BOX", 2, 0)
            made.Levels, made.RelationshipPotential = nil, {FromChildren = 3}
            local function shown()
                local kept = store.get("stock_items", "BOX")
                return figure.of(kept, {quantity = 0, orders = 0},
                    figure.policy({}, kept)).sellable
            end
            levels({level("BOX", 1, 5), made})
            t.equal(shown(), 8)
            levels({level("BOX", 1, -1)})
            t.equal(shown(), 2)
        end)
    end)
    t.case("a repeat changes nothing, a newer level replaces the older one", function()
        in_world(function(world)
            levels({level("TEE", 1, 5)})
            local first = store.get("stock_items", "TEE")
            levels({level("TEE", 1, 5)})
            t.equal(store.get("stock_items", "TEE"), first)
            world.now_ms = world.now_ms + 1000
            levels({level("TEE", 1, -2)})
            t.equal(store.get("stock_items", "TEE").available, -2)
            t.equal(store.get("stock_items", "TEE").read_ms, first.read_ms + 1000)
        end)
    end)
    t.case("a level is kept when its item's details come later", function()
        in_world(function()
            levels({level("TEE", 1, 5)})
            upload({item("1", "TEE", {UserDefinedFields = json.array({{Name = "Web Buffer",
                Value = 4}})})})
            local kept = store.get("stock_items", "TEE")
            t.equal({kept.available, kept.buffer}, {5, 4})
        end)
    end)
    t.case("a level that is pushed while the poll confirms older ones is kept", function()
        in_world(function(world)
            levels({level("TEE", 1, 5)})
            for _ = 1, 5 do
                world.now_ms = world.now_ms + 50000
                levels({level("HAT", 1, 1, "2")})
            end
            store.put(stock_pending.REREAD, "TEE", {since_ms = 1})
            local related = stock_pending.related
            stock_pending.related = function(wanted) -- without a look at the items
                return wanted
            end
            local take_back = slices.cut("stock_items", function()
                levels({level("TEE", 1, 3)})
            end)
            poll_cloud.run({settings = CTX.settings})
            take_back()
            stock_pending.related = related
            t.equal(store.get("stock_items", "TEE").available, 3)
        end)
    end)
    t.case("what a kit is made of is the client's word", function()
        in_world(function()
            upload({item("3", "BOX")})
            t.equal(store.get("stock_items", "BOX").components, {TEE = 2})
        end)
    end)
end

return function(t)
    code_tests(t)
    level_tests(t)
    t.case("price lists replace the bands of a code, not of others", function()
        in_world(function(world)
            local function push(code, price)
                pushes.price_lists(CTX, {body = json.encode({UploadPriceLists = json.array({{
                    PriceListID = "41", PriceListName = "Trade", StockPrices = json.array({{
                        StockCode = code, QtyStart = 1, QtyEnd = 9, PriceValue = price}})}})})})
            end
            push("TEE", 12.5)
            push("HAT", 3)
            world.now_ms = world.now_ms + 1000
            push("TEE", 11)
            t.equal(store.get("cloud_prices", "41\nTEE").bands[1].price, 11)
            t.equal(store.get("cloud_prices", "41\nHAT").bands[1].price, 3)
            t.equal({store.get("cloud_prices", "41\nHAT").pushed_ms,
                store.get("cloud_price_lists", "41").pushed_ms},
                {world.now_ms - 1000, world.now_ms})
        end)
    end)
end
