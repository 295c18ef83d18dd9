--- SCAYLE's side of an order delegation: what is sent, what counts as an answer, when it is sent
--- again.

local catalogue = require("shop.catalogue")
local json = require("neap.json")
local orders = require("shop.orders")

local delegation = {}

local MINUTE_MS = 60000
local TWO_HOURS_MS = 120 * MINUTE_MS

local function address_of(address)
    local recipient = address.recipient or {}
    local phone = address.phone
    return {
        additional = address.additional or json.null,
        city = address.city,
        collectionPoint = address.collectionPoint or json.null,
        countryCode = catalogue.alpha2(address.countryCode),
        firstName = recipient.firstName,
        lastName = recipient.lastName,
        gender = recipient.gender or json.null,
        houseNumber = address.houseNumber or json.null,
        phoneNumber = type(phone) == "string" and phone or json.null,
        state = address.state or json.null,
        street = address.street,
        streetHouseNumber = ("%s %s"):format(address.houseNumber or "", address.street or ""),
        zipCode = address.zipCode,
    }
end

-- Percent, a whole number where it is one (contract 1.3).
local function percent_of(rate)
    local percent = (rate or 0) * 100
    local whole = math.floor(percent + 0.5)
    return math.abs(percent - whole) < 0.0001 and whole or percent
end

local function item_of(order, item, index)
    local vat = item.price.tax and item.price.tax.vat or {}
    local gross = item.price.withTax
    local name = item.product and item.product.name or ""
    return {
        id = order.id * 100 + index,
        orderItemId = tostring(item.id),
        merchantKey = catalogue.MERCHANT.referenceKey,
        merchantProductVariantId = item.variant.id,
        merchantProductVariantReferenceKey = item.variant.referenceKey,
        productVariantId = item.variant.id,
        name = name,
        localizedName = name,
        quantity = 1,
        currencyCode = order.currencyCode,
        price = gross,
        priceWithoutTax = item.price.withoutTax or gross - (vat.amount or 0),
        tax = percent_of(vat.rate),
        taxAmount = vat.amount or 0,
        warehouseReferenceKey = catalogue.WAREHOUSE.referenceKey,
        shippingWarehouseReferenceKey = catalogue.WAREHOUSE.referenceKey,
        merchantReservationKey = json.null,
        packagingGroupId = json.null,
        vendorReferenceKey = json.null,
        vendorSize = json.null,
        customData = {},
    }
end

local function items_of(order)
    local list = json.array({})
    for i, item in ipairs(order.items) do
        local merchant = item.merchant and item.merchant.referenceKey
        if item.status ~= "cancelled" and merchant == catalogue.MERCHANT.referenceKey then
            list[#list + 1] = item_of(order, item, i)
        end
    end
    return list
end

--- The body of the POST to the merchant.
---@param order table
---@param record table
---@return table
function delegation.body(order, record)
    local customer, country = order.customer or {}, order.shopCountry
    local payment = order.payment and order.payment[#order.payment]
    return {
        id = 66000 + order.id % 100000,
        orderId = order.id,
        orderReferenceKey = record.order_reference_key,
        companyId = catalogue.COMPANY_ID,
        shopId = country.id,
        shopKey = country.shopKey,
        countryCode = country.countryCode,
        languageCode = country.defaultLanguageCode or "en_GB",
        fulfillingMerchantKey = catalogue.MERCHANT.referenceKey,
        paymentMethod = payment and payment.key or "",
        carrier = {key = record.carrier},
        customer = {
            customData = json.array({}),
            email = customer.email,
            publicKey = customer.publicKey or json.null,
            referenceKey = customer.referenceKey or json.null,
            taxNumber = json.null,
            vendorReferenceKey = json.null,
        },
        customerPublicKey = customer.publicKey or json.null,
        addresses = {
            billing = address_of(order.address.billing),
            shipping = address_of(order.address.shipping),
        },
        cost = order.cost,
        items = items_of(order),
        customData = {},
        vendorReferenceKey = json.null,
    }
end

local RESULTS = {acknowledged = true, delegated = true}

--- Does the answer count? 201 and a body as the contract shows it; anything else is a failure.
---@param answer {status: integer, body: string}
---@return boolean
---@return string|nil problem
function delegation.is_accepted(answer)
    if answer.status ~= 201 then
        return false, ("status %d, not 201"):format(answer.status)
    end
    local body = json.decode(answer.body)
    if type(body) ~= "table" then
        return false, "the body is not a JSON object"
    elseif body.statusCode ~= 201 then
        return false, "statusCode is not 201"
    elseif type(body.referenceKey) ~= "string" or body.referenceKey == "" then
        return false, "referenceKey is missing"
    elseif not RESULTS[body.orderDelegationResult or ""] then
        return false, "orderDelegationResult is neither acknowledged nor delegated"
    end
    return true
end

--- How long to wait before retry number n: 3 min, 5 min, then 2 h each, up to 23 of them.
---@param n integer
---@param settings table
---@return integer|nil ms nil: given up
function delegation.retry_delay(n, settings)
    if n > settings.retry_limit then
        return nil
    end
    local base = n == 1 and 3 * MINUTE_MS or n == 2 and 5 * MINUTE_MS or TWO_HOURS_MS
    return math.max(1, math.floor(base * settings.retry_factor))
end

--- Notes an attempt; a good answer delegates the order, a repeat must be answered like the first.
---@param w table
---@param order_id integer
---@param attempt {number: string, status: integer|nil, body: string|nil, problem: string|nil}
function delegation.note(w, order_id, attempt)
    local record = orders.record(w, order_id)
    attempt.at_ms = w.now_ms
    record.attempts[#record.attempts + 1] = attempt
    if attempt.is_accepted then
        if record.first_answer and record.first_answer ~= attempt.body then
            record.repeat_differs = true
        end
        record.first_answer = record.first_answer or attempt.body
        record.accepted = (record.accepted or 0) + 1
        if record.accepted == 1 then
            record.delegated_ms = w.now_ms
            orders.mark_delegated(w, orders.get(w, order_id))
        end
    end
    orders.save_record(w, record)
end

--- The last retry failed: the order is aborted and cancelled.
---@param w table
---@param order_id integer
function delegation.give_up(w, order_id)
    local record = orders.record(w, order_id)
    record.given_up = true
    orders.save_record(w, record)
    orders.cancel_items(w, orders.get(w, order_id), nil)
end

return delegation
