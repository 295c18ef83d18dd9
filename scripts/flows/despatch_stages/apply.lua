--- One order's newest snapshot: its parcels and its cancellation, told to SCAYLE.
local choose = require("flows.despatch_stages.choose")
local fulfillment = require("connectors.scayle.fulfillment")
local gone = require("flows.despatch_stages.gone")
local json = require("neap.json")
local news = require("flows.despatch_stages.news")
local order_units = require("flows.order_units")
local parcels = require("flows.despatch_stages.parcels")
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

-- The tracking number; one that another parcel of the order has already gets the invoice behind.
local function shipment_key(book, parcel)
    local wanted = parcel.consignment or parcel.invoice
    for id, other in pairs(book.parcels) do
        if id ~= parcel.id and other.shipment_key == wanted then
            return wanted .. "/" .. parcel.invoice
        end
    end
    return wanted
end

-- Chooses the units of a parcel once and keeps the choice: a repeat tells the same.
local function plan(job, lines, parcel, is_last)
    local book = order_units.load(lines.key)
    local units, problem = choose(book, lines, parcel, is_last)
    if not units then
        hold(job, "despatch_unmatched", parcel.id, string.format(
            "Parcel %s of order %s cannot be told to SCAYLE: %s", parcel.id, lines.order_id,
            problem), "Enter the shipment in SCAYLE by hand and dismiss this, or correct the "
            .. "order in Khaos and close it.")
    end
    local number = 1
    for _ in pairs(book.parcels) do
        number = number + 1
    end
    book.parcels[parcel.id] = {number = number, shipment = parcels.shipment_of(parcel),
        items = json.array(parcel.items), units = json.array(units),
        told = gone.without(book, units), carrier = carrier_of(job, parcel),
        is_unissued = parcel.is_unissued, shipment_key = shipment_key(book, parcel),
        left_at = left_at(job.settings, parcel)}
    order_units.save(book)
end

-- A parcel left before its invoice was issued; now it is.
local function mark_issued(lines, snapshot)
    local book = order_units.load(lines.key)
    local changed = false
    local issued = {}
    for _, parcel in ipairs(snapshot.parcels) do
        issued[parcels.shipment_of(parcel)] = not parcel.is_unissued
    end
    for _, planned in pairs(book.parcels) do
        if planned.is_unissued and issued[planned.shipment] and not planned.issued_ms then
            planned.issued_ms, changed = time.now_ms(), true
        end
    end
    if changed then
        order_units.save(book)
    end
end

