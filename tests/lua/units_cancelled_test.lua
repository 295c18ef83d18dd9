-- neap-test-root: examples/sandbox/khaos examples/demo
--- Units that SCAYLE cancels after the posting, against the simulated Khaos: amended by it, taken
--- off by a person, refused, lost answers, and histories of all of these by chance.
local khaos_sandbox = require("khaos_sandbox") -- first: it makes the modules a runner lacks
local amend = require("connectors.khaos_soap.amend")
local amending = require("flows.unit_stages.amending")
local codes = require("flows.khaos_codes")
local differing = require("flows.order_stages.differing")
local erp_orders = require("erp.orders")
local fake_job = require("fake_job")
local flow = require("flows.orders")
local history = require("flows.order_history")
local json = require("neap.json")
local order_units = require("flows.order_units")
local schema = require("lib.schema")
local smaller = require("flows.unit_stages.smaller")
local stock_pending = require("flows.stock_pending")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local unit_book = require("flows.unit_book")
local unit_events = require("flows.unit_stages.events")
local wanted = require("flows.unit_stages.wanted")

local KEY, REFERENCE = "order:fo:204417", "SC204417"
local SOCK, JACKET = "FO-SCK-0007-L", "FO-JKT-1042-M"
local SOCK_1, SOCK_2, JACKET_1 = "7300101", "7300102", "7300103"
local SOCK_MINOR = 1499

local function settings(add_ons)
    local given = {merchant_key = "fellside", mappings = {}, khaos = {add_ons = add_ons},
        shops = {{shop_key = "fo", country = "GB", shop_country_id = "1412"}}}
    for _, name in ipairs({"companies", "tax", "shipping", "payments", "promotions"}) do
        given.mappings[name] = require("mappings." .. name)
    end
    assert(schema.check(flow.schema, given, "settings"))
    return schema.with_defaults(flow.schema, given)
end

-- A posted order of two socks and a jacket; stock is read, so what it takes is counted.
local function scene(t, add_ons)
    local s = {settings = settings(add_ons), looks = 0,
        order = json.decode(t.read_file("examples/demo/cases/orders/order-01-plain-gb.json"))}
    s.world, s.khaos = khaos_sandbox.world({paid_add_ons = true}, function(request)
        if request.method == "PUT" then
            s.order.referenceKey = json.decode(request.body).referenceKey
        end
        return {status = 200, headers = {}, body = json.encode(s.order), elapsed_ms = 1}
    end)
    s.world:with(function()
        codes.put({[SOCK] = {last_updated = ""}, [JACKET] = {last_updated = ""},
            ROUNDING = {last_updated = ""}})
        stock_pending.begin()
    end)
    local payload = '{"orderId":204417,"shopId":1412,"shopKey":"fo","countryCode":"GB"}'
    s.world:call(flow, "delegation", {body = payload}, s.settings)
    s.world:with(function()
        stock_pending.add(KEY, {[SOCK] = 2, [JACKET] = 1})
    end)
    local ended = s.world:play(flow, {event = {name = "order.delegated", key = KEY, source = "test",
        id = "1", payload = payload}, settings = s.settings})
    assert(ended.done, tostring(ended.error) .. json.encode({ended.held or {}, ended.waits or {}}))
    s.world.now_ms = s.world.now_ms + 1000
    return s
end

local function cancel(s, id)
    for _, item in ipairs(s.order.items) do
        item.status = tostring(item.id) == id and "cancelled" or item.status
    end
end

local function chain(s)
    s.looks = s.looks + 1
    local event = unit_events.look("test", tostring(s.looks), KEY)
    event.received_ms = s.world.now_ms
    return fake_job.chain({event = event, settings = s.settings})
end

local function look(s)
    local open, ended = chain(s), nil
    for _ = 1, 10 do
        ended = s.world:attempt(flow, open)
        if ended.done or ended.held then
            return ended
        end
    end
    error("a look does not end: " .. tostring(ended.error))
end

