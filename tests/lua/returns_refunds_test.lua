--- What SCAYLE refunds, to the penny: several fees, parts of them, credit notes below the refund.
--- Each of these was once asked for in part, or not at all, and nobody was told.
local order_view = require("reports.reconcile.order_view")
local refund_book = require("flows.refund_book")
local returns_world = require("returns_world")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local unit_book = require("flows.unit_book")

local STANDARD = {category = "delivery", key = "base", minor = 395}
local EXPRESS = {category = "delivery", key = "express", minor = 500}
local PAYMENT = {category = "payment", key = "p", minor = 200}
local GIFT = {category = "additional", key = "gift", minor = 200}

local function world(charges, fees)
    local w = returns_world.new({{"TEE", 2000}, {"SOCK", 500, moved = -2}}, nil, charges)
    w.fees = fees or {}
    return w
end

local function asked(w)
    local open = refund_book.open(w:book())
    local list = {unexplained = open.unexplained_minor}
    for _, entry in ipairs(open.money) do
        list[entry.name] = entry.minor
    end
    return list
end

local function refund(w, ...)
    return w:play(w:message("scayle.refund", {kind = "refund", fees = {...}}))
end

-- A refund's own message, with its id and its amount.
local function stated(w, id, minor, ...)
    return w:play(w:message("scayle.refund", {kind = "refund", fees = {...}, refund_id = id,
        amount = minor}))
end

local function base(minor)
    return {category = "delivery", key = "base", minor = minor}
end

local function sum(amounts)
    local total = 0
    for _, minor in pairs(amounts) do
        total = total + minor
    end
    return total
end

local function several_fees(t)
    local both = {{name = "delivery", minor = 895}}
    t.case("two delivery fees that one event refunds are both asked for", function()
        local w = world(both, {STANDARD, EXPRESS})
        refund(w, STANDARD, EXPRESS)
        refund(w, EXPRESS, STANDARD) -- by another message
        t.equal(asked(w), {unexplained = 0, delivery = 895})
        w:play((w:note({}, 895, {delivery = 895})))
        t.equal({asked(w), w:open()}, {{unexplained = 0}, {}})
    end)
    t.case("a fee that is refunded in parts is asked for as a whole", function()
        local w = world(both)
        refund(w, {category = "delivery", key = "base", minor = 400})
        refund(w, {category = "delivery", key = "base", minor = 495})
        refund(w, {category = "delivery", key = "base", minor = 400})
        t.equal(asked(w), {unexplained = 0, delivery = 895})
    end)
    t.case("what is refunded of fees beyond their charge is shown, not asked for", function()
        local w = world{{name = "delivery", minor = 495}}
        refund(w, base(400))
        refund(w, {category = "delivery", key = "express", minor = 495})
        t.equal(asked(w), {unexplained = 0, delivery = 495})
        t.matches(w:open().refund_exceeds_invoice, "refunded 8%.95 GBP, invoiced 4%.95 GBP")
    end)
    t.case("equal fees are two charges, whichever is which", function()
        local w = world{{name = "F1", minor = 200}, {name = "F2", minor = 200}}
        w.status["101"] = "returned"
        refund(w, PAYMENT, GIFT)
        t.equal(asked(w), {unexplained = 0, F1 = 200, F2 = 200})
        t.matches(w:open().refund_not_in_khaos, "refunds 4%.00 GBP")
        t.matches(w:open().return_not_in_khaos, "refunds 20%.00 GBP")
    end)
    t.case("a fee is the charge it was posted as, where the posting tells", function()
        local w = world{{name = "F1", minor = 200, fee = GIFT}, {name = "F2", minor = 200,
            fee = PAYMENT}, {name = "F3", minor = 500, fee = EXPRESS},
            {name = "delivery", minor = 395}}
        refund(w, {category = "payment", key = "p", minor = 150}, EXPRESS)
        t.equal(asked(w), {unexplained = 0, F2 = 150, F3 = 500})
    end)
    t.case("a fee that is no charge is asked for though units explain more", function()
        local w = world{{name = "delivery", minor = 495}}
        w.status["101"] = "returned"
        refund(w, PAYMENT)
        t.equal(asked(w), {unexplained = 200})
        t.matches(w:open().refund_unexplained, "2%.00 GBP is left")
        w:play((w:note({}, 200)))
        t.equal(asked(w), {unexplained = 0})
    end)
