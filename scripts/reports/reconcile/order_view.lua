--- One order as it was known at an instant: what became of it, and its money per VAT code. Reads
--- the tables of the flows; what was learnt later is left out.
local order_history = require("flows.order_history")
local queue = require("flows.cloud_stages.queue")
local refund_book = require("flows.refund_book")
local refund_fees = require("flows.refund_fees")
local smaller = require("flows.unit_stages.smaller")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local unit_book = require("flows.unit_book")

local order_view = {}

local FORCE_CLOSE_MS = 14 * 24 * 3600000 -- SCAYLE counts what was not sent by then as sent
local NO_CODE = "?"
local GOODWILL = "goodwill"

---@class reconcile.Sums minor units
---@field net integer
---@field gross integer

---@class reconcile.View
---@field key string
---@field order_id string
---@field accepted_ms integer
---@field state "in_flight"|"held"|"ended"|"posted"
---@field causes string[] of a hold
---@field ended string|nil words
---@field company string|nil
---@field market string|nil
---@field currency string|nil
---@field ordered integer|nil what SCAYLE's order comes to
---@field order_code string|nil
---@field posted_ms integer|nil
---@field read_back table|nil
---@field is_shown boolean|nil Khaos Control Cloud shows it; there is no reading back
---@field has_fetched boolean|nil what is credited is of returns that Khaos Control Cloud fetched
---@field cancel_wanted boolean|nil
---@field force_closed boolean|nil
---@field problem string|nil why the figures cannot be told
---@field codes table<string, table<string, reconcile.Sums>> VAT code -> stage -> sums
---@field refund_open integer refunded and not credited
---@field dismissed_open integer refunded, of returns that a person says are not booked in Khaos
---@field offered_open integer refunded, and on its way: offered to Khaos Control Cloud as a return
---@field credit_open integer credited and not refunded
---@field moved_open integer refunded less credited, of units whose line is pennies off their cost
---@field unexplained_refund integer given back by SCAYLE, for no unit and no charge, not credited
---@field conflicts integer units that were cancelled and left
---@field one_sided integer what Khaos has of units that only SCAYLE cancelled

local function add(view, code, stage, net, gross)
    local by_stage = view.codes[code] or {}
    view.codes[code] = by_stage
    local sums = by_stage[stage] or {net = 0, gross = 0}
    by_stage[stage] = sums
    sums.net, sums.gross = sums.net + net, sums.gross + gross
end

-- The i-th of `count` shares; earlier ones take the odd pennies, as in the book of units.
local function share(minor, count, i)
    local rest = minor % count
    return minor // count + (i <= rest and 1 or 0)
end

-- What is credited of a gross amount, net: in proportion, halves up, whole when it is whole.
local function net_part(net, gross, credited)
    return gross == 0 and 0 or (2 * net * credited + gross) // (2 * gross)
end

local function sum(amounts)
    local total = 0
    for _, minor in pairs(amounts) do
        total = total + minor
    end
    return total
end

-- What SCAYLE gave back by an instant.
local function refund_at(entry, at_ms)
    return entry and entry.at_ms <= at_ms and entry.minor or nil
end

-- ---- what became of it -----------------------------------------------------------------------

local READERS = {}

function READERS.ordered(view, entry)
    view.ordered, view.currency = entry.minor, entry.currency
    view.company, view.market = entry.company, entry.market
end

function READERS.held(view, entry)
    view.state, view.causes = "held", entry.causes
end

function READERS.going(view)
    view.state, view.causes = "in_flight", {}
end

function READERS.ended(view, entry)
    view.state, view.ended = "ended", entry.state
end

function READERS.read_back(view, entry)
    view.read_back = entry
end

function READERS.cancel_wanted(view)
    view.cancel_wanted = true
end

local function read_history(view, at_ms)
    for _, entry in ipairs(store.get(order_history.TABLE, view.key) or {}) do
        local reader = READERS[entry.kind]
        if entry.at_ms <= at_ms and reader then
            reader(view, entry)
        end
    end
end

-- ---- money -----------------------------------------------------------------------------------

local function is_invoiced(unit)
    return unit.shipped ~= nil or unit.returned ~= nil
end

-- A unit may have left before its invoice was issued.
local function is_unissued(parcels, unit, at_ms)
    local id = unit.shipped and unit.shipped.id:match("^khaos:(.+)$")
    local parcel = id and parcels[id]
    return parcel and parcel.is_unissued and not (parcel.issued_ms and parcel.issued_ms <= at_ms)
end

local function stage_of(view, unit, at_ms)
    local state = unit_book.state(unit)
    if state == "conflict" then
        view.conflicts = view.conflicts + 1
    elseif not is_invoiced(unit) then
        return state
    end
    return is_unissued(view.parcels, unit, at_ms) and "unissued" or "invoiced"
end

-- Credits of a unit or charge, and what they leave of the nets of their credit notes.
local function add_credits(view, code, net, gross, credits)
    local credited = sum(credits)
    add(view, code, "credited", net_part(net, gross, credited), credited)
    for id, minor in pairs(credits) do
        view.net_elsewhere[id] = (view.net_elsewhere[id] or 0) + net_part(net, gross, minor)
    end
    return credited
