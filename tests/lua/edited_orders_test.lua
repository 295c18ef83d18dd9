-- neap-test-root: examples/sandbox/khaos examples/demo
--- Sales orders that somebody edits in Khaos after they were read back, against the simulated
--- Khaos: the status feed tells their totals, a wrong one is shown to a person, a right one is not.
local khaos_sandbox = require("khaos_sandbox") -- first: it makes the modules a runner lacks
local classify = require("reports.reconcile.classify")
local codes = require("flows.khaos_codes")
local despatch = require("flows.despatch")
local differing = require("flows.order_stages.differing")
local erp_orders = require("erp.orders")
local json = require("neap.json")
local order_units = require("flows.order_units")
local order_view = require("reports.reconcile.order_view")
local orders = require("flows.orders")
local schema = require("lib.schema")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local unit_book = require("flows.unit_book")
local unit_events = require("flows.unit_stages.events")

local KEY, REFERENCE = "order:fo:204417", "SC204417"
local SOCK, JACKET = "FO-SCK-0007-L", "FO-JKT-1042-M"
local SOCK_1 = "7300101"

local function with_defaults(flow, given)
    local ok, messages = schema.check(flow.schema, given, "settings")
    assert(ok, json.encode(messages or {}))
    return schema.with_defaults(flow.schema, given)
end

local function settings()
    local given = {merchant_key = "fellside", mappings = {},
        khaos = {add_ons = {"amend_order"}},
        shops = {{shop_key = "fo", country = "GB", shop_country_id = "1412"}}}
    for _, name in ipairs({"companies", "tax", "shipping", "payments", "promotions"}) do
        given.mappings[name] = require("mappings." .. name)
    end
    return with_defaults(orders, given)
end

local function play(s, flow, event, given)
    s.events = s.events + 1
    event.source, event.id, event.received_ms = "test", tostring(s.events), s.world.now_ms
    s.world.now_ms = s.world.now_ms + 1000
    local ended = s.world:play(flow, {event = event, settings = given, live_from_ms = 1})
    assert(ended.done, tostring(ended.error) .. json.encode({ended.held or {}, ended.waits or {}}))
end

-- A posted order of two socks and a jacket, read back.
local function scene(t)
    local s = {settings = settings(), events = 0,
        order = json.decode(t.read_file("examples/demo/cases/orders/order-01-plain-gb.json"))}
    s.despatch = with_defaults(despatch, {merchant_key = "fellside",
        carriers = {DPD = "DPD_UK"}})
    s.world, s.khaos = khaos_sandbox.world({paid_add_ons = true}, function(request)
        if request.method == "PUT" then
            s.order.referenceKey = json.decode(request.body).referenceKey
        end
        return {status = 200, headers = {}, body = json.encode(s.order), elapsed_ms = 1}
    end)
    s.world:with(function()
        codes.put({[SOCK] = {last_updated = ""}, [JACKET] = {last_updated = ""},
            ROUNDING = {last_updated = ""}})
    end)
    local payload = '{"orderId":204417,"shopId":1412,"shopKey":"fo","countryCode":"GB"}'
    s.world:call(orders, "delegation", {body = payload}, s.settings)
    play(s, orders, {name = "order.delegated", key = KEY, payload = payload}, s.settings)
    return s
end

local function in_khaos(s)
    local w = s.khaos.world()
    return w, erp_orders.get(w, erp_orders.codes_of(w, REFERENCE)[1])
end

local function edit(s, code, price)
    local w, order = in_khaos(s)
    assert(erp_orders.reprice(w, order, code, price))
end

local function poll(s)
    play(s, despatch, {name = "schedule.poll", key = "poll", payload = "{}"}, s.despatch)
end

-- The tick of the orders flow's sweep that reads suspected orders again.
local function read_again(s)
    play(s, {run = differing.look_again}, {name = "schedule.sweep", key = "sweep", payload = "{}"},
        s.settings)
end

-- What the feed shows reaches the person who looks after it.
local function pass(s)
    poll(s)
    read_again(s)
end