local function mark(lines, kind, id, units)
    local book = order_units.load(lines.key)
    local outcome = unit_book.apply(book, {kind = kind, id = id, origin = "khaos",
        at_ms = time.now_ms(), units = units})
    assert(#outcome.refused == 0, "the book does not know its own units")
    order_units.save(book)
    return book
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

local function tell_parcel(job, scayle, lines, id, planned)
    local where = {shop_key = lines.shop_key, country = lines.country}
    local result, err = job:effect({
        connection = scayle.connection, name = "ship_parcel", class = "lookup",
        key = lines.key .. "/" .. id,
        request = function()
            return fulfillment.shipment_request(where, {order_id = lines.order_id,
                merchant = job.settings.merchant_key, carrier = planned.carrier,
                shipment_key = planned.shipment_key, left_at = planned.left_at,
                units = planned.told})
        end,
        read = fulfillment.read,
        lookup = function()
            return fulfillment.lookup_shipped(scayle, where, lines.order_id, planned.told)
        end,
    })
    check_result(job, lines, result, err, "parcel " .. id)
end

-- Tells of what was planned, also by a run that ended before it could.
local function send_planned(job, scayle, lines)
    for _, id in ipairs(parcels.untold(order_units.load(lines.key))) do
        local planned = order_units.load(lines.key).parcels[id]
        if #planned.told > 0 then
            tell_parcel(job, scayle, lines, id, planned)
        end
        local book = mark(lines, "ship", "khaos:" .. id, planned.units)
        book.parcels[id].is_told = true
        order_units.save(book)
        job:note("despatch", string.format("parcel %s (%s) with %d units is in SCAYLE", id,
            planned.shipment_key, #planned.told))
        if #planned.told < #planned.units then
            gone.have_left(job, lines.key, id)
        end
    end
end

local function send_news(job, scayle, lines, snapshot, with_late)
    local new = parcels.news(order_units.load(lines.key), snapshot)
    for i, parcel in ipairs(new) do
        if with_late or parcel.consignment then
            plan(job, lines, parcel, i == #new and snapshot.is_complete == true)
            send_planned(job, scayle, lines)
        end
    end
    return #new > 0 and not new[#new].consignment
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

-- Tells SCAYLE once that the units are cancelled by the merchant.
local function cancel(job, scayle, lines, snapshot, words)
    local book = order_units.load(lines.key)
    local id = "khaos:cancelled:" .. snapshot.order_code
    if not book.cancelling then
        book.cancelling = open_units(book)
        order_units.save(book)
    end
    local units = book.cancelling
    if #units == 0 or book.changes[id] then
        return
    end
    local where = {shop_key = lines.shop_key, country = lines.country}
    local result, err = job:effect({
        connection = scayle.connection, name = "cancel_units", class = "lookup",
        key = lines.key .. "/" .. snapshot.order_code,
        request = function()
            return fulfillment.cancellation_request(where, lines.order_id,
                job.settings.merchant_key, units)
        end,
        read = fulfillment.read,
        lookup = function()
            return fulfillment.lookup_cancelled(scayle, where, lines.order_id, units)
        end,
    })
    check_result(job, lines, result, err, "the cancellation")
    mark(lines, "cancel", id, units)
    job:note("despatch", string.format("%s: %d units are cancelled in SCAYLE", words, #units))
end

local function cancel_rest(job, scayle, lines, snapshot)
    cancel(job, scayle, lines, snapshot, string.format("cancelled in Khaos (%s)",
        snapshot.cancel_reason or "no reason given"))
end

-- Khaos calls the order complete. Units that no parcel held were taken off it, which is certain
-- when it shows how many units the order has and all of these have left.
local function cancel_missing(job, scayle, lines, snapshot)
    gone.never_left(job, lines.key)
    local missing = #open_units(order_units.load(lines.key))
    if missing == 0 and not order_units.load(lines.key).cancelling then
        return
    elseif (snapshot.quantity or 0) > 0 and parcels.count(snapshot) >= snapshot.quantity then
        return cancel(job, scayle, lines, snapshot, "taken off the order in Khaos")
    elseif missing > 0 then
        job:open_exception({cause = "despatch_short", subject = lines.order_id,
            message = string.format("Khaos calls order %s complete, but %d of its units are in no "
                .. "parcel", lines.order_id, missing),
            remedy = "If they were taken off the order in Khaos, cancel them in SCAYLE; if they "
                .. "have left, enter their shipment there. Then close this.",
            recheck = "manual"})
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

--- The job of an event "khaos.status".
---@async
---@param job neap.Job
return function(job)
    local said = assert(json.decode(job.event.payload))
    local seen = store.get(news.SEEN, said.reference)
    local lines = store.get(support.LINES, said.reference)
    -- Also when that snapshot has an event of its own: this job may have begun to tell SCAYLE
    -- something whose outcome it must find out. What is told by now the next one leaves alone.
    local scayle = scayle_client.new(job.settings.scayle)
    local snapshot = seen.snapshot
    if not order_units.load(lines.key) then
        hold(job, "despatch_unmatched", said.reference, string.format(
            "Order %s has no book of units", lines.order_id),
            "Enter its shipments in SCAYLE by hand and dismiss this.")
    end
    send_parcels(job, scayle, lines, snapshot)
    mark_issued(lines, snapshot)
    if snapshot.is_cancelled then
        cancel_rest(job, scayle, lines, snapshot)
    elseif snapshot.is_complete then
        cancel_missing(job, scayle, lines, snapshot)
    end
    close_clocks(job, lines)
end
