-- neap-test-root: examples/sandbox/khaos examples/demo
--- Staging: what is shown, what counts as an approval, what is posted, what SCAYLE hears when it is
--- not; against the simulated Khaos and a scripted SCAYLE.
local khaos_sandbox = require("khaos_sandbox") -- first: it makes the modules a runner lacks
local flow = require("flows.orders")
local json = require("neap.json")
local schema = require("lib.schema")
local staging = require("flows.orders.staging")

local KEY = "order:fo:204417"
local DELEGATION = [[{"id":66120,"orderId":204417,"orderReferenceKey":"fogb-1412-204417",
"shopId":1412,"shopKey":"fo","countryCode":"GB","fulfillingMerchantKey":"fellside",
"carrier":{"key":"DPD_UK"}}]]
local BIG = {name = "big orders", value_above_minor = 10000, approval = "person"}

local function mappings()
    local all = {}
    for _, name in ipairs({"companies", "tax", "shipping", "payments", "promotions"}) do
        all[name] = json.decode(json.encode(require("mappings." .. name)))
    end
    return all
end

local function settings(rules)
    local given = {merchant_key = "fellside", mappings = mappings(), staging = {rules = rules},
        fault_retries = 0, shops = {{shop_key = "fo", country = "GB", shop_country_id = "1412"}}}
    assert(schema.check(flow.schema, given, "settings"))
    return schema.with_defaults(flow.schema, given)
end

