--- Ledgers as the scripts before kept them: fees without group and source, the worth of cancelled
--- units as one sum. One of these once ended the reconciliation of its whole client.
local order_units = require("flows.order_units")
local order_view = require("reports.reconcile.order_view")
local refund_book = require("flows.refund_book")
local returns_world = require("returns_world")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local unit_book = require("flows.unit_book")

local function line(kind, ref, gross, unit_ids)
    return {kind = kind, import_ref = ref, vat_code = "1", unit_ids = unit_ids or {},
        predicted = {net_minor = gross, tax_minor = 0, gross_minor = gross}, value = {}}
end

-- A unit that was sent and others that are cancelled; `refunds` is what was kept of them.
local function world(refunds, cancelled)
    local units = {{"TEE", 2000}}
    for i, minor in ipairs(cancelled or {}) do
        units[i + 1] = {"HAT", minor, is_here = true}
    end
    local w = returns_world.new(units)
    local ledger = {units = {}, fees = {}, prices = {}, stated = {}, undeliverable = {}, gone = {},
        late = {}, told = {}, cancelled_minor = 0}
    for name, value in pairs(refunds) do
        ledger[name] = value
    end
    w.job:with(function()
        local lines = store.get(support.LINES, "SC7")
        for i, unit in ipairs(w.units) do
            lines.lines[i] = line("item", "L" .. i, unit.price, {unit.id})
        end
        lines.delivery = line("delivery", nil, 495)
        lines.predicted, lines.paid = {gross_minor = w.total}, {}
        store.put(support.LINES, "SC7", lines)
        order_units.change(returns_world.KEY, function(book)
            local ids = {}
            for i = 2, #units do
                ids[i - 1] = book.units[i].id
                w.status[ids[i - 1]] = "cancelled"
            end
            unit_book.apply(book, {kind = "cancel", id = "khaos:c", origin = "khaos", at_ms = 2,
                units = ids})
            book.refunds = ledger
        end)
    end)
    return w
end

local function view(w, at_ms)
    return w.job:with(function()
        return order_view.of(returns_world.KEY, {order_id = "7", reference = "SC7",
            order_code = "SO7", accepted_ms = 1, posted_ms = 1}, at_ms or w.job.now_ms + 1)
    end)
end

local DELIVERY = {category = "delivery", key = "base", minor = 495}

local function fees(t)
    local function refunded()
        return world({fees = {["delivery:base:495:1"] = {minor = 495, at_ms = 5,
            charge = "delivery"}}})
    end
    t.case("a refunded fee is open in the reconciliation, and in the list", function()
        local w = refunded()
        t.equal({view(w).refund_open, refund_book.open(w:book()).money[1].minor}, {495, 495})
    end)
    t.case("a further message about it is the same refund, and a credit note closes it", function()
        local w = refunded()
        t.equal(w:play(w:message("scayle.refund", {kind = "refund", fees = {DELIVERY}})).done, true)
        t.equal({view(w).refund_open, w:open().refund_told_twice}, {495, nil})
        w:play((w:note({}, 495, {delivery = 495})))
        t.equal({view(w).refund_open, w:open()}, {0, {}})
    end)
end

local function cancelled_units(t)
    local function refunded(minor, prices)
        return world({stated = {R1 = {minor = 1000, at_ms = 5}}, gone = {["102"] = 4, ["103"] = 4},
            cancelled_minor = minor, billing = "billing_partially_refunded", prices = prices},
            {600, 400})
    end
    local function left(w)
        return {view(w).unexplained_refund, refund_book.open(w:book()).unexplained_minor}
    end
    t.case("cancelled units explain a refund before the order is looked at again, and then",
        function()
            local w = refunded(1000, {["102"] = 600, ["103"] = 400})
            t.equal({left(w), view(w, 5).unexplained_refund}, {{0, 0}, 0})
            w:play(w:message("scayle.refund", {kind = "refund"}))
            t.equal({left(w), w:open()}, {{0, 0}, {}})
        end)
    t.case("a sum that is not theirs explains nothing until the order is looked at", function()
        local w = refunded(400, {["102"] = 600, ["103"] = 400})
        t.equal(left(w), {1000, 1000})
        w:play(w:message("scayle.refund", {kind = "refund"}))
        t.equal({left(w), w:open()}, {{0, 0}, {}})
    end)
end

return function(t)
    fees(t)
    cancelled_units(t)
end
