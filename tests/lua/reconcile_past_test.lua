--- The same moment gives the same figures, whatever comes later: random histories of one order,
--- its view and its differences at each instant, compared again at the end. A refund that waited
--- for its turn was once booked at the instant of its message, and some facts had no instant:
--- a month-end that tied became a difference later, and differences vanished.
---
---     neap test --lua --set count=5000 --set seed=1 tests/lua/reconcile_past_test.lua
local baskets = require("baskets")
local classify = require("reports.reconcile.classify")
local despatch = require("flows.despatch")
local fake_job = require("fake_job")
local json = require("neap.json")
local offered = require("flows.returns_stages.offered")
local order_history = require("flows.order_history")
local order_units = require("flows.order_units")
local order_view = require("reports.reconcile.order_view")
local returns = require("flows.returns")
local returns_world = require("returns_world")
local schema = require("lib.schema")
local smaller = require("flows.unit_stages.smaller")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local unit_book = require("flows.unit_book")

local KEY, DAY_MS = returns_world.KEY, 24 * 3600000
local DELIVERY = {category = "delivery", key = "base"}
local DESPATCH = schema.with_defaults(despatch.schema, {merchant_key = "fellside", carriers = {},
    returns_flow = "returns"})

-- ---- the order -------------------------------------------------------------------------------

