-- Money without goods in the reconciliation: it was all net under no VAT code, though Khaos tells
-- the net of each credit note.
local json = require("neap.json")
local order_view = require("reports.reconcile.order_view")
local returns_world = require("returns_world")
local store = require("neap.store")
local support = require("flows.order_stages.support")

local KEY = returns_world.KEY

local function line(name, unit_id, code, gross, net)
    return {kind = unit_id and "item" or "delivery", import_ref = name, vat_code = code,
        unit_ids = json.array({unit_id}), value = {},
        predicted = {gross_minor = gross, net_minor = net}}
end

-- A shirt at 20 %, a book at no VAT, delivery at 20 %.
local function sold()
    local w = returns_world.new({{"TEE", 2000}, {"BOOK", 500}})
    w.job:with(function()
        local lines = store.get(support.LINES, "SC7")
        lines.lines = {line("L1", "101", 1, 2000, 1667), line("L2", "102", 2, 500, 500)}
        lines.delivery = line("delivery", nil, 1, 495, 413)
        lines.predicted, lines.paid = {gross_minor = 2995}, {}
        store.put(support.LINES, "SC7", lines)
    end)
    return w
end

-- What is credited: VAT code -> {net, gross}.
local function credited(w)
    return w.job:with(function()
        local view = order_view.of(KEY, {order_id = "7", reference = "SC7", order_code = "SO7",
            accepted_ms = 1000, posted_ms = 1000}, w.job.now_ms)
        local found = {}
        for code, stages in pairs(view.codes) do
            local sums = stages.credited
            found[code] = sums and sums.gross > 0 and {sums.net, sums.gross} or nil
        end
        return found
    end)
end

local function goodwill(net)
    local w = sold()
    w:play((w:note({}, 300, {net = net})))
    return credited(w)
end

return function(t)
    t.case("goodwill is under the VAT code whose rate its net has", function()
        t.equal(goodwill(250), {["1"] = {250, 300}})
        t.equal(goodwill(300), {["2"] = {300, 300}})
    end)
    t.case("a net of no rate of the order is told, under no code of it", function()
        t.equal(goodwill(280), {goodwill = {280, 300}})
        t.equal(goodwill(nil), {goodwill = {300, 300}})
    end)
    t.case("an amount that two rates fit is under neither", function()
        local w = sold()
        w:play((w:note({}, 5, {net = 5})))
        t.equal(credited(w), {goodwill = {5, 5}})
    end)
    t.case("beside goods it is what their net leaves of the credit note's", function()
        local w = sold()
        w:play((w:note({BOOK = 1}, 500 + 495 + 300, {delivery = 495, net = 500 + 413 + 250})))
        t.equal(credited(w), {["1"] = {413 + 250, 495 + 300}, ["2"] = {500, 500}})
    end)
end
