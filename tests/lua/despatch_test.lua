--- The despatch flow over SOAP: which parcels are news when numbers come late or change, which
--- units they hold, and what Khaos took off an order.
local amending = require("flows.unit_stages.amending")
local despatch_world = require("despatch_world")
local flow = require("flows.despatch")
local json = require("neap.json")
local news = require("flows.despatch_stages.news")
local order_units = require("flows.order_units")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local tables = require("flows.stock_stages.tables")
local unit_book = require("flows.unit_book")

local KEY, REFERENCE = "order:fo:7", "SC7"
local DONE = {done = true}
local CANCELLED = "<CANCELLED><REASON>x</REASON></CANCELLED><INVOICES>"

local settings, world = despatch_world.settings, despatch_world.world
local dismiss = despatch_world.dismiss
local status, invoice, box = despatch_world.status, despatch_world.invoice, despatch_world.box
local unboxed, feed, poll = despatch_world.unboxed, despatch_world.feed, despatch_world.poll
local shipped, cancelled = despatch_world.shipped, despatch_world.cancelled
local causes, gone = despatch_world.causes, despatch_world.gone

local function identity(t)
    t.case("a tracking number that comes late is no second parcel", function()
        local w = world({"TEE", "TEE"})
        feed(w, status(invoice(box("TEE"))))
        t.equal({feed(w, status(invoice(box("TEE", "TRK1")))), shipped(w)}, {DONE, {"101@I1"}})
        t.equal({feed(w, status(invoice(box("TEE", "TRK1") .. box("TEE", "TRK2")))), shipped(w)},
            {DONE, {"101@I1", "102@TRK2"}})
    end)
    t.case("an invoice that is packed in boxes later is no second parcel", function()
        local w = world({"TEE", "TEE"})
        feed(w, status(unboxed("TEE", "TRK1")))
        t.equal({feed(w, status(invoice(box("TEE", "TRK1")))), shipped(w)}, {DONE, {"101@TRK1"}})
    end)
    t.case("a corrected number is no second parcel, and hides no other", function()
        local w = world({"TEE", "TEE"})
        feed(w, status(invoice(box("TEE", "TRK1"))))
        feed(w, status(invoice(box("TEE", "TRK9"))))
        t.equal(shipped(w), {"101@TRK1"})
        feed(w, status(invoice(box("TEE", "TRK2") .. box("TEE", "TRK9"))))
        t.equal(#shipped(w), 2)
        t.equal({feed(w, status(invoice(box("TEE", "TRK2") .. box("TEE", "TRK9")))), #shipped(w)},
            {nil, 2})
    end)
    t.case("a late number holds nothing when no other unit of the code is left", function()
        local w = world({"TEE", "SOCK"})
        feed(w, status(invoice(box("TEE"))))
        t.equal({feed(w, status(invoice(box("TEE", "TRK1") .. box("SOCK", "TRK2")))), shipped(w)},
            {DONE, {"101@I1", "102@TRK2"}})
    end)
    t.case("what is added to a box that was told is told by itself", function()
        local w = world({"TEE", "SOCK"})
        feed(w, status(invoice(box("TEE", "TRK1"))))
        t.equal({feed(w, status(invoice(box("TEE", "TRK1") .. box("SOCK", "TRK1")))), shipped(w)},
            {DONE, {"101@TRK1", "102@TRK1/I1"}})
    end)
    t.case("a parcel that is told and then shown as two is no news", function()
        local w = world({"TEE", "SOCK", "TEE", "SOCK"})
        feed(w, status(invoice(box("TEE", "TRK1") .. box("SOCK", "TRK1"))))
        t.equal({feed(w, status(invoice(box("TEE", "TRK1") .. box("SOCK", "TRK2")))), shipped(w)},
            {DONE, {"101@TRK1", "102@TRK1"}})
    end)
    t.case("two boxes under one number hold two units of their code", function()
        local w = world({"TEE", "TEE", "SOCK"})
        feed(w, status(invoice(box("TEE", "T1") .. box("TEE", "T1") .. box("SOCK", "T1")),
            {sold = 3}))
        t.equal(shipped(w), {"101@T1", "102@T1", "103@T1"})
    end)
    t.case("another invoice is another parcel, whatever it holds", function()
        local w = world({"TEE", "TEE"})
        feed(w, status(invoice(box("TEE", "TRK1"))))
        local second = invoice(box("TEE", "TRK2")):gsub("I1", "I2")
        feed(w, status(invoice(box("TEE", "TRK3")) .. second))
        t.equal(shipped(w), {"101@TRK1", "102@TRK2"})
    end)
end

local function return_labels(t)
    local function told(how)
        local w = world({"TEE"})
        w.settings.return_ident_code = how
        feed(w, status(invoice(box("TEE", "T1"))))
        return {w.told[1].body.shipmentKey, w.told[1].body.returnIdentCode}
    end
    t.case("the code of the return label is the shipment's key, or none", function()
        t.equal({told("shipment_key"), told("none")}, {{"T1", "T1"}, {"T1"}})
    end)
end

local function by_people(t)
    t.case("a parcel that fits nothing holds no other, and dismissed it is left alone", function()
        local w = world({"TEE", "SOCK"})
        local odd = box("CAP", "T1") .. box("TEE", "T2")
        local ended = feed(w, status(invoice(odd)))
        t.equal({ended.held[1].cause, shipped(w)}, {"despatch_unmatched", {"101@T2"}})
        t.equal(dismiss(w, "despatch_unmatched", ended.held[1].subject), DONE)
        t.equal({feed(w, status(invoice(odd .. box("SOCK", "T3")))), shipped(w)},
            {DONE, {"101@T2", "102@T3"}})
    end)
    t.case("a pack leaves as other codes, in whichever parcel", function()
        local w = world({"PACK", "TEE"})
        t.equal({feed(w, status(invoice(box("PART", "T1", 2) .. box("TEE", "T2")),
            {is_complete = true, sold = 3})), shipped(w), cancelled(w)},
            {DONE, {"102@T2", "101@T1"}, {}})
    end)
    t.case("a unit that SCAYLE cancelled meanwhile does not keep back its parcel", function()
        local w = world({"TEE", "SOCK"})
        w.states["101"] = "cancelled"
        local both = status(invoice(box("TEE", "T1") .. box("SOCK", "T1")))
        t.equal({feed(w, both), shipped(w)}, {DONE, {"102@T1"}})
        t.equal(w.events[#w.events].name, "units.cancelled")
    end)
    t.case("another unit of its code left instead", function()
        local w = world({"TEE", "SOCK", "TEE"})
        w.states["101"] = "cancelled"
        t.equal({feed(w, status(invoice(box("TEE", "T1") .. box("SOCK", "T1")),
            {is_complete = true, sold = 2})), shipped(w), cancelled(w), causes(w)},
            {DONE, {"102@T1", "103@T1"}, {}, {}})
        w:with(function()
            t.equal(unit_book.summary(order_units.load(KEY)).cancelled.units, 1)
        end)
    end)
    t.case("nor does one whose shipment was entered by hand", function()
        local w = world({"TEE", "SOCK"})
        w.states["101"] = "shipped"
        w.states["102"] = "shipped"
        w.packages = {["101"] = "BY-HAND", ["102"] = "BY-HAND"}
        t.equal({feed(w, status(invoice(box("TEE", "T1")))), shipped(w), causes(w)},
            {DONE, {}, {}})
    end)
    t.case("a refused cancellation goes without what SCAYLE cancelled", function()
        local w = world({"TEE", "SOCK"})
        w.states["101"], w.refuses_cancelled = "cancelled", true
        t.equal({feed(w, (status(""):gsub("<INVOICES>", CANCELLED))), cancelled(w)}, {DONE, {102}})
    end)
    t.case("a parcel without a number may be the last one", function()
        local w = world({"PACK", "TEE"})
        feed(w, status(invoice(box("PART", "T1") .. box("TEE")), {is_complete = true, sold = 2}))
        t.equal(shipped(w), {"102@I1", "101@T1"})
    end)
    t.case("what a person entered as shipped is not cancelled afterwards", function()
        local w = world({"PACK", "TEE", "SOCK"})
        local ended = feed(w, status(invoice(box("PART", "T1"))))
        dismiss(w, "despatch_unmatched", ended.held[1].subject)
        feed(w, status(invoice(box("PART", "T1") .. box("TEE", "T2") .. box("SOCK", "T2")),
            {is_complete = true, sold = 3}))
        t.equal({shipped(w), cancelled(w), causes(w)}, {{"102@T2", "103@T2"}, {},
            {"despatch_short"}})
    end)
    t.case("a code that is no part of a kit is for a person", function()
        local w = world({"TEE", "SOCK"})
        w:with(function()
            for _, code in ipairs({"TEE", "SOCK"}) do
                store.put(tables.ITEMS, code, {code = code, available = 1})
            end
        end)
        local ended = feed(w, status(invoice(box("TEE", "T1") .. box("GIFT", "T1")),
            {is_complete = true, sold = 2}))
        t.equal({ended.held[1].cause, shipped(w)}, {"despatch_unmatched", {}})
    end)
    t.case("a refused parcel that a person entered is not told again", function()
        local w = world({"TEE", "SOCK"})
        w.states["101"] = "pended" -- whatever that may be
        local ended = feed(w, status(invoice(box("TEE", "T1"))))
        t.equal(ended.held[1].cause, "refused_by_scayle")
        t.equal(dismiss(w, "refused_by_scayle", ended.held[1].subject), DONE)
        t.equal({feed(w, status(invoice(box("TEE", "T1") .. box("SOCK", "T2")))), shipped(w)},
            {DONE, {"102@T2"}})
    end)
    t.case("every shipment has a key of its own", function()
        local w = world({"TEE", "TEE", "TEE"})
        feed(w, status(invoice(box("TEE") .. box("TEE") .. box("TEE")), {sold = 3}))
        t.equal(shipped(w), {"101@I1", "102@I1/I1", "103@I1/I1/2"})
    end)
    t.case("what Khaos takes back is told once, and closes when it is there again", function()
        local w = world({"TEE", "TEE"})
        feed(w, status(invoice(box("TEE", "T1", 2))))
        feed(w, status(invoice(box("TEE", "T1"))))
        t.equal(causes(w), {"despatch_changed"})
        feed(w, status(invoice(box("TEE", "T1", 2))))
        t.equal({causes(w), shipped(w)}, {{}, {"101@T1", "102@T1"}})
    end)
end

local function force_closed(t)
    local both = invoice(box("TEE", "T1") .. box("SOCK", "T1"))
    t.case("a parcel that SCAYLE counted as sent by itself is told to a person", function()
        local w = world({"TEE", "SOCK"})
        w.states = {["101"] = "shipped", ["102"] = "shipped"}
        t.equal({feed(w, status(both, {is_complete = true})), shipped(w), causes(w)},
            {DONE, {}, {"parcel_unheard"}})
        local _, entry = next(w.exceptions)
        t.equal(entry.message, "SCAYLE shows 2 units of order 7 as sent, but took nothing of "
            .. "parcel I1/T1 (dpd, T1)")
        assert(not table.concat(w.notes, "\n"):find("is in SCAYLE", 1, true))
        feed(w, status(both, {is_complete = true, sold = 3}))
        t.equal(causes(w), {"parcel_unheard"})
    end)
    t.case("the rest of such a parcel is told by itself", function()
        local w = world({"TEE", "SOCK"})
        w.states["101"] = "shipped"
        t.equal({feed(w, status(both)), shipped(w), causes(w)},
            {DONE, {"102@T1"}, {"parcel_unheard"}})
    end)
    t.case("a lost answer is the parcel's own when SCAYLE shows its shipment key", function()
        local w = world({"TEE", "SOCK"})
        w.lost = true -- taken, and then the connection ends
        t.equal({feed(w, status(both)).error ~= nil, shipped(w)}, {true, {"101@T1", "102@T1"}})
        feed(w, status(both, {sold = 3}))
        t.equal({shipped(w), causes(w)}, {{"101@T1", "102@T1"}, {}})
    end)
    t.case("another package is one that a person entered meanwhile", function()
        local w = world({"TEE", "SOCK"})
        w.lost = true
        feed(w, status(both))
        w.packages = {["101"] = "OTHER", ["102"] = "OTHER"}
        feed(w, status(both, {sold = 3}))
        t.equal({#w.told, causes(w)}, {1, {}}) -- a person entered it meanwhile
    end)
end

-- An event as the inbox gives it.
local function waiting(event)
    event.payload = type(event.payload) == "table" and json.encode(event.payload) or event.payload
    return event
end

local function run_second(w, event)
    return (w:play(flow, {settings = settings(), event = event}))
end

-- The newest of its kind stays in the mail of the key.
local function say(w, verb, subject)
    w.mail[verb .. ".duplicate_in_khaos"] = {payload = json.encode({by = "eve", reason = "looked",
        cause = "duplicate_in_khaos", subject = subject})}
end

local function followed(w)
    return w:with(function()
        return {store.get(support.LINES, REFERENCE).order_code,
            store.get(support.RECORDS, KEY).order_code}
    end)
end

local function seen_cancelled(w)
    return w:with(function()
        local seen = store.get(news.SEEN, REFERENCE)
        return seen ~= nil and seen.snapshot.is_cancelled == true
    end)
end

local function feed_of(t)
    t.case("another sales order with our reference is none of this one's news", function()
        local w = world({"TEE", "SOCK"})
        t.equal(#poll(w, (status(""):gsub("<INVOICES>", CANCELLED):gsub("SO7", "SO8"))), 0)
        t.equal(#poll(w, (status(""):gsub("<INVOICES>", CANCELLED))), 1)
    end)
    t.case("a second sales order with our reference is told, again when it leaves", function()
        local w = world({"TEE", "SOCK"})
        local one = status(""):match("<ORDER_STATUS .*</ORDER_STATUS>")
        local two = one:gsub("SO7", "SO8")
        local list = "<STATUS_LIST>%s%s</STATUS_LIST>"
        local function shown(subject)
            local entry = w.exceptions["duplicate_in_khaos " .. subject]
            return entry and entry.message
        end
        t.equal({#poll(w, list:format(one, two)), shown(REFERENCE)}, {2,
            "Khaos has a second sales order with the reference SC7: SO8 beside SO7"})
        w.exceptions = {} -- a person closed it: it is not told again
        poll(w, list:format(one, two))
        t.equal(causes(w), {})
        local sent = status(invoice(box("TEE", "T1"))):match("<ORDER_STATUS .*</ORDER_STATUS>")
        t.equal({#poll(w, list:format((sent:gsub("SO7", "SO8")), one)), shown("SC7 v2")}, {1,
            "Khaos has a second sales order with the reference SC7: SO8 beside SO7, and goods of "
            .. "it have left"})
        t.equal(shipped(w), {})
    end)
    t.case("a person who releases it has the order followed as the second one", function()
        local w = world({"TEE", "SOCK"})
        local two = status(invoice(box("TEE", "T1"))):gsub("SO7", "SO8")
        local event = waiting(poll(w, two)[1])
        t.equal({event.name, run_second(w, event).held[1].cause, shipped(w)},
            {"khaos.second", "duplicate_in_khaos", {}})
        say(w, "released", REFERENCE)
        t.equal({run_second(w, event).done, followed(w)}, {true, {"SO8", "SO8"}})
        -- What it has sent is told with the adoption; what comes then is its news, and not ours.
        local told = w.events[#w.events]
        t.equal({told.name, told.key, #poll(w, two)}, {"khaos.status", "despatch:" .. KEY, 0})
    end)
    -- Seen before: what a person had said once counted for every later telling, so the order went
    -- back and forth between the two, and SCAYLE heard the cancellation of the one not wanted.
    t.case("a release counts for what was told, not for what is told after it", function()
        local w = world({"TEE", "SOCK"})
        local one, two = status(""), (status(""):gsub("SO7", "SO8"))
        local event = waiting(poll(w, two)[1])
        say(w, "released", REFERENCE)
        t.equal(run_second(w, event).done, true)
        local again = waiting(poll(w, one)[1]) -- the overlap: the former one lives beside it
        t.equal({run_second(w, again).held[1].subject, followed(w)}, {"SC7 v2", {"SO8", "SO8"}})
        poll(w, (one:gsub("<INVOICES>", CANCELLED))) -- cancelled, as the remedy says
        t.equal({causes(w), run_second(w, again).done, followed(w)}, {{}, true, {"SO8", "SO8"}})
        t.equal(seen_cancelled(w), false)
    end)
    t.case("a dismissed one is told again when goods of it leave, and can be released", function()
        local w = world({"TEE", "SOCK"})
        local event = waiting(poll(w, (status(""):gsub("SO7", "SO8")))[1])
        say(w, "dismissed", REFERENCE)
        t.equal({run_second(w, event).done, followed(w)}, {true, {"SO7", "SO7"}})
        event = waiting(poll(w, (status(invoice(box("TEE", "T1"))):gsub("SO7", "SO8")))[1])
        t.equal(run_second(w, event).held[1].subject, "SC7 v2")
        say(w, "released", "SC7 v2")
        t.equal({run_second(w, event).done, followed(w)}, {true, {"SO8", "SO8"}})
    end)
    -- Seen before: SCAYLE was told that the order is cancelled, and the other one was sent.
    t.case("a cancellation of ours waits while another one lives", function()
        for _, first in ipairs({"second", "same feed"}) do
            for _, ending in ipairs({"released", "dismissed", "cancelled"}) do
                local w = world({"TEE", "SOCK"})
                local two = status(""):gsub("SO7", "SO8")
                local ours = status(""):gsub("<INVOICES>", CANCELLED)
                local event
                if first == "second" then
                    poll(w, two)
                    event = waiting(poll(w, ours)[1]) -- asked anew: ours is cancelled now
                else
                    local both = ours:gsub("</STATUS_LIST>", "")
                    event = waiting(poll(w, both .. two:gsub("<STATUS_LIST[^>]*>", ""))[2])
                end
                t.equal({event.name, #w.events, causes(w)}, {"khaos.second", 2,
                    {"duplicate_in_khaos"}})
                local before = #w.events
                if ending == "cancelled" then
                    poll(w, (two:gsub("<INVOICES>", CANCELLED)))
                else
                    say(w, ending, "SC7 v2")
                end
                t.equal(run_second(w, event).done, true)
                local told = w.events[before + 1]
                t.equal({ending, told and told.name, seen_cancelled(w)}, {ending, "khaos.status",
                    ending ~= "released"})
            end
        end
    end)
    t.case("released while there are several it asks again", function()
        local w = world({"TEE", "SOCK"})
        waiting(poll(w, (status(""):gsub("SO7", "SO8")))[1])
        local event = waiting(poll(w, (status(""):gsub("SO7", "SO9")))[1])
        say(w, "released", "SC7 v2")
        t.equal(run_second(w, event).held[1].subject, "SC7 v2")
        poll(w, (status(""):gsub("<INVOICES>", CANCELLED):gsub("SO7", "SO9")))
        t.equal({run_second(w, event).done, followed(w)}, {true, {"SO8", "SO8"}})
    end)
    t.case("that closes when the second one is cancelled in Khaos", function()
        local w = world({"TEE", "SOCK"})
        local two = status(""):gsub("SO7", "SO8")
        poll(w, two)
        t.equal(causes(w), {"duplicate_in_khaos"})
        poll(w, (two:gsub("<INVOICES>", CANCELLED)))
        t.equal(causes(w), {})
    end)
    t.case("an order whose code is not known yet has no second one", function()
        local w = world({"TEE", "SOCK"})
        w:with(function()
            local lines = store.get(support.LINES, REFERENCE)
            lines.order_code = nil
            store.put(support.LINES, REFERENCE, lines)
        end)
        poll(w, status(""))
        t.equal(causes(w), {})
    end)
    t.case("a deleted record beside the order that took its place is no cancellation", function()
        local w = world({"TEE", "SOCK"})
        local list = "<STATUS_LIST>%s%s</STATUS_LIST>"
        local live = status(""):match("<ORDER_STATUS .*</ORDER_STATUS>")
        poll(w, list:format((live:gsub("<INVOICES>", CANCELLED)), live))
        w:with(function()
            t.equal(store.get(news.SEEN, REFERENCE).snapshot.is_cancelled or false, false)
        end)
    end)
    -- Seen before: read between deletion and import, it was told to SCAYLE as a cancellation.
    t.case("a deleted record alone while the order is amended is looked at again", function()
        local deleted, live = (status(""):gsub("<INVOICES>", CANCELLED)), status("")
        for _, case in ipairs({{live, false}, {deleted, true}}) do
            local w = world({"TEE", "SOCK"})
            w:with(function()
                amending.begin(KEY)
            end)
            t.equal(#poll(w, deleted), 0)
            t.equal(#poll(w, deleted), 0)
            w.now_ms = w.now_ms + 1000
            w:with(function()
                amending.is_over(KEY)
            end)
            w.now_ms = w.now_ms + 1000
            poll(w, case[1])
            w:with(function()
                t.equal(store.get(news.SEEN, REFERENCE).snapshot.is_cancelled or false, case[2])
                t.equal(#store.range("despatch_doubted"), 0)
            end)
        end
    end)
    t.case("what was read before the amendment was over counts as its middle", function()
        local w = world({"TEE", "SOCK"})
        w:with(function()
            amending.begin(KEY)
            w.now_ms = w.now_ms + 1000
            amending.is_over(KEY)
            t.equal({amending.covers(KEY, w.now_ms - 1), amending.covers(KEY, w.now_ms + 1)},
                {true, false})
        end)
    end)
    t.case("a record without a code holds back no other", function()
        local w = world({"TEE", "SOCK"})
        local live = status(""):match("<ORDER_STATUS .*</ORDER_STATUS>")
        t.equal(#poll(w, ("<STATUS_LIST>%s%s</STATUS_LIST>"):format(
            (live:gsub('SORDER_CODE="SO7"', "")), live)), 1)
    end)
end

local function taken_off(t)
    t.case("what Khaos took off a complete order is cancelled in SCAYLE, once", function()
        local w = world({"TEE", "SOCK"})
        local complete = {is_complete = true, sold = 1}
        t.equal({feed(w, status(invoice(box("TEE", "TRK1")), complete)), shipped(w), cancelled(w),
            causes(w)}, {DONE, {"101@TRK1"}, {102}, {}})
        feed(w, status(invoice(box("TEE", "TRK7")), complete))
        t.equal({shipped(w), cancelled(w)}, {{"101@TRK1"}, {102}})
    end)
    t.case("a person looks when Khaos counts more units than its parcels hold", function()
        local w = world({"TEE", "SOCK"})
        feed(w, status(invoice(box("TEE", "TRK1")), {is_complete = true, sold = 2}))
        t.equal({cancelled(w), causes(w)}, {{}, {"despatch_short"}})
    end)
    t.case("that closes when the rest is in a parcel after all", function()
        local w = world({"TEE", "SOCK"})
        feed(w, status(invoice(box("TEE", "TRK1")), {is_complete = true, sold = 2}))
        feed(w, status(invoice(box("TEE", "TRK1") .. box("SOCK", "TRK2")),
            {is_complete = true, sold = 2}))
        t.equal({shipped(w), causes(w)}, {{"101@TRK1", "102@TRK2"}, {}})
    end)
    t.case("an order that is not complete waits for the rest", function()
        local w = world({"TEE", "SOCK"})
        feed(w, status(invoice(box("TEE", "TRK1")), {sold = 1}))
        t.equal({cancelled(w), causes(w)}, {{}, {}})
    end)
end

local function cancelled_in_scayle(t)
    t.case("units that SCAYLE cancelled are not those that leave", function()
        local w = world({"TEE", "TEE"})
        gone(w, "101")
        feed(w, status(invoice(box("TEE", "TRK1"), ""), {is_complete = true, sold = 1}))
        t.equal({shipped(w), cancelled(w)}, {{"102@TRK1"}, {}})
        w:with(function()
            local book = order_units.load(KEY)
            t.equal({unit_book.state(book.units[1]), unit_book.state(book.units[2])},
                {"cancelled", "shipped"})
        end)
    end)
    t.case("one that left all the same is not told, the orders flow is", function()
        local w = world({"TEE", "SOCK"})
        gone(w, "101")
        feed(w, status(invoice(box("TEE", "TRK1") .. box("SOCK", "TRK1"))))
        t.equal({shipped(w), w.events[#w.events].name}, {{"102@TRK1"}, "units.cancelled"})
        w:with(function()
            t.equal(unit_book.summary(order_units.load(KEY)).shipped.units, 2)
        end)
    end)
    t.case("nobody says of one that it never left when Khaos counts more", function()
        local w = world({"TEE", "SOCK"})
        gone(w, "102")
        feed(w, status(invoice(box("TEE", "T1")), {is_complete = true, sold = 2}))
        t.equal({shipped(w), causes(w)}, {{"101@T1"}, {"despatch_short"}})
    end)
    t.case("packs do not tell which of them left: a person is told", function()
        local w = world({"PACK", "PACK"})
        gone(w, "101")
        feed(w, status(invoice(box("PART", "T1", 4)), {is_complete = true, sold = 4}))
        t.equal({shipped(w), w.events[#w.events].name}, {{"102@T1"}, "units.cancelled"})
    end)
    t.case("the merchant's cancellation leaves out what SCAYLE cancelled", function()
        local w = world({"TEE", "SOCK", "CAP"})
        gone(w, "102")
        feed(w, (status(""):gsub("<INVOICES>", "<CANCELLED><REASON>x</REASON></CANCELLED>%0")))
        t.equal(cancelled(w), {101, 103})
    end)
    t.case("a parcel of such units alone tells SCAYLE nothing", function()
        local w = world({"TEE", "SOCK"})
        gone(w, "101")
        feed(w, status(invoice(box("TEE", "TRK1"))))
        t.equal({shipped(w), cancelled(w)}, {{}, {}})
    end)
end

return function(t)
    identity(t)
    force_closed(t)
    return_labels(t)
    feed_of(t)
    by_people(t)
    taken_off(t)
    cancelled_in_scayle(t)
end
