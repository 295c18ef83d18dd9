--- ExportOrders, ExportOrderStatus and ExportOrderStatusEx: orders as Khaos shows them afterwards.

local calc = require("erp.calc")
local customers = require("erp.customers")
local data = require("erp.data")
local orders = require("erp.orders")
local soap = require("erp.soap")
local world = require("erp.world")

local order_export = {}

local HOURS_48_MS = 48 * 3600 * 1000
local STAGE_ISSUED = 70

local STAGES = {
    [1] = "CANCELLED",
    [9] = "RELEASED",
    [11] = "AUTHPAYMENT",
    [12] = "PICKING",
    [14] = "SHIPPING",
    [16] = "ISSUE",
    [18] = "FUTURESTOCK",
    [19] = "MANUALHOLD",
    [70] = "ISSUED",
}

local function tag(name, value)
    if value == nil or value == "" then
        return ""
    end
    return ("<%s>%s</%s>"):format(name, soap.escape(value), name)
end

local function attribute(name, value)
    return (" %s=\"%s\""):format(name, soap.escape(value == nil and "" or value))
end

local function selected(w, ids, field)
    local list = {}
    for id in ids:gmatch("[^,]+") do
        local codes = field == "reference" and orders.codes_of(w, id) or {id}
        for _, code in ipairs(codes) do
            list[#list + 1] = orders.get(w, code)
        end
    end
    return list
end

local ADDRESS = {
    {"ADDRESS1", "address1"},
    {"ADDRESS2", "address2"},
    {"ADDRESS3", "address3"},
    {"TOWN", "town"},
    {"COUNTY", "county"},
    {"POSTCODE", "postcode"},
    {"COUNTRY_CODE", "country"},
    {"TITLE", "title"},
    {"FORENAME", "forename"},
    {"SURNAME", "surname"},
    {"TEL", "tel"},
    {"EMAIL", "email"},
    {"ORGANISATION", "organisation"},
}

local function address(name, prefix, value)
    local parts = {}
    for _, pair in ipairs(ADDRESS) do
        parts[#parts + 1] = tag(prefix .. pair[1], value[pair[2]])
    end
    return ("<%s>%s</%s>"):format(name, table.concat(parts), name)
end

local function customer_block(w, order)
    local customer = customers.get(w, order.urn)
    local addresses = address("INVADDR", "I", customer.address)
    if order.delivery_address then
        addresses = addresses .. address("DELADDR", "D", order.delivery_address)
    end
    return "<CUSTOMER_DETAIL>"
        .. tag("IS_NEW_CUSTOMER", "0")
        .. tag("COMPANY_CODE", customer.urn)
        .. tag("OTHER_REF", customer.other_ref)
        .. tag("WEB_USER", customer.web_user)
        .. tag("COMPANY_CLASS", customer.class)
        .. tag("COMPANY_NAME", customer.name)
        .. ("<ADDRESSES>%s</ADDRESSES>"):format(addresses)
        .. "</CUSTOMER_DETAIL>"
end

local function payment_block(order)
    local parts = {"<PAYMENTS>"}
    for _, payment in ipairs(order.payments) do
        parts[#parts + 1] = "<PAYMENT_DETAIL>"
            .. tag("PAYMENT_AMOUNT", calc.text(payment.amount_minor))
            .. tag("PAYMENT_TYPE", payment.type)
            .. tag("CARD_TYPE", payment.card_type)
            .. tag("CARD_NUMBER", payment.card_number)
            .. tag("PREAUTH", payment.preauth and "-1" or "0")
            .. tag("AUTH_CODE", payment.auth_code)
            .. tag("TRANSACTION_ID", payment.transaction_id)
            .. tag("ACCOUNT_NAME", payment.account_name)
            .. "</PAYMENT_DETAIL>"
    end
    return table.concat(parts) .. "</PAYMENTS>"
end

local function header_block(order)
    local header = order.header
    local reference = "<INTERNAL_REF TYPE_ID=\"1\" TYPE_DESC=\"Sales Order\" VTYPE_ID=\"0\""
    local parts = {
        "<ORDER_HEADER>",
        reference .. (" INVSTATUS_ID=\"%d\">%s</INTERNAL_REF>"):format(order.stage, order.code),
        tag("ORDER_DATE", order.order_date),
        tag("ORDER_AMOUNT", order.total),
        tag("ORDER_CURRENCY_CODE", order.currency),
        tag("SITE", header.SITE or data.SITES[1].name),
        tag("ASSOCIATED_REF", order.reference),
        tag("ORDER_NOTE", header.ORDER_NOTE),
        tag("INVOICE_NOTE", header.INVOICE_NOTE),
        tag("DELIVERY_NET", calc.text(order.delivery.net)),
        tag("DELIVERY_TAX", calc.text(order.delivery.tax)),
        tag("DELIVERY_GRS", calc.text(order.delivery.gross)),
        tag("COURIER_CODE", header.COURIER_CODE),
        tag("COURIER_DESC", header.COURIER_DESC),
        tag("PO_NUMBER", header.PO_NUMBER),
        tag("KEYCODE_CODE", header.KEYCODE_CODE),
        tag("BRAND", header.BRAND),
        tag("SALES_SOURCE", header.SALES_SOURCE),
        "</ORDER_HEADER>",
    }
    return table.concat(parts)
end

local function item_block(order)
    local parts = {"<ORDER_ITEMS>"}
    for _, line in ipairs(order.lines) do
        parts[#parts + 1] = "<ORDER_ITEM>"
            .. tag("STOCK_CODE", line.stock_code)
            .. tag("MAPPING_TYPE", 1)
            .. tag("STOCK_DESC", line.description)
            .. tag("ORDER_QTY", line.quantity)
            .. tag(line.price_is == "net" and "PRICE_NET" or "PRICE_GRS", line.price)
            .. tag("TAX_RATE", line.tax_code)
            .. tag("KSD_DISCOUNT", line.discount_percent)
            .. tag("FREEITEM_REASON", line.free_reason)
            .. tag("IMPORT_REF", line.import_ref)
            .. tag("PACK_SORT_ORDER", line.pack)
            .. "</ORDER_ITEM>"
    end
    return table.concat(parts) .. "</ORDER_ITEMS>"
end

--- ExportOrders(OrderCode, MappingType): 1 sales order code, 2 associated ref.
---@param w table
---@param p table<string, string>
---@return table|nil soap value
---@return string|nil fault
function order_export.orders(w, p)
    local fields = {["1"] = "code", ["2"] = "reference"}
    local field = fields[p.MappingType or ""]
    if not field then
        return nil, "MappingType is out of range"
    end
    local parts = {"<?xml version=\"1.0\"?><SALES_ORDERS>"}
    for _, order in ipairs(selected(w, p.OrderCode or "", field)) do
        parts[#parts + 1] = "<SALES_ORDER>"
            .. customer_block(w, order)
            .. payment_block(order)
            .. header_block(order)
            .. item_block(order)
            .. "</SALES_ORDER>"
    end
    return {"string", table.concat(parts) .. "</SALES_ORDERS>"}
end

local function is_open(w, order)
    local issued = order.issued_ms
    return not order.cancelled and (not issued or issued > w.now_ms - HOURS_48_MS)
end

--- ExportOrderStatus: web orders issued in the last 48 hours and all not yet issued.
---@param w table
---@return table soap value
function order_export.status(w)
    local parts = {"<?xml version=\"1.0\"?><ORDER_STATUSES>"}
    for _, order in ipairs(orders.all(w)) do
        local invoices = order.invoices[1] and order.invoices or {{code = "", stage = order.stage}}
        for _, invoice in ipairs(is_open(w, order) and invoices or {}) do
            parts[#parts + 1] = "<ORDER"
                .. attribute("REF", order.reference)
                .. attribute("ID", order.code)
                .. attribute("INVOICE", invoice.code)
                .. attribute("COMPLETE", invoice.completes and "-1" or "0")
                .. attribute("CONSIGNMENT", invoice.consignment)
                .. attribute("URN", order.urn)
                .. (">%d</ORDER>"):format(invoice.stage)
        end
    end
    return {"string", table.concat(parts) .. "</ORDER_STATUSES>"}
end

local function item_nodes(name, items)
    local parts = {}
    for _, item in ipairs(items) do
        parts[#parts + 1] = "<" .. name .. attribute("STOCK_CODE", item.stock_code)
            .. attribute("QTY_SENT", item.quantity) .. "/>"
    end
    return table.concat(parts)
end

local function box_node(invoice, box, date, show_items)
    return "<BOX SHIPPED=\"-1\"" .. attribute("SHIP_DATE", date)
        .. attribute("COURIER", invoice.courier)
        .. attribute("CONSIGNMENT_REF", box.consignment)
        .. attribute("TRACKING_URL", "https://tracking.example/" .. box.consignment) .. ">"
        .. (show_items and item_nodes("BOX_ITEM", box.items) or "") .. "</BOX>"
end

local function invoice_node(w, invoice, show_items)
    local date = world.date(w, invoice.shipped_ms)
    local text = "<INVOICE"
        .. attribute("INVOICE_CODE", invoice.code)
        .. attribute("INVOICE_DATE", world.date(w, invoice.created_ms))
        .. attribute("SHIP_DATE", date)
        .. attribute("ISSUE_DATE", date)
        .. attribute("INVOICE_STAGE_ID", invoice.stage)
        .. attribute("INVOICE_STAGE_DESC", STAGES[invoice.stage] or "")
        .. attribute("COURIER", invoice.courier)
        .. attribute("CONSIGNMENT_REF", invoice.consignment)
        .. attribute("TRACKING_URL", invoice.tracking_url)
        .. attribute("QTY_SOLD", invoice.quantity)
        .. attribute("QTY_SENT", invoice.stage >= STAGE_ISSUED and invoice.quantity or 0)
        .. attribute("MOVED", "-1")
        .. ">"
    for _, box in ipairs(invoice.boxes or {}) do
        text = text .. box_node(invoice, box, date, show_items)
    end
    if show_items then
        text = text .. ("<INVOICE_ITEMS>%s</INVOICE_ITEMS>"):format(
            item_nodes("INVOICE_ITEM", invoice.items))
    end
    return text .. "</INVOICE>"
end

local function total_node(name, part)
    local net, gross = calc.text(part.net), calc.text(part.gross)
    return ("<%s NET_VALUE=\"%s\">%s</%s>"):format(name, net, gross, name)
end

local function quantities(order)
    local sold, sent = 0, 0
    for _, line in ipairs(order.lines) do
        sold = sold + (line.is_pack_header and 0 or tonumber(line.quantity) or 0)
    end
    for _, invoice in ipairs(order.invoices) do
        sent = sent + invoice.quantity
    end
    return sold, sent
end

local function cancelled_node(order)
    if not order.cancelled then
        return ""
    end
    return "<CANCELLED>"
        .. tag("CANCELLED_DATE_TIME", order.cancelled.at)
        .. tag("REASON", order.cancelled.reason)
        .. tag("USER_NAME", order.cancelled.user)
        .. "</CANCELLED>"
end

local function status_node(w, order, show_items)
    local customer = customers.get(w, order.urn)
    local sold, sent = quantities(order)
    local courier = data.find(data.COURIERS, "code", order.header.COURIER_CODE)
    local parts = {
        "<ORDER_STATUS" .. attribute("SORDER_CODE", order.code),
        attribute("ASSOCIATED_REF", order.reference) .. ">",
        "<COMPANY_NAME" .. attribute("COMPANY_CODE", order.urn),
        attribute("OTHER_REF", order.other_ref) .. ">" .. soap.escape(customer.name)
            .. "</COMPANY_NAME>",
        "<ORDER_TYPE TYPE_ID=\"S\">Sales Order</ORDER_TYPE>",
        tag("COURIER", courier and courier.description),
        tag("CURRENCY_CODE", order.currency),
        tag("DATE_CREATED", world.date(w, order.imported_ms)),
        tag("DELIVERY_DATE", world.date(w, order.imported_ms)),
        total_node("ITEMS_TOTAL", order.items),
        total_node("DELIVERY_TOTAL", order.delivery),
        tag("COMPLETE", sent >= sold and "-1" or "0"),
        tag("QTY_SOLD", ("%d"):format(sold // 1)),
        tag("QTY_ASSIGNED", ("%d"):format(order.cancelled and 0 or sold // 1)),
        cancelled_node(order),
        "<INVOICES>",
    }
    for _, invoice in ipairs(order.invoices) do
        parts[#parts + 1] = invoice_node(w, invoice, show_items)
    end
    return table.concat(parts) .. "</INVOICES></ORDER_STATUS>"
end

-- Quantities of a credit note are negative here: the contract does not say.
local function credit_node(w, credit)
    local customer = customers.get(w, credit.urn)
    local items = {}
    for i, item in ipairs(credit.items) do
        items[i] = {stock_code = item.stock_code, quantity = -item.quantity}
    end
    local function total(name, gross)
        local net = calc.split_gross(gross, calc.decimal(data.TAX_CODES[credit.tax_code or "1"]))
        return total_node(name, {net = net, gross = gross})
    end
    return table.concat({
        "<ORDER_STATUS" .. attribute("SORDER_CODE", credit.code),
        attribute("ASSOCIATED_REF", credit.reference) .. ">",
        "<COMPANY_NAME" .. attribute("COMPANY_CODE", credit.urn),
        attribute("OTHER_REF", credit.other_ref) .. ">" .. soap.escape(customer.name)
            .. "</COMPANY_NAME>",
        "<ORDER_TYPE TYPE_ID=\"C\">Credit Note</ORDER_TYPE>",
        tag("CURRENCY_CODE", credit.currency),
        tag("DATE_CREATED", world.date(w, credit.created_ms)),
        total("ITEMS_TOTAL", credit.items_minor), total("DELIVERY_TOTAL", credit.delivery_minor),
        tag("COMPLETE", credit.stage >= STAGE_ISSUED and "-1" or "0"),
        cancelled_node(credit),
        "<INVOICES><INVOICE" .. attribute("INVOICE_CODE", "I" .. credit.code)
            .. attribute("INVOICE_STAGE_ID", credit.cancelled and 1 or credit.stage)
            .. "><INVOICE_ITEMS>",
        item_nodes("INVOICE_ITEM", items),
        "</INVOICE_ITEMS></INVOICE></INVOICES></ORDER_STATUS>",
    })
end

local function by_ids(w, p)
    local mapping = p.MappingType
    if mapping == "3" or mapping == "4" then
        return selected(w, p.IDs, mapping == "4" and "reference" or "code")
    end
    local field = mapping == "1" and "urn" or "other_ref"
    local wanted, list = {}, {}
    for id in p.IDs:gmatch("[^,]+") do
        wanted[id] = true
    end
    for _, order in ipairs(orders.all(w)) do
        if wanted[order[field]] then
            list[#list + 1] = order
        end
    end
    return list
end

local function truth(text)
    return text == "1" or text == "-1" or text == "true"
end

local function date_range(w, p)
    local from, to, problem = 0, math.maxinteger, nil
    if (p.DateFrom or "") ~= "" then
        from, problem = world.parse_date(w, p.DateFrom)
    end
    if not problem and (p.DateTo or "") ~= "" then
        to, problem = world.parse_date(w, p.DateTo)
        to = to == 0 and math.maxinteger or to
    end
    return from, to, problem
end

local function stage_filter(p)
    local wanted
    for id in (p.InvoiceStageIDs or ""):gmatch("%d+") do
        wanted = wanted or {}
        wanted[tonumber(id)] = true
    end
    return wanted
end

local function in_stage(order, wanted)
    if not wanted or wanted[order.stage] then
        return true
    end
    for _, invoice in ipairs(order.invoices) do
        if wanted[invoice.stage] then
            return true
        end
    end
    return false
end

--- ExportOrderStatusEx(IDs, MappingType, WebOnly, ConfirmedOnly, IncludeTracking,
--- IncludeCancelled, DateFrom, DateTo, InvoiceStageIDs, ShowItems). Dates compare with the last
--- change of the order here.
---@param w table
---@param p table<string, string>
---@return table|nil soap value
---@return string|nil fault
function order_export.status_ex(w, p)
    if not (p.MappingType or ""):match("^[1-4]$") then
        return nil, "MappingType is out of range"
    end
    local has_ids = (p.IDs or "") ~= ""
    if not has_ids and (p.DateFrom or "") == "" then
        return nil, "IDs or a date range is needed"
    end
    local from, to, problem = date_range(w, p)
    if problem then
        return nil, problem
    end
    local stages = stage_filter(p)
    local parts = {"<?xml version=\"1.0\"?><STATUS_LIST>"}
    for _, order in ipairs(has_ids and by_ids(w, p) or orders.updated_since(w, from)) do
        local is_wanted = order.updated_ms >= from and order.updated_ms <= to
            and in_stage(order, stages)
        if is_wanted and (not order.cancelled or truth(p.IncludeCancelled)) then
            parts[#parts + 1] = status_node(w, order, truth(p.ShowItems))
        end
    end
    for _, credit in ipairs(has_ids and {} or orders.credits(w)) do
        local is_wanted = credit.updated_ms >= from and credit.updated_ms <= to
            and (not credit.cancelled or truth(p.IncludeCancelled))
            and (credit.stage >= STAGE_ISSUED or not truth(p.ConfirmedOnly))
        if is_wanted then
            parts[#parts + 1] = credit_node(w, credit)
        end
    end
    return {"string", table.concat(parts) .. "</STATUS_LIST>"}
end

return order_export
