--- What a client's mappings/*.lua and the mapper's settings may hold, and the checks across them.
---
---     mapping_schema.schema           -- {companies, tax, shipping, payments, promotions, effects}
---     mapping_schema.settings_fields  -- the flow settings that the mapper reads
---     mapping_schema.check(mappings, "settings.mappings")
local amounts = require("flows.orders.amounts")
local money = require("neap.money")
local schema = require("lib.schema")
local time = require("neap.time")

local mapping_schema = {}

local RATE = {type = "string", pattern = "^0%.?%d*$", hint = "a rate as a fraction: \"0.2\", \"0\"",
    check = function(value)
        local millionths = amounts.rate(tonumber(value) or -1)
        if not millionths or amounts.rate_text(millionths) ~= value then
            return string.format("write the rate without needless zeros: %s",
                millionths and amounts.rate_text(millionths) or "\"0.2\"")
        end
    end}

local function text(max_length, required)
    return {type = "string", min_length = 1, max_length = max_length, required = required}
end

local function required_rate()
    local node = {}
    for key, value in pairs(RATE) do
        node[key] = value
    end
    node.required = true
    return node
end

local COMPANY = {type = "record", help = "posting profile of one shop country", fields = {
    market = {type = "string", required = true, help = "a short name for people"},
    currency = {type = "string", required = true, pattern = "^%u%u%u$",
        hint = "an ISO 4217 code such as \"GBP\""},
    company_class = text(nil, true),
    calc = {type = "string", required = true, enum = {"gross", "net"},
        help = "how Khaos calculates this company class"},
    tax = {type = "string", required = true, help = "name of a table in mappings/tax.lua"},
    standard_rate = required_rate(),
    non_standard_lines = {type = "string", enum = {"net", "gross"}, default = "net",
        help = "how lines at other rates are priced in a gross class"},
    gross_rounding = {type = "string", enum = {"stepwise", "end"}, default = "stepwise",
        help = "whether Khaos rounds the base of a gross line on the way"},
    reduced_amounts = {type = "string", enum = {"percent", "price"}, default = "percent",
        help = "percent: full price and percentage where that is exact; price: never"},
    send_standard_code = {type = "boolean", default = false,
        help = "say the tax code on standard lines of a gross class too"},
    rounding_item = text(50),
    max_rounding_minor = {type = "integer", min = 0, max = 100, default = 0},
    brand = text(), sales_source = text(nil, true), site = text(), website_name = text(),
    zone = {type = "string", required = true, help = "of the Khaos server: \"Europe/London\"",
        check = function(zone)
            local is_known = time.format_iso(0, {zone = zone}) ~= nil
            return not is_known and "is no IANA time zone known here" or nil
        end},
    default_carrier = {type = "string", help = "when the delegation names none"},
    delivery_countries = {type = "list", items = {type = "string", pattern = "^%u%u$",
        hint = "a two-letter country code"}},
    channels = {type = "map", values = {type = "record", fields = {
        sales_source = text(nil, true)}}},
    missing_postcode = text(10),
    line_texts = {type = "list", items = text(),
        help = "keys of an item's custom data printed under its line"},
    invoice_note = text(2000), order_note = text(2000), po_number = text(30),
}}

local COURIER = {
    courier_code = text(), courier_desc = text(),
}

local SHIPPING = {type = "record", required = true, fields = {
    carriers = {type = "map", required = true, min = 1, values = {type = "record", fields = {
        courier_code = COURIER.courier_code,
        courier_desc = COURIER.courier_desc,
        policies = {type = "map", values = {type = "record", fields = COURIER}},
    }}},
    fees = {type = "list", required = true, items = {type = "record", fields = {
        match = {type = "record", required = true, fields = {
            category = {type = "string"}, key = {type = "string"}, option = {type = "string"}}},
        becomes = {type = "string", required = true, enum = {"delivery", "line"}},
        stock_code = text(50),
        description = text(250),
    }}},
}}

