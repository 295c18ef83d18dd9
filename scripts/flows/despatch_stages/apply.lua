--- One order's newest snapshot: its parcels and its cancellation, told to SCAYLE.
local anew = require("flows.despatch_stages.anew")
local by_hand = require("flows.despatch_stages.by_hand")
local choose = require("flows.despatch_stages.choose")
local fulfillment = require("connectors.scayle.fulfillment")
local gone = require("flows.despatch_stages.gone")
local json = require("neap.json")
local kits = require("flows.despatch_stages.kits")
local news = require("flows.despatch_stages.news")
local order_units = require("flows.order_units")
local orders = require("connectors.scayle.orders")
local parcels = require("flows.despatch_stages.parcels")
local refund_book = require("flows.refund_book")
local scayle_client = require("connectors.scayle.client")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local time = require("neap.time")
local unit_book = require("flows.unit_book")

local NOON_MS = 12 * 3600000

local function hold(job, cause, subject, message, remedy)
    job:hold{{cause = cause, subject = subject, message = message, remedy = remedy,
        recheck = "manual"}}
end

-- Khaos gives a day (noon of it) or a clock time of its own; never later than now.
local function left_at(settings, parcel)
    local now_ms = time.now_ms()
    local sent_ms = parcel.sent_at and time.parse_iso(parcel.sent_at, {zone = settings.zone})
    if sent_ms then
        return time.format_iso(math.min(sent_ms, now_ms))
    end
    local day, month, year = (parcel.ship_date or ""):match("^(%d%d)/(%d%d)/(%d%d%d%d)$")
    local at_ms = day and time.parse_iso(string.format("%s-%s-%s", year, month, day),
        {zone = settings.zone})
    return time.format_iso(math.min(at_ms and at_ms + NOON_MS or now_ms, now_ms))
end

local function carrier_of(job, parcel)
    local courier = parcel.courier or "none"
    local carrier = job.settings.carriers[courier]
    if not carrier then
        job:hold{{cause = "unmapped_carrier", subject = courier, recheck = "reload",
            message = string.format("Khaos sent a parcel by %s, which no carrier of SCAYLE is "
                .. "mapped to", courier),
            remedy = "Add it to `carriers` of the despatch flow: the next reload goes on."}}
    end
    return carrier
end

-- The tracking number; what another parcel of the order has already gets the invoice behind, and a
-- number.
local function shipment_key(book, parcel)
    local taken, base = {}, parcel.consignment or parcel.invoice
    for _, other in pairs(book.parcels) do
        taken[other.shipment_key or ""] = true
    end
    local key, number = base, 1
    while taken[key] do
        key = base .. "/" .. parcel.invoice .. (number > 1 and "/" .. number or "")
        number = number + 1
    end
    return key
end

-- Keeps the units of a parcel: a repeat tells the same.
local function plan(job, lines, parcel, units)
    local carrier = carrier_of(job, parcel)
    order_units.change(lines.key, function(book)
        book.parcels[parcel.id] = {number = parcels.next_number(book),
            shipment = parcels.shipment_of(parcel), items = json.array(parcel.items),
            units = json.array(units), told = gone.without(book, units), carrier = carrier,
            is_unissued = parcel.is_unissued, shipment_key = shipment_key(book, parcel),
            left_at = left_at(job.settings, parcel)}
    end)
end

-- A parcel left before its invoice was issued; now it is.
local function mark_issued(lines, snapshot)
    local issued = {}
    for _, parcel in ipairs(snapshot.parcels) do
        issued[parcels.shipment_of(parcel)] = not parcel.is_unissued
    end
    order_units.change(lines.key, function(book)
        for _, planned in pairs(book.parcels) do
            if planned.is_unissued and issued[planned.shipment] then
                planned.issued_ms = planned.issued_ms or time.now_ms()
            end
        end
    end)
end

