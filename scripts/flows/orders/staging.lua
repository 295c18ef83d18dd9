--- Which postings are shown before they go, by the client's staging rules. Pure.
local promotions = require("flows.orders.promotions")
local read = require("flows.orders.read")

local staging = {}

local MECHANIC_FIELDS = {"category", "type", "code", "id", "campaign"}

--- What a rule may look at.
---@class orders.Staged
---@field mechanics table[] of the penny trail
---@field posting table
---@field market string|nil shop country id

-- A promotion whose effect nobody declared may be of any: it is shown rather than let through.
local function is_mechanic(wanted, mechanic)
    for _, field in ipairs(MECHANIC_FIELDS) do
        if wanted[field] ~= nil and wanted[field] ~= mechanic[field] then
            return false
        end
    end
    return wanted.effect == nil or wanted.effect == mechanic.effect
        or mechanic.effect == nil and promotions.has_effect(mechanic.category)
end

local function has_mechanic(about, fits)
    for _, mechanic in ipairs(about.mechanics) do
        if fits(mechanic) then
            return true
        end
    end
    return false
end

local function discounts_of(whole)
    local sum = whole.order_discount_minor
    for _, amount in pairs(whole.discounts) do
        sum = sum + amount
    end
    return sum
end

local CHECKS = {}

function CHECKS.mechanic(wanted, about)
    return has_mechanic(about, function(mechanic)
        return is_mechanic(wanted, mechanic)
    end)
end

function CHECKS.becomes(form, about)
    return has_mechanic(about, function(mechanic)
        return mechanic.becomes:gsub("^[%a_]+%+", "") == form
    end)
end

function CHECKS.value_above_minor(limit, about)
    return about.posting.predicted.gross_minor > limit
end

function CHECKS.discount_above_percent(percent, about)
    local whole = about.posting.gross_to_net
    return whole ~= nil and discounts_of(whole) * 100 > whole.undiscounted_minor * percent
end

function CHECKS.markets(list, about)
    for _, market in ipairs(list) do
        if market == about.market then
            return true
        end
    end
    return false
end

function CHECKS.currency(currency, about)
    return about.posting.currency == currency
end

local function fits(rule, about)
    for name, check in pairs(CHECKS) do
        if rule[name] ~= nil and not check(rule[name], about) then
            return false
        end
    end
    return true
end

--- The first rule that fits the posting; nil: it goes as it is. A rule that names nothing fits all.
---@param settings table|nil of staging
---@param about orders.Staged
---@return table|nil rule
function staging.rule(settings, about)
    for _, rule in ipairs(read.table(settings, "rules")) do
        if fits(rule, about) then
            return rule
        end
    end
    return nil
end

-- ---- showing ---------------------------------------------------------------------------------

local HIDDEN = {customer = true, payments = true}

local function payment_view(payment)
    return {type = payment.type, amount = payment.amount, account_name = payment.account_name,
        preauth = payment.preauth}
end

--- A posting as it is shown: everything that is sent but the person's name and addresses.
---@param posting table
---@return table
function staging.view(posting)
    local view = {payments = {}}
    for name, value in pairs(posting) do
        view[name] = not HIDDEN[name] and value or view[name]
    end
    for i, payment in ipairs(posting.payments or {}) do
        view.payments[i] = payment_view(payment)
    end
    view.customer = {other_ref = posting.customer.other_ref,
        company_class = posting.customer.company_class}
    return view
end

local function line_text(number, line, price)
    local words = {string.format("  %d. %s%s x %d at %s", number,
        line.pack_link and line.pack_link .. " " or "", line.stock_code, line.quantity, price.unit)}
    local function add(text, value)
        words[#words + 1] = value and string.format(text, value) or nil
    end
    add("less %s%%", price.percent)
    add("less %s", price.off)
    add("tax code %s", line.tax_code)
    add("free: %s", line.free_reason)
    return table.concat(words, ", ")
end

local function number_text(number)
    local whole, part = tostring(number):match("^(%-?%d+)%.?(%d*)$")
    return whole .. "." .. part .. ("0"):rep(2 - #part)
end

-- As the posting says it, unless the document that is sent says it another way.
local function price_of(line, sent)
    if not sent then
        return {unit = line.price_net and line.price_net .. " net" or line.price_gross .. " gross",
            percent = line.discount_percent, off = line.value_discount}
    end
    local net, gross = sent.UnitPrice.Net, sent.UnitPrice.Gross
    return {unit = net and number_text(net) .. " net" or number_text(gross) .. " gross",
        percent = sent.PercentDiscount and number_text(sent.PercentDiscount),
        off = sent.ValueDiscount and number_text(sent.ValueDiscount)}
end

--- The same as lines for people.
---@param posting table
---@param document table|nil what is sent instead, a SalesOrder of khaos_cloud
---@return string[]
function staging.lines(posting, document)
    local header = posting.header
    local list = {}
    for i, line in ipairs(posting.lines) do
        list[i] = line_text(i, line, price_of(line, document and document.Items[i]))
    end
    local codes = table.concat(header.discount_codes or {}, ", ")
    list[#list + 1] = string.format("  delivery %s%s%s%s", header.delivery.gross
            or header.delivery.net .. " + " .. header.delivery.tax .. " tax",
        header.keycode and ", keycode " .. header.keycode or "",
        codes ~= "" and ", discount codes " .. codes or "",
        header.value_discount and ", off the order " .. header.value_discount or "")
    for _, payment in ipairs(posting.payments or {}) do
        list[#list + 1] = string.format("  payment type %s of %s%s", payment.type, payment.amount,
            payment.account_name and " to " .. payment.account_name or "")
    end
    list[#list + 1] = string.format("  total %s %s, customer %s (%s), sales source %s",
        posting.total, posting.currency, posting.customer.other_ref or "?",
        posting.customer.company_class or "?", header.sales_source or "?")
    return list
end

return staging
