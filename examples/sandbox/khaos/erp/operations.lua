--- The operations of the simulated service: parameters in their order, and what answers them. Every
--- handler returns a SOAP value, or nil and the words of a fault.

local companies = require("erp.companies")
local data = require("erp.data")
local order_export = require("erp.order_export")
local orders = require("erp.orders")
local returns = require("erp.returns")
local soap = require("erp.soap")
local stock = require("erp.stock")

local operations = {}

local function import_reply(outcomes)
    local imported, skipped = {}, {}
    for _, outcome in ipairs(outcomes) do
        if outcome.kind == "imported" then
            local order = outcome.order
            imported[#imported + 1] = {
                type = "TOrderImport",
                fields = {
                    {"SalesOrderCode", "string", order.code},
                    {"AssociatedRef", "string", order.reference},
                    {"Msg", "string", order.message},
                    {"URN", "string", order.urn},
                    {"OtherRef", "string", order.other_ref},
                },
            }
        else
            skipped[#skipped + 1] = {
                type = "TOrderSkipped",
                fields = {
                    {"OrderRef", "string", outcome.reference},
                    {"SkipReason", "string", outcome.reason},
                },
            }
        end
    end
    return {
        "struct",
        {
            type = "TOrderImportResult",
            fields = {
                {"ImportedCount", "int", #imported},
                {"OrderImport", "array", {item_type = "TOrderImport", items = imported}},
                {"OrderSkipped", "array", {item_type = "TOrderSkipped", items = skipped}},
            },
        },
    }
end

local function import_orders(w, p, call)
    local outcomes, fault = orders.import(w, p.Orders or "")
    call.outcomes = {}
    for i, outcome in ipairs(outcomes or {}) do
        call.outcomes[i] = {
            kind = outcome.kind,
            reference = outcome.reference,
            reason = outcome.reason,
            code = outcome.order and outcome.order.code,
        }
    end
    if fault then
        return nil, fault
    end
    return import_reply(outcomes)
end

local function site_list()
    local items = {}
    for i, site in ipairs(data.SITES) do
        items[i] = {
            type = "TSiteInfo",
            fields = {{"SiteID", "int", site.id}, {"SiteName", "string", site.name}},
        }
    end
    return {
        "struct",
        {
            type = "TSiteList",
            fields = {
                {"List", "array", {item_type = "TSiteInfo", items = items}},
                {"CurrentSiteID", "int", data.SITES[1].id},
            },
        },
    }
end

local function country_list()
    local items = {}
    for i, row in ipairs(data.COUNTRIES) do
        items[i] = {
            type = "TCountryInfo",
            fields = {
                {"CountryName", "string", row[1]},
                {"CountryCode2", "string", row[2]},
                {"CountryCode3", "string", row[3]},
                {"EUMember", "boolean", row[4]},
                {"PaysVAT", "boolean", row[5]},
                {"CurrencyName", "string", data.CURRENCIES[row[6]]},
                {"CurrencyCode", "string", row[6]},
                {"Zone", "string", row[7]},
            },
        }
    end
    return {
        "struct",
        {
            type = "TCountryList",
            fields = {
                {"Count", "int", #items},
                {"List", "array", {item_type = "TCountryInfo", items = items}},
            },
        },
    }
end

local function truth(text)
    return text == "1" or text == "-1" or text == "true"
end

local function sop_data(_, p)
    local parts = {"<?xml version=\"1.0\"?><SOPDATA>"}
    if truth(p.Courier) then
        parts[#parts + 1] = "<COURIERS>"
        for _, courier in ipairs(data.COURIERS) do
            local text = soap.escape(courier.description)
            parts[#parts + 1] = ("<COURIER CODE=\"%s\">%s</COURIER>"):format(courier.code, text)
        end
        parts[#parts + 1] = "</COURIERS>"
    end
    if truth(p.KeyCode) then
        parts[#parts + 1] = "<KEYCODES>"
        for code, description in pairs(data.KEYCODES) do
            parts[#parts + 1] = "<KEYCODE ID=\"1\"><CODE>"
                .. soap.escape(code)
                .. "</CODE><DESCRIPTION>"
                .. soap.escape(description)
                .. "</DESCRIPTION></KEYCODE>"
        end
        parts[#parts + 1] = "</KEYCODES>"
    end
    return {"string", table.concat(parts) .. "</SOPDATA>"}
end

local function names(list)
    return function()
        local items = {}
        for name in pairs(list) do
            items[#items + 1] = name
        end
        table.sort(items)
        return {"array", {item_type = "xsd:string", items = items}}
    end
end

local ADD_ON_WINDOW_MS = 48 * 3600000 -- contract 5.1: within 48 hours of placement

-- The order that a paid development may change, or why it may not.
local function editable(w, p)
    if not w.settings.paid_add_ons then
        return nil, "This web service function is not licensed"
    end
    local order = orders.get(w, p.OrderCode or "")
    if not order then
        return nil, "Order not found"
    elseif #order.invoices > 0 then
        return nil, "Order is already shipping, shipped or issued"
    elseif order.stage >= 12 then
        return nil, "Order stage is not editable"
    elseif order.cancelled then
        return nil, "Order cannot be cancelled or edited"
    elseif order.paid_minor > 0 then
        return nil, "Payment has already been processed"
    elseif w.now_ms - order.imported_ms > ADD_ON_WINDOW_MS then
        return nil, "Order is too old to be cancelled or edited"
    end
    return order
end

local function amend_order(w, p)
    local order, fault = editable(w, p)
    if not order then
        return nil, fault
    end
    local done, problem = orders.amend(w, order, p.Orders or "")
    if not done then
        return nil, problem
    end
    return {"boolean", true}
end

local function cancel_order(w, p)
    local order, fault = editable(w, p)
    if not order then
        return nil, fault
    end
    orders.cancel(w, order, "web service")
    return {"boolean", true}
end

local STATUS_EX = {"IDs", "MappingType", "WebOnly", "ConfirmedOnly", "IncludeTracking",
    "IncludeCancelled"}
for _, name in ipairs({"DateFrom", "DateTo", "InvoiceStageIDs", "ShowItems"}) do
    STATUS_EX[#STATUS_EX + 1] = name
end

local SOP = {"Courier", "DelRate", "CourierBanding", "BOGOF", "SpecialOffer", "TelesalePrompt",
    "KeyCode"}
SOP[8] = "BarredItems"

local STATUS = {"StockCode", "MappingType", "LastUpdated", "SiteID", "PotentialLeadTime"}

---@type table<string, {parameters: string[], run: function}>
operations.TABLE = {
    GetVersion = {
        parameters = {},
        run = function()
            return {"string", data.VERSION}
        end,
    },
    ImportOrders = {parameters = {"Orders"}, run = import_orders},
    ExportOrders = {parameters = {"OrderCode", "MappingType"}, run = order_export.orders},
    ExportOrderStatus = {parameters = {}, run = order_export.status},
    ExportOrderStatusEx = {parameters = STATUS_EX, run = order_export.status_ex},
    GetStockList = {parameters = {"DateType", "DateValue", "StockItemType"}, run = stock.list},
    ExportStock = {parameters = {"StockCode", "MappingType", "LastUpdated"}, run = stock.export},
    ExportStockStatus = {parameters = STATUS, run = stock.status},
    GetSiteList = {parameters = {}, run = site_list},
    ImportCompany = {parameters = {"Customers", "Method"}, run = companies.import},
    ExportCompany = {
        parameters = {"CompanyCode", "MappingType", "LastUpdated"},
        run = companies.export,
    },
    GetCompanyList = {parameters = {"LastUpdated", "CompanyClassList"}, run = companies.list},
    GetCountryList = {parameters = {}, run = country_list},
    GetSOPData = {parameters = SOP, run = sop_data},
    GetSaleSource = {parameters = {}, run = names(data.SALES_SOURCES)},
    GetCompanyClass = {parameters = {"ClassType"}, run = names(data.CLASSES)},
    AmendOrder = {parameters = {"OrderCode", "Orders"}, run = amend_order},
    CancelOrder = {parameters = {"OrderCode"}, run = cancel_order},
    ProcessReturn = {parameters = {"ReturnCode", "ManualAuthCode"}, run = returns.process},
}

--- Runs an operation. Parameters count by position, as in practice; trailing ones may be missing.
---@param w table world
---@param request {operation: string, parameters: table[]}
---@param call table what the log notes about the call
---@return table|nil soap value
---@return string|nil fault
function operations.run(w, request, call)
    local operation = operations.TABLE[request.operation]
    if not operation then
        return nil, "Method " .. request.operation .. " is not known"
    end
    if #request.parameters > #operation.parameters then
        return nil, "Too many parameters for " .. request.operation
    end
    local values = {}
    for i, parameter in ipairs(request.parameters) do
        values[operation.parameters[i]] = parameter.value
    end
    return operation.run(w, values, call)
end

return operations
