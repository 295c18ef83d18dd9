--- SCAYLE's cancellation call: by which names an order is known, and whose units it is about.
local fake_job = require("fake_job")
local flow = require("flows.cancellations")
local json = require("neap.json")
local order_units = require("flows.order_units")
local schema = require("lib.schema")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local unit_book = require("flows.unit_book")

local KEY = "order:fo:7"
local DAY_MS = 86400000

local function settings()
    local given = {merchant_key = "fellside"}
    assert(schema.check(flow.schema, given, "settings"))
    return schema.with_defaults(flow.schema, given)
end

-- A world with one posted order, known by these names; live for 100 days.
local function world(names, more, http)
    local w = fake_job.world({http = http or function() end})
    w:with(function()
        local record = {order_id = "7", shop_key = "fo", country = "GB", merchant = "fellside",
            order_code = "SO7", reference = "SC7"}
        store.put(support.RECORDS, KEY, record)
        order_units.begin(KEY, {currency = "GBP", predicted = {gross_minor = 100}, lines = {
            {kind = "item", stock_code = "A", import_ref = "L", unit_ids = {"101"},
                predicted = {gross_minor = 100}, value = {moved_minor = 0}}}}, {order_id = "7"})
        for _, name in ipairs(names) do
            support.call_by(name, KEY)
        end
        for table_name, key in pairs(more or {}) do
            store.put(table_name, key, {})
        end
    end)
    return w
end

-- What SCAYLE gets; nil while it is not decided. And whether a job was begun.
local function ask(w, name, merchant)
    local body = json.encode({orderReferenceKey = name,
        fulfillingMerchantKey = merchant or "fellside"})
    local reply = w:call(flow, "cancellation", {body = body}, settings())
    local function result(answer)
        return answer and json.decode(answer.body).cancellationResult
    end
    if not reply.events then
        return result(reply), false
    end
    local event, answered = reply.events[1], nil
    event.payload = body
    w:attempt({run = function(job)
        getmetatable(job).answer = function(_, answer)
            answered = answer
        end
        flow.run(job)
    end}, fake_job.chain({event = event, settings = settings(),
        live_from_ms = w.now_ms - 100 * DAY_MS}))
    return result(answered), true
end

