--- What happened to every order, for tests and summaries.

local control = require("lib.sandbox.control")
local json = require("neap.json")
local orders = require("shop.orders")

local ledger = {}

local function shown(w, record)
    local order = orders.get(w, record.order_id)
    record.reference_key = order.referenceKey
    record.status = order.status
    record.order_state = order.detailedStatus.order.code
    return record
end

--- GET _control/ledger[?order_id=]: per order the delegations tried and how they were answered,
--- reference key, cancellations, state.
---@param w table
---@param query table<string, string>
---@return table
function ledger.view(w, query)
    local list = json.array({})
    local summary = {orders = 0, delegated = 0, with_reference = 0, repeat_differs = 0,
        given_up = 0}
    for _, record in ipairs(orders.records(w)) do
        local view = shown(w, record)
        summary.orders = summary.orders + 1
        summary.delegated = summary.delegated + (view.accepted and 1 or 0)
        summary.with_reference = summary.with_reference + (view.reference_key and 1 or 0)
        summary.repeat_differs = summary.repeat_differs + (view.repeat_differs and 1 or 0)
        summary.given_up = summary.given_up + (view.given_up and 1 or 0)
        local is_wanted = not query.order_id or query.order_id == tostring(record.order_id)
        if is_wanted and not query.brief then
            list[#list + 1] = view
        end
    end
    return {orders = list, summary = summary}
end

--- GET _control/expectations: what is to become of each order, short enough to compare by machine.
---@param w table
---@return table
function ledger.expectations(w)
    local list, by_expectation, missing = json.array({}), {}, json.array({})
    for _, record in ipairs(orders.records(w)) do
        local view = shown(w, record)
        list[#list + 1] = {
            order_id = view.order_id,
            public_key = view.public_key,
            kind = view.kind,
            expect = view.expect,
            missing_sku = view.missing_sku,
            currency = view.currency,
            total_minor = view.total_minor,
            delegated = (view.accepted or 0) > 0,
            reference_key = view.reference_key,
        }
        by_expectation[view.expect] = (by_expectation[view.expect] or 0) + 1
        if view.missing_sku then
            missing[#missing + 1] = view.missing_sku
        end
    end
    return {orders = list, counts = by_expectation, missing_skus = missing}
end

--- GET _control/calls.
---@param w table
---@param query table<string, string>
---@return table
function ledger.calls(w, query)
    return {calls = control.calls(w.store, query)}
end

return ledger
