--- What Khaos says has become of orders: ExportOrderStatusEx (contract 4.2), read as snapshots.
---
--- A snapshot is what Khaos shows now, not what happened: two reads tell the same parcel twice.
--- A parcel is a box, or an invoice that was not packed in boxes; its id is the invoice code, with
--- the box's consignment behind a slash. Lines are told by stock code alone.
local client = require("connectors.khaos_soap.client")
local log = require("neap.log")
local money = require("neap.money")
local orders = require("connectors.khaos_soap.orders")
local xml = require("neap.xml")

local order_status = {}

local ANY_ID = 1 -- MappingType when no ids are sent
local BY_REFERENCE = 4
local STAGE_ISSUED = 70 -- and above: finished
local STAGE_CANCELLED = 1

local function text(value)
    return value ~= nil and value:match("%S") and value or nil
end

local function count(value)
    return math.tointeger(tonumber(value or "")) or 0
end

local function is_set(value)
    return value == "-1" or value == "1"
end

-- Quantities by stock code, in the order in which the codes first appear.
local function items_of(node, name)
    local items, places = {}, {}
    for _, child in ipairs(xml.children(node, name)) do
        local code = text(child.attrs.STOCK_CODE)
        local quantity = math.abs(count(child.attrs.QTY_SENT)) -- negative on credit notes
        if code and quantity > 0 then
            places[code] = places[code] or #items + 1
            local place = items[places[code]] or {stock_code = code, quantity = 0}
            place.quantity = place.quantity + quantity
            items[places[code]] = place
        end
    end
    return items
end

local function parcel(node, invoice, id)
    return {
        id = id,
        invoice = invoice.attrs.INVOICE_CODE,
        is_unissued = count(invoice.attrs.INVOICE_STAGE_ID) < STAGE_ISSUED or nil,
        courier = text(node.attrs.COURIER) or text(invoice.attrs.COURIER),
        consignment = text(node.attrs.CONSIGNMENT_REF),
        tracking_url = text(node.attrs.TRACKING_URL),
        ship_date = text(node.attrs.SHIP_DATE) or text(invoice.attrs.SHIP_DATE)
            or text(invoice.attrs.ISSUE_DATE),
    }
end

-- "Safe shipped test" of contract 4.3: a ship date, a shipped box, or an issued stage.
local function is_shipped(invoice)
    local stage = count(invoice.attrs.INVOICE_STAGE_ID)
    return stage ~= STAGE_CANCELLED
        and (stage >= STAGE_ISSUED or text(invoice.attrs.SHIP_DATE) ~= nil)
end