local PAYMENT = {type = "record", fields = {
    type = {type = "integer", required = true, enum = {0, 1, 2, 3, 4},
        help = "0 cash, 1 cheque, 2 card, 3 account, 4 voucher"},
    status = {type = "string", required = true, enum = {"paid", "preauthorised", "account"}},
    account_name = {type = "string", help = "bank account in Khaos"},
    account_number = {type = "integer"},
    card_type = text(), card_number = text(), auth_code = text(),
}}

local PAYMENTS = {type = "record", required = true, fields = {
    methods = {type = "map", required = true, values = PAYMENT},
    gift_card = PAYMENT,
}}

local FORMS = {"price", "percent", "free_line", "pack", "value_discount", "delivery"}
local REFERENCES = {"keycode", "discount_code"}

local function becomes()
    local list = table.move(FORMS, 1, #FORMS, 1, {})
    for _, reference in ipairs(REFERENCES) do
        for _, form in ipairs(FORMS) do
            list[#list + 1] = reference .. "+" .. form
        end
    end
    return list
end

local EFFECTS = {"buy_x_get_y", "automatic_discount", "combo_deal", "free_shipping"}

local PROMOTION_MATCH = {
    category = {type = "string", enum = {"sale", "campaign", "voucher", "promotion",
        "promotionCode", "membership", "free_shipping", "bundle", "configurable", "unexplained"}},
    type = {type = "string", enum = {"relative", "absolute"}},
    code = text(), id = text(), campaign = text(),
    effect = {type = "string", enum = EFFECTS,
        help = "of a promotion, as the table effects declares it: orders do not show it"},
}

local PROMOTIONS = {type = "list", required = true, items = {type = "record", fields = {
    match = {type = "record", required = true, fields = PROMOTION_MATCH},
    becomes = {type = "string", required = true, enum = becomes()},
    keycode = text(30),
    free_reason = {type = "string", help = "an existing free-item reason in Khaos"},
    split = {type = "string", enum = {"applicable", "all"},
        help = "how an amount off the whole order is spread when no unit shows it"},
    pack_code = {type = "string", min_length = 1, max_length = 50,
        help = "stock code of the pack header"},
    pack_key = {type = "string", min_length = 1,
        help = "key of the bundle information that tells one set from another"},
    pack_units = {type = "integer", min = 1, max = 999,
        help = "units of one set that are reduced; needed where not every set has one of each"},
    pack_sizes = {type = "map", values = {type = "integer", min = 1, max = 999},
        help = "the same of one header, by its stock code"},
    note = {type = "string"},
}}}

-- Which postings are shown before they go: every field that is given must fit.
local STAGING = {type = "record", fields = {
    rules = {type = "list", required = true, min = 1, items = {type = "record", fields = {
        name = {type = "string", required = true, min_length = 1, help = "for people"},
        mechanic = {type = "record", fields = PROMOTION_MATCH,
            help = "the order was reduced by such a mechanic"},
        becomes = {type = "string", enum = FORMS, help = "or by one that becomes this"},
        value_above_minor = {type = "integer", min = 0, help = "the order's total is more"},
        discount_above_percent = {type = "integer", min = 0, max = 100,
            help = "all discounts together are more of the undiscounted value"},
        markets = {type = "list", min = 1, items = {type = "string", pattern = "^%d+$",
            hint = "a shop country id"}},
        currency = {type = "string", pattern = "^%u%u%u$", hint = "an ISO 4217 code"},
        approval = {type = "string", enum = {"person", "rule"}, default = "person",
            help = "person: held until somebody approves; rule: shown and posted"},
    }}},
}}

mapping_schema.schema = {type = "record", required = true, fields = {
    companies = {type = "map", required = true, min = 1, values = COMPANY,
        keys = {type = "string", pattern = "^%d+$", hint = "a shop country id such as \"1412\""}},
    tax = {type = "map", required = true, min = 1, values = {type = "map", keys = RATE,
        values = {type = "record", fields = {
            code = {type = "integer", required = true, min = 1, max = 999,
                help = "a Khaos tax code, never a percentage"},
            note = {type = "string"},
        }}}},
    shipping = SHIPPING,
    payments = PAYMENTS,
    promotions = PROMOTIONS,
    effects = {type = "map", keys = {type = "string", min_length = 1},
        values = {type = "string", enum = EFFECTS},
        help = "id or code of a promotion -> its effect in SCAYLE"},
}}

-- A template has all the placeholders that make what it names unique, and none that is unknown.
local function template(known, needed, node)
    node.type = "string"
    node.check = function(value)
        for name in value:gmatch("{([^{}]*)}") do
            if not known[name] then
                return string.format("unknown placeholder {%s}", name)
            end
        end
        for _, names in ipairs(needed) do
            local has_one = false
            for name in names:gmatch("[%w_]+") do
                has_one = has_one or value:find("{" .. name .. "}", 1, true) ~= nil
            end
            if not has_one then
                return string.format("needs {%s}", (names:gsub(" ", "} or {")))
            end
        end
        return nil
    end
    return node
end

local IN_REFERENCE = {order_id = true, public_key = true, merchant = true}
local IN_CUSTOMER_REF = {customer_id = true, public_key = true, currency = true}

mapping_schema.settings_fields = {
    merchant_key = {type = "string", required = true, min_length = 1,
        help = "reference key of our merchant in SCAYLE"},
    merchant_code = {type = "string", pattern = "^%w+$",
        help = "short form of it in references of shared orders"},
    reference = template(IN_REFERENCE, {"order_id"}, {default = "SC{order_id}",
        help = "what an order is called in Khaos"}),
    shared_reference = template(IN_REFERENCE, {"order_id", "merchant"}, {
        help = "the same of orders on which other merchants sell too: "
            .. "\"SC{order_id}{merchant}\""}),
    shared_payments = {type = "string", enum = {"share"},
        help = "on shared orders our part of each payment is its proportional share"},
    customer_ref = template(IN_CUSTOMER_REF, {"customer_id public_key", "currency"}, {
        default = "S{customer_id}-{currency}",
        help = "reference of a customer in Khaos, where a customer has one currency"}),
    despatch_promise_hours = {type = "integer", min = 1},
    staging = STAGING,
    mappings = mapping_schema.schema,
}

-- ---- checks across tables --------------------------------------------------------------------

local function known_names(t)
    local names = {}
    for name in pairs(t) do
        names[#names + 1] = name
    end
    table.sort(names)
    return names
end

local function check_company(company, mappings, say)
    local rates = mappings.tax[company.tax]
    if not rates then
        say("tax: there is no table %q in mappings/tax.lua (it has %s)", company.tax,
            table.concat(known_names(mappings.tax), ", "))
        return
    end
    if company.rounding_item and not rates["0"] then
        say("rounding_item: tax table %q has no rate \"0\" for it", company.tax)
    end
    if (company.max_rounding_minor or 0) > 0 and not company.rounding_item then
        say("max_rounding_minor: needs a rounding_item to put it on")
    end
    local carrier = company.default_carrier
    if carrier and not mappings.shipping.carriers[carrier] then
        local near = schema.nearest(carrier, known_names(mappings.shipping.carriers))
        say("default_carrier: %q is not in mappings/shipping.lua%s", carrier,
            near and string.format(" (did you mean %q?)", near) or "")
    end
    if money.digits(company.currency) ~= 2 then
        say("currency: %s has no hundredths; Khaos rounds to two decimals", company.currency)
    end
end

local function check_couriers(carriers, say)
    for _, key in ipairs(known_names(carriers)) do
        local carrier = carriers[key]
        if not carrier.courier_code and not carrier.courier_desc and not carrier.policies then
            say("shipping.carriers.%s: needs courier_code, courier_desc or policies", key)
        end
    end
end

local function check_payment(path, rule, say)
    if rule.status == "preauthorised" and rule.type ~= 2 then
        say("%s: only a card (type 2) can be preauthorised", path)
    elseif (rule.status == "account") ~= (rule.type == 3) then
        say("%s: type 3 and status \"account\" belong together", path)
    end
end

-- What a product line cannot do (khaos contract 2.6, 8.5), and what does instead.
local IMPOSSIBLE = {soap = {
    value_discount = "use \"price\" or \"percent\", for an amount off the order with a split",
    discount_code = "use \"keycode+...\"",
}}

local function check_line(path, rule, line, say)
    for word in rule.becomes:gmatch("[%a_]+") do
        local remedy = (IMPOSSIBLE[line] or {})[word]
        if remedy then
            say("%s.becomes: %q needs Khaos Control Cloud, this client's Khaos is of kind %q: %s",
                path, word, line, remedy)
        end
    end
end

local function check_pack(path, rule, say)
    local category = rule.match.category
    if rule.becomes:find("pack", 1, true) then
        if category == "configurable" and rule.pack_code then
            say("%s.pack_code: the main item of a configurable product is its header", path)
        elseif category == "configurable" and (rule.pack_units or rule.pack_sizes) then
            say("%s.pack_units: an item group is one set", path)
        elseif category ~= "configurable" and category ~= "bundle" and not rule.pack_code then
            say("%s: becomes %q needs the pack_code of its header", path, rule.becomes)
        end
    elseif rule.pack_code or rule.pack_key or rule.pack_units or rule.pack_sizes then
        say("%s: pack_code, pack_key, pack_units and pack_sizes belong to becomes \"pack\"", path)
    elseif category == "configurable" then
        say("%s: a configurable product is lines without a rule, or becomes \"pack\"", path)
    end
    if rule.pack_key and category ~= "bundle" then
        say("%s.pack_key: only bundles have bundle information", path)
    end
end

local function check_promotion(index, rule, line, say)
    local path = string.format("promotions[%d]", index)
    if rule.becomes:find("free_line", 1, true) and not rule.free_reason then
        say("%s: becomes %q needs a free_reason that exists in Khaos", path, rule.becomes)
    end
    if next(rule.match) == nil then
        say("%s.match: matches every reduction; name at least a category", path)
    end
    check_line(path, rule, line, say)
    check_pack(path, rule, say)
    local is_free_shipping = rule.match.category == "free_shipping"
        or rule.match.effect == "free_shipping"
    if is_free_shipping and (rule.becomes:find("pack", 1, true)
        or rule.becomes:find("value_discount", 1, true)) then
        say("%s: free shipping lowers the delivery charge: becomes \"delivery\", not %q", path,
            rule.becomes)
    end
end

local function cross_check(mappings, line, say)
    for _, id in ipairs(known_names(mappings.companies)) do
        check_company(mappings.companies[id], mappings, function(message, ...)
            say("companies." .. id .. "." .. message, ...)
        end)
    end
    check_couriers(mappings.shipping.carriers, say)
    for i, rule in ipairs(mappings.shipping.fees) do
        if rule.becomes == "line" and not rule.stock_code then
            say("shipping.fees[%d]: becomes \"line\" needs a stock_code", i)
        end
    end
    for _, key in ipairs(known_names(mappings.payments.methods)) do
        check_payment("payments.methods." .. key, mappings.payments.methods[key], say)
    end
    if mappings.payments.gift_card then
        check_payment("payments.gift_card", mappings.payments.gift_card, say)
    end
    for i, rule in ipairs(mappings.promotions) do
        if rule.match.effect and rule.match.effect ~= "free_shipping" and not mappings.effects then
            say("promotions[%d].match.effect: orders do not show it; declare the promotions of "
                .. "each effect in the table effects", i)
        end
        check_promotion(i, rule, line, say)
    end
end

--- Checks a client's mappings: each table, then what they say about each other.
---@param mappings any
---@param path string|nil
---@param line "soap"|"cloud"|nil the kind of the client's Khaos, default soap
---@return boolean|nil
---@return string[]|nil messages
function mapping_schema.check(mappings, path, line)
    path = path or "mappings"
    local ok, messages = schema.check(mapping_schema.schema, mappings, path)
    if not ok then
        return nil, messages
    end
    messages = {}
    cross_check(mappings, line or "soap", function(message, ...)
        messages[#messages + 1] = path .. "." .. string.format(message, ...)
    end)
    if #messages > 0 then
        return nil, messages
    end
    return true
end

return mapping_schema
