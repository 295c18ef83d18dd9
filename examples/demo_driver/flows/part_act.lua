--- An agent of the shop takes a unit off an order that Khaos has, and somebody takes it off there:
--- what is left is sent.
local part_act = {}

local function find(call, ids)
    for _, id in ipairs(ids) do
        local path = ("/books?limit=1&after=%d"):format(id - 1)
        local order = call("scayle_control", "GET", path).orders[1]
        if order.kind == "multi_unit" and #order.units > 1 then
            return order
        end
    end
    return nil
end

--- Plays it with one of the orders.
---@async
---@param job neap.Job
---@param call fun(connection: string, method: string, path: string, body: table|nil): table
---@param ids integer[] posted and not sent
---@return {order_id: integer, minor: integer}|nil nil: no order has several units
function part_act.play(job, call, ids)
    local order = find(call, ids)
    if not order then
        return nil
    end
    local unit = order.units[1]
    job:note("demo", ("an agent takes %s off order %d; somebody takes it off in Khaos"):format(
        unit.sku, order.id))
    call("scayle_control", "POST", "/cancel_items", { order_id = order.id, items = { unit.id } })
    call("khaos_control", "POST", "/orders", { reference = "SC" .. order.id, action = "take_off",
        items = { { stock_code = unit.sku, quantity = 1 } } })
    return { order_id = order.id, minor = unit.minor }
end

return part_act