local function add_boxes(parcels, invoice, boxes)
    for i, box in ipairs(boxes) do
        if is_set(box.attrs.SHIPPED) or is_shipped(invoice) then
            local code = text(box.attrs.CONSIGNMENT_REF) or tostring(i)
            local made = parcel(box, invoice, invoice.attrs.INVOICE_CODE .. "/" .. code)
            made.items = items_of(box, "BOX_ITEM")
            parcels[#parcels + 1] = made
        end
    end
end

-- Boxes with one consignment are one parcel.
local function joined(parcels)
    local list, by_id = {}, {}
    for _, entry in ipairs(parcels) do
        local first = by_id[entry.id]
        if first then
            for _, item in ipairs(entry.items) do
                first.items[#first.items + 1] = item
            end
        else
            by_id[entry.id] = entry
            list[#list + 1] = entry
        end
    end
    return list
end

local function parcels_of(node)
    local parcels = {}
    local invoices = xml.child(node, "INVOICES")
    for _, invoice in ipairs(invoices and xml.children(invoices, "INVOICE") or {}) do
        local boxes = xml.children(invoice, "BOX")
        local has_code = text(invoice.attrs.INVOICE_CODE) ~= nil -- else nothing tells it apart
        if has_code and #boxes > 0 then
            add_boxes(parcels, invoice, boxes)
        elseif has_code and is_shipped(invoice) then
            local made = parcel(invoice, invoice, invoice.attrs.INVOICE_CODE)
            local items = xml.child(invoice, "INVOICE_ITEMS")
            made.items = items and items_of(items, "INVOICE_ITEM") or {}
            parcels[#parcels + 1] = made
        end
    end
    return joined(parcels)
end

-- Gross and net of a total, without their signs.
local function total_of(node, name, digits)
    local total = xml.child(node, name)
    local function minor_of(value)
        local amount = money.decimal(value or "")
        local minor = amount and amount:to_minor(digits)
        return minor and math.abs(minor)
    end
    if not total then
        return 0, 0
    end
    return minor_of(total.text), minor_of(total.attrs.NET_VALUE)
end

-- What a credit note takes back: stock codes with quantities, and its totals; its net where Khaos
-- tells it. What was cancelled of it is no part of it.
local function credit_of(node, invoices)
    local currency = xml.value(node, "CURRENCY_CODE")
    local digits = money.digits(currency or "") or 2
    local goods, goods_net = total_of(node, "ITEMS_TOTAL", digits)
    local delivery, delivery_net = total_of(node, "DELIVERY_TOTAL", digits)
    local items = {}
    for _, invoice in ipairs(invoices) do
        local list = xml.child(invoice, "INVOICE_ITEMS")
        for _, item in ipairs(list and items_of(list, "INVOICE_ITEM") or {}) do
            items[#items + 1] = item
        end
    end
    return {total_minor = goods and delivery and goods + delivery, delivery_minor = delivery,
        net_minor = goods_net and delivery_net and goods_net + delivery_net or nil,
        currency = currency, items = items}
end

-- Only an issued credit note gives something back. It is a sales document like others (contract
-- 4.2): all its invoices are in a finished stage (4.3), or in one that the installation counts as
-- such; without any, Khaos says that it is complete.
local function credit_state(node, invoices, all, issued_stages)
    if xml.child(node, "CANCELLED") or #all > 0 and #invoices == 0 then
        return "cancelled"
    end
    for _, invoice in ipairs(invoices) do
        local stage = count(invoice.attrs.INVOICE_STAGE_ID)
        if stage < STAGE_ISSUED and not issued_stages[stage] then
            return "draft"
        end
    end
    local is_issued = #invoices > 0 or is_set(xml.value(node, "COMPLETE"))
    return is_issued and "issued" or "draft"
end

local function credit_note(node, issued_stages)
    local list, all, left = xml.child(node, "INVOICES"), {}, {}
    for i, invoice in ipairs(list and xml.children(list, "INVOICE") or {}) do
        all[i] = invoice
        local is_cancelled = count(invoice.attrs.INVOICE_STAGE_ID) == STAGE_CANCELLED
        left[#left + 1] = not is_cancelled and invoice or nil
    end
    local company = xml.child(node, "COMPANY_NAME")
    return {
        order_code = node.attrs.SORDER_CODE,
        is_credit_note = true,
        reference = text(node.attrs.ASSOCIATED_REF),
        state = credit_state(node, left, all, issued_stages),
        credit = credit_of(node, left),
        created_on = text(xml.value(node, "DATE_CREATED")),
        parcels = {},
        urn = company and text(company.attrs.COMPANY_CODE),
    }
end

local function snapshot(node, issued_stages)
    local cancelled = xml.child(node, "CANCELLED")
    local kind = xml.child(node, "ORDER_TYPE")
    if kind and kind.text:lower():find("credit", 1, true) then
        return credit_note(node, issued_stages)
    end
    return {
        order_code = node.attrs.SORDER_CODE,
        reference = text(node.attrs.ASSOCIATED_REF),
        is_complete = is_set(xml.value(node, "COMPLETE")) or nil,
        quantity = count(xml.value(node, "QTY_SOLD")),
        totals = orders.totals(node),
        is_cancelled = cancelled ~= nil or nil,
        cancel_reason = cancelled and text(xml.value(cancelled, "REASON")),
        parcels = parcels_of(node),
    }
end

---@class khaos.Snapshot
---@field order_code string
---@field reference string|nil ours
---@field is_credit_note boolean|nil then only reference, state, urn, created_on, credit are there
---@field created_on string|nil "DD/MM/YYYY", of a credit note
---@field state "draft"|"issued"|"cancelled"|nil of a credit note
---@field urn string|nil of a credit note's customer
---@field credit {total_minor: integer|nil, delivery_minor: integer|nil, currency: string|nil,
---   items: {stock_code: string, quantity: integer}[]}|nil
---@field is_complete boolean|nil
---@field quantity integer units sold
---@field totals {total_minor: integer|nil, net_minor: integer|nil, currency: string|nil}|nil of a
---   sales order; Khaos Control Cloud tells none
---@field is_cancelled boolean|nil
---@field cancel_reason string|nil
---@field parcels {id: string, invoice: string, courier: string|nil, consignment: string|nil,
---   tracking_url: string|nil, ship_date: string|nil,
---   items: {stock_code: string, quantity: integer}[]}[] what has left

-- The snapshots of a status list.
local function snapshots_of(khaos, reply)
    local root, problem = client.document(reply, "STATUS_LIST")
    if problem then
        return nil, problem
    end
    local found, issued_stages = {}, {}
    for _, stage in ipairs(khaos.credit_note_stages or {}) do
        issued_stages[stage] = true
    end
    for _, node in ipairs(root and xml.children(root, "ORDER_STATUS") or {}) do
        if text(node.attrs.SORDER_CODE) then
            found[#found + 1] = snapshot(node, issued_stages)
        else
            log.warn("Khaos's status list has an order without a code: it is left out")
        end
    end
    return found
end

local function read(khaos, ids, mapping_type, is_web_only, from)
    local reply, err = khaos:call("ExportOrderStatusEx", {
        {"IDs", "string", ids}, {"MappingType", "int", mapping_type},
        {"WebOnly", "boolean", is_web_only}, {"ConfirmedOnly", "boolean", false},
        {"IncludeTracking", "boolean", true}, {"IncludeCancelled", "boolean", true},
        {"DateFrom", "dateTime", from}, {"DateTo", "dateTime", ""},
        {"InvoiceStageIDs", "string", ""}, {"ShowItems", "boolean", true},
    })
    if not reply then
        return nil, err
    end
    return snapshots_of(khaos, reply)
end

--- Orders that changed at or after an instant, cancelled ones and changed tracking too. Which of
--- an order's dates Khaos compares with is not known (contract, unknown 9): ask with an overlap.
---@async
---@param khaos khaos.Client
---@param from_ms integer
---@return khaos.Snapshot[]|nil
---@return neap.Error|nil
function order_status.changed_since(khaos, from_ms)
    return read(khaos, "", ANY_ID, true, khaos:date_time(from_ms))
end

--- One order as Khaos has it now. Of an amended one Khaos may keep the record that it deleted, as a
--- cancelled one beside the other (contract 5.1).
---@async
---@param khaos khaos.Client
---@param reference string ours
---@param order_code string
---@return khaos.Snapshot|nil nil without an error: not there
---@return neap.Error|nil
function order_status.of_order(khaos, reference, order_code)
    local found, err = read(khaos, reference, BY_REFERENCE, false, "")
    local deleted
    for _, order in ipairs(found or {}) do
        local is_it = order.order_code == order_code and not order.is_credit_note
        if is_it and not order.is_cancelled then
            return order
        end
        deleted = deleted or is_it and order or nil
    end
    return deleted, err
end

return order_status
