-- neap-test-root: examples/demo
-- The orders flow on Khaos Control Cloud, run by run: offered, shown, acknowledged.
local cloud_taking = require("cloud_taking")
local fake_job = require("fake_job")
local flow = require("flows.orders")
local json = require("neap.json")
local queue = require("flows.cloud_stages.queue")
local schema = require("lib.schema")
local store = require("neap.store")
local support = require("flows.order_stages.support")

local KEY = "order:fo:204417"
local REFERENCE = "SC204417"
local DELEGATION = [[{"orderId":204417,"orderReferenceKey":"fogb-1412-204417","shopId":1412,
"shopKey":"fo","countryCode":"GB","fulfillingMerchantKey":"fellside","carrier":{"key":"DPD_UK"}}]]

local function settings()
    local mappings = {}
    for _, name in ipairs({"companies", "tax", "shipping", "payments", "promotions"}) do
        mappings[name] = json.decode(json.encode(require("mappings." .. name)))
    end
    local given = {merchant_key = "fellside", merchant_code = "fe", mappings = mappings,

        khaos = {kind = "cloud", silence_ms = 60000},
        shops = {{shop_key = "fo", country = "GB", shop_country_id = "1412"}}}
    assert(schema.check(flow.schema, given, "settings"))
    return schema.with_defaults(flow.schema, given)
end

local function scene(t)
    local order = json.decode(t.read_file("examples/demo/cases/orders/order-01-plain-gb.json"))
    local s = {settings = settings(), references = {}}
    s.world = fake_job.world({http = function(request)
        if request.method == "PUT" then
            table.insert(s.references, json.decode(request.body).referenceKey)
        end
        return {status = 200, headers = {}, body = json.encode(order), elapsed_ms = 1}
    end})
    s.world:with(function()
        require("flows.khaos_codes").put({["FO-SCK-0007-L"] = {}, ["FO-JKT-1042-M"] = {},
            ROUNDING = {}})
    end)
    s.chain = fake_job.chain({event = {name = "order.delegated", key = KEY, source = "test",
        id = "1", payload = DELEGATION}, settings = s.settings, key = KEY})
    s.world:call(flow, "delegation", {body = DELEGATION}, s.settings)
    return s
end

local function run(s)
    return s.world:attempt(flow, s.chain)
end

local function fetch(s)
    return s.world:with(function()
        return queue.take("orders", nil, 10)
    end)
end

-- The push, and its event in the mail of the order.
local function show(s, more)
    local status = {AssociatedRef = REFERENCE, OrderCode = "SO1", Status = "Received"}
    for name, value in pairs(more or {}) do
        status[name] = value
    end
    local job = s.world:with(function()
        return cloud_taking.push("order_status", {khaos = s.settings.khaos,
            orders_flow = "orders"}, {Statuses = json.array({status})}, s.world)
    end)
    for _, event in ipairs(job.emitted) do
        s.world.mail[event.name] = event.key == KEY and event or s.world.mail[event.name]
    end
    return job
end

-- A person releases what was shown.
local function release(s, subject)
    s.world.mail["released.approval"] = {payload = json.encode({by = "eve", cause = "approval",
        reason = "looked at it", subject = subject})}
end

local function wrong(s, reference)
    local open = s.world.exceptions["shown_wrongly " .. (reference or REFERENCE)]
    return open and open.message or "none"
end

