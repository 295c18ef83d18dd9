-- neap-test-root: examples/demo
--- The sweep and the stamps of stock figures: which orders keep them back, until when.
local fake_job = require("fake_job")
local flow = require("flows.orders")
local json = require("neap.json")
local schema = require("lib.schema")

local LIVE_FROM_MS = 1767225600000 -- 2026-01-01
local CONFIRMED_MS = 1777888978000 -- of the orders that SCAYLE lists
local CONFIRMED = "2026-05-04T10:02:58+00:00"

-- Two units of A, one that is cancelled, one of another merchant.
local TWO = {{merchant = {referenceKey = "fellside"}, variant = {referenceKey = "A"}},
    {merchant = {referenceKey = "fellside"}, variant = {referenceKey = "A"}},
    {merchant = {referenceKey = "fellside"}, variant = {referenceKey = "B"}, status = "cancelled"},
    {merchant = {referenceKey = "other"}, variant = {referenceKey = "C"}}}

local function settings()
    local given = {merchant_key = "fellside", mappings = {}, shops = {
        {shop_key = "fo", country = "GB", shop_country_id = "1412"}}}
    for _, name in ipairs({"companies", "tax", "shipping", "payments", "promotions"}) do
        given.mappings[name] = require("mappings." .. name)
    end
    return schema.with_defaults(flow.schema, given)
end

-- SCAYLE answers what `list` says.
local function scene()
    local s = {scayle = {}, settings = settings()}
    s.world = fake_job.world({now_ms = CONFIRMED_MS + 2000, http = function(request)
        return s.scayle.list(request)
    end})
    return s
end

local function page(orders, next)
    return {status = 200, headers = {}, elapsed_ms = 1,
        body = json.encode({entities = json.array(orders), cursor = {next = next}})}
end

local function listed(id, more)
    local order = {id = id, status = "payment_reserved", confirmedAt = CONFIRMED,
        detailedStatus = {order = {code = "order_confirmed"}},
        shopCountry = {id = 1412, shopKey = "fo", countryCode = "GB"},
        items = {{merchant = {referenceKey = "fellside"}}}}
    for name, value in pairs(more or {}) do
        order[name] = value
    end
    return order
end

local function sweep(s)
    return s.world:play(flow, {event = {name = "schedule.sweep", key = "schedule:orders.sweep",
        source = "schedule", id = "1", payload = ""}, settings = s.settings,
        live_from_ms = LIVE_FROM_MS})
end

local function is_done(t, ended)
    t.equal({ended.done or false, tostring(ended.error)}, {true, "nil"})
end

local function webhook(s, id, items, confirmed)
    return s.world:call(flow, "webhook", {body = json.encode({key = "k" .. id,
        type = "order-confirmed", payload = {id = id, items = items,
            shopCountry = {id = 1412, shopKey = "fo", countryCode = "GB"},
            confirmedAt = confirmed or CONFIRMED}})}, s.settings)
end

local function open_entry(s, id)
    return s.world.store.get("orders_open", "order:fo:" .. id)
end

local function holding(s)
    return #s.world.store.range("stock_unknown_orders", {})
end

