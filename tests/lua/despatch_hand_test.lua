--- What people enter by hand of an order that Khaos despatches: SCAYLE shows which units left in a
--- parcel that could not be told, and nothing of it is cancelled afterwards.
local despatch_world = require("despatch_world")
local order_units = require("flows.order_units")
local unit_book = require("flows.unit_book")

local KEY = "order:fo:7"
local DONE = {done = true}

local world, feed, dismiss = despatch_world.world, despatch_world.feed, despatch_world.dismiss
local status, invoice, box = despatch_world.status, despatch_world.invoice, despatch_world.box
local shipped, cancelled = despatch_world.shipped, despatch_world.cancelled
local causes = despatch_world.causes

local function cancelled_in_khaos(invoices)
    return (status(invoices):gsub("<INVOICES>", "<CANCELLED><REASON>x</REASON></CANCELLED>%0"))
end

local function enter(w, id)
    w.states[id], w.packages[id] = "shipped", "BY-HAND"
end

local function states(w)
    return w:with(function()
        local list = {}
        for i, unit in ipairs(order_units.load(KEY).units) do
            list[i] = unit_book.state(unit)
        end
        return list
    end)
end

local ODD = invoice(box("CAP", "T1"))

-- An order of which Khaos sent a parcel that fits nothing, entered in SCAYLE as these units.
local function entered(t, skus, ids, inner)
    local w = world(skus)
    local ended = feed(w, status(inner or ODD))
    t.equal(ended.held[1].cause, "despatch_unmatched")
    for _, id in ipairs(ids) do
        enter(w, id)
    end
    t.equal(dismiss(w, "despatch_unmatched", ended.held[1].subject), DONE)
    return w
end

local function units_by_hand(t)
    -- Seen before: they stayed open, and the order was watched for ever.
    t.case("what a person entered has left, as SCAYLE shows it", function()
        local w = entered(t, {"TEE", "SOCK"}, {"101"})
        t.equal({states(w), shipped(w)}, {{"shipped", "open"}, {}})
    end)
    t.case("also when it was entered after the parcel was dismissed", function()
        local w = entered(t, {"TEE", "SOCK"}, {})
        enter(w, "101")
        t.equal({feed(w, status(ODD, {sold = 3})), states(w)}, {DONE, {"shipped", "open"}})
    end)
    -- Seen before: the next parcel took the unit entered by hand, and nobody was told of its own.
    t.case("another parcel holds other units", function()
        local w = entered(t, {"TEE", "TEE"}, {"101"})
        t.equal({feed(w, status(invoice(box("CAP", "T1") .. box("TEE", "T2")))), shipped(w)},
            {DONE, {"102@T2"}})
    end)
    t.case("nothing is short of a complete order when the rest was entered", function()
        local w = entered(t, {"TEE", "SOCK"}, {"101"})
        feed(w, status(invoice(box("CAP", "T1") .. box("SOCK", "T2")), {is_complete = true}))
        t.equal({shipped(w), cancelled(w), causes(w), states(w)}, {{"102@T2"}, {}, {},
            {"shipped", "shipped"}})
    end)
end

local function cancelled_later(t)
    -- Seen before: SCAYLE heard a cancellation of the unit that had left, and paid it back.
    t.case("what a person entered is not cancelled with the rest", function()
        local w = entered(t, {"TEE", "SOCK"}, {"101"})
        t.equal({feed(w, cancelled_in_khaos(ODD)), cancelled(w), causes(w), states(w)},
            {DONE, {102}, {}, {"shipped", "cancelled"}})
    end)
    t.case("also when it is entered between its dismissal and the cancellation", function()
        local w = entered(t, {"TEE", "SOCK"}, {})
        enter(w, "101")
        t.equal({feed(w, cancelled_in_khaos(ODD)), cancelled(w), causes(w)}, {DONE, {102}, {}})
    end)
    t.case("nothing is cancelled while SCAYLE does not show what was entered", function()
        for _, skus in ipairs({{"TEE", "SOCK"}, {"TEE", "SOCK", "SCARF"}}) do
            local w = entered(t, skus, #skus == 3 and {"101"} or {},
                invoice(box("CAP", "T1", #skus - 1)))
            t.equal({feed(w, cancelled_in_khaos("")), cancelled(w), causes(w)},
                {DONE, {}, {"despatch_short"}})
        end
    end)
    t.case("that closes when the rest is entered after all", function()
        local w = entered(t, {"TEE", "SOCK"}, {})
        feed(w, cancelled_in_khaos(""))
        enter(w, "101")
        enter(w, "102")
        t.equal({feed(w, cancelled_in_khaos(ODD)), cancelled(w), causes(w)}, {DONE, {}, {}})
    end)
    t.case("a package that no parcel explains is a person's", function()
        local w = world({"TEE", "SOCK"})
        enter(w, "101")
        t.equal({feed(w, cancelled_in_khaos("")), cancelled(w), causes(w), states(w)},
            {DONE, {102}, {"despatch_changed"}, {"shipped", "cancelled"}})
    end)
    -- SCAYLE corrects its invoice then (contract 3.3).
    t.case("what SCAYLE counted as sent by itself is cancelled", function()
        local w = world({"TEE", "SOCK"})
        w.states = {["101"] = "shipped", ["102"] = "shipped"}
        t.equal({feed(w, cancelled_in_khaos("")), cancelled(w), causes(w)},
            {DONE, {101, 102}, {}})
    end)
    t.case("a unit that came back is not cancelled", function()
        local w = world({"TEE", "SOCK"})
        w.states["101"] = "returned"
        t.equal({feed(w, cancelled_in_khaos("")), cancelled(w)}, {DONE, {102}})
    end)
    t.case("a cancellation that was told is not told again", function()
        local w = world({"TEE", "SOCK"})
        feed(w, cancelled_in_khaos(""))
        w.effects = {} -- their records are kept for a time only
        feed(w, (cancelled_in_khaos(""):gsub(">x<", ">y<")))
        t.equal({cancelled(w), #w.notes}, {{101, 102}, 1})
    end)
end

return function(t)
    units_by_hand(t)
    cancelled_later(t)
end
