-- Reconciliation of orders on Khaos Control Cloud, from the mapper's posting on.
local classify = require("reports.reconcile.classify")
local fake_job = require("fake_job")
local order_support = require("order_support")
local order_units = require("flows.order_units")
local order_view = require("reports.reconcile.order_view")
local posted_lines = require("flows.order_stages.posted_lines")
local queue = require("flows.cloud_stages.queue")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local unit_book = require("flows.unit_book")

local KEY = "order:1"
local VOUCHER = {category = "voucher", type = "absolute", code = "FIVE",
    amount = {absoluteWithTax = 500}}

local function order()
    local made = order_support.order({order_support.item(1, "A", 1000),
        order_support.item(2, "B", 3000)})
    made.cost.withTax, made.payment[1].amount = 3500, 3500
    made.cost.appliedReductions = {VOUCHER}
    return made
end

-- The view and the differences of an order that Khaos shows, with 5.00 off the whole of it.
local function shown(t, fn)
    local result = order_support.map(order(), {mappings = order_support.mappings(nil,
        {{match = {category = "voucher"}, becomes = "value_discount"}})})
    t.equal(order_support.causes(result), {})
    local world, posting = fake_job.world({http = function() end}), result.posting
    return world:with(function()
        store.put(support.LINES, posting.reference, {currency = "GBP", key = KEY,
            predicted = posting.predicted, delivery = posting.delivery_charge,
            lines = posted_lines.lines(posting), paid = posted_lines.paid(posting)})
        order_units.begin(KEY, posting, {order_id = "5001"})
        queue.put("orders", posting.reference, KEY, {})
        queue.show("orders", posting.reference, "SO1")
        if fn then
            fn(world)
        end
        local view = order_view.of(KEY, {order_id = "5001", accepted_ms = world.now_ms,
            posted_ms = world.now_ms, reference = posting.reference, order_code = "SO1"},
            world.now_ms)
        return view, classify.order(view), posting
    end)
end

return function(t)
    -- Seen: "unknown", 5.00 less than posted, and posted 40.00 instead of 35.00.
    t.case("an amount off the whole order is off its lines and units", function()
        local view, found, posting = shown(t)
        t.equal(found, {})
        t.equal(view.codes["1"].posted, {gross = 3500, net = posting.predicted.net_minor})
        t.equal(view.codes["1"].open.gross, 3500)
        t.equal(view.codes["1"].preauthorised.gross, 3500)
    end)
    t.case("what is credited of it is what was paid", function()
        local view, found = shown(t, function(world)
            local book = order_units.load(KEY)
            unit_book.apply(book, {kind = "ship", id = "s", origin = "khaos",
                at_ms = world.now_ms, units = {"1", "2"}})
            unit_book.apply(book, {kind = "return", id = "r", origin = "scayle",
                at_ms = world.now_ms, units = {"2"}})
            unit_book.apply(book, {kind = "credit", id = "c", origin = "neap",
                at_ms = world.now_ms, credits = {{unit = "2", minor = 2625}}})
            order_units.save(book)
        end)
        t.equal(found, {})
        t.equal({view.codes["1"].credited.gross, view.codes["1"].refunded.gross}, {2625, 2625})
    end)
    t.case("that its totals were not compared is said", function()
        t.equal(classify.proof((shown(t))),
            "shown by Khaos Control Cloud, which tells no totals")
        t.equal(classify.proof({is_shown = false}), "")
        local words = classify.proof({is_shown = true, has_fetched = true})
        assert(words:find("whether they were imported", 1, true), words)
    end)
end
