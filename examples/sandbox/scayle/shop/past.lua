--- Orders with a past: what the shop shows of one that was placed, sent or cancelled before anybody
--- looked.

local world = require("shop.world")

local past = {}

local STATES = {
    shipped = {"invoice_completed", "invoice_completed", "shippedAt", "shipped"},
    cancelled = {"cancellation_completed", "order_cancelled", "cancelledAt", "cancelled"},
    returned = {"invoice_completed", "invoice_completed", "returnedAt", "returned"},
    unpaid = {"payment_pending", "order_open", nil, "open"},
}

--- Changes an order that was just placed. What is wrong with the words, if anything.
---@param w table
---@param order table
---@param words {confirmed_ms: integer|nil, state: string|nil, reference: string|nil,
---   public_key: string|nil, undated: boolean|nil}
---@return string|nil problem
function past.apply(w, order, words)
    local state = words.state and STATES[words.state]
    if words.state and not state then
        return "past.state: shipped, cancelled, returned or unpaid expected"
    end
    if words.confirmed_ms then
        order.confirmedAt = world.instant(w, words.confirmed_ms)
        order.createdAt = order.confirmedAt
    end
    if words.undated then
        order.confirmedAt, order.createdAt = nil, nil
    end
    order.referenceKey = words.reference or order.referenceKey
    order.publicKey = words.public_key or order.publicKey
    if state then
        order.status = state[1]
        order.detailedStatus.order = {code = state[2], name = state[2]}
        for _, item in ipairs(order.items) do
            item.status = state[4]
            if state[3] then
                item[state[3]] = order.confirmedAt
            end
        end
    end
    return nil
end

return past
