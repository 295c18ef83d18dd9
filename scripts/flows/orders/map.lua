--- A SCAYLE order as the Khaos order it must become, to the penny, or every reason why it cannot.
---
---     local result = require("flows.orders.map").map{
---         order = order, delegation = delegation, mappings = mappings, settings = settings,
---         has_stock_code = function(code) return known[code] end,
---         delegated_ms = when_we_answered, own_references = {"SO204417"},
---     }
---     -- result.posting (nil when there are causes), result.causes, result.trail, result.facts
---
--- Pure: nothing is read but what is given, nothing is written. A posting is returned only when
--- Khaos's own arithmetic over the texts that are sent comes to exactly the order's total.
local amounts = require("flows.orders.amounts")
local causes = require("flows.orders.causes")
local customer = require("flows.orders.customer")
local delivery = require("flows.orders.delivery")
local identity = require("flows.orders.identity")
local lines = require("flows.orders.lines")
local market = require("flows.orders.market")
local packs = require("flows.orders.packs")
local payments = require("flows.orders.payments")
local predict = require("flows.orders.predict")
local promotions = require("flows.orders.promotions")
local read = require("flows.orders.read")
local remaining = require("flows.orders.remaining")
local time = require("neap.time")
local totals = require("flows.orders.totals")
local trail = require("flows.orders.trail")
local units = require("flows.orders.units")
local worth = require("flows.orders.worth")

local map = {}

local HOUR_MS = 3600000
local FORCE_CLOSE_MS = 14 * 24 * HOUR_MS -- SCAYLE marks an order without shipment as shipped
local DELEGATION_MS = 46 * HOUR_MS -- SCAYLE cancels an order whose delegation nobody answered
local INPUT_KEYS = {order = true, delegation = true, mappings = true, settings = true,
    has_stock_code = true, delegated_ms = true, own_references = true, cancelled = true}

local function check_input(input)
    for key in pairs(input) do
        if not INPUT_KEYS[key] then
            error("map: unknown input " .. tostring(key), 3)
        end
    end
    for _, key in ipairs({"order", "mappings", "settings", "has_stock_code"}) do
        if input[key] == nil then
            error("map: input " .. key .. " is missing", 3)
        end
    end
end

local function instant(work, key)
    local written = read.text(work.order, key)
    return written and time.parse_iso(written) or nil
end

-- What is left of the order without its cancelled units.
local function left_of(input)
    local order, delegation, problem = remaining.of(input.order, input.delegation,
        input.settings.merchant_key, input.cancelled)
    local left = {order = order, delegation = delegation, whole = input.order}
    return setmetatable(left, {__index = input}), problem
end

local function new_work(given)
    local input, problem = left_of(given)
    local order = input.order
    local work = {
        input = input,
        total_problem = problem,
        order = order,
        mappings = input.mappings,
        settings = input.settings,
        order_id = read.text(order, "id") or read.text(input.delegation, "orderId") or "?",
        causes = causes.new(),
        trail = trail.new(),
        mechanics = {},
        discount_codes = {},
        value_discount = 0,
    }
    work.confirmed_ms = instant(work, "confirmedAt") or instant(work, "createdAt")
    return work
end

