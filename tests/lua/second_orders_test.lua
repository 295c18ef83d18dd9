--- An order that is changed in Khaos by deleting and importing it anew (contract 8.6) is shown as
--- cancelled, and under another code: in whichever order Khaos Control Cloud pushes the two, SCAYLE
--- never hears that an order is cancelled which lives on under the other code.
local cloud_taking = require("cloud_taking")
local fake_job = require("fake_job")
local flow = require("flows.despatch")
local json = require("neap.json")
local queue = require("flows.cloud_stages.queue")
local rehearsed_order = require("flows.rehearsal.order")
local scayle = require("flows.rehearsal.scayle")
local schema = require("lib.schema")
local store = require("neap.store")
local support = require("flows.order_stages.support")

local KEY, REFERENCE = "order:main:7", "SC7"
local HOUR_MS = 3600000
local OLD = {OrderCode = "SO7", Status = "Cancelled"}
local NEW = {OrderCode = "SO8", Status = "Received"}
local SENT = {OrderCode = "SO8", Status = "Complete", Shipments = {{ID = "1", Code = "S1",
    Status = "Issue", Items = {{SKU = "A", Quantity = 2}},
    Packages = {{ConsignmentRef = "1Z", Courier = {Code = "DPD"}}}}}}

local function world()
    local given = {merchant_key = "fellside", carriers = {DPD = "dpd"}, khaos = {kind = "cloud"}}
    assert(schema.check(flow.schema, given, "settings"))
    local order = schema.with_defaults(rehearsed_order.FIELD, {id = "7",
        lines = {{stock_code = "A", units = {"101", "102"}}}})
    local shop, references = scayle.new(order, "fellside"), {}
    local w = fake_job.world({http = function(request)
        if request.method == "PUT" then
            references[#references + 1] = json.decode(request.body).referenceKey
            return {status = references.status or 200, headers = {}, elapsed_ms = 1,
                body = json.encode({id = 7, referenceKey = references[#references]})}
        end
        return shop:answer(request)
    end})
    w.references, w.shop, w.jobs, w.seen = references, shop, {}, 0
    w.settings = schema.with_defaults(flow.schema, given)
    w:with(function()
        rehearsed_order.keep(order, "fellside")
        queue.show("orders", REFERENCE, "SO7")
    end)
    return w
end

-- Every event of the despatch flow has its job.
local function start(w, events)
    for _, event in ipairs(events) do
        event.payload = type(event.payload) == "string" and event.payload
            or json.encode(event.payload)
        w.jobs[#w.jobs + 1] = {chain = fake_job.chain({event = event, settings = w.settings}),
            name = event.name}
    end
end

local function push(w, ...)
    local statuses = json.array({})
    for i, status in ipairs({...}) do
        statuses[i] = {AssociatedRef = REFERENCE}
        for name, value in pairs(status) do
            statuses[i][name] = value
        end
    end
    local job = w:with(function()
        return cloud_taking.push("order_status", {khaos = {despatch_flow = "despatch",
            push_age_ms = 60000}, orders_flow = "orders"}, {Statuses = statuses}, w)
    end)
    start(w, job.emitted)
end

-- One attempt of every job that is not done; false when none is left.
local function attempt(w)
    local is_left = false
    for _, job in ipairs(w.jobs) do
        if not job.is_done then
            job.ended = w:attempt(flow, job.chain)
            assert(not job.ended.error, tostring(job.ended.error))
            job.is_done, is_left = job.ended.done, true
        end
    end
    start(w, table.move(w.events, w.seen + 1, #w.events, 1, {}))
    w.seen = #w.events
    return is_left
end

-- Goes on until every job is done, or held.
local function settle(w)
    for _ = 1, 4 do
        attempt(w)
        w.now_ms = w.now_ms + 2 * HOUR_MS
    end
end

local function told(w)
    local list = {}
    for _, one in ipairs(w.shop.told) do
        list[#list + 1] = one.kind .. " " .. table.concat(one.units, ",")
    end
    return list
end

local function open(w)
    local list = {}
    for id in pairs(w.exceptions) do
        list[#list + 1] = id
    end
    for _, job in ipairs(w.jobs) do
        for _, cause in ipairs(job.ended and job.ended.held or {}) do
            local id = cause.cause .. " " .. cause.subject
            list[#list + 1] = not w.exceptions[id] and id or nil
        end
    end
    table.sort(list)
    return list
end

-- What was held runs again, from fresh steps.
local function again(w)
    for _, job in ipairs(w.jobs) do
        if not job.is_done and job.ended and job.ended.held then
            job.chain = fake_job.chain(job.chain.spec)
        end
    end
end

local function say(w, verb, cause, subject)
    w.mail[verb .. "." .. cause] = {payload = json.encode({by = "eve", reason = "looked",
        cause = cause, subject = subject})}
    w.exceptions[cause .. " " .. subject] = nil
    again(w)
end

local ORDERS = {
    {"the new one first", {NEW}, {OLD}}, {"the old one first", {OLD}, {NEW}},
    {"both at once, the new one first", {NEW, OLD}},
    {"both at once, the old one first", {OLD, NEW}},
}

local function replaced(order)
    local w = world()
    for i = 2, #order do
        push(w, table.unpack(order[i]))
        attempt(w)
        w.now_ms = w.now_ms + HOUR_MS // 2
    end
    return w
end

local function of_order(t)
    for _, order in ipairs(ORDERS) do
        t.case("an order that lives on under another code is not cancelled: " .. order[1],
            function()
                local w = replaced(order)
                settle(w)
                t.equal(told(w), {})
                t.equal(#open(w), 1)
                t.matches(open(w)[1], "^duplicate_in_khaos SC7")
            end)
        t.case("released, the other one is followed: " .. order[1], function()
            local w = replaced(order)
            settle(w)
            say(w, "released", "duplicate_in_khaos", open(w)[1]:match("^%S+ (.*)$"))
            attempt(w)
            push(w, SENT)
            settle(w)
            t.equal({told(w), open(w)}, {{"shipment 101,102"}, {}})
        end)
        for _, ending in ipairs({"dismissed", "cancelled too"}) do
            t.case(ending .. ", SCAYLE is told that it is cancelled: " .. order[1], function()
                local w = replaced(order)
                settle(w)
                if ending == "dismissed" then
                    say(w, "dismissed", "duplicate_in_khaos", open(w)[1]:match("^%S+ (.*)$"))
                else
                    push(w, {OrderCode = "SO8", Status = "Cancelled"})
                end
                settle(w)
                t.equal({told(w), open(w)}, {{"cancellation 101,102"}, {}})
            end)
        end
    end
end

local function alone(t)
    t.case("a cancelled order with no other is told when it has settled", function()
        local w = world()
        push(w, OLD)
        attempt(w)
        t.equal({told(w), w.jobs[1].ended.waits.ms}, {{}, HOUR_MS})
        settle(w)
        t.equal({told(w), open(w)}, {{"cancellation 101,102"}, {}})
    end)
    t.case("one that lives again meanwhile is not", function()
        local w = world()
        push(w, OLD)
        attempt(w)
        push(w, {OrderCode = "SO7", Status = "Received"})
        settle(w)
        t.equal({told(w), open(w)}, {{}, {}})
    end)
    t.case("what a person said before ours was cancelled says nothing of that", function()
        local w = world()
        push(w, NEW)
        attempt(w)
        say(w, "dismissed", "duplicate_in_khaos", REFERENCE)
        attempt(w)
        push(w, OLD)
        settle(w)
        t.equal({told(w), open(w)}, {{}, {"duplicate_in_khaos SC7 v2"}})
        t.matches(w.exceptions["duplicate_in_khaos SC7 v2"].message, "SO7, which is cancelled")
    end)
    t.case("nothing waits where SCAYLE has nothing to hear", function()
        local w = world()
        push(w, OLD)
        settle(w)
        push(w, {OrderCode = "SO7", Status = "Cancelled", CustomData = REFERENCE})
        t.equal({attempt(w), #told(w)}, {false, 1})
    end)
end

local function late(t)
    t.case("another order after SCAYLE was told: it must not be sent", function()
        local w = world()
        push(w, OLD)
        settle(w)
        push(w, NEW)
        settle(w)
        t.matches(w.exceptions["duplicate_in_khaos SC7"].message,
            "SCAYLE was told that SO7 is cancelled")
        say(w, "released", "duplicate_in_khaos", REFERENCE)
        settle(w)
        w:with(function()
            t.equal(store.get(support.LINES, REFERENCE).order_code, "SO7")
        end)
        t.equal(open(w), {"duplicate_in_khaos SC7"})
    end)
end

local DOUBT = "cancelled_or_anew"

-- Khaos asks for the order by name after it has shown it, and its import fails for days.
local function fetched_again()
    local w = world()
    w.now_ms = w.now_ms + 1000
    push(w, OLD)
    w:with(function()
        queue.take_these("orders", {REFERENCE})
    end)
    settle(w)
    return w
end

local function asked(t)
    t.case("Khaos has fetched a cancelled order anew: a person says what it is", function()
        local w = fetched_again()
        t.equal({told(w), open(w)}, {{}, {DOUBT .. " SO7"}})
        say(w, "released", DOUBT, "SO7")
        settle(w)
        t.equal({told(w), open(w)}, {{"cancellation 101,102"}, {}})
    end)
    t.case("the other one answers that", function()
        local w = fetched_again()
        push(w, NEW)
        again(w) -- the push closes what was asked
        settle(w)
        t.equal(told(w), {})
        t.matches(open(w)[1], "^duplicate_in_khaos SC7")
    end)
end

-- An order whose code SCAYLE shows, followed as another one.
local function followed(status, acknowledged)
    local w = world()
    w.references.status = status
    w:with(function()
        local record = store.get(support.RECORDS, KEY)
        record.acknowledged = acknowledged
        store.put(support.RECORDS, KEY, record)
    end)
    push(w, NEW)
    attempt(w)
    say(w, "released", "duplicate_in_khaos", REFERENCE)
    return w
end

-- Seen before: SCAYLE went on showing the code of an order that Khaos had cancelled.
local function named(t)
    t.case("SCAYLE shows the code of the order that is followed", function()
        local w = followed(nil, true)
        settle(w)
        t.equal({w.references, open(w)}, {{"SO8"}, {}})
        w:with(function()
            t.equal(store.get(support.REFERENCES, "SO8"), {key = KEY})
        end)
    end)
    t.case("but not where it shows none of ours", function()
        local w = followed(nil, nil)
        settle(w)
        t.equal(w.references, {})
    end)
    t.case("an answer that is lost is asked for again", function()
        local w = followed(503, true)
        t.equal(w:attempt(flow, w.jobs[1].chain).error.retryable, true)
        w.references.status = nil
        t.equal({w:attempt(flow, w.jobs[1].chain).done, w.references}, {true, {"SO8", "SO8"}})
    end)
    t.case("one that is refused is for a person", function()
        local w = followed(409, true)
        attempt(w)
        t.equal({open(w), #w.references}, {{"reference_refused 7"}, 1})
    end)
    t.case("followed back, it shows the first one again", function()
        local w = followed(nil, true)
        settle(w)
        push(w, {OrderCode = "SO7", Status = "Received"})
        attempt(w)
        say(w, "released", "duplicate_in_khaos", "SC7 v2")
        settle(w)
        t.equal(w.references, {"SO8", "SO7"})
    end)
end

return function(t)
    of_order(t)
    alone(t)
    late(t)
    asked(t)
    named(t)
end
