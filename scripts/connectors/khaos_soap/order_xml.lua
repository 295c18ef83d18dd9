--- A posting as Khaos's SALES_ORDERS document: documented elements only, in the order of the
--- vendor's template. An absent value leaves its element out, because Khaos reads an empty one as
--- absent too.
local xml = require("neap.xml")

local order_xml = {}

local function text_of(value)
    if type(value) == "boolean" then
        return value and "-1" or "0"
    end
    return (xml.clean(tostring(value)))
end

local function add(node, name, value)
    if value ~= nil and value ~= "" then
        node[#node + 1] = xml.element(name, nil, text_of(value))
    end
end

local function add_all(node, source, pairs_of_names)
    for _, pair in ipairs(pairs_of_names) do
        add(node, pair[1], source[pair[2]])
    end
    return node
end

local ADDRESS = {
    {"ADDRESS1", "address1"}, {"ADDRESS2", "address2"}, {"ADDRESS3", "address3"},
    {"TOWN", "town"}, {"COUNTY", "county"}, {"POSTCODE", "postcode"},
    {"COUNTRY_CODE", "country_code"}, {"TITLE", "title"}, {"FORENAME", "forename"},
    {"SURNAME", "surname"}, {"TEL", "tel"}, {"EMAIL", "email"}, {"ORGANISATION", "organisation"},
}

local function address(name, prefix, source)
    local node = xml.element(name)
    for _, pair in ipairs(ADDRESS) do
        add(node, prefix .. pair[1], source[pair[2]])
    end
    return node
end

local CUSTOMER = {
    {"COMPANY_CODE", "company_code"}, {"OTHER_REF", "other_ref"},
    {"COMPANY_CLASS", "company_class"}, {"COMPANY_NAME", "company_name"},
    {"TAX_REFERENCE", "tax_reference"},
}

local function customer(source)
    local node = xml.element("CUSTOMER_DETAIL")
    add(node, "IS_NEW_CUSTOMER", false)
    add_all(node, source, CUSTOMER)
    local addresses = xml.element("ADDRESSES")
    addresses[1] = address("INVADDR", "I", source.invoice_address)
    if source.delivery_address then
        addresses[2] = address("DELADDR", "D", source.delivery_address)
    end
    node[#node + 1] = addresses
    return node
end

local PAYMENT = {
    {"PAYMENT_AMOUNT", "amount"}, {"PAYMENT_TYPE", "type"}, {"CARD_TYPE", "card_type"},
    {"CARD_NUMBER", "card_number"}, {"PREAUTH", "preauth"}, {"AUTH_CODE", "auth_code"},
    {"TRANSACTION_ID", "transaction_id"}, {"PREAUTH_REF", "preauth_ref"},
    {"ACCOUNT_NUMBER", "account_number"}, {"ACCOUNT_NAME", "account_name"},
    {"TRANSACTION_TIMESTAMP", "timestamp"},
}

local function payments(list)
    local node = xml.element("PAYMENTS")
    for i, payment in ipairs(list) do
        node[i] = add_all(xml.element("PAYMENT_DETAIL"), payment, PAYMENT)
    end
    return node
end

local HEADER_AFTER_DELIVERY = {
    {"COURIER_CODE", "courier_code"}, {"COURIER_DESC", "courier_desc"}, {"PO_NUMBER", "po_number"},
    {"KEYCODE_CODE", "keycode"}, {"BRAND", "brand"}, {"SALES_SOURCE", "sales_source"},
    {"WEBSITE_NAME", "website_name"},
}

-- Delivery is always said, 0.00 too: without it Khaos charges its own.
local function header(posting)
    local node = xml.element("ORDER_HEADER")
    local source = posting.header
    add(node, "ORDER_DATE", posting.order_date)
    add(node, "ORDER_AMOUNT", posting.total)
    add(node, "ORDER_CURRENCY_CODE", posting.currency)
    add(node, "SITE", source.site)
    add(node, "ASSOCIATED_REF", posting.reference)
    add(node, "ORDER_NOTE", source.order_note)
    add(node, "INVOICE_NOTE", source.invoice_note)
    if source.delivery.gross then
        add(node, "DELIVERY_GRS", source.delivery.gross)
    else
        add(node, "DELIVERY_NET", assert(source.delivery.net, "posting without delivery"))
        add(node, "DELIVERY_TAX", source.delivery.tax)
    end
    return add_all(node, source, HEADER_AFTER_DELIVERY)
end

local function extended(lines)
    local node = xml.element("EXTENDED_DESC", nil, text_of(table.concat(lines, "\n")))
    node.cdata = true
    return node
end

local LINE_AFTER_PRICE = {
    {"TAX_RATE", "tax_code"}, {"KSD_DISCOUNT", "discount_percent"},
    {"FREEITEM_REASON", "free_reason"}, {"IMPORT_REF", "import_ref"},
    {"PACK_SORT_ORDER", "pack_link"},
}

local function line(source)
    local node = xml.element("ORDER_ITEM")
    add(node, "STOCK_CODE", source.stock_code)
    add(node, "MAPPING_TYPE", 1)
    add(node, "STOCK_DESC", source.description)
    if source.extended then
        node[#node + 1] = extended(source.extended)
    end
    add(node, "ORDER_QTY", source.quantity)
    add(node, "PRICE_NET", source.price_net)
    add(node, "PRICE_GRS", source.price_gross)
    return add_all(node, source, LINE_AFTER_PRICE)
end

--- SALES_ORDERS text with one order.
---@param posting table
---@return string
function order_xml.build(posting)
    local order = xml.element("SALES_ORDER")
    order[1] = customer(posting.customer)
    if #posting.payments > 0 then
        order[#order + 1] = payments(posting.payments)
    end
    order[#order + 1] = header(posting)
    local items = xml.element("ORDER_ITEMS")
    for i, source in ipairs(posting.lines) do
        items[i] = line(source)
    end
    order[#order + 1] = items
    return (xml.encode(xml.element("SALES_ORDERS", nil, {order}), {declaration = true}))
end

return order_xml