local function causes(s)
    local list = {}
    for _, entry in pairs(s.world.exceptions) do
        list[#list + 1] = entry.cause
    end
    return list
end

local function classes(s)
    local list = {}
    s.world:with(function()
        for _, found in ipairs(classify.order(order_view.of(KEY, support.record(KEY),
            s.world.now_ms))) do
            list[#list + 1] = found.class
        end
    end)
    return list
end

local function reads(s)
    local count = 0
    for _, request in ipairs(s.world.requests) do
        local is_read = (request.headers and request.headers.SOAPAction or "")
            :find("ExportOrderStatusEx", 1, true) ~= nil
        count = count + (is_read and 1 or 0)
    end
    return count
end

local function price_of(s, code)
    local _, order = in_khaos(s)
    for _, line in ipairs(order.lines) do
        if line.stock_code == code then
            return line.price
        end
    end
end

local function of_prices(t)
    t.case("a price edited in Khaos after the posting is told, and differs in reconcile", function()
        local s = scene(t)
        pass(s)
        t.equal({causes(s), classes(s)}, {{}, {}})
        edit(s, JACKET, "99.00")
        pass(s)
        t.equal({causes(s), classes(s)}, {{"posted_total_differs"}, {"posted_total_differs"}})
        t.equal(s.world.exceptions[next(s.world.exceptions)].subject, REFERENCE)
    end)
    t.case("it closes by itself when the price is right again", function()
        local s = scene(t)
        local price = price_of(s, JACKET)
        edit(s, JACKET, "99.00")
        pass(s)
        edit(s, JACKET, price)
        read_again(s)
        t.equal({causes(s), classes(s)}, {{}, {}})
        pass(s)
        t.equal({causes(s), classes(s)}, {{}, {}})
    end)
    t.case("an order whose total stands is not read again", function()
        local s = scene(t)
        poll(s)
        local before = reads(s)
        read_again(s)
        t.equal(reads(s), before)
    end)
    t.case("an order that is not read back yet is left to its own job", function()
        local s = scene(t)
        s.world:with(function()
            store.delete("order_history", KEY)
        end)
        edit(s, JACKET, "99.00")
        pass(s)
        t.equal(causes(s), {})
    end)
    t.case("a net that is off within the tolerance is no difference", function()
        local s = scene(t)
        s.settings.net_tolerance_minor = 1
        local w, order = in_khaos(s)
        order.items.net = order.items.net - 1
        erp_orders.save(w, order)
        pass(s)
        t.equal(causes(s), {})
        s.settings.net_tolerance_minor = 0
        w, order = in_khaos(s)
        order.items.net = order.items.net - 1
        erp_orders.save(w, order)
        pass(s)
        t.equal(causes(s), {"posted_total_differs"})
    end)
end

local function cancel_in_scayle(s, id)
    for _, item in ipairs(s.order.items) do
        item.status = tostring(item.id) == id and "cancelled" or item.status
    end
end

local function look(s)
    play(s, orders, unit_events.look("test", "1", KEY), s.settings)
end

local function book_cancels(s, id)
    s.world:with(function()
        order_units.change(KEY, function(book)
            unit_book.apply(book, {kind = "cancel", id = "khaos:cancelled:x", origin = "khaos",
                at_ms = s.world.now_ms, units = {id}})
        end)
    end)
end

local function of_units(t)
    t.case("an order that our own amendment made smaller is no difference", function()
        local s = scene(t)
        cancel_in_scayle(s, SOCK_1)
        look(s)
        pass(s)
        local _, order = in_khaos(s)
        t.equal({order.amended, causes(s), classes(s)}, {1, {}, {}})
    end)
    t.case("nor is it while the amendment is under way", function()
        local s = scene(t)
        cancel_in_scayle(s, SOCK_1)
        local seen
        s.khaos.before = function(request, khaos)
            if (request.headers.SOAPAction or ""):find("AmendOrder", 1, true) then
                s.khaos.before = nil
                local answer = khaos.answer(request)
                pass(s)
                seen = causes(s)
                return answer
            end
        end
        look(s)
        pass(s)
        t.equal({seen, causes(s), classes(s)}, {{}, {}, {}})
    end)
    t.case("units that a person takes off are no difference, before and after the book follows",
        function()
            local s = scene(t)
            local w, order = in_khaos(s)
            erp_orders.take_off(w, order, {{stock_code = SOCK, quantity = 1}})
            pass(s)
            t.equal(causes(s), {})
            book_cancels(s, SOCK_1)
            pass(s)
            t.equal({causes(s), classes(s)}, {{}, {}})
        end)
    t.case("an edited price beside them is", function()
        local s = scene(t)
        local w, order = in_khaos(s)
        erp_orders.take_off(w, order, {{stock_code = SOCK, quantity = 1}})
        edit(s, JACKET, "99.00")
        book_cancels(s, SOCK_1)
        pass(s)
        t.equal({causes(s), classes(s)}, {{"posted_total_differs"}, {"posted_total_differs"}})
    end)
    t.case("an order that is cancelled in Khaos is judged by that", function()
        local s = scene(t)
        edit(s, JACKET, "99.00")
        pass(s)
        local w, order = in_khaos(s)
        erp_orders.cancel(w, order, "by hand")
        pass(s)
        t.equal(causes(s), {})
    end)
end

return function(t)
    of_prices(t)
    of_units(t)
end
