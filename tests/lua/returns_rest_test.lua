--- Refunds that SCAYLE states beside cancelled units: what is explained closes, what is not is
--- asked for to the penny, and the reconciliation of each moment says the same. Once one list held
--- a goodwill and cancelled units together, which no credit note could ever close.
local order_units = require("flows.order_units")
local order_view = require("reports.reconcile.order_view")
local refund_book = require("flows.refund_book")
local refund_rest = require("flows.refund_rest")
local returns_world = require("returns_world")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local unit_book = require("flows.unit_book")

local DELIVERY = {category = "delivery", key = "base", minor = 495}

local function line(kind, ref, gross, unit_ids)
    return {kind = kind, import_ref = ref, vat_code = "1", unit_ids = unit_ids or {},
        predicted = {net_minor = gross, tax_minor = 0, gross_minor = gross}, value = {}}
end

-- Units of 20.00 and 5.00, sent, and others that are cancelled on both sides.
local function world(cancelled, is_sent)
    local units = {{"TEE", 2000, is_here = is_sent == false},
        {"SOCK", 500, is_here = is_sent == false}}
    for i, minor in ipairs(cancelled) do
        units[i + 2] = {"HAT", minor, is_here = true}
    end
    local w = returns_world.new(units)
    w.fees = {DELIVERY}
    w.job:with(function()
        order_units.change(returns_world.KEY, function(book)
            local ids = {}
            for i, unit in ipairs(book.units) do
                ids[#ids + 1] = (i > 2 or is_sent == false) and unit.id or nil
            end
            for _, id in ipairs(ids) do
                w.status[id] = "cancelled"
            end
            unit_book.apply(book, {kind = "cancel", id = "khaos:c", origin = "khaos", at_ms = 2,
                units = ids})
        end)
        local lines = store.get(support.LINES, "SC7")
        for i, unit in ipairs(w.units) do
            lines.lines[i] = line("item", "L" .. i, unit.price, {unit.id})
        end
        lines.delivery = line("delivery", nil, 495)
        lines.predicted, lines.paid = {gross_minor = w.total}, {}
        store.put(support.LINES, "SC7", lines)
    end)
    return w
end

local function refund(w, id, minor, ...)
    w:play(w:message("scayle.refund", {kind = "refund", fees = {...}, refund_id = id,
        amount = minor}))
end

local function view(w, at_ms)
    return w.job:with(function()
        return order_view.of(returns_world.KEY, {order_id = "7", reference = "SC7",
            order_code = "SO7", accepted_ms = 1, posted_ms = 1}, at_ms or w.job.now_ms + 1)
    end)
end

-- What the list asks for, and what the reconciliation has open: refunded, credited.
local function left(w, at_ms)
    local seen = view(w, at_ms)
    return {refund_book.open(w:book()).unexplained_minor,
        seen.unexplained_refund + seen.refund_open, seen.credit_open}
end

local function credited(w, minor)
    w:play((w:note({}, minor)))
end

local function histories(t)
    t.case("a goodwill beside refunded cancelled units is asked for alone, and closes", function()
        for _, amounts in ipairs({{1000, 200}, {200, 1000}, {1000, 500, 200}, {1500, 200}}) do
            local w = world({1000, 500})
            for i, minor in ipairs(amounts) do
                refund(w, "R" .. i, minor)
            end
            t.equal(left(w), {200, 200, 0})
            t.matches(w:open().refund_unexplained, ": 2%.00 GBP is left")
            credited(w, 150)
            t.equal(left(w), {50, 50, 0})
            credited(w, 50)
            t.equal({left(w), w:open()}, {{0, 0, 0}, {}})
        end
    end)
    t.case("a goodwill beside cancelled units that were never paid is asked for alone", function()
        local w = world({1000})
        refund(w, "R1", 200)
        t.equal(left(w), {200, 200, 0})
        t.matches(w:open().refund_unexplained, "2%.00 GBP is left; further cancelled units may")
        credited(w, 200)
        t.equal({left(w), w:open()}, {{0, 0, 0}, {}})
    end)
    t.case("one refund of a goodwill and cancelled units is for a person, and closes", function()
        local w = world({1000})
        refund(w, "R1", 1200)
        t.matches(w:open().refund_unexplained,
            "12%.00 GBP is left; further cancelled units may explain up to 10%.00 GBP of it")
        credited(w, 200)
        t.equal({left(w), w:open()}, {{0, 0, 0}, {}})
        t.equal(view(w).codes.goodwill.refunded.gross, 200)
    end)
    t.case("returned units, fees, cancelled units and a goodwill, in any order", function()
        for first = 1, 4 do
            local w = world({1000})
            local told = {
                function()
                    w.status["101"] = "returned"
                    refund(w, "R1", 2000)
                end,
                function()
                    refund(w, "R2", 495, DELIVERY)
                end,
                function()
                    refund(w, "R3", 1000)
                end,
                function()
                    refund(w, "R4", 150)
                end,
            }
            for i = 0, 3 do
                told[(first + i - 1) % 4 + 1]()
            end
            t.equal({refund_book.open(w:book()).unexplained_minor, view(w).unexplained_refund},
                {150, 150})
            w:play((w:note({TEE = 1}, 2000)))
            credited(w, 495)
            credited(w, 150)
            t.equal({left(w), w:open()}, {{0, 0, 0}, {}})
        end
    end)
    t.case("an order that is cancelled as a whole owes nothing of its delivery", function()
        local w = world({1000}, false)
        refund(w, "R1", 3995, DELIVERY)
        t.equal({left(w), w:open()}, {{0, 0, 0}, {}})
    end)
    t.case("a fee that is no charge is left beside cancelled units", function()
        local w = world({1000})
        refund(w, "R1", 1200, {category = "payment", key = "p", minor = 200})
        t.equal(left(w), {200, 200, 0})
        credited(w, 100)
        t.equal(left(w), {100, 100, 0})
        credited(w, 100)
        t.equal({left(w), w:open()}, {{0, 0, 0}, {}})
    end)
    t.case("each moment is reconciled as it was", function()
        local w = world({1000})
        local moments, wanted = {}, {{0, 0}, {0, 0}, {200, 0}, {50, 0}, {0, 0}, {0, 30}}
        local acts = {function() end, function()
            refund(w, "R1", 1000)
        end, function()
            refund(w, "R2", 200)
        end, function()
            credited(w, 150)
        end, function()
            credited(w, 50)
        end, function()
            credited(w, 30)
        end}
        for i, act in ipairs(acts) do
            act()
            moments[i], w.job.now_ms = w.job.now_ms, w.job.now_ms + 10
        end
        for i, at_ms in ipairs(moments) do
            local seen = view(w, at_ms)
            t.equal({seen.unexplained_refund, seen.credit_open}, wanted[i])
        end
    end)
    t.case("what SCAYLE was told of answers none of its own refunds, in either view", function()
        local w = world({})
        w.settings.tell_goodwill = true
        credited(w, 200)
        refund(w, "R1", 200)
        t.equal(left(w), {200, 200, 0})
    end)
    local function telling()
        local w = world({})
        w.settings = returns_world.settings({tell_goodwill = true})
        return w
    end
    t.case("what of a credit note SCAYLE was told of is taken off once", function()
        local w = telling()
        refund(w, "R1", 1000)
        w:play((w:note({}, 1500, {delivery = 495})))
        t.equal({w:book().refunds.told["khaos:CN1"].minor, left(w), w:open()},
            {500, {0, 0, 0}, {}})
        w = telling()
        refund(w, "R1", 300)
        w:play((w:note({}, 495, {delivery = 495})))
        t.equal({w:book().refunds.told["khaos:CN1"].minor, left(w), w:open()},
            {195, {0, 0, 0}, {}})
    end)
    t.case("what SCAYLE refunds of a charge that it was told of leaves nothing over", function()
        local w = telling()
        w:play((w:note({}, 595, {delivery = 495})))
        w.job.now_ms = w.job.now_ms + 10
        w:play(w:message("scayle.refund", {kind = "refund", fees = {
            {category = "delivery", key = "base", minor = 300}}}))
        t.equal({w:book().refunds.told["khaos:CN1"].minor, left(w), w:open()},
            {595, {0, 0, 0}, {}})
    end)
    t.case("a goodwill beside the credit of a refunded charge is what was told of", function()
        local w = telling()
        w:play(w:message("scayle.refund", {kind = "refund", fees = {DELIVERY}}))
        w:play((w:note({}, 795, {delivery = 495})))
        t.equal({w:book().refunds.told["khaos:CN1"].minor, left(w), w:open()},
            {300, {0, 0, 0}, {}})
    end)
end

local function arithmetic(t)
    local function rest(stated, cancelled, more)
        local case = {stated = stated, cancelled = cancelled, explained = 0, loose = 0,
            parts = {}, doubtful = 0, credited = 0}
        for name, value in pairs(more or {}) do
            case[name] = value
        end
        local found = refund_rest.of(case)
        return {found.asked_minor, found.left_minor, found.over_minor}
    end
    t.case("only whole refunds are explained by cancelled units", function()
        t.equal(rest({1000, 200}, {1000}), {200, 200, 0})
        t.equal(rest({1200}, {1000}), {1200, 1200, 0})
        t.equal(rest({1500, 70}, {1000, 500, 300}), {70, 70, 0})
        t.equal(rest({900}, {1000}), {900, 900, 0})
        t.equal(rest({600, 400}, {1000}), {1000, 1000, 0})
    end)
    t.case("a refund may be of a unit that came back and of one that is cancelled", function()
        t.equal(rest({1700, 40}, {1000}, {explained = 700, parts = {500, 200}}), {40, 40, 0})
        t.equal(rest({1500, 200, 40}, {1000}, {explained = 700, parts = {500, 200}}),
            {40, 40, 0})
    end)
    t.case("a known refund is not hidden by cancelled units of the same worth", function()
        t.equal(rest({1300}, {1000, 100}, {loose = 300, parts = {300},
            credited = 200}), {300, 100, 0})
    end)
    t.case("so many units that any sum fits prove nothing but all of them", function()
        local cancelled, all = {}, 0
        for i = 1, 60 do
            cancelled[i], all = 997 + 13 * i * i, all + 997 + 13 * i * i
        end
        t.equal(rest({all, 77}, cancelled), {77, 77, 0})
        t.equal(rest({all // 2}, cancelled), {all // 2, all // 2, 0})
    end)
    t.case("cancelled units may explain no more than what is left", function()
        local w = world({6000})
        refund(w, "R1", 1900)
        credited(w, 1500)
        t.matches(w:open().refund_unexplained,
            "4%.00 GBP is left; further cancelled units may explain up to 4%.00 GBP of it")
    end)
end

return function(t)
    histories(t)
    arithmetic(t)
end
