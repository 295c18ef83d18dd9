--- Reads one SALES_ORDER and checks everything that can be checked before customer and
--- arithmetic: known elements, lengths, types, and names that must exist in Khaos.

local calc = require("erp.calc")
local data = require("erp.data")
local packs = require("erp.packs")
local reader = require("erp.reader")
local schema = require("erp.schema")

local order_check = {}

local ADDRESS_NAMES = {
    ADDRESS1 = "address1",
    ADDRESS2 = "address2",
    ADDRESS3 = "address3",
    TOWN = "town",
    COUNTY = "county",
    POSTCODE = "postcode",
    TITLE = "title",
    FORENAME = "forename",
    SURNAME = "surname",
    TEL = "tel",
    MOBILE = "mobile",
    EMAIL = "email",
    ORGANISATION = "organisation",
}

local function must_exist(r, list, value, label)
    if value and not list[value] then
        reader.problem(r, "%s '%s' does not exist", label, value)
    end
end

local function read_address(r, node, prefix)
    local label = prefix == "I" and "INVADDR" or "DELADDR"
    local values = reader.block(r, node, schema.ADDRESS, {label = label, prefix = prefix})
    local address = {country = "GBR"}
    for tag, name in pairs(ADDRESS_NAMES) do
        address[name] = values[tag]
    end
    if values.COUNTRY_CODE then
        local row = data.country(values.COUNTRY_CODE)
        if not row then
            reader.problem(r, "%s/%sCOUNTRY_CODE '%s' is unknown", label, prefix,
                values.COUNTRY_CODE)
        end
        address.country = row and row[3]
    end
    return address
end

local function read_customer(r, block)
    local values = reader.block(r, block, schema.CUSTOMER, {label = "CUSTOMER_DETAIL"})
    must_exist(r, data.CLASSES, values.COMPANY_CLASS, "COMPANY_CLASS")
    must_exist(r, data.COMPANY_TYPES, values.COMPANY_TYPE, "COMPANY_TYPE")
    must_exist(r, data.KEYCODES, values.SOURCE_CODE, "SOURCE_CODE")
    local customer = {
        is_new = values.IS_NEW_CUSTOMER == "-1",
        urn = values.COMPANY_CODE,
        other_ref = values.OTHER_REF,
        web_user = values.WEB_USER,
        class = values.COMPANY_CLASS,
        name = values.COMPANY_NAME,
        tax_reference = values.TAX_REFERENCE,
        address = {},
    }
    if values.ADDRESSES then
        local invoice = reader.only(r, values.ADDRESSES, "INVADDR", true)
        local delivery = reader.only(r, values.ADDRESSES, "DELADDR", false)
        customer.address = invoice and read_address(r, invoice, "I") or {}
        if delivery and #delivery > 0 then
            customer.delivery_address = read_address(r, delivery, "D")
        end
    end
    return customer
end

local function payment_rules(r, values, label)
    local kind = tonumber(values.PAYMENT_TYPE)
    if kind and (kind < 0 or kind > 4) then
        reader.problem(r, "%s/PAYMENT_TYPE %s does not exist", label, values.PAYMENT_TYPE)
    end
    must_exist(r, data.ACCOUNTS, values.ACCOUNT_NAME, label .. "/ACCOUNT_NAME")
    local number = (values.CARD_NUMBER or ""):gsub("[ %-]", "")
    if kind == 2 and number:match("^%d+$") and #number >= 13 then
        reader.problem(r, "%s/CARD_NUMBER looks like a real card number", label)
    end
    if number == "PAYPAL" and (values.PREAUTH == "-1" or values.AUTH_CODE ~= "PAYPAL") then
        reader.problem(r, "%s is PayPal and needs PREAUTH 0 and AUTH_CODE PAYPAL", label)
    end
end

local function read_payment(r, node, index)
    local label = ("PAYMENT_DETAIL %d"):format(index)
    local values = reader.block(r, node, schema.PAYMENT, {label = label})
    payment_rules(r, values, label)
    local amount = calc.decimal(values.PAYMENT_AMOUNT or "0")
    if amount.scale > 2 then
        reader.problem(r, "%s/PAYMENT_AMOUNT has more than two decimals", label)
    end
    local preauth = values.PREAUTH == "-1"
    return {
        amount_minor = calc.minor(amount),
        type = tonumber(values.PAYMENT_TYPE),
        account_name = values.ACCOUNT_NAME,
        card_type = values.CARD_TYPE,
        card_number = values.CARD_NUMBER,
        auth_code = values.AUTH_CODE,
        transaction_id = values.TRANSACTION_ID,
        preauth_ref = values.PREAUTH_REF,
        preauth = preauth,
        -- A card payment without AUTH_CODE is not paid, and nothing says so (contract 2.3).
        is_paid = values.PAYMENT_TYPE ~= "3"
            and not preauth
            and (values.PAYMENT_TYPE ~= "2" or values.AUTH_CODE ~= nil),
    }
end

local function header_names(r, values)
    local function check(list, tag)
        must_exist(r, list, values[tag], tag)
    end
    check(data.BRANDS, "BRAND")
    check(data.SALES_SOURCES, "SALES_SOURCE")
    check(data.KEYCODES, "KEYCODE_CODE")
    check(data.CURRENCIES, "ORDER_CURRENCY_CODE")
    check(data.PRIORITIES, "INV_PRIORITY")
    check(data.WEBSITES, "WEBSITE_NAME")
    if values.SITE and not data.find(data.SITES, "name", values.SITE) then
        reader.problem(r, "SITE '%s' does not exist", values.SITE)
    end
    if values.COURIER_CODE and not data.find(data.COURIERS, "code", values.COURIER_CODE) then
        reader.problem(r, "COURIER_CODE '%s' does not exist", values.COURIER_CODE)
    elseif not values.COURIER_CODE and values.COURIER_DESC then
        if not data.find(data.COURIERS, "description", values.COURIER_DESC) then
            reader.problem(r, "COURIER_DESC '%s' does not exist", values.COURIER_DESC)
        end
    end