end

local function add_unit(view, unit, money, at_ms)
    local code, net, gross = money.code, money.net, money.gross
    local stage = stage_of(view, unit, at_ms)
    view.stages[stage] = true
    add(view, code, stage, net, gross)
    local gone_ms = view.refunds.gone[unit.id]
    if gone_ms and gone_ms <= at_ms and not unit.cancelled and not view.ours[unit.id]
        and not next(unit.credits) then
        view.one_sided = view.one_sided + gross
    end
    local credited = add_credits(view, code, net, gross, unit.credits)
    local refund = refund_at(view.refunds.units[unit.id], at_ms)
    local refunded = refund or unit.returned and unit.paid_minor or 0
    add(view, code, "refunded", net_part(net, gross, refunded), refunded)
    local open = refunded - credited
    if credited > 0 and math.abs(open) <= money.moved then
        view.moved_open = view.moved_open + open
    elseif view.offered[unit.id] then
        local name = view.offered[unit.id] .. "_open"
        view[name] = view[name] + math.max(0, open)
    else
        view.refund_open = view.refund_open + math.max(0, open)
        view.credit_open = view.credit_open + math.max(0, -open)
    end
end

-- Charges are invoiced with the first goods, and cancelled when all of those are.
local function charge_stage(view)
    for _, stage in ipairs({"invoiced", "unissued", "open"}) do
        if view.stages[stage] then
            return stage
        end
    end
    return "cancelled"
end

local function add_charge(view, charge, money, at_ms)
    local refunded = charge and refund_fees.of_charge(view.refunds, charge, at_ms) or 0
    add(view, money.code, charge_stage(view), money.net, money.gross)
    local credited = add_credits(view, money.code, money.net, money.gross,
        charge and charge.credits or {})
    add(view, money.code, "refunded", net_part(money.net, money.gross, refunded), refunded)
    if not refund_book.is_void(view.book, view.refunds, at_ms) then -- else it is never invoiced
        view.refund_open = view.refund_open + math.max(0, refunded - credited)
    end
end

local function line_code(line)
    return line.vat_code and tostring(line.vat_code) or NO_CODE
end

local function charge_by_name(book, name)
    for _, charge in ipairs(book.charges) do
        if charge.name == name then
            return charge
        end
    end
    return nil
end

-- What a line comes to. Its part of an amount off the whole order (Cloud) is not in its own
-- figures.
local function money_of(line)
    local whole, value = line.predicted, line.value or {}
    return {code = line_code(line),
        net = whole.net_minor - (value.order_discount_net_minor or 0),
        gross = whole.gross_minor - (value.order_discount_minor or 0),
        moved = math.abs(value.moved_minor or 0)}
end

