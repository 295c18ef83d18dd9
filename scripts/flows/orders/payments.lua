--- How the customer paid, as Khaos payments; their sum is the order's total.
local amounts = require("flows.orders.amounts")
local money = require("neap.money")
local read = require("flows.orders.read")

local payments = {}

local text = amounts.text

local DEFAULT_AUTH = "SCAYLE" -- any text says "paid" when the provider gives no code
local ACCOUNT = 3
local VOUCHER = 4

local function read_payment(entry)
    return {
        key = read.text(entry, "key") or "(no key)",
        amount = read.integer(entry, "amount"),
        transaction = read.text(entry, "transactionKey"),
        is_gift_card = entry.isGiftCard == true,
    }
end

local function rule_of(work, payment)
    local mapped = read.table(work.mappings, "payments")
    local rule
    if payment.is_gift_card then
        rule = mapped.gift_card
    else
        rule = read.table(mapped, "methods")[payment.key]
    end
    if not rule then
        work.causes:add("unmapped_payment", payment.is_gift_card and "gift card" or payment.key,
            string.format("Payment method %s%s has no Khaos payment type", payment.key,
                payment.is_gift_card and " (a gift card)" or ""))
    end
    return rule
end

local function card_number(payment, rule)
    if rule.card_number then
        return rule.card_number
    end
    return rule.type == VOUCHER and payment.transaction or nil
end

-- A payment of type 2 counts as paid by a filled AUTH_CODE unless it is marked pre-authorised.
local function written_payment(work, payment, rule)
    local is_account = rule.status == "account" or rule.type == ACCOUNT
    local is_card = rule.type == 2
    return {
        amount = text(payment.amount),
        type = rule.type,
        card_type = rule.card_type,
        card_number = card_number(payment, rule),
        preauth = rule.status == "preauthorised",
        auth_code = is_card and not is_account and (rule.auth_code or DEFAULT_AUTH) or nil,
        transaction_id = not is_account and payment.transaction or nil,
        preauth_ref = is_card and not is_account and work.reference or nil,
        account_name = rule.account_name,
        account_number = rule.account_number,
        timestamp = work.order_date,
    }
end

local function check_sum(work, sum)
    local whole = read.integer(read.table(work.order, "cost"), "withTax")
    whole = whole and whole - (work.member_off or 0)
    if whole and sum ~= whole then
        work.causes:add("totals_do_not_tie", work.order_id .. " payments", string.format(
            "Order %s is %s, but its payments sum to %s (difference %s)", work.order_id,
            text(whole), text(sum), text(whole - sum)))
        return false
    end
    return whole ~= nil
end

-- With several merchants each payment counts for us in proportion; only when the client says so.
local function take_share(work, list)
    if not work.is_shared or not work.total or #list == 0 then
        return
    end
    if work.settings.shared_payments ~= "share" then
        work.causes:add("unmapped_payment", "shared order",
            "Other merchants sell on this order too, and settings.shared_payments does not say "
                .. "that our part of each payment is its proportional share")
        return
    end
    local weights = {}
    for i, payment in ipairs(list) do
        weights[i] = payment.amount
    end
    for i, share in ipairs(money.split(work.total, weights)) do
        work.trail:say("Payment %s: our share of %s is %s", list[i].key, text(list[i].amount),
            text(share))
        list[i].amount = share
    end
end

local function read_all(work)
    local list, sum = {}, 0
    for _, entry in ipairs(read.table(work.order, "payment")) do
        local payment = read_payment(entry)
        if not payment.amount or payment.amount < 0
            or payment.amount > amounts.MAX_MINOR then
            work.causes:add("totals_do_not_tie", work.order_id .. " payments", string.format(
                "Payment %s of order %s has no readable amount", payment.key, work.order_id))
        elseif payment.amount > 0 then
            payment.rule = rule_of(work, payment)
            list[#list + 1] = payment
            sum = sum + payment.amount
        end
    end
    return list, sum
end

--- Sets work.payments, or adds the causes. Needs work.reference and work.order_date.
---@param work table
function payments.plan(work)
    work.payments = {}
    local list, sum = read_all(work)
    if not check_sum(work, sum) then
        return
    end
    take_share(work, list)
    for _, payment in ipairs(list) do
        local rule = payment.rule
        if rule then
            work.payments[#work.payments + 1] = written_payment(work, payment, rule)
            work.trail:say("Payment %s %s: Khaos type %d, %s%s", payment.key,
                text(payment.amount), rule.type, rule.status,
                rule.account_name and ", bank account " .. rule.account_name or "")
        end
    end
    work.trail:say("Payments sum to %s = the order's total", text(sum))
end

return payments
