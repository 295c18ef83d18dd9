-- A small order, mappings and settings that map well; tests change what they are about.
local map = require("flows.orders.map")

local support = {}

local function address(more)
    local a = {
        street = "Orchard Row", houseNumber = "14", zipCode = "LS6 3QT", city = "Leeds",
        countryCode = "GBR", recipient = {firstName = "Priya", lastName = "Hallworth"},
    }
    for key, value in pairs(more or {}) do
        a[key] = value
    end
    return a
end

support.address = address

--- A unit of one kind.
function support.item(id, sku, paid, more)
    local item = {
        id = id, key = "bk-" .. sku, currency = "GBP", status = "delegated",
        merchant = {referenceKey = "us"}, variant = {referenceKey = sku},
        price = {withTax = paid, undiscountedWithTax = paid, tax = {vat = {rate = 0.2}}},
    }
    for key, value in pairs(more or {}) do
        item[key] = value
    end
    return item
end

--- An order of these units; its total and payment follow from them.
function support.order(items, more)
    local total = 0
    for _, item in ipairs(items) do
        total = total + item.price.withTax
    end
    local order = {
        id = 5001, publicKey = "FO-5001", currencyCode = "GBP", status = "payment_reserved",
        confirmedAt = "2026-05-04T10:02:58+00:00", shopCountry = {id = 1, countryCode = "GB"},
        customer = {id = 77, email = "p@example.com"},
        address = {billing = address(), shipping = address()},
        cost = {withTax = total, appliedFees = {}}, items = items,
        payment = {{key = "card", amount = total, transactionKey = "t1", isGiftCard = false}},
    }
    for key, value in pairs(more or {}) do
        order[key] = value
    end
    return order
end

--- Mappings of one profile, changed by `profile`; `promotions` are the rules.
function support.mappings(profile, promotions)
    local company = {
        market = "UK", currency = "GBP", company_class = "Web", calc = "gross", tax = "uk",
        standard_rate = "0.2", sales_source = "Web", zone = "Europe/London",
        default_carrier = "POST", rounding_item = "ROUNDING", max_rounding_minor = 5,
    }
    for key, value in pairs(profile or {}) do
        company[key] = value
    end
    return {
        companies = {["1"] = company},
        tax = {uk = {["0.2"] = {code = 1}, ["0"] = {code = 2}, ["0.05"] = {code = 4}}},
        shipping = {carriers = {POST = {courier_code = "P48"}},
            fees = {{match = {category = "delivery"}, becomes = "delivery"}}},
        payments = {
            methods = {
                card = {type = 2, status = "preauthorised", account_name = "Cards"},
                paypal = {type = 2, status = "paid", card_number = "PAYPAL",
                    auth_code = "PAYPAL"},
                invoice = {type = 3, status = "account"},
            },
            gift_card = {type = 4, status = "paid"},
        },
        promotions = promotions or {},
    }
end

--- Maps; `more` overrides the input.
function support.map(order, more)
    local input = {
        order = order, mappings = support.mappings(),
        settings = {merchant_key = "us", despatch_promise_hours = 24},
        has_stock_code = function()
            return true
        end,
    }
    for key, value in pairs(more or {}) do
        input[key] = value
    end
    return map.map(input)
end

--- "cause:subject" of every cause, sorted.
function support.causes(result)
    local list = {}
    for i, cause in ipairs(result.causes) do
        list[i] = cause.cause .. ":" .. cause.subject
    end
    table.sort(list)
    return list
end

return support
