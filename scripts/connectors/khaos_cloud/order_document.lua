--- A posting as a SalesOrder of OrderDownload (contract 8.5). What is absent is left out: Khaos
--- takes a null for an error.
---
--- The order says how it is calculated (CalcMethod) and what it comes to (GrossTotal). No line says
--- its tax: rates are Khaos's own. So an order of a gross profile is priced gross throughout, and
--- comes to its total whatever the rates are.
local json = require("neap.json")
local money = require("neap.money")

local order_document = {}

local CALC_NET, CALC_GROSS = 1, 2
local HUNDREDTHS = 2

local function number(text)
    return text and assert(money.decimal(text)):trim() or nil
end

local function amount(minor)
    return assert(money.decimal(minor, HUNDREDTHS)):trim()
end

local function named(name)
    return name and {Name = name} or nil
end

local function address(source)
    return {
        Line1 = source.address1, Line2 = source.address2, Line3 = source.address3,
        Town = source.town, County = source.county, Postcode = source.postcode,
        Country = {Code = source.country_code}, Email = source.email, Telephone = source.tel,
        Organisation = source.organisation,
    }
end

local function contact(source)
    return {Title = source.title, Forename = source.forename, Surname = source.surname,
        Email = source.email}
end

local function customer(khaos, source)
    return {
        CreateNew = "IfNoMatch",
        CompanyClass = {Name = source.company_class},
        Currency = {Code = source.currency},
        OtherRef = source.other_ref,
        CompanyName = source.company_name,
        TaxReference = source.tax_reference,
        URN = khaos.send_urn and source.company_code or nil,
    }
end

-- The charge is always said, 0 too: without it Khaos makes one of its own.
local function add_delivery(header, posting)
    local source = posting.header.delivery
    if source.gross then
        header.DeliveryCharge = {Gross = number(source.gross)}
        return
    end
    assert(source.net, "posting without delivery")
    local net = assert(money.decimal(source.net))
    local tax = source.tax and assert(money.decimal(source.tax))
    if header.CalcMethod == CALC_GROSS and tax then
        header.DeliveryCharge = {Gross = (net + tax):trim()}
    else
        header.DeliveryCharge = {Net = net:trim()}
    end
    header.DeliveryTaxAmount = tax and tax:trim()
end

local function is_gross(posting)
    for _, line in ipairs(posting.lines) do
        if line.price_net then
            return false
        end
    end
    return true
end

local function has_account(posting)
    for _, payment in ipairs(posting.payments) do
        if payment.type == 3 then
            return true
        end
    end
    return nil
end

local function courier(source)
    if source.courier_code then
        return {Code = source.courier_code}
    end
    return named(source.courier_desc)
end

local function coded(codes)
    local list = json.array({})
    for i, code in ipairs(codes or {}) do
        list[i] = {Code = code}
    end
    return list
end

local function header(khaos, posting)
    local source = posting.header
    local made = {
        AssociatedRef = posting.reference,
        OrderDate = posting.order_date,
        Site = named(source.site) or {ID = khaos.site_id},
        SalesSource = named(source.sales_source),
        DiscountCodes = coded(source.discount_codes),
        ValueDiscount = source.value_discount and number(source.value_discount),
        Brand = named(source.brand),
        Website = named(source.website_name),
        Keycode = source.keycode and {Code = source.keycode},
        Courier = courier(source),
        OrderNote = source.order_note,
        InvoiceNote = source.invoice_note,
        PONumber = source.po_number,
        RemainderOnAccount = has_account(posting),
        CalcMethod = is_gross(posting) and CALC_GROSS or CALC_NET,
        GrossTotal = number(posting.total),
        CustomData = posting.reference,
        Currency = {Code = posting.currency},
    }
    add_delivery(made, posting)
    return made
end

-- Whether Khaos takes ValueDiscount per line or per unit is not known (contract 11.15).
local function is_value_sure(khaos, line)
    return khaos.value_discount == "line"
        or khaos.value_discount == "single" and line.quantity == 1
end

-- ValueDiscount is exact where a percentage is not: then the full price stays visible. Lines that
-- the mapper writes with one are of one unit.
local function add_price(made, khaos, line)
    if line.price_net then
        made.UnitPrice = {Net = number(line.price_net)}
    else
        made.UnitPrice = {Gross = number(line.price_gross)}
    end
    if line.value_discount then
        made.ValueDiscount = number(line.value_discount)
    elseif line.discount_percent and not is_value_sure(khaos, line) then
        made.PercentDiscount = number(line.discount_percent)
    elseif line.discount_percent then
        made.ValueDiscount = amount(line.predicted.discount_minor)
    elseif line.full_gross_minor and line.price_gross and is_value_sure(khaos, line) then
        made.UnitPrice = {Gross = amount(line.full_gross_minor)}
        made.ValueDiscount = amount(line.full_gross_minor * line.quantity
            - line.predicted.gross_minor)
    end
end

local function item(khaos, line)
    local made = {
        SKU = line.stock_code,
        Mapping = "StockCode",
        Quantity = line.quantity,
        ExtendedDescription = json.array(line.extended and table.move(line.extended, 1,
            #line.extended, 1, {}) or {}),
        StockDescription = line.description
            and {Source = "Explicit", Parameter = line.description} or nil,
        FreeItemReason = named(line.free_reason),
        ImportRef = line.import_ref,
        PackLink = line.pack_link,
    }
    add_price(made, khaos, line)
    return made
end

local PAYMENTS = {}

PAYMENTS[0] = function(source)
    return "Cash", {Reference = source.transaction_id}
end

PAYMENTS[1] = function(source)
    return "Cheque", {Reference = source.transaction_id}
end

PAYMENTS[2] = function(source)
    return "Card", {
        CardType = source.card_type or "Card",
        IsPreauth = source.preauth == true,
        AuthCode = source.auth_code,
        TransactionID = source.transaction_id,
        PreauthRef = source.preauth_ref,
        AccountNumber = source.account_number,
        CardNumber = source.card_number,
        Timestamp = source.timestamp,
    }
end

PAYMENTS[4] = function(source, posting)
    return "Voucher", {Reference = source.card_number or source.transaction_id
        or posting.reference}
end

-- What goes on account is no payment here: RemainderOnAccount says it.
local function payments(posting)
    local list = json.array({})
    for _, source in ipairs(posting.payments) do
        local make = PAYMENTS[source.type]
        if make then
            local name, details = make(source, posting)
            list[#list + 1] = {Amount = number(source.amount), [name] = details,
                BankAccount = named(source.account_name)}
        end
    end
    return #list > 0 and list or nil
end

--- One SalesOrder.
---@param khaos khaos.CloudClient
---@param posting table whose customer has a company_code when URNs are sent
---@return table
function order_document.build(khaos, posting)
    local source = posting.customer
    local delivery = source.delivery_address
    local items = json.array({})
    for i, line in ipairs(posting.lines) do
        items[i] = item(khaos, line)
    end
    return {
        Customer = customer(khaos, source),
        InvoiceAddress = address(source.invoice_address),
        InvoiceContact = contact(source.invoice_address),
        DeliveryAddress = delivery and address(delivery) or nil,
        DeliveryContact = delivery and contact(delivery) or nil,
        Header = header(khaos, posting),
        Items = items,
        Payments = payments(posting),
    }
end

return order_document
