-- What Khaos Control Cloud should do and does not: polls and pushes that stay away, returns that it
-- does not fetch. A return was credited when it was offered, and nobody heard of one that Khaos
-- never fetched.
local cloud_taking = require("cloud_taking")
local classify = require("reports.reconcile.classify")
local downloads = require("flows.cloud_stages.downloads")
local fake_job = require("fake_job")
local json = require("neap.json")
local khaos_cloud = require("flows.khaos_cloud")
local offer = require("flows.returns_stages.offer")
local offered = require("flows.returns_stages.offered")
local order_units = require("flows.order_units")
local order_view = require("reports.reconcile.order_view")
local presence = require("flows.cloud_stages.presence")
local pushes = require("flows.cloud_stages.pushes")
local queue = require("flows.cloud_stages.queue")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local unit_book = require("flows.unit_book")
local worklist = require("flows.returns_stages.worklist")

local MINUTE_MS = 60000
local KHAOS = {kind = "cloud", silence_ms = 120 * MINUTE_MS, push_age_ms = 30 * MINUTE_MS,
    zone = "Europe/London"}
local SETTINGS = {khaos = KHAOS, poll_silence_ms = 60 * MINUTE_MS,
    stock_silence_ms = 24 * 60 * MINUTE_MS, format = "JSON", page_size = 500,
    match_address_on = {}, match_contact_on = {}, khaos_return_reason = "6"}
local CTX = {settings = SETTINGS}

local function watch(world, settings)
    local ended = world:play(khaos_cloud, {event = {name = "schedule.watch", key = "watch"},
        settings = settings or SETTINGS})
    assert(ended.done, tostring(ended.error))
end

-- Minutes in which we are there.
local function pass(world, minutes)
    for _ = 1, minutes do
        world.now_ms = world.now_ms + MINUTE_MS
        world:with(function()
            presence.beat(KHAOS.push_age_ms)
        end)
    end
end

local function hear(world, name)
    world:with(function()
        presence.heard(name, KHAOS.push_age_ms)
    end)
end

local function new_world()
    local world = fake_job.world({http = function() end})
    hear(world, "orders")
    hear(world, "stock_status")
    return world
end