-- SCAYLE with one order; it cancels the items it is told of.
local function shop(order)
    local far = {order = order, cancelled = {}}
    function far.answer(request)
        local body = request.body and json.decode(request.body)
        if request.path == "/fulfillment/cancellations" then
            far.cancelled[#far.cancelled + 1] = body
            for _, item in ipairs(far.order.items) do
                item.status = "cancelled"
            end
            if far.loses then
                return nil, khaos_sandbox.lost()
            end
        elseif request.method == "PUT" then
            far.order.referenceKey = body.referenceKey
        end
        return {status = 200, headers = {}, body = json.encode(far.order), elapsed_ms = 1}
    end
    return far
end

local function scene(t, rules)
    local order = json.decode(t.read_file("examples/demo/cases/orders/order-01-plain-gb.json"))
    local scayle = shop(order)
    local world, khaos = khaos_sandbox.world(nil, scayle.answer)
    for _, code in ipairs({"FO-SCK-0007-L", "FO-JKT-1042-M", "ROUNDING"}) do
        world.store.put("khaos_codes", code, {seen_ms = 1})
    end
    local s = {world = world, khaos = khaos, scayle = scayle, settings = settings(rules or {BIG})}
    world:call(flow, "delegation", {body = DELEGATION}, s.settings)
    return s
end

local function play(s, name, payload)
    return s.world:play(flow, {event = {name = name or "order.delegated", key = KEY,
        source = "test", id = "1", payload = payload or DELEGATION}, settings = s.settings,
        live_from_ms = 0})
end

local function act(s, verb, subject)
    local payload = json.encode({by = "eve", cause = "approval", reason = "looked at it",
        subject = subject or "204417"})
    s.world.mail[verb .. ".approval"] = {payload = payload}
    return payload
end

local function held_on(t, ended, subject)
    t.equal(ended.held and {#ended.held, ended.held[1].cause, ended.held[1].subject} or
        tostring(ended.error or "not held"), {1, "approval", subject})
end

local function is_done(t, ended)
    t.equal({ended.done or false, tostring(ended.error), ended.held and ended.held[1].message},
        {true, "nil"})
end

local function imports(s)
    return #s.world:sent("NS1:ImportOrders")
end

-- ---- approving -------------------------------------------------------------------------------

local function approving(t)
    t.case("the posting is shown and held; released by a person, it goes as shown", function()
        local s = scene(t)
        held_on(t, play(s), "204417")
        local shown = s.world.trails[#s.world.trails]
        t.equal({imports(s), shown.data.staged.rule, shown.data.staged.posting.total},
            {0, "big orders", "164.92"})
        t.matches(table.concat(shown.lines, "\n"), "1%. FO%-SCK%-0007%-L x 2 at 14%.99 gross")
        assert(not json.encode(shown):find("Hallworth"), "a name is shown")
        act(s, "released")
        is_done(t, play(s))
        t.equal({imports(s), s.world.facts.state:sub(1, 9)}, {1, "posted as"})
        t.matches(table.concat(s.world.notes, "\n"), "204417 approved by eve: looked at it")
        local kept = s.world.store.get("orders_staged", KEY)
        t.equal({kept.state, kept.by, kept.posting or "gone"}, {"posted", "eve", "gone"})
    end)
    t.case("that no exception is open is no approval", function()
        local s = scene(t)
        for _ = 1, 3 do
            held_on(t, play(s), "204417")
        end
        t.equal(imports(s), 0)
    end)
    t.case("approved by rule: shown, then posted", function()
        local s = scene(t, {{name = "watched", markets = {"1412"}, approval = "rule"}})
        is_done(t, play(s))
        local shown = s.world.trails[#s.world.trails]
        t.equal({imports(s), shown.data.staged.rule}, {1, "watched"})
        t.matches(table.concat(s.world.notes, "\n"), "approved by rule \"watched\"")
    end)
    t.case("an order that no rule names goes as it is", function()
        local s = scene(t, {{name = "huge", value_above_minor = 99999, approval = "person"}})
        is_done(t, play(s))
        t.equal(s.world.store.get("orders_staged", KEY), nil)
    end)
end

local function changing(t)
    t.case("another posting than the one approved is shown again, under a new number", function()
        local s = scene(t)
        held_on(t, play(s), "204417")
        s.settings.mappings.companies["1412"].invoice_note = "Thank you"
        act(s, "released")
        held_on(t, play(s), "204417 v2")
        t.equal(imports(s), 0)
        act(s, "released", "204417 v2")
        is_done(t, play(s))
        t.matches(s.world:sent("NS1:ImportOrders")[1].body, "Thank you")
    end)
    t.case("approved and changed before it could leave: shown again", function()
        local s = scene(t)
        held_on(t, play(s), "204417")
        act(s, "released")
        s.khaos.before = function()
            return nil, require("neap.errors").new({kind = "network", message = "down",
                retryable = true})
        end
        t.equal(play(s).done, nil)
        s.khaos.before = nil
        s.settings.mappings.companies["1412"].invoice_note = "Thank you"
        held_on(t, play(s), "204417 v2")
    end)
    t.case("what may have left is not changed by new scripts", function()
        local s = scene(t)
        held_on(t, play(s), "204417")
        act(s, "released")
        s.khaos.before = function(request, far)
            if request.body:find("NS1:ImportOrders", 1, true) then
                far.answer(request)
                far.before = function(other)
                    if other.body:find("ExportOrder", 1, true) then
                        return nil, khaos_sandbox.lost()
                    end
                end
                return nil, khaos_sandbox.lost()
            end
        end
        t.equal(play(s).done, nil)
        s.khaos.before = nil
        s.settings.mappings.companies["1412"].invoice_note = "Thank you"
        is_done(t, play(s))
        assert(not s.world:sent("NS1:ImportOrders")[1].body:find("Thank you", 1, true))
        t.equal({imports(s), s.world.exceptions}, {1, {}})
    end)
    t.case("refused by Khaos it may change again, and is shown again when it does", function()
        local s = scene(t)
        held_on(t, play(s), "204417")
        act(s, "released")
        s.settings.mappings.companies["1412"].brand = nil
        held_on(t, play(s), "204417 v2")
        act(s, "released", "204417 v2")
        s.khaos.change_stock({code = "FO-JKT-1042-M", discontinued = true})
        t.equal(play(s).held[1].cause, "refused_by_khaos")
        t.equal(s.world.store.get("orders_staged", KEY).is_going, false)
        s.settings.mappings.companies["1412"].brand = "Fellside Outdoor"
        held_on(t, play(s), "204417 v3")
    end)
end

-- ---- refusing --------------------------------------------------------------------------------

local function refusing(t)
    t.case("dismissed: never posted, and SCAYLE hears once that we do not send it", function()
        local s = scene(t)
        held_on(t, play(s), "204417")
        local said = act(s, "dismissed")
        s.scayle.loses = true
        play(s, "dismissed.approval", said)
        s.scayle.loses = false
        is_done(t, play(s, "dismissed.approval", said))
        is_done(t, play(s, "dismissed.approval", said))
        t.equal({imports(s), #s.scayle.cancelled, #s.scayle.cancelled[1].items}, {0, 1, 3})
        t.matches(s.world.store.get("orders", KEY).ended, "not approved by eve %(looked at it%)")
        t.equal({s.world.store.get("orders_open", KEY), s.world.store.get("stock_pending", KEY)},
            {})
    end)
    t.case("another job of the order meets the dismissal and ends it too", function()
        local s = scene(t)
        held_on(t, play(s), "204417")
        act(s, "dismissed")
        is_done(t, play(s))
        t.equal({imports(s), #s.scayle.cancelled}, {0, 1})
    end)
    t.case("a shopper's cancellation ends what is shown", function()
        local s = scene(t)
        held_on(t, play(s), "204417")
        s.world.mail.cancellation = {}
        act(s, "released")
        is_done(t, play(s))
        t.equal({imports(s), #s.scayle.cancelled}, {0, 0})
    end)
    t.case("any other dismissal ends the order here; somebody deals with it by hand", function()
        local s = scene(t)
        s.world.store.delete("khaos_codes", "FO-JKT-1042-M")
        s.khaos.change_stock({code = "FO-JKT-1042-M", discontinued = true})
        t.equal(play(s).held[1].cause, "unknown_stock_code")
        is_done(t, play(s, "dismissed.unknown_stock_code", json.encode({by = "eve",
            cause = "unknown_stock_code", reason = "sold by phone", subject = "FO-JKT-1042-M"})))
        t.equal({s.world.store.get("orders", KEY).ended, #s.scayle.cancelled,
            s.world.store.get("orders_open", KEY)}, {"dismissed by eve: sold by phone", 0})
        t.equal(s.world.store.get("stock_pending", KEY), nil)
    end)
end

-- ---- rules -----------------------------------------------------------------------------------

local ABOUT = {
    market = "1412",
    mechanics = {{category = "promotion", id = "deal", becomes = "keycode+pack"}},
    posting = {currency = "GBP", predicted = {gross_minor = 7500}, gross_to_net = {
        undiscounted_minor = 10000, discounts = {promotion = 2000}, order_discount_minor = 500}},
}
local FITS = {
    {{}, true},
    {{mechanic = {id = "deal"}}, true},
    {{mechanic = {id = "deal", category = "voucher"}}, false},
    {{becomes = "pack"}, true},
    {{becomes = "percent"}, false},
    {{value_above_minor = 7499}, true},
    {{value_above_minor = 7500}, false},
    {{discount_above_percent = 24}, true},
    {{discount_above_percent = 25}, false},
    {{markets = {"9", "1412"}}, true},
    {{markets = {"9"}, mechanic = {id = "deal"}}, false},
    {{currency = "EUR"}, false},
}

local function effect_tests(t)
    local function is_staged(mechanic)
        return staging.rule({rules = {{mechanic = {effect = "combo_deal"}}}},
            {mechanics = {mechanic}, posting = ABOUT.posting}) ~= nil
    end
    t.case("a rule by effect fits what is declared so, and whatever nobody declared", function()
        t.equal({is_staged{category = "promotion", effect = "combo_deal"},
            is_staged{category = "promotion", effect = "buy_x_get_y"},
            is_staged{category = "promotion"}, is_staged{category = "promotionCode"},
            is_staged{category = "sale"}}, {true, false, true, true, false})
    end)
    t.case("the posting of a promotion nobody declared waits for a person", function()
        local s = scene(t, {{name = "sets", mechanic = {effect = "combo_deal"},
            approval = "person"}})
        s.scayle.order.promotions = {{id = "p7"}}
        table.insert(s.settings.mappings.promotions, 1, {match = {id = "p7"}, becomes = "price"})
        held_on(t, play(s), "204417")
    end)
end

-- Seen: the mapper went by the delegation's shop, the rules by the order's alone, so that an order
-- without one was posted without the approval its market asks for, to a customer of another class.
local function market_tests(t)
    for _, without in ipairs({"no shop country", "a shop country without id"}) do
        t.case("a rule by market fits an order with " .. without, function()
            local s = scene(t, {{name = "uk", markets = {"1412"}, approval = "person"}})
            s.scayle.order.shopCountry = without ~= "no shop country" and {} or nil
            held_on(t, play(s), "204417")
        end)
        t.case("the customer's class is compared on an order with " .. without, function()
            local s = scene(t)
            play(s)
            act(s, "released")
            is_done(t, play(s))
            s.settings.mappings.companies["1412"].company_class = "Web Retail EU"
            s.scayle.order.id, s.scayle.order.referenceKey = 204418, nil
            s.scayle.order.shopCountry = without ~= "no shop country" and {} or nil
            local payload = DELEGATION:gsub("204417", "204418")
            s.world:call(flow, "delegation", {body = payload}, s.settings)
            local ended = s.world:play(flow, {event = {name = "order.delegated", source = "test",
                key = "order:fo:204418", id = "2", payload = payload}, settings = s.settings,
                live_from_ms = 0})
            t.equal(ended.held and ended.held[1].cause, "customer_conflict")
        end)
    end
end

local function rule_tests(t)
    for i, row in ipairs(FITS) do
        t.case(string.format("rule %d %s", i, row[2] and "fits" or "does not fit"), function()
            t.equal(staging.rule({rules = {row[1]}}, ABOUT) ~= nil, row[2])
        end)
    end
    t.case("the first rule that fits decides; without staging there is none", function()
        t.equal(staging.rule({rules = {{currency = "EUR"}, {name = "b"}, {name = "c"}}},
            ABOUT).name, "b")
        t.equal(staging.rule(nil, ABOUT), nil)
    end)
end

return function(t)
    approving(t)
    changing(t)
    refusing(t)
    market_tests(t)
    rule_tests(t)
    effect_tests(t)
end