local function causes(w)
    local list = {}
    for _, entry in pairs(w.exceptions) do
        list[#list + 1] = entry.cause
    end
    return list
end

local function tombs(w)
    local list = {}
    for _, event in ipairs(w.events) do
        list[#list + 1] = event.name == "cancellation" and event.key or nil
    end
    return list
end

-- Seen before: SCAYLE was told "failed", and the order, which came later, was ended all the same.
local function tombstones(t)
    t.case("an order that was called cancelled is never posted", function()
        local w = world({})
        t.equal({ask(w, "fogb-8"), tombs(w)}, {"successful", {"reference:fogb-8"}})
    end)
    t.case("one whose cancellation was refused because nobody knew it is", function()
        local w = world({"SO7"}, {[support.UNNAMED] = KEY})
        t.equal({ask(w, "fogb-8"), tombs(w)}, {"failed", {}})
    end)
end

local function unheard(t)
    -- Seen before: Khaos had cancelled it, the answer came too late, and SCAYLE asked no more.
    t.case("SCAYLE is told of a cancellation that it did not hear of", function()
        local told = {}
        local w = world({"fogb-7"}, nil, function(request)
            if request.method == "GET" then
                return {status = 200, headers = {}, elapsed_ms = 1, body = json.encode({id = 7,
                    items = {{id = 101, status = "available"}}})}
            end
            table.insert(told, json.decode(request.body).items[1].orderItemId)
            return {status = 204, headers = {}, body = "", elapsed_ms = 1}
        end)
        w:with(function()
            store.put("cancellations", "fogb-7", {tries = 1, until_ms = 0, result = "successful"})
        end)
        local given = settings()
        local event = {name = "cancellation.unheard", key = "k", source = "test", id = "1",
            payload = json.encode({orderReferenceKey = "fogb-7"})}
        w:play(flow, {settings = given, live_from_ms = w.now_ms, event = event})
        t.equal(told, {101})
        w:with(function()
            store.put("cancellations", "fogb-7", {tries = 1, until_ms = 0, result = "successful",
                is_heard = true})
        end)
        event.id = "2"
        w:play(flow, {settings = given, live_from_ms = w.now_ms, event = event})
        t.equal(#told, 1)
    end)
    t.case("an order that never comes to rest is not forgotten", function()
        local w = world({})
        w:with(function()
            store.put(support.RECORDS, "order:fo:8", {order_id = "8", shop_key = "fo",
                country = "GB", merchant = "fellside"})
            support.call_by("fogb-8", "order:fo:8")
        end)
        local given = settings()
        given.look_after_ms = DAY_MS
        local ended, waits = w:play(flow, {settings = given, live_from_ms = w.now_ms,
            event = {name = "cancellation.unheard", key = "k", source = "test", id = "1",
                payload = json.encode({orderReferenceKey = "fogb-8"})}})
        t.equal({ended, #waits, causes(w)}, {{done = true}, 7, {"cancellation_undecided"}})
    end)
end

return function(t)
    unheard(t)
    tombstones(t)
    t.case("a posted order is known by SCAYLE's name and by the code we wrote back", function()
        for _, name in ipairs({"fogb-7", "SO7"}) do
            local w = world({"fogb-7", "SO7"})
            t.equal({ask(w, name), causes(w)}, {"failed", {"cancel_in_khaos"}})
        end
    end)
    t.case("what SCAYLE is being told of as sent has left", function()
        local w = world({"fogb-7"})
        w:with(function()
            local book = order_units.load(KEY)
            book.parcels = {p = {units = {"101"}}}
            order_units.save(book)
        end)
        t.equal({ask(w, "fogb-7"), causes(w)}, {"failed", {"cancel_too_late"}})
    end)
    t.case("an unknown name was never posted", function()
        local w = world({"fogb-7", "SO7"})
        t.equal({ask(w, "fogb-8"), causes(w)}, {"successful", {}})
    end)
    t.case("unless an order is here whose name in SCAYLE nobody told", function()
        local w = world({"SO7"}, {[support.UNNAMED] = KEY})
        t.equal({ask(w, "fogb-8"), causes(w)}, {"failed", {"cancellation_unknown"}})
    end)
    t.case("which ends when all of it has left", function()
        local w = world({"SO7"}, {[support.UNNAMED] = KEY})
        w:with(function()
            local book = order_units.load(KEY)
            unit_book.apply(book, {kind = "ship", id = "s", origin = "khaos", at_ms = 1,
                units = {"101"}})
            order_units.save(book)
        end)
        t.equal(ask(w, "fogb-8"), "successful")
    end)
    -- Seen before: "successful, never posted", and the one entered in Khaos by hand was sent.
    t.case("one that a person dismissed somebody deals with by hand", function()
        local w = world({"fogb-7"})
        w:with(function()
            store.put(support.RECORDS, KEY, {order_id = "7", shop_key = "fo", country = "GB",
                ended = "dismissed by eve: entered as SO991"})
        end)
        t.equal({ask(w, "fogb-7"), causes(w)}, {"failed", {"cancellation_unknown"}})
    end)
    -- Seen before: a stranger's key that is a number counted as ours.
    t.case("nor what a number names that is not ours, or nothing readable", function()
        local w = world({"fogb-7"})
        t.equal({ask(w, "fogb-7", 12), causes(w)}, {"failed", {}})
        local reply = w:call(flow, "cancellation", {body = json.encode({
            orderReferenceKey = "fogb-7", fulfillingMerchantKey = {key = "fellside"}})}, settings())
        t.equal({reply.status, reply.events}, {400})
    end)
    t.case("what another merchant holds of the order is not ours to cancel", function()
        local w = world({"fogb-7"})
        t.equal({ask(w, "fogb-7", "other")}, {"failed", false})
        t.equal(causes(w), {})
    end)
end