-- The instant as the Khaos server's clock shows it, without an offset.
local function set_order_date(work)
    local zone = work.profile and work.profile.zone or "Europe/London"
    if not work.confirmed_ms then
        work.causes:add("totals_do_not_tie", work.order_id .. " date", string.format(
            "Order %s has no readable confirmation time", work.order_id))
        return
    end
    local at = time.format_iso(work.confirmed_ms, {zone = zone})
    work.order_date = at:sub(1, #"2026-05-04T11:02:58")
end

local function resolve_market(work)
    market.resolve(work)
    if work.profile then
        work.standard_rate = amounts.rate(tonumber(work.profile.standard_rate))
    end
    set_order_date(work)
end

local function header(work)
    local profile = work.profile
    return {
        site = profile.site,
        brand = profile.brand,
        sales_source = work.sales_source,
        courier_code = work.courier.code,
        courier_desc = work.courier.desc,
        invoice_note = identity.header_text(work, profile.invoice_note),
        order_note = identity.header_text(work, profile.order_note),
        po_number = identity.header_text(work, profile.po_number),
        keycode = work.keycode,
        discount_codes = #work.discount_codes > 0 and work.discount_codes or nil,
        value_discount = work.value_discount > 0 and amounts.text(work.value_discount) or nil,
        website_name = profile.website_name,
        delivery = work.delivery.header,
    }
end

local function posting_of(work)
    local entries = {}
    for i, line in ipairs(work.lines) do
        entries[i] = line.entry
    end
    return {
        reference = work.reference,
        currency = work.currency,
        order_date = work.order_date,
        total = amounts.text(work.total),
        header = header(work),
        customer = work.customer,
        payments = work.payments,
        lines = entries,
    }
end

local function add_to(sum, predicted)
    sum.net_minor = sum.net_minor + predicted.net_minor
    sum.tax_minor = sum.tax_minor + predicted.tax_minor
    sum.gross_minor = sum.gross_minor + predicted.gross_minor
end

-- A line's part of an amount off the whole order, as a negative figure. Khaos spreads it over the
-- lines in proportion; how it rounds the VAT of each part is not said, so only the gross is sure.
local function take_order_discount(sum, line)
    local share = line.entry.order_discount_minor
    if share then
        local net = line.entry.value.order_discount_net_minor
        add_to(sum, {net_minor = -net, tax_minor = net - share, gross_minor = -share})
    end
end

-- Recalculates from the texts that would be sent.
local function predict_total(work)
    local sum = {net_minor = 0, tax_minor = 0, gross_minor = 0}
    for _, line in ipairs(work.lines) do
        local predicted = predict.written(line.entry, line.rate, work.profile.gross_rounding)
        add_to(sum, predicted)
        work.trail.data.lines[#work.trail.data.lines + 1] = {
            stock_code = line.entry.stock_code, kind = line.entry.kind,
            quantity = line.entry.quantity, unit_ids = line.entry.unit_ids,
            rate = amounts.rate_text(line.rate), predicted = predicted, value = line.entry.value,
        }
        take_order_discount(sum, line)
    end
    add_to(sum, work.delivery.predicted)
    work.trail.data.predicted = sum
    return sum
end

local function discounts_text(discounts)
    local words = {}
    for kind, amount in pairs(discounts) do
        words[#words + 1] = string.format(" - %s %s", kind, amounts.text(amount))
    end
    return table.concat(words)
end

-- From gross to net over the whole order; raises when it does not sum up.
local function gross_to_net(work, sum)
    local values = {worth.of_delivery(work.delivery)}
    for _, line in ipairs(work.lines) do
        values[#values + 1] = line.entry.value
    end
    local whole = worth.sum(values)
    whole.delivery = values[1]
    local taken = whole.order_discount_minor
    for _, amount in pairs(whole.discounts) do
        taken = taken + amount
    end
    assert(whole.moved_minor == 0 and whole.undiscounted_minor - taken == sum.gross_minor,
        "from gross to net does not sum up")
    work.trail.data.gross_to_net = whole
    work.trail:say("Gross to net: undiscounted %s%s%s = paid %s; net %s, VAT %s",
        amounts.text(whole.undiscounted_minor), discounts_text(whole.discounts),
        whole.order_discount_minor > 0
            and " - off the order " .. amounts.text(whole.order_discount_minor) or "",
        amounts.text(sum.gross_minor), amounts.text(sum.net_minor), amounts.text(sum.tax_minor))
    return whole
end

local function say_proof(work, sum)
    local parts = {}
    for i, line in ipairs(work.lines) do
        parts[i] = amounts.text(line.entry.predicted.gross_minor)
    end
    parts[#parts + 1] = amounts.text(work.delivery.predicted.gross_minor)
    work.trail:say("Khaos total: %s%s = %s, the order's total", table.concat(parts, " + "),
        work.value_discount > 0 and " - " .. amounts.text(work.value_discount) or "",
        amounts.text(sum.gross_minor))
    local vat = read.number(read.table(work.cost, "tax", "vat"), "amount")
    if vat then
        work.trail:say("VAT: Khaos %s, SCAYLE %.2f (its calculators differ by pennies)",
            amounts.text(sum.tax_minor), vat / 100)
    end
end

-- The last gate: what Khaos will come to is the order's total, or there is no posting.
local function prove(work)
    local sum = predict_total(work)
    if sum.gross_minor ~= work.total then
        work.causes:add("totals_do_not_tie", work.order_id .. " prediction", string.format(
            "Khaos would come to %s for order %s, whose total is %s",
            amounts.text(sum.gross_minor), work.order_id, amounts.text(work.total)))
        return nil
    end
    local posting = posting_of(work)
    posting.predicted = sum
    posting.delivery_charge = {vat_code = work.delivery.vat_code,
        predicted = work.delivery.predicted}
    say_proof(work, sum)
    posting.gross_to_net = gross_to_net(work, sum)
    return posting
end

local function deadlines(work)
    local list = {}
    local input, promise = work.input, work.settings.despatch_promise_hours
    local function add(name, at_ms)
        list[#list + 1] = {name = name, at_ms = math.tointeger(at_ms) or at_ms // 1}
    end
    if promise and work.confirmed_ms then
        add("despatch promise", work.confirmed_ms + promise * HOUR_MS)
    end
    if input.delegated_ms then
        add("SCAYLE force close", input.delegated_ms + FORCE_CLOSE_MS)
    elseif work.confirmed_ms then
        add("SCAYLE cancels an unanswered delegation", work.confirmed_ms + DELEGATION_MS)
    end
    table.sort(list, function(a, b)
        return a.at_ms < b.at_ms
    end)
    return list
end

local function facts(work)
    local total = work.total or read.integer(read.table(work.order, "cost"), "withTax")
    return {
        title = "SCAYLE order " .. work.order_id,
        amount = total and work.currency and {minor = total, currency = work.currency} or nil,
        deadlines = deadlines(work),
    }
end

local function validate(work)
    resolve_market(work)
    units.collect(work)
    identity.reference(work)
    units.check_untouched(work)
    totals.check(work)
    promotions.apply(work)
    promotions.check_order_level(work)
    packs.assign(work)
    delivery.plan(work)
    delivery.carrier(work)
    payments.plan(work)
    customer.plan(work)
end

--- Maps one order.
---@param input table order, delegation, mappings, settings, has_stock_code, delegated_ms,
---   own_references (what we wrote back to SCAYLE ourselves), cancelled (ids of units to leave out)
---@return {posting: table|nil, causes: neap.Cause[], trail: table, facts: neap.Facts}
function map.map(input)
    check_input(input)
    local work = new_work(input)
    if work.total_problem then
        work.causes:add("totals_do_not_tie", work.order_id .. " cancelled", work.total_problem)
    end
    validate(work)
    local posting
    if not work.causes:has() then
        lines.build(work)
    end
    if not work.causes:has() then
        posting = prove(work)
    end
    return {
        posting = posting,
        causes = work.causes.list,
        trail = work.trail:plain(),
        facts = facts(work),
    }
end

return map