local function line(name, id, minor)
    return {kind = id and "item" or "charge", import_ref = name, unit_ids = json.array({id}),
        vat_code = id == "101" and 2 or 1, value = {moved_minor = 0},
        predicted = {gross_minor = minor, net_minor = minor * 5 // 6}}
end

-- What is remembered of the posting: the units of the book that are not gone, and its delivery.
local function digest_of(units, delivery_minor)
    local digest, total = {lines = {}, paid = {}, units = units}, delivery_minor
    for i, unit in ipairs(units) do
        digest.lines[i] = line(unit.line, unit.id, unit.paid_minor)
        total = total + unit.paid_minor
    end
    digest.delivery = line("delivery", nil, delivery_minor)
    digest.charges = {{name = "delivery", minor = delivery_minor, credits = {}}}
    digest.predicted, digest.gross_to_net = {gross_minor = total}, {}
    return digest
end

local function remember(w)
    w.job:with(function()
        local lines = store.get(support.LINES, "SC7")
        for name, value in pairs(digest_of(w.units, 495)) do
            lines[name] = value
        end
        store.put(support.LINES, "SC7", lines)
        local record = support.record(KEY)
        record.accepted_ms, record.posted_ms = w.job.now_ms - 13 * DAY_MS, w.job.now_ms
        store.put(support.RECORDS, KEY, record)
        order_history.add(KEY, "ordered", {minor = lines.predicted.gross_minor, currency = "GBP"})
    end)
end

-- SCAYLE takes what the despatch flow tells too.
local function scayle_of_despatch(w)
    local http = w.job.http
    w.job.http = function(request)
        if not (request.path or ""):find("^/fulfillment/cancellations") then
            return http(request)
        end
        for _, item in ipairs(json.decode(request.body).items) do
            w.status[tostring(item.orderItemId)] = "cancelled"
        end
        return {status = 204, headers = {}, body = "", elapsed_ms = 1}
    end
end

-- ---- a history -------------------------------------------------------------------------------

-- What a reconciliation says of the order at an instant, to the byte.
local function figures(sim, at_ms)
    return sim.w.job:with(function()
        local view = order_view.of(KEY, support.record(KEY), at_ms)
        local words = {}
        for _, stages in pairs(view.codes) do
            for stage, sums in pairs(stages) do
                words[#words + 1] = string.format("%s %d %d", stage, sums.net, sums.gross)
            end
        end
        table.sort(words)
        for _, found in ipairs(classify.order(view)) do
            words[#words + 1] = string.format("%s: %s %d", found.class, found.detail, found.minor)
        end
        return table.concat(words, "\n")
    end)
end

-- Jobs of a key run one at a time; between their waits others run.
local function queue(sim, event, flow, settings)
    event.received_ms = sim.w.job.now_ms
    local list = sim.jobs[event.key] or {}
    sim.jobs[event.key] = list
    table.insert(list, {flow = flow or returns, chain = fake_job.chain({event = event,
        settings = settings or sim.w.settings})})
    sim.keys[#sim.keys + 1] = #list == 1 and event.key or nil
end

local function run_one(sim)
    local i = #sim.keys > 0 and sim.random:up_to(#sim.keys)
    if not i then
        return
    end
    local list = sim.jobs[sim.keys[i]]
    local ended = sim.w.job:attempt(list[1].flow, list[1].chain)
    assert(ended.done or ended.held or ended.waits or ended.error.retryable, tostring(ended.error))
    if ended.done or ended.held then
        table.remove(list, 1)
    end
    if #list == 0 then
        table.remove(sim.keys, i)
    end
    while #sim.w.job.events > 0 do
        local event = table.remove(sim.w.job.events, 1)
        event.payload = json.encode(event.payload)
        if not event.flow or event.flow == "returns" then
            queue(sim, event)
        end
    end
end

local function any_unit(sim)
    return sim.w.units[sim.random:up_to(#sim.w.units)]
end

local function change(sim, fn)
    sim.w.job:with(function()
        order_units.change(KEY, fn)
    end)
end

local function refund_message(sim, said)
    said.kind = "refund"
    for _ = 1, sim.random:up_to(2) do
        queue(sim, sim.w:message("scayle.refund", {kind = "refund", amount = said.amount,
            refund_id = said.refund_id, fees = said.fees}))
    end
end

local MOVES = {
    function(sim) -- a unit comes back to SCAYLE
        local id = any_unit(sim).id
        if not sim.w.status[id] then
            sim.w.status[id] = "returned"
            queue(sim, sim.w:message("scayle.returned", {kind = "returned", units = {id}}))
        end
    end,
    function(sim) -- an agent refunds an amount, often one that a unit costs
        sim.refunds = sim.refunds + 1
        local minor = sim.random:up_to(2) == 1 and any_unit(sim).paid_minor
            or sim.random:up_to(300)
        refund_message(sim, {amount = minor, refund_id = "RF" .. sim.refunds})
    end,
    function(sim) -- the delivery is refunded, whole or in part, by messages that name it or not
        sim.refunds = sim.refunds + 1
        local minor = sim.random:up_to(2) == 1 and 495 or 165
        local fee = {category = DELIVERY.category, key = DELIVERY.key, minor = minor}
        local has_id = sim.random:up_to(2) == 1
        refund_message(sim, {fees = {fee}, refund_id = has_id and "RF" .. sim.refunds or nil,
            amount = has_id and minor or nil})
    end,
    function(sim) -- fees that are no charge, one or two alike
        local fee = {category = "payment", key = "p", minor = 100}
        refund_message(sim, {fees = {fee, sim.random:up_to(2) == 1 and fee or nil}})
    end,
    function(sim) -- SCAYLE charges more of them than it showed before
        table.insert(sim.w.fees, {category = "payment", key = "p", minor = 100})
    end,
    function(sim) -- SCAYLE cancels a unit
        local unit = any_unit(sim)
        if unit.is_here and not sim.w.status[unit.id] then
            sim.w.status[unit.id] = "cancelled"
            refund_message(sim, {})
        end
    end,
    function(sim) -- Khaos cancels what has not left
        sim.shown = sim.shown + 1
        sim.w.job:with(function()
            store.put("despatch_seen", "SC7", {number = sim.shown, snapshot = {parcels = {},
                order_code = "SO7", reference = "SC7", is_cancelled = true}})
        end)
        queue(sim, {name = "khaos.status", source = "khaos.status", key = "despatch:" .. KEY,
            id = tostring(sim.shown), payload = json.encode({reference = "SC7"})}, despatch,
            DESPATCH)
    end,
    function(sim) -- a unit leaves; its invoice may be issued later
        local unit = any_unit(sim)
        change(sim, function(book)
            local id = "I" .. unit.id
            if unit_book.state(unit_book.unit(book, unit.id)) == "open" then
                book.parcels[id] = {number = 9, units = json.array({unit.id}), is_told = true,
                    told = json.array({}), items = json.array({}), shipment = id,
                    is_unissued = sim.random:up_to(2) == 1 or nil}
                unit_book.apply(book, {kind = "ship", id = "khaos:" .. id, origin = "khaos",
                    at_ms = sim.w.job.now_ms, units = {unit.id}})
            elseif book.parcels[id] then
                book.parcels[id].issued_ms = book.parcels[id].issued_ms or sim.w.job.now_ms
            end
        end)
    end,
    function(sim) -- Khaos credits goods, often another amount than they cost
        local unit = any_unit(sim)
        local less = sim.random:up_to(2) == 1 and sim.random:up_to(unit.paid_minor) or 0
        queue(sim, (sim.w:note({[unit.sku] = 1}, unit.paid_minor - less)))
    end,
    function(sim) -- Khaos credits money, the delivery or goodwill
        local is_delivery = sim.random:up_to(2) == 1
        local minor = is_delivery and 495 or sim.random:up_to(300)
        queue(sim, (sim.w:note({}, minor, {delivery = is_delivery and 495 or 0,
            net = sim.random:up_to(2) == 1 and minor * 5 // 6 or nil})))
    end,
    function(sim) -- the order in Khaos is another one: a unit less, pennies elsewhere
        sim.w.job:with(function()
            local left, book = {}, order_units.load(KEY)
            for _, unit in ipairs(book.units) do
                local is_gone = unit_book.state(unit) == "cancelled"
                left[#left + 1] = not is_gone and {id = unit.id, sku = unit.sku, line = unit.line,
                    paid_minor = unit.paid_minor + sim.random:up_to(3) - 2} or nil
            end
            smaller.adopt(KEY, "SC7", digest_of(left, 495))
        end)
    end,
    function(sim) -- the delegation comes after the webhook
        sim.w.job:with(function()
            local record = support.record(KEY)
            record.delegated_ms = record.delegated_ms or sim.w.job.now_ms
            store.put(support.RECORDS, KEY, record)
        end)
    end,
    function(sim) -- a return is offered to Khaos Control Cloud
        change(sim, function(book)
            for _, unit in ipairs(book.units) do
                local is_free = not next(unit.credits) and not offered.open_units(book)[unit.id]
                if unit.returned and is_free then
                    sim.offers = sim.offers + 1
                    offered.add(book, "o" .. sim.offers, {reference = "R" .. sim.offers,
                        units = json.array({unit.id}),
                        credits = json.array({{unit = unit.id, minor = unit.paid_minor}})})
                    return
                end
            end
        end)
    end,
    function(sim) -- and fetched, or a person is told that it is not and dismisses it
        local act = sim.random:pick({offered.fetched, offered.tell, offered.dismiss})
        sim.w.job:with(function()
            act("R" .. math.max(1, sim.offers))
        end)
    end,
}

-- What was told at each instant, told again.
local function compare(sim)
    for i, past in ipairs(sim.past) do
        local now = figures(sim, past.at_ms)
        if now ~= past.figures then
            error(string.format("instant %d of %d was\n%s\nand is\n%s", i, #sim.past, past.figures,
                now), 0)
        end
    end
end

local function history(random)
    local units = {}
    for i = 1, 1 + random:up_to(3) do
        units[i] = {random:pick({"TEE", "SOCK"}), 500 + random:up_to(1000),
            is_here = random:up_to(2) == 1}
    end
    local w = returns_world.new(units, {tell_goodwill = random:up_to(2) == 1})
    local sim = {w = w, random = random, jobs = {}, keys = {}, past = {}, refunds = 0, shown = 0,
        offers = 0}
    change(sim, function(book)
        book.parcels = {}
    end)
    remember(w)
    scayle_of_despatch(w)
    for _ = 1, 40 do
        if random:up_to(3) == 1 then
            MOVES[random:up_to(#MOVES)](sim)
        else
            run_one(sim)
        end
        table.insert(sim.past, {at_ms = w.job.now_ms, figures = figures(sim, w.job.now_ms)})
        w.job.now_ms = w.job.now_ms + random:up_to(2 * 3600000)
    end
    compare(sim)
end

return function(t)
    local count, seed = tonumber(t.settings.count) or 150, tonumber(t.settings.seed) or 1
    t.case("what is told as of a moment stays, whatever comes later", function()
        local random = baskets.random(seed)
        for i = 1, count do
            local ok, message = pcall(history, random)
            assert(ok, string.format("history %d of seed %d: %s", i, seed, tostring(message)))
        end
        t.note("%d histories of 40 instants (seed %d)", count, seed)
    end)
end