end

local function read_header(r, block)
    local values = reader.block(r, block, schema.HEADER, {label = "ORDER_HEADER"})
    header_names(r, values)
    local limit = r.world.settings.reference_length
    if #(values.ASSOCIATED_REF or "") > limit then
        reader.problem(r, "ORDER_HEADER/ASSOCIATED_REF is longer than %d characters", limit)
    end
    return values
end

local function check_prices(r, line, label)
    if not line.price then
        reader.problem(r, "%s has neither PRICE_NET nor PRICE_GRS", label)
        return
    end
    if line.price.n < 0 and (line.item == nil or line.item.controlled) then
        reader.problem(r, "%s has a negative price", label)
    end
    local is_standard = line.tax_code == "1"
    if line.price_is == "gross" and not is_standard and r.world.settings.gross_needs_standard then
        reader.problem(r, "%s is not standard rated and needs PRICE_NET", label)
    end
end

local MAPPINGS = {["2"] = {"other_ref"}, ["4"] = {"description"}, ["5"] = {"other_ref"}}
MAPPINGS["-1"] = {"code", "other_ref", "description"}

local function find_item(w, code, mapping)
    if mapping == "1" or mapping == "-1" then
        local item = w.store.get("erp_stock", code)
        if item or mapping == "1" then
            return item
        end
    end
    for _, field in ipairs(MAPPINGS[mapping] or {}) do
        for _, entry in ipairs(w.store.range("erp_stock", {limit = 10000})) do
            if entry.value[field] == code then
                return entry.value
            end
        end
    end
    return nil
end

local function line_item(r, values, label)
    local code, mapping = values.STOCK_CODE, values.MAPPING_TYPE
    if not code or not mapping then
        return nil
    end
    if code:find("#", 1, true) then
        reader.problem(r, "%s/STOCK_CODE contains '#', which is not supported", label)
    end
    local item = find_item(r.world, code, mapping)
    if not item and r.world.settings.create_missing_stock then
        item = data.stock_item({code = code, description = "Placeholder " .. code})
        item.id, item.revised_ms, item.moved_ms = "A0", r.world.now_ms, r.world.now_ms
        r.world.store.put("erp_stock", code, item)
    end
    if not item then
        reader.problem(r, "%s: stock code '%s' not found", label, code)
    end
    return item
end

local function line_numbers(r, values, line, label)
    line.quantity = calc.decimal(values.ORDER_QTY or "1")
    if line.quantity.n <= 0 then
        reader.problem(r, "%s/ORDER_QTY must be above 0", label)
    end
    line.discount = calc.decimal(values.KSD_DISCOUNT or "0")
    if line.discount.n < 0 or calc.minor(line.discount) > 10000 then
        reader.problem(r, "%s/KSD_DISCOUNT must be a percentage from 0 to 100", label)
    end
    -- Both prices sent: net wins.
    line.price_is = values.PRICE_NET and "net" or "gross"
    line.price_text = values.PRICE_NET or values.PRICE_GRS
    line.price = line.price_text and calc.decimal(line.price_text)
end

local function read_line(r, node, index)
    local label = ("ORDER_ITEM %d"):format(index)
    local values = reader.block(r, node, schema.ITEM, {label = label})
    local line = {values = values, item = line_item(r, values, label), label = label}
    line_numbers(r, values, line, label)
    line.tax_code = values.TAX_RATE or (line.item and line.item.tax_code)
    if values.TAX_RATE and not data.TAX_CODES[values.TAX_RATE] then
        reader.problem(r, "%s/TAX_RATE %s is not a tax code", label, values.TAX_RATE)
    end
    check_prices(r, line, label)
    local reason = values.FREEITEM_REASON
    if reason and not data.FREE_REASONS[reason:lower()] then
        reader.problem(r, "%s/FREEITEM_REASON '%s' does not exist", label, reason)
    end
    if values.SITE and not data.find(data.SITES, "name", values.SITE) then
        reader.problem(r, "%s/SITE '%s' does not exist", label, values.SITE)
    end
    return line
end

--- Reads and checks one order.
---@param w table world
---@param node table the SALES_ORDER element
---@return table order {customer, payments, header, lines}
---@return string[] problems
function order_check.read(w, node)
    local r = reader.new(w)
    reader.block(r, node, {
        CUSTOMER_DETAIL = {kind = "tree", required = true},
        PAYMENTS = {kind = "tree"},
        ORDER_HEADER = {kind = "tree", required = true},
        ORDER_ITEMS = {kind = "tree", required = true},
    }, {label = "SALES_ORDER"})
    local blocks = {}
    for _, child in ipairs(node) do
        blocks[child.name] = blocks[child.name] or child
    end
    local none = {name = "none"}
    local order = {payments = {}, lines = {}}
    order.header = read_header(r, blocks.ORDER_HEADER or none)
    order.customer = read_customer(r, blocks.CUSTOMER_DETAIL or none)
    for i, payment in ipairs(reader.list(r, blocks.PAYMENTS or none, "PAYMENT_DETAIL")) do
        order.payments[i] = read_payment(r, payment, i)
    end
    for i, item in ipairs(reader.list(r, blocks.ORDER_ITEMS or none, "ORDER_ITEM")) do
        order.lines[i] = read_line(r, item, i)
    end
    packs.check(r, order.lines, false)
    if #order.lines == 0 then
        reader.problem(r, "ORDER_ITEMS has no line")
    end
    return order, r.problems
end

return order_check