local function mismatches(t)
    -- Seen before: the order counted as posted, and was never handed out.
    t.case("an order that Khaos never fetched is not believed to be there", function()
        local s = scene(t)
        run(s)
        show(s)
        t.equal({run(s).waits.name, wrong(s)}, {"Khaos shows offer 1", "Khaos shows SC204417 as "
            .. "its order SO1, and has never fetched it: nothing of it is believed"})
        t.equal(#fetch(s), 1)
        show(s, {OrderCode = "SO2"})
        t.equal({run(s).done, s.references, wrong(s)}, {true, {"SO2"}, "none"})
    end)
    t.case("one that a person had offered anew was fetched before, and is believed", function()
        local s = scene(t)
        run(s)
        fetch(s)
        s.world:with(function()
            queue.offer_again("orders", REFERENCE)
        end)
        show(s)
        t.equal({run(s).done, wrong(s)}, {true, "none"})
    end)
    t.case("one order of Khaos cannot be two of ours", function()
        local s = scene(t)
        run(s)
        s.world:with(function()
            queue.put("orders", "SC1", "order:fo:1", {Header = {}})
        end)
        t.equal(#fetch(s), 2)
        show(s, {AssociatedRef = "SC1"})
        show(s)
        t.equal(wrong(s), "Khaos shows SC204417 as its order SO1, which it has shown as SC1: "
            .. "nothing of it is believed")
        t.equal(run(s).waits.name, "Khaos shows offer 1")
        show(s, {OrderCode = "SO9", CustomData = "SC1"})
        t.matches(wrong(s), "with what we sent with SC1")
        show(s, {OrderCode = "SO9", CustomData = REFERENCE})
        t.equal({run(s).done, wrong(s)}, {true, "none"})
    end)
    -- Seen before: the code belonged to the wrong one for good, and the order was offered once more
    -- although Khaos had it.
    t.case("a code that was believed of the wrong order is free once that has its own", function()
        local s = scene(t)
        run(s)
        s.world:with(function()
            queue.put("orders", "SC1", "order:fo:1", {Header = {}})
        end)
        fetch(s)
        show(s, {AssociatedRef = "SC1"})
        show(s)
        s.world.now_ms = s.world.now_ms + 60000
        t.matches(run(s).held[1].message, "It shows what was not believed, though: .* has shown as "
            .. "SC1%. Settle that before you release this")
        s.world:with(function() -- noted, and followed under its own code
            store.put(support.LINES, "SC1", {key = "order:fo:1", order_id = "1",
                order_code = "SO5"})
        end)
        show(s, {Status = "Shipping"})
        t.equal({run(s).done, s.references, wrong(s)}, {true, {"SO1"}, "none"})
    end)
    t.case("a status of one of ours without a code is told of", function()
        local s = scene(t)
        run(s)
        fetch(s)
        show(s, {OrderCode = json.null})
        t.matches(s.world.exceptions["push_unreadable order_status"].message,
            "the status of SC204417 names no order code")
    end)
    t.case("an offer that is cut short was not made", function()
        for number = 1, 6 do
            local s = scene(t)
            local put, count = s.world.store.put, 0
            s.world.store.put = function(name, ...)
                if name:find("cloud", 1, true) or name == "orders" and count > 0 then
                    count = count + 1
                    assert(count ~= number, "killed")
                end
                return put(name, ...)
            end
            run(s)
            s.world.store.put = put
            s.world.mail.cancellation = {name = "cancellation"}
            t.equal(run(s).done, true)
            t.equal(#fetch(s), 0, "cut at " .. number)
        end
    end)
    -- Seen before: such an order was ignored, and a snapshot of it cancelled the other's units.
    t.case("an order that is imported anew under another code is told, and none of its news",
        function()
            local s = scene(t)
            run(s)
            fetch(s)
            show(s)
            show(s, {OrderCode = "SO2", Status = "Cancelled"}) -- before the first is noted
            t.equal(run(s).done, true)
            t.equal({s.world.store.get("orders", KEY).order_code,
                s.world.store.get("despatch_seen", REFERENCE)
                    and s.world.store.get("despatch_seen", REFERENCE).snapshot.is_cancelled},
                {"SO1"})
            local job = show(s, {OrderCode = "SO3"})
            t.equal({job.emitted[1].name, job.emitted[1].flow}, {"khaos.second", "despatch"})
            t.matches(s.world.exceptions["duplicate_in_khaos " .. REFERENCE].message,
                "SO3 beside SO1")
        end)
    t.case("orders without a company code need something else to match a customer by", function()
        local cloud = require("flows.khaos_cloud")
        local function check(send_urn, match)
            return (pcall(cloud.selftest, {khaos = {kind = "cloud", send_urn = send_urn},
                match_company_on = match}))
        end
        t.equal({check(true, {"CompanyCode"}), check(false, {"CompanyCode"}),
            check(false, {"Surname", "Postcode"})}, {true, false, true})
    end)
    t.case("an order is handed out once, however often it is named", function()
        local s = scene(t)
        run(s)
        t.equal(#s.world:with(function()
            return (queue.take_these("orders", {REFERENCE, REFERENCE}))
        end), 1)
    end)
end

local function staged(t)
    -- Seen before: only the posting counted, so a setting of the connection changed what was sent
    -- after it had been approved.
    t.case("staged: what is approved is the document that Khaos fetches", function()
        local s = scene(t)
        s.settings.staging = {rules = {{name = "big", value_above_minor = 10000,
            approval = "person"}}}
        s.settings.mappings.companies["1412"].site = nil -- the connection's, then
        t.equal(run(s).held[1].subject, "204417")
        release(s, "204417")
        s.settings.khaos.site_id = 7
        t.equal(run(s).held[1].subject, "204417 v2")
        release(s, "204417 v2")
        t.equal(run(s).waits.name, "Khaos shows offer 1")
        local served = fetch(s)
        t.equal({#served, served[1].Header.Site.ID}, {1, 7})
        s.settings.khaos.site_id = 8 -- what may have left is not changed by a setting
        show(s)
        t.equal(run(s).done, true)
    end)
end

return function(t)
    mismatches(t)
    staged(t)
    t.case("offered once, posted when Khaos shows it, acknowledged", function()
        local s = scene(t)
        t.equal(run(s).waits.name, "Khaos shows offer 1")
        t.equal(run(s).waits.name, "Khaos shows offer 1")
        t.equal(#fetch(s), 1)
        t.equal(show(s).emitted[1].key, KEY)
        local ended = run(s)
        t.equal({ended.done, tostring(ended.error), s.references}, {true, "nil", {"SO1"}})
        t.equal(show(s).emitted, {}, "a repeat of the push is no news")
    end)
    t.case("that others sell on the order too is known to the run that notes it", function()
        local s = scene(t)
        run(s)
        local record = s.world.store.get("orders", KEY)
        t.equal({record.offered, record.is_shared}, {REFERENCE, false})
        record.is_shared = true
        s.world.store.put("orders", KEY, record)
        fetch(s)
        show(s)
        t.equal(run(s).done, true)
        t.equal({s.references, s.world.store.get("orders", KEY).order_code}, {{}, "SO1"})
    end)
    t.case("a cancellation before the offer offers nothing, one before the fetch takes it back",
        function()
            local s = scene(t)
            s.world.mail.cancellation = {name = "cancellation"}
            t.equal(run(s).done, true)
            t.equal(#fetch(s), 0)
            s = scene(t)
            run(s)
            s.world.mail.cancellation = {name = "cancellation"}
            t.equal(run(s).done, true)
            t.equal({#fetch(s), s.world.store.get("orders", KEY).ended},
                {0, "cancelled before it was posted"})
        end)
    t.case("a cancellation after the fetch waits for the push, and then asks a person", function()
        local s = scene(t)
        run(s)
        fetch(s)
        s.world.mail.cancellation = {name = "cancellation"}
        t.equal(run(s).waits.name, "Khaos shows offer 1")
        t.matches(s.world.facts.state, "in doubt")
        show(s)
        t.equal(run(s).done, true)
        t.equal(s.world.exceptions["cancel_in_khaos 204417"] ~= nil, true)
    end)
    t.case("silence holds; a person's release offers it once more", function()
        local s = scene(t)
        run(s)
        fetch(s)
        s.world.now_ms = s.world.now_ms + 60000
        local held = run(s).held[1]
        t.equal({held.cause, held.subject}, {"not_shown_by_khaos", REFERENCE})
        t.matches(held.message, "fetched it %(1 times")
        s.world.exceptions["not_shown_by_khaos " .. REFERENCE] = held
        t.equal(run(s).held[1].cause, "not_shown_by_khaos", "held again while it is open")
        s.world.exceptions = {}
        t.equal(run(s).waits.name, "Khaos shows offer 2")
        t.equal(#fetch(s), 1)
    end)
end