end

-- One fee of 8.95; what two messages tell of it.
local function parts_of_a_fee(t)
    local whole = {{name = "delivery", minor = 895}}
    local function told(...)
        local w = world(whole, {base(895)})
        for _, minor in ipairs({...}) do
            refund(w, base(minor))
        end
        return w
    end
    t.case("a part of a fee and then the whole come to the whole, in either order", function()
        for _, amounts in ipairs({{400, 895}, {895, 400}, {400, 700, 895}, {895, 895}}) do
            local w = told(table.unpack(amounts))
            t.equal(asked(w), {unexplained = 0, delivery = 895})
            t.equal({w:open().refund_told_twice, w:open().refund_exceeds_invoice}, {})
        end
    end)
    t.case("parts that exceed the fee were told cumulatively", function()
        t.equal(asked(told(400, 700)), {unexplained = 0, delivery = 700})
    end)
    t.case("two equal parts may be one refund or two: a person says, or a credit does", function()
        local w = told(400, 400)
        t.equal(asked(w), {unexplained = 0, delivery = 400})
        t.matches(w:open().refund_told_twice, "4%.00 GBP of delivery, or 8%.00 GBP")
        w:play((w:note({}, 400)))
        t.equal(asked(w), {unexplained = 0})
        t.matches(w:open().refund_told_twice, "4%.00 GBP of delivery, or 8%.00 GBP")
        w:play((w:note({}, 400)))
        t.equal({w:open(), w:book().goodwill}, {{}, {}})
    end)
    t.case("one credit note over the higher figure, and more, settles it", function()
        for _, more in ipairs({0, 100}) do
            local w = told(400, 400)
            w:play((w:note({}, 800 + more)))
            t.equal({w:open(), sum(w:book().goodwill)}, {{}, more})
            w = told(400, 400)
            w:play((w:note({}, 800 + more, {delivery = 800})))
            t.equal({w:open(), sum(w:book().goodwill)}, {{}, more})
        end
    end)
    t.case("an unexplained refund comes before a doubtful one", function()
        local w = told(400, 400)
        stated(w, "R1", 500)
        w:play((w:note({}, 500)))
        t.equal(asked(w), {unexplained = 0})
        t.matches(w:open().refund_told_twice, "4%.00 GBP of delivery, or 8%.00 GBP")
    end)
    t.case("the rest of the fee settles it, and so does one message told again", function()
        local w = told(400, 400, 495)
        t.equal({asked(w), w:open().refund_told_twice}, {{unexplained = 0, delivery = 895}})
        w = world(whole, {base(895)})
        local message = w:message("scayle.refund", {kind = "refund", fees = {base(400)}})
        w:play(message)
        w:play(message)
        t.equal({asked(w), w:open().refund_told_twice}, {{unexplained = 0, delivery = 400}})
    end)
    t.case("of equal parts as many may be refunds as fit into the fee", function()
        local w = world({{name = "delivery", minor = 495}}, {base(495)})
        for _ = 1, 4 do -- two parts, each told by a refund and by an invoice
            refund(w, base(200))
        end
        t.equal(asked(w), {unexplained = 0, delivery = 200})
        t.matches(w:open().refund_told_twice, "2%.00 GBP of delivery, or 4%.00 GBP")
    end)
    t.case("equal fees that are told one by one and then together are two charges", function()
        local w = world({{name = "F1", minor = 200, fee = GIFT},
            {name = "F2", minor = 200, fee = GIFT}}, {GIFT, GIFT})
        refund(w, GIFT)
        refund(w, GIFT)
        refund(w, GIFT, GIFT)
        t.equal(asked(w), {unexplained = 0, F1 = 200, F2 = 200})
        t.equal({w:open().refund_exceeds_invoice, w:open().refund_told_twice}, {})
    end)
    -- Seen before: the second was looked for in the charge of the first, which has no room for it,
    -- and nobody was told.
    t.case("equal fees that two messages tell may be two charges: a person says, or a credit does",
        function()
            for _, fee in ipairs({GIFT, false}) do
                local charges = {{name = "F1", minor = 200, fee = fee or nil},
                    {name = "F2", minor = 200, fee = fee or nil}}
                local w = world(charges, {GIFT, GIFT})
                for _ = 1, 3 do
                    refund(w, GIFT)
                end
                t.equal(asked(w), {unexplained = 0, F1 = 200})
                t.matches(w:open().refund_told_twice, "0%.00 GBP of F2, or 2%.00 GBP")
                w:play((w:note({}, 200)))
                t.matches(w:open().refund_told_twice, "0%.00 GBP of F2, or 2%.00 GBP")
                w:play((w:note({}, 200)))
                t.equal({w:open(), w:book().goodwill}, {{}, {}})
                w = world({charges[1]}, {GIFT})
                refund(w, GIFT)
                refund(w, GIFT)
                t.equal({asked(w), w:open().refund_told_twice}, {{unexplained = 0, F1 = 200}})
            end
        end)
    t.case("the amount of a refund counts, whichever of its messages states it", function()
        for _, fee in ipairs({base(895), base(400)}) do
            for _, is_first in ipairs({true, false}) do
                local w = world(whole, {base(895)})
                stated(w, "R1", is_first and 400 or nil, is_first and fee or base(895))
                stated(w, "R1", not is_first and 400 or nil, is_first and base(895) or fee)
                t.equal(asked(w), {unexplained = 0, delivery = 400})
                t.equal(w:open().refund_exceeds_invoice, nil)
            end
        end
    end)
    t.case("a message without fees may state the amount of those that another told", function()
        for _, is_first in ipairs({true, false}) do
            local w = world(whole, {base(895)})
            stated(w, "R1", is_first and 400 or nil, is_first and nil or base(895))
            stated(w, "R1", not is_first and 400 or nil, is_first and base(895) or nil)
            t.equal(asked(w), {unexplained = 0, delivery = 400})
        end
    end)
    t.case("refunds that are named count each, however often they are told", function()
        local w = world(whole, {base(895)})
        stated(w, "R1", 400, base(400))
        stated(w, "R2", 400, base(400))
        stated(w, "R1", 400, base(400))
        t.equal(asked(w), {unexplained = 0, delivery = 800})
        t.equal({w:open().refund_told_twice, w:open().refund_unexplained}, {})
    end)
    t.case("a refund whose fee is told in full gives back what it states", function()
        local w = world(whole, {base(895)})
        stated(w, "R1", 400, base(895))
        t.equal(asked(w), {unexplained = 0, delivery = 400})
        refund(w, base(895)) -- the invoice's message, which names no refund
        t.equal(asked(w), {unexplained = 0, delivery = 400})
        t.matches(w:open().refund_told_twice, "4%.00 GBP of delivery, or 8%.95 GBP")
        stated(w, "R2", 495, base(895))
        t.equal({asked(w), w:open().refund_told_twice}, {{unexplained = 0, delivery = 895}})
    end)
    t.case("of several fees that come to more than is stated none is guessed", function()
        local w = world({{name = "delivery", minor = 895}}, {STANDARD, EXPRESS})
        stated(w, "R1", 600, STANDARD, EXPRESS)
        t.equal(asked(w), {unexplained = 600})
    end)
