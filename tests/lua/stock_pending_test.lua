--- What orders take of the stock: kept for each code only once somebody reads stock.
local fake_job = require("fake_job")
local stock_pending = require("flows.stock_pending")

local NOW_MS = 1777888980000

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

return function(t)
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
            t.equal({stock_pending.is_taken_since("A", NOW_MS - 1),
                stock_pending.is_taken_since("A", NOW_MS),
                stock_pending.is_taken_since("A", NOW_MS + 1),
                stock_pending.is_taken_since("C", 0)}, {true, true, false, false})
            t.equal(#store.range(stock_pending.REREAD, {}), 2)
        end)
    end)
    t.case("so does an open one; our clock may be an hour slow", function()
        alone(function(store)
            stock_pending.begin()
            stock_pending.open("order:1", {units = {A = 2}, accepted_ms = NOW_MS})
            t.equal({stock_pending.is_taken_since("A", NOW_MS),
                stock_pending.is_taken_since("A", NOW_MS + 1)}, {true, false})
            store.put("stock_watermark", "state", {skew_ms = -3600000})
            stock_pending.open("order:2", {units = {B = 1}, accepted_ms = NOW_MS})
            t.equal({stock_pending.is_taken_since("B", NOW_MS + 3600000),
                stock_pending.is_taken_since("B", NOW_MS + 3600001)}, {true, false})
        end)
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
    t.case("an index that was interrupted is made whole", function()
        alone(function(store)
            stock_pending.open("order:1", {units = {A = 2}})
            store.put("stock_state", "index", {is_complete = false})
            stock_pending.begin()
            t.equal(sum("A"), 2)
        end)
    end)
end