-- The tick of the sweep that reads orders with another total again.
local function read_again(s)
    s.world.now_ms = s.world.now_ms + 1000
    local ended = s.world:attempt({run = differing.look_again}, chain(s))
    assert(ended.done, ended.error)
end

local function in_khaos(s)
    local w = s.khaos.world()
    return erp_orders.get(w, erp_orders.codes_of(w, REFERENCE)[1])
end

local function quantities(s)
    local found = {}
    for _, line in ipairs(in_khaos(s).lines) do
        found[line.stock_code] = (found[line.stock_code] or 0) + math.tointeger(line.quantity)
    end
    return found
end

local function person_takes_off(s, sku, count)
    local w = s.khaos.world()
    erp_orders.take_off(w, in_khaos(s), {{stock_code = sku, quantity = count}})
end

local function cancelled(s)
    local list = {}
    s.world:with(function()
        for _, unit in ipairs(order_units.load(KEY).units) do
            list[#list + 1] = unit_book.state(unit) == "cancelled" and unit.id or nil
        end
    end)
    return list
end

local function causes(s)
    local list = {}
    for _, entry in pairs(s.world.exceptions) do
        list[#list + 1] = entry.cause
    end
    return list
end

-- What the order takes of a code that no reading holds, for a reading that began now.
local function pending(s, sku, read_ms)
    local quantity
    s.world:with(function()
        quantity = stock_pending.sum({code = sku}, read_ms or s.world.now_ms).quantity
    end)
    return quantity
end

local WITH = {"amend_order"}

local function with_add_on(t)
    t.case("with the add-on Khaos amends; lines, book and history follow", function()
        local s = scene(t, WITH)
        local before = in_khaos(s).totals.gross
        local at_ms = s.world.now_ms
        s.world.now_ms = at_ms + 1000
        cancel(s, SOCK_1)
        look(s)
        local order = in_khaos(s)
        t.equal({order.totals.gross, order.amended, cancelled(s), causes(s)},
            {before - SOCK_MINOR, 1, {SOCK_1}, {}})
        s.world:with(function()
            local lines = store.get(support.LINES, REFERENCE)
            local earlier = smaller.lines_at(lines, at_ms)
            t.equal({lines.predicted.gross_minor, earlier.predicted.gross_minor},
                {before - SOCK_MINOR, before})
            t.equal(amend.wanted(lines.lines), {[SOCK] = 1, [JACKET] = 1})
        end)
        look(s)
        t.equal(in_khaos(s).amended, 1)
    end)
    t.case("an amendment whose answer is lost is looked up, not sent again", function()
        local s = scene(t, WITH)
        cancel(s, SOCK_1)
        s.khaos.before = function(request, khaos)
            if (request.headers.SOAPAction or ""):find("AmendOrder", 1, true) then
                khaos.answer(request)
                return nil, khaos_sandbox.lost()
            end
        end
        look(s)
        t.equal({in_khaos(s).amended, cancelled(s), causes(s)}, {1, {SOCK_1}, {}})
    end)
    t.case("a price that Khaos makes of it and that is not right is told", function()
        local s = scene(t, WITH)
        cancel(s, JACKET_1)
        s.khaos.before = function(request, khaos)
            if (request.headers.SOAPAction or ""):find("AmendOrder", 1, true) then
                local answer = khaos.answer(request)
                local w, order = khaos.world(), in_khaos(s)
                order.items.gross = order.items.gross + 1
                erp_orders.save(w, order)
                return answer
            end
        end
        look(s)
        t.equal({cancelled(s), causes(s)}, {{JACKET_1}, {"posted_total_differs"}})
        read_again(s)
        t.equal(causes(s), {"posted_total_differs"})
        s.khaos.before = nil
        local w, order = s.khaos.world(), in_khaos(s) -- a person corrects it
        order.items.gross = order.items.gross - 1
        erp_orders.save(w, order)
        read_again(s)
        t.equal(causes(s), {})
        s.world:with(function()
            local entries = store.get(history.TABLE, KEY)
            t.equal({entries[#entries].kind, entries[#entries].differs or false},
                {"read_back", false})
        end)
    end)
end

-- Khaos answers an operation so, and does this instead of it.
local function answers(s, operation, reply, act)
    s.khaos.before = function(request)
        if (request.headers.SOAPAction or ""):find(operation, 1, true) then
            local _ = act and act()
            return {status = 200, headers = {}, elapsed_ms = 1, body = string.format(
                '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
                .. "<%sResponse><return>%s</return></%sResponse></s:Body></s:Envelope>", operation,
                reply, operation)}
        end
    end
end

local function believing(t)
    t.case("an answer that is no fault is not believed: the order must show it", function()
        for _, reply in ipairs({"false", "true", "OrderSkipped"}) do
            local s = scene(t, WITH)
            cancel(s, SOCK_1)
            answers(s, "AmendOrder", reply)
            look(s)
            t.equal({cancelled(s), causes(s), quantities(s)[SOCK]}, {{}, {"amend_in_khaos"}, 2})
            person_takes_off(s, SOCK, 1)
            look(s)
            t.equal({cancelled(s), causes(s)}, {{SOCK_1}, {}})
        end
    end)
    t.case("an order that Khaos deleted and did not import again is told of", function()
        local s = scene(t, WITH)
        cancel(s, SOCK_1)
        answers(s, "AmendOrder", "OrderSkipped", function()
            local w, order = s.khaos.world(), in_khaos(s)
            order.reference = "gone"
            erp_orders.save(w, order)
        end)
        look(s)
        local words = s.world.exceptions["amend_in_khaos 204417"].message
        t.equal({cancelled(s), words:find("LOST", 1, true) ~= nil}, {{}, true})
    end)
    t.case("so is one of which only the deleted record is left, which cancels nothing", function()
        local s = scene(t, WITH)
        cancel(s, SOCK_1)
        answers(s, "AmendOrder", "true", function()
            erp_orders.cancel(s.khaos.world(), in_khaos(s), "amended")
        end)
        look(s)
        s.world:with(function()
            t.equal({causes(s), amending.covers(KEY, s.world.now_ms + 1)},
                {{"amend_in_khaos"}, true})
        end)
    end)
    t.case("nor is an answer about a whole order", function()
        local s = scene(t, {"cancel_order"})
        for _, id in ipairs({SOCK_1, SOCK_2, JACKET_1}) do
            cancel(s, id)
        end
        answers(s, "CancelOrder", "false")
        look(s)
        t.equal({cancelled(s), causes(s)}, {{}, {"cancel_in_khaos"}})
    end)
    t.case("an order that was cancelled meanwhile is not imported again", function()
        local s = scene(t, WITH)
        cancel(s, SOCK_1)
        local sent = 0
        s.khaos.before = function(request, khaos)
            if (request.headers.SOAPAction or ""):find("AmendOrder", 1, true) then
                sent = sent + 1
                erp_orders.cancel(khaos.world(), in_khaos(s), "by hand")
                return nil, khaos_sandbox.lost()
            end
        end
        look(s)
        t.equal({sent, causes(s)}, {1, {"amend_in_khaos"}})
        for _, id in ipairs({SOCK_2, JACKET_1}) do
            cancel(s, id) -- as the words to the person ask for
        end
        look(s)
        s.world:with(function()
            t.equal(amending.covers(KEY, s.world.now_ms + 1), false) -- the status feed tells it
        end)
    end)
end

-- What cannot be mapped: another merchant sells on the order too.
local function without_mapping(t)
    t.case("units go one after the other though the rest cannot be worked out", function()
        local s = scene(t)
        s.world:with(function()
            local record = support.record(KEY)
            record.is_shared = true
            store.put(support.RECORDS, KEY, record)
        end)
        cancel(s, SOCK_1)
        look(s)
        person_takes_off(s, SOCK, 1)
        look(s)
        t.equal({cancelled(s), causes(s)}, {{SOCK_1}, {}})
        cancel(s, SOCK_2)
        look(s)
        look(s)
        t.equal({cancelled(s), causes(s)}, {{SOCK_1}, {"amend_in_khaos"}})
        person_takes_off(s, SOCK, 1)
        look(s)
        t.equal({cancelled(s), causes(s)}, {{SOCK_1, SOCK_2}, {}})
    end)
    t.case("another's wish to cancel the whole order is left alone", function()
        local s = scene(t)
        s.world.exceptions["cancel_in_khaos 204417"] = {cause = "cancel_in_khaos",
            subject = "204417", message = ""}
        cancel(s, SOCK_1)
        look(s)
        person_takes_off(s, SOCK, 1)
        look(s)
        t.equal({cancelled(s), causes(s)}, {{SOCK_1}, {"cancel_in_khaos"}})
    end)
    t.case("units that SCAYLE shows as shipped and cancelled are seen", function()
        local s = scene(t)
        cancel(s, SOCK_1)
        s.order.items[1].shippedAt = "2026-05-05T10:00:00+00:00"
        look(s)
        t.equal(causes(s), {"amend_in_khaos"})
    end)
    t.case("what is being told as a parcel has left", function()
        local s = scene(t, WITH)
        s.world:with(function()
            local book = order_units.load(KEY)
            book.parcels = {I1 = {number = 1, shipment = "I1", items = {}, units = {SOCK_1}}}
            order_units.save(book)
        end)
        cancel(s, SOCK_1)
        look(s)
        t.equal({causes(s), in_khaos(s).amended or 0}, {{"cancel_too_late"}, 0})
    end)
end

local function by_hand(t)
    t.case("without it a person takes it off; Khaos shows it and the list closes", function()
        local s = scene(t)
        cancel(s, SOCK_2)
        look(s)
        t.equal({causes(s), cancelled(s)}, {{"amend_in_khaos"}, {}})
        look(s)
        t.equal({causes(s), cancelled(s)}, {{"amend_in_khaos"}, {}})
        person_takes_off(s, SOCK, 1)
        look(s)
        t.equal({causes(s), cancelled(s)}, {{}, {SOCK_2}})
    end)
    t.case("until then the books of both sides differ", function()
        local s = scene(t)
        local order_view = require("reports.reconcile.order_view")
        local function one_sided()
            local minor
            s.world:with(function()
                minor = order_view.of(KEY, support.record(KEY), s.world.now_ms).one_sided
            end)
            return minor
        end
        cancel(s, SOCK_2)
        t.equal(one_sided(), 0)
        look(s)
        t.equal(one_sided(), SOCK_MINOR)
        person_takes_off(s, SOCK, 1)
        look(s)
        t.equal(one_sided(), 0)
    end)
    t.case("a second unit goes on the same list, and both come off", function()
        local s = scene(t)
        cancel(s, SOCK_2)
        look(s)
        cancel(s, JACKET_1)
        look(s)
        t.equal(#causes(s), 1)
        person_takes_off(s, SOCK, 1)
        look(s)
        t.equal({causes(s), cancelled(s)}, {{"amend_in_khaos"}, {}})
        person_takes_off(s, JACKET, 1)
        look(s)
        t.equal({causes(s), cancelled(s)}, {{}, {SOCK_2, JACKET_1}})
    end)
    t.case("an order that is cancelled in SCAYLE as a whole is to be cancelled in Khaos", function()
        local s = scene(t, WITH)
        for _, id in ipairs({SOCK_1, SOCK_2, JACKET_1}) do
            cancel(s, id)
        end
        look(s)
        t.equal({causes(s), in_khaos(s).amended or 0}, {{"cancel_in_khaos"}, 0})
    end)
    t.case("what is not posted is left to the mapping", function()
        local s = scene(t)
        s.world:with(function()
            local record = support.record(KEY)
            record.order_code = nil
            store.put(support.RECORDS, KEY, record)
        end)
        cancel(s, SOCK_1)
        look(s)
        t.equal(causes(s), {})
    end)
    t.case("units that have left are told once", function()
        local s = scene(t)
        s.world:with(function()
            local book = order_units.load(KEY)
            unit_book.apply(book, {kind = "ship", id = "s", origin = "khaos", at_ms = 1,
                units = {SOCK_1}})
            order_units.save(book)
        end)
        cancel(s, SOCK_1)
        look(s)
        t.equal(causes(s), {"cancel_too_late"})
        s.world.exceptions = {} -- a person has dealt with it
        look(s)
        t.equal(causes(s), {})
    end)
end

local function of_stock(t)
    t.case("while Khaos deletes and imports, what is left counts, whatever is read", function()
        local s = scene(t, WITH)
        local read_ms = s.world.now_ms + 500 -- this reading holds the posted order
        s.world.now_ms = read_ms + 500
        t.equal(pending(s, SOCK, read_ms), 0)
        local during
        cancel(s, SOCK_1)
        s.khaos.before = function(request)
            if (request.headers.SOAPAction or ""):find("AmendOrder", 1, true) then
                during = {pending(s, SOCK), pending(s, JACKET)}
            end
        end
        look(s)
        t.equal(during, {2, 1}) -- of the socks as long as no reading settled them
        t.equal({pending(s, SOCK, read_ms), pending(s, SOCK, s.world.now_ms + 1)}, {1, 0})
        s.world:with(function()
            t.equal(store.get(stock_pending.REREAD, SOCK) ~= nil, true)
        end)
    end)
    t.case("after a refusal the order takes what it took", function()
        local s = scene(t, WITH)
        local w, order = s.khaos.world(), in_khaos(s)
        order.paid_minor = 1
        erp_orders.save(w, order)
        local posted_ms = s.world.now_ms - 1000
        cancel(s, SOCK_1)
        look(s)
        t.equal(causes(s), {"amend_in_khaos"})
        t.equal({pending(s, SOCK, posted_ms), pending(s, SOCK)}, {2, 0})
    end)
    t.case("and when a person dismisses one whose outcome is open", function()
        local s = scene(t, WITH)
        cancel(s, SOCK_1)
        s.khaos.before = function(request)
            if (request.headers.SOAPAction or ""):find("AmendOrder", 1, true) then
                return nil, khaos_sandbox.lost()
            end
        end
        s.world:attempt(flow, chain(s))
        t.equal(pending(s, JACKET), 1)
        s.world:play(flow, {event = {name = "dismissed.outcome_unknown", key = "units:" .. KEY,
            source = "test", id = "d", payload = '{"cause":"outcome_unknown","by":"eve",'
            .. '"reason":"x"}'}, settings = s.settings})
        t.equal(pending(s, JACKET), 0)
    end)
end

-- ---- histories -------------------------------------------------------------------------------

-- Calls of Khaos lose their answer or never arrive, the host is killed between two attempts.
local function unkind(s, random)
    s.khaos.before = function(request, khaos)
        local draw = random(10)
        if draw == 1 then
            khaos.answer(request)
            return nil, khaos_sandbox.lost()
        elseif draw == 2 then
            return nil, khaos_sandbox.lost()
        end
    end
end

local SKU_OF = {[SOCK_1] = SOCK, [SOCK_2] = SOCK, [JACKET_1] = JACKET}

-- A person takes off what the list asks for, sometimes.
local function clear_desk(s)
    local entry
    s.world:with(function()
        entry = wanted.get(KEY)
    end)
    for _, id in ipairs(entry and not entry.is_whole and entry.units or {}) do
        local found = quantities(s)
        if (found[SKU_OF[id]] or 0) > (entry.wanted[SKU_OF[id]] or 0) then
            person_takes_off(s, SKU_OF[id], 1)
        end
    end
end

local function by_chance(t, random)
    local s = scene(t, random(2) == 1 and WITH or nil)
    unkind(s, random)
    local gone, count = {}, 0
    for _ = 1, 6 + random(8) do
        local draw = random(5)
        local id = ({SOCK_1, SOCK_2, JACKET_1})[random(3)]
        s.world.now_ms = s.world.now_ms + 1000
        if draw == 1 and not gone[id] and count < 2 then
            gone[id], count = true, count + 1
            cancel(s, id)
        elseif draw == 2 then
            clear_desk(s)
        else
            local open = chain(s)
            for _ = 1, random(4) do
                if s.world:attempt(flow, open).done then
                    break
                end
            end
            s.open = open
        end
    end
    s.khaos.before = nil
    local _ = s.open and not s.world:attempt(flow, s.open).done and look(s)
    for _ = 1, 3 do
        look(s)
        clear_desk(s)
    end
    look(s)
    return s, gone, count
end

local function check(t, s, gone, words)
    local left, ids = {}, {}
    for _, item in ipairs(s.order.items) do
        local id = tostring(item.id)
        if gone[id] then
            ids[#ids + 1] = id
        else
            left[SKU_OF[id]] = (left[SKU_OF[id]] or 0) + 1
        end
    end
    t.equal({cancelled(s), quantities(s), causes(s)}, {ids, left, {}}, words)
    s.world:with(function()
        local lines = store.get(support.LINES, REFERENCE)
        t.equal(lines.predicted.gross_minor, in_khaos(s).totals.gross, words)
    end)
    t.equal({pending(s, SOCK, s.world.now_ms + 1), pending(s, JACKET, s.world.now_ms + 1)}, {0, 0},
        words)
end

-- One tick of the sweep asks for looks; the events that it told.
local function ask(s)
    local before = #s.world.events
    local ended = s.world:attempt({run = wanted.look_again}, chain(s))
    assert(ended.done, ended.error)
    return {table.unpack(s.world.events, before + 1)}
end

local function take(t, s, event)
    event.received_ms = s.world.now_ms
    local open = fake_job.chain({event = event, settings = s.settings})
    t.equal(s.world:attempt(flow, open).done, true)
end

local function asked_looks(t)
    -- Seen before: every tick of an outage queued another look at each order of the worklist.
    t.case("an order of the worklist has one look under way, however long that takes", function()
        local s = scene(t)
        cancel(s, SOCK_1)
        look(s)
        t.equal(causes(s), {"amend_in_khaos"})
        local first = ask(s)
        t.equal({#first, #ask(s), #ask(s)}, {1, 0, 0})
        look(s) -- another one: that which was asked for is still to come
        t.equal(#ask(s), 0)
        take(t, s, first[1])
        t.equal(#ask(s), 1)
    end)
    -- Seen before: nobody looked at the order for a day, though a person had done it in Khaos.
    t.case("a tick that is repeated after its look asks for none that never comes", function()
        local s = scene(t)
        cancel(s, SOCK_1)
        look(s)
        local tick = chain(s)
        t.equal(s.world:attempt({run = wanted.look_again}, tick).done, true)
        take(t, s, s.world.events[#s.world.events])
        local repeated = fake_job.chain({event = tick.spec.event, settings = s.settings})
        t.equal(s.world:attempt({run = wanted.look_again}, repeated).done, true)
        t.equal(#ask(s), 1)
    end)
    t.case("a look whose job was dismissed is asked for again the next day", function()
        local s = scene(t)
        cancel(s, SOCK_1)
        look(s)
        t.equal({#ask(s), #ask(s)}, {1, 0})
        s.world.now_ms = s.world.now_ms + 24 * 3600000
        t.equal({#ask(s), #ask(s)}, {1, 0})
    end)
end

return function(t)
    asked_looks(t)
    with_add_on(t)
    believing(t)
    by_hand(t)
    without_mapping(t)
    of_stock(t)
    local count = math.min(tonumber(t.settings.count) or 150, 400)
    local seed = tonumber(t.settings.seed) or 1
    t.case("histories by chance end with Khaos, book, lines and stock as SCAYLE is", function()
        local amended, units = 0, 0
        for number = 1, count do
            local state = seed * 7919 + number
            local function random(n)
                state = (state * 1103515245 + 12345) & 0x7fffffff
                return (state >> 8) % n + 1
            end
            local s, gone, taken = by_chance(t, random)
            check(t, s, gone, "history " .. number)
            amended, units = amended + (in_khaos(s).amended or 0), units + taken
        end
        t.note("%d histories, %d units cancelled, %d amendments (seed %d)", count, units, amended,
            seed)
        assert(units > count // 2 and amended > count // 8, "hardly anything happened")
    end)
end