end

local function shortfalls(t)
    local function returned(minor)
        local w = world()
        w.status["101"], w.status["102"] = "returned", "returned"
        w:play(w:message("scayle.returned", {kind = "returned", units = {"101", "102"}}))
        w:play((w:note({TEE = 1}, minor)))
        w:play((w:note({SOCK = 1}, 498)))
        return w
    end
    t.case("a credit note below the refund leaves the rest open, with both figures", function()
        local w = returned(200)
        t.matches(w:open().refund_not_in_khaos,
            "18%.00 GBP of TEE %(refunded 20%.00 GBP, credited 2%.00 GBP%)")
        w:play((w:note({}, 1800)))
        t.equal({w:open(), unit_book.state(w:book().units[1]), w:book().goodwill},
            {{}, "refunded", {}})
    end)
    t.case("pennies of Khaos's rounding and of its lines are no shortfall", function()
        t.equal({returned(1999):open(), returned(2000):open()}, {{}, {}})
        t.matches(returned(1998):open().refund_not_in_khaos, "0%.02 GBP of TEE")
    end)
    t.case("it does not matter whether the credit note comes first", function()
        local w = world()
        w:play((w:note({TEE = 1}, 1500)))
        t.equal(w:open(), {})
        w:play(w:message("scayle.returned", {kind = "returned", units = {"101"}}))
        t.matches(w:open().refund_not_in_khaos, "5%.00 GBP of TEE")
    end)
    t.case("several units share a credit by what SCAYLE gives back for each", function()
        local w = returns_world.new({{"TEE", 1000, price = 1000, reduced = 700}, {"SOCK", 500}})
        w:play((w:note({TEE = 1, SOCK = 1}, 1199)))
        w:play(w:message("scayle.returned", {kind = "returned", units = {"101", "102"}}))
        t.equal(w:open(), {})
    end)
    t.case("money without goods answers what is asked for before it is goodwill", function()
        local w = returned(200)
        refund(w, {category = "delivery", key = "base", minor = 495})
        w:play((w:note({}, 495)))
        t.equal(asked(w), {unexplained = 0, TEE = 1800})
        w:play((w:note({}, 1000)))
        t.equal({asked(w), w:book().goodwill}, {{unexplained = 0, TEE = 800}, {}})
        w:play((w:note({}, 802)))
        t.equal({asked(w), w:book().goodwill}, {{unexplained = 0}, {["khaos:CN5"] = 2}})
    end)
    t.case("of equal goods the unit comes back that costs what is credited", function()
        local w = returns_world.new({{"TEE", 0}, {"TEE", 2000}})
        w:play((w:note({TEE = 1}, 2000)))
        t.equal(w.told, {"102"})
    end)
