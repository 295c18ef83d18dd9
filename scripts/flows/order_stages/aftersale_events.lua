--- Webhooks about what happened after the sale, handed to the returns flow. Of what they say only
--- ids and amounts go on: the returns flow looks at the order itself.
local aftersales = require("connectors.scayle.aftersales")
local delegation = require("connectors.scayle.delegation")
local json = require("neap.json")

local aftersale_events = {}

--- What a notice is about: "cancelled" is of units (flows.unit_stages.look), all others are the
--- returns flow's. Nil when it is about none of these, or there is no such flow.
---@param settings table of the orders flow
---@param notice scayle.OrderNotice
---@return string|nil
function aftersale_events.kind(settings, notice)
    local kind = aftersales.kind(notice.type, settings.aftersale_webhooks)
    return (kind == "cancelled" or settings.returns_flow) and kind or nil
end

local function units_of(notice)
    local units = json.array({})
    for _, item in ipairs(notice.items) do
        if type(item) == "table" and item.id ~= nil then
            units[#units + 1] = tostring(item.id)
        end
    end
    return units
end

local function refund_id(settings, notice)
    local value = notice.envelope
    for name in (settings.refund_id_path or ""):gmatch("[^.]+") do
        value = type(value) == "table" and value[name] or nil
    end
    return settings.refund_id_path and delegation.text_of(value) or nil
end

--- The event for the returns flow. Refunds have a key of their own, because they may wait for what
--- explains them, and credit notes of the order must not wait behind them.
---@param settings table
---@param identity orders.Identity
---@param notice scayle.OrderNotice
---@param kind string
---@return neap.NewEvent
function aftersale_events.of(settings, identity, notice, kind)
    local place = kind == "refund" and "refund:" or "returns:"
    return {source = "scayle.webhook.aftersale", id = notice.id, key = place .. identity.key,
        about = identity.key, name = kind == "returned" and "scayle.returned" or "scayle.refund",
        flow = settings.returns_flow,
        payload = {order_key = identity.key, id = notice.id, kind = kind, units = units_of(notice),
            fees = json.array(aftersales.fees(notice.raw)),
            amount = kind == "refund"
                and aftersales.amount(notice.envelope, settings.refund_amount_path) or nil,
            refund_id = refund_id(settings, notice)}}
end

return aftersale_events
