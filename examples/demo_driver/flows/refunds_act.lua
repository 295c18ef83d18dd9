--- The third act: a shopper sends everything back and gets the delivery too, another gets goodwill.
--- Somebody books both in Khaos, as the worklist of the first says.

local json = require("neap.json")

local refunds_act = {}

-- The first order that was sent whole, in pounds, with a delivery charge.
local function with_delivery(call, ids)
    for _, order in ipairs(call("khaos_control", "GET", "/ledger").orders) do
        for _, id in ipairs(ids) do
            if order.reference == "SC" .. id and order.delivery.gross > 0
                and order.currency == "GBP" then
                return id, order
            end
        end
    end
    return nil
end

local function goods(order)
    local items = json.array({})
    for _, invoice in ipairs(order.invoices) do
        for _, item in ipairs(invoice.items) do
            items[#items + 1] = {stock_code = item.stock_code, quantity = item.quantity}
        end
    end
    return items
end

--- @param job neap.Job
--- @param call function
--- @param sent integer[] orders that left
--- @return table act
function refunds_act.play(job, call, sent)
    local refunded, order = with_delivery(call, sent)
    if not refunded then
        return {}
    end
    local favoured = sent[1] ~= refunded and sent[1] or sent[2]
    call("scayle_control", "POST", "/settings", {webhook_path = "/scayle/webhook",
        refund_webhooks = true, refund_delivery = true, duplicate_webhooks = true})
    job:note("demo", ("order %d comes back whole: SCAYLE refunds it with its delivery, somebody "
        .. "credits both in Khaos"):format(refunded))
    call("scayle_control", "POST", "/return", {order_id = refunded, count = 1000})
    call("khaos_control", "POST", "/orders", {reference = "SC" .. refunded, action = "credit",
        items = goods(order), delivery = true})
    job:note("demo", ("somebody gives 1.50 of order %d back in Khaos, as goodwill")
        :format(favoured))
    call("khaos_control", "POST", "/orders", {reference = "SC" .. favoured, action = "credit",
        amount_minor = 150})
    return {refunded = refunded, favoured = favoured}
end

--- What SCAYLE does not show yet, as words.
---@param act table
---@param entries table<integer, table> records of the shop
---@param open string[]
function refunds_act.compare(act, entries, open)
    if not act.refunded then
        return
    end
    local refunded, favoured = entries[act.refunded], entries[act.favoured]
    if not refunded.refunds or #refunded.refunds[1].fees == 0 then
        table.insert(open, act.refunded .. ": the delivery was not refunded")
    elseif #refunded.returns > 0 then
        table.insert(open, act.refunded .. ": SCAYLE was told of its own return")
    end
    if not favoured.billing_changes then
        table.insert(open, act.favoured .. ": SCAYLE does not know of the goodwill")
    end
end

return refunds_act
