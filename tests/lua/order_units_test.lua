-- The book of a posted order holds what the shopper paid for each unit, whatever pennies Khaos has
-- on other lines; and what a refund and a credit note of one unit then come to.
local aftersales = require("connectors.scayle.aftersales")
local fake_job = require("fake_job")
local order_units = require("flows.order_units")
local order_view = require("reports.reconcile.order_view")
local refund_book = require("flows.refund_book")
local store = require("neap.store")
local support = require("order_support")
local unit_book = require("flows.unit_book")
local records = require("flows.order_stages.support")

local KEY, REFERENCE, PRICE = "order:fo:7", "SC7", 999

-- `count` units of which no single net price comes to the whole.
local function posting_of(count)
    local items = {}
    for i = 1, count do
        items[i] = support.item(100 + i, "BAR", PRICE, {rate = 0.2})
    end
    local mappings = support.mappings({calc = "net", rounding_item = "ROUND",
        max_rounding_minor = 5})
    local posting = support.map(support.order(items), {mappings = mappings}).posting
    local moved = {}
    for i, line in ipairs(posting.lines) do
        moved[i] = line.value.moved_minor
    end
    return posting, moved
end

local function begun(posting)
    store.put(records.LINES, REFERENCE, {lines = posting.lines, predicted = posting.predicted,
        delivery = posting.delivery_charge, currency = "GBP", paid = {}})
    local book = order_units.of_posting(KEY, posting)
    unit_book.apply(book, {kind = "ship", id = "khaos:I1", origin = "khaos", at_ms = 1,
        units = {"101"}})
    refund_book.tell(book, {id = "m", at_ms = 2, sale = {items = {{id = "101",
        status = "returned", minor = PRICE}}}})
    return book
end

local function view_of(book)
    store.put(unit_book.TABLE, KEY, book)
    return order_view.of(KEY, {reference = REFERENCE, accepted_ms = 0, posted_ms = 0}, 10)
end

return function(t)
    t.case("each unit is in the book with what was paid for it; they come to the order", function()
        for count = 1, 4 do
            local posting = posting_of(count)
            local book, sum = order_units.of_posting(KEY, posting), 0
            for _, unit in ipairs(book.units) do
                t.equal(unit.paid_minor, PRICE)
                sum = sum + unit.paid_minor
            end
            for _, charge in ipairs(book.charges) do
                t.equal(charge.name, "delivery")
                sum = sum + charge.minor
            end
            t.equal(sum, posting.predicted.gross_minor)
        end
    end)
    t.case("the price of a unit is no more than was invoiced", function()
        fake_job.world({}):with(function()
            local posting, moved = posting_of(1)
            t.equal(moved, {-1, 1})
            t.equal(refund_book.exceeding(begun(posting)), {})
        end)
    end)
    t.case("a credit of Khaos's own line is open by its pennies", function()
        fake_job.world({}):with(function()
            local book = begun((posting_of(1)))
            unit_book.apply(book, {kind = "credit", id = "khaos:C1", origin = "khaos", at_ms = 3,
                credits = {{unit = "101", minor = PRICE - 1}}})
            local view = view_of(book)
            t.equal({view.refund_open, view.credit_open}, {1, 0})
        end)
    end)
    t.case("a unit's share of a reduction of the whole order is not refunded too much", function()
        fake_job.world({}):with(function()
            local order = support.order({support.item(101, "A", 2400, {rate = 0.2}),
                support.item(102, "B", 1200, {rate = 0.2})})
            order.membershipDiscount = {reductionValue = 360}
            order.cost.withTax, order.payment[1].amount = 3240, 3240
            local posting = support.map(order, {mappings = support.mappings(nil,
                {{match = {category = "membership"}, becomes = "percent", split = "all"}})}).posting
            order_units.begin(KEY, posting, {order_id = "7"})
            local book = order_units.load(KEY)
            t.equal({book.units[1].paid_minor, book.units[1].reduced_minor}, {2160, 240})
            order.items[1].status = "returned"
            refund_book.tell(book, {id = "m", at_ms = 2, sale = aftersales.digest(order)})
            t.equal(refund_book.exceeding(book), {})
            t.equal(refund_book.open(book).units[1].minor, 2160)
            order.items[1].price.withTax = 2500
            local again = order_units.load(KEY)
            refund_book.tell(again, {id = "n", at_ms = 3, sale = aftersales.digest(order)})
            t.equal(refund_book.exceeding(again)[1].refund_minor, 2260, "a price that rose is")
        end)
    end)
end