-- Seen before: an order that held the stamps held them until a sweep of all orders was over, hours
-- in a large shop, however old a webhook claimed it to be.
local function holding_stamps(t)
    local function in_scayle(s, order)
        s.scayle.list = function(request)
            local id = math.tointeger(tonumber(request.path:match("/orders/(%d+)$")))
            if id and not order then
                return {status = 404, headers = {}, body = "{}", elapsed_ms = 1}
            elseif id then
                return {status = 200, headers = {}, elapsed_ms = 1,
                    body = json.encode(listed(id, order))}
            end
            return page({}, "more")
        end
        s.settings.sweep_max_pages = 1
    end
    local cases = {
        {"whose units SCAYLE tells", {items = TWO}, {A = 2}, 0},
        {"that SCAYLE has not got", nil, nil, 0},
        {"that is cancelled in SCAYLE", {status = "cancellation_completed"}, nil, 0},
        {"of which SCAYLE does not say what it takes", {items = json.array({})}, nil, 1},
    }
    for _, case in ipairs(cases) do
        t.case("an order " .. case[1] .. " holds the stamps until the next run", function()
            local s = scene()
            webhook(s, 1)
            in_scayle(s, case[2])
            is_done(t, sweep(s))
            t.equal({holding(s), #s.world:sent("/orders/1")}, {1, 0})
            s.world.now_ms = s.world.now_ms + 90000
            is_done(t, sweep(s))
            t.equal({open_entry(s, 1).units or "none", holding(s)}, {case[3] or "none", case[4]})
        end)
    end
    t.case("an order that cannot be asked for holds the stamps, and nothing else up", function()
        local s = scene()
        webhook(s, 1)
        s.scayle.list = function(request)
            local is_list = request.path:find("/orders$") ~= nil
            return is_list and page({listed(1, {items = json.array({})})})
                or {status = 500, headers = {}, body = "{}", elapsed_ms = 1}
        end
        s.world.now_ms = s.world.now_ms + 90000
        is_done(t, sweep(s))
        t.equal(holding(s), 1)
    end)
    t.case("a webhook of an order from before live_from is remembered by nobody", function()
        local s = scene()
        s.world.live_from_ms = s.world.now_ms
        local reply = webhook(s, 1)
        t.equal({reply.status, #reply.events, holding(s), open_entry(s, 1) or "none"},
            {200, 1, 0, "none"})
    end)
    t.case("an order that claims to be confirmed later than now holds from now", function()
        local s = scene()
        webhook(s, 1, nil, "2036-05-04T10:02:58+00:00")
        local mark = s.world.store.range("stock_unknown_orders", {})[1].key
        t.equal(tonumber(mark:match("^%d+")), s.world.now_ms)
    end)
end

local function late(s)
    return s.world.store.get("order_watermark", "late")
end

local function being_late(t)
    -- Seen before: one delegation that failed kept the stamps of all figures back, though a webhook
    -- had told of its order at once.
    t.case("an order that a webhook told of in time is not late when its delegation is", function()
        local s = scene()
        s.scayle.list = function()
            return page({listed(1, {items = TWO})})
        end
        webhook(s, 1, TWO)
        s.world.now_ms = s.world.now_ms + 3600000
        is_done(t, sweep(s))
        t.equal(late(s) or "none", "none")
    end)
    t.case("an order that a webhook told of late is late, once", function()
        local s = scene()
        s.scayle.list = function()
            return page({listed(1, {items = TWO})})
        end
        s.world.now_ms = CONFIRMED_MS + 91000
        webhook(s, 1, TWO)
        is_done(t, sweep(s))
        local first = late(s)
        t.equal(first, {at_ms = s.world.now_ms, confirmed_ms = CONFIRMED_MS})
        s.world.now_ms = s.world.now_ms + 120000
        is_done(t, sweep(s))
        t.equal(late(s), first)
    end)
    t.case("whether an order is late is told in SCAYLE's time", function()
        for skew_ms, is_late in pairs({[0] = true, [40000] = false}) do
            local s = scene()
            s.world.store.put("stock_watermark", "state", {alive_ms = 0, back_ms = 0,
                skew_ms = skew_ms})
            s.scayle.list = function()
                return page({listed(1, {items = TWO})})
            end
            s.world.now_ms = CONFIRMED_MS + 91000
            is_done(t, sweep(s))
            t.equal(late(s) ~= nil, is_late)
        end
    end)
    -- Seen before: at 100,000 orders a sweep took hours; the stamps stood still for two.
    t.case("a sweep hurries while the stamps wait for it, and then only", function()
        for frozen_ms, wanted in pairs({[1] = 3, [0] = 1}) do
            local s, asked = scene(), 0
            s.settings.sweep_max_pages, s.settings.sweep_hurry_pages = 1, 3
            s.world.store.put("stock_watermark", "state", {alive_ms = s.world.now_ms, back_ms = 0,
                frozen_ms = frozen_ms > 0 and frozen_ms or nil})
            s.scayle.list = function()
                asked = asked + 1
                return page({}, "p" .. asked)
            end
            is_done(t, sweep(s))
            t.equal(asked, wanted)
        end
    end)
    t.case("a sweep that is tried again counts from its first attempt", function()
        local s, asked = scene(), 0
        local began_ms = s.world.now_ms
        s.scayle.list = function()
            asked = asked + 1
            if asked == 2 then
                return {status = 503, headers = {}, elapsed_ms = 1, body = ""}
            end
            return page({}, asked < 2 and "p2" or nil)
        end
        local chain = fake_job.chain({event = {name = "schedule.sweep", id = "1", payload = "",
            key = "schedule:orders.sweep", source = "schedule"}, settings = s.settings,
            live_from_ms = LIVE_FROM_MS})
        t.equal(s.world:attempt(flow, chain).error ~= nil, true)
        s.world.now_ms = s.world.now_ms + 60000
        is_done(t, s.world:attempt(flow, chain))
        t.equal({asked, s.world.store.get("order_watermark", "sweep").completed_ms}, {3, began_ms})
    end)
    t.case("a sweep of several runs counts from the start of its first", function()
        local s, asked = scene(), 0
        local began_ms = s.world.now_ms
        s.settings.sweep_max_pages = 1
        s.scayle.list = function()
            asked = asked + 1
            return page({}, asked < 3 and "p" .. asked or nil)
        end
        for _ = 1, 3 do
            is_done(t, sweep(s))
            s.world.now_ms = s.world.now_ms + 60000
        end
        t.equal(s.world.store.get("order_watermark", "sweep").completed_ms, began_ms)
    end)
end

-- The slice of another job comes after the sweep's first reading of the record.
local function meanwhile(s, key, change)
    local get, is_done_once = s.world.store.get, false
    s.world.store.get = function(name, wanted)
        local value = get(name, wanted)
        if name == "orders" and wanted == key and not is_done_once then
            is_done_once = true
            change(get(name, wanted))
        end
        return value
    end
end

local function beside_others(t)
    -- Seen before: the sweep wrote back the record as it had read it, and what the order's own job
    -- had written meanwhile was lost.
    t.case("the sweep keeps what an order's job writes into its record meanwhile", function()
        local s = scene()
        s.scayle.list = function()
            return page({listed(1, {items = TWO})})
        end
        s.world.now_ms = CONFIRMED_MS + 91000
        webhook(s, 1, TWO)
        meanwhile(s, "order:fo:1", function(record)
            record.transformed = "by the job"
            s.world.store.put("orders", "order:fo:1", record)
        end)
        is_done(t, sweep(s))
        local record = s.world.store.get("orders", "order:fo:1")
        t.equal({record.transformed, record.is_late}, {"by the job", true})
    end)
    t.case("an order that was posted while the sweep looked at it is not late", function()
        local s = scene()
        s.scayle.list = function()
            return page({listed(1, {items = TWO})})
        end
        s.world.now_ms = CONFIRMED_MS + 91000
        webhook(s, 1, TWO)
        meanwhile(s, "order:fo:1", function(record)
            record.order_code = "SO1"
            s.world.store.put("orders", "order:fo:1", record)
        end)
        is_done(t, sweep(s))
        t.equal({s.world.store.get("orders", "order:fo:1").order_code, late(s) or "none"},
            {"SO1", "none"})
    end)
    -- Seen before: while SCAYLE refused its list, nobody looked whether Khaos had what it should.
    t.case("what Khaos is asked for is asked for though SCAYLE fails", function()
        for _, status in ipairs({503, 403}) do
            local s, asked = scene(), 0
            s.scayle.list = function(request)
                asked = asked + (request.body and request.body:find("SC7", 1, true) and 1 or 0)
                return {status = status, headers = {}, elapsed_ms = 1, body = ""}
            end
            s.world.store.put("order_units_wanted", "order:fo:5", {key = "order:fo:5"})
            s.world.store.put("orders_differing", "order:fo:7", {reference = "SC7",
                until_ms = s.world.now_ms})
            t.equal({sweep(s).done or false, #s.world.events, asked}, {false, 1, 1})
        end
    end)
end

return function(t)
    holding_stamps(t)
    being_late(t)
    beside_others(t)
end
