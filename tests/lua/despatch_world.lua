--- An order of codes in a store in memory, the status feed of Khaos about it, and a SCAYLE that
--- keeps what it is told: for the tests of the despatch flow.
local errors = require("neap.errors")
local fake_job = require("fake_job")
local flow = require("flows.despatch")
local json = require("neap.json")
local news = require("flows.despatch_stages.news")
local order_status = require("connectors.khaos_soap.order_status")
local order_units = require("flows.order_units")
local refund_book = require("flows.refund_book")
local schema = require("lib.schema")
local store = require("neap.store")
local support = require("flows.order_stages.support")
local unit_book = require("flows.unit_book")

local despatch_world = {}

local KEY, REFERENCE, CODE = "order:fo:7", "SC7", "SO7"
local HOUR_MS = 3600000

function despatch_world.settings()
    local given = {merchant_key = "fellside", carriers = {DPD = "dpd"}, returns_flow = "returns"}
    assert(schema.check(flow.schema, given, "settings"))
    return schema.with_defaults(flow.schema, given)
end

local function keep_order(skus)
    local units, lines = {}, {}
    for i, sku in ipairs(skus) do
        local id, line = tostring(100 + i), "L" .. i
        units[i] = {id = id, sku = sku, line = line, paid_minor = 1000}
        lines[i] = {stock_code = sku, kind = "item", import_ref = line, quantity = 1,
            unit_ids = {id}}
    end
    local book = unit_book.new({key = KEY, currency = "GBP", units = units})
    book.parcels = {}
    order_units.save(book)
    local order = {key = KEY, order_id = "7", shop_key = "fo", country = "GB", order_code = CODE,
        reference = REFERENCE, currency = "GBP", lines = lines}
    store.put(support.RECORDS, KEY, order)
    store.put(support.LINES, REFERENCE, order)
end

-- SCAYLE refuses a shipment that names a unit it shows otherwise (w.states); units may be in its
-- one package (w.packages: its shipment key by unit).
local function scayle(w, request)
    if request.connection == "khaos" then
        return {status = 200, headers = {}, body = w.feed, elapsed_ms = 1}
    end
    local body = request.body and json.decode(request.body)
    if request.method == "GET" then
        local items = json.array({})
        for _, id in ipairs(w.ids) do
            items[#items + 1] = {id = tonumber(id), status = w.states[id] or "available",
                packageId = w.packages[id] and 61201}
        end
        local packages = json.array({next(w.packages) and {id = 61201, carrierKey = "dpd",
            shipmentKey = w.packages[next(w.packages)]}})
        return {status = 200, headers = {}, elapsed_ms = 1, body = json.encode({id = 7,
            items = items, packages = packages})}
    end
    local is_strict = request.path:find("shipments") or w.refuses_cancelled
    for _, item in ipairs(is_strict and body.items or {}) do
        if w.states[tostring(item.orderItemId)] then
            return {status = 409, headers = {}, body = "{}", elapsed_ms = 1}
        end
    end
    table.insert(w.told, {path = request.path, body = body})
    if w.lost then
        w.lost = nil
        for _, item in ipairs(body.items) do
            local id = tostring(item.orderItemId)
            w.states[id], w.packages[id] = "shipped", body.shipmentKey
        end
        return nil, errors.new({kind = "network", message = "reset", maybe_sent = true,
            retryable = true})
    end
    return {status = 204, headers = {}, body = "", elapsed_ms = 1}
end

--- An order of these codes (units 101, 102, ...), and what SCAYLE is told of it.
function despatch_world.world(skus)
    local w
    w = fake_job.world({http = function(request)
        return scayle(w, request)
    end})
    w.told, w.states, w.ids, w.packages, w.settings = {}, {}, {}, {}, despatch_world.settings()
    for i in ipairs(skus) do
        w.ids[i] = tostring(100 + i)
    end
    w:with(function()
        keep_order(skus)
    end)
    return w
end

