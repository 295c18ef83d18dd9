--- Orders of Khaos Control over SOAP: import one, find one, read one back.
---
--- Khaos never imports a reference (ASSOCIATED_REF) twice, and tells by ExportOrderStatusEx
--- whether it has one. The wording of a skip is not documented and may as well be the answer to a
--- repeat, so a skip leaves the outcome open: the lookup decides, and the words are kept for the
--- person who must read them. A skip is of kind "invalid" (Khaos decided), a fault of kind "remote"
--- (nobody knows whether it passes).
local client = require("connectors.khaos_soap.client")
local errors = require("neap.errors")
local money = require("neap.money")
local order_xml = require("connectors.khaos_soap.order_xml")
local xml = require("neap.xml")

local orders = {}

local BY_REFERENCE = 4 -- MappingType of ExportOrderStatusEx
local EXPORT_BY_REFERENCE = 2 -- MappingType of ExportOrders

orders.build_xml = order_xml.build

--- Request that imports one order: one per call, because nobody knows what one bad order does to
--- others.
---@param khaos khaos.Client
---@param posting table
---@return table request for an effect of class "lookup"
function orders.import_request(khaos, posting)
    return khaos:request("ImportOrders", {{"Orders", "string", order_xml.build(posting)}})
end

local function undecided(message, details)
    return nil, errors.new({kind = details and "invalid" or "remote", message = message,
        maybe_sent = true, details = details})
end

--- What the reply to import_request says.
---@param answer neap.http.Answer
---@return {order_code: string, urn: string|nil, message: string|nil}|nil
---@return neap.Error|nil maybe_sent unless Khaos's web server refused the call
function orders.read_import(answer)
    local result, err = client.read(answer, "ImportOrders", {is_write = true})
    if not result then
        return nil, err
    elseif type(result) ~= "table" then
        return undecided("Khaos's reply to the import is empty")
    end
    local imported = client.list(result.OrderImport)[1]
    if imported and (imported.SalesOrderCode or "") ~= "" then
        return {order_code = imported.SalesOrderCode, urn = imported.URN,
            message = imported.Msg ~= "" and imported.Msg or nil}
    end
    local skipped = client.list(result.OrderSkipped)[1]
    if skipped then
        local words = skipped.SkipReason or ""
        return undecided(words ~= "" and words or "skipped without a reason",
            {skip_reason = words})
    end
    return undecided("Khaos's reply names the order neither as imported nor as skipped")
end

-- ---- finding and reading back ----------------------------------------------------------------

local function minor_of(text, currency)
    local amount = text and money.decimal(text)
    local digits = money.digits(currency or "") or 2
    return amount and (amount:to_minor(digits))
end

-- Gross and net of "<ITEMS_TOTAL NET_VALUE=...>gross</ITEMS_TOTAL>".
local function total_of(node, name, currency)
    local total = xml.child(node, name)
    if not total then
        return nil, nil
    end
    return minor_of(total.text, currency), minor_of(total.attrs.NET_VALUE, currency)
end

local function sum(a, b)
    return a and b and a + b or nil
end

local function record_of(node)
    local currency = xml.value(node, "CURRENCY_CODE")
    local company = xml.child(node, "COMPANY_NAME")
    local items, items_net = total_of(node, "ITEMS_TOTAL", currency)
    local delivery, delivery_net = total_of(node, "DELIVERY_TOTAL", currency)
    local cancelled = xml.child(node, "CANCELLED")
    return {
        order_code = node.attrs.SORDER_CODE,
        urn = company and company.attrs.COMPANY_CODE,
        other_ref = company and company.attrs.OTHER_REF,
        currency = currency,
        total_minor = sum(items, delivery),
        net_minor = sum(items_net, delivery_net),
        items_minor = items,
        delivery_minor = delivery,
        quantity = math.tointeger(tonumber(xml.value(node, "QTY_SOLD") or "")),
        is_cancelled = cancelled ~= nil or nil,
        cancel_reason = cancelled and xml.value(cancelled, "REASON"),
    }
end

--- Gross, net and currency of an order of the status feed.
---@param node neap.xml.Node ORDER_STATUS
---@return {total_minor: integer|nil, net_minor: integer|nil, currency: string|nil}
function orders.totals(node)
    local record = record_of(node)
    return {total_minor = record.total_minor, net_minor = record.net_minor,
        currency = record.currency}
end