local function subjects(world)
    local list = {}
    for id in pairs(world.exceptions) do
        list[#list + 1] = id
    end
    table.sort(list)
    return list
end

local function silence_tests(t)
    t.case("no download of orders for an hour is told of, and closes with the next", function()
        local world = new_world()
        pass(world, 59)
        watch(world)
        t.equal(subjects(world), {})
        pass(world, 1)
        watch(world)
        t.equal(subjects(world), {"khaos_silent orders"})
        hear(world, "orders")
        watch(world)
        t.equal(subjects(world), {})
    end)
    t.case("a channel that only stops pushing levels is told of a day later", function()
        local world = new_world()
        for _ = 1, 24 do
            pass(world, 60)
            hear(world, "orders")
        end
        watch(world)
        t.equal(subjects(world), {"khaos_silent stock_status"})
        hear(world, "stock_status")
        watch(world)
        t.equal(subjects(world), {})
    end)
    t.case("a Khaos that never called is told of", function()
        local world = fake_job.world({http = function() end})
        pass(world, 61)
        watch(world)
        t.equal(subjects(world), {"khaos_silent orders"})
    end)
    t.case("our own absence is not Khaos's silence, and does not end it", function()
        local world = new_world()
        world.now_ms = world.now_ms + 600 * MINUTE_MS
        pass(world, 59)
        watch(world)
        t.equal(subjects(world), {})
        pass(world, 2)
        watch(world)
        t.equal(subjects(world), {"khaos_silent orders"})
        world.now_ms = world.now_ms + 600 * MINUTE_MS
        pass(world, 1)
        watch(world)
        t.equal(subjects(world), {"khaos_silent orders"})
    end)
    t.case("what a person dismissed is not told of again before Khaos has called", function()
        local world = new_world()
        pass(world, 60)
        watch(world)
        world.exceptions = {}
        pass(world, 60)
        watch(world)
        t.equal(subjects(world), {})
        hear(world, "orders")
        pass(world, 60)
        watch(world)
        t.equal(subjects(world), {"khaos_silent orders"})
    end)
    t.case("without a setting four missed polls are too many", function()
        local world = new_world()
        local settings = {khaos = KHAOS, frequency_minutes = 5, stock_silence_ms = 0}
        pass(world, 19)
        watch(world, settings)
        t.equal(subjects(world), {})
        pass(world, 1)
        watch(world, settings)
        t.equal(subjects(world), {"khaos_silent orders"})
    end)
    t.case("nobody is told on-premise, nor where the setting says so", function()
        local world = new_world()
        pass(world, 90)
        watch(world, {khaos = {kind = "soap"}})
        watch(world, {khaos = KHAOS, poll_silence_ms = 0, stock_silence_ms = 0})
        t.equal(subjects(world), {})
    end)
end

-- ---- returns ---------------------------------------------------------------------------------

local KEY, REFERENCE, RETURN = "order:1", "SC1", "SC1-R1"
local LINE = {kind = "item", stock_code = "TEE", quantity = 2, import_ref = "SC-a",
    unit_ids = {"a", "b"}, vat_code = 1, value = {moved_minor = 0},
    predicted = {net_minor = 2000, tax_minor = 400, gross_minor = 2400}}

-- An order that Khaos shows, one of its two units sent and taken back by SCAYLE.
local function returned_world()
    local world = new_world()
    world:with(function()
        store.put(support.RECORDS, KEY, {order_id = "1", reference = REFERENCE, urn = "FO1",
            order_code = "SO1", accepted_ms = 1, posted_ms = 1})
        store.put(support.LINES, REFERENCE, {key = KEY, order_id = "1", currency = "GBP",
            lines = {LINE}, predicted = LINE.predicted, delivery = {predicted = {net_minor = 0,
            tax_minor = 0, gross_minor = 0}}})
        queue.put("orders", REFERENCE, KEY, {InvoiceAddress = {Line1 = "1 High Street"}})
        queue.show("orders", REFERENCE, "SO1")
        local book = unit_book.new({key = KEY, currency = "GBP", units = {
            {id = "a", sku = "TEE", line = "SC-a", paid_minor = 1200},
            {id = "b", sku = "TEE", line = "SC-a", paid_minor = 1200}}})
        unit_book.apply(book, {kind = "ship", id = "s", origin = "khaos", at_ms = 2, units = {"a"}})
        unit_book.apply(book, {kind = "return", id = "r", origin = "scayle", at_ms = 3,
            units = {"a"}})
        book.refunds = {units = {a = {minor = 1200, at_ms = 3}}}
        order_units.save(book)
    end)
    return world
end

local function offer_it(world)
    local ok, problem
    local flow = {run = function(job)
        ok, problem = offer.open_goods(job, KEY, "scayle:1")
    end}
    local ended = world:play(flow, {event = {name = "scayle.returned", key = KEY},
        settings = SETTINGS})
    assert(ended.done and ok, tostring(ended.error or problem))
end

local function download(world)
    world:with(function()
        downloads.returns(CTX, {headers = {}})
    end)
end

-- {refunded and not credited, on its way, credited in the book}
local function money(world, at_ms)
    return world:with(function()
        local view = order_view.of(KEY, support.record(KEY), at_ms or world.now_ms)
        return {view.refund_open, view.offered_open, unit_book.credited(order_units.load(KEY))}
    end)
end

-- The watch, and the jobs that it started: what they are held on is open.
local function look(world)
    hear(world, "orders")
    watch(world)
    world.waiting = world.waiting or {}
    for _, event in ipairs(world.events) do
        event.payload = json.encode(event.payload)
        world.waiting[event.key] = event
    end
    world.events = {}
    for key, event in pairs(world.waiting) do
        local ended = world:play(khaos_cloud, {event = event, settings = SETTINGS})
        assert(ended.done or ended.held, tostring(ended.error))
        world.waiting[key] = ended.held and event or nil
        for _, cause in ipairs(ended.held or {}) do
            world.exceptions[cause.cause .. " " .. cause.subject] = cause
        end
    end
end

-- A person releases or dismisses what is asked about the return.
local function act(world, how)
    local name, key = how .. ".return_not_fetched", "return:" .. RETURN
    world.exceptions["return_not_fetched " .. RETURN] = nil
    if how == "dismissed" then
        world.waiting[key] = nil
        world:play(khaos_cloud, {event = {name = name, key = key, payload = "{}"},
            settings = SETTINGS})
        return
    end
    world.mail[name] = {payload = "{}"}
    look(world)
end

local function difference(world, at_ms)
    local found = world:with(function()
        return classify.order(order_view.of(KEY, support.record(KEY), at_ms or world.now_ms))
    end)
    for _, entry in ipairs(found) do
        if entry.class == "refunded_not_credited" then
            return string.format("%s: %s %d", entry.class, entry.detail, entry.minor)
        end
    end
    return nil
end

local function return_tests(t)
    t.case("a return is credited when Khaos fetches it, once, not when it is offered", function()
        local world = returned_world()
        offer_it(world)
        offer_it(world)
        local offered_ms = world.now_ms
        t.equal(money(world), {0, 1200, 0})
        pass(world, 5)
        download(world)
        download(world)
        t.equal(money(world), {0, 0, 1200})
        t.equal(world:with(function()
            return order_view.of(KEY, support.record(KEY), world.now_ms).has_fetched
        end), true)
        t.equal({money(world, offered_ms)[2], money(world, offered_ms - 1)[1]}, {1200, 1200},
            "as it was then")
    end)
    t.case("cut short anywhere, the next run offers it whole", function()
        local writes, is_whole = 0, false
        while not is_whole do
            local world, left = returned_world(), writes
            local put = world.store.put
            world.store.put = function(...)
                left = left - 1
                return left == -1 and error("the host dies", 0) or put(...)
            end
            is_whole = world:play({run = function(job)
                offer.open_goods(job, KEY, "scayle:1")
            end}, {event = {name = "scayle.returned", key = KEY}, settings = SETTINGS}).done
            world.store.put = put
            offer_it(world)
            download(world)
            t.equal({writes, money(world)}, {writes, {0, 0, 1200}})
            writes = writes + 1
        end
        assert(writes > 5, "it writes more often than that")
    end)
    t.case("while it waits no person is asked to book it too", function()
        local world = returned_world()
        t.equal(world:with(function()
            return worklist.open_goods(order_units.load(KEY))
        end), {"a"})
        offer_it(world)
        t.equal(world:with(function()
            return worklist.open_goods(order_units.load(KEY))
        end), {})
    end)
    t.case("one that Khaos does not fetch is told of, is wrong, and closes when it does", function()
        local world = returned_world()
        offer_it(world)
        pass(world, 119)
        look(world)
        t.equal(subjects(world), {})
        pass(world, 1)
        look(world)
        t.equal(subjects(world), {"return_not_fetched " .. RETURN})
        t.equal(money(world), {1200, 0, 0})
        local told = world.exceptions["return_not_fetched " .. RETURN]
        assert(told.message:find("1 x TEE of order 1, 12.00 GBP", 1, true), told.message)
        look(world)
        download(world)
        look(world)
        t.equal({subjects(world), world.waiting}, {{}, {}})
        t.equal(money(world), {0, 0, 1200})
    end)
    local function told_world()
        local world = returned_world()
        offer_it(world)
        pass(world, 120)
        look(world)
        return world
    end
    local function is_taken_back(world)
        return world:with(function()
            return #queue.take("returns", nil, 10) == 0
        end)
    end
    t.case("a person who releases it has booked it: credited once, not fetched any more", function()
        local world = told_world()
        act(world, "released")
        act(world, "released")
        t.equal({money(world), is_taken_back(world), subjects(world)}, {{0, 0, 1200}, true, {}})
    end)
    t.case("one who dismisses it has not: never credited, fetched or asked for again", function()
        local world = told_world()
        local before_ms = world.now_ms
        pass(world, 1)
        act(world, "dismissed")
        act(world, "dismissed")
        look(world)
        download(world)
        t.equal({money(world), is_taken_back(world), subjects(world)}, {{0, 0, 0}, true, {}})
        t.equal({difference(world), difference(world, before_ms)}, {
            "refunded_not_credited: refunded in SCAYLE; a person dismissed that the return be "
                .. "booked in Khaos 1200",
            "refunded_not_credited: refunded in SCAYLE without a credit note 1200"})
        t.equal(world:with(function()
            return worklist.open_goods(order_units.load(KEY))
        end), {})
    end)
    t.case("a dismissal that Khaos's download overtook changes nothing", function()
        local world = told_world()
        download(world)
        act(world, "dismissed")
        t.equal(money(world), {0, 0, 1200})
    end)
    t.case("one that is erased before it is fetched is for a person at once", function()
        for how, credited in pairs({released = 1200, dismissed = 0}) do
            local world = returned_world()
            offer_it(world)
            world:with(function()
                store.delete("personal_cloud_returns", KEY .. "\n" .. RETURN)
            end)
            download(world)
            t.equal(money(world), {0, 1200, 0})
            look(world)
            t.equal(money(world), {1200, 0, 0})
            t.matches(world.exceptions["return_not_fetched " .. RETURN].message, "was erased")
            act(world, how)
            t.equal({subjects(world), money(world)}, {{}, {0, 0, credited}})
        end
    end)
    t.case("one that is erased after it was told of is not waited for any more", function()
        local world, id = told_world(), "return_not_fetched " .. RETURN
        t.matches(world.exceptions[id].remedy, "closes by itself")
        world:with(function()
            store.delete("personal_cloud_returns", KEY .. "\n" .. RETURN)
        end)
        download(world)
        watch(world)
        t.matches(world.exceptions[id].message, "was erased")
        t.equal(world.exceptions[id].remedy:find("closes by itself", 1, true), nil)
        act(world, "dismissed")
        look(world)
        t.equal(subjects(world), {})
    end)
    t.case("one that was told of without a job gets one, and is settled by a person", function()
        for how, credited in pairs({released = 1200, dismissed = 0}) do
            local world = returned_world()
            offer_it(world)
            pass(world, 120)
            world:with(function() -- as a watch did that opened the exception itself
                offered.tell(RETURN)
            end)
            world.exceptions["return_not_fetched " .. RETURN] = {cause = "return_not_fetched",
                subject = RETURN, recheck = "proof"}
            look(world)
            look(world)
            t.equal(next(world.waiting), "return:" .. RETURN)
            act(world, how)
            t.equal({subjects(world), money(world)[3], is_taken_back(world)}, {{}, credited, true})
        end
    end)
    -- Offered before offers were kept in the order's book.
    t.case("an erased return that no book knows is told all the same", function()
        local world = returned_world()
        offer_it(world)
        local function erased(reference)
            local ended = world:play(khaos_cloud, {event = {name = "document.erased",
                key = "khaos_cloud:" .. reference,
                payload = json.encode({kind = "returns", reference = reference})},
                settings = SETTINGS})
            assert(ended.done, tostring(ended.error))
            return world.exceptions["erased_before_fetch " .. reference]
        end
        t.equal(erased(RETURN), nil)
        t.matches(erased("R-OLD").message, "Return R%-OLD was erased before")
    end)
end

-- Pushes are kept, and taken later, or not.
local function keep(world, name)
    return world:with(function()
        return pushes.route(name)(CTX, {body = name == "stock" and '{"Items":[]}'
            or '{"Statuses":[]}'}).events[1]
    end)
end

local function take_push(world, event)
    world:with(function()
        pushes.take(cloud_taking.job(event, SETTINGS, world))
    end)
end

local function queue_tests(t)
    t.case("a push that is not taken is told of with those behind it, and no other queue waits",
        function()
            local world = new_world()
            local stuck, behind = keep(world, "stock"), keep(world, "stock_status")
            local order = keep(world, "order_status")
            take_push(world, order)
            t.equal(order.key ~= stuck.key, true)
            pass(world, 29)
            watch(world)
            t.equal(subjects(world), {})
            pass(world, 1)
            watch(world)
            t.equal(subjects(world), {"pushes_wait stock"})
            t.matches(world.exceptions["pushes_wait stock"].message, "2 pushes .* one of stock "
                .. "that came at 2026%-05%-04T10:03:00")
            take_push(world, stuck)
            take_push(world, behind)
            watch(world)
            t.equal(subjects(world), {})
        end)
    t.case("one whose job was dismissed is not waited for when a later one is taken", function()
        local world = new_world()
        keep(world, "order_status")
        local later = keep(world, "order_status")
        pass(world, 30)
        watch(world)
        t.equal(subjects(world), {"pushes_wait orders"})
        take_push(world, later)
        watch(world)
        t.equal(subjects(world), {})
    end)
    t.case("an event that the flow has no work for ends with a word", function()
        local world = new_world()
        world:play(khaos_cloud, {event = {name = "withdrawn.shown", key = "x", payload = "{}"},
            settings = SETTINGS})
        t.equal(world.notes, {"khaos_cloud: nothing to do for event withdrawn.shown"})
    end)
    t.case("what waits while we are away is not late", function()
        local world = new_world()
        keep(world, "stock")
        world.now_ms = world.now_ms + 600 * MINUTE_MS
        pass(world, 1)
        watch(world)
        t.equal(subjects(world), {})
    end)
end

return function(t)
    silence_tests(t)
    queue_tests(t)
    return_tests(t)
end
