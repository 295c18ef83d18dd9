--- Carrier, delivery charge and other fees.
local amounts = require("flows.orders.amounts")
local market = require("flows.orders.market")
local promotions = require("flows.orders.promotions")
local read = require("flows.orders.read")

local delivery = {}

local text = amounts.text

local DELIVERY = {delivery = true, shipment = true} -- categories of fees

local function fee_name(fee)
    return string.format("%s/%s", fee.category or "?", fee.key or "?")
end

local function read_fee(fee)
    local amount = read.table(fee, "amount")
    local vat = read.table(fee, "tax", "vat")
    local rate = read.number(vat, "rate")
    return {
        category = read.text(fee, "category"),
        key = read.text(fee, "key"),
        option = read.text(fee, "option"),
        gross = read.integer(amount, "withTax") or 0,
        net = read.integer(amount, "withoutTax"),
        vat = read.integer(vat, "amount"),
        rate = rate and amounts.rate(rate),
    }
end

local function fee_rule(work, fee)
    for _, rule in ipairs(read.table(work.mappings, "shipping", "fees")) do
        local match = rule.match
        if (not match.category or match.category == fee.category)
            and (not match.key or match.key == fee.key)
            and (not match.option or match.option == fee.option) then
            return rule
        end
    end
    work.causes:add("unmapped_fee", fee_name(fee), string.format(
        "Fee %s of %s is not declared: delivery charge or order line?", fee_name(fee),
        text(fee.gross)))
    return nil
end

-- The net of a delivery fee as SCAYLE gives it; by its rate only when there are no amounts.
local function net_of(work, fee)
    if fee.net then
        return fee.net
    elseif fee.vat then
        return fee.gross - fee.vat
    elseif fee.rate then
        return amounts.net_of(fee.gross, fee.rate)
    end
    work.causes:add("unmapped_tax", "fee " .. fee_name(fee), string.format(
        "Fee %s of %s has neither a net amount, a tax amount nor a rate", fee_name(fee),
        text(fee.gross)))
    return fee.gross
end

-- The charge has a tax code when all its fees have one rate, which the client maps.
local function note_rate(work, fee)
    local charge = work.delivery
    local entry = fee.rate and work.tax and work.tax[amounts.rate_text(fee.rate)]
    local code = entry and entry.code or nil
    if #charge.from > 0 and charge.vat_code ~= code then
        code = nil
    end
    charge.vat_code = code
end

local function add_delivery(work, fee)
    local profile = work.profile
    local charge = work.delivery
    local net = net_of(work, fee)
    charge.gross = charge.gross + fee.gross
    charge.net = charge.net + net
    local is_standard = profile ~= nil and profile.calc == "gross"
        and fee.rate == work.standard_rate
    charge.is_standard = charge.is_standard and is_standard
    note_rate(work, fee)
    charge.from[#charge.from + 1] = string.format("%s %s (%s)", fee_name(fee), text(fee.gross),
        fee.rate and amounts.percent_text(fee.rate) or "no rate")
end