-- Sales orders only: a credit note may carry the same reference. The type id is documented as a
-- number and seen as "S", so the text counts.
local function is_sales_order(node)
    local kind = xml.child(node, "ORDER_TYPE")
    return kind == nil or not kind.text:lower():find("credit", 1, true)
end

-- Of an order that was amended Khaos may keep the record that it deleted, under the same code
-- (contract 5.1): it is no order of its own.
local function without_deleted(list)
    local alive, left = {}, {}
    for _, order in ipairs(list) do
        alive[order.order_code or ""] = alive[order.order_code or ""] or not order.is_cancelled
    end
    for _, order in ipairs(list) do
        if not order.is_cancelled or not alive[order.order_code or ""] then
            left[#left + 1] = order
        end
    end
    return left
end

--- The sales orders that Khaos has under each of these references, cancelled ones too, by
--- reference; one that Khaos does not have is absent.
---@async
---@param khaos khaos.Client
---@param references string[] without commas
---@return table<string, table[]>|nil
---@return neap.Error|nil
function orders.find_many(khaos, references)
    local text, err = khaos:call("ExportOrderStatusEx", {
        {"IDs", "string", table.concat(references, ",")}, {"MappingType", "int", BY_REFERENCE},
        {"WebOnly", "boolean", false}, {"ConfirmedOnly", "boolean", false},
        {"IncludeTracking", "boolean", false}, {"IncludeCancelled", "boolean", true},
    })
    if not text then
        return nil, err
    end
    local root, problem = client.document(text, "STATUS_LIST")
    if problem then
        return nil, problem
    end
    local wanted, found = {}, {}
    for _, reference in ipairs(references) do
        wanted[reference] = true
    end
    for _, node in ipairs(root and xml.children(root, "ORDER_STATUS") or {}) do
        local reference = node.attrs.ASSOCIATED_REF
        if reference and wanted[reference] and is_sales_order(node) then
            local list = found[reference] or {}
            found[reference] = list
            list[#list + 1] = record_of(node)
        end
    end
    for reference, list in pairs(found) do
        found[reference] = without_deleted(list)
    end
    return found
end

-- The one that is followed comes first; another one that is cancelled is nobody's business.
local function followed_first(list, order_code)
    local ordered = {}
    for _, order in ipairs(list) do
        if order.order_code == order_code then
            table.insert(ordered, 1, order)
        elseif not order.is_cancelled then
            ordered[#ordered + 1] = order
        end
    end
    return ordered
end

--- All sales orders that Khaos has under a reference, cancelled ones too; an empty list when none.
---@async
---@param khaos khaos.Client
---@param reference string
---@param order_code string|nil the one that is followed: it comes first, whatever became of others
---@return table[]|nil
---@return neap.Error|nil
function orders.find(khaos, reference, order_code)
    local found, err = orders.find_many(khaos, {reference})
    if not found then
        return nil, err
    end
    local list = found[reference] or {}
    return order_code and followed_first(list, order_code) or list
end

--- What identifies an order's money, the same for what is posted and what is found.
---@param total_minor integer|nil
---@param currency string|nil
---@return string
function orders.fingerprint(total_minor, currency)
    return string.format("%s %s", total_minor and tostring(total_minor) or "?", currency or "?")
end

--- Lookup for an effect: did the import happen?
---@async
---@param khaos khaos.Client
---@param reference string
---@return "found"|"absent"|nil
---@return any result as read_import gives it, or the error
---@return string|nil fingerprint
function orders.lookup(khaos, reference)
    local found, err = orders.find(khaos, reference)
    if not found then
        return nil, err
    elseif #found == 0 then
        return "absent"
    end
    local first = found[1]
    return "found", {order_code = first.order_code, urn = first.urn, message = "found by lookup"},
        orders.fingerprint(first.total_minor, first.currency)
end

--- The import document of an order as Khaos has it, with prices and taxes per line.
---@async
---@param khaos khaos.Client
---@param reference string
---@return table|nil SALES_ORDER node, nil without an error when there is none
---@return neap.Error|nil
function orders.export(khaos, reference)
    local text, err = khaos:call("ExportOrders", {{"OrderCode", "string", reference},
        {"MappingType", "int", EXPORT_BY_REFERENCE}})
    if not text then
        return nil, err
    end
    local root, problem = client.document(text, "SALES_ORDERS")
    return root and xml.child(root, "SALES_ORDER"), problem
end

return orders