function despatch_world.status(invoices, fields)
    fields = fields or {}
    return string.format('<STATUS_LIST><ORDER_STATUS SORDER_CODE="SO7" ASSOCIATED_REF="SC7">'
        .. '<ORDER_TYPE TYPE_ID="1">Sales Order</ORDER_TYPE><COMPLETE>%s</COMPLETE>'
        .. '<QTY_SOLD>%d</QTY_SOLD><INVOICES>%s</INVOICES></ORDER_STATUS></STATUS_LIST>',
        fields.is_complete and "-1" or "0", fields.sold or 2, invoices)
end

function despatch_world.invoice(inner, more)
    return string.format('<INVOICE INVOICE_CODE="I1" INVOICE_STAGE_ID="70" COURIER="DPD" '
        .. 'SHIP_DATE="04/05/2026" %s>%s</INVOICE>', more or "", inner)
end

function despatch_world.box(sku, number, quantity)
    return string.format('<BOX SHIPPED="-1" SHIP_DATE="04/05/2026" COURIER="DPD" '
        .. 'CONSIGNMENT_REF="%s"><BOX_ITEM STOCK_CODE="%s" QTY_SENT="%d"/></BOX>', number or "",
        sku, quantity or 1)
end

function despatch_world.unboxed(sku, number)
    local items = string.format('<INVOICE_ITEMS><INVOICE_ITEM STOCK_CODE="%s" QTY_SENT="1"/>'
        .. '</INVOICE_ITEMS>', sku)
    return despatch_world.invoice(items, string.format('CONSIGNMENT_REF="%s"', number or ""))
end

--- Khaos's feed shows this now; how the order's job ends, nil when it is no news.
function despatch_world.feed(w, text)
    local event
    w:with(function()
        local khaos = {call = function() return text end, date_time = function() return "" end}
        event = news.of(assert(order_status.changed_since(khaos, 0))[1], KEY)
    end)
    w.now_ms = w.now_ms + HOUR_MS
    if not event then
        return nil
    end
    event.payload = json.encode(event.payload)
    return (w:play(flow, {event = event, settings = w.settings}))
end

--- A tick of the poll while Khaos's feed shows this; the events that it makes.
function despatch_world.poll(w, text)
    local before, escaped = #w.events, text:gsub("&", "&amp;"):gsub("<", "&lt;"):gsub(">", "&gt;")
    w.feed = '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        .. "<ExportOrderStatusExResponse><return>" .. escaped
        .. "</return></ExportOrderStatusExResponse></s:Body></s:Envelope>"
    local ended = w:play(flow, {settings = despatch_world.settings(), live_from_ms = 0, event = {
        name = "schedule.poll", source = "schedule", key = "poll", id = tostring(before),
        payload = "{}"}})
    assert(ended.done, tostring(ended.error))
    return table.move(w.events, before + 1, #w.events, 1, {})
end

local function items_told(w, path, shown)
    local list = {}
    for _, request in ipairs(w.told) do
        for _, item in ipairs(request.path:find(path, 1, true) and request.body.items or {}) do
            list[#list + 1] = shown(item, request.body)
        end
    end
    return list
end

function despatch_world.shipped(w)
    return items_told(w, "shipments", function(item, body)
        return item.orderItemId .. "@" .. body.shipmentKey
    end)
end

function despatch_world.cancelled(w)
    return items_told(w, "cancellations", function(item)
        return item.orderItemId
    end)
end

function despatch_world.causes(w)
    local list = {}
    for _, entry in pairs(w.exceptions) do
        list[#list + 1] = entry.cause
    end
    return list
end

--- SCAYLE cancelled the unit.
function despatch_world.gone(w, id)
    w:with(function()
        local book = order_units.load(KEY)
        refund_book.of(book).gone[id] = 1
        order_units.save(book)
    end)
end

--- A person dismisses a held job.
function despatch_world.dismiss(w, cause, subject)
    local payload = json.encode({cause = cause, by = "eve", subject = subject, reason = "by hand"})
    local event = {name = "dismissed." .. cause, source = "test", key = "despatch:" .. KEY,
        id = subject, payload = payload}
    return (w:play(flow, {settings = despatch_world.settings(), event = event}))
end

return despatch_world
