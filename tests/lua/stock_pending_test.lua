--- What orders take of the stock: kept for each code only once somebody reads stock.
local fake_job = require("fake_job")
local figure = require("flows.stock_stages.figure")
local due = require("flows.stock_stages.due")
local tables = require("flows.stock_stages.tables")
local sent = require("flows.stock_stages.sent")
local stock_pending = require("flows.stock_pending")
local watermark = require("flows.stock_stages.watermark")

local NOW_MS = 1777888980000
local SECOND_MS = 1000 -- SCAYLE's time is known to the second

-- Runs it in a world of its own; `store` is that world's.
local function alone(body)
    local world = fake_job.world({http = function() end})
    world:with(function()
        body(world.store)
    end)
end

local function sum(code)
    return stock_pending.sum({code = code}, NOW_MS).quantity
end

-- Keeps what items are made of, as a reading does.
local function made_of(store, kit, components)
    stock_pending.set_components(kit, nil, components)
    store.put("stock_items", kit, {code = kit, components = components})
end

-- What orders take of the code when it was read just now.
local function gone(store, code)
    return stock_pending.sum(store.get("stock_items", code) or {code = code}, NOW_MS).quantity
end

local function kits(t)
    -- Seen before: kits that share a component knew nothing of each other's orders.
    t.case("an order of a kit takes its components from whatever else needs them", function()
        alone(function(store)
            stock_pending.begin()
            made_of(store, "KITA", {C = 1})
            made_of(store, "KITB", {C = 2, D = 1})
            stock_pending.open("order:1", {units = {KITA = 3}, accepted_ms = NOW_MS})
            t.equal({gone(store, "C"), gone(store, "KITA"), gone(store, "KITB"), gone(store, "D")},
                {3, 3, 2, 0})
            stock_pending.open("order:2", {units = {KITB = 1, C = 1}, accepted_ms = NOW_MS})
            t.equal({gone(store, "C"), gone(store, "KITA"), gone(store, "KITB"), gone(store, "D")},
                {6, 6, 3, 1})
        end)
    end)
    t.case("a kit is no more than its components make at all sites together", function()
        alone(function(store)
            made_of(store, "KIT", {C = 2, D = 1})
            store.put("stock_items", "C", {code = "C", available = 5})
            store.put("stock_items", "D", {code = "D", available = -1})
            local kit = store.get("stock_items", "KIT")
            t.equal(stock_pending.sum(kit, NOW_MS).limit, 0)
            store.put("stock_items", "D", {code = "D", is_uncontrolled = true})
            t.equal(stock_pending.sum(kit, NOW_MS).limit, 2)
            kit.potential, kit.sites = 4, {["1"] = {}}
            t.equal(figure.of(kit, {quantity = 1, limit = 2}, {from = {}}, NOW_MS).text,
                "2 can be made - 1 not yet in Khaos = 1")
        end)
    end)
    t.case("kits in kits take what the inner ones are made of", function()
        alone(function(store)
            stock_pending.begin()
            made_of(store, "OUTER", {INNER = 2})
            made_of(store, "INNER", {C = 1})
            made_of(store, "RING1", {RING2 = 1})
            made_of(store, "RING2", {RING1 = 1})
            stock_pending.open("order:1", {units = {OUTER = 2, RING1 = 1}, accepted_ms = NOW_MS})
            t.equal({gone(store, "C"), gone(store, "INNER"), gone(store, "OUTER")}, {4, 4, 2})
            t.equal(gone(store, "RING2") > 0, true)
            stock_pending.open("order:2", {units = {C = 1}, accepted_ms = NOW_MS})
            t.equal({gone(store, "INNER"), gone(store, "OUTER")}, {5, 3})
        end)
    end)
    t.case("all that shares a component is looked at again", function()
        alone(function(store)
            made_of(store, "KITA", {C = 1})
            made_of(store, "KITB", {C = 2, D = 1})
            made_of(store, "OUTER", {KITB = 1})
            local function names(code)
                local list = {}
                for name in pairs(stock_pending.related({[code] = true})) do
                    list[#list + 1] = name
                end
                table.sort(list)
                return table.concat(list, " ")
            end
            t.equal({names("KITA"), names("D"), names("X")},
                {"C KITA KITB OUTER", "D KITB OUTER", "X"})
        end)
    end)
end

local SETTINGS = {order_lag_ms = 90000, away_after_ms = 30000}

local function stamp()
    return (NOW_MS - watermark.stamp(NOW_MS, NOW_MS, SETTINGS)) // 1000 -- seconds ago
end

local function stamps(t)
    -- Seen before: the stamps of figures passed orders of which nobody had said what they take.
    t.case("no stamp passes an order whose units are not known", function()
        alone(function(store)
            store.put("stock_watermark", "state", {alive_ms = NOW_MS, back_ms = NOW_MS,
                skew_ms = 0})
            stock_pending.open("order:1", {order_id = "1", accepted_ms = NOW_MS,
                confirmed_ms = NOW_MS - 300000})
            stock_pending.open("order:2", {order_id = "2", accepted_ms = NOW_MS - 500000})
            t.equal({stamp(), watermark.held_by().order_id}, {591, "2"})
            stock_pending.learn("order:2", {A = 1})
            t.equal({stamp(), watermark.held_by().order_id}, {391, "1"})
            stock_pending.drop("order:1", NOW_MS)
            t.equal({stamp(), watermark.held_by() or "none"}, {91, "none"})
        end)
    end)
    -- Nothing is sold of nothing, whatever SCAYLE releases by a later stamp.
    t.case("a drop to zero is not kept back by a held stamp, one to less is", function()
        for left, count in pairs({[0] = 1, [3] = 0}) do
            alone(function(store)
                local given = {order_lag_ms = 90000, away_after_ms = 30000, policy = {},
                    warehouse = "w", merchant_key = "m"}
                store.put("stock_watermark", "state", {alive_ms = NOW_MS, back_ms = NOW_MS - 1,
                    skew_ms = 0})
                stock_pending.begin()
                local item = {code = "TEE", sites = {["1"] = {available = 5, read_ms = NOW_MS}}}
                tables.keep("TEE", item, NOW_MS)
                local first = due.find(given, NOW_MS, 10)[1]
                store.put(tables.SENT, "TEE", {quantity = 5, stamp_ms = first.stamp_ms,
                    state = "set", at_ms = NOW_MS})
                stock_pending.open("order:1", {order_id = "1", accepted_ms = NOW_MS,
                    confirmed_ms = NOW_MS - 300000})
                item.sites["1"] = {available = left, read_ms = NOW_MS + 1}
                tables.keep("TEE", item, NOW_MS + 1)
                local list = due.find(given, NOW_MS + 1, 10)
                t.equal(#list, count)
                t.equal(#list == 0 or list[1].stamp_ms > first.stamp_ms, true)
            end)
        end
    end)
    -- Seen before: a code that is bought all day was shown as hours late, though its figure went
    -- out every time.
    t.case("a figure that is due again is as late as the one that SCAYLE has", function()
        alone(function(store)
            stock_pending.begin()
            local item = {code = "TEE", sites = {["1"] = {available = 5, read_ms = NOW_MS}}}
            tables.keep("TEE", item, NOW_MS)
            stock_pending.open("order:1", {order_id = "1", units = {TEE = 1},
                accepted_ms = NOW_MS + 60000})
            local entry = {sku = "TEE", quantity = 4, stamp_ms = NOW_MS, text = "", terms = {},
                read_ms = NOW_MS}
            sent.write_down({entry}, NOW_MS + 70000)
            t.equal(store.get(tables.DIRTY, "TEE"), {since_ms = NOW_MS})
            sent.settle({settings = SETTINGS}, entry, "ignored")
            t.equal(store.get(tables.DIRTY, "TEE"), {since_ms = NOW_MS})
            sent.settle({settings = SETTINGS}, entry, "set")
            t.equal(store.get(tables.DIRTY, "TEE"), {since_ms = NOW_MS + 70000})
        end)
    end)
    t.case("after an absence the watermark follows the sweeps", function()
        alone(function(store)
            store.put("stock_watermark", "state", {alive_ms = NOW_MS - 3600000,
                back_ms = NOW_MS - 7200000, skew_ms = 0})
            watermark.beat(NOW_MS - 1, SETTINGS, true)
            t.equal(stamp(), 3691)
            store.put("order_watermark", "sweep", {completed_ms = NOW_MS - 600000})
            watermark.beat(NOW_MS, SETTINGS, false)
            t.equal(stamp(), 691)
            store.put("order_watermark", "sweep", {completed_ms = NOW_MS + 1})
            watermark.beat(NOW_MS, SETTINGS, false)
            t.equal(stamp(), 91)
        end)
    end)
    -- Seen before: the sweep that was awaited found what had been confirmed in the absence, and so
    -- did not count.
    t.case("only what was confirmed after an absence asks for a further sweep", function()
        for confirmed_ms, is_over in pairs({[NOW_MS - 700000] = true, [NOW_MS - 500000] = false}) do
            alone(function(store)
                store.put("stock_watermark", "state", {alive_ms = NOW_MS - 1000,
                    frozen_ms = NOW_MS - 900000, back_ms = NOW_MS - 600000, skew_ms = 0})
                store.put("order_watermark", "late", {at_ms = NOW_MS - 400000,
                    confirmed_ms = confirmed_ms})
                store.put("order_watermark", "sweep", {completed_ms = NOW_MS - 550000})
                watermark.beat(NOW_MS, SETTINGS, false)
                t.equal({stamp() == 91, watermark.awaits_sweep(NOW_MS)}, {is_over, not is_over})
            end)
        end
    end)
    t.case("an order found late keeps the stamps until a sweep begun since", function()
        alone(function(store)
            store.put("stock_watermark", "state", {alive_ms = NOW_MS - 1000,
                back_ms = NOW_MS - 6000000, skew_ms = 0})
            store.put("order_watermark", "late", {at_ms = NOW_MS - 1000,
                confirmed_ms = NOW_MS - 7000000})
            watermark.beat(NOW_MS, SETTINGS, false)
            t.equal({stamp(), watermark.awaits_sweep(NOW_MS)}, {92, true})
            store.put("order_watermark", "sweep", {completed_ms = NOW_MS + 1})
            watermark.beat(NOW_MS, SETTINGS, false)
            t.equal({stamp(), watermark.awaits_sweep(NOW_MS)}, {91, false})
        end)
    end)
    t.case("no stock flow that was heard of lately waits for a sweep", function()
        alone(function(store)
            t.equal(watermark.awaits_sweep(NOW_MS), false)
            store.put("stock_watermark", "state", {alive_ms = NOW_MS - 3600000, frozen_ms = 1,
                back_ms = 0})
            t.equal({watermark.awaits_sweep(NOW_MS - 1), watermark.awaits_sweep(NOW_MS)},
                {true, false})
        end)
    end)
end

return function(t)
    stamps(t)
    t.case("orders that were open before the first reading count from it on", function()
        alone(function(store)
            stock_pending.open("order:1", {units = {A = 2, B = 1}})
            stock_pending.open("order:2", {order_id = "2"})
            stock_pending.add("order:2", {A = 1})
            t.equal(store.range("stock_pending_sku", {}), {})
            stock_pending.begin()
            t.equal({sum("A"), sum("B")}, {3, 1})
            stock_pending.open("order:3", {units = {A = 5}})
            stock_pending.add("order:1", {A = 1})
            t.equal({sum("A"), sum("B")}, {7, 0})
        end)
    end)
    t.case("an order that was posted before anybody read stock leaves nothing", function()
        alone(function(store)
            stock_pending.open("order:1", {units = {A = 2}})
            stock_pending.posted("order:1", NOW_MS)
            stock_pending.open("order:2", {units = {A = 2}})
            stock_pending.drop("order:2", NOW_MS)
            stock_pending.begin()
            t.equal({sum("A"), #store.range("stock_pending", {}), #store.range("orders_open", {}),
                #store.range(stock_pending.REREAD, {})}, {0, 0, 0, 0})
        end)
    end)
    t.case("a posted order counts until a reading that began later", function()
        alone(function()
            stock_pending.begin()
            stock_pending.open("order:1", {units = {A = 2}})
            stock_pending.posted("order:1", NOW_MS)
            stock_pending.add("order:1", {A = 9}) -- told again: it stays as it is
            stock_pending.settle(NOW_MS)
            t.equal(sum("A"), 2)
            stock_pending.settle(NOW_MS + 1)
            t.equal(sum("A"), 0)
        end)
    end)
    t.case("a posted order takes its codes until a figure that is stamped later", function()
        alone(function(store)
            stock_pending.open("order:0", {units = {A = 1}})
            stock_pending.posted("order:0", NOW_MS - 5000) -- nobody reads stock yet
            t.equal(stock_pending.is_taken_since("A", 0), false)
            stock_pending.begin()
            stock_pending.open("order:1", {units = {A = 2, B = 1}})
            stock_pending.posted("order:1", NOW_MS)
            t.equal({stock_pending.is_taken_since("A", NOW_MS + SECOND_MS - 1),
                stock_pending.is_taken_since("A", NOW_MS + SECOND_MS),
                stock_pending.is_taken_since("A", NOW_MS + SECOND_MS + 1),
                stock_pending.is_taken_since("C", 0)}, {true, true, false, false})
            t.equal(#store.range(stock_pending.REREAD, {}), 2)
        end)
    end)
    t.case("so does an open one; our clock may be an hour slow", function()
        alone(function(store)
            stock_pending.begin()
            stock_pending.open("order:1", {units = {A = 2}, accepted_ms = NOW_MS})
            t.equal({stock_pending.is_taken_since("A", NOW_MS + SECOND_MS),
                stock_pending.is_taken_since("A", NOW_MS + SECOND_MS + 1)}, {true, false})
            store.put("stock_watermark", "state", {skew_ms = -3600000})
            stock_pending.open("order:2", {units = {B = 1}, accepted_ms = NOW_MS})
            t.equal({stock_pending.is_taken_since("B", NOW_MS + 3601000),
                stock_pending.is_taken_since("B", NOW_MS + 3601001)}, {true, false})
        end)
    end)
    -- Seen before: a clock that jumped back by an hour just before an order came let an older
    -- figure count as one that gives its units back, and the shop showed too few for ever.
    t.case("and may have jumped since SCAYLE told its time: what that says counts", function()
        for ahead_ms, until_ms in pairs({[3600000] = 3601000, [-5000] = 1000,
            [48 * 3600000] = 1000}) do -- nobody's hour is two days ahead
            alone(function()
                stock_pending.begin()
                stock_pending.open("order:1", {units = {A = 2}, accepted_ms = NOW_MS,
                    confirmed_ms = NOW_MS + ahead_ms})
                t.equal({stock_pending.is_taken_since("A", NOW_MS + until_ms),
                    stock_pending.is_taken_since("A", NOW_MS + until_ms + 1)}, {true, false})
            end)
        end
    end)
    -- The index is made over several slices; orders go on meanwhile.
    t.case("an order that is posted while the index is made counts as posted", function()
        alone(function(store)
            stock_pending.open("order:1", {units = {A = 2}})
            stock_pending.open("order:2", {units = {A = 1}})
            local range = store.range
            local shared = require("neap.store")
            shared.range = function(name, options)
                local page = range(name, options)
                if name == "orders_open" then
                    stock_pending.posted("order:2", NOW_MS)
                    stock_pending.open("order:3", {units = {A = 4}})
                end
                return page
            end
            stock_pending.begin()
            shared.range = range
            t.equal(sum("A"), 7)
            stock_pending.settle(NOW_MS + 1)
            t.equal(sum("A"), 6)
        end)
    end)
    -- Seen before: what was left of an amended order stayed subtracted twice until Khaos moved it.
    t.case("an amendment that is over has all codes of the order read again", function()
        for _, name in ipairs({"amended", "not_amended"}) do
            alone(function(store)
                stock_pending.begin()
                stock_pending.open("order:1", {units = {A = 1, B = 1}, accepted_ms = NOW_MS})
                stock_pending.posted("order:1", NOW_MS)
                stock_pending.settle(NOW_MS + 1)
                stock_pending.amending("order:1", {B = 1})
                store.delete(stock_pending.REREAD, "A")
                store.delete(stock_pending.REREAD, "B")
                t.equal(sum("B"), 1)
                if name == "amended" then
                    stock_pending.amended("order:1", {A = true}, NOW_MS + 5)
                    t.equal(store.get(stock_pending.REREAD, "A"), {since_ms = NOW_MS + 5})
                else
                    stock_pending.not_amended("order:1", NOW_MS + 5)
                end
                t.equal(store.get(stock_pending.REREAD, "B"), {since_ms = NOW_MS + 5})
            end)
        end
    end)
    t.case("an index that was interrupted is made whole", function()
        alone(function(store)
            stock_pending.open("order:1", {units = {A = 2}})
            store.put("stock_state", "index", {is_complete = false})
            stock_pending.begin()
            t.equal(sum("A"), 2)
        end)
    end)
    kits(t)
end