local function add_fee_line(work, fee, rule)
    if not work.input.has_stock_code(rule.stock_code) then
        work.causes:add("unknown_stock_code", rule.stock_code, string.format(
            "Stock code %s (for fee %s) does not exist in Khaos", rule.stock_code, fee_name(fee)))
    end
    local tax = work.profile and market.tax_entry(work, fee.rate, "fee", fee_name(fee))
    work.fees[#work.fees + 1] = {fee = fee, rule = rule, tax = tax, name = fee_name(fee)}
end

-- Which of the order's delivery costs the shopper had: the one that the policy names, else the one
-- that was charged; both only where both were charged.
local function had_costs(work, standard, express)
    local charged = 0
    for _, entry in ipairs(read.table(work.cost, "appliedFees")) do
        local fee = read_fee(entry)
        charged = charged + (DELIVERY[fee.category] and fee.gross or 0)
    end
    if standard.paid > 0 and express.paid > 0 and standard.paid + express.paid == charged then
        return {standard, express}
    end
    local policy = (read.text(read.table(work.order, "shipping"), "policy") or ""):lower()
    local is_express = policy:find("express", 1, true) or not policy:find("standard", 1, true)
        and standard.paid ~= charged and express.paid == charged
    return {is_express and express or standard}
end

local function check_free_shipping(work)
    local shipping, costs, off = read.table(work.order, "shipping"), {}, 0
    for i, kind in ipairs({"deliveryCosts", "expressDeliveryCosts"}) do
        local paid = read.integer(shipping, kind)
        costs[i] = {paid = paid or 0,
            full = paid and read.integer(shipping, kind .. "WithoutDiscount") or 0}
    end
    for _, cost in ipairs(had_costs(work, costs[1], costs[2])) do
        off = off + math.max(0, cost.full - cost.paid)
    end
    if off > 0 and promotions.rule(work, {category = "free_shipping", amount = off}) then
        work.delivery.reduced_minor = off
        work.trail:say("Delivery was reduced by %s; Khaos gets the reduced charge", text(off))
    end
end

local function finish_delivery(work)
    local charge = work.delivery
    local profile = work.profile
    local from = #charge.from > 0 and table.concat(charge.from, ", ") or "no delivery fee"
    local net = charge.net
    if profile and profile.calc == "gross" and charge.is_standard then
        net = amounts.net_of(charge.gross, work.standard_rate or 0)
        charge.header = {gross = text(charge.gross)}
        work.trail:say("Delivery: %s; DELIVERY_GRS %s, sent explicitly", from, text(charge.gross))
    else
        charge.header = {net = text(net), tax = text(charge.gross - net)}
        work.trail:say("Delivery: %s; DELIVERY_NET %s + DELIVERY_TAX %s = %s", from, text(net),
            text(charge.gross - net), text(charge.gross))
    end
    charge.predicted = {net_minor = net, tax_minor = charge.gross - net,
        gross_minor = charge.gross}
end

--- Sets work.delivery {header, predicted} and work.fees (those that become lines), or adds causes.
---@param work table
function delivery.plan(work)
    work.delivery = {gross = 0, net = 0, is_standard = true, from = {}}
    work.fees = {}
    for _, entry in ipairs(read.table(work.cost, "appliedFees")) do
        local fee = read_fee(entry)
        local rule = fee.gross ~= 0 and fee_rule(work, fee)
        if fee.gross == 0 then
            work.trail:say("Fee %s is 0.00", fee_name(fee))
        elseif fee.gross < 0 then
            work.causes:add("unmapped_fee", fee_name(fee), string.format(
                "Fee %s is negative (%s)", fee_name(fee), text(fee.gross)))
        elseif rule and rule.becomes == "delivery" then
            add_delivery(work, fee)
        elseif rule then
            add_fee_line(work, fee, rule)
        end
    end
    check_free_shipping(work)
    finish_delivery(work)
end

--- Sets work.courier {code, desc}, or adds the cause.
---@param work table
function delivery.carrier(work)
    local key = read.text(read.table(work.input.delegation, "carrier"), "key")
        or (work.profile and work.profile.default_carrier)
    if not key then
        if work.profile then
            work.causes:add("unmapped_shipping", "no carrier",
                "The delegation names no carrier and the profile has no default_carrier")
        end
        return
    end
    local carrier = read.table(work.mappings, "shipping", "carriers")[key]
    if not carrier then
        work.causes:add("unmapped_shipping", key, string.format(
            "Carrier %s has no courier code", key))
        return
    end
    local policy = read.text(read.table(work.order, "shipping"), "policy")
    if carrier.policies and policy then
        local chosen = carrier.policies[policy]
        if not chosen then
            work.causes:add("unmapped_shipping", key .. " " .. policy, string.format(
                "Shipping policy %s of carrier %s has no courier code", policy, key))
            return
        end
        carrier = chosen
    end
    work.courier = {code = carrier.courier_code, desc = carrier.courier_desc}
    work.trail:say("Carrier %s%s: courier %s", key, policy and " (" .. policy .. ")" or "",
        carrier.courier_code or carrier.courier_desc)
end

return delivery
