--- What the settings of the orders flow mean for people, as `neap check` prints it.
local khaos_line = require("flows.khaos_line")

local MEANS = {
    preauthorised = "money reserved, not taken: until Khaos starts shipping, the order can still "
        .. "be cancelled there",
    paid = "money taken: once posted, Khaos does not cancel the order; a cancellation becomes a "
        .. "task for a person and a credit note",
    account = "on account, no money yet: until Khaos starts shipping, the order can still be "
        .. "cancelled there",
}
local ADD_ON = "cancel_order"

local function sorted_keys(values)
    local keys = {}
    for key in pairs(values) do
        keys[#keys + 1] = key
    end
    table.sort(keys)
    return keys
end

local function payment_line(name, rule)
    return string.format("payment %s is %s: %s", name, rule.status, MEANS[rule.status])
end

local function can_cancel(settings)
    local khaos = settings.khaos or {}
    for _, name in ipairs(khaos.add_ons or {}) do
        if name == ADD_ON then
            return true
        end
    end
    return false
end

-- A flow that is given no `khaos` calls an on-premise one, whatever the others do.
local function add_other_lines(lines, settings, flows)
    local own = khaos_line.kind(settings.khaos)
    for _, name in ipairs(sorted_keys(flows)) do
        local khaos = flows[name].khaos
        if khaos and khaos_line.kind(khaos) ~= own then
            lines[#lines + 1] = string.format("warning: flow %s is set for a Khaos of kind %q, the "
                .. "orders go to one of kind %q: give both the same `khaos`", name,
                khaos_line.kind(khaos), own)
        end
    end
end

---@param settings table of the flow
---@param client neap.FlowSurroundings
---@return string[]
return function(settings, client)
    local lines = {}
    add_other_lines(lines, settings, client.flows)
    local payments = settings.mappings.payments
    for _, name in ipairs(sorted_keys(payments.methods)) do
        lines[#lines + 1] = payment_line(name, payments.methods[name])
    end
    if payments.gift_card then
        lines[#lines + 1] = payment_line("by gift card", payments.gift_card)
    end
    for _, rule in ipairs(settings.staging and settings.staging.rules or {}) do
        lines[#lines + 1] = string.format("staging %q: shown before it is posted, %s", rule.name,
            rule.approval == "rule" and "approved by rule" or "a person approves it")
    end
    lines[#lines + 1] = can_cancel(settings)
        and "this Khaos has the CancelOrder add-on: it can be asked to cancel what is not paid"
        or "this Khaos has no CancelOrder add-on: a person enters every cancellation in Khaos"
    return lines
end
