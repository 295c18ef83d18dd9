--- The customer and the two addresses.
local address = require("flows.orders.address")
local identity = require("flows.orders.identity")
local market = require("flows.orders.market")
local read = require("flows.orders.read")

local customer = {}

local COMPANY_NAME_MAX = 50
local TAX_REFERENCE_MAX = 20

local PLACE = {"address1", "address2", "address3", "town", "county", "postcode", "country_code",
    "forename", "surname", "title", "organisation"}

local function is_same(a, b)
    for _, name in ipairs(PLACE) do
        if a[name] ~= b[name] then
            return false
        end
    end
    return true
end

-- The order's addresses; the delegation's where the order has none.
local function sources(work)
    local ours = read.table(work.order, "address")
    local delegated = read.table(work.input.delegation, "addresses")
    local function pick(name)
        local source = read.table(ours, name)
        if next(source) == nil then
            source = read.table(delegated, name)
        end
        return next(source) ~= nil and source or nil
    end
    local billing, shipping = pick("billing"), pick("shipping")
    if not billing and shipping then
        work.trail:note("No billing address: the shipping address is used for the invoice")
    end
    return billing or shipping or {}, shipping or billing or {}
end

local function fitting(work, what, value, limit)
    if value and (utf8.len(value) or #value) > limit then
        work.trail:note("The %s is left out: %d characters, Khaos takes %d", what,
            utf8.len(value) or #value, limit)
        return nil
    end
    return value
end

--- Sets work.customer, or adds the causes.
---@param work table
function customer.plan(work)
    local person = read.table(work.order, "customer")
    local company = read.text(read.table(person, "company"), "name")
    local delegated = read.table(work.input.delegation, "customer")
    local contact = {
        email = read.text(person, "email") or read.text(delegated, "email"),
        phone = person.phone,
        organisation = company,
    }
    local billing, shipping = sources(work)
    local invoice = address.map(work, "invoice", billing, contact)
    local delivery = address.map(work, "delivery", shipping, contact)
    market.check_delivery_country(work, delivery.country_code)
    local profile = work.profile or {}
    work.customer = {
        other_ref = identity.other_ref(work),
        company_class = profile.company_class,
        company_name = fitting(work, "company name", company, COMPANY_NAME_MAX),
        currency = work.currency,
        calc = profile.calc,
        tax_reference = fitting(work, "VAT number", read.text(delegated, "taxNumber"),
            TAX_REFERENCE_MAX),
        invoice_address = invoice,
        delivery_address = not is_same(invoice, delivery) and delivery or nil,
    }
    if read.table(person, "status").isGuestCustomer == true then
        work.trail:say("Guest customer: reference %s", work.customer.other_ref or "?")
    end
end

return customer