local function mark(lines, kind, id, units)
    order_units.change(lines.key, function(book)
        local outcome = unit_book.apply(book, {kind = kind, id = id, origin = "khaos",
            at_ms = time.now_ms(), units = units})
        assert(#outcome.refused == 0, "the book does not know its own units")
        if kind == "ship" then
            book.parcels[id:match("^khaos:(.*)$")].is_told = true
        end
    end)
end

local function check_result(job, lines, result, err, what)
    if result then
        return
    elseif err.retryable or err.kind == "cancelled" then
        error(err, 0)
    end
    hold(job, "refused_by_scayle", lines.order_id .. " " .. what, string.format(
        "SCAYLE refused %s of order %s: %s", what, lines.order_id, err.message),
        "Compare the order in SCAYLE and Khaos, correct what differs, then close this.")
end

local function ship(job, scayle, lines, id, planned)
    local where = {shop_key = lines.shop_key, country = lines.country}
    local again = planned.told_again and "#" .. planned.told_again or ""
    return job:effect({
        connection = scayle.connection, name = "ship_parcel", class = "lookup",
        key = lines.key .. "/" .. id .. again,
        request = function()
            return fulfillment.shipment_request(where, {order_id = lines.order_id,
                merchant = job.settings.merchant_key, carrier = planned.carrier,
                shipment_key = planned.shipment_key, left_at = planned.left_at,
                return_ident = job.settings.return_ident_code == "shipment_key"
                    and planned.shipment_key or nil,
                units = planned.told})
        end,
        read = fulfillment.read,
        lookup = function()
            return fulfillment.lookup_shipped(scayle, where, lines.order_id, planned.told,
                planned.shipment_key)
        end,
    })
end

local function shown_order(job, scayle, lines)
    local where = {shop_key = lines.shop_key, country = lines.country}
    local order, err = orders.get(scayle, where, lines.order_id)
    return support.check({job = job}, "SCAYLE", order, err)
end

-- Another unit of the code left instead of one that SCAYLE cancelled, where there is one.
local function replace(book, own, cancelled)
    for _, id in ipairs(cancelled) do
        local other = choose.instead(book, id)
        for i, unit in ipairs(other and own.units or {}) do
            own.units[i] = unit == id and other or unit
        end
        own.told[#own.told + 1] = other
    end
end

-- SCAYLE counted units as sent before it heard of their parcel, and takes it no more.
local function tell_unheard(job, lines, id, planned, units)
    job:open_exception({cause = "parcel_unheard", subject = lines.order_id .. " parcel " .. id,
        message = string.format("SCAYLE shows %d unit%s of order %s as sent, but took nothing of "
            .. "parcel %s (%s, %s)", #units, #units == 1 and "" or "s", lines.order_id, id,
            planned.carrier, planned.shipment_key),
        remedy = "SCAYLE closes an order after 14 days as if it had been sent. It has no tracking "
            .. "number and no return key of these units: tell the shopper the number, enter the "
            .. "shipment in SCAYLE if it can be, and enter their return there by hand, or nobody "
            .. "is refunded. Then close this.",
        recheck = "manual"})
end

-- A refused parcel may hold units that SCAYLE has cancelled, was told of by hand, or counts as sent
-- by itself: then the rest is told by itself. False: it holds none.
local function tell_less(job, scayle, lines, id, planned)
    local found = fulfillment.still_open(shown_order(job, scayle, lines), planned.told)
    if #found.open == #planned.told then
        return false
    end
    order_units.change(lines.key, function(book)
        refund_book.tell_gone(book, found.cancelled, time.now_ms())
        local own = book.parcels[id]
        own.told, own.told_again = found.open, (own.told_again or 0) + 1
        replace(book, own, found.cancelled)
    end)
    if #found.unheard > 0 then
        tell_unheard(job, lines, id, planned, found.unheard)
    end
    return true
end

local function tell_parcel(job, scayle, lines, id)
    while true do
        local planned = order_units.load(lines.key).parcels[id]
        local result, err
        if #planned.told > 0 then
            result, err = ship(job, scayle, lines, id, planned)
        end
        local is_over = result or #planned.told == 0
        local is_open = not is_over and (err.retryable or err.kind == "cancelled")
        if is_over or is_open or not tell_less(job, scayle, lines, id, planned) then
            return check_result(job, lines, is_over, err, "parcel " .. id)
        end
    end
end

-- Tells of what was planned, also by a run that ended before it could.
local function send_planned(job, scayle, lines)
    for _, id in ipairs(parcels.untold(order_units.load(lines.key))) do
        tell_parcel(job, scayle, lines, id)
        local planned = order_units.load(lines.key).parcels[id]
        mark(lines, "ship", "khaos:" .. id, planned.units)
        if #planned.told > 0 then
            job:note("despatch", string.format("parcel %s (%s) with %d units is in SCAYLE", id,
                planned.shipment_key, #planned.told))
        end
        if #gone.without(order_units.load(lines.key), planned.units) < #planned.units then
            gone.have_left(job, lines.key, id)
        end
    end
end

local function unmatched(lines, parcel, problem)
    return {cause = "despatch_unmatched", subject = parcel.id, recheck = "manual",
        message = string.format("Parcel %s of order %s cannot be told to SCAYLE: %s", parcel.id,
            lines.order_id, problem),
        remedy = "Enter the shipment in SCAYLE by hand and dismiss this, or correct the order in "
            .. "Khaos and close it."}
end

-- One that fits; nil when none does, and why not.
local function send_one(job, scayle, lines, list, is_last)
    local causes, has_kit = {}, kits.are_in(lines)
    for _, parcel in ipairs(list) do
        local units, problem = choose.units(order_units.load(lines.key), lines, parcel,
            is_last and has_kit)
        if units then
            plan(job, lines, parcel, units)
            send_planned(job, scayle, lines)
            return true
        end
        causes[#causes + 1] = unmatched(lines, parcel, problem)
    end
    return nil, causes
end

-- Those that fit first: what is left of a complete order is then the last one's.
local function send_news(job, scayle, lines, snapshot, with_late)
    while true do
        local list, late = {}, 0
        for _, parcel in ipairs(parcels.news(order_units.load(lines.key), snapshot)) do
            if with_late or parcel.consignment then
                list[#list + 1] = parcel
            else
                late = late + 1
            end
        end
        if #list == 0 then
            return late > 0
        end
        local is_last = #list == 1 and late == 0 and snapshot.is_complete == true
        local sent, causes = send_one(job, scayle, lines, list, is_last)
        if not sent and late > 0 then
            return true -- one without a number may be what is left
        elseif not sent then
            job:hold(causes)
        end
    end
end

-- A parcel without a tracking number waits for one, once; the others go first.
local function send_parcels(job, scayle, lines, snapshot)
    send_planned(job, scayle, lines)
    if send_news(job, scayle, lines, snapshot, false) then
        job:sleep("tracking numbers", job.settings.tracking_wait_ms)
        send_news(job, scayle, lines, store.get(news.SEEN, snapshot.reference).snapshot, true)
    end
end

-- Units that are open in the book; what we cancelled ourselves is not, so the echo finds nothing.
local function open_units(book)
    local units = json.array({})
    for _, unit in ipairs(book.units) do
        units[#units + 1] = unit_book.state(unit) == "open" and unit.id or nil
    end
    return units
end

local function tell_cancelled(job, scayle, lines, code, book)
    local where, told = {shop_key = lines.shop_key, country = lines.country}, book.cancelling_told
    local again = book.cancelling_again and "#" .. book.cancelling_again or ""
    return job:effect({
        connection = scayle.connection, name = "cancel_units", class = "lookup",
        key = lines.key .. "/" .. code .. again,
        request = function()
            return fulfillment.cancellation_request(where, lines.order_id,
                job.settings.merchant_key, told)
        end,
        read = fulfillment.read,
        lookup = function()
            return fulfillment.lookup_cancelled(scayle, where, lines.order_id, told)
        end,
    })
end

-- What SCAYLE refused may hold units that it cancelled meanwhile. False: it holds none.
local function cancel_less(job, scayle, lines, book)
    local found = fulfillment.still_open(shown_order(job, scayle, lines), book.cancelling_told)
    if #found.cancelled == 0 then
        return false
    end
    order_units.change(lines.key, function(own)
        refund_book.tell_gone(own, found.cancelled, time.now_ms())
        own.cancelling_told = gone.without(own, own.cancelling_told)
        own.cancelling_again = (own.cancelling_again or 0) + 1
    end)
    return true
end

-- SCAYLE takes a cancellation of what has left too, and pays it back (contract 3.3).
local function leave_out_sent(job, scayle, lines)
    if by_hand.learn(lines.key, shown_order(job, scayle, lines)) > 0 then
        job:open_exception({cause = "despatch_changed", subject = lines.order_id,
            message = string.format("Khaos cancelled units of order %s that SCAYLE shows as sent, "
                .. "in a package that Khaos has no parcel for", lines.order_id),
            remedy = "Find out whether it has left. What has not must be put right in SCAYLE, "
                .. "which has invoiced it; then close this.",
            recheck = "manual"})
    end
end

local function tell_short(job, lines, what)
    job:open_exception({cause = "despatch_short", subject = lines.order_id, message = what,
        remedy = "If they were taken off the order in Khaos, cancel them in SCAYLE; if they "
            .. "have left, enter their shipment there. Then close this.",
        recheck = "manual"})
end

-- False: a unit may have left by the hands of a person, and SCAYLE does not show which.
local function may_cancel(job, scayle, lines)
    if order_units.load(lines.key).cancelling then
        return true
    elseif #open_units(order_units.load(lines.key)) > 0 then
        leave_out_sent(job, scayle, lines)
    end
    local book = order_units.load(lines.key)
    local count = #open_units(book)
    if count == 0 then
        job:close_exception("despatch_short", lines.order_id, "none of its units is open any more")
    elseif by_hand.may_hold(book) then
        tell_short(job, lines, string.format("Khaos cancelled what is left of order %s, but a "
            .. "parcel of it was to be entered by hand, and SCAYLE shows %d of its units as not "
            .. "sent", lines.order_id, count))
        return false
    end
    return true
end

-- Tells SCAYLE once that the units are cancelled by the merchant, less those that it cancelled.
local function cancel(job, scayle, lines, snapshot, words)
    local id = "khaos:cancelled:" .. snapshot.order_code
    if not may_cancel(job, scayle, lines) then
        return
    end
    order_units.change(lines.key, function(own)
        own.cancelling = own.cancelling or open_units(own)
        own.cancelling_ms = own.cancelling_ms or time.now_ms()
        own.cancelling_told = own.cancelling_told or gone.without(own, own.cancelling)
    end)
    local book = order_units.load(lines.key)
    if #book.cancelling == 0 or book.changes[id] then
        return
    end
    while #book.cancelling_told > 0 do
        local result, err = tell_cancelled(job, scayle, lines, snapshot.order_code, book)
        local is_refused = not result and not err.retryable and err.kind ~= "cancelled"
        if not is_refused or not cancel_less(job, scayle, lines, book) then
            check_result(job, lines, result, err, "the cancellation")
            break
        end
        book = order_units.load(lines.key)
    end
    mark(lines, "cancel", id, book.cancelling)
    job:note("despatch", string.format("%s: %d units are cancelled in SCAYLE", words,
        #book.cancelling))
end

local function cancel_rest(job, scayle, lines, snapshot)
    cancel(job, scayle, lines, snapshot, string.format("cancelled in Khaos (%s)",
        snapshot.cancel_reason or "no reason given"))
end

-- Khaos calls the order complete. Units that no parcel held were taken off it, which is certain
-- when it shows how many units the order has and all of these have left.
local function cancel_missing(job, scayle, lines, snapshot)
    local quantity, book = snapshot.quantity, order_units.load(lines.key)
    local is_told, is_counted = book.cancelling ~= nil, quantity == nil
    if quantity and quantity > 0 then
        is_counted = parcels.count(snapshot) >= quantity
    end
    is_counted = is_counted and not by_hand.may_hold(book)
    if is_counted then
        gone.never_left(job, lines.key)
    end
    local missing = #open_units(order_units.load(lines.key))
    if missing == 0 then
        job:close_exception("despatch_short", lines.order_id, "none of its units is open any more")
    end
    if missing == 0 and not is_told then
        return
    elseif is_counted and quantity then
        return cancel(job, scayle, lines, snapshot, "taken off the order in Khaos")
    elseif missing > 0 then
        tell_short(job, lines, string.format("Khaos calls order %s complete, but %d of its units "
            .. "are in no parcel", lines.order_id, missing))
    end
end

-- Khaos shows less in a shipment than SCAYLE was told of it.
local function tell_taken_back(job, lines, snapshot)
    local missing = parcels.taken_back(order_units.load(lines.key), snapshot)
    local is_new = order_units.change(lines.key, function(book)
        local before = book.taken_back
        book.taken_back = missing
        return missing ~= before
    end)
    if missing and is_new then
        job:open_exception({cause = "despatch_changed", subject = lines.order_id,
            message = string.format("Khaos does not show any more what SCAYLE was told to have "
                .. "left of order %s: %s", lines.order_id, missing),
            remedy = "Compare the shipments of both sides. What has not left must be put right in "
                .. "SCAYLE, which has invoiced it; then close this.",
            recheck = "manual"})
    elseif not missing and is_new then
        job:close_exception("despatch_changed", lines.order_id, "Khaos shows it again")
    end
end

-- A person was asked to cancel in Khaos, and it left instead.
local function tell_too_late(job, lines, book)
    local left = unit_book.summary(book).shipped
    if left then
        job:open_exception({cause = "cancel_too_late", subject = lines.order_id,
            message = string.format("The shopper wanted order %s cancelled, but %d of its units "
                .. "have left", lines.order_id, left.units),
            remedy = "Stop the parcel, or leave it to the return; then close this.",
            recheck = "manual"})
    end
end

local function close_clocks(job, lines)
    if store.get(order_units.OPEN, lines.key) then
        return
    end
    local note = "nothing of the order is open any more"
    job:close_exception("despatch_late", lines.order_id, note)
    job:close_exception("force_close_near", lines.order_id, note)
    job:close_exception("amend_in_khaos", lines.order_id, note)
    if job:close_exception("cancel_in_khaos", lines.order_id, note) then
        tell_too_late(job, lines, order_units.load(lines.key))
    end
end

local function run(job, reference)
    local seen, lines = store.get(news.SEEN, reference), store.get(support.LINES, reference)
    local scayle = scayle_client.new(job.settings.scayle)
    local snapshot = seen.snapshot
    if not order_units.load(lines.key) then
        hold(job, "despatch_unmatched", reference, string.format(
            "Order %s has no book of units", lines.order_id),
            "Enter its shipments in SCAYLE by hand and dismiss this.")
    end
    if by_hand.may_hold(order_units.load(lines.key)) then
        by_hand.learn(lines.key, shown_order(job, scayle, lines))
    end
    send_parcels(job, scayle, lines, snapshot)
    mark_issued(lines, snapshot)
    tell_taken_back(job, lines, snapshot)
    if snapshot.is_cancelled then
        local settled = anew.settled(job, lines, snapshot)
        if not settled then
            return
        end
        cancel_rest(job, scayle, lines, settled)
    elseif snapshot.is_complete then
        cancel_missing(job, scayle, lines, snapshot)
    end
    close_clocks(job, lines)
end

local apply = {}

--- The job of an event "khaos.status". It works from the newest snapshot, also when that has an
--- event of its own: this job may have begun to tell SCAYLE something whose outcome it must find
--- out. What is told by now the next one leaves alone.
---@async
---@param job neap.Job
function apply.status(job)
    run(job, assert(json.decode(job.event.payload)).reference)
end

-- A person entered by hand what could not be told.
local DISMISSED = {}

function DISMISSED.despatch_unmatched(book, _, id, snapshot)
    for _, parcel in ipairs(book.parcels[id] and {} or parcels.news(book, snapshot)) do
        if parcel.id == id then
            book.parcels[id] = {number = parcels.next_number(book), is_told = true, by_hand = true,
                shipment = parcels.shipment_of(parcel), items = json.array(parcel.items),
                units = json.array({}), told = json.array({})}
        end
    end
end

function DISMISSED.refused_by_scayle(book, lines, subject, snapshot)
    local id = subject:match(" parcel (.*)$")
    local planned, is_cancelling = id and book.parcels[id], book.cancelling ~= nil
    if planned then
        planned.is_told = true
        unit_book.apply(book, {kind = "ship", id = "khaos:" .. id, origin = "khaos",
            at_ms = time.now_ms(), units = planned.units})
    elseif is_cancelling and subject == lines.order_id .. " the cancellation" then
        unit_book.apply(book, {kind = "cancel", id = "khaos:cancelled:" .. snapshot.order_code,
            origin = "khaos", at_ms = time.now_ms(), units = book.cancelling})
    end
end

--- The job of an event "dismissed.<cause>": what was dismissed is not told again, the rest is.
---@async
---@param job neap.Job
function apply.dismissed(job)
    local said = assert(json.decode(job.event.payload))
    local key = job.key:match("^despatch:(.*)$")
    local reference = key and support.record(key).reference
    local seen, dismiss = reference and store.get(news.SEEN, reference), DISMISSED[said.cause]
    if not seen or not dismiss or not order_units.load(key) then
        return
    end
    order_units.change(key, function(book)
        dismiss(book, store.get(support.LINES, reference), said.subject, seen.snapshot)
    end)
    run(job, reference)
end

return apply