local function add_item_line(view, line, at_ms)
    local money = money_of(line)
    add(view, money.code, "posted", money.net, money.gross)
    for i, id in ipairs(line.unit_ids) do
        local unit = unit_book.unit(view.book, id)
        if not unit then
            view.problem = "unit " .. id .. " is in no book"
            return
        end
        add_unit(view, unit, {code = money.code, net = share(money.net, #line.unit_ids, i),
            gross = share(money.gross, #line.unit_ids, i), moved = money.moved}, at_ms)
    end
end

local function add_charge_line(view, line, name, at_ms)
    local money = money_of(line)
    add(view, money.code, "posted", money.net, money.gross)
    add_charge(view, charge_by_name(view.book, name), money, at_ms)
end

-- Goods first: what became of them is what became of the charges.
local function add_lines(view, lines, at_ms)
    for _, line in ipairs(lines.lines) do
        if line.kind == "item" then
            add_item_line(view, line, at_ms)
        end
    end
    for i, line in ipairs(lines.lines) do
        if line.kind ~= "item" then
            add_charge_line(view, line, line.import_ref or (line.kind .. i), at_ms)
        end
    end
    if lines.delivery.predicted.gross_minor ~= 0 then
        add_charge_line(view, lines.delivery, "delivery", at_ms)
    end
end

-- Pennies that lines of the same units carry for each other (flows.orders.worth): credited line by
-- line, one is a penny short and another a penny over. What is left of them is open.
local function add_moved(view)
    view.refund_open = view.refund_open + math.max(0, view.moved_open)
    view.credit_open = view.credit_open + math.max(0, -view.moved_open)
end

-- A credit note names no VAT code, but its net tells the rate: the code is that of the posting
-- whose rate gives this net to the penny of Khaos's rounding, when there is exactly one.
local function vat_of_goodwill(view, id, minor)
    local whole = view.book.credit_nets[id]
    if not whole then
        return GOODWILL, minor
    end
    local net, found = math.max(0, math.min(minor, whole - (view.net_elsewhere[id] or 0))), {}
    for code, stages in pairs(view.codes) do
        local posted = stages.posted
        local wanted = posted and net_part(posted.net, posted.gross, minor)
        found[#found + 1] = wanted and math.abs(wanted - net) <= 1 and code or nil
    end
    return #found == 1 and found[1] or GOODWILL, net
end

-- Money without goods: what Khaos credited so, and what of it SCAYLE gave back itself (a stated
-- refund that no unit and no charge explains) or was told of.
local function add_goodwill(view, at_ms)
    local rest = refund_book.rest(view.book, view.refunds, at_ms)
    for id, minor in pairs(view.book.goodwill) do
        local code, net = vat_of_goodwill(view, id, minor)
        add(view, code, "credited", net, minor)
    end
    if rest.asked_minor > 0 then
        add(view, GOODWILL, "refunded", rest.asked_minor, rest.asked_minor)
    end
    view.unexplained_refund = rest.left_minor
    view.credit_open = view.credit_open + rest.over_minor
end

-- Each kind of payment over the VAT codes, by what was posted with each.
local function add_payments(view, lines)
    local codes, weights = order_view.codes(view), {}
    for i, code in ipairs(codes) do
        weights[i] = (view.codes[code].posted or {gross = 0}).gross
    end
    local whole = sum(weights)
    for kind, minor in pairs(lines.paid or {}) do
        local given, weight = 0, 0
        for i, code in ipairs(codes) do
            weight = weight + weights[i]
            local until_here = whole == 0 and minor or minor * weight // whole
            add(view, code, kind, 0, until_here - given)
            given = until_here
        end
    end
end

local function is_by(ms, at_ms)
    return ms ~= nil and ms <= at_ms
end

local function has_fetched(book, at_ms)
    for _, offer in pairs(book.offered_returns or {}) do
        if offer.is_fetched and is_by(offer.credited_ms, at_ms) then
            return true
        end
    end
    return false
end

-- Units of returns that Khaos has not fetched, until a person is told that it does not; and of
-- those that a person dismissed.
local function offered_units(book, at_ms)
    local units = {}
    for _, offer in pairs(book.offered_returns or {}) do
        local is_open = is_by(offer.offered_ms, at_ms) and not is_by(offer.credited_ms, at_ms)
        local state = is_by(offer.dismissed_ms, at_ms) and "dismissed"
            or not is_by(offer.told_ms, at_ms) and "offered" or nil
        for _, id in ipairs(is_open and offer.units or {}) do
            units[id] = state
        end
    end
    return units
end

-- Nothing is read back from Khaos Control Cloud: an order is in it when it pushes its status.
local function is_shown(record, at_ms)
    local entry = record.reference and queue.get("orders", record.reference)
    return entry ~= nil and entry.state == "shown" and is_by(entry.shown_ms, at_ms)
end

local function read_posting(view, record, at_ms)
    local lines = record.reference and store.get(support.LINES, record.reference)
    local book = store.get(unit_book.TABLE, view.key)
    view.state, view.posted_ms, view.order_code = "posted", record.posted_ms, record.order_code
    view.is_shown = is_shown(record, at_ms)
    if not lines or not book then
        view.problem = "its lines are not remembered"
        return
    elseif not lines.delivery then
        view.problem = "it was posted before its VAT was remembered"
        return
    end
    view.currency, view.company, view.market = lines.currency, lines.company, lines.market
    local then_lines = smaller.lines_at(lines, at_ms)
    view.posted = then_lines.predicted.gross_minor
    view.book, view.parcels = unit_book.as_of(book, at_ms), book.parcels or {}
    view.refunds, view.offered = refund_book.of(book), offered_units(book, at_ms)
    view.has_fetched = has_fetched(book, at_ms)
    for _, id in ipairs(is_by(book.cancelling_ms, at_ms) and book.cancelling or {}) do
        view.ours[id] = true -- SCAYLE is told of these by us
    end
    add_lines(view, then_lines, at_ms)
    add_moved(view)
    add_payments(view, then_lines)
    add_goodwill(view, at_ms)
    local is_delegated = is_by(record.delegated_ms, at_ms)
    local since_ms = is_delegated and record.delegated_ms or record.accepted_ms
    view.force_closed = since_ms + FORCE_CLOSE_MS <= at_ms
end

--- The VAT codes of an order, sorted.
---@param view reconcile.View
---@return string[]
function order_view.codes(view)
    local codes = {}
    for code in pairs(view.codes) do
        codes[#codes + 1] = code
    end
    table.sort(codes)
    return codes
end

--- What was known of an order at an instant; nil when it was not accepted by then.
---@param key string
---@param record table of the orders flow
---@param at_ms integer
---@return reconcile.View|nil
function order_view.of(key, record, at_ms)
    if not record.accepted_ms or record.accepted_ms > at_ms then
        return nil
    end
    local view = {key = key, order_id = record.order_id, accepted_ms = record.accepted_ms,
        state = "in_flight", causes = {}, codes = {}, refund_open = 0, credit_open = 0,
        offered_open = 0, dismissed_open = 0, one_sided = 0, ours = {}, net_elsewhere = {},
        moved_open = 0, conflicts = 0, stages = {}, unexplained_refund = 0}
    read_history(view, at_ms)
    if record.posted_ms and record.posted_ms <= at_ms then
        read_posting(view, record, at_ms)
    end
    return view
end

return order_view