end

-- ---- reconciliation --------------------------------------------------------------------------

local function line(kind, ref, gross, unit_ids, moved)
    return {kind = kind, import_ref = ref, vat_code = "1", unit_ids = unit_ids or {},
        predicted = {net_minor = gross, tax_minor = 0, gross_minor = gross},
        value = {moved_minor = moved or 0}}
end

-- The reconciliation's view of the order of world().
local function view(w)
    return w.job:with(function()
        local lines = store.get(support.LINES, "SC7")
        lines.lines = {line("item", "L1", 2000, {"101"}), line("item", "L2", 498, {"102"}, -2)}
        lines.delivery = line("delivery", nil, 495)
        lines.predicted, lines.paid = {gross_minor = 2993}, {}
        store.put(support.LINES, "SC7", lines)
        return order_view.of(returns_world.KEY, {order_id = "7", reference = "SC7",
            order_code = "SO7", accepted_ms = 1, posted_ms = 1}, w.job.now_ms + 1)
    end)
end

local function reconciling(t)
    t.case("the reconciliation has open what the lists ask for", function()
        local w = world()
        w.status["101"], w.status["102"] = "returned", "returned"
        refund(w, {category = "delivery", key = "base", minor = 195},
            {category = "delivery", key = "base", minor = 300}, PAYMENT)
        w:play((w:note({TEE = 1}, 200)))
        w:play((w:note({SOCK = 1}, 499)))
        local seen = view(w)
        t.equal(asked(w), {unexplained = 200, delivery = 495, TEE = 1800})
        t.equal({seen.problem or "none", seen.refund_open, seen.unexplained_refund,
            seen.credit_open}, {"none", 1800 + 495 + 1, 200, 0}) -- a penny of SOCK's line besides
        w:play((w:note({}, 495, {delivery = 495})))
        w:play((w:note({}, 1800)))
        seen = view(w)
        t.equal({asked(w), seen.refund_open, seen.unexplained_refund},
            {{unexplained = 200}, 1, 200})
    end)
end

return function(t)
    several_fees(t)
    parts_of_a_fee(t)
    reconciling(t)
    shortfalls(t)
end
