--- Reads one SalesOrder of the web channel into the form that orders.take works with, as strict as
--- contract 8.5: a null, a wrong type or a name that does not exist fails the order.

local calc = require("erp.calc")
local customers = require("erp.customers")
local data = require("erp.data")
local json = require("neap.json")
local money = require("neap.money")
local packs = require("erp.packs")

local cloud_order = {}

local function problem(r, ...)
    r.problems[#r.problems + 1] = string.format(...)
end

local function text(r, record, name, limit, is_required)
    local value = record[name]
    if value == nil or value == "" then
        if is_required then
            problem(r, "%s is missing", name)
        end
        return nil
    elseif type(value) ~= "string" then
        problem(r, "%s must be a string", name)
        return nil
    elseif limit and utf8.len(value) > limit then
        problem(r, "%s is longer than %d characters", name, limit)
    end
    return value
end

-- A number as plain digits; texts count, because XML has nothing else.
local function digits(r, record, name)
    local value = record[name]
    if value == nil then
        return nil
    end
    local number = tonumber(value)
    local decimal = number and money.from_number(number, 6)
    if not decimal then
        problem(r, "%s must be a number", name)
        return nil
    end
    return tostring(decimal:trim())
end

local function record_of(r, parent, name, is_required)
    local value = parent[name]
    if type(value) == "table" then
        return value
    elseif value ~= nil or is_required then
        problem(r, "%s is missing or no object", name)
    end
    return {}
end

-- What a DataItem names in a table of names; `by` are the ways allowed.
local function data_item(r, parent, name, list, by)
    local item = parent[name]
    if item == nil then
        return nil
    elseif type(item) ~= "table" then
        problem(r, "%s must be a data item", name)
        return nil
    end
    for _, way in ipairs(by) do
        local value = item[way]
        if value and (list == nil or list[value]) then
            return value
        elseif value then
            problem(r, "%s '%s' does not exist", name, value)
            return nil
        end
    end
    problem(r, "%s cannot be found this way", name)
    return nil
end

local function price(r, record, name)
    local value = record_of(r, record, name, true)
    if value.Net ~= nil then
        return "net", digits(r, value, "Net")
    end
    return "gross", digits(r, value, "Gross")
end

local LIMITS = {Line1 = 35, Line2 = 35, Line3 = 35, Town = 35, County = 35, Postcode = 10,
    Email = 100, Telephone = 25, Organisation = 50}

local function address(r, order, kind, is_required)
    local given = record_of(r, order, kind .. "Address", is_required)
    local who = record_of(r, order, kind .. "Contact", is_required)
    if next(given) == nil then
        return nil
    end
    for name, limit in pairs(LIMITS) do
        text(r, given, name, limit, name == "Line1" or name == "Town")
    end
    local row = data.country(data_item(r, given, "Country", nil, {"Code"}) or "")
    if not row then
        problem(r, "%s: country is unknown", kind)
    end
    return {address1 = given.Line1, address2 = given.Line2, address3 = given.Line3,
        town = given.Town, county = given.County, postcode = given.Postcode,
        country = row and row[3] or "GBR", email = given.Email or who.Email, tel = given.Telephone,
        organisation = given.Organisation, title = text(r, who, "Title", 20),
        forename = text(r, who, "Forename", 50), surname = text(r, who, "Surname", 50)}
end

local function read_customer(r, order)
    local given = record_of(r, order, "Customer", true)
    if given.URN == "" then
        problem(r, "URN is blank")
    end
    return {
        create_new = text(r, given, "CreateNew", nil, true),
        urn = given.URN,
        other_ref = text(r, given, "OtherRef", 50),
        class = data_item(r, given, "CompanyClass", data.CLASSES, {"Name"}),
        currency = data_item(r, given, "Currency", data.CURRENCIES, {"Code"}),
        name = text(r, given, "CompanyName", 50),
        tax_reference = text(r, given, "TaxReference", 20),
        address = address(r, order, "Invoice", true) or {},
        delivery_address = address(r, order, "Delivery", false),
    }
end

local function by_name(list, field)
    local names = {}
    for _, entry in ipairs(list) do
        names[entry[field]] = true
    end
    return names
end

local function site_of(r, header)
    local given = header.Site
    if type(given) == "table" and given.ID then
        local found = data.find(data.SITES, "id", math.tointeger(tonumber(given.ID)))
        if not found then
            problem(r, "Site %s does not exist", given.ID)
        end
        return found and found.name
    end
    return data_item(r, header, "Site", by_name(data.SITES, "name"), {"Name"})
end

local function read_header(r, order)
    local given = record_of(r, order, "Header", true)
    local header = {
        ASSOCIATED_REF = text(r, given, "AssociatedRef", nil, true),
        ORDER_DATE = text(r, given, "OrderDate", nil, true),
        ORDER_AMOUNT = digits(r, given, "GrossTotal"),
        SITE = site_of(r, given),
        SALES_SOURCE = data_item(r, given, "SalesSource", data.SALES_SOURCES, {"Name"}),
        BRAND = data_item(r, given, "Brand", data.BRANDS, {"Name"}),
        KEYCODE_CODE = data_item(r, given, "Keycode", data.KEYCODES, {"Code"}),
        WEBSITE_NAME = data_item(r, given, "Website", data.WEBSITES, {"Name"}),
        ORDER_NOTE = text(r, given, "OrderNote"), INVOICE_NOTE = text(r, given, "InvoiceNote"),
        PO_NUMBER = text(r, given, "PONumber"),
        DELIVERY_TAX_AMOUNT = digits(r, given, "DeliveryTaxAmount"),
    }
    if given.Courier and given.Courier.Code then
        header.COURIER_CODE = data_item(r, given, "Courier", by_name(data.COURIERS, "code"),
            {"Code"})
    else
        header.COURIER_DESC = data_item(r, given, "Courier",
            by_name(data.COURIERS, "description"), {"Name"})
    end
    if not given.SalesSource or not given.DiscountCodes or not given.Site then
        problem(r, "Header lacks SalesSource, Site or DiscountCodes")
    end
    if given.DeliveryCharge then
        local is, amount = price(r, given, "DeliveryCharge")
        header[is == "net" and "DELIVERY_NET" or "DELIVERY_GRS"] = amount
        header.DELIVERY_TAX = is == "net" and header.DELIVERY_TAX_AMOUNT or nil
    end
    return header, given
end

-- Rates are Khaos's own: by the item and by where it goes. Abroad from a UK company it is zero,
-- but for Germany, where this one is registered.
local function tax_code(item, country)
    if item.code == "ROUNDING" then
        return "2"
    elseif country == "DEU" then
        return item.tax_code == "1" and "5" or "6"
    elseif country ~= "GBR" and country ~= "IMN" then
        return "2"
    end
    return item.tax_code
end

local function read_line(r, given, country)
    local item = given.Mapping == "StockCode" and r.w.store.get("erp_stock", given.SKU or "")
    if not item then
        problem(r, "stock item '%s' not found", tostring(given.SKU))
        item = nil
    end
    local is, written = price(r, given, "UnitPrice")
    local value = digits(r, given, "ValueDiscount")
    local percent = digits(r, given, "PercentDiscount")
    local reason = data_item(r, given, "FreeItemReason", nil, {"Name"})
    if reason and not data.FREE_REASONS[reason:lower()] then
        problem(r, "free item reason '%s' does not exist", reason)
    end
    if type(given.ExtendedDescription) ~= "table" and given.ExtendedDescription ~= "" then
        problem(r, "ExtendedDescription is missing")
    end
    local about = type(given.StockDescription) == "table" and given.StockDescription or {}
    local quantity = digits(r, given, "Quantity") or "1"
    local off_minor = value and calc.minor(calc.decimal(value))
    if off_minor and r.w.settings.cloud_value_per_unit then
        off_minor = off_minor * math.tointeger(tonumber(quantity))
    end
    return {
        values = {STOCK_DESC = about.Parameter or about.Name, ORDER_QTY = quantity,
            KSD_DISCOUNT = percent, FREEITEM_REASON = reason, IMPORT_REF = given.ImportRef,
            PACK_SORT_ORDER = given.PackLink},
        label = tostring(given.SKU),
        item = item, quantity = calc.decimal(quantity),
        price_is = is, price_text = written, price = calc.decimal(written or "0"),
        discount = calc.decimal(percent or "0"),
        value_discount = off_minor,
        tax_code = item and tax_code(item, country) or "1",
    }
end

local KINDS = {"Cash", "Cheque", "Card", "Voucher", "BACS"}

local function read_payment(r, given)
    local kind, count = nil, 0
    for _, name in ipairs(KINDS) do
        if given[name] ~= nil then
            kind, count = name, count + 1
        end
    end
    if count ~= 1 then
        problem(r, "a payment has exactly one kind, not %d", count)
    end
    local details = type(given[kind]) == "table" and given[kind] or {}
    if kind == "Voucher" and not details.Reference then
        problem(r, "Voucher/Reference is missing")
    elseif kind == "Card" and not text(r, details, "CardType", 25) then
        problem(r, "Card/CardType is missing")
    end
    local account = given.BankAccount
    account = type(account) == "table" and account.Name or account
    if account and not data.ACCOUNTS[account] then
        problem(r, "bank account '%s' does not exist", account)
    end
    local preauth = details.IsPreauth == true or details.IsPreauth == "True"
    return {amount_minor = calc.minor(calc.decimal(digits(r, given, "Amount") or "0")),
        kind = kind, account_name = account, preauth = preauth,
        auth_code = details.AuthCode, transaction_id = details.TransactionID,
        is_paid = not preauth and (kind ~= "Card" or (details.AuthCode or "") ~= "")}
end

local function find_null(value, path)
    if value == json.null then
        return path
    elseif type(value) == "table" then
        for name, inner in pairs(value) do
            local found = find_null(inner, path .. "/" .. tostring(name))
            if found then
                return found
            end
        end
    end
    return nil
end

--- Where a document holds a null; nil when nowhere.
---@param document any
---@return string|nil
function cloud_order.null_in(document)
    return find_null(document, "")
end

local function money_off(r, raw)
    local written = digits(r, raw, "ValueDiscount")
    return written and calc.minor(calc.decimal(written)) or nil
end

local METHODS = {["1"] = "net", ["2"] = "gross"}

--- Reads one order.
---@param w table
---@param given table SalesOrder
---@return table order
---@return string[] problems
function cloud_order.read(w, given)
    local r = {w = w, problems = {}}
    local header, raw = read_header(r, given)
    local order = {header = header, customer = read_customer(r, given), lines = {}, payments = {},
        value_discount_minor = money_off(r, raw),
        channel = "cloud", custom_data = raw.CustomData,
        calculation = METHODS[tostring(raw.CalcMethod)]}
    header.ORDER_CURRENCY_CODE = data_item(r, raw, "Currency", data.CURRENCIES, {"Code"})
        or order.customer.currency
    local country = (order.customer.delivery_address or order.customer.address).country
    for i, line in ipairs(type(given.Items) == "table" and given.Items or {}) do
        order.lines[i] = read_line(r, line, country)
    end
    packs.check(r, order.lines, true)
    for i, payment in ipairs(type(given.Payments) == "table" and given.Payments or {}) do
        order.payments[i] = read_payment(r, payment)
    end
    if #order.lines == 0 then
        problem(r, "the order has no items")
    end
    order.is_account = raw.RemainderOnAccount == true or raw.RemainderOnAccount == "True"
    return order, r.problems
end

--- The customer by MatchCompanyOn: CompanyCode stands alone; an unknown code makes a new account.
---@param match string[]
---@return function for orders.take
function cloud_order.finder(match)
    return function(w, order, currency)
        local wanted = order.customer
        local found
        if match[1] == "CompanyCode" then
            found = wanted.urn and customers.get(w, wanted.urn)
        else
            found = customers.match(w, {other_ref = nil, name = wanted.name or "",
                address = wanted.address, currency = currency})
        end
        if found and found.currency ~= currency then
            return nil, ("customer %s has currency %s, the order %s"):format(found.urn,
                found.currency, currency)
        elseif found then
            return found, match[1] == "CompanyCode" and "code" or "name"
        elseif wanted.create_new == "Never" then
            return nil, "no customer matches"
        end
        return customers.create(w, {urn = wanted.urn, other_ref = wanted.other_ref or "",
            web_user = "", class = wanted.class or w.settings.default_class, currency = currency,
            name = wanted.name or customers.name_from(wanted.address),
            tax_reference = wanted.tax_reference, address = wanted.address}), "code"
    end
end

return cloud_order
