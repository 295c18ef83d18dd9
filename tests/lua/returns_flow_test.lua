--- Returns and refunds: what each side tells, in any order, and what a person is asked for.
local aftersales = require("connectors.scayle.aftersales")
local errors = require("neap.errors")
local json = require("neap.json")
local order_units = require("flows.order_units")
local process_return = require("connectors.khaos_soap.process_return")
local returns_world = require("returns_world")
local schema = require("lib.schema")
local unit_book = require("flows.unit_book")

local DELIVERY = {{category = "delivery", key = "base_shipping_service_cost", minor = 495}}

local function two(more)
    return returns_world.new({{"TEE", 1000}, {"SOCK", 500}}, more)
end

local function causes(w)
    local list = {}
    for cause in pairs(w:open()) do
        list[#list + 1] = cause
    end
    table.sort(list)
    return list
end

local function credits(w)
    local book = w:book()
    local list = {}
    for i, unit in ipairs(book.units) do
        list[i] = 0
        for _, minor in pairs(unit.credits) do
            list[i] = list[i] + minor
        end
    end
    return list
end

local function spellings(t)
    t.case("every spelling of a webhook is read, a tenant's own too", function()
        for kind, names in pairs({refund = {"payment-refund", "payment.refund", "Payment_Refund",
            "order-corrective-invoiced", "corrective-invoice"},
            returned = {"order-item-returned", "item-returned"},
            undeliverable = {"order-package-undeliverable", "package-undeliverable"}}) do
            for _, name in ipairs(names) do
                t.equal(aftersales.kind(name), kind, name)
            end
        end
        t.equal({aftersales.kind("order-confirmed") or "none",
            aftersales.kind("geld-zurueck", {["geld-zurueck"] = "refund"})}, {"none", "refund"})
    end)
    t.case("only fees whose refund the event triggers are refunded", function()
        local fees = aftersales.fees({cost = {appliedFees = {
            {category = "delivery", key = "a", refundTriggered = true, amount = {withTax = 495}},
            {category = "payment", key = "b", amount = {withTax = 100}}}}})
        t.equal({#fees, fees[1].minor}, {1, 495})
    end)
end

local function from_scayle(t)
    t.case("a refund is one worklist however often and early it is told", function()
        local w = two()
        w.status["101"], w.billing = "returned", "billing_partially_refunded"
        w:play(w:message("scayle.refund", {kind = "refund"}))
        w:play(w:message("scayle.returned", {kind = "returned", units = {"101"}}))
        w:play(w:message("scayle.refund", {kind = "refund"}))
        t.equal(causes(w), {"return_not_in_khaos"})
        t.equal(w:open().return_not_in_khaos:find("1 x TEE", 1, true) ~= nil, true)
        w:play((w:note({TEE = 1}, 1000)))
        t.equal({causes(w), credits(w), w.told}, {{}, {1000, 0}, {}})
    end)
    t.case("an absolute voucher is refunded as what it left of the unit", function()
        local w = returns_world.new({{"TEE", 1000, price = 1000, reduced = 700}})
        w.status["101"] = "returned"
        w:play(w:message("scayle.returned", {kind = "returned", units = {"101"}}))
        t.equal(w:open().return_not_in_khaos:find("7.00 GBP", 1, true) ~= nil, true)
        w:play((w:note({TEE = 1}, 700)))
        t.equal({causes(w), credits(w)}, {{}, {700}})
    end)
    t.case("a refund of the delivery alone is money without goods", function()
        local w = two()
        w:play(w:message("scayle.refund", {kind = "refund", fees = DELIVERY}))
        w:play(w:message("scayle.refund", {kind = "refund", fees = DELIVERY}))
        t.equal(causes(w), {"refund_not_in_khaos"})
        w:play((w:note({}, 495)))
        t.equal({causes(w), credits(w), w:book().goodwill}, {{}, {0, 0}, {}})
    end)
    t.case("an amount that nothing explains is held with both figures, never guessed", function()
        local w = two()
        w.billing = "billing_partially_refunded"
        local said = {kind = "refund", refund_id = "RF1", amount = 300}
        w:play(w:message("scayle.refund", said))
        said.id = nil
        w:play(w:message("scayle.refund", said)) -- another message of the same refund
        local words = w:open().refund_unexplained
        t.equal({words:find("3.00 GBP", 1, true) ~= nil, words:find("0.00 GBP", 1, true) ~= nil},
            {true, true})
        w:play((w:note({}, 300)))
        t.equal({causes(w), w.patches}, {{}, {}})
    end)
    t.case("a refund without an amount that nothing explains is held too", function()
        local w = two()
        w.billing = "billing_partially_refunded"
        w:play(w:message("scayle.refund", {kind = "refund"}))
        t.equal(causes(w), {"refund_unexplained"})
    end)
    t.case("the goods that explain a refund may be told after it", function()
        local w = two()
        local said = {kind = "refund", refund_id = "RF1", amount = 1000}
        w:play(w:message("scayle.refund", said))
        t.equal(causes(w), {"refund_unexplained"})
        w.status["101"] = "returned"
        w:play(w:message("scayle.returned", {kind = "returned", units = {"101"}}))
        t.equal(causes(w), {"return_not_in_khaos"})
    end)
    t.case("more refunded than invoiced is shown with both figures", function()
        local w = returns_world.new({{"TEE", 1000, price = 1200}})
        w.status["101"] = "returned"
        w:play(w:message("scayle.returned", {kind = "returned", units = {"101"}}))
        t.equal(causes(w), {"refund_exceeds_invoice", "return_not_in_khaos"})
        local words = w:open().refund_exceeds_invoice
        t.equal({words:find("12.00", 1, true) ~= nil, words:find("10.00", 1, true) ~= nil},
            {true, true})
    end)
    t.case("a message that overtakes the order's state is looked at again", function()
        local w = two()
        w:play(w:message("scayle.returned", {kind = "returned", units = {"101"}}))
        t.equal({causes(w), #w.job.events}, {{}, 1})
        w.status["101"] = "returned"
        w:settle()
        t.equal(causes(w), {"return_not_in_khaos"})
    end)
    t.case("an undeliverable parcel is for a person, and not told as a return", function()
        local w = two()
        w.status["102"] = "undeliverable"
        w:play(w:message("scayle.refund", {kind = "undeliverable", units = {"102"}}))
        t.equal(causes(w), {"parcel_undeliverable"})
        w:play((w:note({SOCK = 1}, 500)))
        t.equal({causes(w), w.told}, {{}, {}})
    end)
end

local function from_khaos(t)
    t.case("units that SCAYLE cancelled behind us are told to the orders flow", function()
        local w = returns_world.new({{"TEE", 1000, is_here = true}, {"CAP", 500}, {"SOCK", 400}})
        w.status["101"], w.status["102"] = "cancelled", "returned"
        w:play(w:message("scayle.returned", {kind = "returned", units = {"102"}}))
        t.equal({w.job.events[1].name, w.job.events[1].flow, w.job.events[1].key},
            {"units.cancelled", "orders", "units:" .. returns_world.KEY})
        local v = returns_world.new({{"TEE", 1000, is_here = true}, {"CAP", 500}})
        v.status["101"] = "cancelled"
        v:play((v:note({CAP = 1}, 500)))
        t.equal({#v.job.events, v.job.events[1].name}, {1, "units.cancelled"})
    end)
    t.case("units that we told SCAYLE to be cancelled are no news", function()
        local w = returns_world.new({{"TEE", 1000, is_here = true}, {"CAP", 500}})
        w.status["101"] = "cancelled"
        w.job:with(function()
            local book = order_units.load(returns_world.KEY)
            unit_book.apply(book, {kind = "cancel", id = "c", origin = "khaos", at_ms = 2,
                units = {"101"}})
            order_units.save(book)
        end)
        w:play(w:message("scayle.refund", {kind = "refund"}))
        t.equal(#w.job.events, 0)
    end)
    t.case("a credit note waits for parcels that the same feed tells of", function()
        local w = two()
        w:parcel({"101"}, false)
        local go_on = w:job_of((w:note({TEE = 1}, 1000)))
        t.equal({go_on().waits ~= nil, go_on().waits ~= nil, w.told}, {true, true, {}})
        w:parcel({"101"}, true)
        local ended = go_on()
        t.equal({ended.done, w.told, credits(w)}, {true, {"101"}, {1000, 0}})
    end)
    t.case("it does not wait for ever for one that is not told", function()
        local w = two()
        w:parcel({"101"}, false)
        w:play((w:note({TEE = 1}, 1000)))
        t.equal(w.told, {"101"})
    end)
    t.case("goods are received when Khaos made the credit note, as far as it says", function()
        local function received(created_on)
            local w = returns_world.new({{"TEE", 1000}}) -- 2026-05-04T10:03:00Z
            w:play((w:note({TEE = 1}, 1000, {created_on = created_on})))
            return w.received
        end
        t.equal(received("01/05/2026"), "2026-05-01 11:00:00") -- noon of the day in London
        t.equal(received("28/02/2026"), "2026-02-28 12:00:00")
        for _, today in ipairs({"04/05/2026", "05/05/2026", "", "2026-05-01", "31/02/2026"}) do
            t.equal(received(today), "2026-05-04 10:03:00")
        end
        t.equal(received(nil), "2026-05-04 10:03:00")
    end)
    t.case("a credit note is told once, and its echo changes nothing", function()
        local w = two()
        local note = w:note({TEE = 1}, 1000)
        w:play(note)
        w:play(note)
        w:play(w:message("scayle.returned", {kind = "returned", units = {"101"}}))
        t.equal({w.told, causes(w), credits(w)}, {{"101"}, {}, {1000, 0}})
    end)
    t.case("what SCAYLE took back before its message came is not told to it again", function()
        local w = returns_world.new({{"TEE", 1000}, {"TEE", 1000}})
        w.status["102"] = "returned" -- the webhook is under way
        t.equal({w:play((w:note({TEE = 2}, 2000))).done, w.told}, {true, {"101"}})
        t.equal({causes(w), credits(w)}, {{}, {1000, 1000}})
    end)
    t.case("each unit is credited by what SCAYLE gave back for it", function()
        local w = returns_world.new({{"TEE", 1000, reduced = 700}, {"SOCK", 500}})
        w.status["101"], w.status["102"] = "returned", "returned"
        w:play(w:message("scayle.returned", {kind = "returned", units = {"101", "102"}}))
        w:play((w:note({TEE = 1, SOCK = 1}, 1200)))
        t.equal({causes(w), credits(w)}, {{}, {700, 500}})
    end)
    t.case("goodwill that SCAYLE was told of explains no refund of its own", function()
        local w = two({tell_goodwill = true})
        w:play((w:note({}, 200)))
        w:play(w:message("scayle.refund", {kind = "refund", refund_id = "RF1", amount = 200}))
        t.equal(causes(w), {"refund_unexplained"})
    end)
    t.case("where SCAYLE is the master a person enters it there", function()
        local w = two({returns_master = "scayle"})
        w:play((w:note({TEE = 1}, 1000)))
        t.equal({causes(w), w.told}, {{"return_not_in_scayle"}, {}})
        w.status["101"] = "returned"
        w:play(w:message("scayle.returned", {kind = "returned", units = {"101"}}))
        t.equal({causes(w), credits(w)}, {{}, {1000, 0}})
    end)
    t.case("too much is held before SCAYLE is told, and read anew when it was corrected", function()
        local w = two()
        local event, code = w:note({TEE = 1}, 2500)
        local held = w:play(event).held[1]
        t.equal({held.cause, w.told}, {"credit_exceeds_invoice", {}})
        t.equal({held.message:find("25.00", 1, true) ~= nil,
            held.message:find("19.95", 1, true) ~= nil}, {true, true})
        w:note({TEE = 1}, 1000, {code = code})
        t.equal({w:play(event).done, w.told, credits(w)}, {true, {"101"}, {1000, 0}})
    end)
    t.case("goodwill is recorded in SCAYLE where a client asks for it, once", function()
        local w = two({tell_goodwill = true})
        local note = w:note({}, 200)
        w:play(note)
        w:play(note)
        t.equal({#w.patches, w.patches[1].code, causes(w)},
            {1, "billing_partially_refunded", {}})
        t.equal(w.patches[1].reason, "Credited in the ERP (CN1)")
    end)
    t.case("goodwill stays in Khaos where nobody asks for it", function()
        local w = two()
        w:play((w:note({}, 200)))
        t.equal({#w.patches, unit_book.credited(w:book())}, {0, 200})
    end)
    t.case("goods for which nothing was paid come back all the same", function()
        local w = returns_world.new({{"TEE", 1000}, {"GIFT", 0}})
        w.status["102"] = "returned"
        w:play(w:message("scayle.returned", {kind = "returned", units = {"102"}}))
        t.equal(causes(w), {"return_not_in_khaos"})
        w:play((w:note({GIFT = 1}, 0)))
        t.equal({causes(w), credits(w)}, {{}, {0, 0}})
    end)
end

local function strays(t)
    local store = require("neap.store")
    local support = require("flows.order_stages.support")
    local function second_order(w)
        w.job:with(function()
            local book = unit_book.new{key = "order:fo:8", currency = "GBP",
                units = {{id = "201", sku = "TEE", line = "L1", paid_minor = 1000}}}
            unit_book.apply(book, {kind = "ship", id = "i", origin = "khaos", at_ms = 1,
                units = {"201"}})
            store.put(unit_book.TABLE, book.key, book)
            store.put(support.LINES, "SC8", {key = book.key, order_id = "8", order_code = "SO8",
                currency = "GBP", shop_key = "fo", country = "GB", lines = {}})
            require("flows.customer_orders").add("U1", "SC8")
        end)
    end
    t.case("a credit note without our reference finds its only order", function()
        local w = two()
        w:play((w:note({TEE = 1}, 1000, {is_stray = true})))
        w:settle()
        t.equal({w.told, credits(w)}, {{"101"}, {1000, 0}})
    end)
    t.case("one that fits two orders asks, and goes where a person says", function()
        local w = two()
        second_order(w)
        local event = w:note({TEE = 1}, 1000, {is_stray = true})
        local held = w:play(event).held[1]
        t.equal({held.cause, held.message:find("7 (sales order SO7), 8", 1, true) ~= nil, w.told},
            {"credit_note_unmatched", true, {}})
        w.job.mail["released.credit_note_unmatched"] = {payload = json.encode(
            {reason = "it is of order 7, says the warehouse"})}
        w:play(event)
        w:settle()
        t.equal({w.told, credits(w)}, {{"101"}, {1000, 0}})
        t.equal(w:play(event).done, true)
    end)
    t.case("one that fits no order of the customer asks too", function()
        local w = two()
        local held = w:play((w:note({HAT = 1}, 1000, {is_stray = true}))).held[1]
        t.equal({held.cause, held.message:find("fits no order", 1, true) ~= nil},
            {"credit_note_unmatched", true})
    end)
end

-- ---- ProcessReturn ---------------------------------------------------------------------------

local function soap(text)
    return {status = 200, headers = {}, elapsed_ms = 1, body = [[<E:Envelope xmlns:E="e"><E:Body>]]
        .. text .. "</E:Body></E:Envelope>"}
end

local function fault(words)
    return soap("<E:Fault><faultcode>x</faultcode><faultstring>" .. words
        .. "</faultstring></E:Fault>")
end

local DONE = "<N:ProcessReturnResponse xmlns:N=\"n\"><return>true</return>"
    .. "</N:ProcessReturnResponse>"

local function processing(t)
    local function begun()
        local w = two({khaos = {add_ons = {"process_return"}}})
        w.status["101"] = "returned"
        w:play(w:message("scayle.returned", {kind = "returned", units = {"101"}}))
        local event = table.remove(w.job.events, 1)
        event.payload = json.encode(event.payload)
        return w, event
    end
    local function name(w, reason)
        w.job.mail["released.return_to_process"] = {payload = json.encode({reason = reason})}
    end
    t.case("cut short before its job was begun, the next run begins it", function()
        local w = two({khaos = {add_ons = {"process_return"}}})
        w.status["101"] = "returned"
        local message = w:message("scayle.returned", {kind = "returned", units = {"101"}})
        setmetatable(w.job.accepted, {__index = function()
            error("the host dies", 0)
        end})
        assert(not w:play(message).done)
        setmetatable(w.job.accepted, nil)
        t.equal({w:play(message).done, #w.job.events}, {true, 1})
        t.equal({w:play(message).done, #w.job.events}, {true, 1})
    end)
    t.case("a return that somebody entered is processed once, by its code", function()
        local w, event = begun()
        t.equal({causes(w), w:play(event).held[1].cause}, {{}, "return_to_process"})
        name(w, "RT5001 entered by Ann")
        local asked = 0
        w.khaos = function()
            asked = asked + 1
            if asked == 1 then -- done, and the answer is lost
                return nil, errors.new({kind = "network", message = "lost", retryable = true,
                    maybe_sent = true})
            end
            return fault("Return has already been processed")
        end
        t.equal(w:play(event).error ~= nil, true)
        w:play(event)
        t.equal(asked, 2)
        local request = w.job:sent("ProcessReturn")[1]
        t.equal({request.body:find("RT5001", 1, true) ~= nil, request.body:find("7-1", 1, true)
            ~= nil}, {true, true})
        t.equal(causes(w), {"return_not_in_khaos"}) -- no credit note came in all that time
        w:play((w:note({TEE = 1}, 1000)))
        t.equal({causes(w), credits(w), w.told}, {{}, {1000, 0}, {}})
    end)
    t.case("an answer that was lost is heard though the credit note came first", function()
        local w, event = begun()
        w:play(event)
        name(w, "RT5001")
        w.khaos = function()
            return nil, errors.new({kind = "network", message = "lost", retryable = true,
                maybe_sent = true})
        end
        t.equal(w:play(event).error ~= nil, true)
        w:play((w:note({TEE = 1}, 1000)))
        w.khaos = function()
            return fault("Return has already been processed")
        end
        t.equal({w:play(event).done, #w.job:sent("ProcessReturn"), causes(w)}, {true, 2, {}})
        for _, effect in pairs(w.job.effects) do
            t.equal(effect.state, "confirmed")
        end
    end)
    t.case("Khaos's refusal asks for another code", function()
        local w, event = begun()
        name(w, "RT9")
        w.khaos = function()
            return fault("Return not found or deleted")
        end
        local held = w:play(event).held[1]
        t.equal(held.message:find("Return not found", 1, true) ~= nil, true)
        name(w, "RT5001")
        w.khaos = function()
            return soap(DONE)
        end
        t.equal(w:play(event).done, true)
    end)
    t.case("a reply is read by the installation's own words", function()
        local settings = schema.with_defaults(process_return.schema(), {done_pattern = "^true$"})
        t.equal(process_return.read(soap(DONE), settings).processed, true)
        local _, err = process_return.read(soap((DONE:gsub("true", "maybe"))), settings)
        t.equal(err.maybe_sent, true)
        _, err = process_return.read(fault("Return has been partly processed"), settings)
        t.equal({err.kind, err.maybe_sent or false}, {"invalid", false})
        _, err = process_return.read(fault("Deadlock"), settings)
        t.equal(err.maybe_sent, true)
    end)
end

return function(t)
    spellings(t)
    from_scayle(t)
    from_khaos(t)
    strays(t)
    processing(t)
end
